"""The one read door: a table as a role may see it, at a version, for a purpose.

Order of work, always the same: the role's row filter on raw cells, then masks and denials, then the reader's own condition
and aggregation. So a condition on a masked column meets masked values only. A selection of fewer people than the
role's threshold is suppressed whole, and no selection at all looks the same. Every reading is in the audit log
before its result is returned, and no error of a reading carries a cell.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from wares.core.access import Policy, TableAccess
from wares.core.audit import Audit
from wares.core.errors import (
    AccessDenied,
    ConfigError,
    DataError,
    QueryError,
    Unavailable,
    VersionErased,
    VersionNotFound,
)
from wares.core.masks import HASH, Masker
from wares.data.access.masks import masked
from wares.data.access.where import Where
from wares.data.engine import Engine, Table, literal
from wares.data.store import Store

T = TypeVar("T")
_PERSON = "_person"
_MEASURES = ("count", "people", "sum", "mean", "min", "max")
_SAID = (AccessDenied, ConfigError, QueryError, VersionErased, VersionNotFound)


class Door:
    """Opens tables for roles. One a workspace."""

    def __init__(
        self,
        store: Store,
        policy: Callable[[], Policy],
        audit: Audit,
        *,
        memory_gb: float = 2.0,
        scratch: Path | None = None,
    ) -> None:
        self.store, self.policy, self.audit = store, policy, audit
        self.memory_gb, self.scratch = memory_gb, scratch

    def read(
        self,
        name: str,
        role: str,
        *,
        version: int | None = None,
        purpose: str | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        who: str = "",
        realm: str = "",
    ) -> Reading:
        """A reading of a table; nothing is computed yet.

        Args:
            name: the table.
            role: in whose name.
            version: a version of the table; the newest without it.
            purpose: one of the role's purposes; the first of them without it.
            columns: those wanted, in this order; all allowed ones without it.
            where: a condition over the columns as the role sees them; see ``data/access/where.py``.
            who: the reader for the audit log; the operating system's user without it.
            realm: what the masks' keys are made for; the role without it.

        Raises:
            AccessDenied: when the role may not; the attempt is logged.
            QueryError: when the condition cannot be read.
            VersionNotFound, VersionErased: when there is no such version.
        """
        who = who or user()
        try:
            policy = self.policy()
            access = policy.decide(role, name, purpose)
            chosen = access.choose(columns) if columns is not None or not access.allowed else None
            condition = Where(where) if where else None
            wrong = [n for n in condition.columns if n not in access.allowed] if condition else []
            if wrong:
                access.choose(wrong)
        except AccessDenied as error:
            self.audit.record(who, "denied", name[:100], {"purpose": purpose or ""}, role=role[:100])
            raise error
        if version is None:
            version = self.store.version(name)
        masker = policy.masker(realm or role)
        return Reading(self, access, masker, who, version, chosen, condition)


class Reading:
    """One table through the door. Each method that returns data writes one audit entry first."""

    def __init__(
        self,
        door: Door,
        access: TableAccess,
        masker: Masker,
        who: str,
        version: int,
        columns: tuple[str, ...] | None,
        where: Where | None,
    ) -> None:
        self._door, self._masker, self._where, self._who = door, masker, where, who
        self.access, self.version, self._columns = access, version, columns
        self._files = door.store.files(access.table, version)
        self.suppressed: bool | None = None
        """Whether the last answer was held back because it spoke of too few people; None before the first."""

    def __repr__(self) -> str:
        return f"Reading({self.access.table!r}, version={self.version}, role={self.access.role.name!r})"

    # -- answers ---------------------------------------------------------------------------------------------

    @property
    def schema(self) -> pa.Schema:
        """The columns and types that this reading gives."""

        def work(engine: Engine) -> pa.Schema:
            table = self._seen(engine)
            return _plain(engine.arrow(table.select(*self._names(table)).limit(0))).schema

        return self._run(work)

    def count(self) -> int | None:
        """How many rows; None when they are of fewer people than the role's threshold."""

        def work(engine: Engine) -> int | None:
            return self._counted(engine, self._seen(engine))

        rows = self._run(work)
        self._log("count", rows)
        return rows

    def to_arrow(self, limit: int | None = None) -> pa.Table:
        """The rows, at most `limit`; none when the selection is suppressed.

        Raises:
            AccessDenied: when the role reads this table in counts and aggregates only.
        """
        self._single_rows()

        def work(engine: Engine) -> pa.Table:
            return _plain(engine.arrow(self._rows(engine, limit)[0]))

        table = self._run(work)
        self._log("read", table.num_rows)
        return table

    def to_pandas(self, limit: int | None = None) -> Any:
        """The rows as a pandas data frame.

        Raises:
            MissingExtra: when pandas is not installed.
        """
        return self.to_arrow(limit).to_pandas()

    def batches(self, size: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The rows in bounded memory; they are logged before the first batch comes."""
        self._single_rows()
        with Engine(self._door.memory_gb, scratch=self._door.scratch) as engine:
            reader, rows = self._guard(lambda: self._stream(engine, size))
            self._log("read", rows)
            yield from reader

    def to_parquet(self, path: Path) -> int:
        """Write the rows to a Parquet file; returns how many. Its statistics are made of masked values like the rest."""
        import pyarrow.parquet as pq

        self._single_rows()
        with Engine(self._door.memory_gb, scratch=self._door.scratch) as engine:
            reader, rows = self._guard(lambda: self._stream(engine, 100_000))
            self._log("read", rows)
            with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch)
        return rows

    def aggregate(self, by: Sequence[str] = (), **measures: str) -> pa.Table:
        """Groups with their measures, ordered by the groups.

        Args:
            by: columns to group by; none for one row over all.
            measures: name = ``count``, ``people``, ``sum:column``, ``mean:column``, ``min:column`` or ``max:column``.

        Groups of fewer people than the role's threshold are left out. When those left out are themselves fewer than it, the
        next smallest group is left out too, so that a total minus the groups does not give them away.

        Raises:
            AccessDenied: for a column that the role does not have, or the extremes of people it may not see singly.
            QueryError: for an unknown measure.
        """
        measures = measures or {"count": "count"}
        self.access.choose(list(by)) if by else None
        plan = {name: self._measure(name, text) for name, text in measures.items()}

        def work(engine: Engine) -> pa.Table:
            table = self._seen(engine)
            values = {name: _aggregate(table, kind, column) for name, (kind, column) in plan.items()}
            values["_n"], values["_people"] = table.count(), _people(table)
            groups = (
                table.group_by([table[n] for n in by]).aggregate(**values)
                if by
                else table.aggregate(**values)
            )
            groups = groups.filter(groups["_n"] > 0)
            return engine.arrow(groups.order_by(list(by)) if by else groups)

        groups = self._run(work)
        kept = _suppress(groups, self.access.threshold)
        self.suppressed = kept.num_rows < groups.num_rows
        self._log("aggregate", kept.num_rows, by=list(by), measures=measures)
        return kept.drop_columns(["_n", "_people"])

    # -- how -------------------------------------------------------------------------------------------------

    def _measure(self, name: str, text: str) -> tuple[str, str]:
        kind, _, column = text.partition(":")
        if kind not in _MEASURES or bool(column) != (kind not in ("count", "people")) or name.startswith("_"):
            raise QueryError(
                f"unknown measure {text[:60]!r}",
                mend="Use count, people, sum:column, mean:column, min:column or max:column",
                parameter="measures",
            )
        if column:
            self.access.choose([column])
            decision = self.access.columns[column]
            if kind in ("sum", "mean") and (
                decision.kind not in ("number", "integer") or decision.mask.kind == HASH
            ):
                raise QueryError(
                    f"{column} is no number for the role", mend="Use count or people", parameter="measures"
                )
        if kind in ("min", "max") and not self.access.rows_allowed:
            raise AccessDenied(
                f"the role {self.access.role.name!r} may not read extremes of {self.access.table}",
                mend="An extreme is one person's value: use count, people, sum or mean",
                who=self.access.role.name,
                what=self.access.table,
            )
        return kind, column

    def _single_rows(self) -> None:
        if not self.access.rows_allowed:
            name, role = self.access.table, self.access.role.name
            self._door.audit.record(self._who, "denied", name, {"purpose": self.access.purpose}, role=role)
            raise AccessDenied(
                f"the role {role!r} reads {name} in counts and groups only",
                mend="Use count() or aggregate()",
                who=role,
                what=name,
            )

    def _seen(self, engine: Engine) -> Table:
        """All rows that the role may see and the reader wants, masked, with ``_person``."""
        raw = engine.parquet(self._files)
        access = self.access
        if access.row_filter:
            raw = raw.filter(Where(access.row_filter).expression(raw))
        if access.role.is_owner:
            table = raw
        else:
            # A column that came after the policy was read is not in it, and stays out.
            names = [name for name in access.allowed if name in raw.columns]
            seen = {name: masked(raw[name], access.columns[name], self._masker) for name in names}
            table = raw.select(**seen, **{_PERSON: _person(raw, access)})
        if self._where is not None:
            table = table.filter(self._where.expression(table))
        return table

    def _names(self, table: Table) -> list[str]:
        """The columns of the answer, in their order."""
        allowed = table.columns if self.access.role.is_owner else self.access.allowed
        return [name for name in self._columns or allowed if name in table.columns]

    def _counted(self, engine: Engine, table: Table) -> int | None:
        """The rows of a selection, or None when too few people are in it."""
        threshold = self.access.threshold
        if not threshold:
            self.suppressed = False
            return engine.count(table)
        found = engine.arrow(table.aggregate(n=table.count(), people=_people(table))).to_pylist()[0]
        self.suppressed = int(found["people"] or 0) < threshold
        return None if self.suppressed else int(found["n"])

    def _rows(self, engine: Engine, limit: int | None = None) -> tuple[Table, int | None]:
        table = self._seen(engine)
        rows, chosen = self._counted(engine, table), self._names(table)
        decisions = self.access.columns
        if rows is None:
            table = table.filter(literal(False))
        elif any(decision.mask.hides for decision in decisions.values()):
            # Raw files may be sorted by what is masked here; their order would tell the rank of each value.
            hashed = [name for name in chosen if decisions[name].mask.kind == HASH]
            table = table.order_by([*hashed, *(name for name in chosen if name not in hashed)])
        table = table.select(*chosen)
        return (table if limit is None else table.limit(limit)), rows

    def _stream(self, engine: Engine, size: int) -> tuple[pa.RecordBatchReader, int]:
        table, rows = self._rows(engine)
        reader = engine.batches(table, size)
        # The lineage in the metadata names columns that the role may not have, as those of its row filter.
        bare = reader.schema.remove_metadata()
        batches = (pa.RecordBatch.from_arrays(b.columns, schema=bare) for b in reader)
        return pa.RecordBatchReader.from_batches(bare, batches), rows or 0

    def _run(self, work: Callable[[Engine], T]) -> T:
        def opened() -> T:
            with Engine(self._door.memory_gb, scratch=self._door.scratch) as engine:
                return work(engine)

        return self._guard(opened)

    def _guard(self, work: Callable[[], T]) -> T:
        """Run `work`; a fault of the engine is replaced by one that holds no cell, and not chained to it."""
        if self.access.role.is_owner:
            return work()
        fault = ""
        try:
            return work()
        except _SAID:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold cells
            fault = type(error).__name__
        name, role = self.access.table, self.access.role.name
        self._door.audit.record(
            self._who, "read.failed", name, {"fault": fault, "version": self.version}, role=role
        )
        if fault in ("Unavailable", "MemoryError"):
            raise Unavailable(
                f"the data engine has not the memory or the disk to read {name}",
                mend="Ask for fewer rows or columns, or try later",
            )
        raise DataError(
            f"{name} could not be read as {role}",
            mend="The audit log names the kind of fault; the owner can see it whole",
            table=name,
        )

    def _log(self, action: str, rows: int | None, **more: Any) -> None:
        access, audit = self.access, self._door.audit
        detail: dict[str, Any] = {
            "version": self.version,
            "purpose": access.purpose,
            "columns": list(self._columns) if self._columns else "all",
            "where": self._where.shape(audit.subject) if self._where else "",
            # How many rows were held back is itself held back.
            "rows": None if self.suppressed and action != "aggregate" else rows,
            **more,
        }
        audit.record(self._who, action, access.table, detail, role=access.role.name)


def _plain(table: pa.Table) -> pa.Table:
    """Without the marks that the engine leaves on types, so that every version has the same schema."""
    return table.cast(pa.schema([pa.field(f.name, f.type) for f in table.schema]))


def _person(raw: Table, access: TableAccess) -> Any:
    """Whose row it is: the user, or else the session; null when nobody is named."""
    value: Any = None
    for name in access.people:
        if name in raw.columns:
            text = raw[name].cast("string")
            value = text if value is None else value.coalesce(text)
    return literal(None, "string") if value is None else value


def _people(table: Table) -> Any:
    """How many people; a row that names nobody counts as one of its own."""
    if _PERSON not in table.columns:
        return table.count()
    return table[_PERSON].nunique() + table[_PERSON].isnull().sum().fill_null(0)


def _aggregate(table: Table, kind: str, column: str) -> Any:
    if kind == "count":
        return table.count()
    return _people(table) if kind == "people" else getattr(table[column], kind)()


def _suppress(groups: pa.Table, threshold: int) -> pa.Table:
    people = groups["_people"].to_pylist()
    out = {i for i, n in enumerate(people) if n < threshold}
    hidden = sum(people[i] for i in out)
    for i in sorted(range(len(people)), key=lambda i: (people[i], i)):
        if not out or hidden >= threshold:
            break
        if i not in out:
            out.add(i)
            hidden += people[i]
    return groups.filter(pa.array([i not in out for i in range(len(people))], pa.bool_()))


def user() -> str:
    """The operating system's user, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
