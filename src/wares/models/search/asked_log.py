"""The texts that shoppers searched, with what became of them: what a merchandiser looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wares.core.arrays import load_array, save_arrays
from wares.core.strings import StringTable

STRENGTH = 20.0
"""Searches of the shop's mean that stand beside a text's own, so that a few searches do not make it worst."""


@dataclass(frozen=True, slots=True)
class AskedText:
    """A text: how often it was searched, how often with a click, how often the shop recorded an empty list, and how many products
    the build found (0: none, or only by some of the words). `rate` is the share with a click, shrunk to the shop's."""

    text: str
    searches: int
    clicked: int
    nothing: int
    found: int
    rate: float


def write_asked(folder: Path, texts: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    """Write texts and their ``counts (t, 4)``: searches, with a click, recorded empty, found."""
    StringTable.of(texts).save(folder, "asked")
    save_arrays(folder, asked_counts=np.array(counts, np.int32).reshape(-1, 4))


def read_asked(folder: Path) -> list[AskedText]:
    """The texts of a build's order, searched most often first; empty where an earlier version made it."""
    if not (folder / "asked_counts.npy").is_file():
        return []
    counts = np.asarray(load_array(folder, "asked_counts"), np.int64)
    whole = counts[:, 1].sum() / max(int(counts[:, 0].sum()), 1)
    rates = (counts[:, 1] + STRENGTH * whole) / (counts[:, 0] + STRENGTH)
    return [
        AskedText(text, *row, rate)
        for text, row, rate in zip(StringTable.load(folder, "asked"), counts.tolist(), rates.tolist(), strict=True)
    ]  # fmt: skip


def empty(found: Sequence[AskedText]) -> list[AskedText]:
    """Texts that lead to nothing, searched most often first."""
    return [one for one in found if not one.found or 2 * one.nothing >= one.searches > 0]


def seldom_clicked(found: Sequence[AskedText]) -> list[AskedText]:
    """Texts that find products which nobody wants, by the searches that this costs: searches · what the rate falls short of the shop's."""
    total = sum(one.searches for one in found)
    whole = sum(one.clicked for one in found) / max(total, 1)
    if not whole:
        return []
    short = [one for one in found if one.found and one.rate < 0.8 * whole]
    return sorted(short, key=lambda one: (-one.searches * (whole - one.rate), one.text))
