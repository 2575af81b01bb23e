"""Where a column comes from, and how that knowledge travels with Arrow data into a commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

IDENTITY, TRANSFORMATION, AGGREGATION = "identity", "transformation", "aggregation"
FILTER, JOIN, GROUP, SORT, WINDOW, CONDITION = "filter", "join", "group_by", "sort", "window", "conditional"
DIRECT = (IDENTITY, TRANSFORMATION, AGGREGATION)
"""Kinds by which a value goes into a value, as OpenLineage's column-lineage facet names them; the others only
decide which rows or which branch come through."""

METADATA = b"wares.lineage"
NO_VERSION = -1


class Origin(NamedTuple):
    """A column that had a part in another one. ``via`` names the rule or mapping when there is one."""

    asset: str
    version: int
    column: str
    kind: str = IDENTITY
    via: str = ""


@dataclass(frozen=True)
class Lineage:
    """``columns``: output column → its origins; ``rows``: the columns that decided which rows come through."""

    columns: Mapping[str, frozenset[Origin]] = field(default_factory=dict)
    rows: frozenset[Origin] = frozenset()

    def origins(self) -> Iterable[Origin]:
        """All of them."""
        for found in self.columns.values():
            yield from found
        yield from self.rows

    def to_json(self) -> dict[str, Any]:
        """As lists, in a fixed order."""
        return {
            "columns": {name: sorted(map(list, found)) for name, found in self.columns.items() if found},
            "rows": sorted(map(list, self.rows)),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Lineage:
        """What `to_json` made."""
        return cls(
            {n: frozenset(Origin(*o) for o in found) for n, found in value["columns"].items()},
            frozenset(Origin(*o) for o in value["rows"]),
        )


def from_rules(
    rules: Iterable[tuple[str, Sequence[str], str]], asset: str = "", version: int = NO_VERSION
) -> Lineage:
    """Lineage from declared rules ``(output column, input columns, rule)``; an input is ``column`` of `asset`, or ``asset.column``."""
    columns: dict[str, set[Origin]] = {}
    for output, inputs, rule in rules:
        for name in inputs:
            source, dot, column = name.rpartition(".") if not asset else (asset, ".", name)
            columns.setdefault(output, set()).add(
                Origin(source if dot else asset, version, column, TRANSFORMATION, rule)
            )
    return Lineage({name: frozenset(found) for name, found in columns.items()})


def of_mapping(
    names: Sequence[str], mapping: Mapping[str, str], source: str, templates: Mapping[str, Sequence[str]]
) -> Lineage:
    """Lineage of an import: our columns from theirs by the mapping. `templates` lists the fields of composed columns.

    Columns that the mapping leaves out and that are filled anyway (ids made from the row, leftover attributes)
    come from the row as a whole, ``*``.
    """
    columns: dict[str, frozenset[Origin]] = {}
    for name in names:
        theirs = mapping.get(name)
        if theirs is None:
            columns[name] = frozenset({Origin(source, NO_VERSION, "*", TRANSFORMATION, "filled at import")})
        elif theirs.startswith("="):
            columns[name] = frozenset()
        elif name in templates:
            columns[name] = frozenset(
                Origin(source, NO_VERSION, f, TRANSFORMATION, f"template {theirs}") for f in templates[name]
            )
        else:
            columns[name] = frozenset({Origin(source, NO_VERSION, theirs, IDENTITY, "map")})
    return Lineage(columns)


def attach(schema: pa.Schema, lineage: Lineage) -> pa.Schema:
    """The schema with the lineage in its metadata; readers that do not know it ignore it."""
    if not any(lineage.columns.values()):
        return schema
    text = json.dumps(lineage.to_json(), ensure_ascii=False, separators=(",", ":"))
    return schema.with_metadata({**(schema.metadata or {}), METADATA: text.encode()})


def attached(schema: pa.Schema) -> Lineage | None:
    """The lineage that came with Arrow data, or None."""
    raw = (schema.metadata or {}).get(METADATA)
    return None if raw is None else Lineage.from_json(json.loads(raw))
