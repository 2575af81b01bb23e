"""The records to be fused, as columns with roles: what reads, what must be equal, what is a number, what identifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import DataError


@dataclass(frozen=True)
class Offers:
    """Rows to compare; all columns have `n` entries.

    `title` is the text that names the thing; `texts` describe it further; `labels` are short values that agree or
    differ (brand, category; ``""`` is missing); `numbers` are magnitudes (price; NaN is missing);
    `identifiers` are exact keys after cleaning (``""`` is missing); `vectors` (n, dim) are optional unit text
    vectors; `source` says which catalogue or vendor a row came from.
    """

    title: Sequence[str]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    identifiers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    source: Sequence[str] | None = None
    vectors: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name, column in [
            *self.texts.items(), *self.labels.items(), *self.numbers.items(), *self.identifiers.items(),
            ("source", self.source), ("vectors", self.vectors),
        ]:  # fmt: skip
            if column is not None and len(column) != len(self.title):
                raise DataError(
                    f"column {name!r} has {len(column)} values for {len(self.title)} titles",
                    mend="Give every column one value a row",
                )

    def __len__(self) -> int:
        return len(self.title)


def coded(values: Sequence[str]) -> NDArray[np.int32]:
    """Equal values as equal numbers from 0; missing is -1."""
    known: dict[str, int] = {}
    return np.fromiter(
        (known.setdefault(value, len(known)) if value else -1 for value in values), np.int32, len(values)
    )
