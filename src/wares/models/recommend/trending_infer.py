"""What rises now against its own past. numpy only, memory-mapped.

Of a product with c shoppers in the T hours before the window, E = level · c · hours/T are expected in it, where `level`
is how busy the whole shop is in the window against its past: a Saturday is no trend. What came, n, is a Poisson count.
A product trends when it has enough shoppers, at least `LEAST_RISE` times as many as expected (both with `PRIOR` more,
so that three after none are no miracle), and its rise is no chance: z = 2(√(n + 3/8) − √(E + 3/8)), the
variance-stabilised difference (Anscombe, Biometrika 1948), orders the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

KIND = "trending"
HOUR = 3600
PRIOR = 3.0
LEAST_RISE = 1.5
LEAST_Z = 1.64
FEWEST = 3


@dataclass(slots=True)
class Rising:
    """What rises, most surely first: rows, z, times as many as expected, shoppers in the window."""

    items: NDArray[np.int32]
    z: NDArray[np.float64]
    rise: NDArray[np.float64]
    shoppers: NDArray[np.int64]


class Trending:
    """The hours of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.n_items = int(self.manifest["n_items"])
        self.end = int(self.manifest["end"])
        self._hour: NDArray[Any] = load_array(folder, "hour")
        self._item: NDArray[Any] = load_array(folder, "item")
        self._shoppers: NDArray[Any] = load_array(folder, "shoppers")

    def rank(self, now: int, hours: int, later: NDArray[np.int64] | None = None) -> Rising:
        """All that rises in the `hours` before `now` (Unix seconds); `later (n_items,)` are shoppers in the window since
        the build."""
        n = self.n_items
        edge = now // HOUR - hours
        split = int(np.searchsorted(self._hour, edge, side="right"))
        past = np.bincount(self._item[:split], self._shoppers[:split], n)
        here = np.bincount(self._item[split:], self._shoppers[split:], n)
        if later is not None:
            here = here + later
        # The past ends where the window begins or, when nothing was recorded for a while, where the records end.
        begin = int(self._hour[0]) if len(self._hour) else edge
        span = max(min(edge, self.end // HOUR) - begin + 1, 1)
        expected = past * hours / span
        if expected.sum() > 0:
            expected *= here.sum() / expected.sum()
        rise = (here + PRIOR) / (expected + PRIOR)
        z = 2 * (np.sqrt(here + 0.375) - np.sqrt(expected + 0.375))
        found = np.flatnonzero((here >= FEWEST) & (rise >= LEAST_RISE) & (z >= LEAST_Z))
        found = found[np.lexsort((found, -z[found]))]
        return Rising(found.astype(np.int32), z[found], rise[found], here[found].astype(np.int64))
