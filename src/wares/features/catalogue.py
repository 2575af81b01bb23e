"""The catalogue as memory-mapped columns: what serving knows about products without any data engine."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.nouns import Product
from wares.core.strings import StringTable

KIND = "catalogue"
PRICE_SCALE = 10_000
NO_PRICE = -1
KEPT = 20_000
TEXTS = (
    "product_id",
    "title",
    "description",
    "brand",
    "category",
    "size",
    "currency",
    "image",
    "url",
    "attributes",
)


def below(category: str, above: str) -> bool:
    """Whether a category is another or lies below it."""
    return category == above or category.startswith(f"{above} >")


def price_units(price: Decimal | None) -> int:
    """A price in ten-thousandths, as stored; -1 for none."""
    return NO_PRICE if price is None else int((price * PRICE_SCALE).to_integral_value())


class Catalogue:
    """Products by row. ``prices (n,) int64`` in ten-thousandths, ``text_of (n,) int32`` the row of its text vector."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.columns = {name: StringTable.load(folder, name) for name in TEXTS}
        self.ids = self.columns["product_id"]
        self.prices: NDArray[Any] = load_array(folder, "prices")
        self.available: NDArray[Any] = load_array(folder, "available")
        self.text_of: NDArray[Any] = load_array(folder, "text_of")
        self.category_of: NDArray[Any] = load_array(folder, "category_of")
        self.brand_of: NDArray[Any] = load_array(folder, "brand_of")
        self.price_ptr: NDArray[Any] = load_array(folder, "price_ptr")
        self.price_at: NDArray[Any] = load_array(folder, "price_at")
        # Present since products can be fused; a bundle made before has none.
        fused = bool(self.manifest.get("aliases"))
        self._alias = StringTable.load(folder, "alias") if fused else None
        self.alias_row: NDArray[Any] = load_array(folder, "alias_row") if fused else np.zeros(0, np.int32)
        self._product = lru_cache(KEPT)(self._read)
        self.price_value: NDArray[Any] = load_array(folder, "price_value")

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, product_id: str) -> int:
        """The row of a product, or of the fused product that it is part of, or -1."""
        row = self.ids.find(product_id)
        if row < 0 and self._alias is not None and (at := self._alias.find(product_id)) >= 0:
            return int(self.alias_row[at])
        return row

    def product(self, row: int) -> Product:
        """The product of a row; those asked for lately are kept."""
        return self._product(row)

    def _read(self, row: int) -> Product:
        text = {name: str(self.columns[name][row]) for name in TEXTS}
        attributes = text.pop("attributes")
        units = int(self.prices[row])
        return Product(
            **text,
            price=None if units == NO_PRICE else Decimal(units) / PRICE_SCALE,
            available=bool(self.available[row]),
            attributes={str(k): str(v) for k, v in json.loads(attributes).items()} if attributes else {},
        )

    def price_history(self, row: int) -> list[tuple[int, Decimal]]:
        """(Unix seconds, price) from then on, oldest first."""
        part = slice(int(self.price_ptr[row]), int(self.price_ptr[row + 1]))
        return [
            (int(at), Decimal(int(v)) / PRICE_SCALE)
            for at, v in zip(self.price_at[part], self.price_value[part], strict=True)
        ]


def codes(values: list[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Integers for strings, by first appearance in sorted order; the empty string is -1."""
    names = sorted({v for v in values if v})
    index = {name: i for i, name in enumerate(names)}
    return np.fromiter((index.get(v, -1) for v in values), np.int32, len(values)), names
