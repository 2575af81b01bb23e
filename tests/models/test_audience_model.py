from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.audiences import Trial, measure
from wares.features.interactions import Interactions
from wares.models.price.audience import DEFAULT, FEATURES, Neighbours, Shoppers, learn, reasons

ITEMS, USERS = 40, 400


def world(seed=7):
    """Shoppers of four tastes buy from ten products each; neighbours are the products of the same taste."""
    rng = np.random.default_rng(seed)
    taste = np.arange(USERS) % 4
    before, after = [], []
    for user in range(USERS):
        pool = np.arange(10) + 10 * taste[user]
        before.append(np.sort(rng.choice(pool, 3, replace=False)))
        after.append(rng.choice(pool, 2, replace=False).astype(np.int32))
    ptr = np.concatenate([[0], np.cumsum([len(b) for b in before])])
    items = np.concatenate(before).astype(np.int32)
    ones = np.ones(len(items), np.float32)
    last = np.full(len(items), 50 * 86_400)
    data = Interactions(
        ITEMS, ptr, items, ones, ones.astype(np.int32), last, ones[:, None], (60.0,), 60 * 86_400
    )
    near = np.stack(
        [10 * (np.arange(ITEMS) // 10) + (np.arange(ITEMS) + step) % 10 for step in range(1, 6)], 1
    ).astype(np.int32)
    values = np.full(near.shape, 0.5, np.float32)
    # Categories cut across tastes, so that they alone do not tell.
    return data, after, Neighbours(near, values * 0, near, values, (np.arange(ITEMS) % 5).astype(np.int32))


def test_newcomers_are_found_by_what_is_like_it():
    data, after, neighbours = world()
    weights = learn(data, after, neighbours, 7)
    assert weights.taught_by > 20
    shoppers = Shoppers(data)
    trials = []
    for item in range(0, ITEMS, 3):
        took = np.array([item in rows for rows in after])
        trials.append(Trial(str(item), np.array([item]), took))
    found = measure(trials, shoppers, neighbours, weights, 0.1, 7)
    assert found["new"]["wares"]["lift"] > 2.5
    assert found["new"]["wares"]["interval"][0] > found["new"]["category"]["lift"]
    assert found["new"]["difference"]["interval"][0] > 0


def test_every_shopper_is_described_and_told_why():
    data, _, neighbours = world()
    target = neighbours.target(np.array([3]))
    assert target.like[3] == target.goes[3] == 0
    features = Shoppers(data).describe(target)
    assert features.shape == (USERS, len(FEATURES))
    assert np.isfinite(features).all()
    said = reasons(features, DEFAULT)
    had = Shoppers(data).owners(np.array([3]))
    assert said[int(np.flatnonzero(had)[0])] == "bought it before"
    assert "" in said


def test_too_little_past_gives_the_usual_weights():
    data, after, neighbours = world()
    assert learn(data, after[:3], neighbours, 7) is DEFAULT
    assert learn(data, [], neighbours, 7) is DEFAULT
    with pytest.raises(QueryError, match="no product"):
        neighbours.target(np.array([], int))


def test_what_is_bought_again_is_told_from_what_is_not():
    data, _, _ = world()
    assert Shoppers(data).rebought(np.array([1])) == 0
    data.times[data.items == 1] = 3
    assert Shoppers(data).rebought(np.array([1])) == 1
