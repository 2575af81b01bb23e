from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from wares.core.config import Recommend
from wares.core.errors import IncompatibleArtifact
from wares.features.interactions import Interactions, from_sequences
from wares.models.recommend.closed_form import (
    Columns,
    Ease,
    Factors,
    ItemKnn,
    LowRankEase,
    approximate_neighbours,
    best_of_rows,
    shared_users,
    to_matrix,
)
from wares.models.recommend.infer import History, Recommender, diverse
from wares.models.recommend.next_item import next_item_weights, transitions
from wares.models.recommend.train import Params, TextSide, fit, history_of
from wares.models.recommend.tune import tune

RNG = np.random.default_rng(3)
DENSE = (RNG.random((40, 25)) < 0.25).astype(np.float32)
MATRIX = sp.csr_matrix(DENSE)


def naive_ease(x: np.ndarray, lam: float) -> np.ndarray:
    p = np.linalg.inv(x.T @ x + lam * np.eye(x.shape[1]))
    b = -p / np.diag(p)[None, :]
    np.fill_diagonal(b, 0)
    return b


def test_ease_is_the_closed_form():
    assert np.allclose(Ease(MATRIX, 5.0).weights, naive_ease(DENSE.astype(float), 5.0), atol=1e-4)


def test_full_rank_factors_are_ease():
    model = LowRankEase(Factors(MATRIX, 25, 0), 5.0)
    query = sp.csr_matrix(DENSE[:7])
    assert np.allclose(model.scores(query), Ease(MATRIX, 5.0).scores(query), atol=1e-3)
    rows = np.concatenate([block for _, block in model.blocks()])
    assert np.allclose(rows, naive_ease(DENSE.astype(float), 5.0), atol=1e-3)


def test_random_factors_find_the_leading_directions(monkeypatch):
    exact = Factors(MATRIX, 8, 0)
    monkeypatch.setattr("wares.models.recommend.closed_form.EXACT_USERS", 1)
    assert np.allclose(Factors(MATRIX, 8, 0).values, exact.values, rtol=0.01)


def test_item_knn_is_shrunk_cosine():
    model = ItemKnn(MATRIX, shrink=3.0, k=25)
    both = DENSE.T @ DENSE
    norm = np.sqrt(np.diag(both))
    cosine = both / (norm[:, None] * norm[None, :] + 3.0)
    np.fill_diagonal(cosine, 0)
    for i in range(25):
        for place, j in enumerate(model.ids[i]):
            assert j == -1 or model.values[i, place] == pytest.approx(cosine[i, j], abs=1e-5)


def test_neighbours_of_rows_and_shared_users():
    model = Ease(MATRIX, 5.0)
    ids, weights = best_of_rows(model.blocks(), 25, 4)
    best = np.argsort(-model.weights[3], kind="stable")[:4]
    assert ids[3].tolist() == best.tolist()
    assert (np.diff(weights, axis=1) <= 0).all()
    shared = shared_users(MATRIX, ids)
    assert shared[3, 0] == (DENSE[:, 3] * DENSE[:, ids[3, 0]]).sum()


def test_approximate_neighbours_agree_with_exact_ones():
    model = LowRankEase(Factors(MATRIX, 25, 0), 5.0)
    exact, _ = best_of_rows(model.blocks(), 25, 3)
    near, _ = approximate_neighbours(model, 3)
    assert np.mean([len(set(a) & set(b)) / 3 for a, b in zip(exact, near, strict=True)]) > 0.9


def shop_of_tastes(users: int = 60) -> tuple[Interactions, np.ndarray]:
    """Three groups of users who each buy from ten items of their own; items 27 to 29 were never bought."""
    rng = np.random.default_rng(1)
    sequences = [rng.choice(9, 6, replace=False).astype(np.int32) + 9 * (u % 3) for u in range(users)]
    return from_sequences(sequences, 30, (1.0, 0.5)), np.arange(users) % 3


def fitted(folder, kind: str = "ease", **change) -> tuple[Recommender, Interactions, Params]:
    data, _ = shop_of_tastes()
    ids = np.stack([np.roll(np.arange(30), -i)[:5] for i in range(30)]).astype(np.int32)
    text = TextSide(
        ids, np.tile(np.array([1, 0.6, 0.5, 0.4, 0.3], np.float16), (30, 1)), np.arange(30, dtype=np.int32)
    )
    params = Params(regularisation=5.0, diversity=0.0, **change)
    config = Recommend.model_validate({"model": kind, "min_support": 1, "neighbours": 10})
    fit(
        data,
        data.item_counts().astype(np.float32),
        text,
        np.arange(30, dtype=np.int32) // 9,
        params,
        config,
        folder,
    )
    return Recommender(folder), data, params


@pytest.mark.parametrize("kind", ["ease", "lowrank", "knn", "next"])
class TestContract:
    """What every recommender must do."""

    def test_finds_the_taste(self, tmp_path, kind):
        model, data, params = fitted(tmp_path, kind)
        for user in range(12):
            best = model.rank(history_of(data, user, params), 3).items
            assert (best // 9 == user % 3).all()

    def test_same_inputs_same_artifact(self, tmp_path, kind):
        first = fitted(tmp_path / "a", kind)[0].manifest["hash"]
        assert fitted(tmp_path / "b", kind)[0].manifest["hash"] == first

    def test_never_more_than_there_is_and_nothing_twice(self, tmp_path, kind):
        model, data, params = fitted(tmp_path, kind)
        found = model.rank(history_of(data, 0, params), 200)
        assert len(found.items) == len(set(found.items.tolist())) <= 30
        assert not set(found.items.tolist()) & set(data.items[data.of(0)].tolist())

    def test_strangers_get_what_sells(self, tmp_path, kind):
        model, data, _ = fitted(tmp_path, kind)
        best = model.rank(History.empty(), 5).items
        assert (data.item_counts()[best] >= np.sort(data.item_counts())[-8]).all()

    def test_the_tuned_tail_is_not_for_strangers(self, tmp_path, kind):
        model, _, _ = fitted(tmp_path, kind, tail=0.4, tail_scale=2.0)
        plain = model.rank(History.empty(), 5, tail=0.0).items
        assert (model.rank(History.empty(), 5).items == plain).all()

    def test_hidden_products_stay_hidden(self, tmp_path, kind):
        model, data, params = fitted(tmp_path, kind)
        allowed = np.ones(30, bool)
        shown = model.rank(history_of(data, 0, params), 5).items
        allowed[shown] = False
        assert not set(model.rank(history_of(data, 0, params), 5, allowed=allowed).items) & set(shown)

    def test_tail_moves_the_list_away_from_bestsellers(self, tmp_path, kind):
        model, data, params = fitted(tmp_path, kind)
        sold = data.item_counts()
        mean = [
            np.mean(
                [sold[model.rank(history_of(data, u, params), 5, tail=t).items].mean() for u in range(30)]
            )
            for t in (0.0, 1.0)
        ]
        assert mean[1] < mean[0]

    def test_repeats_only_when_asked(self, tmp_path, kind):
        model, data, params = fitted(
            tmp_path, kind, repeat=True, blend={"cf": 0.1, "text": 0, "popular": 0, "repeat": 1.0}
        )
        history = history_of(data, 0, params)
        assert set(model.rank(history, 4).items) <= set(history.items)
        assert not set(model.rank(history, 4, repeats=False).items) & set(history.items)

    def test_unsold_products_get_a_place(self, tmp_path, kind):
        model, data, params = fitted(
            tmp_path, kind, new_share=0.1, blend_new={"cf": 1, "text": 0, "popular": 1, "repeat": 0}
        )
        history = history_of(data, 2, params)
        assert set(model.rank(history, 10).items) & {27, 28, 29}

    def test_evidence_names_something_that_was_done(self, tmp_path, kind):
        model, data, params = fitted(tmp_path, kind)
        history = history_of(data, 0, params)
        best = model.rank(history, 3).items
        for item, (because, shoppers) in model.evidence(best, history).items():
            assert because in history.items
            both = [u for u in range(data.n_users) if {item, because} <= set(data.items[data.of(u)].tolist())]
            assert shoppers == len(both)


def test_no_events_at_all(tmp_path):
    data = from_sequences([], 5, (1.0,))
    fit(
        data,
        np.zeros(5, np.float32),
        TextSide.none(5),
        np.zeros(5, np.int32),
        Params(),
        Recommend(),
        tmp_path,
    )
    assert len(Recommender(tmp_path).rank(History.empty(), 3).items) == 0


def test_another_artifact_is_refused(tmp_path):
    fitted(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1, "kind": "other", "files": {}}')
    with pytest.raises(IncompatibleArtifact):
        Recommender(tmp_path)


def test_tuning_finds_the_repeats_and_the_taste():
    data, _ = shop_of_tastes()
    own = [data.items[data.of(u)][:4] for u in range(data.n_users)]
    config = Recommend.model_validate({"regularisation": [1.0, 10.0], "min_support": 1})
    params = tune(data, own, np.ones(30, np.float32), TextSide.none(30), np.zeros(30, np.int32), config)
    assert params.repeat
    assert params.blend["repeat"] > 0
    other = [
        np.setdiff1d(np.arange(9) + 9 * (u % 3), data.items[data.of(u)]).astype(np.int32)
        for u in range(data.n_users)
    ]
    params = tune(data, other, np.ones(30, np.float32), TextSide.none(30), np.zeros(30, np.int32), config)
    assert not params.repeat
    assert params.validation["ndcg@10"] > 0.9


def test_a_graph_is_used_only_when_it_helps():
    rng = np.random.default_rng(2)
    data = from_sequences([rng.choice(30, 3, replace=False).astype(np.int32) for _ in range(50)], 30, (1.0,))
    noise = sp.csr_matrix((rng.random((20, 30)) < 0.1).astype(np.float32))
    truth = [rng.choice(30, 1).astype(np.int32) for _ in range(50)]
    config = Recommend.model_validate({"regularisation": [10.0], "min_support": 1, "model": "ease"})
    params = tune(
        data, truth, np.ones(30, np.float32), TextSide.none(30), np.zeros(30, np.int32), config, side=noise
    )
    tried = {k: v for k, v in params.validation.items() if "graph" in k}
    assert len(tried) == 3
    assert (params.side_weight > 0) == (max(tried.values()) > params.validation["cf_ndcg@10"])


def test_decay_by_position_and_without():
    data = from_sequences([np.array([4, 2, 4], np.int32)], 5, (1.0, 0.5))
    assert data.items.tolist() == [2, 4]
    assert data.decayed.tolist() == [[1.0, 0.5], [2.0, 1.25]]
    gone = data.without(np.array([True]))
    assert (len(gone.items), gone.n_users) == (0, 1)
    assert to_matrix(data, Columns.supported(data, 1)).shape == (1, 2)


def test_diverse_lists():
    scores = np.array([1.0, 0.99, 0.98, 0.97, 0.5])
    category = np.array([0, 0, 0, 1, 2])
    assert diverse(scores, category, 3, 0.0).tolist() == [0, 1, 2]
    assert diverse(scores, category, 3, 1.0).tolist()[:2] == [0, 3]
    assert len(diverse(np.zeros(4), np.zeros(4, int), 9, 0.5)) == 4


def test_auto_takes_the_next_item_model_where_order_matters():
    rng = np.random.default_rng(0)
    walks = [((rng.integers(0, 12) + np.arange(5)) % 12).astype(np.int32) for _ in range(150)]
    # Without forgetting, what goes together cannot tell the item before a walk from the one after it.
    data = from_sequences([w[:-1] for w in walks], 12, (1.0,))
    config = Recommend.model_validate({"regularisation": [1.0, 10.0], "min_support": 1, "repeat": "exclude"})
    params = tune(
        data,
        [w[-1:] for w in walks],
        np.ones(12, np.float32),
        TextSide.none(12),
        np.zeros(12, np.int32),
        config,
    )
    assert params.model == "next"
    assert params.validation["next_ndcg@10"] == params.validation["cf_ndcg@10"] > 0.9


def test_dense_weights_lie_row_by_row():
    matrix = sp.random(30, 12, 0.4, format="csr", dtype=np.float32, random_state=3)
    sequences = [np.random.default_rng(s).permutation(12)[:5].astype(np.int32) for s in range(30)]
    # Otherwise every request copies the whole matrix: scipy's product flattens it first.
    assert Ease(matrix, 1.0).weights.flags.c_contiguous
    assert next_item_weights(*transitions(sequences, 12, 0.8), 1.0).flags.c_contiguous
