"""What changed between two contracts, and which changes break those who read the table or those who deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from wares.core.errors import ConfigError, QueryError
from wares.data.contract import Column, Contract, contract_for, parse_contract
from wares.data.quality.history import History


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where it stands, what it is, and whether it breaks a reader or a deliverer."""

    where: str
    what: str
    breaking: bool


def find_contract(name: str, table: str, root: Path, history: History | None) -> Contract:
    """A contract by file, by table, or by the beginning of a hash from the history.

    Raises:
        QueryError: when there is none of that name.
        ConfigError: when the file is no contract.
    """
    path = Path(name)
    if path.is_file():
        text = path.read_text("utf-8")
        return parse_contract(text, table or _only_table(text, name), name)
    if name == table or (root / "contracts" / f"{name}.odcs.yaml").is_file():
        return contract_for(name, root)
    for row in history.contracts(table) if history is not None and table else []:
        if row["hash"].startswith(name):
            return parse_contract(row["text"], table, name)
    try:
        return contract_for(name)
    except FileNotFoundError:
        raise QueryError(f"there is no contract {name!r}", mend="Give a file, a table, or a hash of `wares contract history` with --table", parameter="contract") from None  # fmt: skip


def _only_table(text: str, source: str) -> str:
    try:
        names = [s["name"] for s in yaml.safe_load(text)["schema"]]
    except (yaml.YAMLError, TypeError, KeyError):
        raise ConfigError(f"{source} is no valid data contract", mend="It needs a `schema` with a name", key="schema", source=source) from None  # fmt: skip
    if len(names) != 1:
        raise QueryError(f"{source} describes {', '.join(map(str, names))}", mend="Choose one with --table", parameter="table")  # fmt: skip
    return str(names[0])


def changes(old: Contract, new: Contract) -> list[Change]:
    """All differences, breaking ones first.

    Breaking for readers: a column or role that goes, another type, cells that may now be empty, new values in a closed
    set, a slower service level. Breaking for deliverers: a new required column, tighter bounds, a new blocking rule.
    """
    out: list[Change] = []

    def add(where: str, what: str, breaking: bool) -> None:
        out.append(Change(where, what, breaking))

    was, now = ({column.name: column for column in contract.columns} for contract in (old, new))
    for name in sorted({*was, *now}):
        if name not in now:
            add(name, "the column is gone", True)
        elif name not in was:
            needed = now[name].required or now[name].key
            add(name, f"new column ({now[name].kind}{', required' if needed else ''})", needed)
        else:
            out += _column(was[name], now[name])
    for what, a, b in (
        ("key", ", ".join(old.key), ", ".join(new.key)), ("owner", old.owner, new.owner), ("purpose", old.purpose, new.purpose),
        ("version", old.version, new.version), ("team", ", ".join(old.team), ", ".join(new.team)),
    ):  # fmt: skip
        if a != b:
            add(what, f"{a or '–'} → {b or '–'}", what == "key")
    for role, access in sorted(set(old.roles) - set(new.roles)):
        add(f"role {role}", f"{access or 'access'} is gone", True)
    for role, access in sorted(set(new.roles) - set(old.roles)):
        add(f"role {role}", f"new: {access or 'access'}", False)
    if old.sla != new.sla:
        slower = old.freshness_days is not None and (new.freshness_days is None or new.freshness_days > old.freshness_days)  # fmt: skip
        add("service levels", f"{_pairs(old.sla)} → {_pairs(new.sla)}", slower)
    for word in sorted(set(old.blocking) ^ set(new.blocking)):
        add("blocking", f"{word} {'no longer stops' if word in old.blocking else 'now stops'} a pipeline", word in new.blocking)  # fmt: skip
    out += _rules(old, new)
    return sorted(out, key=lambda change: (not change.breaking, change.where, change.what))


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{a} {b}" for a, b in pairs) or "none"


def _column(old: Column, new: Column) -> list[Change]:
    out: list[Change] = []

    def add(what: str, breaking: bool) -> None:
        out.append(Change(new.name, what, breaking))

    if old.kind != new.kind:
        add(f"type {old.kind} → {new.kind}", True)
    if old.required != new.required:
        add("now required" if new.required else "no longer required: readers may meet empty cells", True)
    if old.unique != new.unique:
        add("now unique" if new.unique else "no longer unique", True)
    if set(old.values) != set(new.values):
        gone, fresh = sorted(set(old.values) - set(new.values)), sorted(set(new.values) - set(old.values))
        words = [f"without {', '.join(gone)}"] if gone else []
        words += [f"with {', '.join(fresh)}"] if fresh else []
        add(f"values {' and '.join(words)}", True)
    for word, a, b, tighter in (
        ("minimum", old.minimum, new.minimum, lambda x, y: y is not None and (x is None or y > x)),
        ("maximum", old.maximum, new.maximum, lambda x, y: y is not None and (x is None or y < x)),
        ("maxLength", old.max_length, new.max_length, lambda x, y: y is not None and (x is None or y < x)),
    ):  # fmt: skip
        if a != b:
            add(f"{word} {a if a is not None else '–'} → {b if b is not None else '–'}", tighter(a, b))
    if old.pattern != new.pattern:
        add(f"pattern {old.pattern or '–'} → {new.pattern or '–'}", bool(new.pattern))
    if old.reference != new.reference:
        add(f"refers to {old.reference or '–'} → {new.reference or '–'}", bool(new.reference))
    if old.classification != new.classification:
        add(
            f"class {old.classification or '–'} → {new.classification or '–'}",
            new.personal and not old.personal,
        )
    if old.description != new.description:
        add("another description", False)
    return out


def _rules(old: Contract, new: Contract) -> list[Change]:
    was, now = ({(r.column, r.name): r for r in contract.quality} for contract in (old, new))
    out = []
    for key in sorted({*was, *now}):
        where = f"rule {key[1]}" + (f" of {key[0]}" if key[0] else "")
        if key not in now:
            out.append(Change(where, "is gone", False))
        elif key not in was:
            out.append(Change(where, f"new ({now[key].severity})", now[key].blocking))
        elif was[key] != now[key]:
            out.append(Change(where, "is changed", now[key].blocking))
    return out
