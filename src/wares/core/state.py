"""Operational state: the registry of assets, online events and products, API keys, runs.

SQLAlchemy Core on SQLite (WAL, ``synchronous=FULL``) or PostgreSQL. A write has reached the disk when the
call returns. The server and the data room both need it, so it lives in the core and imports neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from sqlalchemy import event as sa_event

from wares.core.errors import ConfigError, MissingExtra, Unavailable

metadata = sa.MetaData()

asset_versions = sa.Table(
    "asset_versions",
    metadata,
    sa.Column("asset", sa.String(100), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("quarantined", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("quality", sa.Text, nullable=False),
)

online_events = sa.Table(
    "online_events",
    metadata,
    sa.Column(
        "seq", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True
    ),
    sa.Column("event_id", sa.String(200), nullable=False, unique=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("product_id", sa.Text, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("quantity", sa.String(40), nullable=False),
    sa.Column("price", sa.String(40), nullable=True),
    sa.Column("session_id", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

online_products = sa.Table(
    "online_products",
    metadata,
    sa.Column(
        "seq", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True
    ),
    sa.Column("product_id", sa.Text, nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sqlite_autoincrement=True,
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("hash", sa.String(128), nullable=False),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("revoked", sa.String(40), nullable=True),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("started", sa.String(40), nullable=False),
    sa.Column("ended", sa.String(40), nullable=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

# One writer at a time on PostgreSQL, so that sequence numbers become visible in their order and a tail never skips.
WRITE_LOCK = 0x77617265


def stamp(at: datetime | None = None) -> str:
    """A moment as ISO 8601 in UTC."""
    return (at or datetime.now(UTC)).astimezone(UTC).isoformat()


class State:
    """The operational database of a workspace."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        except ModuleNotFoundError as error:
            raise MissingExtra(f"the database driver {error.name!r}", "postgres") from error
        except sa_exc.ArgumentError as error:
            raise ConfigError(
                f"`state.url` is not a SQLAlchemy URL: {error}",
                mend="Write sqlite:///file or postgresql+psycopg://…",
                key="state.url",
                source=url,
            ) from None
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            sa_event.listen(self.engine, "connect", _durable)
        try:
            _create(self.engine, metadata, None)
        except sa_exc.OperationalError as error:
            raise Unavailable(
                f"the state database does not open: {error.orig}",
                mend="Check `state.url`, and that the disk is not full",
                url=self.engine.url.render_as_string(),
            ) from None
        self._watch = self.engine.connect() if self.is_sqlite else None

    @classmethod
    def at(cls, folder: Path, url: str = "") -> State:
        """The state of the workspace in `folder`."""
        if not url:
            folder.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{folder / 'state.db'}"
        return cls(url)

    def ensure(self, *tables: sa.Table) -> None:
        """Create a room's own tables where they are missing; a room calls this before it first uses them."""
        for table in tables:
            _create(self.engine, table.metadata, [table])

    def close(self) -> None:
        """Give all connections back."""
        if self._watch is not None:
            self._watch.close()
        self.engine.dispose()

    def changed(self, seen: int) -> tuple[bool, int]:
        """Whether another connection wrote since the mark `seen`, and the new mark. Costs microseconds on SQLite."""
        if self._watch is None:
            return True, seen
        mark = int(self._watch.exec_driver_sql("PRAGMA data_version").scalar_one())
        self._watch.rollback()
        return mark != seen, mark

    def _append(self, table: sa.Table, rows: Sequence[dict[str, Any]], key: str | None) -> int:
        with self.engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
            fresh = list(rows)
            if key is not None:
                ids = [row[key] for row in fresh]
                known: set[str] = set()
                for start in range(0, len(ids), 500):
                    found = connection.execute(
                        sa.select(table.c[key]).where(table.c[key].in_(ids[start : start + 500]))
                    )
                    known.update(found.scalars())
                fresh = [row for row in {row[key]: row for row in fresh}.values() if row[key] not in known]
            if fresh:
                connection.execute(table.insert(), fresh)
            return len(fresh)

    def append_events(self, rows: Sequence[dict[str, Any]]) -> int:
        """Store events, all or none; those whose ``event_id`` is known are skipped. Returns how many were new."""
        return self._append(online_events, rows, "event_id")

    def append_product(self, product_id: str, document: dict[str, Any]) -> None:
        """Store the newest form of a product."""
        row = {"product_id": product_id, "document": json.dumps(document, ensure_ascii=False), "at": stamp()}
        self._append(online_products, [row], None)

    def events_after(self, seq: int, limit: int = 100_000) -> list[dict[str, Any]]:
        """Online events with a higher sequence number, in order."""
        query = (
            sa.select(online_events)
            .where(online_events.c.seq > seq)
            .order_by(online_events.c.seq)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def products_after(self, seq: int, limit: int = 100_000) -> list[dict[str, Any]]:
        """Online products with a higher sequence number, in order; ``document`` is parsed."""
        query = (
            sa.select(online_products)
            .where(online_products.c.seq > seq)
            .order_by(online_products.c.seq)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [{**row, "document": json.loads(row["document"])} for row in rows]

    def record_version(self, row: dict[str, Any]) -> None:
        """Put a version of an asset into the registry; the same version again replaces it."""
        with self.engine.begin() as connection:
            connection.execute(
                asset_versions.delete().where(
                    asset_versions.c.asset == row["asset"], asset_versions.c.version == row["version"]
                )
            )
            connection.execute(asset_versions.insert(), row)

    def versions(self, asset: str | None = None) -> list[dict[str, Any]]:
        """Registered versions, newest first, with ``columns`` and ``quality`` parsed."""
        query = sa.select(asset_versions).order_by(
            asset_versions.c.at.desc(), asset_versions.c.version.desc()
        )
        if asset is not None:
            query = query.where(asset_versions.c.asset == asset)
        with self.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [
            {**row, "columns": json.loads(row["columns"]), "quality": json.loads(row["quality"])}
            for row in rows
        ]

    def put_key(self, row: dict[str, Any]) -> None:
        """Store a hashed API key."""
        with self.engine.begin() as connection:
            connection.execute(api_keys.insert(), row)

    def keys(self) -> list[dict[str, Any]]:
        """All API keys, hashes included."""
        with self.engine.connect() as connection:
            return [
                dict(row)
                for row in connection.execute(sa.select(api_keys).order_by(api_keys.c.created)).mappings()
            ]

    def revoke_key(self, key_id: str) -> bool:
        """Make a key useless from now on; False when there is none."""
        with self.engine.begin() as connection:
            done = connection.execute(
                api_keys.update().where(api_keys.c.id == key_id).values(revoked=stamp())
            )
            return done.rowcount > 0

    def begin_run(self, kind: str) -> int:
        """Note that a build, evaluation or publication began; returns its number."""
        with self.engine.begin() as connection:
            done = connection.execute(
                runs.insert(), {"kind": kind, "started": stamp(), "status": "running", "detail": "{}"}
            )
            key = done.inserted_primary_key
            return int(key[0]) if key is not None else 0

    def end_run(self, run: int, status: str, detail: dict[str, Any]) -> None:
        """Note how a run ended."""
        values = {"ended": stamp(), "status": status, "detail": json.dumps(detail, default=str)}
        with self.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run).values(**values))

    def last_runs(self, kinds: Iterable[str], limit: int = 20) -> list[dict[str, Any]]:
        """The newest runs of these kinds."""
        query = sa.select(runs).where(runs.c.kind.in_(list(kinds))).order_by(runs.c.id.desc()).limit(limit)
        with self.engine.connect() as connection:
            return [
                {**row, "detail": json.loads(row["detail"])} for row in connection.execute(query).mappings()
            ]


def _create(engine: sa.Engine, tables: sa.MetaData, wanted: list[sa.Table] | None) -> None:
    """Create what is missing, also when another process does so at the same moment."""
    for attempt in range(50):
        try:
            tables.create_all(engine, tables=wanted)
            return
        except sa_exc.DBAPIError as error:
            if "already exists" not in str(error.orig) or attempt == 49:
                raise


def _durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # The busy time-out comes first: switching to WAL needs a lock that another worker may hold at start.
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
