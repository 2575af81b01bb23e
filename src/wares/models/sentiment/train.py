"""Train a classifier of texts on labelled ones, calibrate it, and write it as an artefact."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.sentiment.calibration import expected_error, fit_temperature, softmax, sure_from
from wares.models.sentiment.infer import KIND, moods_of
from wares.models.sentiment.linear_train import choose_linear, fit_linear, matrix
from wares.models.sentiment.prepare import bags, prepared

Say = Callable[[str], None]
PRECISION = 0.99


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and the place of each one's label in `names`."""

    texts: list[str]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def some(self, rows: NDArray[Any]) -> LabelledTexts:
        """The texts of a mask or of row numbers."""
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        return LabelledTexts([self.texts[int(i)] for i in at], self.labels[at], self.names)


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels: from bad to good where they say so, else by name."""
    distinct = sorted(set(names))
    moods = moods_of(distinct)
    return tuple(distinct if moods is None else [distinct[int(i)] for i in np.argsort(moods, kind="stable")])


def train_sentiment(
    train: LabelledTexts, valid: LabelledTexts, folder: Path, precision: float = PRECISION, progress: Say = lambda _: None
) -> dict[str, Any]:  # fmt: skip
    """Write the artefact into `folder`; returns what was chosen and how well it does on `valid`.

    The settings and the temperature come from a model of `train` alone judged on `valid`; the one that is written learns from
    both. Verdicts below the threshold, from which `precision` of the validation answers are right, are not sure.

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
    temperature = fit_temperature(logits, valid.labels)
    p = softmax(logits / temperature)
    threshold = sure_from(p, valid.labels, precision)
    progress("linear: all texts")
    both = matrix(*bags([*train.texts, *valid.texts]))
    labels = np.concatenate([train.labels, valid.labels])
    fit_linear(both, labels, len(names), choice).save(folder)
    moods = moods_of(names)
    facts: dict[str, Any] = {
        "labels": list(names), "temperature": temperature, "threshold": min(threshold, 2.0), "precision": precision,
        "moods": None if moods is None else moods.tolist(), "linear": {"scaling": choice.scaling, "strength": choice.strength},
        "texts": len(labels), "counts": np.bincount(labels, minlength=len(names)).tolist(),
    }  # fmt: skip
    seal(folder, KIND, **facts)
    return {
        **facts,
        "blank": sum(not prepared(text) for text in train.texts),
        "valid": {
            "texts": len(valid), "accuracy": float((p.argmax(1) == valid.labels).mean()), "ece": expected_error(p, valid.labels),
            "ece_uncalibrated": expected_error(softmax(logits), valid.labels),
        },
        "minutes": (time.monotonic() - begun) / 60,
    }  # fmt: skip
