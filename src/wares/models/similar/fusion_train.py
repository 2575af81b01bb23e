"""Learn how dimensions fuse: calibration from random pairs, shape and weight of each from pairs known to be related.

Without labels a dimension's score is how rare its likeness is: log(1 / p) where a share p of random pairs is as alike,
so that scores of different dimensions mean the same. With labels the raw likenesses enter an additive model by hinges
between quantiles, fitted by a softmax of each related product against all others (conditional logit, McFadden
1974; those drawn at random stand for the rest of the catalogue), coefficients ≥ 0 so that more alike never counts less. The model is convex, so that the same labels give the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from wares.core.errors import DataError
from wares.models.similar.dimensions import Dimension
from wares.models.similar.fusion import MEANT, NEEDS, Fusion

KNOTS = 12
RANDOM_PAIRS = 60_000
RAREST = 1e-5
HARD = 20
RANDOM = 60
MOST_LOOKED_AT = 20_000
MOST_QUERIES = 1500
FEWEST_QUERIES = 40
L1, L2 = 1e-4, 1e-3


@dataclass(frozen=True)
class Labels:
    """Pairs known to be related, both directions: ``items (n,)`` and ``others (n,)`` as rows of products; ``known``
    are pairs that are no negatives and are not asked for either."""

    items: NDArray[np.int64]
    others: NDArray[np.int64]
    known_items: NDArray[np.int64]
    known_others: NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Candidates of queries ``(n, D)`` raw and known, ``query (n,)`` ascending, ``wanted (n,)``, and for how many
    products of the catalogue each stands ``(n,)``: those drawn at random for many, the others for themselves."""

    raw: NDArray[np.float32]
    known: NDArray[np.bool_]
    query: NDArray[np.int64]
    wanted: NDArray[np.bool_]
    stands_for: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> Examples:
        """The examples of the queries marked in `chosen (n_queries,)`."""
        kept = chosen[self.query]
        _, query = np.unique(self.query[kept], return_inverse=True)
        return Examples(self.raw[kept], self.known[kept], query, self.wanted[kept], self.stands_for[kept])


def base_fusion(dimensions: Sequence[Dimension], n: int, seed: int) -> Fusion:
    """Every dimension calibrated on random pairs, all weights alike."""
    rng = np.random.default_rng(seed)
    knots, values, neutral = [], [], []
    for dimension in dimensions:
        x, y, middle = _rarity(dimension, n, rng)
        knots.append(x)
        values.append(y)
        neutral.append(middle)
    count = max(len(dimensions), 1)
    return Fusion(
        "like", tuple(d.name for d in dimensions), np.array(knots, np.float32).reshape(-1, KNOTS),
        np.array(values, np.float32).reshape(-1, KNOTS), np.full(len(dimensions), 1 / count, np.float32),
        np.array(neutral, np.float32), {"learned": False},
    )  # fmt: skip


def _rarity(dimension: Dimension, n: int, rng: np.random.Generator) -> tuple[Any, Any, float]:
    """Knots, scores and the mean score of random pairs."""
    there = np.flatnonzero(dimension.has)
    if len(there) < 2:
        return np.linspace(0, 1, KNOTS), np.linspace(0, 1, KNOTS), 0.0
    each = 300
    some = rng.choice(there, min(len(there), RANDOM_PAIRS // each), replace=False)
    found = np.concatenate([dimension.raw(int(i), rng.choice(there, each)) for i in some])
    if not np.isfinite(found).all():
        raise DataError(
            f"the likeness of {dimension.name} is no number for some products",
            mend="Encode them again, or leave them out",
            column=dimension.name,
        )
    ordered = np.sort(found)
    top = max(1.0, float(ordered[-1]) + 1e-3)
    share = np.geomspace(1, 1 / len(ordered), KNOTS - 1)
    knots = np.quantile(ordered, 1 - share)
    scores = np.log(1 / share) / np.log(1 / RAREST)
    knots, first = np.unique(knots.astype(np.float32), return_index=True)
    # Of equal knots the last counts: a value that half of all pairs have is as rare as half.
    last = np.append(first[1:], KNOTS - 1) - 1
    scores = scores[last] - (scores[last[0]] if len(last) else 0)
    x = np.append(knots, top)
    y = np.append(np.clip(scores, 0, 1), 1.0)
    pad = KNOTS - len(x)
    x, y = np.append(x, top + 1e-3 * np.arange(1, pad + 1)), np.append(y, np.ones(pad))
    return x, y, float(np.interp(found, x, y).mean())


def prior(kind: str, base: Fusion) -> Fusion | None:
    """A kind with the weights it is meant to have; None where the shop lacks what it needs."""
    if kind in NEEDS and not set(NEEDS[kind]) & set(base.names):
        return None
    weights = np.array([MEANT[kind].get(name, 0.0) for name in base.names], np.float32)
    if weights.sum() <= 0:
        return None
    return Fusion(
        kind, base.names, base.knots, base.values, weights / weights.sum(), base.neutral, {"learned": False}
    )


def examples(
    dimensions: Sequence[Dimension], labels: Labels, n: int, seed: int, most: int = MOST_QUERIES
) -> Examples:
    """For each query what is wanted, the heads of the dimensions' own lists, and random products."""
    rng = np.random.default_rng(seed)
    queries = np.unique(labels.items)
    queries = np.sort(rng.permutation(queries)[:most])
    wanted_of = _grouped(labels.items, labels.others)
    known_of = _grouped(labels.known_items, labels.known_others)
    parts: list[tuple[Any, ...]] = []
    for number, item in enumerate(queries.tolist()):
        mine = wanted_of[item]
        lists = [d.near(item, HARD) for d in dimensions]
        close = np.unique(np.concatenate([mine, *lists, _hard(dimensions, item, n, rng)]))
        drawn = np.setdiff1d(rng.integers(0, n, RANDOM), close)
        pool = np.concatenate([close, drawn]).astype(np.int64)
        weight = np.r_[np.ones(len(close)), np.full(len(drawn), max(n - len(close), 1) / max(len(drawn), 1))]
        out = known_of.get(item, np.zeros(0, np.int64))
        kept = (pool != item) & (~np.isin(pool, out) | np.isin(pool, mine))
        pool = pool[kept]
        parts.append(
            (
                *scores_of(dimensions, item, pool),
                np.full(len(pool), number),
                np.isin(pool, mine),
                weight[kept].astype(np.float32),
            )
        )
    d = len(dimensions)
    if not parts:
        none = np.zeros(0, np.int64)
        return Examples(
            np.zeros((0, d), np.float32), np.zeros((0, d), bool), none, none > 0, none.astype(np.float32)
        )
    return Examples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _hard(dimensions: Sequence[Dimension], item: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Those that one dimension finds like among a sample: negatives that are not easy."""
    some = np.arange(n) if n <= MOST_LOOKED_AT else rng.integers(0, n, MOST_LOOKED_AT)
    found = []
    for dimension in dimensions:
        if not len(dimension.near(item, 1)) and dimension.has[item]:
            value = np.where(dimension.has[some], dimension.raw(item, some), -1)
            found.append(some[first_of(value, HARD)])
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def first_of(value: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Places of the `k` greatest, best first, ties by place: what a stable sort of all would give, at a tenth of its cost."""
    if len(value) <= k:
        return np.argsort(-value, kind="stable")
    edge = np.partition(value, len(value) - k)[len(value) - k]
    near = np.flatnonzero(value >= edge)
    return near[np.argsort(-value[near], kind="stable")[:k]]


def _grouped(keys: NDArray[np.int64], values: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    order = np.argsort(keys, kind="stable")
    names, first = np.unique(keys[order], return_index=True)
    return dict(zip(names.tolist(), np.split(values[order], first[1:]), strict=True)) if len(names) else {}


def scores_of(
    dimensions: Sequence[Dimension], item: int, others: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Raw likenesses ``(n, D)`` and which of them are known."""
    raw = np.stack([d.raw(item, others) for d in dimensions], 1)
    known = np.stack([d.has[others] & bool(d.has[item]) for d in dimensions], 1)
    return raw, known


def learn(kind: str, base: Fusion, found: Examples, seed: int) -> Fusion | None:
    """The fusion of a kind from examples; None where there is too little, or where it does not beat equal weights.

    Half of the queries fit and half judge, then all fit.

    Raises:
        DataError: when all examples are wanted, so that there is nothing to tell them from.
    """
    if len(found.wanted) and found.wanted.all():
        raise DataError(
            f"all {len(found.wanted)} labels of {kind!r} are positive",
            mend="Label some pairs that are not related",
            column="label",
        )
    n_queries = int(found.query.max(initial=-1)) + 1
    if n_queries < FEWEST_QUERIES:
        return None
    half = np.random.default_rng(seed).permutation(n_queries) < n_queries // 2
    tried, judged = _fit(kind, base, found.of(half)), found.of(~half)
    rivals = {"uniform": base, "prior": prior(kind, base)}
    ndcg = {name: fit_for(rival, judged) for name, rival in rivals.items() if rival is not None}
    mine = fit_for(tried, judged)
    facts = {
        "learned": True, "queries": n_queries, "pairs": int(found.wanted.sum()), "ndcg": round(mine, 4),
        **{f"ndcg_{name}": round(value, 4) for name, value in ndcg.items()},
    }  # fmt: skip
    if mine <= max(ndcg.values()):
        return None
    best = _fit(kind, base, found)
    return Fusion(kind, best.names, best.knots, best.values, best.weights, best.neutral, facts)


def fit_for(fusion: Fusion, found: Examples) -> float:
    """Mean NDCG@10 of the wanted among each query's candidates."""
    parts = fusion.parts(found.raw, found.known, fusion.weigh(None, found.known.any(0)))
    order = np.lexsort((-parts.sum(1), found.query))
    query, hit = found.query[order], found.wanted[order]
    first = np.r_[True, query[1:] != query[:-1]]
    rank = np.arange(len(query)) - np.maximum.accumulate(np.where(first, np.arange(len(query)), 0))
    gain = np.where(hit & (rank < 10), 1 / np.log2(rank + 2), 0)
    n = int(query.max(initial=-1)) + 1
    ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, 12)))])
    wanted = np.minimum(np.bincount(query, hit, n).astype(int), 10)
    return float((np.bincount(query, gain, n) / np.maximum(ideal[wanted], 1e-9))[wanted > 0].mean())


def _fit(kind: str, base: Fusion, found: Examples) -> Fusion:
    d = len(base.names)
    knots = np.stack([_knots(base.knots[i], found.raw[found.known[:, i], i]) for i in range(d)])
    basis = np.zeros((len(found.raw), d, KNOTS - 1), np.float32)
    for i in range(d):
        low, high = knots[i, :-1], knots[i, 1:]
        step = np.clip((found.raw[:, i, None] - low) / (high - low), 0, 1)
        there = found.known[:, i]
        # An unknown one counts as an ordinary candidate that is not wanted.
        usual = step[there & ~found.wanted]
        basis[:, i] = np.where(there[:, None], step, usual.mean(0) if len(usual) else 0)
    flat = basis.reshape(len(basis), -1)
    first = np.flatnonzero(np.r_[True, found.query[1:] != found.query[:-1]])
    share = found.wanted / np.maximum(np.add.reduceat(found.wanted, first), 1)[found.query]
    target = flat.T @ share.astype(np.float32)
    n = len(first)
    offset = np.log(found.stands_for)

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = flat @ theta.astype(np.float32) + offset
        score -= np.maximum.reduceat(score, first)[found.query]
        power = np.exp(score)
        total = np.add.reduceat(power, first)
        chance = power / total[found.query]
        loss = float((np.log(total).sum() - (share * score).sum()) / n)
        gradient = (flat.T @ chance - target).astype(np.float64) / n
        loss += L1 * float(np.abs(theta).sum()) + L2 * float(theta @ theta)
        return loss, gradient + L1 * np.sign(theta) + 2 * L2 * theta

    bounds = [(0, None)] * flat.shape[1]
    result = minimize(
        objective,
        np.full(flat.shape[1], 0.05),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 200},
    )
    rise = np.asarray(result.x).reshape(d, KNOTS - 1)
    curve = np.concatenate([np.zeros((d, 1)), np.cumsum(rise, 1)], 1)
    curve -= curve.min(1, keepdims=True)
    size = curve.max(1)
    alive = size > 1e-4
    values = np.where(alive[:, None], curve / np.maximum(size, 1e-9)[:, None], 0)
    neutral = np.zeros(d)
    for i in range(d):
        usual = found.raw[found.known[:, i] & ~found.wanted, i]
        x, y = (knots[i], values[i]) if alive[i] else (base.knots[i], base.values[i])
        neutral[i] = np.interp(usual, x, y).mean() if len(usual) else 0
    # What does not count keeps the common scale, for requests that give it a weight.
    return Fusion(
        kind, base.names, np.where(alive[:, None], knots, base.knots).astype(np.float32),
        np.where(alive[:, None], values, base.values).astype(np.float32),
        (np.where(alive, size, 0) / max(size[alive].sum(), 1e-9)).astype(np.float32), neutral.astype(np.float32), {"learned": True},
    )  # fmt: skip


def _knots(default: NDArray[np.float32], raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Twelve ascending knots: quantiles, closer where likeness is high."""
    if not len(raw):
        return default.astype(np.float64)
    shares = 1 - np.geomspace(1, 0.002, KNOTS)
    knots = np.unique(np.quantile(raw.astype(np.float64), np.append(shares[:-1], 1.0)).round(6))
    if len(knots) < KNOTS:
        above = raw[raw > knots[0]] if len(raw) else raw
        more = np.quantile(above, np.linspace(0, 1, KNOTS)) if len(above) else np.zeros(0)
        knots = np.unique(np.concatenate([knots, more]).round(6))
        if len(knots) > KNOTS:
            knots = knots[np.linspace(0, len(knots) - 1, KNOTS).round().astype(int)]
    pad = KNOTS - len(knots)
    return np.append(knots, knots[-1] + 1e-3 * np.arange(1, pad + 1))
