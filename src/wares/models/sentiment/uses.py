"""What a shop does with its moods, as serving needs it: satisfaction of queries, cases of service, reports, prices, stock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.strings import StringTable

KIND = "mood_uses"
LISTS = ("queries", "cases", "reports", "stock", "risks")
"""Lists of JSON objects, each best or most pressing first: `MoodUses.rows`."""


class MoodUses:
    """The uses of a build's moods. Rows are read from memory-mapped text when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.lists = {name: StringTable.load(folder, name) for name in LISTS}
        self.report_of: NDArray[Any] = load_array(folder, "report_of")
        self.price_sum: NDArray[Any] = load_array(folder, "price_sum")
        self.price_count: NDArray[Any] = load_array(folder, "price_count")
        self.query_texts = StringTable.load(folder, "query_texts")
        self.facts: dict[str, Any] = self.manifest["facts"]

    def count(self, name: str) -> int:
        """How many rows a list has."""
        return len(self.lists[name])

    def rows(self, name: str, k: int, offset: int = 0) -> list[dict[str, Any]]:
        """Rows `offset` to `offset + k` of a list."""
        table = self.lists[name]
        return [json.loads(table[i]) for i in range(min(offset, len(table)), min(offset + k, len(table)))]

    def query(self, text: str) -> dict[str, Any] | None:
        """What is known of a search text; None where it was never or too seldom asked."""
        row = self.query_texts.find(normal(text))
        return None if row < 0 else dict(json.loads(self.lists["queries"][row]))

    def report(self, product: int) -> dict[str, Any] | None:
        """The report on the product of a row; None where nothing is said of it."""
        place = int(self.report_of[product]) if 0 <= product < len(self.report_of) else -1
        return None if place < 0 else dict(json.loads(self.lists["reports"][place]))

    def price_mood(self, product: int) -> tuple[float, float, float, float]:
        """(sum, count) of opinions on the price of a product, and (mean, spread) of those on all."""
        mean, spread = self.facts["price_opinions"]
        if not 0 <= product < len(self.price_sum):
            return 0.0, 0.0, float(mean), float(spread)
        return float(self.price_sum[product]), float(self.price_count[product]), float(mean), float(spread)


def normal(text: str) -> str:
    """A search text as it is counted: in small letters, white space once."""
    return " ".join(text.casefold().split())


def write_uses(
    folder: Path, lists: Mapping[str, Iterable[Mapping[str, Any]]], report_of: NDArray[Any], price_sum: NDArray[Any],
    price_count: NDArray[Any], query_texts: Sequence[str], facts: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write the artefact; `lists` by `LISTS`, ``report_of (n_items,)`` the place of each product's report or -1."""
    for name in LISTS:
        StringTable.of(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in lists[name]).save(
            folder, name
        )
    StringTable.of(query_texts).save(folder, "query_texts")
    save_arrays(
        folder, report_of=np.asarray(report_of, np.int32), price_sum=np.asarray(price_sum, np.float32),
        price_count=np.asarray(price_count, np.float32),
    )  # fmt: skip
    return seal(folder, KIND, facts=dict(facts))
