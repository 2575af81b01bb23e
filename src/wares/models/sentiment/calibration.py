"""Probabilities that mean what they say, and the sure part of the answers: fitted on validation texts only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 15


def softmax(logits: Floats) -> Floats:
    """Rows of logits ``(n, c)`` as probabilities."""
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def log_loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood, in nats."""
    shifted = logits - logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]))


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature with the least log-loss (Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017)."""
    low, high = np.log(0.05), np.log(20.0)
    ratio = (np.sqrt(5.0) - 1) / 2
    # Golden section: the loss is convex in 1/T and has one lowest point in log T.
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = (log_loss(logits / np.exp(t), labels) for t in (a, b))
    for _ in range(60):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = log_loss(logits / np.exp(a), labels)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = log_loss(logits / np.exp(b), labels)
    return float(np.exp((low + high) / 2))


def expected_error(probability: Floats, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Expected calibration error of the most probable label, in `bins` steps of equal width (Naeini et al. 2015; Guo et al. 2017)."""
    if not len(labels):
        return 0.0
    sure = probability.max(1)
    right = probability.argmax(1) == labels
    step = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(step, minlength=bins)
    gaps = np.abs(np.bincount(step, sure, bins) - np.bincount(step, right.astype(float), bins))
    return float(gaps[counts > 0].sum() / len(labels))


def sure_from(probability: Floats, labels: NDArray[np.int64], precision: float) -> float:
    """The least confidence from which answers are right with `precision`, so that most texts are answered.

    Where no part of the validation texts reaches it, above one: then every text is left open.
    """
    sure = probability.max(1)
    order = np.argsort(-sure, kind="stable")
    right = np.cumsum(probability.argmax(1)[order] == labels[order]) / np.arange(1, len(labels) + 1)
    ends = np.append(sure[order][1:] < sure[order][:-1], True) if len(labels) else np.zeros(0, bool)
    reached = np.flatnonzero((right >= precision) & ends)
    return float(sure[order][reached[-1]]) if len(reached) else float(np.nextafter(1.0, 2.0))
