"""How a pair stands among the records that are known already: whether a likelier partner is known for either side.

Two catalogues list a thing once each. So a record that is known to match another, or for which the other catalogue holds
a much likelier record, hardly matches this one. This is evidence only where the sides are two catalogues
(`are_catalogues`); where labelled pairs are drawn from one pool of offers, who else is in the list is an accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.pair_bags import Column, sides
from wares.features.pair_evidence import PairReader, Sheet
from wares.features.pair_fields import Record

Bools = NDArray[np.bool_]
LIKENESS = ("word", "gram")
SAME_RECORDS = 0.05
"""Sides that share more of their records than this are one pool, not two catalogues."""
MATCHES = 1.5
"""More known matches a matched record than this: a thing is listed several times, and rivals say nothing."""
PAIRS = 2.0
"""With fewer labelled pairs a record than this, too little is known of rivals to learn from them."""
_NEW = 1e-6


class Known:
    """Known records of two catalogues, and the labelled pairs among them.

    `side` (n,) is True for records of the right catalogue; `pairs` (m, 2) are rows of `records`, `same` (m,) their labels.
    """

    def __init__(
        self,
        reader: PairReader,
        records: Sequence[Record],
        side: Bools,
        pairs: NDArray[np.int64],
        same: Bools,
    ) -> None:
        self.records, self.side, self.pairs, self.same = list(records), side, pairs, same
        fields = reader.fields
        self.row = {(bool(s), fields.key(r)): at for at, (r, s) in enumerate(zip(records, side, strict=True))}
        self._key = fields.key
        sheet = reader.read(self.records)
        self._index = {name: _postings(sheet, name) for name in LIKENESS}
        self._labelled: tuple[dict[int, set[int]], dict[int, set[int]]] = ({}, {})
        for (a, b), label in zip(pairs.tolist(), same.tolist(), strict=True):
            for x, z in ((a, b), (b, a)):
                self._labelled[label].setdefault(x, set()).add(z)

    def extended(self, reader: PairReader, left: Sequence[Record], right: Sequence[Record]) -> Known:
        """With further records of both catalogues, so that their pairs have rivals too; each record is held once."""
        rows = dict.fromkeys([*self.row])
        records, side = list(self.records), self.side.tolist()
        for which, more in ((False, left), (True, right)):
            for record in more:
                if (place := (which, self._key(record))) not in rows:
                    rows[place] = None
                    records.append(record)
                    side.append(which)
        return Known(reader, records, np.asarray(side, bool), self.pairs, self.same)

    def knows(self, sheet: Sheet) -> tuple[Bools, Bools]:
        """Which records of a sheet are known, as one of the left and as one of the right catalogue."""
        keys = [self._key(record) for record in sheet.records]
        return (
            np.asarray([(False, key) in self.row for key in keys], bool), np.asarray([(True, key) in self.row for key in keys], bool)
        )  # fmt: skip

    def turned(self, left: Record, right: Record) -> bool:
        """Whether the pair stands the other way round: a side is known, but of the other catalogue only."""
        a, b = self._key(left), self._key(right)
        straight = ((False, a) in self.row) + ((True, b) in self.row)
        return ((True, a) in self.row) + ((False, b) in self.row) > straight

    def compare(self, sheet: Sheet, pairs: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[str]]:
        """Evidence of pairs ``(m, 2)`` of rows of the sheet (left, right), ``(m, features)``, and the columns' names.

        A pair's own label, if it is among the known ones, is never looked at.
        """
        turned = [self.turned(sheet.records[a], sheet.records[b]) for a, b in pairs.tolist()]
        ends = np.where(np.asarray(turned, bool)[:, None], pairs[:, ::-1], pairs) if len(pairs) else pairs
        out = np.full((len(pairs), 2, len(_SIDED)), np.nan, np.float32)
        direct = {name: sheet.whole.bags[name].compare(ends[:, 0], ends[:, 1])["cosine"] for name in LIKENESS}
        # Likeness of a partner to everything known, worked out for the first pair that needs it.
        cache: dict[int, Column] = {}
        for column in (0, 1):
            # All pairs of one record together: its likeness to what is known is worked out once.
            order = np.argsort(ends[:, column], kind="stable")
            start = 0
            while start < len(order):
                record = int(ends[order[start], column])
                stop = start
                while stop < len(order) and ends[order[stop], column] == record:
                    stop += 1
                rows = order[start:stop]
                self._one(sheet, record, bool(column), ends[rows, 1 - column], rows, direct, cache, out)
                start = stop
        columns: dict[str, Column] = {}
        for at, name in enumerate(_SIDED):
            columns |= sides(f"known_{name}", out[:, 0, at], out[:, 1, at])
        return np.column_stack(list(columns.values())), list(columns)

    def _one(
        self, sheet: Sheet, x: int, x_side: bool, others: NDArray[np.int64], rows: NDArray[np.int64],
        direct: dict[str, Column], cache: dict[int, Column], out: NDArray[np.float32],
    ) -> None:  # fmt: skip
        """Fill what record `x` says of its pairs `rows` with `others`."""
        like = {name: self._likeness(sheet, name, x) for name in LIKENESS}
        across = self.side != x_side
        known = self.row.get((x_side, self._key(sheet.records[x])), -1)
        for at, z in zip(rows.tolist(), others.tolist(), strict=True):
            place = self.row.get((not x_side, self._key(sheet.records[z])), -1)
            free = across
            if place >= 0:
                free = across.copy()
                free[place] = False
            values: list[float] = []
            for name in LIKENESS:
                mine, theirs = float(direct[name][at]), like[name][free]
                best = float(theirs.max(initial=0.0))
                values += [float((theirs > mine + _NEW).sum()), mine - best]
            for label in (True, False):
                partners = [p for p in self._labelled[label].get(known, ()) if p != place]
                if label:
                    values.append(float(bool(partners)))
                if partners and z not in cache:
                    cache[z] = self._likeness(sheet, "word", z)
                values.append(float(cache[z][partners].max()) if partners else float("nan"))
            out[at, int(x_side)] = values

    def _likeness(self, sheet: Sheet, name: str, row: int) -> Column:
        """Cosine of a record of the sheet with every known record."""
        bag, index = sheet.whole.bags[name], self._index[name]
        out = np.zeros(len(self.records), np.float32)
        for place in range(int(bag.ends[row]), int(bag.ends[row + 1])):
            found = index.get(bag.names[bag.things[place]])
            if found is not None:
                out[found[0]] += found[1] * bag.unit[place]
        return out

    def to_json(self) -> dict[str, Any]:
        """For the artefact."""
        return {
            "records": [dict(r) for r in self.records], "side": self.side.astype(int).tolist(), "pairs": self.pairs.tolist(),
            "same": self.same.astype(int).tolist(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, reader: PairReader, value: dict[str, Any]) -> Known:
        """Back from the artefact."""
        pairs = np.asarray(value["pairs"], np.int64).reshape(-1, 2)
        return cls(
            reader, value["records"], np.asarray(value["side"], bool), pairs, np.asarray(value["same"], bool)
        )


_SIDED = ("word_rank", "word_lead", "gram_rank", "gram_lead", "matched", "near_match", "near_other")


def _postings(sheet: Sheet, name: str) -> dict[str, tuple[NDArray[np.int64], Column]]:
    bag = sheet.whole.bags[name]
    of = np.repeat(np.arange(len(bag)), bag.sizes())
    order = np.argsort(bag.things, kind="stable")
    ends = np.searchsorted(bag.things[order], np.arange(len(bag.names) + 1))
    return {
        thing: (of[chosen], bag.unit[chosen])
        for at, thing in enumerate(bag.names)
        for chosen in (order[ends[at] : ends[at + 1]],)
    }


def are_catalogues(left: Sequence[str], right: Sequence[str], same: Bools) -> bool:
    """Whether labelled pairs, by the keys of their sides, lie between two catalogues that list a thing (mostly) once."""
    lefts, rights = set(left), set(right)
    if not lefts or len(lefts & rights) > SAME_RECORDS * min(len(lefts), len(rights)):
        return False
    if len(left) < PAIRS * max(len(lefts), len(rights)):
        return False
    matched = {(a, b) for a, b, label in zip(left, right, same.tolist(), strict=True) if label}
    if not matched:
        return False
    return len(matched) <= MATCHES * min(len({a for a, _ in matched}), len({b for _, b in matched}))
