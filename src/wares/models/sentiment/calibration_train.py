"""What is fitted on validation beside temperature and blend: curves, biases, offsets, thresholds. Needs scikit-learn and scipy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.calibration import Floats, bent, log_loss, softmax, sure_from
from wares.models.sentiment.decision import GLUE, Decision

Knots = list[tuple[list[float], list[float]]]
FOLDS = 5
FEWEST_FOR_CURVES = 500
FEWEST_IN_CELL = 40
SHRINK = 300
"""Texts whose word the threshold above has in a cell's own."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def fit_curves(p: Floats, labels: NDArray[np.int64]) -> Knots:
    """Isotonic curves of probabilities ``(n, c)``: one for each label, or one alone for two labels."""
    from sklearn.isotonic import IsotonicRegression

    knots: Knots = []
    for c in (1,) if p.shape[1] == 2 else range(p.shape[1]):
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p[:, c], labels == c)
        xs, ys = np.asarray(model.X_thresholds_), np.asarray(model.y_thresholds_)
        knots.append(([float(x) for x in xs], [float(y) for y in ys]))
    return knots


def choose_curves(
    p: Floats, labels: NDArray[np.int64], how: str, seed: int = 7
) -> tuple[Knots, dict[str, float]]:
    """Curves over what the temperature gives, or none: ``isotonic``, ``temperature``, or by log-loss in folds of validation (``auto``).

    Returns the curves and the log-loss of both ways in the folds.
    """
    if (
        how == "temperature"
        or (how == "auto" and len(labels) < FEWEST_FOR_CURVES)
        or len(np.unique(labels)) < 2
    ):
        return [], {}
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    curved = np.empty_like(p)
    for f in range(FOLDS):
        curved[fold == f] = bent(p[fold == f], fit_curves(p[fold != f], labels[fold != f]))
    losses = {name: log_loss(np.log(np.maximum(q, 1e-12)), labels) for name, q in (("temperature", p), ("isotonic", curved))}  # fmt: skip
    keep = how == "isotonic" or losses["isotonic"] < losses["temperature"]
    return (fit_curves(p, labels) if keep else []), losses


def fit_bias(logits: Floats, labels: NDArray[np.int64]) -> list[float]:
    """What to add to each label's logit so that the log-loss is least (bias-corrected calibration; Alexandari et al. 2020):
    training with weights moves them away from how often labels really come."""
    from scipy.optimize import minimize

    share = np.bincount(labels, minlength=logits.shape[1]) / len(labels)

    def loss(bias: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = logits + bias
        return log_loss(moved, labels), softmax(moved).mean(0) - share

    found = minimize(loss, np.zeros(logits.shape[1]), jac=True, method="L-BFGS-B").x
    return [float(b) for b in found - found.mean()]


def macro_f1(said: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    """Mean F1 over the labels that occur."""
    hit = np.bincount(labels[said == labels], minlength=classes)
    both = np.bincount(labels, minlength=classes) + np.bincount(said, minlength=classes)
    there = np.bincount(labels, minlength=classes) > 0
    return float((2 * hit / np.maximum(both, 1))[there].mean()) if there.any() else 0.0


def choose_offsets(p: Floats, labels: NDArray[np.int64]) -> list[float] | None:
    """Offsets of log-probabilities against how often labels come, as far as the macro-F1 on validation says; None for none."""
    share = np.maximum(np.bincount(labels, minlength=p.shape[1]), 1) / max(len(labels), 1)
    best, chosen = -1.0, 0.0
    for part in SHARES:
        found = macro_f1((np.log(np.maximum(p, 1e-12)) - part * np.log(share)).argmax(1), labels, p.shape[1])
        if found > best + 1e-9:
            best, chosen = found, part
    return [float(v) for v in -chosen * np.log(share)] if chosen else None


def cheapest_from(
    confidence: NDArray[np.float64], cost: NDArray[np.float64], abstain: float
) -> tuple[float, float]:
    """The confidence from which answering costs least, and the mean cost then: `cost (n,)` of each answer, `abstain` of none
    (Chow 1970, with the threshold taken from validation)."""
    if not len(cost):
        return 0.0, abstain
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(confidence[order][1:] < confidence[order][:-1], True)
    answered = np.arange(1, len(cost) + 1)
    total = np.where(ends, np.cumsum(cost[order]) + abstain * (len(cost) - answered), np.inf)
    at = int(total.argmin())
    if abstain * len(cost) < total[at]:
        return float(np.nextafter(1.0, 2.0)), abstain
    return float(confidence[order][at]), float(total[at] / len(cost))


def fit_decision(
    p: Floats, labels: NDArray[np.int64], languages: Sequence[str], groups: Sequence[str], *, precision: float,
    costs: NDArray[np.float64] | None = None, abstain: float | None = None, offsets: list[float] | None = None,
) -> tuple[Decision, float | None]:  # fmt: skip
    """Thresholds from validation: the least with `precision`, or with costs and the cost of no answer the cheapest.

    A language, and a category within it, has its own where it has enough texts, drawn towards the one above it by as many
    texts as `SHRINK`. Returns the decision and its mean cost, where costs are stated.
    """
    flat = None if costs is None or _plain(costs) else costs
    bare = Decision(0.0, None if offsets is None or flat is not None else np.array(offsets), flat)
    said, confidence = bare.said(p)
    each = np.zeros(len(labels)) if costs is None else costs[labels, said]

    def threshold(rows: NDArray[np.bool_]) -> float:
        if costs is not None and abstain is not None:
            return cheapest_from(confidence[rows], each[rows], abstain)[0]
        # Above one: nothing is sure. As a number that can be drawn towards another it is just above one.
        return sure_from_said(confidence[rows], said[rows] == labels[rows], precision)

    common = threshold(np.ones(len(labels), bool))
    cells: dict[str, float] = {}
    spoken = np.array(languages)
    named = np.array([f"{a}{GLUE}{b}" for a, b in zip(languages, groups, strict=True)]) if groups else None
    for language, n in Counter(languages).items():
        if n < FEWEST_IN_CELL:
            continue
        cells[language] = _drawn(threshold(spoken == language), n, common)
        if named is None:
            continue
        for cell, m in Counter(named[spoken == language].tolist()).items():
            if m >= FEWEST_IN_CELL:
                cells[cell] = _drawn(threshold(named == cell), m, cells[language])
    out = Decision(common, bare.offsets, flat, cells if len(cells) > 1 else {})
    if costs is None or abstain is None:
        return out, None
    sure = confidence >= out.thresholds(languages, groups or None)
    return out, float(np.where(sure, each, abstain).mean())


def sure_from_said(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """As `sure_from`, of answers ``(n,)`` that are right or not."""
    pair = np.column_stack([confidence, np.full(len(confidence), -1.0)])
    return sure_from(pair, np.where(right, 0, 1), precision)


def _plain(costs: NDArray[np.float64]) -> bool:
    """Whether every error costs the same and being right nothing: then probabilities alone decide."""
    off = costs[~np.eye(len(costs), dtype=bool)]
    return bool((np.diag(costs) == 0).all() and (off == off[0]).all())


def _drawn(own: float, n: int, above: float) -> float:
    return float((n * own + SHRINK * above) / (n + SHRINK))
