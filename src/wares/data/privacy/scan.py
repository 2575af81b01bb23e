"""Look through tables for personal data, and tag the columns where it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from wares.core import columns as c
from wares.core.errors import VersionNotFound
from wares.core.state import State
from wares.data.privacy.names import name_share
from wares.data.privacy.tags import MAYBE, NO, YES, default_tag, kind_of_name, set_tag
from wares.data.store import Store

_CODES = (c.PRODUCT_ID, c.EVENT_ID, c.REVIEW_ID, c.TEXT_ID, c.QUERY_ID, c.KIND, c.CURRENCY)
_MIN_NAME_SHARE = 0.5
_BATCH = 8192


def columns_of(store: Store, table: str) -> list[str]:
    """The columns of the newest version.

    Raises:
        VersionNotFound: when there is no such table.
    """
    return list(dict.fromkeys(n for f in store.files(table) for n in pq.read_schema(f).names))


def sample(store: Store, table: str, rows: int) -> tuple[dict[str, list[str]], int, int]:
    """Text cells of the newest version by column, spread evenly over it; rows looked at, and rows in all."""
    files = store.files(table)
    total = sum(pq.read_metadata(f).num_rows for f in files)
    stride = max(1, math.ceil(total / rows))
    cells: dict[str, list[str]] = defaultdict(list)
    looked, at = 0, 0
    for path in files:
        with pq.ParquetFile(path) as file:
            wanted = [
                f.name for f in file.schema_arrow if pa.types.is_string(f.type) and f.name not in _CODES
            ]
            for batch in file.iter_batches(_BATCH, columns=wanted):
                picked = list(range(-at % stride, batch.num_rows, stride))
                at += batch.num_rows
                looked += len(picked)
                part = batch.take(pa.array(picked, pa.int64()))
                for name in wanted:
                    cells[name] += [v for v in part.column(name).to_pylist() if v]
    return dict(cells), looked, total


def scan_table(
    store: Store,
    state: State | None,
    table: str,
    *,
    rows: int = 20_000,
    say: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Findings by column and kind, surest first; with `state`, columns are tagged by them.

    A column with findings becomes personal. Free text without any stays ``maybe`` when only a sample was read.
    The evidence is a count, never the value.

    Raises:
        VersionNotFound: when there is no such table.
    """
    from wares.data.privacy.detect import find

    if not store.exists(table):
        raise VersionNotFound(
            f"there is no table {table!r}", mend="See `wares asset list`", asset=table, version=None
        )
    cells, looked, total = sample(store, table, rows)
    version = store.version(table)
    out: list[dict[str, Any]] = []
    for name, values in cells.items():
        counts: dict[str, int] = defaultdict(int)
        scores: dict[str, float] = defaultdict(float)
        distinct: dict[str, int] = defaultdict(int)
        for value in values:
            distinct[value] += 1
        for value, times in distinct.items():
            found = find(value)
            for kind in {f.kind for f in found}:
                counts[kind] += times
                scores[kind] = max(scores[kind], max(f.score for f in found if f.kind == kind))
        share = name_share(list(distinct))
        if share >= _MIN_NAME_SHARE and kind_of_name(name) not in ("user id", "session id"):
            counts["name"], scores["name"] = round(share * len(values)), round(share, 2)
        told = kind_of_name(name)
        if told and values and told not in counts and default_tag(table, name).personal == YES:
            counts[told], scores[told] = len(values), 0.9
        for kind, n in sorted(counts.items(), key=lambda kv: -kv[1]):
            out.append(
                {"table": table, "column": name, "kind": kind, "cells": n, "of": len(values), "share": n / max(len(values), 1),
                 "confidence": scores[kind], "rows": looked, "rows_in_all": total}
            )  # fmt: skip
        if state is not None:
            _tag(state, table, name, counts, len(values), whole=looked >= total, version=version)
        say(looked)
    return out


def _tag(
    state: State, table: str, column: str, counts: dict[str, int], cells: int, *, whole: bool, version: int
) -> None:
    default = default_tag(table, column)
    share = max(counts.values(), default=0) / max(cells, 1)
    if counts:
        set_tag(state, table, column, YES, sorted(counts), share=share, source="scan", version=version)
    elif default.personal == MAYBE:
        set_tag(state, table, column, NO if whole else MAYBE, default.kinds, source="scan", version=version)
