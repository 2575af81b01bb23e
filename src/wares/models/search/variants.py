"""Which products are one thing in several sizes, counts or capacities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from wares.models.search.forward import tokens_of

_UNITS = frozenset(
    (
        "g",
        "kg",
        "mg",
        "oz",
        "lb",
        "ml",
        "l",
        "cl",
        "liter",
        "fl",
        "mm",
        "cm",
        "m",
        "inch",
        "in",
        "gb",
        "tb",
        "mb",
        "pack",
        "pk",
        "ct",
        "count",
        "pc",
        "pcs",
        "x",
        "w",
        "v",
        "mah",
        "ah",
        "克",
        "公斤",
        "升",
        "毫升",
        "厘米",
        "寸",
        "片",
        "包",
        "只",
        "瓶",
        "盒",
    )
)


def variant_codes(cells: Iterable[tuple[str, str, str, str]]) -> NDArray[np.int32]:
    """A code for each product ``(n,) int32`` from (title, brand, category, size); -1 where no word is left to go by.

    Products share one when brand, category and the words of the title agree once numbers, the units behind them and what the size
    column says are left out. So ``Oat drink, 1 l`` and ``Oat drink 500 ml`` are one; ``iPhone 12`` and ``iPhone 13`` would
    be, so a number counts as a size only before a unit.
    """
    index: dict[tuple[str, str, tuple[str, ...]], int] = {}
    out: list[int] = []
    for title, brand, category, size in cells:
        words = tokens_of(title)
        apart = set(tokens_of(size))
        left = [
            w
            for i, w in enumerate(words)
            if w not in apart
            and not (w in _UNITS and i > 0 and words[i - 1].isdigit())
            and not (
                w.isdigit() and i + 1 < len(words) and (words[i + 1] in _UNITS or words[i + 1].isdigit())
            )
        ]
        out.append(index.setdefault((brand, category, tuple(left)), len(index)) if left else -1)
    return np.array(out, np.int32)
