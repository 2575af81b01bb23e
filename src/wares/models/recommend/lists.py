"""Small work on lists of items: sums, the best of them, and lists that are not all alike. numpy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 200
FLAT_LIMIT = 500_000


def place_in(items: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each of `ids` in `items`, or -1."""
    out = np.full(len(ids), -1, np.int64)
    if not len(items) or not len(ids):
        return out
    at = np.minimum(np.searchsorted(ids, items), len(ids) - 1)
    there = np.flatnonzero(ids[at] == items)
    out[at[there]] = there
    return out


def union_of(parts: list[NDArray[Any]], n: int) -> NDArray[np.int32]:
    """The distinct ids of all parts, ascending; all are below `n`."""
    if n > FLAT_LIMIT:
        return np.unique(np.concatenate(parts)).astype(np.int32)
    # Marks in a flat array are quicker than sorting.
    marked = np.zeros(n, bool)
    for part in parts:
        marked[part] = True
    return np.flatnonzero(marked).astype(np.int32)


def sum_by_id(ids: NDArray[Any], values: NDArray[Any], n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Distinct ids that are not -1, ascending, and the sum of the values of each; `n` is beyond the largest id."""
    kept = ids >= 0
    if not kept.all():
        ids, values = ids[kept], values[kept]
    if n <= FLAT_LIMIT:
        sums = np.bincount(ids, values, minlength=n)
        found = np.flatnonzero(sums != 0)  # of booleans: ten times faster than of floats
        return found.astype(np.int32), sums[found].astype(np.float32)
    # A flat array of ten million places for a few thousand values would cost more than sorting them.
    found, inverse = np.unique(ids, return_inverse=True)
    return found.astype(np.int32), np.bincount(inverse, values).astype(np.float32)


def best_of(pairs: tuple[NDArray[Any], NDArray[Any]], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The `k` pairs with the largest values, in no order."""
    ids, values = pairs
    if len(ids) <= k:
        return ids, values
    top = np.argpartition(-values, k)[:k]
    return ids[top], values[top]


def best_new(
    pairs: tuple[NDArray[Any], NDArray[Any]], own: NDArray[np.int32], n: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The best of what is not among `own`, and what is, so that neither crowds out the other."""
    ids, values = pairs
    if n <= FLAT_LIMIT:
        marked = np.zeros(n, bool)
        marked[own] = True
        had = marked[ids]
    else:
        had = np.isin(ids, own)
    fresh, best = best_of((ids[~had], values[~had]), CANDIDATES)
    return np.concatenate([fresh, ids[had]]), np.concatenate([best, values[had]])


def diverse(scores: NDArray[Any], category: NDArray[Any], k: int, diversity: float) -> NDArray[np.int64]:
    """Positions of the best `k`, where each further hit of a category loses the share `diversity` of the score range.

    A greedy re-ranking in the manner of maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998) with
    "same category" as the likeness.
    """
    pool = np.lexsort((np.arange(len(scores)), -scores))[: max(5 * k, 50)]
    k = min(k, len(pool))
    if diversity <= 0 or len(pool) <= 1:
        return pool[:k]
    # Plain lists: numpy's cost of a call, a few hundred times over, would be most of it.
    value: list[float] = scores[pool].astype(np.float64).tolist()
    group: list[int] = category[pool].tolist()
    alike: dict[int, list[int]] = {}
    for place, one in enumerate(group):
        alike.setdefault(one, []).append(place)
    # The loss is a share of the distance that the list itself spans, so that it means the same in every shop.
    step = diversity * 0.2 * max(value[0] - value[-1], 1e-9)
    chosen = np.zeros(k, np.int64)
    for place in range(k):
        best = value.index(max(value))
        chosen[place] = pool[best]
        if group[best] >= 0:
            for other in alike[group[best]]:
                value[other] -= step
        value[best] = -math.inf
    return chosen
