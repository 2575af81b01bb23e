"""Pairs from plain files: anchor and positive columns, or a text column and one that says what is one thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wares.core.config import SourceConfig
from wares.core.errors import QueryError
from wares.data.mapping import text_of
from wares.data.sources import read_file
from wares.features.pairs import Builder, PairSet, from_groups

ANCHOR, POSITIVE, NEGATIVE = "anchor", "positive", "negative"


def columns_of(path: Path, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Some columns of a file as text, missing cells as ``""``.

    Raises:
        SourceError: when nothing can be read.
        QueryError: when a wanted column is not there, or there are no rows.
    """
    found: dict[str, list[str]] = {}
    rows = 0
    for chunk in read_file(path, SourceConfig.model_validate({"as": "products", "path": str(path)})):
        names = chunk.table.column_names
        for name in (*wanted, *optional):
            if name not in names:
                if name in wanted:
                    raise QueryError(
                        f"there is no column {name!r} in {path.name}",
                        mend=f"The file has: {', '.join(names)}",
                        parameter=name,
                    )
                continue
            values = text_of(chunk.table[name]).to_pylist()
            found.setdefault(name, [""] * rows).extend(v or "" for v in values)
        rows += chunk.table.num_rows
    if not rows:
        raise QueryError(f"{path.name} holds no rows", mend="Check the file", parameter="file")
    return found


def read_pairs(path: Path, queries: bool = False) -> PairSet:
    """Columns anchor, positive and, if there is one, negative; with `queries` the anchors are queries.

    Rows without an anchor or a positive are left out.

    Raises:
        QueryError, SourceError: as `columns_of`.
    """
    table = columns_of(path, (ANCHOR, POSITIVE), (NEGATIVE,))
    builder = Builder()
    wrong = table.get(NEGATIVE, [""] * len(table[ANCHOR]))
    for anchor, positive, negative in zip(table[ANCHOR], table[POSITIVE], wrong, strict=True):
        if not anchor.strip() or not positive.strip():
            continue
        first = builder.node(anchor, query=queries)
        builder.edge(first, builder.node(positive), "file")
        if negative.strip():
            builder.negative(first, builder.node(negative))
    return builder.done()


def read_groups(path: Path, text: str, group: str) -> PairSet:
    """Rows as nodes in a shuffled order: files often stand in the order of their truth, which no tie may give away.

    Raises:
        QueryError, SourceError: as `columns_of`.
    """
    table = columns_of(path, (text, group))
    order = np.random.default_rng(0).permutation(len(table[text]))
    return from_groups([table[text][i] for i in order], [table[group][i] for i in order])
