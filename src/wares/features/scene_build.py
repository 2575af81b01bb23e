"""When, where and by whom products are bought: counts by month, day of the week, time of day, store, and segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.data.engine import Engine
from wares.features.interactions_build import DAY, EventLog

HOURS = 4
"""Hours in one part of the day."""
YEAR = 365.2425
MOST_BESIDE = 60
MOST_STORES = 60
Counts = dict[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]


def scene_counts(log: EventLog, cuts: Sequence[int | None]) -> list[Counts]:
    """Deeds of each product by ``month`` (a twelfth of the year), ``weekday``, ``daypart`` and ``store``, for each cut (Unix
    seconds; None: everything).

    Each is (rows, buckets, how often). A shop whose events carry dates without times gets no part of the day, one with
    less than three quarters of a year no month, one whose events name fewer than two stores no store; of many stores the
    busiest count.
    """
    kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
    first, last = log.span()
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.moments(engine, kinds, 0, last + 1)
        at = lines["at"]
        lines = engine.keep(
            lines.select(
                item=lines["item"], at=at, month=((at / DAY) % YEAR / YEAR * 12).floor().cast("int64"), weekday=((at / DAY).floor().cast("int64") + 3) % 7,
                daypart=((at % DAY) / 3600 / HOURS).floor().cast("int64"), store=lines["store"],
            )
        )  # fmt: skip
        names = (["month"] if last - first >= 270 * DAY else []) + ["weekday", "daypart", "store"]
        tables = {}
        for name in names:
            sums = {
                f"n{i}": lines["at"].count() if cut is None else (lines["at"] < cut).sum()
                for i, cut in enumerate(cuts)
            }
            grouped = lines.group_by(["item", name]).aggregate(**sums)
            tables[name] = engine.arrow(grouped.order_by(["item", name]))
    out: list[Counts] = [{} for _ in cuts]
    for name, table in tables.items():
        rows = pc.index_in(table["item"], value_set=log.item_ids)
        table, rows = (
            table.filter(pc.is_valid(rows)),
            rows.filter(pc.is_valid(rows)).to_numpy().astype(np.int64),
        )
        if name == "store":
            table, rows, bucket = _stores(table, rows)
            if not len(rows):
                continue
        else:
            bucket = table[name].to_numpy().astype(np.int64)
        if name == "daypart" and len(np.unique(bucket)) < 2:
            continue
        for i in range(len(cuts)):
            often = table[f"n{i}"].to_numpy().astype(np.float64)
            out[i][name] = (rows[often > 0], bucket[often > 0], often[often > 0])
    return out


def _stores(
    table: pa.Table, rows: NDArray[np.int64]
) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.int64]]:
    """The lines of the busiest stores, their products, and a number for each store in the order of their names."""
    named = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(table["store"]), ""), False)
    kept = named.to_numpy(zero_copy_only=False) if isinstance(named, pa.Array) else named.to_numpy()
    table, rows = table.filter(named), rows[kept]
    names, place = np.unique(np.array(table["store"].to_pylist(), dtype=str), return_inverse=True)
    if len(names) < 2:
        return table.slice(0, 0), rows[:0], rows[:0]
    busy = np.bincount(place, table["n0"].to_numpy().astype(np.float64))
    best = np.sort(np.lexsort((np.arange(len(names)), -busy))[:MOST_STORES])
    there = np.isin(place, best)
    return table.filter(pa.array(there)), rows[there], np.searchsorted(best, place[there])


def beside(
    a: NDArray[np.int64], b: NDArray[np.int64], together: NDArray[np.int64], top_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """What kinds of things lie in a basket with each product: (rows, top category, how often)."""
    rows, others = np.r_[a, b].astype(np.int64), np.r_[b, a]
    often, bucket = np.tile(together, 2).astype(np.float64), top_of[others]
    common = np.argsort(-np.bincount(bucket[bucket >= 0], minlength=1), kind="stable")[:MOST_BESIDE]
    kept = np.isin(bucket, common)
    return rows[kept], np.searchsorted(np.sort(common), bucket[kept]), often[kept]
