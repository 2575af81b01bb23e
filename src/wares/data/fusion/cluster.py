"""From pair probabilities to clusters: average linkage under constraints, so that one wrong pair does not chain two goods.

Connected components join everything that one doubtful pair touches. Here two clusters join when the mean probability
over *all* pairs between them reaches the threshold; a pair that blocking never proposed counts as `absent`. The best
join goes first. "Must" pairs join before all others, "cannot" pairs and two rows of one exclusive source never do.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from wares.data.fusion.blocking import Pairs

FLOOR = 0.03
"""Pairs less probable than this are treated as absent."""


def average_linkage(
    n: int,
    pairs: Pairs,
    probability: NDArray[np.float64],
    threshold: float = 0.5,
    absent: float = 0.05,
    exclusive: list[set[int]] | None = None,
    must: Iterable[tuple[int, int]] = (),
    cannot: Iterable[tuple[int, int]] = (),
) -> NDArray[np.int64]:
    """The cluster of each of `n` rows, as the smallest row of the cluster.

    Args:
        n: How many rows.
        pairs: Candidate pairs, each once.
        probability: That the two rows are one thing.
        threshold: Least mean probability of a join.
        absent: Probability of pairs that are no candidates.
        exclusive: For each row the sources it holds; rows with a common source never join.
        must: Pairs that are one whatever the texts say.
        cannot: Pairs that never are.
    """
    near: list[dict[int, tuple[float, int]]] = [{} for _ in range(n)]
    size, members, alive = [1] * n, [[i] for i in range(n)], [True] * n
    sources = [set(s) for s in exclusive] if exclusive is not None else None
    barred: list[set[int]] = [set() for _ in range(n)]
    heap: list[tuple[float, int, int, int, int]] = []

    def join(keep: int, gone: int) -> None:
        alive[gone] = False
        near[keep].pop(gone, None)
        for other, (weight, count) in near[gone].items():
            if other == keep:
                continue
            had = near[keep].get(other, (0.0, 0))
            near[keep][other] = near[other][keep] = (had[0] + weight, had[1] + count)
            near[other].pop(gone, None)
        for other in barred[gone]:
            barred[other].discard(gone)
            barred[other].add(keep)
        barred[keep] |= barred[gone]
        near[gone], barred[gone] = {}, set()
        size[keep] += size[gone]
        members[keep] += members[gone]
        members[gone] = []
        if sources is not None:
            sources[keep] |= sources[gone]

    home = list(range(n))

    def find(row: int) -> int:
        while home[row] != row:
            home[row] = home[home[row]]
            row = home[row]
        return row

    chosen = probability >= FLOOR
    for (i, j), value in zip(pairs[chosen].tolist(), probability[chosen].tolist(), strict=True):
        near[i][j] = near[j][i] = (value, 1)
    for i, j in must:
        a, b = find(i), find(j)
        if a != b:
            a, b = min(a, b), max(a, b)
            join(a, b)
            home[b] = a
    for i, j in cannot:
        a, b = find(i), find(j)
        if a != b:
            barred[a].add(b)
            barred[b].add(a)

    def mean(i: int, j: int) -> float:
        weight, count = near[i][j]
        between = size[i] * size[j]
        return (weight + absent * (between - count)) / between

    for i in range(n):
        for j in near[i]:
            if i < j and (value := mean(i, j)) >= threshold:
                heap.append((-value, i, j, size[i], size[j]))
    heapq.heapify(heap)
    while heap:
        _, i, j, size_i, size_j = heapq.heappop(heap)
        if not (alive[i] and alive[j]) or size[i] != size_i or size[j] != size_j:
            continue
        if j in barred[i] or (sources is not None and sources[i] & sources[j]):
            continue
        if len(near[i]) < len(near[j]):
            i, j = j, i
        join(i, j)
        for other in near[i]:
            if (value := mean(i, other)) >= threshold:
                heapq.heappush(heap, (-value, i, other, size[i], size[other]))
    cluster = np.empty(n, np.int64)
    for rows in members:
        if rows:
            cluster[rows] = min(rows)
    return cluster


def confidence(
    cluster: NDArray[np.int64], pairs: Pairs, probability: NDArray[np.float64], absent: float = 0.05
) -> NDArray[np.float32]:
    """How sure the place of each row is: its mean probability with the rest of its cluster; alone, 1 minus its best other pair."""
    n = len(cluster)
    size = np.bincount(cluster, minlength=n)[cluster] if n else np.zeros(0, np.int64)
    inside = cluster[pairs[:, 0]] == cluster[pairs[:, 1]]
    total, count, best = np.zeros(n), np.zeros(n), np.zeros(n)
    for side in (0, 1):
        np.add.at(total, pairs[inside, side], probability[inside])
        np.add.at(count, pairs[inside, side], 1)
        np.maximum.at(best, pairs[~inside, side], probability[~inside])
    others = np.maximum(size - 1, 1)
    mean = (total + absent * np.maximum(others - count, 0)) / others
    return np.where(size > 1, mean, 1 - best).astype(np.float32)
