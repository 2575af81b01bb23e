"""Elasticities with a known truth, refusals, simulation and guard rails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wares.core.arrays import MANIFEST
from wares.core.errors import NotIdentified, QueryError
from wares.evaluate.elasticity import evaluate_synthetic, naive
from wares.models.price.elasticity import Elasticities, Elasticity, draws_of, needed, simulate
from wares.models.price.elasticity_panel import FOLDS, folds_of, panel_of
from wares.models.price.elasticity_planted import make_demand
from wares.models.price.elasticity_train import FEW, FLAT, FOLLOWS, OK, UNSEEN, find, fit
from wares.models.price.strategy import (
    LEVELS,
    PriceMood,
    Rails,
    advise,
    candidates,
    levels_of,
    mood_by_level,
)


def made(theta=-2.0, low=-2.4, high=-1.6, price=10.0, weekly=50.0, verdict="identified"):
    return Elasticity(verdict, "product", theta, 0.2, low, high, weekly, 8, price, 7.0, 13.0, 104, 5000.0)


def test_the_truth_lies_inside_its_interval_and_controls_matter():
    inside, naive_error, error = [], [], []
    for seed in (11, 12, 13, 14):
        shop = make_demand(seed)
        found = find(shop.panel, shop.category_of, seed)
        assert (found.verdict == OK).mean() > 0.95
        inside.append(((found.low <= shop.theta) & (shop.theta <= found.high)).mean())
        error.append(np.abs(found.category.theta[:-1] - shop.category_theta).mean())
        naive_error.append(np.abs(naive(shop.panel, shop.category_of)[0] - shop.category_theta).mean())
    assert np.mean(inside) > 0.86
    assert np.mean(naive_error) > 2 * np.mean(error)


def test_pulling_to_the_category_helps_products_that_sell_little():
    shop = make_demand(3, rate=2.0)
    found = find(shop.panel, shop.category_of, 3)
    ok = found.verdict == OK
    assert ok.mean() > 0.5
    assert np.abs(found.theta - shop.theta)[ok].mean() < np.abs(found.alone.theta - shop.theta)[ok].mean()


def test_prices_that_follow_demand_and_prices_that_do_not_move_are_not_identified():
    follows = make_demand(5, follows=True)
    found = find(follows.panel, follows.category_of, 5)
    assert (found.verdict == OK).mean() < 0.1
    assert (found.verdict == FOLLOWS).mean() > 0.5
    flat = make_demand(5, flat=True)
    found = find(flat.panel, flat.category_of, 5)
    assert (found.verdict == FLAT).all()


def test_few_sales_and_unsold_products_say_so():
    item, week = np.repeat([0, 1], 40), np.tile(np.arange(40), 2)
    rng = np.random.default_rng(1)
    price = np.where(rng.random(80) < 0.3, 8.0, 10.0)
    units = np.where(item == 0, rng.poisson(20, 80), 0) + (np.arange(80) == 50)
    found = find(panel_of(item, week, units, price, 4), np.full(4, -1), 1, bought=np.array([9, 1, 2, 0]))
    assert found.verdict[1:].tolist() == [FEW, FEW, UNSEEN]


def test_an_empty_panel_and_wrong_rows():
    nothing = np.zeros(0)
    found = find(panel_of(nothing, nothing, nothing, nothing, 3), np.zeros(3, int))
    assert (found.verdict == UNSEEN).all()
    panel = panel_of([0, 0, 0, 9, 1, 0], [1, 1, 2, 1, 1, 3], [1, 2, np.nan, 1, -1, 1], [4, 6, 1, 1, 1, 0], 2)
    assert (panel.units.tolist(), panel.price.tolist()) == ([3.0], [5.0])
    assert panel.left_out == {
        "quantity is not a number": 1,
        "quantity below zero": 1,
        "price not above zero": 1,
        "of an unknown product": 1,
    }
    with pytest.raises(QueryError, match="columns of"):
        panel_of([0], [1, 2], [1], [1], 1)


def test_weeks_of_a_block_share_a_fold():
    fold = folds_of(np.arange(104, dtype=np.int32), 7)
    assert (fold.reshape(-1, 4) == fold.reshape(-1, 4)[:, :1]).all()
    assert set(fold) == set(range(FOLDS))


def test_the_artefact_is_the_same_for_the_same_panel_and_answers(tmp_path):
    shop = make_demand(2, products=20, weeks=60)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fit(shop.panel, shop.category_of, tmp_path / name, currency="EUR")
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()
    book = Elasticities(tmp_path / "a")
    row = int(np.flatnonzero(book.arrays["verdict"] == 0)[0])
    one = book.of(row)
    assert one.low < one.theta < one.high
    assert one.weekly > 0
    assert one.price_low <= one.price <= one.price_high
    assert all(book.of(int(r)).high < -1 for r in book.sensitive(50))
    with pytest.raises(QueryError):
        book.of(99)


def test_simulated_demand_follows_the_elasticity():
    one = made()
    draws = draws_of(one)
    now, dear = simulate(one, draws, 10.0, 4.0), simulate(one, draws, 11.0, 4.0)
    assert dear.demand[0] / now.demand[0] == pytest.approx(1.1**-2, rel=0.03)
    assert dear.demand[1] < dear.demand[0] < dear.demand[2]
    assert dear.seen
    assert not simulate(one, draws, 30.0).seen
    assert now.margin is not None
    assert now.margin[0] == pytest.approx(6 * now.demand[0], rel=1e-6)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(QueryError):
            simulate(one, draws, wrong)


def test_what_is_not_identified_says_why():
    with pytest.raises(NotIdentified, match="moves after demand") as caught:
        needed(made(verdict="price follows demand"), "p1")
    assert caught.value.fields["reason"] == "price follows demand"
    with pytest.raises(NotIdentified):
        advise(made(verdict="too few sales"), "p1", Rails())


def test_the_best_price_of_constant_elasticity_is_found_within_the_rails():
    # With elasticity -2 the best price is twice the cost.
    free = advise(made(low=-2.06, high=-1.94), "p", Rails(step=0.3), cost=5.6)
    assert free.goal == "margin"
    assert free.price == pytest.approx(11.2, abs=0.4)
    held = advise(made(price=10.0), "p", Rails(step=0.05), cost=6.5)
    assert held.price == pytest.approx(10.5, abs=0.01)
    assert "step" in held.held


def test_a_bad_mood_on_the_price_forbids_a_rise():
    bad = PriceMood(-0.4, -0.6, -0.2, 30)
    assert advise(made(), "p", Rails(), cost=6.5).price > 10
    kept = advise(made(), "p", Rails(), cost=6.5, mood=bad)
    assert kept.price <= 10.0
    assert "mood" in kept.held


@settings(max_examples=60, deadline=None)
@given(
    theta=st.floats(-4, 0.5),
    width=st.floats(0.05, 1.5),
    price=st.floats(0.5, 500),
    step=st.floats(0.01, 0.5),
    cost=st.one_of(st.none(), st.floats(0, 400)),
    margin=st.floats(0, 1),
    ending=st.sampled_from(["none", "nines", "fives", "tens", "whole"]),
    mood=st.booleans(),
)
def test_no_advice_breaks_a_rail(theta, width, price, step, cost, margin, ending, mood):
    one = Elasticity("identified", "product", theta, width / 4, theta - width / 2, theta + width / 2, 20, 8, price, price * 0.8, price * 1.2, 90, 900)  # fmt: skip
    said = PriceMood(-0.5, -0.7, -0.3, 50) if mood else None
    found = advise(one, "p", Rails(step, margin, ending), cost, said)
    if found.changes:
        assert price * (1 - step) - 0.011 <= found.price <= price * (1 + step) + 0.011
        assert cost is None or found.price >= cost * (1 + margin) - 0.011
        assert not (mood and found.price > max(price, (cost or 0) * (1 + margin)) + 0.011)
        assert found.probability >= 0.8
        cents = round(found.price * 100) % 100
        wanted = {"nines": {99}, "fives": {95, 99}, "tens": {90}, "whole": {0}}.get(ending)
        assert wanted is None or cents in wanted


def test_rails_and_candidates_refuse_nonsense():
    for wrong in ({"step": 0}, {"step": math.nan}, {"margin": -1}, {"ending": "lucky"}):
        with pytest.raises(QueryError):
            Rails(**wrong)
    assert candidates(10.2, 10.8, "nines").tolist() == []
    assert candidates(9.5, 11.5, "nines").tolist() == [9.99, 10.99]


def test_mood_by_price_level_is_shrunk():
    price = np.array([1.0, 2, 3, 4, 5, 10, 20, 30, 40, 50, np.nan])
    category = np.array([0] * 5 + [1] * 5 + [0])
    level = levels_of(price, category)
    assert level.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, -1]
    product = np.array([4] * 40 + [0] * 2)
    found = mood_by_level(level, product, np.array([-1.0] * 40 + [1.0] * 2))
    assert len(found) == LEVELS
    assert found[4].mood < -0.9
    assert found[4].opinions == 40
    # Two opinions do not make a level good.
    assert found[0].mood < 0
    assert found[2].opinions == 0
    assert found[2].low < found[2].mood < found[2].high


def test_the_evaluation_reports_coverage_and_refusals():
    report = evaluate_synthetic("test", runs=2, seed=1)
    assert 0.8 < report["products"]["inside"] <= 1
    assert report["refused"]["flat"] == {"no price variation": 1.0}
    with pytest.raises(QueryError):
        evaluate_synthetic("test", runs=1)
