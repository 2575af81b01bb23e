"""What a search reached, and what it answers with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wares.models.search.asked import Asked
from wares.models.search.filters import Limits

Rows = NDArray[np.int32]
Part = NDArray[np.float32]


@dataclass(slots=True)
class Found:
    """An answer by row, best first, with ``words``, ``meaning`` and ``alike`` parts, the total, facets, and what was done
    to the query. ``parts`` has all parts ``(len(rows),)``, ``variants`` how many others of its group each hit stands for."""

    rows: Rows
    scores: Part
    words: Part
    meaning: Part
    alike: Part
    total: int
    facets: dict[str, list[tuple[str, int]]]
    relaxed: str = ""
    corrected: dict[str, str] = field(default_factory=dict[str, str])
    asked: Asked | None = None
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    variants: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def nothing(cls, asked: Asked | None = None) -> Found:
        """No hits."""
        none = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int32), none, none, none, none, 0, {}, asked=asked)


@dataclass(slots=True)
class Reached:
    """What a reading of the query reached: rows by words with their scores, rows by meaning, and how it was reached."""

    asked: Asked
    limits: Limits
    some: bool
    said: tuple[str, ...]
    rows: Rows
    lexical: Part
    total: int
    near: Rows
