"""What is like, could be taken instead of, or goes with what a shopper did: for the learned ranker. numpy only.

The lists come from elsewhere, as arrays: each says of some products which others are near, by kind. What a shopper did
asks with the weight that it has in every other item-to-item part; the sums of each kind, as a share of the shopper's best
new product, are features of the learned ranker, and the best of all kinds together are candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.errors import DataError
from wares.models.recommend.history import History
from wares.models.recommend.lists import best_new

LISTS = ("similar", "instead", "goes_with")
"""Kinds of lists: like it in all that is known, could be taken instead, goes with it."""
LEADS = ("alike", *LISTS, "alike_place")
"""Scores that come of them: all kinds together, each kind, and the logarithm of the place in the joint order."""
ASKING = 24
"""How many of the things that a shopper did ask, the strongest first."""
EVIDENCE = 60


@dataclass(frozen=True, slots=True)
class AlikeSide:
    """Lists of products near to others.

    ``rows (m,) int32`` ascending are the products that have lists, ``ids (m, 3, k) int32`` by kind (`LISTS`) best first, -1
    beyond, and ``sims (m, 3, k) float16`` in 0..1.

    Raises:
        DataError: for arrays of other shapes, or values that are no numbers.
    """

    rows: NDArray[np.int32]
    ids: NDArray[np.int32]
    sims: NDArray[np.float16]

    def __post_init__(self) -> None:
        shape = (len(self.rows), len(LISTS))
        if self.ids.ndim != 3 or self.ids.shape[:2] != shape or self.sims.shape != self.ids.shape:
            raise DataError(
                f"lists of likeness have the shapes {self.ids.shape} and {self.sims.shape}",
                mend=f"Give (rows, {len(LISTS)}, k) for {len(self.rows)} rows",
            )
        if not np.isfinite(self.sims).all():
            raise DataError("a likeness is NaN or infinite", mend="Leave such pairs out", column="sims")

    def save(self, folder: Path, n_items: int) -> None:
        """Write what `Alike` reads."""
        row_of = np.full(n_items, -1, np.int32)
        row_of[self.rows] = np.arange(len(self.rows))
        save_arrays(
            folder,
            alike_row=row_of,
            alike_ids=np.asarray(self.ids, np.int32),
            alike_sims=np.asarray(self.sims, np.float16),
        )


@dataclass(slots=True)
class Drawn:
    """What the lists draw for a shopper: candidates ``(c,) int32``, the sums ``(3, n_items)`` of each kind, what brings
    each to the share of its best new product ``(3,)``, and the sum of those shares ``(n_items,)``."""

    ids: NDArray[np.int32]
    sums: NDArray[np.float32]
    scale: NDArray[np.float32]
    total: NDArray[np.float32]


class Alike:
    """The lists when they serve."""

    def __init__(self, folder: Path) -> None:
        self.row: NDArray[Any] = load_array(folder, "alike_row")
        self.ids: NDArray[Any] = load_array(folder, "alike_ids")
        self.sims: NDArray[Any] = load_array(folder, "alike_sims")

    def drawn(
        self, items: NDArray[np.int32], query: NDArray[np.float32], own: NDArray[np.int32]
    ) -> Drawn | None:
        """Candidates near to `items`, which ask with `query`; None where none of them has a list."""
        rows = self.row[items]
        known = np.flatnonzero(rows >= 0)
        if len(known) > ASKING:
            known = known[np.argpartition(-query[known], ASKING)[:ASKING]]
        if not len(known):
            return None
        n = len(self.row)
        ids = self.ids[rows[known]]
        values = self.sims[rows[known]].astype(np.float32) * query[known, None, None]
        values[ids < 0] = 0
        ids = np.maximum(ids, 0)
        sums = np.empty((len(LISTS), n), np.float32)
        for kind in range(len(LISTS)):
            sums[kind] = np.bincount(ids[:, kind].ravel(), values[:, kind].ravel(), minlength=n)
        # By the best that is new, so that the kinds mean the same and what was had sets no scale.
        had = sums[:, own]
        sums[:, own] = 0
        peak = sums.max(1)
        # A kind that has nothing new says nothing of what was had either.
        scale = np.where(peak > 0, 1 / np.maximum(peak, np.float32(1e-9)), 0).astype(np.float32)
        sums[:, own] = had
        total = scale @ sums
        there = np.flatnonzero(total > 0).astype(np.int32)
        chosen, _ = best_new((there, total[there]), own, n)
        return Drawn(chosen, sums, scale, total)

    def leads(self, drawn: Drawn, ids: NDArray[np.int32], own: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores ``(n, len(LEADS))`` of candidates; `own (n,)` is -1 for what is new to the shopper."""
        out = np.empty((len(ids), len(LEADS)), np.float32)
        total = drawn.total[ids]
        out[:, 0] = total / max(float(total[own < 0].max(initial=0)), 1e-9)
        out[:, 1:-1] = drawn.sums[:, ids].T * drawn.scale
        order = np.argsort(-total, kind="stable")
        out[order, -1] = np.log1p(np.arange(len(ids)))
        out[total <= 0, -1] = np.nan
        return out

    def evidence(self, items: NDArray[np.int32], history: History) -> dict[int, tuple[int, str]]:
        """For each of `items` in a list of something the shopper did: the thing that speaks most for it, and the kind."""
        known = np.flatnonzero(self.row[history.items] >= 0)
        if not len(known) or not len(items):
            return {}
        known = known[np.argsort(-history.query[known], kind="stable")[:EVIDENCE]]
        rows = self.row[history.items[known]]
        ids = self.ids[rows]
        line, kind, column = np.nonzero(np.isin(ids, items))
        value = self.sims[rows[line], kind, column].astype(np.float32) * history.query[known[line]]
        out: dict[int, tuple[int, str]] = {}
        # Weakest first, so that the strongest is written last.
        for i in np.argsort(value, kind="stable").tolist():
            had = int(history.items[known[line[i]]])
            out[int(ids[line[i], kind[i], column[i]])] = (had, LISTS[int(kind[i])])
        return out


__all__ = ["LEADS", "LISTS", "Alike", "AlikeSide", "Drawn"]
