"""Search sessions of a file, and products' texts beside them, for the evaluation of click models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.data.mapping import text_of
from wares.data.sources import read_whole
from wares.models.search.clicks import Sessions

NAMES = {
    "session": ("sess_id", "session_id", "session", "search_id", "query_id"),
    "query": ("query", "text", "q", "keywords"),
    "place": ("rank", "position", "place"),
    "product": ("doc_upc", "product_id", "doc_id", "item_id", "upc", "sku"),
    "clicked": ("clicked", "click", "is_clicked"),
}
FIELDS = ("title", "brand", "short", "long")
TEXTS = {
    "title": ("name", "title", "product_title"),
    "brand": ("manufacturer", "brand"),
    "short": ("short_description", "category"),
    "long": ("long_description", "description"),
}
TRUE = ("1", "true", "yes", "y", "t")


@dataclass(frozen=True)
class ClickFile:
    """`queries` by number, `products` by number (ids), and the sessions over both."""

    queries: list[str]
    products: list[str]
    sessions: Sessions


def _table(path: Path) -> pa.Table:
    tables = [table for table in read_whole(path) if table.num_columns]
    if not tables:
        raise QueryError(f"{path.name} holds no rows", mend="Check the file", parameter="file")
    return pa.concat_tables(tables, promote_options="permissive")


def _column(table: pa.Table, path: Path, role: str, names: tuple[str, ...]) -> pa.Array:
    lower = {name.strip().lower(): name for name in table.column_names}
    found = next((lower[name] for name in names if name in lower), None)
    if found is None:
        raise QueryError(
            f"{path.name} has no column for the {role}",
            mend=f"Name one {names[0]}; the file has {', '.join(table.column_names[:12])}",
            parameter=role,
        )
    return pc.fill_null(text_of(table[found]), "")


def _numbered(column: pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    coded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = coded.dictionary_encode()
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), coded.dictionary.to_pylist()


def read_sessions(path: Path) -> ClickFile:
    """One line a product that was shown: session, query, place, product and whether it was clicked, by their usual names.

    Lines of a session with one query are one search, in the order of their places.

    Raises:
        QueryError: naming the column that is missing, or the first place that is no number.
    """
    table = _table(path)
    read = {role: _column(table, path, role, names) for role, names in NAMES.items()}
    try:
        place = pc.cast(read["place"], pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise QueryError(
            f"{path.name} has a place that is no number: {error}",
            mend="Write 0, 1, 2 … from the top",
            parameter="place",
        ) from None
    session, _ = _numbered(read["session"])
    query, queries = _numbered(read["query"])
    item, products = _numbered(read["product"])
    clicked = pc.is_in(pc.utf8_lower(read["clicked"]), pa.array(TRUE)).to_numpy(zero_copy_only=False)
    order = np.lexsort((place, query, session))
    session, query = session[order], query[order]
    first = np.flatnonzero(np.concatenate([[True], (np.diff(session) != 0) | (np.diff(query) != 0)]))
    ptr = np.append(first, len(order)).astype(np.int64)
    found = Sessions(
        query[first].astype(np.int32),
        ptr,
        item[order].astype(np.int32),
        np.asarray(clicked, bool)[order],
    )
    return ClickFile(queries, products, found)


def read_fields(path: Path, wanted: list[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(texts of the `wanted` products by field, in their order; texts of the whole file by field).

    Raises:
        QueryError: when the file has no product ids or no titles.
    """
    table = _table(path)
    ids = _column(table, path, "product", NAMES["product"]).to_pylist()
    names = {name.strip().lower(): name for name in table.column_names}
    whole: dict[str, list[str]] = {}
    for role, usual in TEXTS.items():
        there = next((names[name] for name in usual if name in names), None)
        if there is None and role == "title":
            raise QueryError(
                f"{path.name} has no column for titles", mend="Name one title", parameter="products"
            )
        whole[role] = (
            [""] * len(ids) if there is None else pc.fill_null(text_of(table[there]), "").to_pylist()
        )
    at = {product: row for row, product in reversed(list(enumerate(ids)))}
    rows = [at.get(product, -1) for product in wanted]
    return {role: [cells[row] if row >= 0 else "" for row in rows] for role, cells in whole.items()}, whole
