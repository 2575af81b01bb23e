"""How well vectors find what belongs together: recall and reciprocal rank a query, and paired intervals over queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.pairs import PairSet

NAMES = ("recall@1", "recall@10", "hit@10", "mrr")
BLOCK = 256

Scores = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Scores ``(b, n_candidates)`` of all candidates for some query nodes."""


@dataclass(frozen=True)
class Retrieval:
    """Find the mates of held-out nodes among all candidates.

    ``queries (q,)`` and ``candidates (c,) int64`` are nodes; ``wanted`` holds the mates of each query, all of them
    candidates. Candidates that read exactly like the query, or are set aside from it, are left out of its ranking. ``unit (q,) int64`` says which
    queries are resampled together (those of one group), as they are not independent.
    """

    pairs: PairSet
    queries: NDArray[np.int64]
    candidates: NDArray[np.int64]
    wanted: list[NDArray[np.int64]]
    unit: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def nothing(cls, pairs: PairSet) -> Retrieval:
        """No queries."""
        none = np.zeros(0, np.int64)
        return cls(pairs, none, none, [], none)

    @classmethod
    def of(
        cls, pairs: PairSet, part: NDArray[np.int8], which: int, most: int = 0, seed: int = 0, pool: int = 0,
        use: NDArray[np.bool_] | None = None,
    ) -> Retrieval:  # fmt: skip
        """All nodes of one part that have a mate, or `most` of them drawn at random; products and offers are candidates.

        With a `pool` the mates of the queries and so many others, drawn at random, are candidates; otherwise all are.
        Nodes not in ``use (n,)`` are neither.
        """
        good = ~pairs.blank if use is None else ~pairs.blank & use
        rng = np.random.default_rng(seed)
        asked = rng.permutation(np.flatnonzero((part == which) & good))
        queries, wanted = [], []
        for node in asked:
            mates = pairs.mates(int(node))
            mates = mates[~pairs.query[mates] & good[mates]]
            if len(mates):
                queries.append(int(node))
                wanted.append(mates)
            if most and len(queries) == most:
                break
        rows = np.array(queries, np.int64)
        candidates = np.flatnonzero(~pairs.query & good)
        if pool and len(candidates) > pool:
            drawn = rng.permutation(candidates)[:pool]
            candidates = np.unique(np.concatenate([drawn, *wanted])).astype(np.int64)
        group = pairs.group[rows]
        return cls(pairs, rows, candidates, wanted, np.where(group >= 0, group, -1 - pairs.text_id[rows]))

    def measure(self, scores: Scores) -> dict[str, NDArray[np.float64]]:
        """Each of `NAMES`, a number a query ``(q,)``.

        ``recall@1`` is whether the first is a mate, ``recall@10`` the share of all mates among the first ten,
        ``hit@10`` whether there is any, ``mrr`` one over the rank of the best mate in the whole index. Ties count
        against: a vector that is like everything finds nothing. Scores that are not finite rank last.
        """
        out = {name: np.zeros(len(self)) for name in NAMES}
        place = np.full(len(self.pairs), -1, np.int64)
        place[self.candidates] = np.arange(len(self.candidates))
        text, beside = self.pairs.text_id[self.candidates], self.pairs.beside
        for start in range(0, len(self), BLOCK):
            rows = self.queries[start : start + BLOCK]
            block = np.nan_to_num(
                np.asarray(scores(rows), np.float32), nan=-np.inf, neginf=-np.inf, posinf=-np.inf
            )
            for i, node in enumerate(rows):
                mates = place[self.wanted[start + i]]
                own = block[i, mates]
                others = block[i].copy()
                others[text == self.pairs.text_id[node]] = -np.inf
                others[mates] = -np.inf
                apart = place[beside.indices[beside.indptr[node] : beside.indptr[node + 1]]]
                others[apart[apart >= 0]] = -np.inf
                best = np.sort(own)[::-1]
                ranks = 1 + np.arange(len(best)) + (others[None, :] >= best[:, None]).sum(1)
                ranks = np.where(np.isfinite(best), ranks, len(self.candidates))
                at = start + i
                out["recall@1"][at] = ranks[0] == 1
                out["recall@10"][at] = (ranks <= 10).mean()
                out["hit@10"][at] = ranks[0] <= 10
                out["mrr"][at] = 1.0 / ranks[0]
        return out

    def by_cosine(self, vectors: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """`measure` of the dot product of ``vectors (n_nodes, dim)``; a vector of length zero is like nothing."""
        table = np.asarray(vectors, np.float32)
        empty = ~(np.isfinite(table).all(1) & (np.abs(table).sum(1) > 0))
        pool = np.ascontiguousarray(np.where(empty[:, None], 0, table)[self.candidates].T)
        gone = empty[self.candidates]

        def scores(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            block = table[rows] @ pool
            block[:, gone] = -np.inf
            return block

        return self.measure(scores)


def means(values: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Means over queries, rounded to four places."""
    return {name: round(float(v.mean()), 4) if len(v) else 0.0 for name, v in values.items()}


def paired(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    unit: NDArray[np.int64],
    seed: int,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Mean difference and its interval as `cluster_interval` has it, rounded."""
    if not len(ours):
        return {"mean": 0.0, "interval": [0.0, 0.0]}
    low, high = cluster_interval(ours - theirs, unit, seed, resamples)
    return {"mean": round(float((ours - theirs).mean()), 4), "interval": [round(low, 4), round(high, 4)]}


def cluster_interval(
    values: NDArray[np.float64], unit: NDArray[Any], seed: int, resamples: int
) -> tuple[float, float]:
    """95 % percentile interval of the mean of `values` ``(n,)``, units resampled whole (cluster bootstrap; Cameron et al. 2008)."""
    _, at = np.unique(unit, return_inverse=True)
    at = at.reshape(-1)
    sums, counts = np.bincount(at, weights=values), np.bincount(at).astype(np.float64)
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(0, len(sums), len(sums))
        found[i] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
