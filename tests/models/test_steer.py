from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.models.recommend.steer import Rules, arrange, mix_of

N = 40
ITEMS = np.arange(N) + 100
SCORES = np.linspace(1, 0, N)
CATEGORY = np.array([0] * 20 + [1] * 15 + [-1] * 5)
BRAND = np.arange(N) % 4


def places(k: int = 10, scores=SCORES, category=CATEGORY, margin=None, mix=None, **rules) -> list[int]:
    found = arrange(
        scores, k, Rules(**rules), items=ITEMS, category=category, brand=BRAND, margin=margin, mix=mix
    )
    return found.tolist()


def test_without_rules_the_order_is_the_scores():
    assert places() == list(range(10))
    assert places(k=99) == list(range(N))


def test_excluded_items_never_come_and_pinned_ones_come_first():
    found = places(exclude=np.array([100, 103]), pin=np.array([139, 103, 120, 999]))
    assert found[:2] == [39, 20]
    assert not {0, 3} & set(found)
    assert len(found) == len(set(found)) == 10


def test_no_brand_has_more_places_than_its_cap():
    found = places(per_brand=2)
    assert np.bincount(BRAND[found]).max() == 2
    assert len(found) == 8  # four brands, two each: the list is shorter rather than over the cap


def test_calibration_follows_the_shoppers_own_mix():
    mix = {0: 0.5, 1: 0.5}
    plain, calm = places(mix=mix), places(mix=mix, calibrate=0.9)
    assert (CATEGORY[plain] == 1).mean() == 0
    assert 0.3 <= (CATEGORY[calm] == 1).mean() <= 0.6


def test_diversity_brings_another_category_in():
    assert (CATEGORY[places(diversity=1.0)] == 1).any()


def test_margin_moves_what_earns_more_forward():
    margin = np.where(np.arange(N) % 2, 5.0, 1.0)
    assert places(margin=margin) == list(range(10))
    found = arrange(SCORES, 10, Rules(margin=2.0), items=ITEMS, category=CATEGORY, brand=BRAND, margin=margin)
    assert margin[found].mean() > 4


def test_equal_scores_and_nothing_at_all():
    assert places(scores=np.zeros(N)) == list(range(10))
    none = np.zeros(0)
    assert arrange(none, 5, Rules(), items=none, category=none, brand=none).tolist() == []


@pytest.mark.parametrize(
    "bad", [{"per_brand": -1}, {"calibrate": 1.5}, {"diversity": -0.1}, {"margin": float("nan")}]
)
def test_out_of_range_is_refused(bad):
    with pytest.raises(QueryError, match="must be between"):
        Rules(**bad).check()


def test_the_mix_of_a_history():
    assert mix_of(np.array([3, 3, 5, -1]), np.array([1.0, 1.0, 2.0, 9.0])) == {3: 0.5, 5: 0.5}
    assert mix_of(np.array([-1]), np.array([1.0])) == {}
