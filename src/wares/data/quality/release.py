"""Rows out of quarantine again: mended, tested under the contract in force, landed, and marked with who and when.

The quarantine table itself is not rewritten; what became of an entry stands in the operational state, so it can
be read and undone by nobody in silence. Releasing twice, or after a crash between landing and marking, changes nothing.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa

from wares.core import columns as c
from wares.core.audit import Audit
from wares.core.clock import Clock
from wares.core.config import Config, SourceConfig
from wares.core.errors import DataError, QueryError, SourceError
from wares.core.state import State, stamp
from wares.data.contract import contract_for
from wares.data.engine import Engine, desc
from wares.data.ingest import Ingester
from wares.data.mapping import apply_map, guess
from wares.data.store import Store

RELEASED, DISCARDED = "released", "discarded"
ID = "_id"
_SHORTEST = 6
_metadata = sa.MetaData()
quarantine_done = sa.Table(
    "quarantine_done",
    _metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("asset", sa.String(100), nullable=False, index=True),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
)


class Shop(Protocol):
    """What of a workspace is needed here."""

    root: Path
    config: Config
    store: Store
    clock: Clock

    @property
    def state(self) -> State:
        """Operational state."""
        ...

    @property
    def audit(self) -> Audit:
        """The audit log."""
        ...


@dataclass
class ReleaseReport:
    """Ids that were released, versions that their rows made, and rows that still break a rule (with the rule)."""

    released: list[str] = field(default_factory=list)
    versions: dict[str, int | None] = field(default_factory=dict)
    broken: list[dict[str, str]] = field(default_factory=list)


def closed_entries(state: State) -> dict[str, dict[str, Any]]:
    """What became of the entries that were released or discarded, by id: action, by, at, columns, version."""
    state.ensure(quarantine_done)
    with state.engine.connect() as connection:
        rows = connection.execute(sa.select(quarantine_done)).mappings()
        return {row["id"]: dict(row) for row in rows}


def entries(
    store: Store, state: State, table: str | None = None, rule: str | None = None, limit: int = 50, *,
    column: str | None = None, done: bool = False, ids: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Entries, newest first: the open ones, or with `done` those released or discarded (with action, by, at)."""
    if not store.exists(c.QUARANTINE):
        return []
    closed = closed_entries(state)
    with Engine(0.5) as engine:
        rows = engine.parquet(store.files(c.QUARANTINE))
        for name, value in (("table", table), ("rule", rule), ("column", column)):
            if value is not None:
                rows = rows.filter(rows[name] == value)
        if ids:
            rows = rows.filter(rows["id"].isin(list(ids)))
        if closed:
            known = engine.rows(pa.table({"id": pa.array(closed, pa.string())}))
            rows = rows.semi_join(known, "id") if done else rows.anti_join(known, "id")
        elif done:
            return []
        found = engine.arrow(rows.order_by([desc("at"), "source", "line", "id"]).limit(limit)).to_pylist()
    if not done:
        return found
    return [{**row, "landed": row["at"], **{k: closed[row["id"]][k] for k in ("action", "by", "at")}} for row in found]  # fmt: skip


def open_counts(store: Store, state: State) -> list[dict[str, Any]]:
    """Open entries by table, rule and column, most first."""
    if not store.exists(c.QUARANTINE):
        return []
    closed = closed_entries(state)
    with Engine(0.5) as engine:
        rows = engine.parquet(store.files(c.QUARANTINE))
        if closed:
            rows = rows.anti_join(engine.rows(pa.table({"id": pa.array(closed, pa.string())})), "id")
        counts = rows.group_by(["table", "rule", "column"]).aggregate(rows=rows.count())
        return engine.arrow(counts.order_by([desc("rows"), "table", "rule", "column"])).to_pylist()


def find(store: Store, state: State, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The open entries of these ids, or of their beginnings (six characters at least).

    Raises:
        QueryError: for an id that is unknown, ambiguous or done already.
    """
    names = list(dict.fromkeys(wanted))
    if not names:
        raise QueryError("no entry is named", mend="Give ids from `wares quarantine`", parameter="id")
    if not store.exists(c.QUARANTINE):
        raise QueryError("the quarantine is empty", mend="There is nothing to mend", parameter="id")
    closed = closed_entries(state)
    with Engine(0.5) as engine:
        rows = engine.parquet(store.files(c.QUARANTINE))
        match = rows["id"].isin(names)
        for name in names:
            if _SHORTEST <= len(name) < 16:
                match = match | rows["id"].startswith(name)
        found = engine.arrow(rows.filter(match).order_by("id")).to_pylist()
    out = []
    for name in names:
        hits = [
            row
            for row in found
            if row["id"] == name or (len(name) >= _SHORTEST and row["id"].startswith(name))
        ]
        if len(hits) != 1:
            words = "is ambiguous" if hits else "is not in quarantine"
            raise QueryError(f"the entry {name!r} {words}", mend="Give the whole id from `wares quarantine`", parameter="id")  # fmt: skip
        if (before := closed.get(hits[0]["id"])) is not None:
            raise QueryError(f"the entry {name!r} was {before['action']} by {before['by']} on {before['at'][:19]}", mend="See `wares quarantine --done`", parameter="id")  # fmt: skip
        out.append(hits[0])
    return out


def read_changes(pairs: Sequence[str]) -> dict[str, str | None]:
    """``column=value`` pairs; an empty value empties the cell.

    Raises:
        QueryError: for a pair without a sign of equality.
    """
    out: dict[str, str | None] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise QueryError(f"cannot read {pair!r}", mend="Write --set column=value", parameter="set")
        out[name.strip()] = value or None
    return out


def read_mended(path: Path) -> dict[str, dict[str, str | None]]:
    """Mended rows by the id in their column ``_id``; CSV or JSON Lines.

    Raises:
        SourceError: when the file cannot be read, or a row names no entry.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows: list[dict[str, Any]] = (
                [json.loads(line) for line in stream if line.strip()]
                if path.suffix in (".jsonl", ".ndjson", ".json")
                else list(csv.DictReader(stream))
            )
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read: {error}", mend="Give CSV or JSON Lines in UTF-8", source=str(path), line=0) from None  # fmt: skip
    out: dict[str, dict[str, str | None]] = {}
    for number, row in enumerate(rows, 2):
        name = str(row.pop(ID, "") or "")
        if not name:
            raise SourceError(f"{path} names no entry", mend=f"Put the id into a column {ID!r}", source=str(path), line=number)  # fmt: skip
        out[name] = {str(k): None if v in (None, "") else str(v) for k, v in row.items() if k is not None}
    return out


def release(
    shop: Shop, ids: Sequence[str], changes: Mapping[str, str | None] | None = None,
    mended: Mapping[str, Mapping[str, str | None]] | None = None, *, by: str,
) -> ReleaseReport:  # fmt: skip
    """Land the rows of entries, with `changes` for all and `mended` cells for single ones.

    Every row is tested under the contract in force first; those that still break a rule stay in quarantine.

    Raises:
        QueryError: for an unknown entry.
        DataError: when an entry holds no row that could be rebuilt.
    """
    found = find(shop.store, shop.state, ids)
    cells = dict(mended or {})
    report = ReleaseReport()
    ingester = Ingester(shop.root, shop.config, shop.store, shop.state, shop.clock)
    for table in dict.fromkeys(entry["table"] for entry in found):
        mine = [entry for entry in found if entry["table"] == table]
        rows = [_row(shop, entry, changes or {}, _cells(cells, entry["id"])) for entry in mine]
        broken = _land(shop, ingester, table, rows, set(), judge=True)
        good = set(range(len(rows))) - set(broken)
        for number, (rule, column, mend) in sorted(broken.items()):
            report.broken.append({"id": mine[number]["id"], "rule": f"{rule}:{column}" if column else rule, "mend": mend})  # fmt: skip
        if not good:
            continue
        _land(shop, ingester, table, rows, good, judge=False)
        version = shop.store.version(table)
        report.versions[table] = version
        done = [mine[number]["id"] for number in sorted(good)]
        _mark(shop, done, table, RELEASED, by, sorted({*(changes or {}), *(k for i in done for k in _cells(cells, i))}), version)  # fmt: skip
        report.released += done
    return report


def discard(shop: Shop, ids: Sequence[str], *, by: str) -> list[str]:
    """Mark entries as not worth mending; returns their ids.

    Raises:
        QueryError: for an unknown entry.
    """
    found = find(shop.store, shop.state, ids)
    for table in dict.fromkeys(entry["table"] for entry in found):
        _mark(shop, [e["id"] for e in found if e["table"] == table], table, DISCARDED, by, [], None)
    return [entry["id"] for entry in found]


def settle(shop: Shop, ids: Sequence[str], table: str, *, by: str) -> None:
    """Mark open entries of `table` as released without landing a row: what they told of is mended at its source."""
    if ids:
        _mark(shop, list(ids), table, RELEASED, by, [], None)


def _cells(mended: Mapping[str, Mapping[str, str | None]], entry: str) -> Mapping[str, str | None]:
    return next((cells for name, cells in mended.items() if entry.startswith(name)), {})


def _mark(
    shop: Shop, ids: list[str], table: str, action: str, by: str, columns: list[str], version: int | None
) -> None:
    at = stamp(shop.clock.now())
    rows = [{"id": i, "asset": table, "action": action, "by": by, "at": at, "columns": json.dumps(columns), "version": version} for i in ids]  # fmt: skip
    with shop.state.engine.begin() as connection:
        connection.execute(quarantine_done.insert(), rows)
    shop.audit.record(by, f"quarantine.{'release' if action == RELEASED else 'discard'}", table, {"entries": ids, "columns": columns, "version": version})  # fmt: skip


def _row(
    shop: Shop, entry: Mapping[str, Any], changes: Mapping[str, str | None], cells: Mapping[str, str | None]
) -> dict[str, str | None]:
    """The row in our columns: what was set aside, mapped as its source is, with the mended cells."""
    table = str(entry["table"])
    ours = [column.name for column in contract_for(table, shop.root).columns]
    try:
        raw = json.loads(entry["row"] or "{}")
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raw = {}
    text = {str(k): None if v is None else str(v) for k, v in raw.items()}
    unknown = [name for name in {**changes, **cells} if name not in ours and name not in text]
    if unknown:
        raise QueryError(
            f"{table} has no column {unknown[0]!r}", mend=f"Known: {', '.join(ours)}", parameter="set"
        )
    text |= {k: v for k, v in {**changes, **cells}.items() if k in text and k not in ours}
    if not set(text) <= set(ours):
        source = next(
            (s for s in shop.config.sources if s.table == table and Path(s.path).name == entry["source"]),
            None,
        )
        mapping = dict(source.map) if source is not None and source.map else guess(list(text), table)
        mapped, _ = apply_map(
            pa.table({k: pa.array([v], pa.string()) for k, v in text.items()}),
            {k: v for k, v in mapping.items() if v.startswith("=") or "{" in v or v in text},
            table,
            str(entry["source"]),
        )
        text = {k: None if v is None else str(v) for k, v in mapped.to_pylist()[0].items()}
    out = {**text, **{k: v for k, v in {**changes, **cells}.items() if k in ours}}
    if not any(v is not None for v in out.values()):
        raise DataError(f"the entry {entry['id']} holds no row that could be rebuilt", mend="Give the whole row with --file, or discard it", table=table)  # fmt: skip
    return out


def _land(
    shop: Shop,
    ingester: Ingester,
    table: str,
    rows: list[dict[str, str | None]],
    good: set[int],
    *,
    judge: bool,
) -> dict[int, tuple[str, str, str]]:
    """Test all rows, or land those in `good`; what is still broken by the number of the row.

    Rows that name the same columns go together: a column that a row does not name may be made from its content.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for number in range(len(rows)) if judge else sorted(good):
        groups.setdefault(tuple(sorted(rows[number])), []).append(number)
    broken: dict[int, tuple[str, str, str]] = {}
    folder = shop.root / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="release-", dir=folder) as work:
        for names, numbers in groups.items():
            path = Path(work) / "released.jsonl"
            path.write_text("".join(json.dumps(rows[i], ensure_ascii=False) + "\n" for i in numbers), "utf-8")
            source = SourceConfig.model_validate(
                {"as": table, "path": str(path), "map": {n: n for n in names}, "duplicates": "last"}
            )
            if judge:
                broken |= {numbers[line - 1]: why for line, why in ingester.judge(source).items()}
            else:
                ingester.ingest(source)
    return broken
