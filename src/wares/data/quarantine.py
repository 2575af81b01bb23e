"""The quarantine: every row that broke a rule, with the rule, the place, and the row itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from wares.core import columns as c
from wares.core.files import digest
from wares.data.engine import Engine, desc
from wares.data.store import Store

if TYPE_CHECKING:
    from wares.data.sources import Fault

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("table", pa.string()),
        pa.field("source", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("rule", pa.string()),
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        pa.field("row", pa.string()),
        pa.field("mend", pa.string()),
        pa.field("at", pa.timestamp("us", "UTC")),
    ]
)


def quarantine_row(table: str, source: str, fault: Fault, at: datetime) -> dict[str, Any]:
    """A quarantine entry; its id is made from place and content, so the same fault is stored once."""
    return {
        "id": digest([table, source, fault.line, fault.rule, fault.column, fault.row]),
        "table": table,
        "source": source,
        "line": fault.line,
        "rule": fault.rule,
        "column": fault.column,
        "value": fault.value,
        "row": fault.row,
        "mend": fault.mend,
        "at": at,
    }


def set_aside(store: Store, engine: Engine, rows: pa.Table) -> None:
    """Append entries of `QUARANTINE_SCHEMA` whose ids are not there yet."""
    with store.lock(c.QUARANTINE):
        if store.exists(c.QUARANTINE):
            known = engine.parquet(store.files(c.QUARANTINE)).select("id")
            rows = engine.arrow(engine.rows(rows).anti_join(known, "id"))
        if rows.num_rows:
            store.append(c.QUARANTINE, rows.cast(QUARANTINE_SCHEMA))


def quarantined(store: Store, table: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The newest entries, as dictionaries."""
    if not store.exists(c.QUARANTINE):
        return []
    with Engine(0.5) as engine:
        rows = engine.parquet(store.files(c.QUARANTINE))
        if table is not None:
            rows = rows.filter(rows["table"] == table)
        return engine.arrow(rows.order_by([desc("at"), "source", "line"]).limit(limit)).to_pylist()


def quarantine_counts(store: Store) -> list[dict[str, Any]]:
    """Entries by table, rule and column, most first."""
    if not store.exists(c.QUARANTINE):
        return []
    with Engine(0.5) as engine:
        rows = engine.parquet(store.files(c.QUARANTINE))
        counts = rows.group_by(["table", "rule", "column"]).aggregate(rows=rows.count())
        return engine.arrow(counts.order_by([desc("rows"), "table", "rule", "column"])).to_pylist()
