"""How much each part of a candidate counts: weights as configured, or as learned from judgements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEARNED = (
    "words", "meaning", "titled", "cover", "said", "phrase", "numbers", "clash", "exact", "model", "popularity", "likely",
)  # fmt: skip
"""Parts that judgements can weigh; likeness, mood, affinity and size keep theirs."""
POPULARITY, AFFINITY = 0.12, 0.15
FIXED = {"affinity": AFFINITY, "size": 0.3, "code": 2.0}


def weights_of(vector_weight: float, alike: float, mood: float) -> dict[str, float]:
    """Weights where nothing was learned: a convex mix of words and meaning, with little beside."""
    return {
        "words": 1 - vector_weight, "meaning": vector_weight, "cover": 0.1, "phrase": 0.05, "numbers": 0.1, "clash": -0.1,
        "exact": 0.5, "model": 0.3, "likely": 0.1, "popularity": POPULARITY,
        "alike": alike, "mood": mood, **FIXED,
    }  # fmt: skip


def with_learned(weights: Mapping[str, float], learned: Mapping[str, float]) -> dict[str, float]:
    """The same with what judgements said of the parts they can weigh; nothing is left of these otherwise."""
    kept = {name: value for name, value in weights.items() if name not in LEARNED}
    return kept | {name: float(learned.get(name, 0.0)) for name in LEARNED}


def fused(parts: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """The weighted sum of parts ``(n,)``; a part without a weight, or a weight without its part, counts nothing."""
    n = len(next(iter(parts.values())))
    total: NDArray[Any] = np.zeros(n, np.float32)
    for name, weight in weights.items():
        if weight and name in parts:
            total += np.float32(weight) * parts[name]
    return total


def reciprocal_ranks(
    parts: Mapping[str, NDArray[np.float32]], names: tuple[str, ...] = ("words", "meaning"), k: float = 60.0
) -> NDArray[np.float32]:
    """Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009) of some parts; what a part does not know counts nothing there."""
    n = len(next(iter(parts.values())))
    total: NDArray[Any] = np.zeros(n, np.float32)
    for name in names:
        place = np.empty(n, np.float32)
        place[np.argsort(-parts[name], kind="stable")] = np.arange(n)
        total += np.where(parts[name] > 0, 1.0 / (k + 1.0 + place), 0.0).astype(np.float32)
    return total
