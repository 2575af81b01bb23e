"""Two versions of a table side by side: rows by key, columns, and how far the distributions moved.

Population stability index (PSI) over the deciles of the older version, or over the 50 most frequent values and a
rest for text; below 0.1 little moved, above 0.25 much did (Siddiqi, Credit Risk Scorecards, 2006). Numbers also get
the two-sample Kolmogorov–Smirnov distance, exact. No cell value is in the result, so it can be shown to every role.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.data.engine import Engine, Table, literal
from wares.data.store import Store

TOP = 50
BINS = 10


@dataclass
class Shift:
    """How far one column moved. ``ks`` is None for text; ``psi`` and ``ks`` are None without values on a side."""

    column: str
    psi: float | None
    ks: float | None
    nulls: tuple[float, float]
    distinct: tuple[int, int]


@dataclass
class Difference:
    """What differs from version ``old`` to version ``new``. Row counts are None when the key is missing on a side."""

    asset: str
    old: int
    new: int
    rows: tuple[int, int]
    key: tuple[str, ...]
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    same: int | None = None
    changed_cells: dict[str, int] = field(default_factory=dict)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    types_changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    shifts: list[Shift] = field(default_factory=list)


def difference(
    store: Store, name: str, old: int, new: int, key: tuple[str, ...], *, memory_gb: float = 2.0, scratch: Path | None = None
) -> Difference:  # fmt: skip
    """Compare two versions. A key that repeats makes rows count once for each pair.

    Raises:
        VersionNotFound, VersionErased: when a version is not there (any more).
        QueryError: when a version is compared with itself.
    """
    if old == new:
        raise QueryError(
            f"version {old} of {name} is the same on both sides",
            mend="Name two versions",
            parameter="version",
        )
    with Engine(memory_gb, scratch=scratch) as engine:
        a, b = engine.parquet(store.files(name, old)), engine.parquet(store.files(name, new))
        out = Difference(name, old, new, (engine.count(a), engine.count(b)), key)
        left, right = dict(store.schema(name, old)), dict(store.schema(name, new))
        out.columns_added = [n for n in right if n not in left]
        out.columns_removed = [n for n in left if n not in right]
        out.types_changed = {n: (left[n], right[n]) for n in left if n in right and left[n] != right[n]}
        both = [n for n in left if n in right and n not in out.types_changed]
        if key and set(key) <= set(both):
            _rows(engine, a, b, [n for n in both if n not in key], out)
        out.shifts = [_shift(engine, a, b, n) for n in both if n not in key or len(key) > 1]
    return out


def _rows(engine: Engine, a: Table, b: Table, names: list[str], out: Difference) -> None:
    theirs = b.select(**{f"_new_{n}": b[n] for n in [*out.key, *names]}).mutate(_there=literal(1))
    joined = a.mutate(_here=literal(1)).outer_join(theirs, [a[k] == theirs[f"_new_{k}"] for k in out.key])
    here, there = joined["_here"].notnull(), joined["_there"].notnull()
    differs = {n: here & there & ~joined[n].identical_to(joined[f"_new_{n}"]) for n in names}
    marked = engine.keep(
        joined.select(_here=here, _there=there, **{f"_d{i}": d for i, d in enumerate(differs.values())})
    )
    flags = [marked[f"_d{i}"] for i in range(len(names))]
    any_differs: Any = literal(False)
    for flag in flags:
        any_differs = any_differs | flag
    counts = engine.arrow(
        marked.aggregate(
            added=(~marked["_here"]).sum(), removed=(~marked["_there"]).sum(), changed=any_differs.sum(), pairs=(marked["_here"] & marked["_there"]).sum(),
            **{f"_d{i}": flag.sum() for i, flag in enumerate(flags)},
        )
    ).to_pylist()[0]  # fmt: skip
    out.added, out.removed, out.changed = (int(counts[n] or 0) for n in ("added", "removed", "changed"))
    out.same = int(counts["pairs"] or 0) - out.changed
    out.changed_cells = {n: int(counts[f"_d{i}"]) for i, n in enumerate(names) if counts[f"_d{i}"]}


def _shift(engine: Engine, a: Table, b: Table, name: str) -> Shift:
    one, two = _counts(engine, a, name), _counts(engine, b, name)
    totals = [sum(c.values()) for c in (one, two)]
    nulls = [c.pop(None, 0) / max(t, 1) for c, t in zip((one, two), totals, strict=True)]
    shift = Shift(name, None, None, (nulls[0], nulls[1]), (len(one), len(two)))
    if not one or not two:
        return shift
    numeric = all(isinstance(v, float) for v in (*list(one)[:1], *list(two)[:1]))
    if numeric:
        values = np.array(sorted({*one, *two}))
        p, q = (np.array([c.get(float(v), 0) for v in values], float) for c in (one, two))
        p, q = p / p.sum(), q / q.sum()
        shift.ks = float(np.abs(np.cumsum(p) - np.cumsum(q)).max())
        # Values on the older version's deciles close a bin, so that heavy single values stay whole.
        bins = np.minimum((np.cumsum(p) - p / 2) * BINS, BINS - 1e-9).astype(int)
        shift.psi = psi(np.bincount(bins, p, BINS), np.bincount(bins, q, BINS))
        return shift
    top = sorted(one, key=lambda v: (-one[v], str(v)))[:TOP]
    p, q = (
        np.array([*(c.get(v, 0) for v in top), sum(c.values()) - sum(c.get(v, 0) for v in top)], float)
        for c in (one, two)
    )
    shift.psi = psi(p / p.sum(), q / q.sum())
    return shift


def psi(p: NDArray[Any], q: NDArray[Any], floor: float = 1e-4) -> float:
    """Population stability index of two distributions over the same bins; empty bins count as `floor`."""
    p, q = np.maximum(p, floor), np.maximum(q, floor)
    return float(sum((y - x) * math.log(y / x) for x, y in zip(p.tolist(), q.tolist(), strict=True)))


def _counts(engine: Engine, table: Table, name: str) -> dict[Any, int]:
    """Rows by value. Numbers become floats, times Unix seconds, all else the hash of its text, so no value is kept."""
    column: Any = table[name]
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        value = column.cast("timestamp").epoch_seconds().cast("float64")
    elif kind.is_numeric():
        value = column.cast("float64")
    else:
        value = column.cast("string").hash()
    chosen = table.select(_v=value)
    counted = engine.arrow(chosen.group_by("_v").aggregate(_n=chosen.count()))
    return dict(zip(counted["_v"].to_pylist(), counted["_n"].to_pylist(), strict=True))
