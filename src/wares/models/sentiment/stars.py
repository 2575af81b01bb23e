"""Stars as labels, and a number of stars as probabilities of them. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError

Floats = NDArray[np.float64]
NAMES = {2: ("negative", "positive"), 3: ("negative", "neutral", "positive")}
MOST_STEPS = 21


def stars_of(label: str, row: int, file: str = "") -> float:
    """A label as a number.

    Raises:
        QueryError: when it is none, with its row.
    """
    try:
        value = float(label)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise QueryError(
            f"row {row} of {file or 'the texts'} has the label {label[:40]!r}, which is no number of stars",
            mend="Take the row out, or leave out --classes and --task", parameter="label", row=row,
        )  # fmt: skip
    return value


def joined(label: str, classes: int, row: int, file: str = "") -> str | None:
    """Stars 1 to 5 as one of two or three labels, or rounded as one of five; None where two labels leave the middle out.

    Raises:
        QueryError: when the label is no number from 1 to 5.
    """
    value = stars_of(label, row, file)
    if not 1 <= value <= 5:
        raise QueryError(
            f"row {row} of {file or 'the texts'} has {label} stars; --classes reads 1 to 5",
            mend="Take the row out, or leave out --classes", parameter="label", row=row,
        )  # fmt: skip
    if classes == 5:
        return str(round(value))
    if 2 < value < 4:
        return "neutral" if classes == 3 else None
    return "negative" if value <= 2 else "positive"


def steps_of(values: Sequence[float]) -> tuple[str, ...]:
    """Whole numbers from the least to the largest value, as labels.

    Raises:
        QueryError: when there is one alone, or there are too many.
    """
    low, high = int(np.floor(min(values))), int(np.ceil(max(values)))
    if low == high or high - low >= MOST_STEPS:
        raise QueryError(
            f"the labels go from {low} to {high}", mend=f"Regression needs at least two and at most {MOST_STEPS} whole steps", parameter="label",
        )  # fmt: skip
    return tuple(str(n) for n in range(low, high + 1))


def logits_of(values: Floats, names: Sequence[str], spread: float) -> Floats:
    """Log-probabilities ``(n, c)`` of the steps around each number ``(n,)``: a logistic error of `spread`, cut half-way
    between steps."""
    steps = np.array([float(name) for name in names])
    edges = np.concatenate([[-np.inf], (steps[1:] + steps[:-1]) / 2, [np.inf]])
    below = 1 / (1 + np.exp(-np.clip((edges[None, :] - values[:, None]) / spread, -40, 40)))
    return np.log(np.maximum(np.diff(below, axis=1), 1e-12))
