from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.monitoring import MonitoringTask, evaluate_monitoring
from wares.evaluate.monitoring_histories import FOLLOWED, RUN_IN, YEAR, Market, daily, histories
from wares.evaluate.monitoring_rules import FixedRule, History, false_alarms, tuned_fixed

GOOD, BAD = ["lovely", "bright", "solid", "happy", "great"], ["awful", "broken", "poor", "angry", "terrible"]


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(1)
    return rng.random(600) < 0.5


def test_histories_keep_what_was_planted(pool):
    rng = np.random.default_rng(2)
    moved = histories(pool, 60, True, rng)
    assert {h.shift for h in moved} == {0.1, 0.2, 0.4}
    assert all(RUN_IN <= h.change < YEAR - FOLLOWED for h in moved)
    before, after = ([pool[h.row[(h.day >= h.change) == late]].mean() for h in moved if h.shift == 0.4 and h.volume > 1] for late in (False, True))  # fmt: skip
    assert 0.25 < np.mean(after) - np.mean(before) < 0.55
    quiet = histories(pool, 30, False, rng, Market(least=2, most=2.1))
    assert {h.change for h in quiet} == {-1}
    assert np.mean([len(h.day) for h in quiet]) == pytest.approx(2.05 * (YEAR + 2 * 14), rel=0.05)
    days, sums, counts = daily(quiet[0], pool.astype(float))
    assert counts.sum() == len(quiet[0].day)
    assert sums.sum() == pool[quiet[0].row].sum()
    assert (np.diff(days) > 0).all()


def test_a_fixed_threshold_alarms_once_until_it_is_below_again():
    bad = np.array([0.0, 1.0])
    history = History(np.array([0, 1, 2, 3, 20, 21, 22]), np.array([0, 1, 1, 1, 1, 1, 0]), -1, 0, 0, 0)
    assert [a.day for a in FixedRule(0.5, 2, bad).alarms(history)] == [2, 21]
    assert FixedRule(1.0, 1, bad).alarms(history) == []


def test_the_tuned_threshold_keeps_to_its_false_alarms(pool):
    rng = np.random.default_rng(3)
    quiet, moved = histories(pool, 40, False, rng), histories(pool, 40, True, rng)
    rule = tuned_fixed(quiet, moved, pool.astype(float), 0.3)
    assert false_alarms(rule, quiet, moved) <= 0.3
    assert rule.share < 1


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    rng = np.random.default_rng(4)
    path = tmp_path_factory.mktemp("monitoring") / "t.csv"
    rows = ["text,label"]
    for i in range(900):
        bad = rng.random() < 0.5
        said = " ".join(rng.choice(BAD if bad != (rng.random() < 0.1) else GOOD, 2))
        rows.append(f"{said} lamp {i},{0 if bad else 1}")
    path.write_text("\n".join(rows))
    return path


def test_both_rules_are_scored_on_the_same_histories(texts):
    found = evaluate_monitoring(MonitoringTask((texts,), histories=24))
    for name in ("wares", "fixed_tuned", "fixed_usual", "wares_as_fixed_tuned", "wares_as_fixed_usual"):
        one = found[name]
        assert one["product_years"] == found["wares"]["product_years"]
        low, high = one["delay_days_interval"]
        assert 0 <= low <= one["delay_days"] <= high <= FOLLOWED
        assert (
            one["false_alarms_interval"][0]
            <= one["false_alarms_per_product_year"]
            <= one["false_alarms_interval"][1]
        )
    assert (
        found["fixed_usual"]["false_alarms_per_product_year"]
        > 5
        > found["wares"]["false_alarms_per_product_year"]
    )
    assert found["earlier_than_fixed_tuned"]["days"] > 0
    assert found["wares"]["rule"]["share_of_bad_found"] == pytest.approx(0.15, abs=0.06)
    assert 0.85 < found["classifier"]["accuracy_on_pool"] < 0.95


def test_labels_without_an_order_and_too_few_texts_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "\n".join(f"a {i},{'red' if i % 2 else 'blue'}" for i in range(60)))
    with pytest.raises(QueryError, match="do not say what is good"):
        evaluate_monitoring(MonitoringTask((path,), histories=20))
    path.write_text("text,label\n" + "\n".join(f"a {i},{i % 2}" for i in range(60)))
    with pytest.raises(QueryError, match="histories need 50 of each"):
        evaluate_monitoring(MonitoringTask((path,), histories=20))
