"""Lists for shoppers of whom little is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.models.test_recommend import fitted, shop_of_tastes

from wares.models.recommend.history import History
from wares.models.recommend.infer import Recommender
from wares.models.recommend.newcomers_train import FEWEST, choose_thin
from wares.models.recommend.train import Params

BESTSELLERS = {"cf": 0.0, "text": 0.0, "popular": 1.0, "repeat": 0.0}


def visit(*items: int) -> History:
    return History.of_visit(np.array(items, np.int32), 0.9, 10 * 86_400, 2)


def model_with(folder: Path, thin: dict[str, dict[str, float]]) -> Recommender:
    model, _, params = fitted(folder)
    params.blend_thin = thin
    model.weigh(params.to_json())
    return model


def test_a_visit_weighs_what_came_last_most():
    history = visit(7, 2, 5)
    assert history.items.tolist() == [2, 5, 7]
    assert np.allclose(history.repeat, [0.9, 1.0, 0.81])
    assert history.decayed.shape == (3, 2)
    assert history.row == -1


def test_weights_for_newcomers_hold_for_newcomers_only(tmp_path):
    model = model_with(tmp_path, {"1": BESTSELLERS})
    best = np.lexsort((np.arange(30), -model.popular))
    shown = model.rank(visit(3), 5, repeats=False)
    assert shown.items.tolist() == [i for i in best.tolist() if i != 3][:5]
    known = visit(3)
    known.row = 0
    assert shown.items.tolist() != model.rank(known, 5, repeats=False).items.tolist()
    plain = model_with(tmp_path / "plain", {})
    many = visit(*range(9))
    assert model.rank(many, 5).items.tolist() == plain.rank(many, 5).items.tolist()


def test_newcomers_weights_are_chosen_where_enough_shoppers_tell(tmp_path):
    model, data, params = fitted(tmp_path)
    _, taste = shop_of_tastes()
    truth = [(np.arange(9) + 9 * t).astype(np.int32) for t in taste]
    choose_thin(model, data, truth, 0.9, params, 7)
    assert set(params.blend_thin) == {"1", "2", "3", "5"}
    # What goes together tells the taste at once; what sells tells nothing here.
    assert params.validation["after1_ndcg@10"] > 0.9
    few = Params()
    choose_thin(model, data, truth[: FEWEST - 1], 0.9, few, 7)
    assert not few.blend_thin
