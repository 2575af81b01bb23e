"""The ``where`` of a reading: a condition over the columns that a role has, read by sqlglot, never run as SQL.

The grammar: columns, texts, numbers, true, false and null; ``= != < <= > >=``, ``in``, ``between``, ``like``,
``ilike``, ``is null``, ``and``, ``or``, ``not`` and brackets. No functions, casts, subqueries or arithmetic: what
cannot fail on a cell cannot betray one in its error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from wares.core.errors import AccessDenied, QueryError
from wares.data.engine import BooleanValue, Table, literal

MAX_LENGTH, MAX_NODES = 4000, 400
GRAMMAR = (
    "Use columns, 'texts', numbers, = != < <= > >=, in (…), between, like, is null, and, or, not and brackets"
)
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}


class Where:
    """A parsed condition. `columns` are those that it speaks of."""

    def __init__(self, text: str) -> None:
        """Parse a condition.

        Raises:
            QueryError: when it is no condition of the grammar; the message repeats none of its values.
        """
        self.tree = _parse(text)
        self.columns = sorted({node.name for node in self.tree.find_all(exp.Column)})

    def expression(self, table: Table) -> BooleanValue:
        """The condition on `table`, which holds the columns as the role sees them and no others.

        Raises:
            AccessDenied: for a column that `table` does not have.
            QueryError: for a comparison of a text with a number and the like.
        """
        for name in self.columns:
            if name not in table.columns:
                raise AccessDenied(
                    f"there is no column {name[:100]!r} to filter by",
                    mend=f"Filter by {', '.join(n for n in table.columns if not n.startswith('_'))}",
                    who="",
                    what="where",
                )
        return _condition(self.tree, table)

    def shape(self, subject: Callable[[str], str]) -> str:
        """The condition for the audit log: its values as keyed hashes, so that no person is named there."""

        def hide(node: exp.Expression) -> exp.Expression:
            if isinstance(node, exp.Literal):
                return exp.Placeholder(this=f"h{subject(str(node.this))[:12]}")
            return node

        return self.tree.transform(hide).sql()


def _parse(text: str) -> exp.Expression:
    fault = ""
    tree: Any = None
    if len(text) > MAX_LENGTH or not text.strip() or "\x00" in text:
        fault = f"is empty or longer than {MAX_LENGTH} characters"
    else:
        try:
            found = sqlglot.parse(text, dialect="duckdb")
            tree = found[0] if len(found) == 1 else None
        except (SqlglotError, ValueError, RecursionError):
            fault = "cannot be read"
    if not fault and not isinstance(tree, exp.Expression):
        fault = "is not one condition"
    if not fault:
        fault = _fault(tree)
    if fault:
        raise QueryError(f"the condition {fault}", mend=GRAMMAR, parameter="where")
    return tree  # type: ignore[no-any-return]


def _fault(tree: exp.Expression) -> str:
    allowed = (
        *_COMPARE, exp.And, exp.Or, exp.Not, exp.Paren, exp.In, exp.Between, exp.Like, exp.ILike, exp.Is, exp.Neg,
        exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean,
    )  # fmt: skip
    for count, node in enumerate(tree.walk()):
        if count > MAX_NODES:
            return "is too long"
        if type(node) not in allowed or node.comments:
            return f"holds something that is not allowed ({type(node).__name__.lower()})"
        if isinstance(node, exp.Column) and len(node.parts) != 1:
            return "names a column with a table"
        if isinstance(node, exp.In) and (
            node.args.get("query") or node.args.get("unnest") or node.args.get("field")
        ):
            return "holds an `in` without a list"
        extra = {
            k
            for k, v in node.args.items()
            if v
            and k not in ("this", "expression", "expressions", "low", "high", "is_string", "quoted", "negate")
        }
        if extra and not isinstance(node, exp.Column):
            return f"holds something that is not allowed ({min(extra)})"
    return ""


def _condition(node: exp.Expression, table: Table) -> Any:
    if isinstance(node, exp.Paren):
        return _condition(node.this, table)
    if isinstance(node, exp.And):
        return _condition(node.this, table) & _condition(node.expression, table)
    if isinstance(node, exp.Or):
        return _condition(node.this, table) | _condition(node.expression, table)
    if isinstance(node, exp.Not):
        return ~_condition(node.this, table)
    if isinstance(node, exp.Boolean):
        return literal(bool(node.this))
    if isinstance(node, exp.Is):
        if not isinstance(node.expression, exp.Null):
            raise _mismatch("is")
        return _column(node.this, table).isnull()
    if type(node) in _COMPARE:
        left, right = _pair(node.this, node.expression, table)
        return _COMPARE[type(node)](left, right)
    if isinstance(node, exp.In):
        column = _column(node.this, table)
        return column.isin([_value(item, column, table) for item in node.expressions])
    if isinstance(node, exp.Between):
        column = _column(node.this, table)
        return (column >= _value(node.args["low"], column, table)) & (
            column <= _value(node.args["high"], column, table)
        )
    if isinstance(node, exp.Like | exp.ILike):
        column, pattern = _column(node.this, table), node.expression
        if not column.type().is_string() or not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise _mismatch("like")
        found = column.like(pattern.this) if isinstance(node, exp.Like) else column.ilike(pattern.this)
        return ~found if node.args.get("negate") else found
    if isinstance(node, exp.Column):
        column = _column(node, table)
        if column.type().is_boolean():
            return column
    raise QueryError("the condition is no condition", mend=GRAMMAR, parameter="where")


def _column(node: exp.Expression, table: Table) -> Any:
    while isinstance(node, exp.Paren):
        node = node.this
    if not isinstance(node, exp.Column):
        raise _mismatch("left side")
    return table[node.name]


def _pair(left: exp.Expression, right: exp.Expression, table: Table) -> tuple[Any, Any]:
    if isinstance(left, exp.Column):
        column = _column(left, table)
        return column, _value(right, column, table)
    column = _column(right, table)
    return _value(left, column, table), column


def _value(node: exp.Expression, column: Any, table: Table) -> Any:
    """A literal in the column's type, or another column of the same type."""
    kind = column.type()
    if isinstance(node, exp.Column):
        other: Any = table[node.name]
        if type(other.type()) is not type(kind):
            raise _mismatch(node.name)
        return other
    sign = 1
    if isinstance(node, exp.Neg):
        node, sign = node.this, -1
    if isinstance(node, exp.Boolean) and kind.is_boolean():
        return literal(bool(node.this))
    if not isinstance(node, exp.Literal):
        raise _mismatch(column.get_name())
    text = str(node.this)
    if node.is_string and kind.is_string():
        return literal(text)
    if node.is_string and kind.is_timestamp():
        return literal(_time(text, column.get_name()), kind)
    if not node.is_string and kind.is_numeric():
        try:
            number = Decimal(text) * sign
        except InvalidOperation:
            raise _mismatch(column.get_name()) from None
        if number == number.to_integral_value() and abs(number) < 2**53:
            return literal(int(number))
        return literal(float(number))
    raise _mismatch(column.get_name())


def _time(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _mismatch(name) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _mismatch(name: str) -> QueryError:
    return QueryError(
        f"the condition compares {name[:100]} with something of another kind",
        mend="Put texts and times (2025-03-31) in single quotes, and numbers in none",
        parameter="where",
    )
