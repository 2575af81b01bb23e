"""Text that a contract may hold and a machine may run: small expressions, and SELECTs over the shop's own tables.

Nothing is evaluated as Python. An expression is parsed by sqlglot and translated, node by node, from a closed list
into an Ibis expression, so it runs on every engine. A query must be one SELECT over tables of the shop; files, table
functions, other catalogues and every statement that writes are refused before anything is run.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from wares.core.errors import ConfigError
from wares.data.engine import literal

Resolve = Callable[[str, str], Any]
"""(table or "", column) → the column's expression; raises KeyError when there is none."""

_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.GT: operator.gt, exp.GTE: operator.ge, exp.LT: operator.lt, exp.LTE: operator.le,
    exp.Add: operator.add, exp.Sub: operator.sub, exp.Mul: operator.mul, exp.Div: operator.truediv, exp.Mod: operator.mod,
    exp.And: operator.and_, exp.Or: operator.or_,
    exp.RegexpLike: lambda value, pattern: value.re_search(pattern), exp.Like: lambda value, pattern: value.like(pattern),
}  # fmt: skip
_CALLS: dict[type, Callable[[Any], Any]] = {
    exp.Length: lambda v: v.length(), exp.Lower: lambda v: v.lower(), exp.Upper: lambda v: v.upper(),
    exp.Trim: lambda v: v.strip(), exp.Abs: lambda v: v.abs(), exp.Not: lambda v: ~v, exp.Neg: lambda v: -v,
    exp.Paren: lambda v: v,
}  # fmt: skip
_GRAMMAR = "columns, numbers, 'text', and or not, = <> < <= > >=, + - * / %, between, in, is null, like, regexp_like, length, lower, upper, trim, abs, coalesce, now()"
_FORBIDDEN = (
    exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Alter, exp.Copy, exp.Command, exp.Attach, exp.Detach, exp.Pragma,
    exp.Set, exp.Use, exp.Into, exp.Merge, exp.ReadCSV, exp.ReadParquet, exp.Anonymous, exp.Kill, exp.Lock,
)  # fmt: skip


def expression(text: str, resolve: Resolve, place: str, now: datetime) -> Any:
    """Translate `text` into an Ibis expression.

    Args:
        text: such as ``price > 0 and quantity <= 100`` or ``price <= products.price * 20``.
        resolve: gives the expression of a column; a dotted name is a column of the table that a reference leads to.
        place: where the text stands, for the error.
        now: what ``now()`` is.

    Raises:
        ConfigError: when it does not parse, uses something outside the closed list, or names a missing column.
    """
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        raise _refused(place, f"cannot be read: {_short(error)}", f"Use {_GRAMMAR}") from None
    try:
        return _translate(tree, resolve, now)
    except KeyError as error:
        raise _refused(
            place, f"names {error.args[0]}", "Name a column of the table, or take the rule away"
        ) from None
    except _NotAllowed as error:
        raise _refused(place, f"uses {error}", f"Use {_GRAMMAR}") from None
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise _refused(
            place,
            f"does not fit its columns: {_short(error)}",
            "Compare numbers with numbers and text with text",
        ) from None


class _NotAllowed(Exception):
    """A node outside the closed list."""


def _translate(node: Any, resolve: Resolve, now: datetime) -> Any:
    def go(part: Any) -> Any:
        return _translate(part, resolve, now)

    kind = type(node)
    if node.args.get("negate"):
        plain = node.copy()
        plain.set("negate", None)
        return ~go(plain)
    if kind in (*_COMPARE, *_CALLS) and {k for k, v in node.args.items() if v} - {"this", "expression"}:
        raise _NotAllowed(node.sql()[:60])
    if kind is exp.Column:
        if node.args.get("db") or node.args.get("catalog"):
            raise _NotAllowed(f"the name {node.sql()!r}")
        return resolve(node.table, node.name)
    if kind is exp.Literal:
        return node.this if node.is_string else literal(_number(node.this))
    if kind is exp.Boolean:
        return literal(bool(node.this))
    if kind is exp.Null:
        return literal(None)
    if kind in (exp.CurrentTimestamp, exp.CurrentDatetime) or (
        kind is exp.Anonymous and node.name.lower() == "now"
    ):
        return literal(now)
    if kind is exp.Cast and node.this.is_string and node.to.sql().upper().startswith(("DATE", "TIMESTAMP")):
        at = datetime.fromisoformat(str(node.this.this))
        return literal(at if at.tzinfo else at.replace(tzinfo=UTC))
    if kind in _COMPARE:
        return _COMPARE[kind](_valued(go(node.this), node), go(node.expression))
    if kind in _CALLS:
        return _CALLS[kind](_valued(go(node.this), node))
    if kind is exp.Is:
        value = go(node.this)
        if isinstance(node.expression, exp.Null):
            return value.isnull()
        return value.fill_null(not node.expression.this) == literal(bool(node.expression.this))
    if kind is exp.In and node.args.get("query") is None:
        return go(node.this).isin([go(part) for part in node.expressions])
    if kind is exp.Between:
        return go(node.this).between(go(node.args["low"]), go(node.args["high"]))
    if kind is exp.Coalesce:
        value = go(node.this)
        for part in node.expressions:
            value = value.fill_null(go(part))
        return value
    raise _NotAllowed(f"{kind.__name__.lower()} {node.sql()[:60]!r}")


def _valued(value: Any, node: Any) -> Any:
    return literal(value) if isinstance(value, str) and not isinstance(node, exp.RegexpLike) else value


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else Decimal(text)


def query(text: str, tables: list[str], place: str, dialect: str = "duckdb") -> tuple[str, list[str]]:
    """Check that `text` is one SELECT over `tables` and nothing else.

    Returns the query in the engine's dialect, and the tables that it reads.

    Raises:
        ConfigError: when it does not parse, writes, reads a file, calls an unknown function, or names another table.
    """
    try:
        statements = [s for s in sqlglot.parse(text, read=dialect) if s is not None]
    except SqlglotError as error:
        raise _refused(place, f"cannot be read: {_short(error)}", "Write one SELECT") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise _refused(
            place, "is not one SELECT", "A rule only reads: write one SELECT whose rows are the broken ones"
        )
    tree = statements[0]
    # Plain words only: a quoted name that looks like a file could be read as one outside of its own scope.
    names = {cte.alias_or_name for cte in tree.find_all(exp.CTE) if cte.alias_or_name.isidentifier()}
    read: list[str] = []
    for node in tree.walk():
        if isinstance(node, _FORBIDDEN):
            raise _refused(
                place, f"holds {node.sql(dialect)[:60]!r}",
                "A rule may only select from the shop's tables with the usual functions",
            )  # fmt: skip
        if isinstance(node, exp.Table):
            name = node.name if isinstance(node.this, exp.Identifier) else ""
            if node.args.get("db") or node.args.get("catalog") or name not in {*tables, *names}:
                raise _refused(place, f"reads {node.sql(dialect)[:60]!r}", f"Read only {', '.join(tables)}")
            if name in tables and name not in read:
                read.append(name)
        elif isinstance(node, exp.From) and not isinstance(node.this, exp.Table | exp.Subquery):
            raise _refused(place, f"reads {node.this.sql(dialect)[:60]!r}", f"Read only {', '.join(tables)}")
    if not read:
        raise _refused(place, "reads no table", f"Select from {', '.join(tables)}")
    return tree.sql("duckdb"), read


def _short(error: BaseException) -> str:
    return str(error).replace("\n", " ").replace("\x1b[4m", "").replace("\x1b[0m", "")[:160]


def _refused(place: str, what: str, mend: str) -> ConfigError:
    return ConfigError(f"{place} {what}", mend=mend, key="quality", source=place)
