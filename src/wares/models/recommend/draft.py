"""What one part proposes of a whole catalogue: its best items, with scores as deviations from its mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.models.recommend.parts import Histories, Part, Reached, batches

DRAFTED = 150
DEPTH = 80


@dataclass(frozen=True, slots=True)
class Draft:
    """What one part proposes: ``ids (n, c) int32`` best first, -1 pads; ``scores (n, c)`` as z over the catalogue."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float16]

    @classmethod
    def of(
        cls, part: Part, histories: Histories, n_items: int, *, c: int = DRAFTED, exclude: bool = True,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Draft:  # fmt: skip
        """The best `c` of each history, without what it holds unless `exclude` is off; ties go to the lower row.

        `allowed (n_items,)` hides items. Constant or infinite scores propose nothing. A part that reaches few items of
        the catalogue is asked for those alone.
        """
        c = max(1, min(c, n_items))
        ids = np.full((len(histories), c), -1, np.int32)
        out = np.zeros((len(histories), c), np.float16)
        hidden = np.zeros(n_items, bool) if allowed is None else ~allowed
        ask: Callable[[Histories], Reached | None] | None = getattr(part, "reached", None)
        for some in batches(len(histories), n_items):
            reached = None if ask is None else ask(histories[some])
            if reached is not None and np.isfinite(reached.values).all():
                _choose_few(reached, histories[some], hidden, exclude, ids[some], out[some])
                continue
            scores = np.array(part.scores(histories[some]), np.float32)
            if scores.shape != (len(histories[some]), n_items):
                raise QueryError(
                    f"a part gave scores of the shape {scores.shape}, not {(len(histories[some]), n_items)}",
                    mend="Give one score an item of the catalogue",
                    parameter="parts",
                )
            _standardise(scores)
            if exclude:
                for line, history in enumerate(histories[some]):
                    scores[line, history] = -np.inf
            if allowed is not None:
                scores[:, hidden] = -np.inf
            top = np.argpartition(scores, n_items - c, axis=1)[:, n_items - c :]
            top.sort(axis=1)
            value = np.take_along_axis(scores, top, 1)
            order = np.argsort(-value, axis=1, kind="stable")
            top, value = np.take_along_axis(top, order, 1), np.take_along_axis(value, order, 1)
            good = np.isfinite(value)
            ids[some], out[some] = np.where(good, top, -1), np.where(good, _half(value), 0)
        return cls(ids, out)

    def take(self, rows: NDArray[Any], depth: int = DEPTH) -> Draft:
        """Some histories only, and of each the first `depth` items."""
        return Draft(self.ids[rows, :depth], self.scores[rows, :depth])


def _half(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(value, -6e4, 6e4)


def _choose_few(
    reached: Reached, histories: Histories, hidden: NDArray[np.bool_], exclude: bool,
    ids: NDArray[np.int32], out: NDArray[np.float16],
) -> None:  # fmt: skip
    """The lists of the histories into `ids` and `out`; items that are not reached score zero and come as pads do."""
    n, c = len(hidden), ids.shape[1]
    for line, history in enumerate(histories):
        part = slice(int(reached.ptr[line]), int(reached.ptr[line + 1]))
        items, values = reached.items[part], reached.values[part].astype(np.float64)
        mean = float(values.sum()) / n
        spread = np.sqrt(max(float(values @ values) / n - mean**2, 0.0))
        if spread <= 1e-9:
            continue
        closed = hidden[history]
        if exclude:
            hidden[history] = True
        shown = ~hidden[items]
        items, values = items[shown], values[shown]
        if len(items) < c or values.min() <= 0:
            rest = _lowest(hidden, items, c)
            items, values = np.concatenate([items, rest]), np.concatenate([values, np.zeros(len(rest))])
        if exclude:
            hidden[history] = closed
        if len(items) > c:
            kept = values >= np.partition(values, len(values) - c)[len(values) - c]
            items, values = items[kept], values[kept]
        order = np.lexsort((items, -values))[:c]
        ids[line, : len(order)] = items[order]
        out[line, : len(order)] = _half(((values[order] - mean) / spread).astype(np.float32))


def _lowest(hidden: NDArray[np.bool_], items: NDArray[np.int32], c: int) -> NDArray[np.int32]:
    """The lowest `c` rows that are neither hidden nor among `items`."""
    stop = min(len(hidden), 2 * (c + len(items)))
    while True:
        free = ~hidden[:stop]
        free[items[items < stop]] = False
        found = np.flatnonzero(free)[:c]
        if len(found) == c or stop == len(hidden):
            return found.astype(np.int32)
        stop = min(len(hidden), stop * 8)


def _standardise(scores: NDArray[np.float32]) -> None:
    """Bring each row to mean 0 and deviation 1, in place; what is not finite, and rows without any spread, to −∞."""
    n = scores.shape[1]
    if np.isfinite(scores.sum()):
        scores -= scores.mean(1, keepdims=True)
        spread = np.sqrt(np.einsum("ij,ij->i", scores, scores) / n)
    else:
        bad = ~np.isfinite(scores)
        count = np.maximum(n - bad.sum(1), 1)
        scores[bad] = 0
        scores -= (scores.sum(1) / count)[:, None]
        scores[bad] = 0
        spread = np.sqrt(np.einsum("ij,ij->i", scores, scores) / count)
        scores[bad] = -np.inf
    flat = spread <= 1e-9
    scores /= np.where(flat, 1, spread)[:, None]
    scores[flat] = -np.inf
