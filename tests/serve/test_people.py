from __future__ import annotations

import numpy as np
import pytest

from wares.core.strings import StringTable
from wares.features.interactions import Interactions
from wares.serve.online import Deed
from wares.serve.people import DAY, People

KINDS = {"purchase": 1.0, "view": 0.2, "return": -1.0}
PARAMS = {"query": 0, "rebuy": 1}


@pytest.fixture
def people() -> People:
    """u0 had product 1 on days 10 and 20 and product 2 on day 20; u1 had product 2 on day 30; the build is of day 40."""
    data = Interactions(
        4,
        np.array([0, 2, 3]),
        np.array([1, 2, 2], np.int32),
        np.array([2, 1, 1], np.float32),
        np.array([2, 1, 1], np.int32),
        np.array([20, 20, 30]) * DAY,
        np.array([[0.5, 1.9], [0.3, 1], [0.6, 1]], np.float32),
        (10.0, 1000.0),
        40 * DAY,
        False,
        np.array([10, 20, 30]) * DAY,
        np.array([0, 2, 3]),
        np.array([10, 20, 30], np.int32),
    )
    return People(data, StringTable.of(["u0", "~s1"]), PARAMS, KINDS, lambda name: int(name[1:]))


def test_a_deed_is_in_the_features_at_once(people):
    before = people.history("u0", [])
    after = people.history("u0", [Deed("p3", "purchase", 50 * DAY), Deed("p1", "purchase", 50 * DAY)])
    assert before.items.tolist() == [1, 2]
    assert after.items.tolist() == [1, 2, 3]
    assert after.times.tolist() == [3, 1, 1]
    assert (after.first // DAY).tolist() == [10, 20, 50]
    assert (after.last // DAY).tolist() == [50, 20, 50]
    assert after.visits.tolist() == [10, 20, 50]
    assert after.now == 50 * DAY
    # Ten days are one half-life of the first forgetting: what was done before has faded, what was done now has not.
    assert after.decayed[:, 0] == pytest.approx([0.25 + 1, 0.15, 1])
    assert before.decayed[0, 0] == pytest.approx(0.5)


def test_a_visit_before_the_log_in_is_joined(people):
    joined = people.history("u0", [], ["s1"])
    assert joined.items.tolist() == [1, 2]
    assert joined.times.tolist() == [2, 2]
    assert (joined.first // DAY).tolist() == [10, 20]
    assert (joined.last // DAY).tolist() == [20, 30]
    assert joined.visits.tolist() == [10, 20, 30]
    assert joined.decayed[1] == pytest.approx([0.9, 2.0])
    assert joined.row == 0


def test_what_is_sent_back_is_gone(people):
    back = people.history("u0", [Deed("p2", "return", 41 * DAY)])
    assert back.items.tolist() == [1]


def test_a_stranger_with_deeds(people):
    found = people.history("new", [Deed("p3", "view", 41 * DAY)])
    assert (found.items.tolist(), found.row) == ([3], -1)
    assert found.times.tolist() == [0]
    assert len(people.history("nobody", []).items) == 0
