"""Errors planted into good prices: for learning what an error looks like, and for measuring who finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.price.hypotheses import PACKS, RATES, exchange

KINDS = ("x10", "/100", "currency", "pack")
ALL_KINDS = ("x10", "/10", "x100", "/100", "currency", "pack", "any")


@dataclass(frozen=True, slots=True)
class Planted:
    """`rows` of entries, their `value` as planted and `right` as they were, and the kind of each."""

    rows: NDArray[np.int64]
    value: NDArray[np.float64]
    right: NDArray[np.float64]
    kind: NDArray[Any]


def plant(
    value: NDArray[np.float64], pieces: NDArray[np.float64], rows: NDArray[np.int64], currency: str,
    rng: np.random.Generator, kinds: tuple[str, ...] = KINDS, rates: Mapping[str, float] | None = None,
) -> Planted:  # fmt: skip
    """Spoil the entries `rows` of `value (m,)`, each by a random kind; results are written in whole cents, at least one.

    `pieces (m,)` is the pack of each entry's product, NaN where it is not known (then a usual size is drawn). ``any`` is
    a factor that no named kind has, up to e⁵ either way. `rates` are the shop's own, as in `exchange`.
    """
    kind = np.array(kinds)[rng.integers(len(kinds), size=len(rows))]
    # Of a currency that nobody knows a mix-up is still one with some usual rate.
    rate = np.array(list((exchange(currency, rates) or RATES).values()))
    drawn_rate = rate[rng.integers(len(rate), size=len(rows))]
    known = np.isfinite(pieces[rows]) & (pieces[rows] > 1)
    size = np.where(known, pieces[rows], np.array(PACKS)[rng.integers(len(PACKS), size=len(rows))])
    size = np.where(rng.random(len(rows)) < 0.5, size, 1 / size)
    anything = np.exp(rng.uniform(0.7, 5.0, len(rows)) * rng.choice([-1.0, 1.0], len(rows)))
    factor = np.select(
        [kind == "x10", kind == "/10", kind == "x100", kind == "/100", kind == "currency", kind == "pack"],
        [10.0, 0.1, 100.0, 0.01, drawn_rate, size],
        anything,
    )
    right = value[rows]
    spoiled = np.maximum(np.rint(right * factor * 100) / 100, 0.01)
    # What rounding brought back to the same price is no error.
    changed = np.abs(np.log(spoiled / right)) > 1e-9
    return Planted(rows[changed], spoiled[changed], right[changed], kind[changed])
