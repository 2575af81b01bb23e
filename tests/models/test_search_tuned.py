"""How much likeness counts in search is learned from clicks, and only when they prove it."""

from __future__ import annotations

import numpy as np
import pytest

from wares.models.search.tuned import FEWEST, choose, ndcg

QUERIES = [f"q{i:04d}" for i in range(2 * FEWEST)]


def clicked():
    return {q: {i: 1.0} for i, q in enumerate(QUERIES)}


def test_a_share_that_helps_is_kept_with_its_proof():
    def find(query, share):
        own, wrong = QUERIES.index(query), 10_000
        return np.array([own, wrong] if share == 0.2 else [wrong, own])

    found = choose(find, clicked(), seed=1)
    assert found.alike == 0.2
    assert found.interval[0] > 0
    assert found.with_it == 1.0
    assert found.without == pytest.approx(1 / np.log2(3))


def test_chance_is_not_taken_for_help():
    rng = np.random.default_rng(5)

    def find(query, share):
        return rng.permutation(10)

    noise = {q: {int(rng.integers(10)): 1.0} for q in QUERIES}
    kept = [choose(find, noise, seed=s).alike for s in range(10)]
    # The test is one-sided at 2.5 %.
    assert sum(v > 0 for v in kept) <= 2


def test_what_hurts_or_cannot_be_told_stays_out():
    def worse(query, share):
        own = QUERIES.index(query)
        return np.array([9999, own] if share else [own])

    assert choose(worse, clicked(), seed=1).reason == "no share was better"
    few = {q: {0: 1.0} for q in QUERIES[: FEWEST - 1]}
    assert choose(worse, few, seed=1).reason == "too few clicked queries"
    assert choose(worse, {}, seed=1).alike == 0


def test_ndcg_grades_clicks_and_bounds():
    clicks = {3: 2.0, 5: 1.0}
    assert ndcg(np.array([3, 5, 1]), clicks) == pytest.approx(1.0)
    assert ndcg(np.array([5, 3]), clicks) < 1.0
    assert ndcg(np.array([], int), clicks) == 0.0
