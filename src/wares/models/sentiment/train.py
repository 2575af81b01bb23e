"""Train a classifier of texts on labelled ones, calibrate it, and write it as an artefact."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.sentiment.calibration import Floats, expected_error, fit_blend, softmax, sure_from
from wares.models.sentiment.infer import KIND, moods_of, sum_of
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.linear_train import choose_linear, fit_linear, matrix
from wares.models.sentiment.prepare import bags, prepared
from wares.models.sentiment.text_infer import TextPart
from wares.models.sentiment.text_train import TextOptions, train_text

Say = Callable[[str], None]
PRECISION = 0.99


def train_sentiment(
    train: LabelledTexts, valid: LabelledTexts, folder: Path, precision: float = PRECISION, text: TextOptions | None = None,
    progress: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Write the artefact into `folder`; returns what was chosen and how well it does on `valid`.

    A linear model over n-grams and, where `text` names an encoder that can read the texts, that encoder fine-tuned; they are
    blended as validation says. Settings and factors come from models of `train` alone judged on `valid`; the linear one
    that is written learns from both. Verdicts below the threshold, from which `precision` of the validation answers are right, are not sure.

    Raises:
        QueryError: when a label has no text to learn from.
    """
    begun = time.monotonic()
    names = train.names
    counts = np.bincount(train.labels, minlength=len(names))
    if len(names) < 2 or not counts.all():
        missing = [name for name, n in zip(names, counts, strict=True) if not n]
        raise QueryError(
            f"there is nothing to learn from for {', '.join(missing)}" if missing else f"all texts have one label, {names[0]!r}",
            mend="Give texts of at least two labels, and some of each", parameter="label",
        )  # fmt: skip
    progress("linear: n-grams")
    x, v = matrix(*bags(train.texts)), matrix(*bags(valid.texts))
    choice, _, logits = choose_linear((x, train.labels), (v, valid.labels), len(names), progress)
    tuned = train_text(train, valid, folder, text or TextOptions(), progress)
    parts: dict[str, Floats] = {"linear": logits}
    if not tuned.why:
        progress("text: validation")
        parts["text"] = TextPart(folder).logits(valid.texts)
    factors = dict(zip(parts, fit_blend(list(parts.values()), valid.labels), strict=True))
    p = softmax(sum_of(parts, factors))
    threshold = sure_from(p, valid.labels, precision)
    progress("linear: all texts")
    both = matrix(*bags([*train.texts, *valid.texts]))
    labels = np.concatenate([train.labels, valid.labels])
    fit_linear(both, labels, len(names), choice).save(folder)
    moods = moods_of(names)
    facts: dict[str, Any] = {
        "labels": list(names), "factors": factors, "threshold": min(threshold, 2.0), "precision": precision,
        "moods": None if moods is None else moods.tolist(), "linear": {"scaling": choice.scaling, "strength": choice.strength},
        "texts": len(labels), "counts": np.bincount(labels, minlength=len(names)).tolist(),
    }  # fmt: skip
    seal(folder, KIND, **facts)
    return {
        **facts,
        "blank": sum(not prepared(text) for text in train.texts),
        "valid": {
            "texts": len(valid), "accuracy": float((p.argmax(1) == valid.labels).mean()), "ece": expected_error(p, valid.labels),
            "parts": {
                name: {"accuracy": float((found.argmax(1) == valid.labels).mean()), "ece_uncalibrated": expected_error(softmax(found), valid.labels)}
                for name, found in parts.items()
            },
        },
        "text": asdict(tuned),
        "minutes": (time.monotonic() - begun) / 60,
    }  # fmt: skip
