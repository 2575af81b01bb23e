"""Contracts: what a table promises, read from Open Data Contract Standard YAML (https://bitol.io, Apache-2.0).

The shipped defaults lie in ``contracts/``; a file ``contracts/<table>.odcs.yaml`` in the workspace replaces one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import OpenDataContractStandard, SchemaProperty
from pydantic import ValidationError

from wares.core import columns as c
from wares.core.errors import ConfigError
from wares.core.files import digest
from wares.data.clean.rules import CleanRule, parse_rules
from wares.data.types import ARROW, STRING

_TYPES = {
    "date": "timestamp",
    "timestamp": "timestamp",
    "string": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
DEFAULT_BLOCKING = ("required", "type", "unique", "fields", "encoding", "quote", "truncated", "json")
SUFFIX = ".odcs.yaml"


@dataclass(frozen=True, slots=True)
class Column:
    """What one column promises."""

    name: str
    kind: str
    description: str = ""
    required: bool = False
    unique: bool = False
    key: bool = False
    values: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    pattern: str = ""
    max_length: int | None = None
    reference: str = ""
    clean: tuple[CleanRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """What a table promises: its columns, which rules stop a pipeline, which only warn, and how fresh it is."""

    table: str
    version: str
    description: str
    columns: tuple[Column, ...]
    blocking: tuple[str, ...] = DEFAULT_BLOCKING
    warnings: tuple[str, ...] = ("freshness",)
    freshness_days: float | None = None
    owner: str = ""
    hash: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that make a row the same row again."""
        return tuple(column.name for column in self.columns if column.key) or c.KEYS[self.table]

    def arrow_schema(self) -> Any:
        """The table's Arrow schema."""
        import pyarrow as pa

        return pa.schema([pa.field(column.name, ARROW[column.kind]) for column in self.columns])


def contract_for(table: str, workspace: Path | None = None) -> Contract:
    """The workspace's contract of a table, or the shipped one.

    Raises:
        ConfigError: when the file is no valid contract.
    """
    own = workspace / "contracts" / f"{table}{SUFFIX}" if workspace is not None else None
    if own is not None and own.is_file():
        return parse_contract(own.read_text("utf-8"), table, str(own))
    return parse_contract(default_text(table), table, f"the default contract of {table}")


def default_text(table: str) -> str:
    """The YAML of the shipped contract."""
    return (resources.files("wares.data") / "contracts" / f"{table}{SUFFIX}").read_text("utf-8")


def parse_contract(text: str, table: str, source: str) -> Contract:
    """Read ODCS YAML; errors name the place and the mend."""
    try:
        document = OpenDataContractStandard.from_string(text)
    except (yaml.YAMLError, ValidationError, TypeError, AttributeError) as error:
        where = str(error).replace("\n", " ")[:300]
        raise ConfigError(
            f"{source} is no valid data contract: {where}",
            mend="Mend it, or delete it to use the default",
            key="",
            source=source,
        ) from None
    schema = next((s for s in document.schema_ or [] if s.name == table), None)
    if schema is None:
        raise ConfigError(
            f"{source} describes no table {table!r}",
            mend=f"Name its schema object {table!r}",
            key="schema",
            source=source,
        )
    custom = {p.property: p.value for p in document.customProperties or []}
    freshness = next((s.value for s in document.slaProperties or [] if s.property == "freshness"), None)
    return Contract(
        table=table,
        version=str(document.version or "1"),
        description=(schema.description or "").strip(),
        columns=tuple(_column(p, source) for p in schema.properties or []),
        blocking=tuple(_words(custom.get("blocking"), DEFAULT_BLOCKING)),
        warnings=tuple(_words(custom.get("warnings"), ("freshness",))),
        freshness_days=float(freshness) if freshness is not None else None,
        owner=str(custom.get("owner") or ""),
        hash=digest(text),
    )


def _words(value: Any, default: tuple[str, ...]) -> list[str]:
    if value is None:
        return list(default)
    return [str(v) for v in value] if isinstance(value, list) else str(value).replace(",", " ").split()


def _custom(prop: SchemaProperty, name: str) -> Any:
    """A custom property of a column, or None."""
    return next((p.value for p in prop.customProperties or [] if p.property == name), None)


def _column(prop: SchemaProperty, source: str) -> Column:
    name = prop.name or ""
    kind = _TYPES.get(prop.logicalType or STRING)
    if not name or kind is None:
        raise ConfigError(
            f"{source}: column {name!r} has the type {prop.logicalType!r}",
            mend=f"Use one of {', '.join(sorted(_TYPES))}",
            key=name,
            source=source,
        )
    options = prop.logicalTypeOptions or {}
    pattern = str(options.get("pattern") or "")
    try:
        re.compile(pattern)
        bounds = [
            None if options.get(k) is None else Decimal(str(options[k])) for k in ("minimum", "maximum")
        ]
    except (re.error, ArithmeticError) as error:
        raise ConfigError(
            f"{source}: column {name!r}: {error}",
            mend="Mend `pattern`, `minimum` or `maximum`",
            key=name,
            source=source,
        ) from None
    reference = ""
    for relationship in prop.relationships or []:
        to = relationship.to[0] if isinstance(relationship.to, list) else relationship.to
        reference = str(to or "")
    return Column(
        name=name,
        kind=kind,
        description=prop.description or "",
        required=bool(prop.required),
        unique=bool(prop.unique),
        key=bool(prop.primaryKey),
        values=tuple(str(v.value if hasattr(v, "value") else v) for v in prop.enum or []),
        minimum=bounds[0],
        maximum=bounds[1],
        pattern=pattern,
        max_length=int(options["maxLength"]) if options.get("maxLength") is not None else None,
        reference=reference,
        clean=parse_rules(_custom(prop, "clean"), name, kind, source),
    )
