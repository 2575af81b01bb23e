"""Late fusion of dimensions into one score whose parts sum to it, with weights that a request may set. numpy only.

score(a, b) = Σ_d W_d · f_d(raw_d(a, b)), where f_d turns a dimension's own units into 0..1 by straight lines between
knots, and the W_d ≥ 0 sum to one over the dimensions that product a has. Where b lacks a dimension it counts what an
ordinary candidate would get there (`neutral`), so that missing neither punishes nor favours. An additive model (Hastie
and Tibshirani 1986) rather than a deep one: each part can be shown, and weights can be set when the request comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.models.similar.dimensions import ORDER

KINDS = ("like", "same", "substitute", "complement", "style")
"""What a request may ask for: like in general, the same thing, what could be taken instead, what goes with it, the
same look."""
MEANT = {
    "like": {"text": 1.0, "attributes": 1.0, "reviews": 0.5, "image": 1.0, "behaviour": 1.0, "view": 1.0, "sequence": 0.5, "graph": 1.0, "price": 0.25, "scene": 0.25},
    "same": {"text": 2.0, "attributes": 2.0, "image": 1.0, "price": 1.0},
    "substitute": {"text": 1.0, "attributes": 1.0, "image": 0.5, "view": 2.0, "behaviour": 0.5, "graph": 0.5, "price": 0.5},
    "complement": {"basket": 2.0, "sequence": 1.0, "behaviour": 0.5, "scene": 0.5},
    "style": {"image": 2.0, "attributes": 0.5, "reviews": 0.5, "scene": 0.5},
}  # fmt: skip
"""Weights where a shop has no labels to learn them from."""
NEEDS = {"same": ("text", "attributes"), "complement": ("basket", "sequence"), "style": ("image",)}
"""Kinds that a shop has only with one of these dimensions."""


@dataclass(frozen=True)
class Fusion:
    """One kind of similarity over dimensions `names`.

    ``knots (D, K)`` ascending in raw units and ``values (D, K)`` in 0..1, ``weights (D,)`` of sum one, ``neutral (D,)``
    in 0..1. `facts` say what it was learned from.
    """

    kind: str
    names: tuple[str, ...]
    knots: NDArray[np.float32]
    values: NDArray[np.float32]
    weights: NDArray[np.float32]
    neutral: NDArray[np.float32]
    facts: dict[str, Any]

    def calibrated(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores 0..1 of raw likenesses ``(n, D)``."""
        out = np.empty(raw.shape, np.float32)
        for d in range(len(self.names)):
            out[:, d] = np.interp(raw[:, d], self.knots[d], self.values[d])
        return out

    def parts(
        self, raw: NDArray[np.float32], known: NDArray[np.bool_], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """What each dimension adds to each candidate's score ``(n, D)``; rows sum to scores in 0..1."""
        return np.where(known, self.calibrated(raw), self.neutral[None, :]) * weights[None, :]

    def weigh(self, asked: Mapping[str, float] | None, has: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Weights ``(D,)`` for a product that has the dimensions `has (D,)`; of sum one, or all zero when none counts."""
        own = self.weights if not asked else np.array([asked.get(n, 0.0) for n in self.names], np.float32)
        weights = np.where(has, own, 0)
        total = float(weights.sum())
        return (weights / total if total > 0 else weights).astype(np.float32)


def check_weights(asked: Mapping[str, float] | None, names: tuple[str, ...]) -> dict[str, float] | None:
    """Weights by dimension; what is not named counts nothing, and nothing named means the kind's own.

    A dimension that wares knows and the shop lacks is let pass, so that one request fits all shops.

    Raises:
        QueryError: for an unknown dimension, a negative weight, or weights of which none is above zero.
    """
    if not asked:
        return None
    unknown = [name for name in asked if name not in ORDER]
    if unknown:
        raise QueryError(
            f"unknown dimension {unknown[0]!r}", mend=f"Known here: {', '.join(names)}", parameter="weights"
        )
    if any(not np.isfinite(value) or value < 0 for value in asked.values()) or sum(asked.values()) <= 0:
        raise QueryError(
            "weights must not be negative, and one must be above zero",
            mend="Write text:1,behaviour:2",
            parameter="weights",
        )
    return {name: float(value) for name, value in asked.items()}


def check_kind(kind: str, there: tuple[str, ...]) -> str:
    """The kind, `like` for none.

    Raises:
        QueryError: for a kind that does not exist, or for which this shop has no signals.
    """
    kind = kind or "like"
    if kind not in KINDS:
        raise QueryError(f"unknown kind {kind!r}", mend=f"Known: {', '.join(KINDS)}", parameter="kind")
    if kind not in there:
        raise QueryError(
            f"this shop has no signals for the kind {kind!r}",
            mend=f"It has {', '.join(there)}",
            parameter="kind",
        )
    return kind
