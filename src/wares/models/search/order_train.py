"""LambdaMART (Burges 2010, MSR-TR-2010-82) over the candidates of searches, and the gate that decides whether it is served.

What is served is `wares.models.search.order_infer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import ModelError
from wares.features.retrieval import cluster_interval
from wares.models.search.tuned import gain

DEPTH = 10
RESAMPLES = 2000
LEVELS = 31
"""Grades in 0..1 become so many steps of gain."""
FEWEST = 30
"""Queries below which nothing can be learned, and as many to judge by."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidates of some searches: ``features (m, f) float32``, ``grades (m,)`` in 0..1, ``sizes (s,)`` of the lists in order,
    ``base (m,)`` the score they stand in without the model, ``query (s,)`` which searches are of one text."""

    features: NDArray[np.float32]
    grades: NDArray[np.float64]
    sizes: NDArray[np.int64]
    base: NDArray[np.float32]
    query: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    @classmethod
    def joined(cls, parts: Sequence[Lists]) -> Lists:
        """One after another."""
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.__slots__})

    def take(self, chosen: NDArray[np.bool_]) -> Lists:
        """The searches marked in `chosen` ``(s,)``."""
        lines = np.repeat(chosen, self.sizes)
        return Lists(
            self.features[lines], self.grades[lines], self.sizes[chosen], self.base[lines], self.query[chosen]
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """How the trees grow."""

    rounds: int = 80
    leaves: int = 15
    rate: float = 0.08
    least: int = 20
    columns: float = 0.7

    def facts(self) -> dict[str, Any]:
        """Everything as a dictionary."""
        return asdict(self)


def grow(lists: Lists, seed: int, threads: int = 1, shape: Shape | None = None) -> Any:
    """LambdaMART on graded lists; the same for the same lists, seed and number of threads or another.

    Raises:
        ModelError: when there are no lists.
    """
    import lightgbm

    if not len(lists):
        raise ModelError("there are no lists to learn an order from", mend="Bring searches with clicks")
    shape = shape or Shape()
    gains = np.round(np.clip(lists.grades, 0, 1) * LEVELS).astype(np.int32)
    params = {
        "objective": "lambdarank", "lambdarank_truncation_level": 2 * DEPTH, "label_gain": list(range(LEVELS + 1)), "num_leaves": shape.leaves,
        "learning_rate": shape.rate, "min_data_in_leaf": shape.least, "feature_fraction": shape.columns, "bagging_fraction": 0.8, "bagging_freq": 1,
        "lambda_l2": 5.0, "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": threads, "verbose": -1,
        # Some dozens of rows are a shop's beginning, not a mistake.
        "feature_pre_filter": False,
    }  # fmt: skip
    data = lightgbm.Dataset(
        lists.features, gains, group=lists.sizes, params={"feature_pre_filter": False, "verbose": -1}
    )
    return lightgbm.train(params, data, shape.rounds)


def ndcg(scores: NDArray[Any], grades: NDArray[Any], depth: int = DEPTH) -> float:
    """NDCG of products sorted by score, ties to the first, with grades as gains; NaN where none is graded above 0."""
    return gain(grades[np.argsort(-scores, kind="stable")[:depth]], grades, depth)


def quality(lists: Lists, scores: NDArray[Any], depth: int = DEPTH) -> NDArray[np.float64]:
    """NDCG of every list ``(s,)``."""
    ends = np.cumsum(lists.sizes)
    return np.array(
        [
            ndcg(scores[end - size : end], lists.grades[end - size : end], depth)
            for end, size in zip(ends.tolist(), lists.sizes.tolist(), strict=True)
        ]
    )


def interval(apart: NDArray[np.float64], group: NDArray[Any], seed: int) -> tuple[float, float]:
    """95 % interval of a mean by resampling groups whole, as searches of one text are not independent."""
    known = ~np.isnan(apart)
    return cluster_interval(apart[known], group[known], seed, RESAMPLES) if known.any() else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Gate:
    """NDCG@10 of held-out searches without and with the model, the 95 % interval of the paired difference, and the verdict."""

    kept: bool
    reason: str
    lists: int = 0
    queries: int = 0
    without: float = 0.0
    with_it: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)

    def facts(self) -> dict[str, Any]:
        """Everything as a dictionary."""
        return asdict(self)


def gate(held: Lists, scores: NDArray[Any], seed: int) -> Gate:
    """Whether `scores` ``(m,)`` put the held-out lists into a better order than the one they stand in.

    Kept where the interval of the difference lies above zero.
    """
    n = len(np.unique(held.query))
    if n < FEWEST:
        return Gate(False, f"only {n} searched texts to judge by; {FEWEST} are needed", len(held), n)
    without, having = quality(held, held.base), quality(held, scores)
    low, high = interval(having - without, held.query, seed)
    reason = "" if low > 0 else "not better on held-out searches"
    return Gate(
        low > 0, reason, len(held), n, round(float(np.nanmean(without)), 4), round(float(np.nanmean(having)), 4),
        (round(low, 4), round(high, 4)),
    )  # fmt: skip
