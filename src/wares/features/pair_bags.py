"""Sets of weighted things a record holds, and what two such sets share: numpy only, so that serving can compare too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Column = NDArray[np.float32]
MEASURES = ("shared", "shared_top", "shared_n", "rest_min", "rest_max", "rest_top_min", "rest_top_max", "jaccard", "inside", "cosine")  # fmt: skip
"""What `Bag.compare` says of a pair; see there."""


def idf(count: int, n: int) -> float:
    """Inverse document frequency ``ln((n + 1) / (df + 1)) + 0.1``; what was never seen counts as seen once.

    A thing that only one known record holds and a thing that none holds weigh the same, so that records to learn from
    and new records are weighed alike.
    """
    return float(np.log((n + 1) / (max(count, 1) + 1)) + 0.1)


class Bag:
    """Rows × things in compressed rows: `ends` (n + 1), `things` and `weight` (entries), sorted within each row."""

    def __init__(self, rows: Iterable[Iterable[str]], known: Mapping[str, int], n: int) -> None:
        """Weigh the things of each row by how many of `n` known records hold them (`known`; unknown things: once)."""
        names: dict[str, int] = {}
        things: list[int] = []
        ends = [0]
        for row in rows:
            things += sorted({names.setdefault(thing, len(names)) for thing in row})
            ends.append(len(things))
        self.names = list(names)
        self.ends = np.asarray(ends, np.int64)
        self.things = np.asarray(things, np.int64)
        weight = np.asarray([idf(known.get(name, 0), n) for name in names], np.float32)
        self.weight = weight[self.things] if len(things) else np.zeros(0, np.float32)
        of = np.repeat(np.arange(len(self)), np.diff(self.ends))
        self.total = np.bincount(of, self.weight, len(self)).astype(np.float32)
        length = np.sqrt(np.bincount(of, self.weight**2, len(self)))
        self.unit = (self.weight / np.maximum(length, 1e-9)[of]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def entries(self, rows: Rows) -> tuple[Rows, Rows]:
        """For the rows one after another: the position in `rows` of each entry, and the entry's place."""
        length = self.ends[rows + 1] - self.ends[rows]
        position = np.repeat(np.arange(len(rows)), length)
        first = np.cumsum(length) - length
        return position, np.arange(int(length.sum())) - np.repeat(first - self.ends[rows], length)

    def _shared(self, left: Rows, right: Rows) -> tuple[Rows, Rows, NDArray[np.int64], Rows, Rows]:
        (at_a, place_a), (at_b, place_b) = self.entries(left), self.entries(right)
        width = max(len(self.names), 1)
        key_a, key_b = at_a * width + self.things[place_a], at_b * width + self.things[place_b]
        spot = np.minimum(np.searchsorted(key_b, key_a), max(len(key_b) - 1, 0))
        hit = np.flatnonzero(key_b[spot] == key_a) if len(key_b) else np.zeros(0, np.int64)
        return at_a, at_b, np.column_stack([hit, spot[hit]]), place_a, place_b

    def compare(self, left: Rows, right: Rows) -> dict[str, Column]:
        """Symmetric measures of each pair of rows, by `MEASURES`: weight and number of what both hold and its weightiest
        thing; the weight, and the weightiest thing, of what only one holds (smaller and larger side); weighted Jaccard;
        share of the lighter side that the other holds; cosine.
        """
        m = len(left)
        at_a, at_b, both, place_a, place_b = self._shared(left, right)
        hit, spot = both[:, 0], both[:, 1]
        at, weight = at_a[hit], self.weight[place_a[hit]]
        common = np.bincount(at, weight, m).astype(np.float32)
        rest_a, rest_b = self.total[left] - common, self.total[right] - common
        only_a, only_b = np.ones(len(at_a), bool), np.ones(len(at_b), bool)
        only_a[hit] = only_b[spot] = False
        top = _top(at, weight, m)
        top_a = _top(at_a[only_a], self.weight[place_a[only_a]], m)
        top_b = _top(at_b[only_b], self.weight[place_b[only_b]], m)
        return {
            "shared": common, "shared_top": top, "shared_n": np.bincount(at, minlength=m).astype(np.float32),
            "rest_min": np.minimum(rest_a, rest_b), "rest_max": np.maximum(rest_a, rest_b),
            "rest_top_min": np.minimum(top_a, top_b), "rest_top_max": np.maximum(top_a, top_b),
            "jaccard": common / np.maximum(common + (rest_a + rest_b), 1e-6),
            "inside": common / np.maximum(np.minimum(self.total[left], self.total[right]), 1e-6),
            "cosine": np.bincount(at, self.unit[place_a[hit]] * self.unit[place_b[spot]], m).astype(np.float32),
        }  # fmt: skip

    def counts(self, left: Rows, right: Rows) -> Column:
        """How many things both rows of each pair hold."""
        at_a, _, both, _, _ = self._shared(left, right)
        return np.bincount(at_a[both[:, 0]], minlength=len(left)).astype(np.float32)

    def sizes(self) -> Rows:
        """How many things each row holds."""
        return np.diff(self.ends)


def _top(at: Rows, weight: Column, m: int) -> Column:
    out = np.zeros(m, np.float32)
    np.maximum.at(out, at, weight)
    return out


def frequencies(rows: Iterable[Iterable[str]]) -> dict[str, int]:
    """How many rows hold each thing; things that one row holds are left out, since `idf` weighs them as unknown."""
    found: dict[str, int] = {}
    for row in rows:
        for thing in set(row):
            found[thing] = found.get(thing, 0) + 1
    return {thing: count for thing, count in sorted(found.items()) if count > 1}


def sides(name: str, a: Column, b: Column) -> dict[str, Column]:
    """A one-sided quantity as its smaller and larger side; NaN only where both are missing."""
    return {f"{name}_min": np.fmin(a, b), f"{name}_max": np.fmax(a, b)}


def blank(values: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the texts are empty."""
    return np.fromiter((not value for value in values), bool, len(values))
