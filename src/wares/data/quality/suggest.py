"""Rules learned from a trusted version, as ODCS: what a person would write after looking at the profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from wares.core.files import write_atomic
from wares.data.contract import SUFFIX, contract_for, default_text, parse_contract
from wares.data.quality.profile import ColumnProfile, Profile
from wares.data.types import NUMBER, STRING

_CLOSED = 30
_ENOUGH = 100


def suggest(found: Profile) -> list[tuple[str, dict[str, Any]]]:
    """(column, rule) pairs; every rule is a warning and bears the id ``learned-…``, so it can be told from others.

    Tolerances: twice the null share and one point more; ten times beyond both ends of the numbers; a closed set of
    values where each was seen often; digits only where all values were. Columns with fewer than 100 cells teach nothing.
    """
    out: list[tuple[str, dict[str, Any]]] = []
    for name, column in found.columns.items():
        if column.present < _ENOUGH:
            continue
        if column.rows > column.present or column.kind in (STRING, NUMBER):
            share = 100 * column.nulls / column.rows
            most = round(min(100.0, 2 * share + (1 if share else 0.1)), 2)
            if most < 100:
                out.append((name, _rule("learned-nulls", f"{share:.2f} % were empty", metric="nullValues", unit="percent", mustBeLessOrEqualTo=most)))  # fmt: skip
        out += [(name, rule) for rule in _of_values(name, column)]
    return out


def _of_values(name: str, column: ColumnProfile) -> list[dict[str, Any]]:
    out = []
    closed = (
        column.distinct is not None and 1 <= column.distinct <= _CLOSED and column.distinct == len(column.top)
    )
    if closed and column.kind == STRING and min(n for _, n in column.top) >= max(3, 0.0005 * column.present):
        values = sorted(value for value, _ in column.top)
        out.append(_rule("learned-values", f"{len(values)} values were seen", metric="invalidValues", arguments={"validValues": values}, mustBe=0))  # fmt: skip
    if column.kind in (NUMBER, "integer") and isinstance(column.low, int | float) and isinstance(column.high, int | float) and not column.personal:  # fmt: skip
        low = column.low / 10 if column.low > 0 else column.low * 10
        high = column.high * 10 if column.high > 0 else column.high / 10
        out.append(
            {"id": "learned-range", "type": "custom", "engine": "wares", "severity": "warning", "implementation": f'"{name}" between {low:.10g} and {high:.10g}', "description": f"{column.low:g} to {column.high:g} were seen"}
        )  # fmt: skip
    if column.kind == STRING and column.classes.get("digits") == column.present:
        out.append(_rule("learned-form", "all values were digits", metric="invalidValues", arguments={"pattern": "^[0-9]+$"}, mustBe=0))  # fmt: skip
    return out


def _rule(name: str, description: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "library", "severity": "warning", "description": description, **more}


def write_rules(root: Path, table: str, rules: list[tuple[str, dict[str, Any]]]) -> Path:
    """Put rules into the workspace's contract in place of those learned before; returns its path.

    Raises:
        ConfigError: when the contract on disk cannot be read.
    """
    path = root / "contracts" / f"{table}{SUFFIX}"
    text = path.read_text("utf-8") if path.is_file() else default_text(table)
    contract_for(table, root)
    document = yaml.safe_load(text)
    schema = next(s for s in document["schema"] if s.get("name") == table)
    for prop in schema.get("properties", []):
        kept = [r for r in prop.get("quality", []) if not str(r.get("id", "")).startswith("learned-")]
        fresh = [rule for column, rule in rules if column == prop["name"]]
        prop.pop("quality", None)
        if kept or fresh:
            prop["quality"] = kept + fresh
    out = yaml.dump(document, sort_keys=False, allow_unicode=True, width=140)
    parse_contract(out, table, str(path))
    write_atomic(path, out)
    return path
