"""Neighbours of a product by what shoppers do: together, instead, with it. numpy only, memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

KIND = "together"
RELATIONS = ("together", "substitutes", "accessories")


@dataclass(slots=True)
class Neighbours:
    """Products in a relation to one or several, best first: rows, scores, how many baskets or shoppers have both, and
    the row of the product that speaks most for each."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    counts: NDArray[np.int32]
    because: NDArray[np.int32]


class Together:
    """The relations of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self._arrays: dict[str, NDArray[Any]] = {
            f"{relation}_{name}": load_array(folder, f"{relation}_{name}")
            for relation in RELATIONS
            for name in ("ptr", "ids", "scores", "counts")
        }

    def of(self, relation: str, row: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Rows, scores and counts of the neighbours of a product, best first."""
        ptr = self._arrays[f"{relation}_ptr"]
        part = slice(int(ptr[row]), int(ptr[row + 1]))
        ids, scores, counts = (
            self._arrays[f"{relation}_{name}"][part] for name in ("ids", "scores", "counts")
        )
        return ids, scores, counts

    def rank(
        self, relation: str, rows: list[int], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Neighbours:
        """The `k` nearest to all of `rows`, none of which comes back; scores of several add up, ties go to the lower row."""
        found = [(row, *self.of(relation, row)) for row in rows]
        ids = np.concatenate([f[1] for f in found]) if found else np.zeros(0, np.int32)
        if not len(ids):
            none = np.zeros(0, np.int32)
            return Neighbours(none, none.astype(np.float32), none, none)
        scores, counts = (np.concatenate([f[i] for f in found]) for i in (2, 3))
        because = np.concatenate([np.full(len(f[1]), f[0], np.int32) for f in found])
        unique, place = np.unique(ids, return_inverse=True)
        total = np.bincount(place, scores)
        strongest = np.zeros(len(unique), np.int64)
        # Weakest first, so that the strongest is written last.
        order = np.argsort(scores, kind="stable")
        strongest[place[order]] = order
        kept = ~np.isin(unique, rows)
        if allowed is not None:
            kept &= allowed[unique]
        best = np.flatnonzero(kept)
        best = best[np.lexsort((unique[best], -total[best]))][:k]
        return Neighbours(
            unique[best].astype(np.int32),
            total[best].astype(np.float32),
            counts[strongest[best]].astype(np.int32),
            because[strongest[best]],
        )
