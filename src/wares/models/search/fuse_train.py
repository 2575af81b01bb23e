"""Weights of the parts of a candidate, learned from judgements or clicks, and kept only where they are proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.search.fuse import LEARNED, fused
from wares.models.search.tuned import gain, interval

FEWEST = 40
"""Judged queries in each half below which nothing can be told."""
PAIRS = 60
"""Pairs of a wanted and an unwanted candidate that one query gives."""
RIDGE = 1e-3
DOWN = ("clash",)
"""Parts that can only count against; all others only for."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A query's candidates: their parts ``(n,)`` each, and what each is worth ``(n,)``, 0 for nothing. ``best`` are the worths of
    all that is wanted, found or not, for the ideal list."""

    parts: dict[str, NDArray[np.float32]]
    gains: NDArray[np.float32]
    best: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fusion:
    """Learned weights, empty where they are not proven; NDCG@10 without and with them on the half that taught nothing, and
    the 95 % interval of the paired difference."""

    weights: dict[str, float] = field(default_factory=dict[str, float])
    reason: str = ""
    queries: int = 0
    without: float = 0.0
    with_it: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)

    def facts(self) -> dict[str, Any]:
        """Everything as a dictionary."""
        return {
            "weights": self.weights, "reason": self.reason, "queries": self.queries, "without": self.without,
            "with_it": self.with_it, "interval": list(self.interval),
        }  # fmt: skip


def learn_weights(queries: Sequence[Judged], seed: int) -> dict[str, float]:
    """Weights by pairwise logistic regression (RankNet's loss with a linear scorer; Burges et al. 2005), each query of equal weight.

    A pair counts by the difference in gain; a ridge keeps what the data do not tell near 0, and bounds keep the sign that
    a part has by its meaning. Scaled so that all but popularity have absolute sum 1, as the configured weights have about.
    Empty when no query has both a wanted and an unwanted candidate.
    """
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float64]] = []
    weight: list[NDArray[np.float64]] = []
    for query in queries:
        table = np.column_stack(
            [query.parts.get(n, np.zeros(len(query.gains), np.float32)) for n in LEARNED]
        ).astype(np.float64)
        good = np.flatnonzero(query.gains > 0)
        if not len(good) or len(good) == len(query.gains):
            continue
        first = rng.choice(good, PAIRS)
        # Half of the rivals are those that stand high by now: they are the ones to pass.
        near = rng.integers(0, min(30, len(query.gains)), PAIRS)
        second = np.where(rng.random(PAIRS) < 0.5, near, rng.integers(0, len(query.gains), PAIRS))
        apart = query.gains[first] - query.gains[second]
        keep = apart > 0
        if keep.any():
            rows.append(table[first[keep]] - table[second[keep]])
            weight.append(apart[keep] / apart[keep].sum())
    if not rows:
        return {}
    x, w = np.concatenate(rows), np.concatenate(weight) / len(rows)

    def loss(v: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = x @ v
        value = float((w * np.logaddexp(0, -margin)).sum() + 0.5 * RIDGE * (v @ v))
        return value, -(x.T @ (w / (1 + np.exp(np.clip(margin, -50, 50))))) + RIDGE * v

    bounds = [(-np.inf, 0.0) if name in DOWN else (0.0, np.inf) for name in LEARNED]
    found = minimize(loss, np.zeros(len(LEARNED)), jac=True, method="L-BFGS-B", bounds=bounds)
    values = dict(zip(LEARNED, np.asarray(found.x, float).tolist(), strict=True))
    scale = sum(abs(v) for name, v in values.items() if name != "popularity")
    return {name: round(v / scale, 5) for name, v in values.items()} if scale > 0 else {}


def ndcg_of(query: Judged, weights: dict[str, float], depth: int = 10) -> float:
    """NDCG of the candidates ordered by weights; ties stand as they stood."""
    order = np.argsort(-fused(query.parts, weights), kind="stable")[:depth]
    return gain(query.gains[order], query.best, depth) if (query.best > 0).any() else 0.0


def learn_fusion(queries: Sequence[Judged], before: dict[str, float], seed: int) -> Fusion:
    """Weights learned on one half of the queries, and proven on the other against the weights of `before`; then on all."""
    order = np.random.default_rng(seed).permutation(len(queries))
    halves = [[queries[i] for i in order[0::2]], [queries[i] for i in order[1::2]]]
    if len(halves[1]) < FEWEST:
        return Fusion(reason="too few judged queries", queries=len(queries))
    learned = learn_weights(halves[0], seed)
    if not learned:
        return Fusion(reason="no query tells wanted from unwanted", queries=len(queries))
    kept = {name: value for name, value in before.items() if name not in LEARNED}
    without = np.array([ndcg_of(q, before) for q in halves[1]])
    having = np.array([ndcg_of(q, kept | learned) for q in halves[1]])
    low, high = interval(having - without, np.random.default_rng(seed + 1))
    figures = (len(queries), float(without.mean()), float(having.mean()), (low, high))
    if low <= 0:
        return Fusion({}, "not proven on the other half", *figures)
    return Fusion(learn_weights(queries, seed), "", *figures)
