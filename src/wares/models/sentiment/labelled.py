"""Texts with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.infer import moods_of
from wares.models.sentiment.neutral import neutral


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and the place of each one's label in `names`; `targets`, where there are any, are what training aims at
    instead: numbers ``(n, 1)``, or probabilities of the labels ``(n, c)``. `groups` are categories, for thresholds."""

    texts: list[str]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    targets: NDArray[np.float64] | None = None
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def neutral(self) -> LabelledTexts:
        """The texts without what verdicts shall not hang on."""
        return replace(self, texts=[neutral(text) for text in self.texts])

    def some(self, rows: NDArray[Any]) -> LabelledTexts:
        """The texts of a mask or of row numbers."""
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        return LabelledTexts(
            [self.texts[int(i)] for i in at], self.labels[at], self.names, None if self.targets is None else self.targets[at],
            tuple(self.groups[int(i)] for i in at) if self.groups else (),
        )  # fmt: skip


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels: from bad to good where they say so, else by name."""
    distinct = sorted(set(names))
    moods = moods_of(distinct)
    return tuple(distinct if moods is None else [distinct[int(i)] for i in np.argsort(moods, kind="stable")])
