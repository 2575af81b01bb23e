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
from wares.data.quality.rules import QualityRule, RuleFault, read_rules
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
PERSONAL = frozenset({"personal", "restricted", "confidential", "sensitive"})
"""ODCS classifications whose values are never shown by checks."""
_DAYS = {"d": 1.0, "day": 1.0, "days": 1.0, "h": 1 / 24, "hour": 1 / 24, "hours": 1 / 24, "m": 1 / 1440, "minutes": 1 / 1440}  # fmt: skip


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
    classification: str = ""

    @property
    def personal(self) -> bool:
        """Whether its values may tell about a person."""
        return self.classification.lower() in PERSONAL


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
    purpose: str = ""
    team: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    sla: tuple[tuple[str, str], ...] = ()
    quality: tuple[QualityRule, ...] = ()
    faults: tuple[RuleFault, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False, repr=False)

    @property
    def personal(self) -> frozenset[str]:
        """Columns whose values may tell about a person."""
        return frozenset(column.name for column in self.columns if column.personal)

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
    owner, team = _team(document, custom)
    rules, faults = read_rules(schema.quality or [], "", source)
    for prop in schema.properties or []:
        more, wrong = read_rules(prop.quality or [], prop.name or "", source)
        rules, faults = rules + more, faults + wrong
    purpose = document.description.purpose if document.description is not None else None
    return Contract(
        table=table,
        version=str(document.version or "1"),
        description=(schema.description or "").strip(),
        columns=tuple(_column(p, source) for p in schema.properties or []),
        blocking=tuple(_words(custom.get("blocking"), DEFAULT_BLOCKING)),
        warnings=tuple(_words(custom.get("warnings"), ("freshness",))),
        freshness_days=_freshness(document, source),
        owner=owner,
        hash=digest(text),
        purpose=(purpose or "").strip(),
        team=team,
        roles=tuple((str(r.role), str(r.access or "")) for r in document.roles or []),
        sla=tuple(
            (str(s.property), f"{s.value}{' ' + s.unit if s.unit else ''}")
            for s in document.slaProperties or []
        ),
        quality=tuple(rules),
        faults=tuple(faults),
        text=text,
    )


def _team(document: OpenDataContractStandard, custom: dict[Any, Any]) -> tuple[str, tuple[str, ...]]:
    """The owner and the members; ODCS 3.0 writes a list of members, 3.1 a team with a name."""
    team = document.team
    members = (team.members or []) if team is not None and not isinstance(team, list) else (team or [])
    names = tuple(str(m.username or m.name or "") for m in members)
    owners = [str(m.username or m.name) for m in members if (m.role or "").lower() == "owner"]
    named = team.name if team is not None and not isinstance(team, list) else None
    return str((owners or [named or custom.get("owner") or ""])[0]), names


def _freshness(document: OpenDataContractStandard, source: str) -> float | None:
    for sla in document.slaProperties or []:
        if sla.property == "freshness" and sla.value is not None:
            try:
                return float(sla.value) * _DAYS[(sla.unit or "d").lower()]
            except (ValueError, TypeError, KeyError):
                raise ConfigError(
                    f"{source}: freshness {sla.value!r} {sla.unit or ''}",
                    mend="Write a number with the unit d, h or minutes",
                    key="slaProperties",
                    source=source,
                ) from None
    return None


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
        classification=prop.classification or "",
    )
