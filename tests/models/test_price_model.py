from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.models.price.comparables import NEAREST, comparable_sets, expect
from wares.models.price.history import past_of
from wares.models.price.hypotheses import RATES, Habit, exchange, explain, hypotheses
from wares.models.price.infer import PriceBook
from wares.models.price.observations import (
    daily,
    grouped_median,
    others_median,
    packs_of,
    read_prices,
    row_median,
)
from wares.models.price.planting import KINDS, plant
from wares.models.price.train import fit, judge, ranking
from wares.models.price.words import evidence_words, kind_words, verdict_words
from wares.testing.prices import make_prices


@pytest.fixture(scope="module")
def case():
    return make_prices()


@pytest.fixture(scope="module")
def spoiled(case):
    prices, goods = case
    rng = np.random.default_rng(3)
    rows = np.sort(rng.choice(np.flatnonzero(prices.last), 40, replace=False))
    errors = plant(prices.value, goods.count[prices.item], rows, "USD", rng)
    value = prices.value.copy()
    value[errors.rows] = errors.value
    return judge(prices.with_values(value), goods, "USD", 11), errors


def test_medians_are_those_of_numpy():
    rng = np.random.default_rng(1)
    values, group = rng.normal(size=200), rng.integers(-1, 9, 200)
    values[::17] = np.nan
    of = grouped_median(values, group, 10)
    some, many = others_median(values, group)
    for g in range(9):
        mine = values[(group == g) & np.isfinite(values)]
        assert of[g] == pytest.approx(np.median(mine))
    assert np.isnan(of[9])
    for row in range(0, 200, 7):
        rest = [v for i, v in enumerate(values) if i != row and group[i] == group[row] and np.isfinite(v)]
        if group[row] < 0 or np.isnan(values[row]):
            assert np.isnan(some[row])
        else:
            assert many[row] == len(rest)
            assert some[row] == pytest.approx(np.median(rest))
    cells = np.array([[np.nan, 1.0, 3.0], [np.nan] * 3, [5.0, np.nan, np.nan]])
    assert row_median(cells)[[0, 2]].tolist() == [2.0, 5.0]
    assert np.isnan(row_median(cells)[1])


def test_what_is_no_price_is_left_out_and_counted():
    now = 100 * 86_400
    value = [1.0, 0.0, -2.0, np.nan, np.inf, 1e12, 3.0, 4.0, 5.0, 5.5]
    at = [0, 0, 0, 0, 0, 0, now + 3 * 86_400, 0, 7, 7]
    item = [0, 0, 0, 0, 0, 0, 0, 9, 1, 1]
    prices = read_prices(item, at, value, 2, now)
    assert prices.value.tolist() == [1.0, 5.5]
    assert prices.masked == {
        "not a number": 2, "zero": 1, "negative": 1, "above 1,000,000,000": 1, "in the future": 1, "of an unknown product": 1,
    }  # fmt: skip
    with pytest.raises(QueryError, match="rows"):
        read_prices([0], [0, 1], [1.0], 1)


def test_days_give_the_lower_median_where_it_changed():
    day = 86_400
    item = np.array([0, 0, 0, 0, 0, 1])
    at = np.array([5, 6, 7, day + 1, 2 * day, 0])
    value = np.array([2.0, 9.0, 3.0, 3.0, 4.0, np.nan])
    rows, days, middle = daily(item, at, value)
    assert rows.tolist() == [0, 0]
    assert days.tolist() == [0, 2 * day]
    assert middle.tolist() == [3.0, 4.0]


def test_planted_errors_come_first_are_named_and_mended(spoiled):
    judged, errors = spoiled
    order = ranking(judged.scores, judged.prices.last)
    found = np.isin(errors.rows, order[: len(errors.rows)])
    assert found.mean() > 0.75
    named = [judged.verdicts(int(row))[0] for row in errors.rows[found]]
    right = [
        h is not None and h.kind == kind for (h, _, _), kind in zip(named, errors.kind[found], strict=True)
    ]
    assert np.mean(right) > 0.6
    assert set(errors.kind) <= set(KINDS)
    wrong, fine = judged.scores.probability[errors.rows], np.delete(judged.scores.probability, errors.rows)
    assert wrong.mean() > 50 * fine.mean()


def test_a_product_never_predicts_itself(case):
    prices, goods = case
    levels = prices.levels()
    before = expect(levels, goods, 7)
    row = 17
    moved = levels.copy()
    moved[row] += np.log(1000)
    after = expect(moved, goods, 7)
    assert row not in before.nearest[row]
    # Its own price has no say in what is expected of it: only the others' trees see it.
    assert after.middle[row] == pytest.approx(before.middle[row], abs=0.1)
    assert (before.low <= before.middle).all()
    assert (before.middle <= before.high).all()
    inside = (levels >= before.low) & (levels <= before.high)
    assert 0.77 < inside[np.isfinite(levels)].mean() < 0.83


def test_comparable_sets_are_of_the_same_text_first(case):
    prices, goods = case
    levels = prices.levels()
    sets = comparable_sets(levels, goods)
    assert sets.shape == (len(goods), NEAREST)
    of = goods.text_of
    same = np.bincount(of)
    row = int(np.flatnonzero(same[of] >= 3)[0])
    assert of[sets[row, 0]] == of[row]
    assert np.isfinite(levels[sets[sets >= 0]]).all()


def test_its_own_past_outweighs_its_neighbours(case):
    prices, goods = case
    value = prices.value.copy()
    row = int(np.flatnonzero(prices.last & (np.bincount(prices.item)[prices.item] >= 5))[0])
    mine = prices.item == prices.item[row]
    # A dear product was always dear: odd beside its neighbours, but not an error; then once ten times dearer still.
    value[mine] = np.round(value[mine] * 6, 2)
    steady = judge(prices.with_values(value), goods, "USD", 7)
    value[row] *= 10
    jumped = judge(prices.with_values(value), goods, "USD", 7)
    assert jumped.scores.odds[row] > steady.scores.odds[row] + 1
    assert ranking(jumped.scores, prices.last).tolist().index(row) < 5
    best = jumped.verdicts(row)[0]
    assert best[0] is not None
    assert best[0].kind == "x10"
    assert best[2] == pytest.approx(value[row] / 10, rel=0.3)


def test_past_leaves_the_entry_itself_out():
    prices = read_prices([0, 0, 0, 1], [0, 1, 2, 0], [1.0, 2.0, 4.0, 8.0], 2)
    past = past_of(prices, np.array([0, 0]))
    assert np.exp(past.middle[0]) == pytest.approx(np.sqrt(8))
    assert np.isnan(past.middle[3])
    assert past.others.tolist() == [2, 2, 2, 0]
    rows = np.array([0, 3])
    near = past.nearest(rows, np.log([2.1, 8.0]))
    assert near[0] == pytest.approx(np.log(2.1 / 2))
    assert np.isnan(near[1])


@pytest.mark.parametrize(
    ("price", "kind"),
    [(29.9, "x10"), (299.0, "x100"), (0.03, "/100"), (0.3, "/10"), (17.94, "pack"), (0.5, "pack")],
)
def test_each_error_is_known_by_its_factor(price, kind):
    habit = Habit.of(np.array([2.99] * 50 + [1.99] * 30 + [3.49] * 20))
    own = np.log(np.array([2.99, 2.99, 2.49]))
    found = explain(np.log(price), np.log(2.99), 0.05, hypotheses("USD", 6.0), habit, own)
    assert found[0][0] is not None
    assert found[0][0].kind == kind
    assert found[0][2] == pytest.approx(2.99, rel=0.01)
    assert sum(share for _, share, _ in found) == pytest.approx(1.0)


def test_the_rates_of_the_shop_come_before_the_rough_ones():
    rough = exchange("USD")
    known = exchange("USD", {"EUR": 0.5, "THB": 33.0, "USD": 1.0})
    assert known["EUR"] == 0.5
    assert known["THB"] == 33.0
    assert known["JPY"] == rough["JPY"]
    assert "USD" not in known
    # A currency that the built-in table does not know has those of the shop alone.
    assert exchange("THB") == {}
    assert exchange("THB", {"USD": 1 / 33.0}) == {"USD": 1 / 33.0}


def test_a_mix_up_is_told_by_the_rate_of_the_shop():
    habit = Habit.of(np.array([100.0] * 50 + [80.0] * 30))
    own = np.log(np.array([100.0, 100.0, 80.0]))
    price = 100.0 * 25_300  # dong for one dollar, which the built-in table does not have
    assert explain(np.log(price), np.log(100), 0.05, hypotheses("USD"), habit, own)[0][0] is None
    found, share, right = explain(
        np.log(price), np.log(100), 0.05, hypotheses("USD", rates={"VND": 25_300.0}), habit, own
    )[0]
    assert found is not None
    assert (found.kind, found.detail) == ("currency", "VND")
    assert share > 0.5
    assert right == pytest.approx(100.0, rel=0.01)


def test_mix_ups_are_planted_by_the_rates_of_the_shop():
    value = np.full(300, 100.0)
    rates = dict.fromkeys(RATES, 41.0)
    spoiled = plant(
        value,
        np.full(300, np.nan),
        np.arange(300),
        "USD",
        np.random.default_rng(1),
        ("currency",),
        rates,
    )
    assert spoiled.value == pytest.approx(4100.0)


def test_what_no_factor_explains_is_an_outlier():
    habit = Habit.of(np.array([2.99] * 50))
    own = np.log(np.array([2.99, 2.99, 2.99]))
    found = explain(np.log(2.99 * 41), np.log(2.99), 0.01, hypotheses("XXX"), habit, own)
    assert found[0][0] is None


@pytest.mark.parametrize("prices", [[], [5.0], [5.0] * 30, [0.01, 1e8, 3.0]])
def test_few_equal_and_huge_prices_are_judged(prices, tmp_path):
    n = max(len(prices), 1)
    table = read_prices(np.arange(len(prices)), np.zeros(len(prices)), prices, n)
    none = np.full(n, -1, np.int32)
    nothing = np.full(n, np.nan)
    _, goods = make_prices(products=120, categories=6)
    goods = replace(
        goods, category_of=np.zeros(n, np.int32), brand_of=none, unit_of=none, amount=nothing, count=nothing, text_of=none,
        near=np.zeros((0, 0), np.int32), near_sim=np.zeros((0, 0), np.float32),
    )  # fmt: skip
    fit(table, goods, "EUR", tmp_path / "price", seed=7)
    book = PriceBook(tmp_path / "price")
    assert len(book) == n
    for odd in book.anomalies(10):
        assert 0 < odd.probability < 1
        assert verdict_words(odd)
    if len(set(prices)) == 1 and len(prices) > 1:
        assert not book.anomalies(10, least=0.3)


def test_the_artefact_is_the_same_twice_and_says_why(spoiled, case, tmp_path):
    judged, _ = spoiled
    made = [fit(judged.prices, case[1], "USD", tmp_path / name, seed=11)["hash"] for name in ("a", "b")]
    assert made[0] == made[1]
    book = PriceBook(tmp_path / "a")
    odd = book.anomalies(20)
    shares = [round(one.probability, 3) for one in odd]
    assert shares == sorted(shares, reverse=True)
    assert all(one.current for one in odd)
    assert "times" in " ".join(evidence_words(one) for one in odd)
    assert all(evidence_words(one, "zh") and verdict_words(one, "zh") for one in odd)
    one = book.anomaly_of(odd[0].item)
    assert one == odd[0]
    found = book.expected(odd[0].item)
    assert found is not None
    assert found.low <= found.middle <= found.high
    assert odd[0].item not in found.nearest
    assert book.expected(-1) is None
    assert book.expected(10**6) is None


def test_kinds_have_words():
    for kind in ("x10", "/10", "x100", "/100", "x1000", "/1000", "outlier"):
        assert kind_words(kind, "") != kind_words(kind, "", "zh")
    assert "JPY" in kind_words("currency", "JPY")
    assert kind_words("pack", "6") != kind_words("pack", "1/6")


def test_packs_come_from_the_size_else_from_the_title():
    unit, amount, count, names = packs_of(["6 x 330 ml", "", ""], ["Cola", "Rice 2 kg", "Lamp"])
    assert [names[u] if u >= 0 else "" for u in unit] == ["l", "kg", ""]
    assert amount[:2] == pytest.approx([1.98, 2.0])
    assert count[0] == 6
    assert np.isnan(amount[2])
