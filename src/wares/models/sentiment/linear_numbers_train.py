"""Fit the linear part to numbers, as stars: ridge regression over n-grams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.calibration import Floats
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.linear_train import Choice, logits_of, scale_of, scaled
from wares.models.sentiment.prepare import BUCKETS

STRENGTHS = (0.3, 1.0, 3.0)


def fit_numbers(
    x: Any, values: NDArray[np.float64], steps: NDArray[np.int64], classes: int, choice: Choice, weights: NDArray[Any] | None = None
) -> Linear:  # fmt: skip
    """Fit `values (n,)` on presence of n-grams `x (n, BUCKETS)`; `steps (n,)`, the values rounded, say how n-grams are scaled."""
    from sklearn.linear_model import Ridge

    scale = scale_of(x, steps, classes, choice.scaling)
    there = np.flatnonzero(scale)
    model = Ridge(alpha=1 / choice.strength, solver="sparse_cg", tol=1e-3, random_state=0)
    model.fit(scaled(x, scale)[:, there], values, sample_weight=weights)
    out = np.zeros((BUCKETS, 1), np.float32)
    out[there, 0] = model.coef_
    return Linear(scale, out, np.array([model.intercept_], np.float32))


def choose_numbers(
    train: tuple[Any, NDArray[np.float64], NDArray[np.int64]], valid: tuple[Any, NDArray[np.float64]], classes: int,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Choice, Floats]:  # fmt: skip
    """The scaling and strength with the least squared error on validation, and the numbers ``(n, 1)`` it says there."""
    best: tuple[float, Choice, Floats] | None = None
    for scaling in ("rarity", "ratio"):
        for strength in STRENGTHS:
            choice = Choice(scaling, strength)
            progress(f"linear: {scaling}, {strength:g}")
            found = logits_of(fit_numbers(*train, classes, choice), valid[0])
            error = float(np.mean((found[:, 0] - valid[1]) ** 2))
            if best is None or error < best[0]:
                best = (error, choice, found)
    assert best is not None
    return best[1:]
