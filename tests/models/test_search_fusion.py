"""Weights of parts are learned where judgements tell them, and only kept where that is proven."""

from __future__ import annotations

import numpy as np

from wares.evaluate.bm25 import Bm25
from wares.evaluate.search import measures, top
from wares.models.search.fuse import fused, reciprocal_ranks, weights_of, with_learned
from wares.models.search.fuse_train import FEWEST, Judged, learn_fusion, learn_weights

BEFORE = weights_of(0.45, 0.0, 0.0)


def judged(rng, *, telling):
    parts = {name: rng.random(30).astype(np.float32) for name in ("words", "meaning", "numbers", "clash")}
    value = parts["numbers"] - parts["clash"] if telling else rng.random(30)
    gains = (value >= np.sort(value)[-3]).astype(np.float32)
    return Judged(parts, gains, np.ones(3, np.float32))


def test_what_judgements_tell_is_found_and_proven():
    rng = np.random.default_rng(1)
    fusion = learn_fusion([judged(rng, telling=True) for _ in range(3 * FEWEST)], BEFORE, 1)
    assert fusion.weights["numbers"] > 0.3
    assert fusion.weights["clash"] < -0.3
    assert fusion.interval[0] > 0
    assert fusion.with_it > fusion.without + 0.2
    again = learn_fusion([judged(np.random.default_rng(1), telling=True) for _ in range(1)], BEFORE, 1)
    assert again.reason == "too few judged queries"


def test_noise_is_not_kept():
    rng = np.random.default_rng(2)
    fusion = learn_fusion([judged(rng, telling=False) for _ in range(3 * FEWEST)], BEFORE, 1)
    assert fusion.weights == {} or fusion.interval[0] > 0


def test_queries_that_tell_nothing_teach_nothing():
    rng = np.random.default_rng(3)
    parts = {"words": rng.random(5).astype(np.float32)}
    same = Judged(parts, np.ones(5, np.float32), np.ones(5, np.float32))
    assert learn_weights([same] * 10, 1) == {}


def test_fusing():
    parts = {"words": np.array([1, 0, 0.5], np.float32), "meaning": np.array([0, 1, 0.5], np.float32)}
    assert fused(parts, {"words": 2.0, "absent": 9.0}).tolist() == [2, 0, 1]
    assert np.argmax(reciprocal_ranks(parts)) == 2
    weights = with_learned(BEFORE, {"words": 0.7})
    assert weights["words"] == 0.7
    assert weights["meaning"] == 0.0
    assert weights["size"] == BEFORE["size"]


def test_bm25_and_measures():
    table = Bm25([["red", "lamp"], ["red", "red", "shoe"], ["blue", "shoe"]])
    assert top(table.scores(["lamp"]), np.zeros(0, np.int32)).tolist() == [0]
    assert top(table.scores(["shoe"]), np.array([2], np.int32)).tolist() == [1]
    assert table.scores(["nothing"]).tolist() == [0, 0, 0]
    assert measures([5, 1], {1: 1.0}) == (1 / np.log2(3), 0.5, 1.0, 1.0, 0.0)
    assert measures([], {1: 1.0}) == (0.0, 0.0, 0.0, 0.0, 1.0)
