"""Distil a classifier into a small one that answers sooner: it learns the teacher's probabilities, also of texts without labels.

Method: Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015. The student is the n-gram model alone, or the
first layers of the encoder fine-tuned again beside it. Of texts with labels half of the target is the label: a teacher knows
its own training texts by heart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.sentiment.calibration import (
    Floats,
    expected_error,
    fit_temperature,
    log_loss,
)
from wares.models.sentiment.infer import KIND, Sentiment
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.linear_train import (
    SCALINGS,
    STRENGTHS,
    Choice,
    fit_linear,
    logits_of,
    matrix,
    scale_of,
)
from wares.models.sentiment.options import TrainOptions
from wares.models.sentiment.prepare import bags
from wares.models.sentiment.text_infer import TextPart
from wares.models.sentiment.text_train import train_text
from wares.models.sentiment.train import calibrate

STUDENTS = ("ngrams", "layers")
LABEL_SHARE = 0.5
LEAST_PART = 0.02
"""Probabilities below it are not worth a row."""
TIMED = 200
Say = Callable[[str], None]


def distil(
    teacher: Path, train: LabelledTexts, valid: LabelledTexts, folder: Path, student: str, options: TrainOptions, unlabelled: Sequence[str] = (),
    progress: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Write the student of the artefact in `teacher` into `folder`; returns how well it does on `valid`, how often it agrees
    with its teacher there, and what both weigh. How well the teacher does on `valid` its own training says: the n-grams that
    were written have learned from these texts.

    `ngrams` keeps no encoder; `layers` keeps the first ``options.text.layers`` of the encoder named there.

    Raises:
        QueryError: for an unknown student, a teacher with other labels or of numbers.
        ConfigError: when the encoder has fewer layers.
    """
    if student not in STUDENTS:
        raise QueryError(f"there is no student {student!r}", mend=f"Use one of {', '.join(STUDENTS)}", parameter="distil")  # fmt: skip
    begun = time.monotonic()
    model = Sentiment(teacher, options.text.threads)
    if model.spread is not None or model.labels != train.names:
        raise QueryError("the teacher has other labels, or is a regression", mend="Distil a classifier with the labels of the training file", parameter="distil")  # fmt: skip
    progress("distil: the teacher reads")
    hard = np.eye(len(train.names))[train.labels]
    soft = LABEL_SHARE * hard + (1 - LABEL_SHARE) * model.probabilities(train.texts)
    free = list(unlabelled)
    targets = np.concatenate([soft, model.probabilities(free)]) if free else soft
    texts = [*train.texts, *free]
    rows = LabelledTexts(texts, targets.argmax(1), train.names, targets)
    if options.neutral:
        rows, valid = rows.neutral(), valid.neutral()
    progress("distil: n-grams")
    linear, choice, logits = _linear(rows, valid)
    parts: dict[str, Floats] = {"linear": logits}
    told: dict[str, Any] = {}
    if student == "layers":
        tuned = train_text(rows, valid, folder, replace(options.text, layers=options.text.layers or 3), progress)  # fmt: skip
        told = asdict(tuned)
        if not tuned.why:
            parts["text"] = TextPart(folder).logits(valid.texts)
    facts, p, _ = calibrate(parts, valid, options)
    linear.save(folder)
    facts |= {
        "neutral": options.neutral, "labels": list(train.names), "precision": options.precision, "moods": model.manifest["moods"],
        "linear": {"scaling": choice.scaling, "strength": choice.strength}, "texts": len(texts), "counts": np.bincount(rows.labels, minlength=len(train.names)).tolist(),
        "distilled": {"teacher": model.manifest["hash"], "student": student, "unlabelled": len(free)},
    }  # fmt: skip
    seal(folder, KIND, **facts)
    progress("distil: both are timed")
    q = model.probabilities(valid.texts)
    return {
        **facts, "text": told, "minutes": (time.monotonic() - begun) / 60,
        "teacher": _weight(teacher, valid.texts),
        "student": {**_figures(p, valid), **_weight(folder, valid.texts)},
        "agree": float((p.argmax(1) == q.argmax(1)).mean()),
    }  # fmt: skip


def _linear(rows: LabelledTexts, valid: LabelledTexts) -> tuple[Linear, Choice, Floats]:
    """The n-gram model that learns probabilities: each text once for each label, as heavy as that is probable."""
    import scipy.sparse as sp

    assert rows.targets is not None
    x, v = matrix(*bags(rows.texts)), matrix(*bags(valid.texts))
    classes = len(rows.names)
    there = [np.flatnonzero(rows.targets[:, c] >= LEAST_PART) for c in range(classes)]
    many = sp.vstack([x[at] for at in there]).tocsr()
    labels = np.repeat(np.arange(classes), [len(at) for at in there])
    weights = np.concatenate([rows.targets[at, c] for c, at in enumerate(there)])
    best: tuple[float, Linear, Choice, Floats] | None = None
    for scaling in SCALINGS:
        scale = scale_of(x, rows.labels, classes, scaling)
        for strength in STRENGTHS:
            choice = Choice(scaling, strength)
            model = fit_linear(many, labels, classes, choice, weights, scale)
            logits = logits_of(model, v)
            loss = log_loss(logits / fit_temperature(logits, valid.labels), valid.labels)
            if best is None or loss < best[0]:
                best = (loss, model, choice, logits)
    assert best is not None
    return best[1:]


def _figures(p: NDArray[np.float64], valid: LabelledTexts) -> dict[str, float]:
    return {
        "accuracy": float((p.argmax(1) == valid.labels).mean()),
        "ece": expected_error(p, valid.labels),
        "log_loss": log_loss(np.log(np.maximum(p, 1e-12)), valid.labels),
    }


def _weight(folder: Path, texts: Sequence[str]) -> dict[str, float]:
    """What an artefact weighs on disk, and how long one text takes."""
    model = Sentiment(folder)
    took: list[float] = []
    for text in texts[:TIMED]:
        begun = time.perf_counter()
        model.read([text])
        took.append(1000 * (time.perf_counter() - begun))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"megabytes": size / 2**20, "single_p50_ms": float(np.median(took))}
