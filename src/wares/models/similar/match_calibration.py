"""From scores to probabilities, and from probabilities to a verdict: fitted on validation pairs only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TRUST = 2.0
"""How strongly the weights are held to one each and no offset: validation sets are small."""


def sigmoid(logit: Floats) -> Floats:
    """Log-odds to probabilities."""
    return 1 / (1 + np.exp(-np.clip(logit, -40, 40)))


def fit_weights(scores: Floats, same: Bools, trust: float = TRUST) -> Floats:
    """Weights of log-odds ``(n, s)`` and, last, an offset ``(s + 1,)``: Platt scaling (1999) of several scores at once.

    Maximum a posteriori by Newton's method, with a Gaussian prior at a weight of one for each score and an offset of
    zero, that is, at their sum as it is. A weight that would be negative is set to zero.
    """
    kept = list(range(scores.shape[1]))
    while True:
        design = np.column_stack([scores[:, kept], np.ones(len(same))])
        prior = np.append(np.ones(len(kept)), 0.0)
        weights = prior.copy()
        for _ in range(50):
            p = sigmoid(design @ weights)
            slope = design.T @ (p - same) + trust * (weights - prior)
            curve = (design * (p * (1 - p))[:, None]).T @ design + trust * np.eye(len(prior))
            step = np.linalg.solve(curve, slope)
            weights = weights - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
            if float(np.abs(step).max()) < 1e-8:
                break
        bad = [name for name, weight in zip(kept, weights, strict=False) if weight < 0]
        if not bad:
            break
        kept = [name for name in kept if name not in bad]
    out = np.zeros(scores.shape[1] + 1)
    out[[*kept, -1]] = weights
    return out


def log_loss(logit: Floats, same: Bools) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(np.mean(np.logaddexp(0, logit) - same * logit)) if len(same) else float("nan")


def f1_at(probability: Floats, same: Bools, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and F1 of saying "same" from a threshold on."""
    said = probability >= threshold
    right = int((said & same).sum())
    there, found = int(same.sum()), int(said.sum())
    return right / max(found, 1), right / max(there, 1), 2 * right / max(found + there, 1)


def best_threshold(probability: Floats, same: Bools) -> float:
    """The threshold with the highest F1, half-way to the next lower probability; of ties the one nearest to one half."""
    order = np.argsort(-probability, kind="stable")
    p, y = probability[order], same[order]
    right = np.cumsum(y)
    f1 = 2 * right / (np.arange(len(p)) + 1 + max(int(y.sum()), 1))
    cut = np.append(p[1:], 0.0)
    f1[p == cut] = -1  # a threshold between equal probabilities divides nothing
    middle = (p + cut) / 2
    top = np.flatnonzero(f1 == f1.max())
    return float(middle[top[np.abs(middle[top] - 0.5).argmin()]])


def careful_threshold(probability: Floats) -> float:
    """Half-way, in log-odds, between `expected_threshold` and one half.

    The first is right where new pairs are like those of validation; new pairs tend to be harder to tell apart, and then
    too many reach it.
    """
    low = float(np.clip(expected_threshold(probability), 1e-6, 1 - 1e-6))
    return float(sigmoid(np.asarray([np.log(low / (1 - low)) / 2]))[0])


def expected_threshold(probability: Floats) -> float:
    """The threshold with the highest expected F1 when the probabilities are right, half-way to the next lower one.

    Of the k most probable pairs sum(p) are the same, so F1 is about 2 sum(p_1..k) / (k + sum(p)); Ye et al., *Optimizing
    F-measure*, ICML 2012. It hears the labels through the calibration only, and so jumps less with each of them than
    the threshold that happens to be best on a few hundred pairs.
    """
    if not len(probability):
        return 0.5
    p = np.sort(probability)[::-1]
    f1 = 2 * np.cumsum(p) / (np.arange(len(p)) + 1 + max(float(p.sum()), 1e-12))
    cut = np.append(p[1:], 0.0)
    f1[p == cut] = -1  # a threshold between equal probabilities divides nothing
    top = int(f1.argmax())
    return float((p[top] + cut[top]) / 2)


def calibration(probability: Floats, same: Bools, bins: int = 10) -> dict[str, float]:
    """Brier score, log loss in nats, and expected calibration error over `bins` of equal width."""
    if not len(same):
        return {"brier": float("nan"), "log_loss": float("nan"), "ece": float("nan")}
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    at = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs(float(probability[at == b].mean() - same[at == b].mean())) * float((at == b).mean()) for b in range(bins) if (at == b).any()]  # fmt: skip
    return {
        "brier": round(float(np.mean((probability - same) ** 2)), 5),
        "log_loss": round(log_loss(np.log(clipped / (1 - clipped)), same), 5),
        "ece": round(float(sum(gaps)), 5),
    }
