"""Rules that need the whole table: currencies, unit prices, outliers, flags. Ibis expressions only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from wares.core import columns as c
from wares.data.clean.money import convert, daily_rates, read_rates
from wares.data.clean.outliers import limits, mark
from wares.data.clean.report import SAMPLES, Change
from wares.data.clean.rules import FLAGS, CleanRule
from wares.data.engine import BooleanValue, Engine, Table, cases, literal

STAGED_FLAGS = "_flags"


@dataclass
class TableStage:
    """What the table rules made: the expression, what to count, and warnings to look up when it is computed."""

    table: Table
    counts: list[tuple[Change, str, Callable[[dict[str, Any]], tuple[Any, Any]]]] = field(
        default_factory=list
    )
    missing: list[tuple[str, str, str]] = field(default_factory=list)


def table_rules(contract: Any) -> list[tuple[str, CleanRule]]:
    """The (column, rule) pairs of this stage."""
    return [
        (column.name, rule)
        for column in contract.columns
        for rule in column.clean
        if rule.name in ("convert", "outliers", "pack", "taxonomy")
    ]


def apply_table_rules(engine: Engine, table: Table, contract: Any, root: Path, currency: str) -> TableStage:
    """Build the expression. Marks of single rows are boolean columns that begin with ``_``, for counting."""
    stage = TableStage(table)
    marks: list[tuple[str, str]] = []
    for column, rule in table_rules(contract):
        if rule.name == "convert":
            _convert(engine, stage, contract, column, rule, root, currency, marks)
    for _, rule in table_rules(contract):
        if rule.name == "pack":
            _unit_price(stage, str(rule["price"]))
    for column, rule in table_rules(contract):
        if rule.name == "outliers":
            # The limits need a scan of their own, so what comes before is computed once.
            base = engine.stage(stage.table)
            by = str(rule["by"])
            bounds = limits(engine, base, column, by, float(rule["z"]), int(rule["least"]))
            stage.table, name = mark(base, column, by, bounds)
            marks.append((f"outlier:{column}", name))
            change = Change(column, "outliers", "flagged")
            stage.counts.append((change, name, lambda row, column=column: (row[column], f"outlier:{column}")))
    stage.table = _flags(stage.table, marks)
    return stage


def _convert(
    engine: Engine, stage: TableStage, contract: Any, column: str, rule: CleanRule, root: Path, shop: str, marks: list[tuple[str, str]]
) -> None:  # fmt: skip
    to = shop if rule["to"] == "shop" else str(rule["to"])
    path, names = root / str(rule["rates"]), {col.name for col in contract.columns}
    at = c.AT if c.AT in names else ""
    known = daily_rates(read_rates(path) if path.is_file() else [], to, float(rule["max_age_days"]))
    table, left = convert(engine, stage.table, column, str(rule["currency"]), to, known, at)
    name, money = f"_no_rate_{column}", str(rule["currency"])
    changed = table[money].notnull() & (table[money] != table["currency_original"])
    stage.table = table.mutate(
        **{name: left.fill_null(False), f"_converted_{column}": changed.fill_null(False)}
    )
    marks.append((f"no_rate:{column}", name))
    stage.missing.append((name, money, column))

    def pair(row: dict[str, Any]) -> tuple[Any, Any]:
        return (
            f"{row[f'{column}_original']} {row['currency_original']}",
            f"{row[column]} {row[money]}",
        )

    stage.counts.append((Change(column, "convert", "changed"), f"_converted_{column}", pair))


def _unit_price(stage: TableStage, price: str) -> None:
    """Price of one kilogram, litre, piece …, to four digits."""
    table = stage.table
    if price in table.columns:
        kind = pa.decimal128(18, 4)
        per = table[price].cast("float64") / table["total_amount"].cast("float64")
        fine = (table["total_amount"] > 0) & table[price].notnull() & (per < 1e13)
        amount = cases((fine, per.round(4)), else_=literal(None, "float64"))
        stage.table = table.mutate(unit_price=amount.cast(f"decimal({kind.precision}, {kind.scale})"))
    else:
        stage.table = table.mutate(unit_price=literal(None, "decimal(18, 4)"))


def _flags(table: Table, marks: list[tuple[str, str]]) -> Table:
    """One text column of all marks, or null."""
    if not marks and STAGED_FLAGS not in table.columns:
        return table
    text: Any = literal("")
    if STAGED_FLAGS in table.columns:
        own = table[STAGED_FLAGS]
        text = cases((own.notnull(), literal(",") + own), else_=literal(""))
    for word, name in marks:
        on: BooleanValue = table[name]
        text = text + on.ifelse(literal(f",{word}"), literal(""))
    return table.mutate(**{FLAGS: text.substr(1).nullif("")})


def count_marks(
    engine: Engine, table: Table, stage: TableStage, key: str, warnings: list[str]
) -> list[Change]:
    """Fill in how many rows each rule marked, with samples, from the computed table."""
    changes = []
    for change, name, pair in stage.counts:
        hit = table.filter(table[name])
        change.cells = engine.count(hit)
        if change.cells:
            # Ordered by key, so that the same data shows the same samples.
            for row in engine.arrow(hit.order_by(key).limit(SAMPLES * 4)).to_pylist():
                before, after = pair(row)
                change.sample(row[key], before, after)
        changes.append(change)
    for name, money, column in stage.missing:
        left = table.filter(table[name])
        counts = engine.arrow(left.group_by(money).aggregate(rows=left.count()).order_by(money)).to_pylist()
        warnings += [
            f"{column}: no rate for {row[money]} in {row['rows']:,} rows; they keep their value and are flagged no_rate:{column}"
            for row in counts
        ]
    return changes
