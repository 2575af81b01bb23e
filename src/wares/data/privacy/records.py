"""Take a person out of the state database: every table, those of other rooms included, found by reflection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from wares.core.errors import Unavailable
from wares.core.state import State
from wares.data.privacy.sieve import Count
from wares.data.privacy.subject import Subject, distinctive

_OURS = ("erased_people", "column_tags", "api_keys")
_SHADOWS = ("_data", "_idx", "_content", "_docsize", "_config")
_PORTION = 400
_LONG = 40
_PATIENCE = 30.0


def reflected(engine: sa.Engine) -> list[sa.Table]:
    """All tables that may hold a person, children before their parents; audit holds keyed hashes only."""
    inspector = sa.inspect(engine)
    names = set(inspector.get_table_names())
    hidden = {n for n in names for end in _SHADOWS if n.endswith(end) and n.removesuffix(end) in names}
    wanted = [n for n in names - hidden if n not in _OURS and not n.startswith(("audit", "sqlite_"))]
    found = sa.MetaData()
    found.reflect(engine, only=wanted)
    return [t for t in reversed(found.sorted_tables) if t.name in wanted]


def clean_state(
    engine: sa.Engine, subject: Subject, promise: Callable[[dict[str, Count]], None] = lambda _: None
) -> dict[str, Count]:
    """Delete rows about the person and replace mentions, in one transaction; what was done, by table.

    `promise` is told before the transaction is committed.
    """
    sqlite = engine.dialect.name == "sqlite"
    done: dict[str, Count] = {}
    tables = reflected(engine)
    with engine.connect() as connection:
        if sqlite:
            # Freed pages are overwritten with zeros, and orphans are looked after below.
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.commit()
        with connection.begin():
            for table in tables:
                count = _clean_table(connection, table, tables, subject)
                if count:
                    done[table.name] = count
            promise(done)
        if sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.commit()
    return done


def _texts(table: sa.Table) -> list[sa.Column[Any]]:
    return [col for col in table.columns if isinstance(col.type, sa.String | sa.types.NullType | sa.JSON)]


def _clean_table(
    connection: sa.Connection, table: sa.Table, tables: list[sa.Table], subject: Subject
) -> Count:
    columns = _texts(table)
    count = Count()
    if not columns:
        return count
    gone, changed = [], []
    for identity, row in _candidates(connection, table, columns, subject):
        fate = judge(table.name, row, subject)
        if fate is None:
            gone.append(identity)
        elif fate:
            changed.append((identity, fate))
    for identity in gone:
        _delete(connection, table, identity, tables)
    for identity, values in changed:
        connection.execute(table.update().where(_same(table, identity)).values(**values))
    return Count(len(gone), sum(len(values) for _, values in changed))


def judge(table: str, row: dict[str, Any], subject: Subject) -> dict[str, str] | None:
    """What becomes of a row of state: None when it goes, or new values for some of its columns (often none).

    A key as short as "12" counts only beside the name of its table, or under the name of its column.
    """
    cells = {k: v for k, v in row.items() if isinstance(v, str) and v}
    for name, value in cells.items():
        if value in subject.also or (
            value in subject.ids and (distinctive(value) or subject.is_id_name(name))
        ):
            return None
        if value in subject.keys and (
            distinctive(value) or name.endswith(("event_id", "review_id", "text_id", "query_id"))
            or any(v in ("events", "reviews", "texts", "queries") for v in cells.values())
        ):  # fmt: skip
            return None
    changed: dict[str, str] = {}
    for name, value in cells.items():
        clean, n = subject.clean_text(value) if len(value) > 3 else (value, 0)
        if clean is None:
            return None
        if n:
            changed[name] = clean
    return changed


def _identity(table: sa.Table) -> list[Any]:
    keys: list[Any] = list(table.primary_key.columns)
    return keys or [sa.literal_column("rowid")]


def _same(table: sa.Table, identity: tuple[Any, ...]) -> Any:
    return sa.and_(*(col == value for col, value in zip(_identity(table), identity, strict=True)))


def _candidates(
    connection: sa.Connection, table: sa.Table, columns: list[Any], subject: Subject
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    keys = _identity(table)
    wanted = sorted(subject.ids | subject.also | subject.keys)
    seen: set[tuple[Any, ...]] = set()
    conditions: list[Any] = []
    for start in range(0, len(wanted), _PORTION):
        conditions.append(
            sa.or_(*(sa.cast(col, sa.Text).in_(wanted[start : start + _PORTION]) for col in columns))
        )
    # Documents are read whole: an id inside may be escaped or stand in any place.
    conditions.append(
        sa.or_(
            *(
                sa.or_(text.like("{%"), text.like("[%"), sa.func.length(text) > _LONG)
                for text in (sa.cast(col, sa.Text) for col in columns)
            )
        )
    )
    for value in sorted(subject.also | {v for v in subject.ids if distinctive(v)})[:_PORTION]:
        conditions.append(
            sa.or_(*(sa.cast(col, sa.Text).contains(value, autoescape=True) for col in columns))
        )
    for condition in conditions:
        query = sa.select(*(k.label(f"k{i}") for i, k in enumerate(keys)), *(sa.cast(col, sa.Text).label(f"v{i}") for i, col in enumerate(columns))).select_from(table).where(condition)  # fmt: skip
        for found in connection.execute(query):
            identity = tuple(found[: len(keys)])
            if identity not in seen:
                seen.add(identity)
                yield identity, dict(zip((col.name for col in columns), found[len(keys) :], strict=True))


def _delete(
    connection: sa.Connection, table: sa.Table, identity: tuple[Any, ...], tables: list[sa.Table]
) -> None:
    row = connection.execute(sa.select(table).where(_same(table, identity))).mappings().first()
    if row is None:
        return
    for child in tables:
        for key in child.foreign_keys:
            if key.column.table.name == table.name and child.name != table.name:
                connection.execute(child.delete().where(key.parent == row[key.column.name]))
    connection.execute(table.delete().where(_same(table, identity)))


def forget_samples(engine: sa.Engine, assets: list[str]) -> dict[str, Count]:
    """Drop sampled cells and value profiles of tables that lost rows: frequent values and bounds may be one person's.

    Counts and scores of the checks stay; profiles are made anew when they are next asked for.
    """
    done: dict[str, Count] = {}
    with engine.begin() as connection:
        for table in reflected(engine):
            if not table.name.startswith("quality_") or "asset" not in table.columns:
                continue
            here = table.c["asset"].in_(assets)
            if "profile" in table.columns:
                count = Count(connection.execute(table.delete().where(here)).rowcount)
            elif "sample" in table.columns:
                some = here & (sa.func.length(table.c["sample"]) > 2)
                count = Count(0, connection.execute(table.update().where(some).values(sample="[]")).rowcount)
            else:
                continue
            if count:
                done[table.name] = count
    return done


def compact(state: State, patience: float = _PATIENCE) -> None:
    """Give freed pages back, so that the bytes are gone from the file and its write-ahead log.

    Raises:
        Unavailable: when another process reads without pause for `patience` seconds.
    """
    if not state.is_sqlite:
        with state.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in reflected(state.engine):
                name = connection.dialect.identifier_preparer.format_table(table)
                connection.exec_driver_sql(f"VACUUM FULL {name}")
        return
    until = time.monotonic() + patience
    with state.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while True:
            try:
                connection.exec_driver_sql("VACUUM")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sa_exc.OperationalError as error:
                if "full" in str(error.orig):
                    raise Unavailable(
                        "the disk is full while the state database is compacted",
                        mend="Free as much space as the database has, then `wares asset erase --resume`",
                    ) from error
                busy = (1,)
            if busy is not None and int(busy[0]) == 0:
                return
            if time.monotonic() > until:
                raise Unavailable(
                    "the state database is read without pause, so that its log cannot be emptied",
                    mend="Stop long readers, then `wares asset erase --resume`",
                )
            time.sleep(0.1)


def held_in_state(engine: sa.Engine, subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, row) of all that state holds about a person."""
    with engine.connect() as connection:
        for table in reflected(engine):
            columns = _texts(table)
            if not columns:
                continue
            for identity, row in _candidates(connection, table, columns, subject):
                fate = judge(table.name, row, subject)
                if fate is None or fate:
                    full = (
                        connection.execute(sa.select(table).where(_same(table, identity))).mappings().first()
                    )
                    if full is not None:
                        yield table.name, dict(full)
