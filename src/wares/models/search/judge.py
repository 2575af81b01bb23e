"""Judgements out of searches: how good each product is for each text, graded 0..1, and the rates of behaviour that ranking uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.strings import StringTable
from wares.models.search.clicks import MODELS, Clicks, Sessions, best_model, pbm, weighed

COUNTS = "counts"
FEWEST_SHOWN = 200
"""Searches with a click and a list shown below which no click model is fitted."""
PRIOR = 10.0
"""Looks that the mean counts for in a rate."""
BOUGHT = 2.0
"""What a purchase after a click says, against the click itself."""
RATES = ("click_rate", "cart_rate", "purchase_rate", "looks")
PEOPLE = 3
"""Visitors that a text needs before it is written down anywhere: a rarer one may say who typed it."""


class Searched(Protocol):
    """A search as it is read from the log: see `wares.pipeline.search_log.Search`."""

    who: str
    text: str
    at: int
    shown: list[int]
    clicked: list[int]
    carted: list[int]
    bought: list[int]


def common_texts(searches: Sequence[Searched], people: int = PEOPLE, most: int = 100_000) -> list[str]:
    """Texts that at least `people` visitors typed, most searched first; a search without a visitor is one of its own."""
    who: dict[str, set[str]] = {}
    times: dict[str, int] = {}
    for number, one in enumerate(searches):
        who.setdefault(one.text, set()).add(one.who or f"#{number}")
        times[one.text] = times.get(one.text, 0) + 1
    texts = [text for text, some in who.items() if len(some) >= people]
    return sorted(texts, key=lambda text: (-times[text], text))[:most]


@dataclass(frozen=True)
class Judgements:
    """`grades` by text and product row, 0..1, the best of a text is 1; how they were found in `facts`; ``examined (places,)`` how
    often a place is looked at, empty where no list was recorded."""

    grades: dict[str, dict[int, float]]
    facts: dict[str, Any]
    examined: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def choose_model(sessions: Sessions, seed: int) -> tuple[str, dict[str, float]]:
    """The click model that tells this log best, and the log-likelihoods; ``counts`` where too little was recorded."""
    clicked = np.zeros(len(sessions), bool)
    clicked[sessions.session[sessions.clicked]] = True
    if int(clicked.sum()) < FEWEST_SHOWN:
        return COUNTS, {}
    return best_model(sessions, seed)


def judge(
    searches: Sequence[Searched],
    sessions: Sessions,
    texts: Sequence[str],
    model: str,
    told: Mapping[str, float] | None = None,
) -> Judgements:
    """Grades of the products of `texts` by a click `model` on `sessions` (whose queries are numbers into `texts`), with purchases.

    By ``counts`` the grade is the logarithm of clicks, which keeps the bias of the places that the products had. A purchase after a
    click adds to what the click says; the best product of a text has grade 1.
    """
    number = {text: i for i, text in enumerate(texts)}
    value: dict[int, dict[int, float]] = {}
    fitted: Clicks | None = None
    if model != COUNTS:
        fitted = MODELS[model](sessions)
        value = fitted.grades()
    counts: dict[int, dict[int, list[float]]] = {}
    for one in searches:
        query = number.get(one.text, -1)
        if query < 0:
            continue
        by = counts.setdefault(query, {})
        for product in one.clicked:
            cell = by.setdefault(product, [0.0, 0.0])
            cell[0] += 1
            cell[1] += product in one.bought
    grades: dict[str, dict[int, float]] = {}
    for query, by in counts.items():
        raw: dict[int, float] = {}
        for product, (clicks, bought) in by.items():
            worth = value.get(query, {}).get(product, 0.0) if fitted is not None else float(np.log1p(clicks))
            raw[product] = worth * (1 + BOUGHT * bought / (clicks + PRIOR))
        best = max(raw.values(), default=0.0)
        if best > 0:
            grades[texts[query]] = {p: v / best for p, v in sorted(raw.items()) if v > 0}
    facts = {
        "model": model, "log_likelihood": {k: round(v, 4) for k, v in (told or {}).items()}, "searches": len(searches), "with_lists": len(sessions),
        "texts": len(grades), "pairs": sum(len(by) for by in grades.values()),
    }  # fmt: skip
    # Where the model is this one, it was fitted already.
    examined = (
        fitted.examined if fitted is not None and model == "pbm" and len(sessions) else examined_of(sessions)
    )
    return Judgements(grades, facts, examined)


def examined_of(sessions: Sessions) -> NDArray[np.float64]:
    """How often each place is looked at ``(places,)``; empty where no list was recorded."""
    return pbm(sessions).examined if len(sessions) else np.zeros(0)


class Rates:
    """Smoothed rates of clicks, baskets and purchases per look, of (text, product) and of products over all texts.

    ``texts`` has the texts; the products of text i and their ``values (m, 4)`` (`RATES`) lie at ``ptr[i]:ptr[i + 1]`` with ``rows``
    ascending; ``of_product (n_items, 4)`` is over all texts.
    """

    def __init__(
        self,
        texts: StringTable,
        ptr: NDArray[Any],
        rows: NDArray[Any],
        values: NDArray[Any],
        of_product: NDArray[Any],
    ) -> None:
        self.texts, self.ptr, self.rows, self.values, self.of_product = texts, ptr, rows, values, of_product

    @classmethod
    def of(
        cls,
        searches: Sequence[Searched],
        sessions: Sessions,
        texts: Sequence[str],
        examined: NDArray[np.float64],
        n_items: int,
    ) -> Rates:
        """Rates of some searches. Looks are corrected for the place by `examined`; where no list was recorded a search of the text
        counts as one look at each product that was ever clicked for it."""
        number = {text: i for i, text in enumerate(texts)}
        deeds: dict[tuple[int, int], NDArray[np.float64]] = {}
        asked = np.zeros(len(texts))
        for one in searches:
            query = number.get(one.text, -1)
            if query < 0:
                continue
            asked[query] += 1
            for product in one.clicked:
                cell = deeds.setdefault((query, product), np.zeros(3))
                cell += (1.0, product in one.carted, product in one.bought)
        looks: dict[tuple[int, int], float] = {}
        if len(sessions) and len(examined):
            fitted = weighed(sessions, examined)
            for query, item, seen in zip(
                fitted.looks.query.tolist(), fitted.looks.item.tolist(), fitted.seen.tolist(), strict=True
            ):
                looks[query, item] = seen
        pairs = sorted({*deeds, *looks})
        table = np.zeros((len(pairs), 4))
        for at, pair in enumerate(pairs):
            done = deeds.get(pair, np.zeros(3))
            table[at, :3] = done
            # Fewer looks than clicks cannot be.
            table[at, 3] = max(looks.get(pair, asked[pair[0]]), done[0])
        query_of = np.array([q for q, _ in pairs], np.int64)
        rows = np.array([r for _, r in pairs], np.int32)
        whole = table.sum(0)
        mean = whole[:3] / max(float(whole[3]), 1.0)
        product = np.column_stack([np.bincount(rows, table[:, i], n_items) for i in range(4)]) if len(pairs) else np.zeros((n_items, 4))  # fmt: skip
        ptr = np.searchsorted(query_of, np.arange(len(texts) + 1)).astype(np.int64)
        return cls(
            StringTable.of(texts), ptr, rows, _smooth(table, mean), _smooth(product, mean).astype(np.float32)
        )

    def look_up(self, text: str, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Rates ``(n, 8)`` of products for a text: of the pair, NaN where nothing is known, and of the product."""
        out = np.full((len(rows), 8), np.nan, np.float32)
        out[:, 4:] = self.of_product[rows]
        query = self.texts.find(text)
        if query >= 0:
            part = slice(int(self.ptr[query]), int(self.ptr[query + 1]))
            known = self.rows[part]
            if len(known):
                at = np.minimum(np.searchsorted(known, rows), len(known) - 1)
                there = known[at] == rows
                out[there, :4] = self.values[part][at[there]]
        return out

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        self.texts.save(folder, "rate_texts")
        save_arrays(
            folder, rate_ptr=self.ptr, rate_rows=self.rows, rate_values=self.values.astype(np.float32), rate_products=self.of_product
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Rates:
        """Read them back, memory-mapped."""
        names = ("rate_ptr", "rate_rows", "rate_values", "rate_products")
        return cls(StringTable.load(folder, "rate_texts"), *(load_array(folder, name) for name in names))


def _smooth(table: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rates and the logarithm of looks, of counts ``(m, 4)``."""
    looks = table[:, 3:]
    rates = (table[:, :3] + PRIOR * mean) / (looks + PRIOR)
    return np.column_stack([rates, np.log1p(looks)]).astype(np.float32)
