"""The mix of polarities of new texts, estimated from the model's own probabilities without any label of theirs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.calibration import Floats

STEPS, CLOSE = 500, 1e-7


def mix_of(probability: Floats, prior: NDArray[np.float64]) -> tuple[NDArray[np.float64], Floats]:
    """The shares ``(c,)`` of labels among texts, and their probabilities ``(n, c)`` under these shares instead of the training's `prior`.

    Expectation-maximisation for a shift of labels alone (Saerens, Latinne and Decaestecker, *Adjusting the Outputs of a Classifier to New a
    Priori Probabilities*, Neural Computation 2002). `probability` must be calibrated to `prior`. It looks at all texts together, so
    that an answer depends on the others: a measure for a collection, not for a text by itself.
    """
    if not len(probability):
        return prior, probability
    mix, moved = prior, probability
    for _ in range(STEPS):
        moved = probability * (mix / np.maximum(prior, 1e-12))
        moved = moved / np.maximum(moved.sum(1, keepdims=True), 1e-12)
        now = moved.mean(0)
        if np.abs(now - mix).max() < CLOSE:
            break
        mix = now
    return mix, moved
