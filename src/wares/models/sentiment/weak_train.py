"""A classifier from stars alone: weak labels, their noise estimated, doubtful rows weighed down. N-grams, no encoder, no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import MissingExtra, QueryError
from wares.models.sentiment.calibration import (
    Floats,
    expected_error,
    fit_temperature,
    softmax,
    sure_from,
)
from wares.models.sentiment.infer import KIND, moods_of
from wares.models.sentiment.linear_train import Choice, choose_linear, fit_linear, logits_of, matrix
from wares.models.sentiment.neutral import neutral
from wares.models.sentiment.prepare import bags
from wares.models.sentiment.stars import NAMES

Say = Callable[[str], None]
FOLDS = 3
FEWEST = 20
"""Texts that a label must have to be learned."""
CHOOSE = 6000
"""Texts on which the linear part's settings are chosen."""
LIGHT = 0.1
"""What a row that is surely mislabelled still weighs."""


def train_from_stars(
    texts: Sequence[str], stars: Sequence[float] | NDArray[Any], folder: Path, *, counted: NDArray[np.bool_] | None = None,
    precision: float = 0.99, seed: int = 7, progress: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Write an artefact that `wares.models.sentiment.infer.Sentiment` reads; returns its facts with the noise found.

    Stars of 1 to 5 are negative (up to 2), neutral and positive (from 4). Rows without stars, without a text, or not `counted
    (n,)` (copies, spam) are left out; the neutral label too where fewer than `FEWEST` texts have it. Every text is judged by
    a model of other texts; confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021) estimates from that how often
    stars say another label than the text does, and rows that it doubts weigh as much as their label is probable.
    Probabilities are calibrated on those judgements, that is, to the stars as given.

    Raises:
        QueryError: when fewer than two labels have `FEWEST` texts, or the lists differ in length.
        MissingExtra: without cleanlab and scikit-learn.
    """
    begun = time.monotonic()
    value = np.asarray(stars, np.float64)
    if len(value) != len(texts):
        raise QueryError(f"{len(texts)} texts have {len(value)} stars", mend="Give one for each, NaN where there is none", parameter="stars")  # fmt: skip
    ready = [neutral(text) for text in texts]
    usable = np.isfinite(value) & (value >= 1) & (value <= 5) & np.array([bool(t) for t in ready], bool)
    if counted is not None:
        usable &= counted
    label = np.where(value <= 2, 0, np.where(value < 4, 1, 2))
    names, keep = NAMES[3], usable
    counts = np.bincount(label[usable], minlength=3)
    if counts[1] < FEWEST:
        names, keep = NAMES[2], usable & (label != 1)
    rows = np.flatnonzero(keep)
    labels = label[rows].astype(np.int64)
    if len(names) == 2:
        labels = labels // 2
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < FEWEST:
        raise QueryError(
            f"stars say {', '.join(f'{n} {name}' for n, name in zip(counts, names, strict=True))}: too few to learn from",
            mend=f"Give at least {FEWEST} texts with at most 2 stars and as many with at least 4", parameter="stars",
        )  # fmt: skip
    progress("stars: n-grams")
    said = [ready[i] for i in rows]
    x = matrix(*bags(said))
    choice, logits = _judged(x, labels, said, len(names), seed, progress)
    temperature = fit_temperature(logits, labels)
    p = softmax(logits / temperature)
    progress("stars: noise")
    noise, doubted = _noise(p, labels, names)
    weights = np.where(doubted, np.maximum(p[np.arange(len(labels)), labels], LIGHT), 1.0)
    progress("stars: all texts")
    fit_linear(x, labels, len(names), choice, weights).save(folder)
    moods = moods_of(names)
    assert moods is not None
    facts: dict[str, Any] = {
        "labels": list(names), "factors": {"linear": 1 / temperature}, "threshold": min(sure_from(p, labels, precision), 2.0),
        "precision": precision, "moods": moods.tolist(), "linear": {"scaling": choice.scaling, "strength": choice.strength},
        "texts": len(labels), "counts": counts.tolist(), "source": "stars", "neutral": True, "noise": noise,
        "valid": {"texts": len(labels), "accuracy": float((p.argmax(1) == labels).mean()), "ece": expected_error(p, labels)},
    }  # fmt: skip
    seal(folder, KIND, **facts)
    return {**facts, "left_out": len(texts) - len(labels), "minutes": (time.monotonic() - begun) / 60}


def _judged(
    x: Any, labels: NDArray[np.int64], texts: Sequence[str], classes: int, seed: int, progress: Say
) -> tuple[Choice, Floats]:
    """Settings, and logits ``(n, c)`` of each text by a model of other texts; equal texts are judged together."""
    order: dict[str, int] = {}
    draw = np.random.default_rng(seed).permutation(len(texts))
    each = np.array([order.setdefault(text, len(order)) for text in texts])
    fold = draw[each] % FOLDS
    some = np.flatnonzero(fold != 0)[:CHOOSE]
    held = np.flatnonzero(fold == 0)[: CHOOSE // 2]
    choice = Choice("rarity", 1.0)
    if all(len(np.unique(labels[part])) == classes for part in (some, held)):
        choice = choose_linear((x[some], labels[some]), (x[held], labels[held]), classes, progress)[0]
    logits = np.zeros((len(labels), classes))
    for f in range(FOLDS):
        progress(f"stars: fold {f + 1} of {FOLDS}")
        inside = fold == f
        if inside.any():
            logits[inside] = logits_of(fit_linear(x[~inside], labels[~inside], classes, choice), x[inside])
    return choice, logits


def _noise(
    p: Floats, labels: NDArray[np.int64], names: Sequence[str]
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """How often stars say another label than the text, for each label that a text truly has, and the rows in doubt ``(n,)``."""
    try:
        from cleanlab.count import compute_confident_joint, estimate_joint
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise MissingExtra("estimating the noise of stars", "govern") from error
    counted: Any = compute_confident_joint(labels, p)
    joint = estimate_joint(labels, p, confident_joint=counted)
    given = joint / np.maximum(joint.sum(0, keepdims=True), 1e-12)
    doubted = np.asarray(find_label_issues(labels, p, filter_by="both", n_jobs=1), bool)
    return {
        "share": float(1 - np.trace(joint)), "doubted": int(doubted.sum()),
        "given_if_truly": {names[c]: {names[g]: float(given[g, c]) for g in range(len(names))} for c in range(len(names))},
    }, doubted  # fmt: skip
