"""Bring the registry up to date with the store: every table, version and column lineage that a commit carries.

The store is the truth and the registry follows it, so a table that any room writes is registered, also when the
process died right after its commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wares.core import columns as c
from wares.core.config import Config
from wares.core.errors import ConfigError
from wares.core.registry import ROWS, Asset, Edge, Registry, Version
from wares.data.contract import contract_for
from wares.data.lineage.origin import NO_VERSION, Lineage
from wares.data.mapping import template_fields
from wares.data.store import LINEAGE, Store

SOURCE = "source:"
_ABOUT = {
    c.QUARANTINE: ("quarantine", "Rows that broke a blocking rule, with the rule, the place and the mend."),
}
_ACTIONS = {"Append": "append", "Overwrite": "replace", "Create": "create"}


def sync_tables(
    store: Store,
    registry: Registry,
    config: Config,
    root: Path,
    recorded: Callable[[str], list[dict[str, Any]]],
) -> list[Version]:
    """Register what is new in the store; returns the new versions. `recorded` gives what ingest noted of a table's versions."""
    fresh: list[Version] = []
    newest = registry.newest()
    for name in store.names():
        last = newest[name].version if name in newest else -1
        now = store.version(name)
        if now > last:
            found = _versions(store, name, last, newest.get(name), recorded(name))
            registry.put_versions([version for version, _ in found])
            for version, entry in found:
                registry.put_edges(name, version.version, _edges(version, entry, config))
            fresh += [version for version, _ in found]
        registry.put(
            _asset(
                store,
                name,
                root,
                [e for e in registry.edges() if e.to_asset == name] if now > last else None,
                registry,
            )
        )
    return fresh


def _versions(
    store: Store, name: str, last: int, before: Version | None, recorded: list[dict[str, Any]]
) -> list[tuple[Version, dict[str, Any]]]:
    notes = {row["version"]: row for row in recorded}
    rows = {before.version: before.rows} if before is not None else {}
    found = []
    for entry in sorted(store.history(name), key=lambda e: e["version"]):
        number = int(entry["version"])
        if number <= last:
            continue
        mode = str((entry.get("operationParameters") or {}).get("mode", ""))
        action = (
            "restore"
            if entry["operation"] == "RESTORE"
            else _ACTIONS.get(mode, str(entry["operation"]).lower())
        )
        rows[number] = _rows(store, name, number, action, entry, rows.get(number - 1, 0), notes.get(number))
        note = notes.get(number, {})
        facts = {
            key: value
            for key, value in (
                ("source", note.get("source") or entry.get("source")), ("added", note.get("added")), ("changed", note.get("changed")),
                ("quarantined", note.get("quarantined")), ("restored", entry.get("wares.restored")), ("recipe", entry.get("wares.recipe")),
                ("content", entry.get("wares.content")),
            )
            if value is not None
        }  # fmt: skip
        at = datetime.fromtimestamp(int(entry["timestamp"]) / 1000, UTC).isoformat()
        content = str(entry.get("wares.content") or "")
        found.append((Version(name, number, at, rows[number], action, content, facts), entry))
    return found


def _rows(
    store: Store, name: str, number: int, action: str, entry: dict[str, Any], before: int | None, note: dict[str, Any] | None
) -> int | None:  # fmt: skip
    if note is not None:
        return int(note["rows"])
    added = (entry.get("operationMetrics") or {}).get("num_added_rows")
    if action == "append" and added is not None and before is not None:
        return before + int(added)
    if action == "replace" and added is not None:
        return int(added)
    if action in ("vacuum start", "vacuum end"):
        return before
    return store.rows(name, number)


def _edges(version: Version, entry: dict[str, Any], config: Config) -> list[Edge]:
    name, number = version.asset, version.version
    if version.action == "restore":
        before = int(entry.get("wares.restored") or 0)
        return [Edge(name, number, ROWS, name, before, ROWS, "identity", "restore")]
    if version.action.startswith(("vacuum", "create")):
        return (
            [Edge(name, number, ROWS, name, number - 1, ROWS, "identity", version.action)] if number else []
        )
    raw = entry.get(LINEAGE)
    if raw:
        return lineage_edges(name, number, Lineage.from_json(json.loads(raw)))
    source = str(version.facts.get("source") or "")
    return _configured(name, number, source, config) if source else []


def lineage_edges(name: str, number: int, lineage: Lineage) -> list[Edge]:
    """The lineage of one version as edges."""
    found = [
        Edge(name, number, column, o.asset, o.version, o.column, o.kind, o.via[:200])
        for column, origins in lineage.columns.items()
        for o in origins
    ]
    return found + [
        Edge(name, number, ROWS, o.asset, o.version, o.column, o.kind, o.via[:200]) for o in lineage.rows
    ]


def _configured(name: str, number: int, source: str, config: Config) -> list[Edge]:
    """Edges of a table that was loaded before commits carried their lineage: from the configured mapping."""
    for configured in config.sources:
        if (
            configured.table == name
            and configured.path
            and source.endswith(configured.path)
            and configured.map
        ):
            return [
                Edge(name, number, ours, f"{SOURCE}{configured.path}", NO_VERSION, field, "identity", "map")
                for ours, theirs in configured.map.items()
                if not theirs.startswith("=")
                for field in (template_fields(theirs) or [theirs])
            ]
    return [Edge(name, number, ROWS, f"{SOURCE}{Path(source).name}", NO_VERSION, ROWS, "identity", "import")]


def _asset(store: Store, name: str, root: Path, into: list[Edge] | None, registry: Registry) -> Asset:
    known = registry.find(name)
    kind, description, owner, promised = _contracted(name, root)
    if into is not None and not kind:
        derived = any(not e.from_asset.startswith(SOURCE) and e.from_asset != name for e in into)
        kind = "training set" if name.startswith("training_") else "derived table" if derived else "table"
    columns = tuple(
        {"name": column, "type": dtype, "description": promised.get(column, "")}
        for column, dtype in store.schema(name)
    )
    facts = {} if known is None else known.facts
    return Asset(
        name, kind or (known.kind if known else "table"),
        description or (known.description if known else ""), owner or (known.owner if known else ""), columns, facts,
    )  # fmt: skip


def _contracted(name: str, root: Path) -> tuple[str, str, str, dict[str, str]]:
    if name in _ABOUT:
        return *_ABOUT[name], "", {}
    try:
        contract = contract_for(name, root)
    except (ConfigError, FileNotFoundError):
        return "", "", "", {}
    return (
        "table" if name in c.TABLES else "", contract.description, contract.owner,
        {column.name: column.description for column in contract.columns},
    )  # fmt: skip
