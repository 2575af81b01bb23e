"""What emerges: products that rise against their past and their neighbourhood, and categories that rise. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

EMERGING = "emerging"


@dataclass(frozen=True, slots=True)
class Riser:
    """`row` of the product, or for a category of one of its products. `ratio` times as many shoppers as expected (shrunk), with
    the ends of its 90 % interval; `recent` and `past` shoppers; `trend` of the neighbourhood, that was taken out; `q` the share
    of false finds in the list that ends with it."""

    row: int
    ratio: float
    low: float
    high: float
    recent: int
    past: int
    expected: float
    trend: float
    q: float


class Emerging:
    """The risers of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, EMERGING)
        fields = ("row", "recent", "past", "ratio", "low", "high", "expected", "q", "trend")
        names = [f"{kind}_{field}" for kind in ("product", "category") for field in fields]
        self._arrays: dict[str, NDArray[Any]] = {
            name: load_array(folder, name) for name in [*names, "category_example"]
        }
        self.days = [int(day) for day in self.manifest["days"]]

    def products(self, k: int, within: NDArray[np.bool_] | None = None) -> list[Riser]:
        """At most `k` products, surest first; of those marked in `within (n_items,)`."""
        rows = self._arrays["product_row"]
        kept = np.flatnonzero(within[rows]) if within is not None else np.arange(len(rows))
        return [self._riser("product", int(place), int(rows[place])) for place in kept[:k]]

    def categories(self, k: int) -> list[Riser]:
        """At most `k` categories, surest first."""
        rows = self._arrays["category_example"]
        return [self._riser("category", place, int(rows[place])) for place in range(min(k, len(rows)))]

    def _riser(self, kind: str, place: int, row: int) -> Riser:
        def at(field: str) -> float:
            return float(self._arrays[f"{kind}_{field}"][place])

        return Riser(
            row, at("ratio"), at("low"), at("high"), int(at("recent")), int(at("past")), at("expected"), at("trend"), at("q")
        )  # fmt: skip


def riser_words(
    one: Riser, weeks: tuple[float, float], language: str = "en", *, category: bool = False
) -> str:
    """Why it is in the list: `weeks` are the lengths of the recent window and of the past one."""
    trend = f"{one.trend - 1:+.0%}"
    if language == "zh":
        side = "全店走势" if category else f"同类走势（{trend}）"
        return f"近 {weeks[0]:.0f} 周 {one.recent:,} 人次，按过去 {weeks[1]:.0f} 周与{side}预期 {one.expected:,.0f}：约 {one.ratio:.1f} 倍"
    side = "the shop's trend" if category else f"its neighbours' trend ({trend})"
    return (
        f"{one.recent:,} shoppers in {weeks[0]:.0f} weeks where its {weeks[1]:.0f} weeks before and {side} let expect {one.expected:,.0f}: "
        f"{one.ratio:.1f} times ({one.low:.1f}–{one.high:.1f})"
    )
