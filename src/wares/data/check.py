"""A contract as Ibis expressions: which rows break which rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from wares.core import columns as c
from wares.data.contract import Column, Contract
from wares.data.engine import BooleanValue, Engine, Table, cases, literal, row_number, window
from wares.data.types import NUMBER, STRING, TIMESTAMP


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise about one column: the rows where ``broken`` is true break it."""

    name: str
    column: str
    mend: str
    broken: BooleanValue

    @property
    def label(self) -> str:
        """Rule and column in one word."""
        return f"{self.name}:{self.column}"


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one rule: ``passed`` rows broke nothing."""

    rule: str
    column: str
    broken: int
    blocking: bool
    warning: bool
    detail: str = ""


def row_rules(contract: Contract, table: Table, *, columns: bool = True) -> list[Rule]:
    """The rules that look at one row at a time; without `columns` only those that no single column can tell."""
    rules: list[Rule] = []
    for column in contract.columns:
        if columns and column.name in table.columns:
            rules += column_rules(column, table)
    if contract.table == c.EVENTS and {c.USER_ID, c.SESSION_ID} <= set(table.columns):
        nobody = table[c.USER_ID].isnull() & table[c.SESSION_ID].isnull()
        rules.append(Rule("required", c.USER_ID, "Give a shopper, or a session for anonymous ones", nobody))
    return rules


def column_rules(column: Column, table: Table) -> list[Rule]:
    """The rules of one column; `table` is any table that has it."""
    value: Any = table[column.name]
    rules: list[Rule] = []
    if column.required or column.key:
        rules.append(Rule("required", column.name, "Fill this cell", value.isnull()))
    if column.values:
        rules.append(
            Rule(
                "enumeration",
                column.name,
                f"Use one of {', '.join(column.values)}",
                value.notnull() & value.notin(column.values),
            )
        )
    if column.max_length is not None and column.kind == STRING:
        rules.append(
            Rule(
                "length",
                column.name,
                f"At most {column.max_length} characters",
                value.length() > column.max_length,
            )
        )
    if column.pattern:
        rules.append(
            Rule(
                "pattern",
                column.name,
                f"Must match {column.pattern}",
                value.notnull() & ~value.re_search(column.pattern),
            )
        )
    low, high = _bounds(column)
    if low is not None:
        rules.append(Rule("range", column.name, f"At least {column.minimum}", value < literal(low)))
    if high is not None:
        rules.append(Rule("range", column.name, f"At most {column.maximum}", value > literal(high)))
    return rules


def _bounds(column: Column) -> tuple[Any, Any]:
    def bound(limit: Decimal | None) -> Any:
        if limit is None:
            return None
        # A whole year is the only bound of a time that ODCS can write as a number.
        return (
            datetime(int(limit), 1, 1, tzinfo=UTC)
            if column.kind == TIMESTAMP
            else (limit if column.kind == NUMBER else int(limit))
        )

    return bound(column.minimum), bound(column.maximum)


def reference_rules(contract: Contract, table: Table, targets: dict[str, Table]) -> tuple[Table, list[Rule]]:
    """The rules that look a value up in another table; `targets` maps ``table.column`` to a one-column table."""
    rules: list[Rule] = []
    for column in contract.columns:
        target = targets.get(column.reference)
        if target is None or column.name not in table.columns:
            continue
        mark = f"_in_{column.name}"
        known = (
            target.select(**{f"_ref_{column.name}": target[target.columns[0]]})
            .distinct()
            .mutate(**{mark: literal(True)})
        )
        table = table.left_join(known, table[column.name] == known[f"_ref_{column.name}"]).drop(
            f"_ref_{column.name}"
        )
        there = column.reference.split(".")[0]
        rules.append(
            Rule(
                "reference",
                column.name,
                f"Load it into {there} first, then ingest this source again",
                table[column.name].notnull() & table[mark].isnull(),
            )
        )
    # Joined rules must speak of the final table, after all joins.
    return table, [
        Rule(r.name, r.column, r.mend, table[r.column].notnull() & table[f"_in_{r.column}"].isnull())
        for r in rules
    ]


def mark_broken(contract: Contract, table: Table, targets: dict[str, Table]) -> tuple[Table, list[Rule]]:
    """The table with ``_rule``: the number of the first rule that a row breaks, or null."""
    table, references = reference_rules(contract, table, targets)
    rules = row_rules(contract, table) + references
    if not rules:
        return table.mutate(_rule=literal(None, "int32")), rules
    branches = [(rule.broken, literal(number, "int32")) for number, rule in enumerate(rules)]
    marked = table.mutate(_rule=cases(*branches, else_=literal(None, "int32")))
    return marked.drop(*[name for name in marked.columns if name.startswith("_in_")]), rules


def split_repeats(engine: Engine, table: Table, contract: Contract, policy: str) -> tuple[Table, Table, int]:
    """One row a key: (kept rows, rows that contradict the kept one, how many mere repetitions were dropped).

    `policy` is ``quarantine`` (keep the first), ``first`` or ``last`` (contradictions are dropped as well).
    """
    # Sorting every row by its key would be the most expensive part of loading; only keys whose hash comes twice
    # need it, and there are few.
    hashes = {f"_h{i}": table[name].hash() for i, name in enumerate(contract.key)}
    counts = table.select(**hashes).group_by(list(hashes)).aggregate(_times=lambda t: t.count())
    suspects = engine.keep(counts.filter(counts._times > 1).drop("_times"))
    if engine.count(suspects) == 0:
        return table, table.filter(literal(False)), 0
    hashed = table.mutate(**hashes)
    once = hashed.anti_join(suspects, list(hashes)).drop(*hashes)
    twice = hashed.semi_join(suspects, list(hashes)).drop(*hashes)
    key = [twice[name] for name in contract.key]
    order = [twice[c.SOURCE], twice[c.LINE]]
    if policy == "last":
        order = [column.desc() for column in order]
    numbered = engine.stage(twice.mutate(_n=row_number().over(window(group_by=key, order_by=order))))
    kept = numbered.filter(numbered._n == 0).drop("_n")
    rest = numbered.filter(numbered._n > 0).drop("_n")
    repeats = engine.count(rest)
    if repeats == 0 or policy != "quarantine":
        return once.union(kept), rest.filter(literal(False)), repeats
    names = [column.name for column in contract.columns if column.name in table.columns]
    first = kept.select(**{f"_first_{name}": kept[name] for name in names})
    joined = rest.join(first, [rest[name] == first[f"_first_{name}"] for name in contract.key])
    same = literal(True)
    for name in names:
        same = same & joined[name].identical_to(joined[f"_first_{name}"])
    contrary = engine.keep(joined.filter(~same).drop(*first.columns))
    return once.union(kept), contrary, repeats - engine.count(contrary)
