"""A searchable catalogue of rows that are in memory: the same artefacts as a build makes, without a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.config import Search
from wares.core.strings import StringTable
from wares.features.catalogue import KIND, NO_PRICE, PRICE_SCALE, TEXTS, Catalogue, codes
from wares.models.search import train
from wares.models.search.infer import Searcher

Encode = Callable[[str], NDArray[np.float32]]
VECTORS_KIND = "vectors"


def write_catalogue(
    folder: Path,
    columns: Mapping[str, Sequence[str]],
    texts: Sequence[str],
    prices: NDArray[np.float64] | None = None,
) -> Catalogue:
    """A catalogue of columns (each ``(n,)``; ``product_id`` is needed) and one text to encode a product.

    ``prices (n,)`` are NaN where there is none. Everything can be bought.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n = len(columns["product_id"])
    whole = {name: list(columns.get(name, [""] * n)) for name in TEXTS}
    for name, cells in whole.items():
        StringTable.of(cells).save(folder, name)
    unique = sorted(set(texts))
    place = {text: i for i, text in enumerate(unique)}
    StringTable.of(unique).save(folder, "texts")
    category_of, categories = codes(whole["category"])
    brand_of, brands = codes(whole["brand"])
    money = np.full(n, np.nan) if prices is None else np.asarray(prices, np.float64)
    units = np.where(np.isnan(money), NO_PRICE, np.rint(np.nan_to_num(money) * PRICE_SCALE)).astype(np.int64)
    save_arrays(
        folder, prices=units, available=np.ones(n, np.uint8), text_of=np.fromiter((place[t] for t in texts), np.int32, n),
        category_of=category_of, brand_of=brand_of, price_ptr=np.zeros(n + 1, np.int64), price_at=np.zeros(0, np.int64),
        price_value=np.zeros(0, np.int64),
    )  # fmt: skip
    seal(folder, KIND, aliases=0, items=n, texts=len(unique), categories=len(categories), brands=len(brands), template="{title}")  # fmt: skip
    return Catalogue(folder)


def make_searcher(
    folder: Path,
    columns: Mapping[str, Sequence[str]],
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    encode: Encode | None,
    *,
    prices: NDArray[np.float64] | None = None,
    sold: NDArray[np.int64] | None = None,
    config: Search | None = None,
    **given: Any,
) -> Searcher:
    """A searcher over rows. ``vectors (n, dim)`` are those of `texts`, row by row; ``sold (n,)`` how often each was bought."""
    catalogue = write_catalogue(folder / "catalogue", columns, texts, prices)
    first = {text: i for i, text in reversed(list(enumerate(texts)))}
    unique = sorted(first)
    table = np.asarray(vectors, np.float32)[[first[t] for t in unique]]
    save_arrays(folder / "vectors", vectors=table.astype(np.float16))
    seal(folder / "vectors", VECTORS_KIND)
    n = len(catalogue)
    train.fit(
        catalogue, folder / "vectors", np.zeros(n, np.int64) if sold is None else sold,
        config or Search.model_validate({}), folder / "search",
    )  # fmt: skip
    return Searcher(folder / "search", catalogue, encode, **given)
