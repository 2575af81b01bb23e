"""Sentences with labelled aspects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NULL = "NULL"
"""An aspect or an opinion that no words of the text say."""


@dataclass(frozen=True)
class AspectRows:
    """`rows` of (text before the aspect, aspect, text after it), and the place of each one's polarity in `names`, from bad to good."""

    rows: list[tuple[str, str, str]]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, mask: NDArray[Any]) -> AspectRows:
        """The rows of a mask."""
        at = np.flatnonzero(mask)
        return AspectRows([self.rows[int(i)] for i in at], self.labels[at], self.names)


@dataclass(frozen=True)
class Reviews:
    """Labelled texts that name no aspect; labels are places in an order of their own."""

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Quad:
    """What a text says: of which `aspect`, in which words (`opinion`), with which polarity, and the aspect's category; `NULL` where
    no words say it."""

    aspect: str
    opinion: str
    polarity: str
    category: str


@dataclass(frozen=True)
class QuadTexts:
    """Texts, each with what it says."""

    texts: list[str]
    quads: list[list[Quad]]

    def __len__(self) -> int:
        return len(self.texts)

    def some(self, mask: NDArray[Any]) -> QuadTexts:
        """The texts of a mask."""
        at = [int(i) for i in np.flatnonzero(mask)]
        return QuadTexts([self.texts[i] for i in at], [self.quads[i] for i in at])


def place_of(text: str, phrase: str) -> tuple[int, int] | None:
    """Where a phrase stands in a text: first as whole words, else anywhere; None where it does not."""
    low, wanted = text.casefold(), phrase.casefold().strip()
    if len(low) != len(text):
        low, wanted = text, phrase.strip()
    at = low.find(wanted) if wanted else -1
    first = at
    while at >= 0:
        end = at + len(wanted)
        before, after = low[at - 1 : at], low[end : end + 1]
        if not (before.isalnum() and before.isascii()) and not (after.isalnum() and after.isascii()):
            return at, end
        at = low.find(wanted, at + 1)
    return (first, first + len(wanted)) if first >= 0 else None
