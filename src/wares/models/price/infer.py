"""Prices as serving needs them: what is expected of each product, and the prices that look wrong. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

KIND = "price"
LIKELY = 0.25
"""From this probability on a price is worth an alert; below, it waits in the list."""


@dataclass(frozen=True, slots=True)
class PriceRange:
    """What is expected of a product: the ends of the range (10 % and 90 %) and its middle, for the pack as sold; the rows
    of comparable products, nearest first; `same_unit` of them sold by the same unit; `amount` of `unit` in the pack."""

    low: float
    middle: float
    high: float
    nearest: NDArray[np.int32]
    same_unit: int
    unit: str
    amount: float
    own_middle: float
    own_count: int
    probability: float


@dataclass(frozen=True, slots=True)
class PriceAnomaly:
    """A price that looks wrong. `kind` as ``x10``, ``/100``, ``currency``, ``pack`` or ``outlier``, with `detail` (the currency, the
    pieces); `share` of the probability that this kind has among the explanations; `right` the price that is then likely
    right; `current` whether the price holds now; moments in Unix seconds."""

    item: int
    at: int
    price: float
    probability: float
    kind: str
    detail: str
    share: float
    right: float
    current: bool
    own_middle: float
    own_count: int
    low: float
    middle: float
    high: float
    comparables: int
    same_unit: int


class PriceBook:
    """The prices of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        names = (
            "low", "middle", "high", "nearest", "same_unit", "unit_of", "amount", "own_middle", "own_count", "probability",
            "odd_item", "odd_at", "odd_price", "odd_probability", "odd_reason", "odd_share", "odd_right", "odd_current", "odd_own_middle",
            "odd_own_count",
        )  # fmt: skip
        self._arrays: dict[str, NDArray[Any]] = {name: load_array(folder, name) for name in names}
        self.units = [str(unit) for unit in self.manifest["units"]]
        self.reasons = [(str(kind), str(detail)) for kind, detail in self.manifest["reasons"]]

    def __len__(self) -> int:
        return len(self._arrays["low"])

    def expected(self, row: int) -> PriceRange | None:
        """What is expected of the product of a row; None where nothing is comparable."""
        a = self._arrays
        if not 0 <= row < len(self) or not np.isfinite(a["middle"][row]):
            return None
        nearest = a["nearest"][row]
        unit = int(a["unit_of"][row])
        return PriceRange(
            float(a["low"][row]), float(a["middle"][row]), float(a["high"][row]), nearest[nearest >= 0], int(a["same_unit"][row]),
            self.units[unit] if unit >= 0 else "", float(a["amount"][row]), float(a["own_middle"][row]), int(a["own_count"][row]),
            float(a["probability"][row]),
        )  # fmt: skip

    def unit_of(self, row: int) -> tuple[str, float] | None:
        """Unit and amount of a product's pack; None where it is not known."""
        unit, amount = int(self._arrays["unit_of"][row]), float(self._arrays["amount"][row])
        return (self.units[unit], amount) if unit >= 0 and np.isfinite(amount) and amount > 0 else None

    def anomalies(self, k: int = 50, *, past: bool = False, least: float = 0.0) -> list[PriceAnomaly]:
        """At most `k` prices, likeliest wrong first: those that hold now or, with `past`, all that ever held."""
        a = self._arrays
        kept = (a["odd_probability"] >= least) & (a["odd_current"].astype(bool) | past)
        return [self._anomaly(int(place)) for place in np.flatnonzero(kept)[:k]]

    def anomaly_of(self, row: int) -> PriceAnomaly | None:
        """The anomaly of a product's price of now, if it is one."""
        found = np.flatnonzero((self._arrays["odd_item"] == row) & self._arrays["odd_current"].astype(bool))
        return self._anomaly(int(found[0])) if len(found) else None

    def _anomaly(self, place: int) -> PriceAnomaly:
        a = self._arrays
        item = int(a["odd_item"][place])
        kind, detail = self.reasons[int(a["odd_reason"][place])]
        return PriceAnomaly(
            item, int(a["odd_at"][place]), float(a["odd_price"][place]), float(a["odd_probability"][place]), kind, detail,
            float(a["odd_share"][place]), float(a["odd_right"][place]), bool(a["odd_current"][place]), float(a["odd_own_middle"][place]),
            int(a["odd_own_count"][place]), float(a["low"][item]), float(a["middle"][item]), float(a["high"][item]),
            int((a["nearest"][item] >= 0).sum()), int(a["same_unit"][item]),
        )  # fmt: skip
