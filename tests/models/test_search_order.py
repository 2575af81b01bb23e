"""The order's parts alone: trees and their gate, variety, the long-tail floor, rates."""

from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import ModelError
from wares.models.search.asked_log import empty, read_asked, seldom_clicked, write_asked
from wares.models.search.clicks import Sessions
from wares.models.search.judge import COUNTS, Rates, choose_model, judge
from wares.models.search.order_train import FEWEST, Lists, Shape, gate, grow, interval, ndcg, quality
from wares.models.search.spread import PAGE, meanings, tail_floor, various
from wares.pipeline.search_log import Search


def lists(queries, seed, *, telling=True):
    """Ten candidates a query; the first feature tells the grade, or nothing does; they stand in an order of chance."""
    rng = np.random.default_rng(seed)
    m = 10 * queries
    grades = rng.random(m) ** 2
    table = rng.normal(size=(m, 3)).astype(np.float32)
    if telling:
        table[:, 0] = grades + 0.05 * rng.normal(size=m)
    return Lists(table, grades, np.full(queries, 10), rng.normal(size=m).astype(np.float32), np.arange(queries))  # fmt: skip


def test_trees_that_help_pass_the_gate_and_others_do_not():
    trees = grow(lists(150, 1), 7)
    held = lists(100, 2)
    found = gate(held, trees.predict(held.features), 7)
    assert found.kept
    assert 0 < found.interval[0] < found.with_it - found.without < found.interval[1]
    noise, other = lists(150, 3, telling=False), lists(100, 4, telling=False)
    refused = gate(other, grow(noise, 7).predict(other.features), 7)
    assert not refused.kept
    assert refused.reason == "not better on held-out searches"


def test_too_few_searches_prove_nothing():
    held = lists(FEWEST - 1, 2)
    found = gate(held, held.grades, 7)
    assert not found.kept
    assert "29 searched texts" in found.reason
    with pytest.raises(ModelError, match="no lists"):
        grow(held.take(np.zeros(len(held), bool)), 7)


def test_trees_are_the_same_for_any_number_of_threads():
    taught = lists(60, 5)
    small = Shape(rounds=8)
    one, two = (grow(taught, 7, threads, small).predict(taught.features) for threads in (1, 2))
    assert (one == two).all()


def test_ndcg_with_grades():
    assert ndcg(np.array([3, 2, 1]), np.array([1.0, 0.5, 0.0])) == 1
    assert ndcg(np.array([1, 2, 3]), np.array([1.0, 0.0, 0.0])) == pytest.approx(0.5)
    assert np.isnan(ndcg(np.array([1.0]), np.array([0.0])))
    found = lists(3, 1)
    assert (quality(found, found.grades) == 1).all()
    assert quality(found.take(np.array([False, True, False])), found.grades[10:20]) == [1]


def test_searches_of_one_text_are_drawn_together():
    apart = np.array([1.0, 1.0, -1.0, -1.0, np.nan])
    low, high = interval(apart, np.array([0, 0, 1, 1, 2]), 7)
    assert (low, high) == (-1, 1)
    assert interval(np.array([np.nan]), np.array([0]), 7) == (0, 0)


def test_an_ambiguous_query_shows_its_meanings():
    category = np.array([0] * 5 + [1] * 6 + [0] * 7, np.int32)
    scores = np.linspace(1, 0.85, 18).astype(np.float32)
    order = np.arange(18)
    found = various(order, scores, category, 0.8)
    assert sorted(found) == list(range(18))
    assert found[0] == 0
    assert 1 in category[found[:4]]
    assert various(order, scores, category, 0.0).tolist() == order.tolist()
    clear = np.where(category == 0, 1.0, -9.0).astype(np.float32)
    assert various(order, clear, category, 0.8).tolist() == order.tolist()
    assert various(order[:2], scores[:2], category[:2], 0.8).tolist() == [0, 1]


def test_meanings_of_equal_scores():
    kind, share, ambiguous = meanings(np.ones(4, np.float32), np.array([3, 3, 9, 9], np.int32))
    assert kind.tolist() == [0, 0, 1, 1]
    assert share == pytest.approx([0.5, 0.5])
    assert ambiguous == pytest.approx(1)
    assert meanings(np.ones(3, np.float32), np.array([5, 5, 5], np.int32))[2] == 0


def test_the_floor_brings_the_best_of_the_tail_to_the_end_of_the_page():
    tail = np.zeros(40, bool)
    tail[[25, 30, 39]] = True
    order = np.arange(40)
    found = tail_floor(order, tail, 0.1)
    assert found[:PAGE].tolist() == [*range(18), 25, 30]
    assert sorted(found) == list(range(40))
    assert tail_floor(order, ~tail, 0.3).tolist() == order.tolist()
    assert tail_floor(order, np.zeros(40, bool), 0.3).tolist() == order.tolist()
    assert sorted(tail_floor(order, tail, 0.5)) == list(range(40))


def test_rates_are_smoothed_and_looked_up(tmp_path):
    found = [Search(f"u{i}", "lamp", i, [4, 5], [4] if i % 2 else [], [], [4] if i == 1 else []) for i in range(40)]  # fmt: skip
    sessions = Sessions.of([(0, one.shown, [0] if one.clicked else []) for one in found])
    rates = Rates.of(found, sessions, ["lamp"], np.array([1.0, 0.5]), 8)
    rates.save(tmp_path)
    rates = Rates.load(tmp_path)
    table = rates.look_up("lamp", np.array([5, 4, 7], np.int32))
    assert table.shape == (3, 8)
    assert 0.3 < table[1, 0] < 0.5
    assert table[0, 0] < table[1, 0]
    assert table[1, 2] > table[0, 2]
    assert np.isnan(table[2, :4]).all()
    assert np.isnan(rates.look_up("other", np.array([4], np.int32))[0, :4]).all()
    assert np.isfinite(rates.look_up("other", np.array([4, 7], np.int32))[:, 4:]).all()


def test_purchases_count_above_clicks_and_few_lists_are_counted():
    bought = [Search(f"u{i}", "lamp", i, [], [1], [], [1]) for i in range(5)]
    found = [*bought, *(Search(f"v{i}", "lamp", i, [], [2]) for i in range(5))]
    model, told = choose_model(Sessions.of([]), 7)
    assert (model, told) == (COUNTS, {})
    grades = judge(found, Sessions.of([]), ["lamp"], model).grades["lamp"]
    assert grades[1] == 1
    assert 0 < grades[2] < 1


def test_lost_searches(tmp_path):
    texts = ["fine", "nothing here", "unwanted", "recorded empty"]
    write_asked(tmp_path, texts, [[400, 300, 0, 9], [50, 0, 0, 0], [80, 1, 0, 7], [20, 1, 12, 3]])
    found = read_asked(tmp_path)
    assert [one.text for one in empty(found)] == ["nothing here", "recorded empty"]
    assert [one.text for one in seldom_clicked(found)] == ["unwanted", "recorded empty"]
    assert read_asked(tmp_path / "none") == []
    write_asked(tmp_path, [], [])
    assert read_asked(tmp_path) == empty([]) == seldom_clicked([]) == []
