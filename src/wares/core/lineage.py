"""Questions to the lineage: what went into this, and what hangs on that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wares.core.errors import QueryError
from wares.core.registry import ROWS, Edge, Registry

ROW_KINDS = ("filter", "join", "group_by", "sort", "window", "conditional")
"""Kinds of influence that decide which rows or branches come through, but put no value into a column."""
BUNDLE = "bundle"
Node = tuple[str, int, str]


@dataclass(frozen=True)
class Answer:
    """``columns``: every (asset, version, column) that was reached, without the start; ``edges``: the way there."""

    start: str
    direction: str
    columns: list[Node]
    edges: list[Edge]

    @property
    def assets(self) -> dict[str, list[str]]:
        """Columns by asset."""
        found: dict[str, set[str]] = defaultdict(set)
        for asset, _, column in self.columns:
            found[asset].add(column)
        return {name: sorted(found[name]) for name in sorted(found)}

    def to_json(self) -> dict[str, Any]:
        """For the API and ``--json``."""
        return {
            "start": self.start,
            "direction": self.direction,
            "assets": self.assets,
            "edges": [edge.__dict__ for edge in self.edges],
        }


def split_name(registry: Registry, text: str) -> tuple[str, int | None, str]:
    """``asset``, ``asset@version``, ``asset.column`` or the name of a bundle → (asset, version or None, column or ``*``).

    Raises:
        NotFound: for an unknown asset, with the nearest names.
        QueryError: for a version that is no number, or a column that the asset does not have.
    """
    whole, _, number = text.partition("@")
    name, dot, column = whole.partition(".")
    if registry.find(name) is None:
        for version in registry.versions(BUNDLE):
            if name == version.hash:
                return BUNDLE, version.version, column or ROWS
    asset = registry.get(name)
    if number and not number.isdigit():
        raise QueryError(f"cannot read the version in {text!r}", mend="Write name@12", parameter="version")
    names = [c["name"] for c in asset.columns]
    if dot and column not in names:
        import difflib

        near = difflib.get_close_matches(column, names, n=1)
        mend = f"Did you mean {name}.{near[0]}?" if near else f"It has {', '.join(names) or 'no columns'}"
        raise QueryError(f"{name} has no column {column!r}", mend=mend, parameter="column")
    return name, int(number) if number else None, column or ROWS


class Graph:
    """The edges of the registry, indexed for walking. By default the newest version of every asset counts."""

    def __init__(self, registry: Registry) -> None:
        self.newest = {name: version.version for name, version in registry.newest().items()}
        live = registry.find(BUNDLE)
        if live is not None:
            self.newest[BUNDLE] = int(live.facts.get("live_version", self.newest.get(BUNDLE, -1)))
        self.all = registry.edges()
        self._into: dict[tuple[str, int], list[Edge]] = defaultdict(list)
        self._appends = {
            (v.asset, v.version)
            for name in self.newest
            for v in registry.versions(name)
            if v.action == "append"
        }
        for edge in self.all:
            self._into[edge.to_asset, edge.to_version].append(edge)
        self._current: dict[str, list[Edge]] = {}

    def current(self, asset: str, version: int | None = None) -> list[Edge]:
        """Edges into a version; rows that were only appended to leave those of the version before in force."""
        at = self.newest.get(asset, -1) if version is None else version
        key = f"{asset}@{at}"
        if key not in self._current:
            found, step = [], at
            while step >= 0:
                found += self._into[asset, step]
                kept = any(e.from_asset == asset for e in self._into[asset, step])
                if (asset, step) not in self._appends and not kept:
                    break
                step -= 1
            self._current[key] = [e for e in found if e.from_asset != asset]
        return self._current[key]

    def up(self, asset: str, column: str = ROWS, version: int | None = None, *, rows: bool = True) -> Answer:
        """Everything that went into a column or an asset; without `rows` only what put values into it."""
        start = (asset, self.newest.get(asset, -1) if version is None else version, column)
        seen: set[Node] = {start}
        ways: set[Edge] = set()
        todo = [start]
        while todo:
            name, at, wanted = todo.pop()
            for edge in self.current(name, at):
                if wanted not in (ROWS, edge.to_column) and edge.to_column != ROWS:
                    continue
                if not rows and edge.kind in ROW_KINDS:
                    continue
                ways.add(edge)
                node = (edge.from_asset, edge.from_version, edge.from_column)
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        return Answer(_title(asset, column), "up", sorted(seen - {start}), _shown(ways))

    def down(self, asset: str, column: str = ROWS, *, rows: bool = True) -> Answer:
        """Everything now in force that hangs on a column or an asset."""
        out: dict[str, list[Edge]] = defaultdict(list)
        for name in self.newest:
            for edge in self.current(name):
                if rows or edge.kind not in ROW_KINDS:
                    out[edge.from_asset].append(edge)
        start = (asset, column)
        seen: set[tuple[str, str]] = {start}
        ways: set[Edge] = set()
        todo = [start]
        while todo:
            name, wanted = todo.pop()
            for edge in out[name]:
                if wanted != ROWS and edge.from_column not in (wanted, ROWS):
                    continue
                ways.add(edge)
                node = (edge.to_asset, edge.to_column)
                if node not in seen:
                    seen.add(node)
                    todo.append(node)
        reached = sorted((n, self.newest.get(n, -1), c) for n, c in seen - {start})
        return Answer(_title(asset, column), "down", reached, _shown(ways))

    def assets(self) -> list[tuple[str, str]]:
        """Asset to asset, of what is now in force."""
        return sorted({(e.from_asset, e.to_asset) for name in self.newest for e in self.current(name)})


def _title(asset: str, column: str) -> str:
    return asset if column == ROWS else f"{asset}.{column}"


def _shown(ways: Iterable[Edge]) -> list[Edge]:
    return sorted(ways)
