"""Read files of user, item and time, whatever their layout, and side files about items."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import SourceError
from wares.core.files import read_json
from wares.data.mapping import text_of
from wares.data.sources import read_whole
from wares.data.types import TIMESTAMP, to_type

Rows = list[list[tuple[float, int]]]
LEAKY = ("also_bought", "also_viewed", "bought_together", "buy_after_viewing", "bought_with", "viewed_with")
MAX_ENTITY = 2000
EVENT_NAMES = {
    "user": ("user_id", "user", "customer_id", "reviewerID"),
    "item": ("item_id", "product_id", "item", "asin"),
    "at": ("at", "timestamp", "time", "date"),
    "kind": ("kind", "event"),
    "history": ("history_item_id", "history_item_ids", "history"),
}


def read_columns(path: Path, wanted: dict[str, tuple[str, ...]]) -> dict[str, pa.Array]:
    """Columns of a file by any of their names, as strings; those that are not there are left out.

    Raises:
        SourceError: when a row cannot be read, or the file has none.
    """
    parts: dict[str, list[Any]] = {name: [] for name in wanted}
    names: list[str] = []
    for table in read_whole(path):
        names = table.column_names
        for ours, theirs in wanted.items():
            found = next((t for t in theirs if t in names), None)
            if found is not None:
                column = text_of(table[found])
                parts[ours] += column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if not names:
        raise SourceError(f"{path} holds no rows", mend="Check the file", source=str(path))
    return {name: pa.chunked_array(chunks).combine_chunks() for name, chunks in parts.items() if chunks}


def read_events(path: Path, items: dict[str, int], users: dict[str, int]) -> Rows:
    """(time, item) of each user in time order; the row number is the time where there is none.

    ``*.txt`` (plain or gz): one line a user, the user and then its items, oldest first, between blanks. Anything
    else: a table with the columns user_id, item_id and, if there is, a time; or next-item samples with the column
    history_item_id (blanks between), whose overlapping windows are joined again. `items` and `users` grow.

    Raises:
        SourceError: when a column is missing, a time cannot be read, or nothing is there.
    """
    if path.name.removesuffix(".gz").endswith(".txt"):
        return _lines(path, items, users)
    columns = read_columns(path, EVENT_NAMES)
    if "user" not in columns or "item" not in columns:
        raise SourceError(
            f"{path} needs the columns user_id and item_id", mend="Rename its columns", source=str(path)
        )
    if "history" in columns:
        return _samples(columns, items, users)
    if "at" in columns:
        typed = to_type(columns["at"], TIMESTAMP)
        if typed.bad:
            raise SourceError(
                f"{path}, row {typed.bad[0] + 2}: {columns['at'][typed.bad[0]]} is no time",
                mend=typed.mend,
                source=str(path),
                line=typed.bad[0] + 2,
            )
        at = typed.values.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64) / 1e6
    else:
        at = np.arange(len(columns["user"]), dtype=np.float64)
    rows: Rows = [[] for _ in users]
    for when, user, item in zip(at, columns["user"].to_pylist(), columns["item"].to_pylist(), strict=True):
        if user is None or item is None:
            continue
        row = users.setdefault(user, len(users))
        if row == len(rows):
            rows.append([])
        rows[row].append((float(when), items.setdefault(item, len(items))))
    for row in rows:
        row.sort(key=lambda pair: pair[0])
    return rows


def overlap(known: Sequence[int], later: Sequence[int]) -> int:
    """How many items `later` begins with that `known` ends with."""
    return next((m for m in range(min(len(known), len(later)), 0, -1) if known[-m:] == later[:m]), 0)


def _samples(columns: dict[str, pa.Array], items: dict[str, int], users: dict[str, int]) -> Rows:
    """Sequences out of samples of (user, the last items before, the item), in the order of the file."""
    rows: Rows = [[] for _ in users]
    known: list[list[int]] = [[] for _ in users]
    at = 0.0
    for user, before, item in zip(
        columns["user"].to_pylist(), columns["history"].to_pylist(), columns["item"].to_pylist(), strict=True
    ):
        if user is None or item is None:
            continue
        row = users.setdefault(user, len(users))
        if row == len(rows):
            rows.append([])
            known.append([])
        window = [items.setdefault(name, len(items)) for name in [*(before or "").split(), item]]
        for one in window[overlap(known[row], window) :]:
            known[row].append(one)
            rows[row].append((at, one))
            at += 1.0
    return rows


def _lines(path: Path, items: dict[str, int], users: dict[str, int]) -> Rows:
    rows: Rows = [[] for _ in users]
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            if not words:
                continue
            if len(words) == 1:
                raise SourceError(
                    f"{path.name}, line {number}: a user without items",
                    mend="Write the user, then its items, between blanks",
                    source=str(path),
                    line=number,
                )
            row = users.setdefault(words[0], len(users))
            if row == len(rows):
                rows.append([])
            begin = len(rows[row])
            rows[row] += [
                (float(begin + i), items.setdefault(w, len(items))) for i, w in enumerate(words[1:])
            ]
    if not any(rows):
        raise SourceError(f"{path} holds no rows", mend="Check the file", source=str(path))
    return rows


def read_attributes(path: Path, items: dict[str, int]) -> sp.csr_matrix:
    """``{"item": [attribute, …]}`` as JSON (plain or gz) → memberships ``(n_items, n_attributes)``.

    Items that are not in the catalogue are left out; attributes of one item alone say nothing and are dropped.
    """
    if path.suffix == ".gz":
        import json

        with gzip.open(path, "rt", encoding="utf-8") as stream:
            held = json.load(stream)
    else:
        held = read_json(path)
    if not isinstance(held, dict):
        raise SourceError(
            f"{path} is no JSON object of item → attributes", mend="Check the file", source=str(path)
        )
    names: dict[str, int] = {}
    cells = [
        (items[item], names.setdefault(str(value), len(names)))
        for item, values in held.items()
        if item in items
        for value in (values if isinstance(values, list) else [values])
    ]
    return memberships(cells, len(items), len(names))


def read_vectors(path: Path, items: dict[str, int]) -> NDArray[np.float32]:
    """Vectors of items from an ``.npz`` of ``ids (m,)`` strings and ``vectors (m, dim)`` → ``(n_items, dim) float32``.

    Items without a vector get zeros, which every part reads as "unknown"; ids that no event or product names are left
    out.

    Raises:
        SourceError: when the arrays are missing, of different length, or hold what is no number.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            ids, vectors = held["ids"], np.asarray(held["vectors"], np.float32)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise SourceError(
            f"{path} is no .npz of `ids` and `vectors`: {error}",
            mend="Write it with numpy.savez(path, ids=numpy.array([...]), vectors=...), ids as strings",
            source=str(path),
        ) from error
    if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors):
        raise SourceError(
            f"{path}: `ids` has the shape {ids.shape}, `vectors` {vectors.shape}",
            mend="Give one row of `vectors` for each id",
            source=str(path),
        )
    broken = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(broken):
        raise SourceError(
            f"{path}: the vector of {ids[broken[0]]} holds NaN or infinity ({len(broken)} such)",
            mend="Encode these items again, or leave them out",
            source=str(path),
            line=int(broken[0]),
        )
    rows = np.array([items.get(str(name), -1) for name in ids], np.int64)
    out = np.zeros((len(items), vectors.shape[1]), np.float32)
    out[rows[rows >= 0]] = vectors[rows >= 0]
    return out


def memberships(cells: Sequence[tuple[int, int]], n_items: int, n_features: int) -> sp.csr_matrix:
    """(item, feature) pairs as a binary matrix without the features that fewer than two items share."""
    pairs = np.array(sorted(set(cells)), np.int64).reshape(-1, 2)
    matrix = sp.csr_matrix(
        (np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), shape=(n_items, max(n_features, 1))
    )
    shared = np.flatnonzero(np.asarray(matrix.sum(0)).ravel() >= 2)
    return sp.csr_matrix(matrix[:, shared])


def read_graph(
    path: Path, items: dict[str, int], other: dict[str, str], leaky: Sequence[str] = LEAKY
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """A file of head, relation, tail as memberships ``(n_items, n_entities)``: (of all sound relations, of `leaky` ones).

    Each relation and tail is an entity that its heads share; a tail that is itself an item shares it too. Entities
    with more than 2,000 items are left out. `leaky` relations are made of what shoppers did, perhaps after the split.

    Raises:
        SourceError: when head or tail are missing.
    """
    wanted = {
        "head": ("head", "head_id", "subject"),
        "relation": ("relation", "rel", "predicate"),
        "tail": ("tail", "tail_id", "object"),
    }
    columns = read_columns(
        path, {ours: (*theirs, f"{ours}_asin", f"{ours}_item") for ours, theirs in wanted.items()}
    )
    if "head" not in columns or "tail" not in columns:
        raise SourceError(
            f"{path} needs the columns head, relation, tail", mend="Rename its columns", source=str(path)
        )

    def item(name: str | None) -> int:
        return -1 if name is None else items.get(name, items.get(other.get(name, ""), -1))

    entities: tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]] = ({}, {})
    cells: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    relations = columns["relation"].to_pylist() if "relation" in columns else [""] * len(columns["head"])
    for head, relation, tail in zip(
        columns["head"].to_pylist(), relations, columns["tail"].to_pylist(), strict=True
    ):
        source = item(head)
        if source < 0 or tail is None:
            continue
        which = int(relation in leaky)
        entity = entities[which].setdefault((relation or "", tail), len(entities[which]))
        cells[which].append((source, entity))
        if (target := item(tail)) >= 0:
            cells[which].append((target, entity))
    out = []
    for which in (0, 1):
        matrix = memberships(cells[which], len(items), len(entities[which]))
        size = np.asarray(matrix.sum(0)).ravel()
        out.append(sp.csr_matrix(matrix[:, np.flatnonzero(size <= MAX_ENTITY)]))
    return out[0], out[1]
