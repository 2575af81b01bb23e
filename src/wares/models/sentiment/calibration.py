"""Probabilities that mean what they say, and the sure part of the answers: fitted on validation texts only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def bent(p: Floats, knots: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Floats:
    """Probabilities ``(n, c)`` through a rising curve for each label (or for the second of two) and to one again
    (Zadrozny and Elkan, *Transforming Classifier Scores*, KDD 2002). `knots` are the curves' ascending places and heights."""
    if not knots:
        return p
    if len(knots) == 1:
        last = _through(p[:, 1], knots[0])
        return np.column_stack([1 - last, last])
    out = np.column_stack([_through(p[:, c], curve) for c, curve in enumerate(knots)])
    return np.asarray(out / out.sum(1, keepdims=True))


TILT = 1e-4
"""Of the straight line in each curve, so that its steps keep the order of what they hold."""


def _through(p: NDArray[np.float64], curve: tuple[Sequence[float], Sequence[float]]) -> NDArray[np.float64]:
    return np.clip((1 - TILT) * np.interp(p, *curve) + TILT * p, 1e-6, 1 - 1e-6)


def _lowest(loss: Callable[[float], float], low: float, high: float, steps: int = 40) -> float:
    """Where a function with one lowest point is lowest: golden section."""
    ratio = (np.sqrt(5.0) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(steps):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = loss(b)
    return float((low + high) / 2)


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature with the least log-loss (Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017)."""
    # The loss is convex in 1/T and has one lowest point in log T.
    best = _lowest(lambda t: log_loss(logits / np.exp(t), labels), float(np.log(0.05)), float(np.log(20.0)))
    return float(np.exp(best))


def fit_blend(parts: Sequence[Floats], labels: NDArray[np.int64]) -> list[float]:
    """Factors, none below zero, of one or two parts' logits whose sum has the least log-loss (stacking; Wolpert 1992)."""
    if len(parts) == 1:
        return [1 / fit_temperature(parts[0], labels)]
    first, second = (part / fit_temperature(part, labels) for part in parts)

    def mixed(share: float) -> Floats:
        return (1 - share) * first + share * second

    # The loss is convex in both factors, so it has one lowest point along the share when the temperature follows.
    share = _lowest(
        lambda s: log_loss(mixed(s) / fit_temperature(mixed(s), labels), labels), 0.0, 1.0, steps=20
    )
    sharp = 1 / fit_temperature(mixed(share), labels)
    own = [1 / fit_temperature(part, labels) for part in parts]
    return [sharp * (1 - share) * own[0], sharp * share * own[1]]


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
