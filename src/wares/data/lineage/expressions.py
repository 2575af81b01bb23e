"""Column lineage and operations of a table expression, read from its operation graph.

With data/engine.py the only place that knows Ibis: every operation is a node whose arguments are nodes, so an
operation that has no line below still passes its arguments on and no origin is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ibis.expr.operations as ops

from wares.data.lineage.origin import (
    AGGREGATION,
    CONDITION,
    DIRECT,
    FILTER,
    GROUP,
    IDENTITY,
    JOIN,
    SORT,
    TRANSFORMATION,
    WINDOW,
    Lineage,
    Origin,
)

Base = Callable[[str], Lineage | None]


def operations(expression: Any) -> set[str]:
    """Names of the operations in an expression, without tables, fields and names."""
    found = {type(node).__name__ for node in expression.op().find(ops.Node)}
    return found - {"DatabaseTable", "UnboundTable", "InMemoryTable", "Field", "Alias", "JoinReference"}


def lineage_of(expression: Any, base: Base) -> Lineage:
    """Lineage of a table or a value. `base` gives the lineage of a named table, or None for one it does not know."""
    walk = _Walk(base)
    op = expression.op()
    if isinstance(op, ops.Relation):
        return walk.relation(op)
    return Lineage({op.name: walk.value(op)}, walk.rows_of(op))


class _Walk:
    def __init__(self, base: Base) -> None:
        self.base = base
        self._relations: dict[Any, Lineage] = {}
        self._values: dict[Any, frozenset[Origin]] = {}

    # -- relations -------------------------------------------------------------------------------------------

    def relation(self, op: Any) -> Lineage:
        if op not in self._relations:
            self._relations[op] = self._relation(op)
        return self._relations[op]

    def _relation(self, op: Any) -> Lineage:
        if isinstance(op, ops.PhysicalTable):
            return self.base(op.name) or Lineage({name: frozenset() for name in op.schema})
        parents = [self.relation(parent) for parent in _relations(op)]
        rows = frozenset().union(*(parent.rows for parent in parents)) | self._row_origins(op)
        if isinstance(op, ops.Set | ops.Reference) or not op.values:
            columns = {
                name: frozenset().union(*(p.columns.get(name, frozenset()) for p in parents))
                for name in op.schema
            }
        else:
            columns = {name: self.value(value) for name, value in op.values.items() if name in op.schema}
        if isinstance(op, ops.TableUnnest):
            columns[op.column_name] = _as(self.value(op.column), TRANSFORMATION)
        if isinstance(op, ops.FillNull):
            columns = {name: _as(found, TRANSFORMATION) for name, found in columns.items()}
        subqueries = frozenset().union(
            *(self.rows_of(value) for value in (op.values or {}).values() if not isinstance(value, ops.Field))
        )
        return Lineage(columns, rows | subqueries)

    def _row_origins(self, op: Any) -> frozenset[Origin]:
        if isinstance(op, ops.Filter):
            return self._all(op.predicates, FILTER)
        if isinstance(op, ops.Sort):
            return self._all((key.arg for key in op.keys), SORT)
        if isinstance(op, ops.Aggregate):
            return self._all(op.groups.values(), GROUP)
        if isinstance(op, ops.JoinChain):
            return self._all((p for link in op.rest for p in link.predicates), JOIN)
        return frozenset()

    def _all(self, values: Iterable[Any], kind: str) -> frozenset[Origin]:
        return frozenset().union(*(_as(self.value(value), kind) for value in values))

    def rows_of(self, value: Any) -> frozenset[Origin]:
        """What decided the rows under the tables that a value speaks of, when they are not its relation's own."""
        found = frozenset()
        for node in value.find(ops.Subquery, filter=ops.Value) if isinstance(value, ops.Value) else ():
            found |= self.relation(node.rel).rows
        for relation in value.relations if isinstance(value, ops.Value) else ():
            found |= self.relation(relation).rows
        return found

    # -- values ----------------------------------------------------------------------------------------------

    def value(self, op: Any) -> frozenset[Origin]:
        if op not in self._values:
            self._values[op] = self._value(op)
        return self._values[op]

    def _value(self, op: Any) -> frozenset[Origin]:
        if isinstance(op, ops.Field):
            return self.relation(op.rel).columns.get(op.name, frozenset())
        if isinstance(op, ops.Alias):
            return self.value(op.arg)
        if isinstance(op, ops.WindowFunction):
            inside = _as(self.value(op.func), TRANSFORMATION)
            return inside | self._all([*op.group_by, *(key.arg for key in op.order_by)], WINDOW)
        if isinstance(op, ops.SearchedCase):
            results = (*op.results, op.default)
            return self._all(results, TRANSFORMATION) | self._all(op.cases, CONDITION)
        if isinstance(op, ops.SimpleCase):
            results = (*op.results, op.default)
            return self._all(results, TRANSFORMATION) | self._all((op.base, *op.cases), CONDITION)
        if isinstance(op, ops.IfElse):
            return self._all((op.true_expr, op.false_null_expr), TRANSFORMATION) | self._all(
                (op.bool_expr,), CONDITION
            )
        if isinstance(op, ops.Reduction):
            filters = _as(self.value(op.where), FILTER) if getattr(op, "where", None) is not None else ()
            inner = [a for a in _flat(op.args) if a is not getattr(op, "where", None)]
            return self._arguments(inner, AGGREGATION) | frozenset(filters)
        return self._arguments(_flat(op.args), TRANSFORMATION)

    def _arguments(self, arguments: Iterable[Any], kind: str) -> frozenset[Origin]:
        found: frozenset[Origin] = frozenset()
        for argument in arguments:
            if isinstance(argument, ops.Relation):
                # Counting rows, or asking whether a row is there, reads no column; an inner query reads its own.
                inner = self.relation(argument)
                if not isinstance(argument, ops.PhysicalTable) and len(inner.columns) == 1:
                    found |= frozenset().union(*(_as(o, kind) for o in inner.columns.values()))
            elif isinstance(argument, ops.SortKey):
                found |= _as(self.value(argument.arg), SORT)
            elif isinstance(argument, ops.Node):
                found |= _as(self.value(argument), kind)
        return found


def _as(origins: Iterable[Origin], kind: str) -> frozenset[Origin]:
    """Origins after one more step: the stronger of two direct kinds stays; what is indirect stays indirect."""

    def step(before: str) -> str:
        if kind not in DIRECT:
            return kind
        return before if before not in DIRECT else max(before, kind, key=DIRECT.index)

    return frozenset(o._replace(kind=step(o.kind)) for o in origins)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for part in value:
            yield from _flat(part)
    elif hasattr(value, "items") and not isinstance(value, ops.Node):
        for part in value.values():
            yield from _flat(part)
    else:
        yield value


def _relations(op: Any) -> list[Any]:
    found = []
    for argument in _flat(op.args):
        if isinstance(argument, ops.Relation):
            found.append(argument)
        elif isinstance(argument, ops.JoinLink):
            found.append(argument.table)
    return found


__all__ = ["IDENTITY", "lineage_of", "operations"]
