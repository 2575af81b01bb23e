"""What is known of a shopper, as the ranker wants it. numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class History:
    """What a shopper did. Arrays have one entry an item: ``items (h,) int32``, ``query (h,)`` and ``repeat (h,)``
    weights with forgetting, ``times (h,)`` how often, ``first`` and ``last (h,)`` Unix seconds, ``decayed (h,
    n_decays)`` the sums under each forgetting. ``visits (v,) int32`` are the days on which something was done, ``now``
    the moment of asking, in Unix seconds; ``row`` the shopper's row when the model was fitted, or -1."""

    items: NDArray[np.int32]
    query: NDArray[np.float32]
    repeat: NDArray[np.float32]
    times: NDArray[np.int32]
    last: NDArray[np.int64]
    first: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    decayed: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    visits: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    now: int = 0
    row: int = -1

    @classmethod
    def empty(cls) -> History:
        """A shopper of whom nothing is known."""
        f = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int32), f, f, np.zeros(0, np.int32), np.zeros(0, np.int64))

    @classmethod
    def of_visit(cls, items: NDArray[np.int32], decay: float, now: int, n_decays: int) -> History:
        """Distinct `items` just looked at, first to last: each weighs `decay` times what the next one does, in every
        one of `n_decays` forgettings."""
        weight = (decay ** np.arange(len(items) - 1, -1, -1)).astype(np.float32)
        order = np.argsort(items)
        weight, n = weight[order], len(items)
        at = np.full(n, now, np.int64)
        return cls(
            items[order].astype(np.int32),
            np.log2(1 + weight).astype(np.float32),
            weight,
            np.ones(n, np.int32),
            at,
            at,
            np.repeat(weight[:, None], n_decays, axis=1),
            np.array([now // 86_400], np.int32),
            now,
        )
