from __future__ import annotations

import math

import numpy as np
import pytest

from wares.evaluate.again import auc, calibration_error
from wares.features.interactions import from_sequences
from wares.models.recommend.onboarding_infer import cover
from wares.models.recommend.rebuy_infer import Habits, features, normal, probability
from wares.models.recommend.rebuy_train import logistic, plain
from wares.models.recommend.segments_train import popularity, segments_of, tops_of


def test_the_normal_distribution():
    z = np.array([-3.0, -1.0, 0.0, 1.0, 1.959964, 4.0])
    exact = [0.5 * math.erfc(-v / math.sqrt(2)) for v in z]
    assert normal(z) == pytest.approx(exact, abs=2e-7)


def test_a_purchase_is_surest_about_its_gap():
    habits = Habits(*(np.array([v], np.float32) for v in (math.log(14), 0.4, 0.9)), plain())
    item, days, gaps = np.zeros(4, np.int64), np.full(4, 6), np.full(4, 5 * math.log(14))
    p = probability(features(habits, item, days, gaps, np.array([1, 10, 15, 200]), 7), habits.weights)
    assert p[0] < p[1] < p[2]
    assert p[3] < p[2]
    near, far = (
        probability(features(habits, item, days, gaps, np.full(4, 10), n), plain())[0] for n in (3, 30)
    )
    assert near < far


def test_logistic_regression_recovers_and_survives_separation():
    rng = np.random.default_rng(7)
    x = np.c_[np.ones(5000), rng.normal(size=(5000, 5))]
    true = np.array([-1.0, 2.0, 0.5, 0.0, -0.5, 0.0])
    y = (rng.random(5000) < 1 / (1 + np.exp(-x @ true))).astype(float)
    assert logistic(x, y) == pytest.approx(true, abs=0.25)
    separated = (x[:, 1] > 0).astype(float)
    assert np.all(np.abs(logistic(x, separated)) < 100)


def test_auc_and_calibration():
    label = np.array([False, False, True, True])
    assert auc(np.array([1, 2, 3, 4]), label) == 1
    assert auc(np.array([1, 1, 1, 1]), label) == 0.5
    assert auc(np.array([4, 3, 2, 1]), label) == 0
    assert math.isnan(auc(np.ones(4), np.ones(4, bool)))
    rng = np.random.default_rng(7)
    p = rng.random(20_000)
    assert calibration_error(p, rng.random(20_000) < p) < 0.02
    assert calibration_error(p, rng.random(20_000) < p**3) > 0.1


def test_one_rare_deed_makes_no_segment():
    categories = ["Food > Milk"] * 8 + ["Travel > Maps"] * 2 + ["Food > Bread"] * 8 + [""]
    top_of, names = tops_of(categories)
    assert names == ["Food", "Travel"]
    assert top_of[-1] == -1
    rng = np.random.default_rng(7)
    eaters = [rng.choice([*range(8), *range(10, 18)], 30).astype(np.int32) for _ in range(50)]
    once = [np.r_[rng.choice(8, 40), [8]].astype(np.int32)]
    travellers = [np.r_[rng.choice([8, 9], 10), rng.choice(8, 3)].astype(np.int32) for _ in range(5)]
    data = from_sequences([*eaters, *once, *travellers, np.array([1], np.int32)], 19, (1.0,))
    segment = segments_of(data, top_of, 2)
    assert set(segment[51:56]) == {1}
    assert segment[-1] == -1
    users = np.repeat(np.arange(56), 2)
    items = np.where(segment[users] == 1, 8, np.arange(112) % 8)
    ids, shares = popularity(segment, users, items, 2, 19)
    assert ids[1][0] == 8
    assert np.all(np.diff(shares, axis=1) <= 1e-7)


def test_first_picks_cover_the_groups():
    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(5), 20)
    centre = np.linalg.qr(rng.normal(size=(16, 5)))[0].T
    vectors = centre[group] + 0.05 * rng.normal(size=(100, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    popular = np.where(group == 0, 100.0, 20.0) * rng.uniform(0.5, 1.5, 100)
    chosen = cover(popular, vectors, group.astype(np.int32), 5)
    assert set(group[chosen]) == set(range(5))
    # Popularity alone would ask five times about one thing.
    assert set(group[np.argsort(-popular)[:5]]) == {0}
    assert len(cover(popular[:3], vectors[:3], group[:3].astype(np.int32), 50)) == 3
    assert len(cover(np.zeros(0), np.zeros((0, 0)), np.zeros(0, np.int32), 5)) == 0
