"""Prices of a file of sales: each product's median price of a day, where it differs from the day before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.errors import QueryError
from wares.data.mapping import guess
from wares.data.sources import read_whole
from wares.data.types import NUMBER, TIMESTAMP, to_type
from wares.evaluate.prices import Case
from wares.models.price.observations import Goods, daily, packs_of, read_prices

NEIGHBOURS = 30
FEWEST_OF_A_CATEGORY = 8
BLOCK = 2048


def read_case(path: Path, currency: str) -> Case:
    """A case from a file with columns for product, moment, price and title, found by their names.

    Rows that take back (a quantity below zero) are left out. Without a category, the last word of the title stands for
    it where several products share it.

    Raises:
        QueryError: naming the column that is missing.
    """
    tables = list(read_whole(path))
    if not tables:
        raise QueryError(f"{path} holds no rows", mend="Check the file", parameter="sales")
    table = pa.concat_tables(tables, promote_options="permissive")
    roles = guess(table.column_names, c.PRODUCTS) | guess(table.column_names, c.EVENTS)
    for role in (c.PRODUCT_ID, c.AT, c.PRICE, c.TITLE):
        if role not in roles:
            raise QueryError(
                f"{path.name} has no column that reads like {role}",
                mend=f"Name one {role}; the file has {', '.join(table.column_names[:12])}",
                parameter="sales",
            )
    if c.QUANTITY in roles:
        sold = pc.fill_null(to_type(table[roles[c.QUANTITY]], NUMBER).values, 1)
        table = table.filter(pc.greater(sold, 0))
    ids = to_type(table[roles[c.PRODUCT_ID]], "string").values.dictionary_encode()
    at = to_type(table[roles[c.AT]], TIMESTAMP).values
    fine = pc.and_(pc.is_valid(at), pc.is_valid(ids))
    item = pc.fill_null(ids.indices, -1).to_numpy(zero_copy_only=False)
    seconds = pc.fill_null(at.cast(pa.int64()), 0).to_numpy(zero_copy_only=False) // 1_000_000
    money = to_type(table[roles[c.PRICE]], NUMBER).values.cast(pa.float64())
    value = pc.if_else(fine, money, None).to_numpy(zero_copy_only=False)
    n = len(ids.dictionary)
    titles = _first(table[roles[c.TITLE]], item, n)
    prices = read_prices(*daily(item, seconds, value), n)
    kinds = _first(table[roles[c.CATEGORY]], item, n) if c.CATEGORY in roles else _last_words(titles)
    category = _codes(kinds)
    brand = _codes(_first(table[roles[c.BRAND]], item, n)) if c.BRAND in roles else np.full(n, -1, np.int32)
    sizes = _first(table[roles[c.SIZE]], item, n) if c.SIZE in roles else [""] * n
    unit, amount, count, units = packs_of(sizes, titles)
    text_of, near, sims = near_texts(titles)
    goods = Goods(category, brand, unit, amount, count, text_of, near, sims, units)
    return Case(path.name, prices, goods, currency)


def _first(column: Any, item: NDArray[Any], n: int) -> list[str]:
    """The first text of each product that is not blank."""
    texts = to_type(column, "string").values
    there = pc.is_valid(texts).to_numpy(zero_copy_only=False) & (item >= 0)
    rows = np.flatnonzero(there)
    known, at = np.unique(item[rows], return_index=True)
    out = [""] * n
    for row, text in zip(known.tolist(), texts.take(pa.array(rows[at])).to_pylist(), strict=True):
        out[row] = text
    return out


def _last_words(titles: list[str]) -> list[str]:
    words = [title.casefold().split()[-1] if title.split() else "" for title in titles]
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return [word if counts[word] >= FEWEST_OF_A_CATEGORY else "other" for word in words]


def _codes(names: list[str]) -> NDArray[np.int32]:
    known = {name: i for i, name in enumerate(sorted({n for n in names if n}))}
    return np.array([known.get(name, -1) for name in names], np.int32)


def near_texts(titles: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """(text of each product, texts like each text, how like) by TF-IDF over words and pieces of words.

    A file has no encoder's vectors; a workspace brings its own neighbours.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = {title: i for i, title in enumerate(sorted({t for t in titles if t.strip()}))}
    text_of = np.array([known.get(title, -1) for title in titles], np.int32)
    if len(known) < 2:
        return text_of, np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
    grid = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
    rows = grid.fit_transform(list(known))
    k = min(NEIGHBOURS, len(known) - 1)
    near, sims = np.zeros((len(known), k), np.int32), np.zeros((len(known), k), np.float32)
    for start in range(0, len(known), BLOCK):
        block = (rows[start : start + BLOCK] @ rows.T).toarray()
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -1
        top = np.argsort(-block, 1, kind="stable")[:, :k]
        near[start : start + BLOCK], sims[start : start + BLOCK] = top, np.take_along_axis(block, top, 1)
    return text_of, np.where(sims > 0, near, -1).astype(np.int32), sims
