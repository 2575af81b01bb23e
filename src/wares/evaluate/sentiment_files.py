"""Labelled texts out of files, and how they are split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.files import read_json
from wares.features.pair_files import columns_of
from wares.models.sentiment.labelled import LabelledTexts, ordered
from wares.models.sentiment.options import TrainOptions, plain_costs
from wares.models.sentiment.prepare import prepared
from wares.models.sentiment.stars import joined, stars_of, steps_of
from wares.models.sentiment.text_train import TextOptions

VALID = 0.1
CLASSES = (0, 2, 3, 5)


@dataclass(frozen=True)
class SentimentTask:
    """Files, columns and how to split. Without `test` a tenth of the texts by hash, or with `folds` each fold once.

    `by` names a column to score by, whose values have thresholds of their own. Labels that are stars become two, three or
    five `classes`, or with `numbers` stay numbers. `costs` names a JSON file of what it costs to say one label for another.
    """

    train: tuple[Path, ...]
    valid: Path | None = None
    test: Path | None = None
    text: str = "text"
    label: str = "label"
    by: str = ""
    folds: int = 0
    seed: int = 7
    precision: float = 0.99
    save: Path | None = None
    encoder: TextOptions = field(default_factory=TextOptions)
    classes: int = 0
    numbers: bool = False
    weights: str = "none"
    calibration: str = "auto"
    cost_wrong: float | None = None
    cost_abstain: float | None = None
    costs: Path | None = None
    noisy: bool = False

    def options(self, names: Sequence[str]) -> TrainOptions:
        """How to train on labels `names`.

        Raises:
            QueryError: for costs that do not name each label, or one cost without the other.
        """
        costs = None
        if self.costs is not None:
            costs = read_costs(self.costs, names)
        elif self.cost_wrong is not None:
            costs = plain_costs(self.cost_wrong, len(names))
        if self.cost_abstain is not None and costs is None:
            raise QueryError(
                "what does an error cost?", mend="Add --cost-wrong or --costs", parameter="cost_wrong"
            )
        if self.cost_wrong is not None and self.cost_abstain is None:
            raise QueryError(
                "what does it cost not to answer?", mend="Add --cost-abstain", parameter="cost_abstain"
            )
        return TrainOptions(
            self.precision, self.weights, self.calibration, costs, self.cost_abstain, self.numbers, self.noisy, text=self.encoder
        )  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Rows of files: texts, label names, and the value of the column to slice by; `left_out` rows have stars that no class takes."""

    texts: list[str]
    labels: list[str]
    by: list[str]
    left_out: int = 0

    def some(self, mask: NDArray[np.bool_]) -> Texts:
        """The rows of a mask."""
        at = np.flatnonzero(mask).tolist()
        return Texts([self.texts[i] for i in at], [self.labels[i] for i in at], [self.by[i] for i in at])


def read_texts(paths: Sequence[Path], task: SentimentTask) -> Texts:
    """Rows with a label; a row without a text is kept, one without a label is refused.

    Raises:
        QueryError: when a column is missing, or a label is blank or no number of stars where it must be one (with its row).
        SourceError: when a file cannot be read.
    """
    if task.classes not in CLASSES:
        raise QueryError(
            f"stars cannot become {task.classes} classes", mend="Use 2, 3 or 5", parameter="classes"
        )
    if task.classes and task.numbers:
        raise QueryError(
            "classes of stars and regression to stars are two things",
            mend="Leave one out",
            parameter="classes",
        )
    out, left = Texts([], [], []), 0
    for path in paths:
        table = columns_of(path, (task.text, task.label, *((task.by,) if task.by else ())))
        by = table[task.by] if task.by else [""] * len(table[task.text])
        for row, (text, label, group) in enumerate(
            zip(table[task.text], table[task.label], by, strict=True), 1
        ):
            name: str | None = label.strip()
            if not name:
                raise QueryError(
                    f"row {row} of {path.name} has no label",
                    mend="Take rows without a label out", parameter=task.label, row=row,
                )  # fmt: skip
            if task.classes:
                name = joined(name, task.classes, row, path.name)
            elif task.numbers:
                stars_of(name, row, path.name)
            if name is None:
                left += 1
                continue
            out.texts.append(text)
            out.labels.append(_name(name))
            out.by.append(group)
    if not out.labels:
        raise QueryError(
            "there are no texts to train on: all have three stars", mend="Give other rows, or ask for 3 classes", parameter="file",
        )  # fmt: skip
    return Texts(out.texts, out.labels, out.by, left)


def read_costs(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    """``{"truth": {"said": cost}}`` as a table ``(c, c)``; what is not named costs nothing where it is right.

    Raises:
        QueryError: when the file is no such table, or an error between two labels has no cost.
    """
    mend = '{"TRUTH": {"SAID": COST, …}, …} with every pair of labels: ' + ", ".join(names)
    try:
        found = read_json(path)
        return np.array([[0.0 if a == b and b not in found.get(a, {}) else float(found[a][b]) for b in names] for a in names])  # fmt: skip
    except (ValueError, TypeError, AttributeError) as error:
        raise QueryError(f"{path.name} holds no costs: {error}", mend=mend, parameter="costs") from None
    except KeyError as error:
        raise QueryError(f"{path.name} lacks a cost of {error}", mend=mend, parameter="costs") from None


def _name(label: str) -> str:
    """The label as a name: 1.0 is 1, as a file with a gap in the column writes it."""
    return label.removesuffix(".0") if label.endswith(".0") and label[:-2].lstrip("-").isdigit() else label


def share_of(text: str, seed: int) -> float:
    """A number in 0..1 from what a text says, so that equal texts fall on one side of every split."""
    mark = hashlib.blake2b(f"{seed}\x1f{prepared(text)}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(mark.digest(), "big") / 2**64


def labelled(
    rows: Texts, names: tuple[str, ...], task: SentimentTask, place: str = "the file"
) -> LabelledTexts:
    """Rows with the places of their labels; of numbers the nearest step, with the number as the target.

    Raises:
        QueryError: when a label is none of `names` (with its row).
    """
    groups = tuple(rows.by) if task.by else ()
    if task.numbers:
        values = np.array([float(name) for name in rows.labels])
        steps = np.array([float(name) for name in names])
        near = np.abs(values[:, None] - steps[None, :]).argmin(1)
        return LabelledTexts(rows.texts, near.astype(np.int64), names, values[:, None], groups)
    at = {name: i for i, name in enumerate(names)}
    unknown = [i for i, name in enumerate(rows.labels) if name not in at]
    if unknown:
        first = unknown[0]
        raise QueryError(
            f"row {first + 1} of {place} has the label {rows.labels[first]!r}, which no training text has ({len(unknown)} such rows)",
            mend=f"Labels to learn: {', '.join(names[:20])}", parameter=task.label, row=first + 1,
        )  # fmt: skip
    return LabelledTexts(rows.texts, np.array([at[n] for n in rows.labels], np.int64), names, None, groups)


def names_of(rows: Texts, task: SentimentTask) -> tuple[str, ...]:
    """The labels of rows in their order."""
    return steps_of([float(name) for name in rows.labels]) if task.numbers else ordered(rows.labels)


def parts_of(task: SentimentTask, rows: Texts, test: Texts) -> tuple[LabelledTexts, LabelledTexts, int]:
    """Texts to train on and to choose on, without those that the test holds, and how many these were.

    Raises:
        QueryError: when nothing is left, or the validation file has labels of its own.
    """
    names = names_of(rows, task)
    if len(names) < 2:
        raise QueryError(
            f"all texts have one label, {next(iter(names), '')!r}", mend="Give texts of at least two labels", parameter=task.label,
        )  # fmt: skip
    known = {prepared(text) for text in test.texts}
    own = np.array([prepared(text) not in known for text in rows.texts], bool)
    every = labelled(rows, names, task)
    if task.valid is not None:
        train = every.some(own)
        valid = labelled(read_texts([task.valid], task), names, task, task.valid.name)
    else:
        shares = np.array([share_of(text, task.seed + 1) for text in rows.texts])
        train, valid = every.some(own & (shares >= VALID)), every.some(own & (shares < VALID))
    if not len(valid) or not len(train):
        raise QueryError("there are too few texts to train on and to hold any back", mend="Give more rows, or --valid", parameter="file")  # fmt: skip
    return train, valid, int((~own).sum())


def memory_of_bags() -> Any:
    """`wares.models.sentiment.prepare.bags` that takes each text apart once, for trainings on overlapping texts."""
    from wares.models.sentiment.prepare import buckets

    held: dict[str, NDArray[np.int32]] = {}

    def bags(texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
        for text in texts:
            if text not in held:
                held[text] = buckets(text).astype(np.int32)
        rows = [held[text] for text in texts]
        ptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
        return (np.concatenate(rows) if rows else np.zeros(0, np.int32)), ptr

    return bags
