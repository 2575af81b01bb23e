"""The registry of assets in the operational state: names, columns, versions, tags, search, lineage.

Only SQL, so that the server reads it without the data engine. Works on SQLite (FTS5) and PostgreSQL.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from wares.core.errors import NotFound, QueryError
from wares.core.state import State

metadata = sa.MetaData()

assets = sa.Table(
    "registry_assets",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
)
versions = sa.Table(
    "registry_versions",
    metadata,
    sa.Column("asset", sa.String(200), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=True),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("hash", sa.String(80), nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("erased", sa.String(40), nullable=True),
)
tags = sa.Table(
    "registry_tags",
    metadata,
    sa.Column("asset", sa.String(200), primary_key=True),
    sa.Column("tag", sa.String(100), primary_key=True),
    sa.Column("column", sa.String(200), primary_key=True),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("at", sa.String(40), nullable=False),
)
edges = sa.Table(
    "registry_edges",
    metadata,
    sa.Column("to_asset", sa.String(200), primary_key=True),
    sa.Column("to_version", sa.Integer, primary_key=True),
    sa.Column("to_column", sa.String(200), primary_key=True),
    sa.Column("from_asset", sa.String(400), primary_key=True),
    sa.Column("from_version", sa.Integer, primary_key=True),
    sa.Column("from_column", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("via", sa.String(200), primary_key=True),
    sa.Index("registry_edges_from", "from_asset", "from_column"),
)
TABLES = (assets, versions, tags, edges)
ROWS = "*"
"""The column name that stands for a whole asset: which rows there are, or all of an artefact."""
_FTS = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS registry_search USING fts5("
    "name UNINDEXED, names, description, columns, tags, tokenize='unicode61 remove_diacritics 2')"
)
_WEIGHTS = "8.0, 8.0, 2.0, 4.0, 4.0"


@dataclass(frozen=True)
class Asset:
    """One asset. ``columns`` are ``{name, type, description}``; ``facts`` hold dimension, encoder, evaluation and the like."""

    name: str
    kind: str
    description: str = ""
    owner: str = ""
    columns: tuple[dict[str, str], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Version:
    """One version of an asset. ``action`` says what made it; ``erased`` when its content was removed."""

    asset: str
    version: int
    at: str
    rows: int | None = None
    action: str = "write"
    hash: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    erased: str | None = None


@dataclass(frozen=True, order=True)
class Edge:
    """A column, or with ``*`` an asset as a whole, that went into another."""

    to_asset: str
    to_version: int
    to_column: str
    from_asset: str
    from_version: int
    from_column: str
    kind: str = "identity"
    via: str = ""


class Registry:
    """Reads and writes of the registry."""

    def __init__(self, state: State) -> None:
        self.state = state
        state.ensure(*TABLES)
        if state.is_sqlite:
            with state.engine.begin() as connection:
                connection.exec_driver_sql(_FTS)

    # -- assets ----------------------------------------------------------------------------------------------

    def put(self, asset: Asset) -> None:
        """Register an asset, or its new form; nothing is written when it is as it was."""
        if self.find(asset.name) == asset:
            return
        row = {
            "name": asset.name, "kind": asset.kind, "description": asset.description, "owner": asset.owner,
            "columns": json.dumps(asset.columns, ensure_ascii=False), "facts": json.dumps(asset.facts, ensure_ascii=False),
            "words": "",
        }  # fmt: skip
        with self.state.engine.begin() as connection:
            connection.execute(assets.delete().where(assets.c.name == asset.name))
            connection.execute(assets.insert(), row)
            self._index(connection, asset.name)

    def remove(self, name: str) -> None:
        """Forget an asset, its versions, tags and lineage."""
        with self.state.engine.begin() as connection:
            for table, column in (
                (assets, "name"),
                (versions, "asset"),
                (tags, "asset"),
                (edges, "to_asset"),
            ):
                connection.execute(table.delete().where(table.c[column] == name))
            if self.state.is_sqlite:
                connection.execute(sa.text("DELETE FROM registry_search WHERE name = :n"), {"n": name})

    def find(self, name: str) -> Asset | None:
        """An asset, or None."""
        with self.state.engine.connect() as connection:
            row = connection.execute(sa.select(assets).where(assets.c.name == name)).mappings().first()
        return None if row is None else _asset(row)

    def get(self, name: str) -> Asset:
        """An asset.

        Raises:
            NotFound: naming those whose names are nearest.
        """
        found = self.find(name)
        if found is None:
            near = difflib.get_close_matches(name, [a.name for a in self.all()], n=3, cutoff=0.5)
            mend = f"Did you mean {', '.join(near)}?" if near else "See `wares asset list`"
            raise NotFound(f"there is no asset {name!r}", mend=mend, id=name, near=", ".join(near))
        return found

    def all(self) -> list[Asset]:
        """All assets, by name."""
        with self.state.engine.connect() as connection:
            return [
                _asset(r) for r in connection.execute(sa.select(assets).order_by(assets.c.name)).mappings()
            ]

    # -- search ----------------------------------------------------------------------------------------------

    def search(self, query: str, limit: int = 50) -> list[Asset]:
        """Assets whose name, description, columns, tags or owner hold all the words, best first; words may be cut short.

        Raises:
            QueryError: when the query is longer than 200 characters.
        """
        if len(query) > 200:
            raise QueryError("the query is too long", mend="Use at most 200 characters", parameter="q")
        words = [word for word in _words(query).split() if word]
        if not words:
            return self.all()[:limit]
        with self.state.engine.connect() as connection:
            if self.state.is_sqlite:
                match = " ".join(f'"{word}"*' for word in words)
                rows = connection.execute(
                    sa.text(
                        f"SELECT name FROM registry_search WHERE registry_search MATCH :q ORDER BY bm25(registry_search, 0.0, {_WEIGHTS}), name LIMIT :n"
                    ),
                    {"q": match, "n": limit},
                )
            else:
                rows = connection.execute(
                    sa.text(
                        "SELECT name FROM registry_assets, to_tsquery('simple', :q) q WHERE words::tsvector @@ q "
                        "ORDER BY ts_rank(words::tsvector, q) DESC, name LIMIT :n"
                    ),
                    {"q": " & ".join(f"'{word}':*" for word in words), "n": limit},
                )
            names = list(rows.scalars())
        return [self.get(name) for name in names]

    def _index(self, connection: sa.Connection, name: str) -> None:
        row = connection.execute(sa.select(assets).where(assets.c.name == name)).mappings().first()
        if row is None:
            return
        asset = _asset(row)
        marks = connection.execute(sa.select(tags.c.tag, tags.c.column).where(tags.c.asset == name)).all()
        parts = {
            "names": _words(f"{asset.name} {asset.kind}"),
            "description": _words(asset.description),
            "columns": _words(" ".join(f"{c['name']} {c.get('description', '')}" for c in asset.columns)),
            "tags": _words(" ".join([asset.owner, *(tag for tag, _ in marks)])),
        }
        if self.state.is_sqlite:
            connection.execute(sa.text("DELETE FROM registry_search WHERE name = :n"), {"n": name})
            connection.execute(
                sa.text("INSERT INTO registry_search VALUES (:name, :names, :description, :columns, :tags)"),
                {"name": name, **parts},
            )
            return
        connection.execute(
            sa.text(
                "UPDATE registry_assets SET words = (setweight(to_tsvector('simple', :names), 'A') || "
                "setweight(to_tsvector('simple', :columns), 'B') || setweight(to_tsvector('simple', :tags), 'B') || "
                "setweight(to_tsvector('simple', :description), 'D'))::text WHERE name = :name"
            ),
            {"name": name, **parts},
        )

    # -- versions and tags -----------------------------------------------------------------------------------

    def put_versions(self, rows: Sequence[Version]) -> None:
        """Register versions; one that is there already is replaced."""
        with self.state.engine.begin() as connection:
            for row in rows:
                connection.execute(
                    versions.delete().where(versions.c.asset == row.asset, versions.c.version == row.version)
                )
                values = {**row.__dict__, "facts": json.dumps(row.facts, ensure_ascii=False, default=str)}
                connection.execute(versions.insert(), values)

    def versions(self, name: str) -> list[Version]:
        """Versions of an asset, newest first."""
        query = sa.select(versions).where(versions.c.asset == name).order_by(versions.c.version.desc())
        with self.state.engine.connect() as connection:
            return [
                Version(**{**r, "facts": json.loads(r["facts"])})
                for r in connection.execute(query).mappings()
            ]

    def newest(self) -> dict[str, Version]:
        """The newest version of every asset."""
        last = (
            sa.select(versions.c.asset, sa.func.max(versions.c.version).label("v"))
            .group_by(versions.c.asset)
            .subquery()
        )
        query = sa.select(versions).join(
            last, (versions.c.asset == last.c.asset) & (versions.c.version == last.c.v)
        )
        with self.state.engine.connect() as connection:
            rows = connection.execute(query).mappings()
            return {r["asset"]: Version(**{**r, "facts": json.loads(r["facts"])}) for r in rows}

    def mark_erased(self, name: str, numbers: Iterable[int], at: str) -> None:
        """Say that the content of versions is gone."""
        with self.state.engine.begin() as connection:
            connection.execute(
                versions.update().where(versions.c.asset == name, versions.c.version.in_(list(numbers)), versions.c.erased.is_(None)).values(erased=at)
            )  # fmt: skip

    def tag(self, name: str, tag: str, at: str, *, column: str = "", version: int | None = None) -> None:
        """Put a tag on an asset, a column of it, or a version; a version's tag moves when it is set again.

        Raises:
            QueryError: when the tag is no word of letters, digits, ``-``, ``_`` and ``.``, or looks like a number or a date.
        """
        if not re.fullmatch(r"(?![\d-]+$)[\w.\-]{1,100}", tag):
            raise QueryError(
                f"{tag!r} cannot be a tag",
                mend="Use letters, digits, - _ and . and at least one letter",
                parameter="tag",
            )
        self.untag(name, tag, column=column)
        with self.state.engine.begin() as connection:
            connection.execute(
                tags.insert(), {"asset": name, "tag": tag, "column": column, "version": version, "at": at}
            )
            self._index(connection, name)

    def untag(self, name: str, tag: str, *, column: str = "") -> bool:
        """Take a tag away; False when it was not there."""
        with self.state.engine.begin() as connection:
            done = connection.execute(
                tags.delete().where(tags.c.asset == name, tags.c.tag == tag, tags.c.column == column)
            )
            self._index(connection, name)
            return done.rowcount > 0

    def tags(self, name: str | None = None) -> list[dict[str, Any]]:
        """Tags of an asset, or of all: asset, tag, column, version, at."""
        query = sa.select(tags).order_by(tags.c.asset, tags.c.column, tags.c.tag)
        if name is not None:
            query = query.where(tags.c.asset == name)
        with self.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # -- lineage ---------------------------------------------------------------------------------------------

    def put_edges(self, asset: str, version: int, found: Iterable[Edge]) -> None:
        """Set what a version of an asset was made from."""
        rows = [edge.__dict__ for edge in sorted(set(found))]
        with self.state.engine.begin() as connection:
            connection.execute(edges.delete().where(edges.c.to_asset == asset, edges.c.to_version == version))
            if rows:
                connection.execute(edges.insert(), rows)

    def edges(self) -> list[Edge]:
        """All edges."""
        with self.state.engine.connect() as connection:
            return [Edge(**row) for row in connection.execute(sa.select(edges)).mappings()]


def _asset(row: Any) -> Asset:
    return Asset(
        row["name"], row["kind"], row["description"], row["owner"], tuple(json.loads(row["columns"])), json.loads(row["facts"])
    )  # fmt: skip


_CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")


def _words(text: str) -> str:
    """Words that both databases cut alike: lower case, no punctuation, Chinese in pairs of characters."""

    def pairs(match: re.Match[str]) -> str:
        run = match[0]
        return " " + " ".join([run[i : i + 2] for i in range(len(run) - 1)] or [run]) + " "

    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(_CJK.sub(pairs, re.sub(r"[\W_]+", " ", split)).lower().split())
