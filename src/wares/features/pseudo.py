"""Pairs that nobody gave: products without any pair that are each other's nearest, with a confidence that known pairs calibrate.

Self-training (Lee 2013) for retrieval: mutual nearest neighbours, scored by the ratio margin of Artetxe & Schwenk 2019,
kept above the confidence at which the wanted share of mutual neighbours with known truth is right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from wares.features.pairs import TEST, TRAIN, VALID, PairSet
from wares.features.signals import PSEUDO

MOST = 30_000
"""Texts that are compared, each with all others; more are drawn at random."""
NEAR = 4
"""Neighbours whose mean likeness the margin is measured against."""
FEWEST = 20
"""Known mutual neighbours, at least, above a threshold that is believed."""
SURE = 0.5
"""A pair that is more likely wrong than right is not learned from, even where all above the threshold are right often enough."""
BLOCK = 1024


@dataclass(frozen=True)
class Found:
    """``edges (m, 2) int32`` of nodes with ``confidence (m,)``: the share right of known pairs at that margin; ``facts`` for reports."""

    edges: NDArray[np.int32]
    confidence: NDArray[np.float32]
    facts: dict[str, Any]


def unlabelled(pairs: PairSet, part: NDArray[np.int8], use: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Training products that read differently from everything with a mate and everything held out; one a text, ascending."""
    size = np.bincount(pairs.group[pairs.group >= 0], minlength=1) if len(pairs) else np.zeros(1, np.int64)
    grouped = np.where(pairs.group >= 0, size[np.maximum(pairs.group, 0)] > 1, False)
    tied = np.zeros(len(pairs), bool)
    tied[pairs.edges.ravel()] = True
    told = np.unique(pairs.text_id[grouped | tied | (part != TRAIN)])
    rows = np.flatnonzero(use & ~pairs.blank & ~pairs.query & ~np.isin(pairs.text_id, told))
    _, first = np.unique(pairs.text_id[rows], return_index=True)
    return np.sort(rows[first])


def find(
    pairs: PairSet, part: NDArray[np.int8], use: NDArray[np.bool_], vectors: NDArray[np.float32], precision: float, seed: int
) -> Found:  # fmt: skip
    """Mutual nearest neighbours among texts without pairs, at the wanted `precision`.

    All products but those of the test stand in one pool, so that a neighbour has the rivals that it has in a shop. The
    truth is that of validation nodes; from every second group (or node) of them its mates are taken away, since a text without
    pairs may have no mate at all: what such a node finds is wrong. The threshold is the lowest margin from which upwards
    the share that is right is at least `precision` (and `FEWEST` are known); confidence is the isotonic fit of right on
    margin. No threshold, no pairs.
    """
    free = unlabelled(pairs, part, use)
    good = use & ~pairs.blank & ~pairs.query & (part != TEST)
    known = np.flatnonzero(good & (part == VALID))
    known = np.array([n for n in known.tolist() if len(pairs.mates(n))], np.int64)
    rng = np.random.default_rng(seed)
    facts: dict[str, Any] = {
        "wanted_precision": precision,
        "unlabelled": len(free),
        "known": len(known),
        "pairs": 0,
    }
    none = Found(np.zeros((0, 2), np.int32), np.zeros(0, np.float32), facts)
    if len(free) < 2 or not len(known):
        why = (
            "no two texts without pairs"
            if len(free) < 2
            else "no validation pairs of products to calibrate by"
        )
        return replace(none, facts=facts | {"why": why})
    rest = np.setdiff1d(np.flatnonzero(good), np.concatenate([free, known]))
    pool = np.concatenate([rng.permutation(known), rng.permutation(free), rng.permutation(rest)])[:MOST]
    pool = np.sort(pool)
    pool = pool[np.isfinite(vectors[pool]).all(1) & (np.abs(vectors[pool]).sum(1) > 0)]
    known, free = known[np.isin(known, pool)], free[np.isin(free, pool)]
    unit = np.where(pairs.group[known] >= 0, pairs.group[known], -1 - known)
    names = np.unique(unit)
    lonely = set(known[np.isin(unit, names[rng.random(len(names)) < 0.5])].tolist())
    first, margin = nearest(pairs, pool, vectors, lonely)
    at = np.arange(len(pool))
    mutual = (first >= 0) & (first[np.maximum(first, 0)] == at)
    one = at[mutual & (at < first)]
    left, right, score = pool[one], pool[first[one]], margin[one]
    truth = np.isin(left, known) | np.isin(right, known)
    # What a validation node and a text without pairs have to do with each other nobody knows.
    truth &= ~(np.isin(left, free) | np.isin(right, free))
    correct = np.array(
        [b in set(pairs.mates(int(a)).tolist()) for a, b in zip(left[truth], right[truth], strict=True)], bool
    )
    cut, above = threshold(score[truth], correct, precision)
    facts |= {
        "calibrated_on": int(truth.sum()),
        "right_of_all": round(float(correct.mean()), 4) if len(correct) else None,
    }
    if not np.isfinite(cut):
        return replace(
            none,
            facts=facts
            | {"why": f"no margin at which {precision:.0%} of at least {FEWEST} known pairs are right"},
        )
    chosen = np.isin(left, free) & np.isin(right, free) & (score >= cut)
    order = np.argsort(score[truth], kind="stable")
    fitted = isotonic_regression(correct[order].astype(np.float64)).x
    sure = np.interp(score, score[truth][order], fitted)
    chosen &= sure >= SURE
    confidence = sure[chosen].astype(np.float32)
    kept = correct[score[truth] >= cut]
    facts |= {
        "pairs": int(chosen.sum()), "margin": round(cut, 4), "precision": round(float(kept.mean()), 4), "precision_of": above,
        "interval": [round(v, 4) for v in wilson(int(kept.sum()), len(kept))],
        "confidence": round(float(confidence.mean()), 4) if len(confidence) else None,
    }  # fmt: skip
    return Found(np.column_stack([left[chosen], right[chosen]]).astype(np.int32), confidence, facts)


def nearest(
    pairs: PairSet, pool: NDArray[np.int64], vectors: NDArray[np.float32], lonely: set[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each of ``pool (p,)``: place of the nearest that reads differently (-1: none), and the ratio margin to it.

    The margin is the cosine over the mean of both ends' mean cosine to their `NEAR` nearest. Nodes in `lonely` and
    their mates do not see each other.
    """
    table = np.ascontiguousarray(vectors[pool], np.float32)
    table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    text, place = pairs.text_id[pool], np.full(len(pairs), -1, np.int64)
    place[pool] = np.arange(len(pool))
    first, best = np.full(len(pool), -1, np.int64), np.full(len(pool), -1.0)
    around = np.ones(len(pool))
    near = min(NEAR, len(pool) - 1)
    for start in range(0, len(pool), BLOCK):
        block = table[start : start + BLOCK] @ table.T
        block[text[start : start + BLOCK][:, None] == text[None, :]] = -1.0
        for i, node in enumerate(pool[start : start + BLOCK].tolist()):
            mates = place[pairs.mates(node)]
            hidden = mates[mates >= 0]
            if node not in lonely:
                hidden = np.array([m for m in hidden.tolist() if int(pool[m]) in lonely], np.int64)
            block[i, hidden] = -1.0
        top = np.argmax(block, 1)
        value = block[np.arange(len(block)), top]
        rows = slice(start, start + len(block))
        first[rows], best[rows] = np.where(value > -1, top, -1), value
        if near > 0:
            around[rows] = np.partition(block, -near, axis=1)[:, -near:].mean(1)
    mean = (around + around[np.maximum(first, 0)]) / 2
    return first, np.where(first >= 0, best / np.maximum(mean, 1e-6), 0.0)


def threshold(score: NDArray[np.float64], correct: NDArray[np.bool_], precision: float) -> tuple[float, int]:
    """The lowest score from which upwards at least `precision` are correct, and how many those are; infinite when there is none."""
    order = np.argsort(-score, kind="stable")
    values, right = score[order], np.cumsum(correct[order])
    n = np.arange(1, len(order) + 1)
    last = np.append(values[1:] != values[:-1], True) if len(order) else np.zeros(0, bool)
    fits = np.flatnonzero(last & (n >= FEWEST) & (right >= precision * n))
    return (float(values[fits[-1]]), int(fits[-1]) + 1) if len(fits) else (float("inf"), 0)


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    share, more = right / n, z * z / n
    middle = (share + more / 2) / (1 + more)
    half = z * np.sqrt(share * (1 - share) / n + more / (4 * n)) / (1 + more)
    return float(middle - half), float(middle + half)


def with_pseudo(pairs: PairSet, found: Found) -> PairSet:
    """The pairs and those found, as edges of the source `PSEUDO` whose weight is the confidence."""
    if not len(found.edges):
        return pairs
    return replace(
        pairs,
        edges=np.concatenate([pairs.edges, np.sort(found.edges, 1)]).astype(np.int32),
        weight=np.concatenate([pairs.weight, np.maximum(found.confidence, 1e-3)]).astype(np.float32),
        source=np.concatenate([pairs.source, np.full(len(found.edges), len(pairs.sources))]).astype(np.int8),
        sources=(*pairs.sources, PSEUDO),
    )
