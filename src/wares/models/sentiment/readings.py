"""What every dated text of a shop says: its mood, what it is about, and the opinions in it, memory-mapped. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.strings import StringTable

KIND = "readings"
REVIEW = "review"
UNDATED = -1
NOBODY = -1

_STRINGS = ("ids", "texts", "users", "brands", "sellers", "queries")
_TUPLES = ("kinds", "languages", "aspects")


@dataclass(frozen=True)
class Readings:
    """``n`` texts ordered by time and then id, ``m`` opinions ordered by text. Numbers of a table's row are -1 for none.

    Of texts: ``kind``, ``language (n,) int8`` into `kinds` and `languages`; ``product (n,) int32`` row of the catalogue;
    ``author``, ``brand``, ``seller``, ``query (n,) int32`` into `users`, `brands`, `sellers`, `queries` (of a review the brand
    is its product's and stands there only); ``at (n,) int64`` microseconds since 1970 UTC, -1 undated; ``stars (n,) float32``
    in 1..5, NaN for none; ``mood (n,) float32`` in -1..1, ``confidence (n,) float32`` of the verdict and ``sure (n,) bool``;
    ``flags (n,) uint8``. `texts` are masked of personal data.

    Of opinions: ``op_text``, ``op_aspect`` into `aspects`, ``op_polarity`` in -1..1, the evidence ``op_start``..``op_end`` in
    characters of the text, and ``op_term_start``..``op_term_end`` the term, -1 where it is implicit.
    """

    ids: StringTable
    texts: StringTable
    users: StringTable
    brands: StringTable
    sellers: StringTable
    queries: StringTable
    kinds: tuple[str, ...]
    languages: tuple[str, ...]
    aspects: tuple[str, ...]
    kind: NDArray[Any]
    product: NDArray[Any]
    author: NDArray[Any]
    brand: NDArray[Any]
    seller: NDArray[Any]
    query: NDArray[Any]
    at: NDArray[Any]
    language: NDArray[Any]
    stars: NDArray[Any]
    mood: NDArray[Any]
    confidence: NDArray[Any]
    sure: NDArray[Any]
    flags: NDArray[Any]
    op_text: NDArray[Any]
    op_aspect: NDArray[Any]
    op_polarity: NDArray[Any]
    op_start: NDArray[Any]
    op_end: NDArray[Any]
    op_term_start: NDArray[Any]
    op_term_end: NDArray[Any]
    trained: bool
    source: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Texts that count ``(n,)``: not blank, no near copy of an earlier one, no advertising."""
        return self.flags == 0

    def opinions_of(self, text: int) -> range:
        """The opinions of a text, as rows."""
        low, high = np.searchsorted(self.op_text, [text, text + 1])
        return range(int(low), int(high))

    def quote(self, opinion: int) -> str:
        """The evidence of an opinion."""
        said = self.texts[int(self.op_text[opinion])]
        return str(said[int(self.op_start[opinion]) : int(self.op_end[opinion])])

    def save(self, folder: Path, **facts: Any) -> dict[str, Any]:
        """Write the artefact; returns its manifest."""
        for name in _STRINGS:
            getattr(self, name).save(folder, name)
        save_arrays(folder, **{name: getattr(self, name) for name in _arrays()})
        named = {name: list(getattr(self, name)) for name in _TUPLES}
        return seal(
            folder, KIND, trained=self.trained, source=self.source, rows=len(self), opinions=len(self.op_text), **named, **facts
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Readings:
        """Map an artefact.

        Raises:
            IncompatibleArtifact: when it is none.
        """
        manifest = open_artifact(folder, KIND)
        parts: dict[str, Any] = {name: StringTable.load(folder, name) for name in _STRINGS}
        parts |= {name: tuple(manifest[name]) for name in _TUPLES}
        parts |= {name: load_array(folder, name) for name in _arrays()}
        return cls(**parts, trained=bool(manifest["trained"]), source=str(manifest["source"]))


def _arrays() -> list[str]:
    apart = {*_STRINGS, *_TUPLES, "trained", "source"}
    return [field.name for field in fields(Readings) if field.name not in apart]


def numbered(values: Sequence[str | None]) -> tuple[StringTable, NDArray[np.int32]]:
    """Distinct values by name, and the row of each ``(n,) int32``, -1 for None and for blank ones."""
    said = [(value or "").strip() for value in values]
    distinct = sorted({value for value in said if value})
    place = {value: i for i, value in enumerate(distinct)}
    return StringTable.of(distinct), np.array([place.get(value, NOBODY) for value in said], np.int32)


def stars_of(ratings: NDArray[np.float64]) -> NDArray[np.float32]:
    """Ratings ``(n,)`` on 1..5: as they are, or moved from 0..5, 1..10 or 0..10 where some lie outside 1..5; NaN stays."""
    there = ratings[~np.isnan(ratings)]
    if not len(there):
        return ratings.astype(np.float32)
    high, low = (10.0 if there.max() > 5 else 5.0), (0.0 if there.min() < 1 else 1.0)
    return (1 + 4 * np.clip((ratings - low) / (high - low), 0, 1)).astype(np.float32)
