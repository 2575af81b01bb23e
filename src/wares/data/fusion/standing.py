"""How a pair stands among others: against the rivals in the same source, by the habits of its sources, by common neighbours.

A shop lists a thing once. So of all its offers at most one can be mine, and what counts is how far the best one is
ahead of its second. A shop also writes all its titles one way; how much they say tells what silence in them means.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.data.fusion.blocking import Pairs

Column = NDArray[np.float32]
FAINT = 0.03
"""Pairs less probable than this support nothing."""
_STEP = 100_000


def _lead(
    keys: NDArray[np.int64], score: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """For each entry, the best score of the others with its key (0: none), and its own rank among them."""
    order = np.lexsort((-score, keys))
    sorted_keys, sorted_score = keys[order], score[order]
    at = np.arange(len(keys))
    first = np.ones(len(keys), bool)
    first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    start = np.maximum.accumulate(np.where(first, at, 0))
    rank, rival = np.empty(len(keys), np.int64), np.zeros(len(keys), sorted_score.dtype)
    rank[order] = at - start
    after = np.minimum(start + 1, max(len(keys) - 1, 0))
    second = np.where((sorted_keys[after] == sorted_keys) & (after != start), sorted_score[after], 0)
    rival[order] = np.where(at == start, second, sorted_score[start])
    return rival, rank


def _ends(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]])


def _sides(name: str, values: NDArray[np.floating]) -> dict[str, Column]:
    half = len(values) // 2
    low, high = np.minimum(values[:half], values[half:]), np.maximum(values[:half], values[half:])
    return {f"{name}_min": low.astype(np.float32), f"{name}_max": high.astype(np.float32)}


def source_lead(pairs: Pairs, score: NDArray[np.floating], source: NDArray[np.int32]) -> dict[str, Column]:
    """By how much a pair is ahead of the best other offer of the same source, for either of its rows (< 0: behind)."""
    mine, other = _ends(pairs)
    twice = np.concatenate([score, score])
    rival, _ = _lead(mine * (int(source.max(initial=0)) + 2) + source[other] + 1, twice)
    return _sides("lead", twice - rival)


def habits(
    pairs: Pairs, source: NDArray[np.int32], said: NDArray[np.floating], codes: NDArray[np.bool_]
) -> dict[str, Column]:
    """How much the texts of the two sources say on average, how often they hold a code, and how many they are."""
    kind = source + 1
    count = np.maximum(np.bincount(kind), 1)
    both = np.concatenate([pairs[:, 0], pairs[:, 1]])
    out: dict[str, Column] = {}
    for name, values in (
        ("source_says", np.bincount(kind, said) / count),
        ("source_codes", np.bincount(kind, codes.astype(float)) / count),
        ("source_size", count.astype(float)),
    ):
        out |= _sides(name, values[kind][both])
    return out


def support(
    pairs: Pairs, probability: NDArray[np.float64], n: int, source: NDArray[np.int32] | None
) -> dict[str, Column]:
    """What the other judgements say about each pair: rivals of either row, and rows that match both."""
    mine, other = _ends(pairs)
    left, right = pairs[:, 0], pairs[:, 1]
    twice = np.concatenate([probability, probability])
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    out: dict[str, Column] = {"judged": np.log(clipped / (1 - clipped)).astype(np.float32)}
    rival, rank = _lead(mine, twice)
    out |= _sides("rival", rival) | _sides("rank", rank.astype(float))
    if source is not None:
        rival, _ = _lead(mine * (int(source.max(initial=0)) + 2) + source[other] + 1, twice)
        out |= _sides("source_rival", rival)
    chosen = twice >= FAINT
    graph = sp.csr_matrix((twice[chosen], (mine[chosen], other[chosen])), shape=(n, n))
    total = np.asarray(graph.sum(axis=1)).ravel()
    out |= _sides("total", total[mine] - twice)
    shared, best = np.zeros(len(pairs), np.float32), np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), _STEP):
        span = slice(start, start + _STEP)
        common = graph[left[span]].multiply(graph[right[span]]).tocsr()
        shared[span] = np.asarray(common.sum(axis=1)).ravel()
        best[span] = common.max(axis=1).toarray().ravel()
    out["common"], out["common_best"] = shared, best
    out["common_of_max"] = shared / (out["total_max"] + 0.1)
    out["common_of_min"] = shared / (out["total_min"] + 0.1)
    return out
