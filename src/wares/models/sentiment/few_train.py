"""A classifier from few labels: 8 to 64 texts of each, and nothing else. An encoder as it is with a layer over it, n-grams, or both.

What is used, and how strongly it is held back, is chosen by cross-validation inside those texts, and so is the calibration: no
further labels are looked at. The frozen vectors with a logistic regression are the second step of SetFit (Tunstall et al.,
*Efficient Few-Shot Learning Without Prompts*, 2022), without its first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.sentiment.calibration import (
    Floats,
    fit_blend,
    fit_temperature,
    log_loss,
    softmax,
    sure_from,
)
from wares.models.sentiment.frozen_train import STRENGTHS, FrozenVectors, fit_layer, said_by
from wares.models.sentiment.infer import KIND, moods_of, sum_of
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.linear_train import SCALINGS, Choice, fit_linear, logits_of, matrix
from wares.models.sentiment.prepare import bags

Say = Callable[[str], None]
FOLDS, ROUNDS = 4, 2
LINEAR_STRENGTHS = (1.0, 16.0)
LEAST = 2
"""Texts of each label without which nothing can be held back."""


def sample_shots(rows: LabelledTexts, shots: int, seed: int) -> LabelledTexts:
    """`shots` texts of each label, drawn by `seed`.

    Raises:
        QueryError: when a label has fewer.
    """
    rng = np.random.default_rng(seed)
    picked: list[NDArray[np.int64]] = []
    for c, name in enumerate(rows.names):
        there = np.flatnonzero(rows.labels == c)
        if len(there) < shots:
            raise QueryError(
                f"the label {name!r} has {len(there)} texts, fewer than {shots} shots",
                mend="Ask for fewer, or give more texts", parameter="shots",
            )  # fmt: skip
        picked.append(rng.choice(there, shots, replace=False))
    return rows.some(np.sort(np.concatenate(picked)))


def train_few(
    shots: LabelledTexts, folder: Path, frozen: FrozenVectors | None = None, precision: float = 0.99, seed: int = 7,
    progress: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Write an artefact learned from `shots` alone; returns what was chosen. Without `frozen` vectors, n-grams alone.

    Raises:
        QueryError: when a label has fewer than two texts.
    """
    begun = time.monotonic()
    shots = shots.neutral()
    classes = len(shots.names)
    counts = np.bincount(shots.labels, minlength=classes)
    if classes < 2 or counts.min() < LEAST:
        raise QueryError(f"few-shot training needs at least two labels of {LEAST} texts each", mend="Label some more", parameter="shots")  # fmt: skip
    folds = _folds(shots.labels, min(FOLDS, int(counts.min())), seed)
    x = matrix(*bags(shots.texts))
    progress("few: n-grams")
    choice, linear = _best_linear(x, shots.labels, classes, folds)
    parts = {"linear": linear}
    strength = None
    vectors = None if frozen is None else frozen.of(shots.texts, progress)
    if vectors is not None:
        progress("few: vectors")
        strength, parts["text"] = _best_layer(vectors, shots.labels, classes, folds)
    factors, used = _blend(parts, shots.labels)
    fit_linear(x, shots.labels, classes, choice).save(folder)
    if frozen is not None and vectors is not None and strength is not None and factors.get("text"):
        frozen.save(folder, fit_layer(vectors, shots.labels, classes, strength))
    p = softmax(sum_of({name: parts[name] for name in factors}, factors))
    moods = moods_of(shots.names)
    facts: dict[str, Any] = {
        "labels": list(shots.names), "factors": factors, "threshold": min(sure_from(p, shots.labels, precision), 2.0),
        "precision": precision, "moods": None if moods is None else moods.tolist(),
        "linear": {"scaling": choice.scaling, "strength": choice.strength}, "texts": len(shots), "counts": counts.tolist(), "source": "shots", "neutral": True,
    }  # fmt: skip
    seal(folder, KIND, **facts)
    inside = {name: float((part.argmax(1) == shots.labels).mean()) for name, part in parts.items()}
    return {
        **facts,
        "used": used,
        "inside": inside,
        "layer": strength,
        "minutes": (time.monotonic() - begun) / 60,
    }


def _folds(labels: NDArray[np.int64], folds: int, seed: int) -> list[NDArray[np.int64]]:
    """The fold of each text, in several rounds; each label is spread over all folds."""
    rng = np.random.default_rng(seed)
    out: list[NDArray[np.int64]] = []
    for _ in range(ROUNDS):
        fold = np.zeros(len(labels), np.int64)
        for c in np.unique(labels):
            there = np.flatnonzero(labels == c)
            fold[there] = rng.permutation(len(there)) % folds
        out.append(fold)
    return out


def _held_back(
    fit: Callable[[NDArray[np.bool_]], Callable[[NDArray[np.bool_]], Floats]], n: int, classes: int, folds: list[NDArray[np.int64]]
) -> Floats:  # fmt: skip
    """Logits ``(n, c)`` of each text by models of the others, the mean over the rounds."""
    out = np.zeros((n, classes))
    for fold in folds:
        for f in range(int(fold.max()) + 1):
            inside = fold == f
            out[inside] += fit(~inside)(inside) / len(folds)
    return out


def _best_linear(
    x: Any, labels: NDArray[np.int64], classes: int, folds: list[NDArray[np.int64]]
) -> tuple[Choice, Floats]:
    found: list[tuple[float, Choice, Floats]] = []
    for choice in (Choice(scaling, strength) for scaling in SCALINGS for strength in LINEAR_STRENGTHS):

        def fit(rows: NDArray[np.bool_], choice: Choice = choice) -> Callable[[NDArray[np.bool_]], Floats]:
            model = fit_linear(x[rows], labels[rows], classes, choice)
            return lambda held: logits_of(model, x[held])

        logits = _held_back(fit, len(labels), classes, folds)
        found.append((_loss(logits, labels), choice, logits))
    return min(found, key=lambda one: one[0])[1:]


def _best_layer(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], classes: int, folds: list[NDArray[np.int64]]
) -> tuple[float, Floats]:
    found: list[tuple[float, float, Floats]] = []
    for strength in STRENGTHS:

        def fit(rows: NDArray[np.bool_], strength: float = strength) -> Callable[[NDArray[np.bool_]], Floats]:
            layer = fit_layer(vectors[rows], labels[rows], classes, strength)
            return lambda held: said_by(layer, vectors[held])

        logits = _held_back(fit, len(labels), classes, folds)
        found.append((_loss(logits, labels), strength, logits))
    return min(found, key=lambda one: one[0])[1:]


def _softened(logits: Floats, labels: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Each text many times with its label and once with each other one: few texts are no proof that a model never errs."""
    n, classes = logits.shape
    times = max(2, n // 2)
    rows = np.repeat(np.arange(n), times + classes)
    said = np.column_stack([np.repeat(labels[:, None], times, 1), np.tile(np.arange(classes), (n, 1))]).ravel()  # fmt: skip
    return logits[rows], said


def _loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    many, said = _softened(logits, labels)
    return log_loss(many / fit_temperature(many, said), said)


def _blend(parts: dict[str, Floats], labels: NDArray[np.int64]) -> tuple[dict[str, float], str]:
    """Factors of the parts: of one alone or of both with like weight, whichever has the least loss held back. The linear part
    has a factor of zero where it is not used, for an artefact always has it."""
    ways: dict[str, dict[str, float]] = {}
    for name, part in parts.items():
        many, said = _softened(part, labels)
        ways[name] = {name: fit_blend([many], said)[0]}
    if len(parts) > 1:
        # Weights of their own would be chosen on too few texts.
        each = {name: way[name] for name, way in ways.items()}
        many, said = _softened(sum_of(parts, each), labels)
        sharp = 1 / fit_temperature(many, said)
        ways["both"] = {name: sharp * factor for name, factor in each.items()}

    def loss(way: str) -> float:
        many, said = _softened(sum_of({n: parts[n] for n in ways[way]}, ways[way]), labels)
        return log_loss(many, said)

    used = min(ways, key=loss)
    return {"linear": 0.0, **ways[used]}, used
