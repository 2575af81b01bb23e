from __future__ import annotations

import numpy as np
import pytest

from wares.models.sentiment.label_shift import adapted, share_of_bad
from wares.models.sentiment.shrink import DEFAULT_STRENGTH, hierarchy, interval, prior_of, shrunk


def _groups(rng, strength: float, groups: int = 400, most: int = 40):
    own = rng.beta(0.2 * strength, 0.8 * strength, groups)
    counts = rng.integers(1, most, groups)
    group = np.repeat(np.arange(groups), counts)
    return (rng.random(len(group)) < own[group]).astype(float), group, own, counts


@pytest.mark.parametrize("strength", [4.0, 20.0])
def test_strength_of_the_prior_is_found_from_the_groups(strength):
    values, group, _, counts = _groups(np.random.default_rng(1), strength)
    sums = np.bincount(group, values)
    prior = prior_of(sums, sums, counts.astype(float))
    assert prior.mean == pytest.approx(0.2, abs=0.02)
    # A Beta of strength s: within over between variance is s.
    assert prior.strength == pytest.approx(strength, rel=0.4)


def test_shrunk_means_are_nearer_to_the_truth_than_plain_ones():
    values, group, own, counts = _groups(np.random.default_rng(2), 8.0, most=12)
    (found,) = hierarchy(values, [group], [len(own)])
    plain = np.bincount(group, values) / counts
    assert np.mean((found.mean - own) ** 2) < 0.6 * np.mean((plain - own) ** 2)


def test_nine_of_ten_intervals_hold_the_truth():
    values, group, own, _ = _groups(np.random.default_rng(3), 10.0)
    (found,) = hierarchy(values, [group], [len(own)])
    inside = (found.low <= own) & (own <= found.high)
    assert 0.86 <= inside.mean() <= 0.95


def test_a_product_without_texts_of_its_own_gets_its_category():
    values = np.array([1.0] * 30 + [0.0] * 30)
    category = np.repeat([0, 1], 30)
    product = np.repeat([0, 1], 30)
    above, below = hierarchy(values, [category, product], [2, 2])
    assert above.mean[0] > 0.8 > 0.2 > above.mean[1]
    assert below.parent == pytest.approx(above.mean)


def test_few_texts_stay_near_the_parent_and_many_leave_it():
    means = shrunk(np.array([2.0, 200.0]), np.array([2.0, 200.0]), 0.1, 10.0)
    assert means[0] < 0.3
    assert means[1] > 0.9
    low, high = interval(means, np.array([2.0, 200.0]), 10.0, 1.0)
    assert (low < means).all()
    assert (means < high).all()
    assert high[0] - low[0] > 3 * (high[1] - low[1])


def test_nothing_at_all_is_half_and_wide():
    prior = prior_of(np.zeros(3), np.zeros(3), np.zeros(3))
    assert prior.mean == 0.5
    assert prior.strength == DEFAULT_STRENGTH
    (found,) = hierarchy(np.zeros(0), [np.zeros(0, int)], [2])
    assert found.mean == pytest.approx([0.5, 0.5])


def test_probabilities_are_turned_to_the_share_of_this_place():
    rng = np.random.default_rng(4)
    bad = rng.random(20_000) < 0.12
    # A classifier trained on halves: logits of normal scores.
    score = rng.normal(np.where(bad, 1.2, -1.2), 1.0)
    p = 1 / (1 + np.exp(-2.4 * score))
    assert share_of_bad(p, 0.5) == pytest.approx(0.12, abs=0.01)
    here = adapted(p, 0.5)
    assert here.mean() == pytest.approx(0.12, abs=0.01)
    assert p.mean() > 0.17
    assert (np.diff(here[np.argsort(p)]) >= 0).all()
    assert adapted(np.zeros(0), 0.5).shape == (0,)
