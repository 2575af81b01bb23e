"""Files of labelled aspects: a row an aspect (sentence, aspect, polarity), or a line a text with all that it says."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wares.core.config import SourceConfig
from wares.core.errors import QueryError
from wares.data.mapping import text_of
from wares.data.sources import read_file
from wares.features.pair_files import columns_of
from wares.models.sentiment.aspect_labelled import NULL, AspectRows, Quad, QuadTexts, Reviews, place_of
from wares.models.sentiment.infer import moods_of
from wares.models.sentiment.labelled import ordered

SENTENCE, TEMPLATE, ASPECT, POLARITY = "sentence", "template", "aspect", "polarity"
HOLE = "$T$"
MOST_TERM = 500
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a file with a row for each aspect."""

    sentence: str = SENTENCE
    template: str = TEMPLATE
    aspect: str = ASPECT
    polarity: str = POLARITY


def has_quads(path: Path) -> bool:
    """Whether a file has a line for each text, with a list `labels`."""
    for chunk in read_file(path, SourceConfig.model_validate({"as": "products", "path": str(path)})):
        return {"text", "labels"} <= set(chunk.table.column_names)
    return False


def read_rows(
    paths: Sequence[Path], columns: Columns, names: Sequence[str] = ()
) -> tuple[list[Row], list[str]]:
    """Rows of (text before the aspect, aspect, text after it) and their polarities, in the order of the files.

    A column `template` says by ``$T$`` which of several places is meant. With `names` other polarities than these are refused.

    Raises:
        QueryError: for a missing column, or a row whose sentence, aspect or polarity cannot be used, with its number.
        SourceError: when a file cannot be read.
    """
    rows: list[Row] = []
    polarities: list[str] = []
    for path in paths:
        table = columns_of(path, (columns.sentence, columns.aspect, columns.polarity), (columns.template,))
        templates = table.get(columns.template, [""] * len(table[columns.aspect]))
        cells = zip(
            table[columns.sentence], templates, table[columns.aspect], table[columns.polarity], strict=True
        )
        for number, (sentence, template, aspect, polarity) in enumerate(cells, 1):
            rows.append(_row(path, number, sentence, template, aspect))
            polarities.append(_polarity(path, number, polarity, names))
    return rows, polarities


def _row(path: Path, number: int, sentence: str, template: str, aspect: str) -> Row:
    if not sentence.strip() and not template.strip():
        raise QueryError(
            f"row {number} of {path.name} has no sentence", mend="Take it out", parameter=SENTENCE, row=number
        )
    if not aspect.strip():
        raise QueryError(f"row {number} of {path.name} has no aspect", mend="Name the words in the sentence", parameter=ASPECT, row=number)  # fmt: skip
    if len(aspect) > MOST_TERM:
        raise QueryError(
            f"row {number} of {path.name} has an aspect of {len(aspect):,} characters", mend=f"At most {MOST_TERM}", parameter=ASPECT, row=number
        )  # fmt: skip
    if HOLE in template:
        left, _, right = template.partition(HOLE)
        return left, aspect, right
    place = place_of(sentence, aspect)
    if place is None:
        raise QueryError(
            f"row {number} of {path.name}: the aspect {aspect[:60]!r} does not stand in its sentence",
            mend="Copy it as it is written there, or give a column template with $T$ in its place", parameter=ASPECT, row=number,
        )  # fmt: skip
    return sentence[: place[0]], sentence[place[0] : place[1]], sentence[place[1] :]


def _polarity(path: Path, number: int, polarity: str, names: Sequence[str]) -> str:
    said = polarity.strip()
    if not _has_order(said):
        raise QueryError(
            f"row {number} of {path.name} has the polarity {said[:40]!r}",
            mend="Use negative, neutral and positive, or numbers", parameter=POLARITY, row=number,
        )  # fmt: skip
    if names and said not in names:
        raise QueryError(
            f"row {number} of {path.name} has the polarity {said!r}, which no training row has",
            mend=f"Polarities to learn: {', '.join(names)}", parameter=POLARITY, row=number,
        )  # fmt: skip
    return said


def _has_order(polarity: str) -> bool:
    try:
        return math.isfinite(float(polarity))
    except ValueError:
        return bool(polarity) and moods_of([polarity, "neutral"]) is not None


def labelled(rows: Sequence[Row], polarities: Sequence[str], names: Sequence[str]) -> AspectRows:
    """Rows with their polarities as places in `names`."""
    place = {name: i for i, name in enumerate(names)}
    return AspectRows(list(rows), np.array([place[p] for p in polarities], np.int64), tuple(names))


def names_of(polarities: Sequence[str]) -> tuple[str, ...]:
    """The distinct polarities, from bad to good."""
    return ordered(polarities)


def read_quads(paths: Sequence[Path]) -> QuadTexts:
    """Texts with what they say, from JSON Lines with ``text`` and ``labels: [{aspect, opinion, polarity, category}]``.

    Raises:
        QueryError: for a text whose labels cannot be used, with its row.
        SourceError: when a file cannot be read.
    """
    texts: list[str] = []
    quads: list[list[Quad]] = []
    for path in paths:
        number = 0
        for chunk in read_file(path, SourceConfig.model_validate({"as": "products", "path": str(path)})):
            if chunk.faults:
                fault = chunk.faults[0]
                raise QueryError(f"line {fault.line} of {path.name} cannot be read: {fault.rule}", mend=fault.mend, parameter="file", row=fault.line)  # fmt: skip
            if not {"text", "labels"} <= set(chunk.table.column_names):
                raise QueryError(
                    f"{path.name} has no text and labels", mend="Each line: {\"text\": …, \"labels\": [{\"aspect\", \"opinion\", \"polarity\", \"category\"}]}", parameter="file"
                )  # fmt: skip
            said, cells = (text_of(chunk.table[name]).to_pylist() for name in ("text", "labels"))
            for text, cell in zip(said, cells, strict=True):
                number += 1
                quads.append(_quads(path, number, text or "", cell or "[]"))
                texts.append(text or "")
    if not texts:
        raise QueryError("there are no texts", mend="Check the file", parameter="file")
    return QuadTexts(texts, quads)


def _quads(path: Path, number: int, text: str, cell: str) -> list[Quad]:
    where = f"row {number} of {path.name}"
    try:
        held: Any = json.loads(cell)
    except ValueError as error:
        raise QueryError(f"{where}: labels are no list", mend="Write them as JSON", parameter="labels", row=number) from error  # fmt: skip
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise QueryError(f"{where}: labels are no list of objects", mend="Write them as JSON", parameter="labels", row=number)  # fmt: skip
    out: list[Quad] = []
    for one in held:
        values = [one.get(name) for name in ("aspect", "opinion", "polarity", "category")]
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise QueryError(
                f"{where}: a label lacks aspect, opinion, polarity or category", mend=f"Write {NULL} for what no words say", parameter="labels", row=number
            )  # fmt: skip
        aspect, opinion, polarity, category = (str(value).strip() for value in values)
        for name, phrase in (("aspect", aspect), ("opinion", opinion)):
            if phrase != NULL and place_of(text, phrase) is None:
                raise QueryError(
                    f"{where}: the {name} {phrase[:60]!r} does not stand in its text", mend=f"Copy it as it is written, or {NULL}", parameter=name, row=number
                )  # fmt: skip
        out.append(Quad(aspect, opinion, _polarity(path, number, polarity, ()), category))
    return out


def rows_of(texts: QuadTexts) -> tuple[list[Row], list[str]]:
    """The aspects that words of the texts name, as rows with polarities; one of which a text says two things is left out."""
    rows: list[Row] = []
    polarities: list[str] = []
    for text, quads in zip(texts.texts, texts.quads, strict=True):
        said: dict[str, set[str]] = {}
        for quad in quads:
            if quad.aspect != NULL:
                said.setdefault(quad.aspect, set()).add(quad.polarity)
        for aspect, found in said.items():
            place = place_of(text, aspect)
            if place is not None and len(found) == 1:
                rows.append((text[: place[0]], aspect, text[place[1] :]))
                polarities.append(next(iter(found)))
    return rows, polarities


def read_reviews(paths: Sequence[Path], text: str, label: str) -> Reviews:
    """Texts with labels of any names, as an encoder reads them before it learns aspects; rows without either are left out.

    Raises:
        QueryError: when a column is missing, or all labels are one.
    """
    rows: list[tuple[str, str]] = []
    for path in paths:
        table = columns_of(path, (text, label))
        rows += [
            (t, n.strip()) for t, n in zip(table[text], table[label], strict=True) if t.strip() and n.strip()
        ]
    names = ordered([name for _, name in rows])
    if len(names) < 2:
        raise QueryError(
            f"{paths[0].name} has one label only", mend="Give texts of at least two", parameter="pretrain"
        )
    place = {name: i for i, name in enumerate(names)}
    return Reviews([t for t, _ in rows], np.array([place[name] for _, name in rows], np.int64))
