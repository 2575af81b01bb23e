"""Twenty-nine kinds of faults for stored tables, each a seeded function, and a trial that says which check finds which.

A fault is planted as a new version over a clean one, the way a bad delivery would arrive: most touch a small share of
the rows. The checks know nothing of the plant; they see the contract that ships and the version before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wares.core import columns as c
from wares.data.engine import Engine
from wares.data.quality.report import QualityReport
from wares.data.quality.run import Checker
from wares.data.store import Store

Plant = Callable[[pa.Table, np.random.Generator], pa.Table]


@dataclass(frozen=True)
class Fault:
    """One kind of fault: in which table, and how it is planted."""

    name: str
    table: str
    plant: Plant


def _some(table: pa.Table, rng: np.random.Generator, share: float, least: int = 12) -> np.ndarray:
    """A mask ``(n_rows,)`` of a random share of the rows, at least `least`."""
    n = table.num_rows
    mask = np.zeros(n, bool)
    mask[rng.choice(n, min(n, max(least, round(share * n))), replace=False)] = True
    return mask


def _put(table: pa.Table, column: str, values: Any, mask: np.ndarray | None = None) -> pa.Table:
    at = table.column_names.index(column)
    old = table[column].combine_chunks()
    new = values if isinstance(values, pa.Array) else pa.array([values] * table.num_rows, old.type)
    if mask is not None:
        new = pc.if_else(pa.array(mask), new, old)
    return table.set_column(at, pa.field(column, new.type), new)


def _cells(column: str, value: Any, share: float = 0.0, least: int = 12) -> Plant:
    return lambda table, rng: _put(table, column, value, _some(table, rng, share, least))


def _texts(column: str, change: Callable[[str], str], share: float, least: int = 12) -> Plant:
    def plant(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        mask = _some(table, rng, share, least)
        old = table[column].to_pylist()
        new = [change(v) if m and v is not None else v for v, m in zip(old, mask, strict=True)]
        return _put(table, column, pa.array(new, pa.string()))

    return plant


def _scale(column: str, factor: str, share: float = 1.0) -> Plant:
    from decimal import Decimal

    def plant(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        old = table[column].combine_chunks()
        new = pc.multiply(old, pa.scalar(Decimal(factor))).cast(old.type, safe=False)
        return _put(table, column, new, None if share == 1.0 else _some(table, rng, share))

    return plant


def _repeat(share: float, *, new_ids: str = "") -> Plant:
    def plant(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        more = table.filter(pa.array(_some(table, rng, share)))
        if new_ids:
            more = _put(more, new_ids, pa.array([f"again-{i}" for i in range(more.num_rows)], pa.string()))
        return pa.concat_tables([table, more])

    return plant


def _keep(share: float) -> Plant:
    return lambda table, rng: table.filter(pa.array(~_some(table, rng, 1 - share)))


def _shift(days: int) -> Plant:
    def plant(table: pa.Table, _: np.random.Generator) -> pa.Table:
        moved = pc.subtract(table[c.AT].combine_chunks(), pa.scalar(timedelta(days=days)))
        return _put(table, c.AT, moved.cast(table.schema.field(c.AT).type))

    return plant


def _future(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    from datetime import UTC, datetime

    return _put(table, c.AT, datetime.now(UTC) + timedelta(days=400), _some(table, rng, 0.0))


def _lost_week(table: pa.Table, _: np.random.Generator) -> pa.Table:
    times = table[c.AT].combine_chunks()
    low, high = pc.min_max(times).as_py().values()
    begin = low + (high - low) * 0.5
    gone = pc.and_(pc.greater_equal(times, pa.scalar(begin, times.type)), pc.less(times, pa.scalar(begin + timedelta(days=14), times.type)))  # fmt: skip
    return table.filter(pc.invert(gone))


def _one_category(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    counts = pc.value_counts(table[c.CATEGORY]).to_pylist()
    most = max(counts, key=lambda row: (row["counts"], str(row["values"])))["values"]
    return _put(table, c.CATEGORY, most, _some(table, rng, 0.4))


def _shuffled(column: str, share: float) -> Plant:
    def plant(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        old = table[column].combine_chunks()
        return _put(
            table, column, old.take(pa.array(rng.permutation(table.num_rows))), _some(table, rng, share)
        )

    return plant


def _swapped(one: str, other: str, share: float) -> Plant:
    def plant(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        mask = _some(table, rng, share)
        a, b = table[one].combine_chunks(), table[other].combine_chunks()
        return _put(_put(table, one, b, mask), other, a, mask)

    return plant


def _retyped(table: pa.Table, _: np.random.Generator) -> pa.Table:
    return _put(table, c.PRICE, pc.cast(table[c.PRICE], pa.string()).combine_chunks())


FAULTS: tuple[Fault, ...] = (
    Fault("nulls in a required column", c.EVENTS, _cells(c.PRODUCT_ID, None)),
    Fault("nulls in an optional column", c.PRODUCTS, _cells(c.BRAND, None, 0.05)),
    Fault("blank text", c.PRODUCTS, _cells(c.TITLE, "   ")),
    Fault("wrong enumeration", c.EVENTS, _cells(c.KIND, "teleported")),
    Fault("out of range", c.EVENTS, _cells(c.PRICE, 99_999_999)),
    Fault("negative quantity", c.EVENTS, _cells(c.QUANTITY, -3)),
    Fault("broken pattern", c.EVENTS, _cells(c.CURRENCY, "us$")),
    Fault("duplicate keys", c.PRODUCTS, _repeat(0.0)),
    Fault("the same rows under new keys", c.EVENTS, _repeat(0.05, new_ids=c.EVENT_ID)),
    Fault("orphan references", c.EVENTS, _cells(c.PRODUCT_ID, "no-such-product")),
    Fault("stale data", c.EVENTS, _shift(400)),
    Fault("event in the future", c.EVENTS, _future),
    Fault("volume drop", c.EVENTS, _keep(0.6)),
    Fault("volume surge", c.EVENTS, _repeat(1.0, new_ids=c.EVENT_ID)),
    Fault("a lost fortnight", c.EVENTS, _lost_week),
    Fault("drift of a number", c.EVENTS, _scale(c.PRICE, "2")),
    Fault("drift of a category", c.PRODUCTS, _one_category),
    Fault("prices of other products", c.EVENTS, _shuffled(c.PRICE, 0.1)),
    Fault("unit shift by 100", c.EVENTS, _scale(c.PRICE, "100", 0.02)),
    Fault("mixed currencies", c.EVENTS, _cells(c.CURRENCY, "JPY", 0.01)),
    Fault("mojibake", c.PRODUCTS, _texts(c.TITLE, lambda v: f"{v} cafÃ©", 0.005)),
    Fault("markup in text", c.PRODUCTS, _texts(c.TITLE, lambda v: f"<b>{v}</b>", 0.01)),
    Fault("other casing", c.PRODUCTS, _texts(c.CATEGORY, str.upper, 0.2)),
    Fault("swapped columns", c.PRODUCTS, _swapped(c.BRAND, c.CATEGORY, 0.03)),
    Fault("truncated text", c.PRODUCTS, _texts(c.TITLE, lambda v: v[:16], 1.0)),
    Fault("constant column", c.PRODUCTS, lambda table, _: _put(table, c.BRAND, "Unknown")),
    Fault("type of a column", c.PRODUCTS, _retyped),
    Fault("extra column", c.PRODUCTS, lambda table, _: table.append_column("note", pa.array(["x"] * table.num_rows))),
    Fault("missing column", c.PRODUCTS, lambda table, _: table.drop_columns([c.SIZE])),
)  # fmt: skip


@dataclass
class Trial:
    """What became of one plant: the checks that broke although they hold on the clean version."""

    fault: str
    table: str
    found: bool
    by: list[str] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0


def read(store: Store, table: str, memory_gb: float = 2.0) -> pa.Table:
    """The newest version of a table in memory."""
    with Engine(memory_gb) as engine:
        return engine.arrow(engine.parquet(store.files(table)))


def _changes_of_time(table: str, rows: pa.Table, rng: np.random.Generator) -> list[tuple[str, pa.Table]]:
    """Honest earlier forms of a table, from which it grew: nine tenths by time, and four fifths by chance."""
    out = [("a random fifth came", rows.filter(pa.array(rng.random(rows.num_rows) < 0.8)))]
    if c.AT in rows.column_names:
        times = rows[c.AT].combine_chunks()
        cut = pc.sort_indices(times).take(pa.array([round(0.9 * (rows.num_rows - 1))]))[0].as_py()
        out.append(("the last tenth came", rows.filter(pc.less_equal(times, times[cut]))))
    return out


def trials(
    workspace: Any, scratch: Path, seed: int = 7, only: set[str] | None = None
) -> Iterator[tuple[str, QualityReport] | Trial]:
    """Copy a workspace's tables; check them clean, written again, and grown honestly; then each plant by itself.

    Yields (what, report) for tables without any fault, and one `Trial` a fault. Every plant is compared with the same
    clean version, and whatever is broken there already does not count as found.
    """
    from wares.core.state import State

    store = Store(scratch / "tables")
    shutil.copytree(workspace.root / "tables", scratch / "tables")
    if (workspace.root / "contracts").is_dir():
        shutil.copytree(workspace.root / "contracts", scratch / "contracts")
    state = State.at(scratch / "state")
    checker = Checker(scratch, workspace.config, store, state, workspace.clock)
    names = [name for name in c.TABLES if store.exists(name)]
    first = {name: store.version(name) for name in names}
    clean = {name: read(store, name, workspace.config.build.memory_gb / 2) for name in names}
    passed: dict[str, set[str]] = {name: set() for name in names}

    def trial(what: str, name: str, against: int) -> tuple[str, QualityReport]:
        report = checker.check(name, against=against, remember=False)
        passed[name] |= {check.label for check in report.broken}
        return what, report

    for name in names:
        yield "as loaded", checker.check(name, remember=False)
    for name in names:
        store.replace(name, clean[name])
        yield trial("written again", name, first[name])
        for what, before in _changes_of_time(name, clean[name], np.random.default_rng(seed)):
            earlier = store.replace(name, before)
            # What it grew from must itself be known, but is not judged: other tables may refer to the rows left out.
            checker.profile_of(name, earlier)
            store.replace(name, clean[name])
            yield trial(what, name, earlier)
    for number, fault in enumerate(FAULTS):
        if fault.table not in clean or (only is not None and fault.name not in only):
            continue
        spoilt = fault.plant(clean[fault.table], np.random.default_rng([seed, number]))
        store.replace(fault.table, spoilt)
        report = checker.check(fault.table, against=first[fault.table], remember=False)
        by = [check.label for check in report.broken if check.label not in passed[fault.table]]
        yield Trial(fault.name, fault.table, bool(by), by, spoilt.num_rows, report.seconds)
        store.replace(fault.table, clean[fault.table])
    state.close()


def evaluate(
    workspace: Any, scratch: Path, seed: int = 7, progress: Callable[[int, int], None] = lambda *_: None
) -> dict[str, Any]:
    """All trials as one JSON-like report: faults found, by which check, and alarms on tables without a fault."""
    found: list[Trial] = []
    fine: list[tuple[str, QualityReport]] = []
    for item in trials(workspace, scratch, seed):
        if isinstance(item, Trial):
            found.append(item)
        else:
            fine.append(item)
        progress(len(found), len(FAULTS))
    alarms = [f"{what}: {report.table} {check.label}: {check.message}" for what, report in fine for check in [*report.broken, *report.invalid]]  # fmt: skip
    return {
        "planted": len(found), "found": sum(t.found for t in found), "false_alarms": alarms,
        "clean_checks": sum(len(report.checks) for _, report in fine), "seed": seed,
        "clean": [{"what": what, "table": r.table, "rows": r.rows, "checks": len(r.checks), "seconds": r.seconds} for what, r in fine],
        "faults": [asdict(t) for t in found],
    }  # fmt: skip
