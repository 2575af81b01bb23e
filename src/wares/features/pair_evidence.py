"""What speaks for and against two records being one thing, as numbers that one pair alone gives.

Symmetric by construction: every one-sided quantity enters as its smaller and its larger side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from wares.core.identifiers import clean_identifier
from wares.core.words import fold, read_texts
from wares.features.pair_bags import Bag, Column, Rows, blank, sides
from wares.features.pair_fields import Fields, Record, number
from wares.features.pair_view import Statistics, View

CHUNK = 50_000
Features = NDArray[np.float32]
"""Shape (pairs, features); NaN where one of the two says nothing."""


class Sheet:
    """Records read once: what every comparison of two of them needs."""

    def __init__(self, records: Sequence[Record], fields: Fields, known: Mapping[str, Statistics]) -> None:
        self.records, self.fields = records, fields

        def column(name: str) -> list[str]:
            return [record.get(name, "") for record in records]

        self.title = View(column(fields.title), known["title"])
        # Values slip columns, and one record says in its title what the other says in a field.
        self.whole = (
            View([fields.whole(r) for r in records], known["whole"]) if "whole" in known else self.title
        )
        self.texts = {
            name: Bag((r.words for r in read_texts(column(name), ())), found.counts["word"], found.n)
            for name in fields.texts
            for found in (known[f"text:{name}"],)
        }
        self.labels = {name: [fold(value) for value in column(name)] for name in fields.labels}
        self.numbers = {
            name: np.asarray([np.nan if (v := number(t)) is None else v for t in column(name)], np.float64)
            for name in fields.numbers
        }
        self.identifiers = {name: [clean_identifier(v) for v in column(name)] for name in fields.identifiers}

    def __len__(self) -> int:
        return len(self.records)


class PairReader:
    """Reads records with statistics learned from known ones, and compares them."""

    def __init__(self, fields: Fields, known: Mapping[str, Statistics]) -> None:
        self.fields, self.known = fields, known

    @classmethod
    def of(cls, records: Sequence[Record], fields: Fields | None = None) -> PairReader:
        """Learn roles and statistics from the records that are known beforehand.

        Raises:
            ValueError: when no record says anything.
        """
        fields = fields or Fields.of(records)
        known = {"title": Statistics.of([r.get(fields.title, "") for r in records])}
        if len(fields.names) > 1:
            known["whole"] = Statistics.of([fields.whole(r) for r in records])
        for name in fields.texts:
            known[f"text:{name}"] = Statistics.of([r.get(name, "") for r in records], ("word",))
        return cls(fields, known)

    def read(self, records: Sequence[Record]) -> Sheet:
        """Read records; each alone, so that what else is in the list changes nothing."""
        return Sheet(records, self.fields, self.known)

    def compare(self, sheet: Sheet, pairs: NDArray[np.int64]) -> tuple[Features, list[str]]:
        """The evidence of pairs ``(m, 2)`` of rows of the sheet, ``(m, features) float32``, and the columns' names."""
        parts: list[Features] = []
        names: list[str] = []
        for start in range(0, max(len(pairs), 1), CHUNK):
            left, right = pairs[start : start + CHUNK, 0], pairs[start : start + CHUNK, 1]
            columns = self._columns(sheet, left, right)
            names = list(columns)
            parts.append(np.column_stack([np.asarray(values, np.float32) for values in columns.values()]))
        return np.concatenate(parts), names

    def _columns(self, sheet: Sheet, left: Rows, right: Rows) -> dict[str, Column]:
        out = {f"title_{key}": values for key, values in sheet.title.compare(left, right).items()}
        if sheet.whole is not sheet.title:
            out |= {f"whole_{key}": values for key, values in sheet.whole.compare(left, right).items()}
        for name, bag in sheet.texts.items():
            found = bag.compare(left, right)
            empty = bag.sizes() == 0
            void = empty[left] | empty[right]
            for key in ("cosine", "inside", "shared_top"):
                out[f"{name}_{key}"] = np.where(void, np.float32(np.nan), found[key])
            out[f"{name}_missing"] = empty[left].astype(np.float32) + empty[right]
        for name, values in sheet.labels.items():
            out |= self._label(name, values, sheet, left, right)
        for name, values in sheet.numbers.items():
            a, b = np.abs(values[left]), np.abs(values[right])
            with np.errstate(invalid="ignore", divide="ignore"):
                out[f"{name}_ratio"] = (np.minimum(a, b) / np.maximum(a, b)).astype(np.float32)
            out[f"{name}_missing"] = np.isnan(a).astype(np.float32) + np.isnan(b)
        for name, values in sheet.identifiers.items():
            void = blank(values)
            same = np.fromiter(
                (values[i] == values[j] for i, j in zip(left, right, strict=True)), bool, len(left)
            )
            out[f"{name}_same"] = np.where(void[left] | void[right], np.nan, same).astype(np.float32)
        return out

    @staticmethod
    def _label(name: str, values: list[str], sheet: Sheet, left: Rows, right: Rows) -> dict[str, Column]:
        """Equal, like, and how much of one side's label stands anywhere in the other record."""
        a, b = [values[i] for i in left], [values[i] for i in right]
        void = blank(values)
        missing = void[left] | void[right]
        same = np.fromiter((x == y for x, y in zip(a, b, strict=True)), bool, len(a))
        like = process.cpdist(a, b, scorer=fuzz.token_set_ratio, dtype=np.float32) / 100
        texts = sheet.whole.texts
        inside = [
            np.where(void[mine], np.nan, process.cpdist(label, [texts[i] for i in other], scorer=fuzz.partial_ratio, dtype=np.float32) / 100)
            for label, mine, other in ((a, left, right), (b, right, left))
        ]  # fmt: skip
        return {
            f"{name}_same": np.where(missing, np.nan, same).astype(np.float32),
            f"{name}_like": np.where(missing, np.nan, like).astype(np.float32),
            f"{name}_missing": void[left].astype(np.float32) + void[right],
            **sides(f"{name}_inside", inside[0].astype(np.float32), inside[1].astype(np.float32)),
        }

    def to_json(self) -> dict[str, Any]:
        """For the artefact: roles and statistics."""
        return {
            "fields": self.fields.to_json(),
            "known": {name: found.to_json() for name, found in self.known.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PairReader:
        """Back from the artefact."""
        known = {name: Statistics.from_json(found) for name, found in value["known"].items()}
        return cls(Fields.from_json(value["fields"]), known)
