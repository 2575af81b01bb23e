"""Feature selection: which columns of products the configuration keeps, and leaving out the others."""

from __future__ import annotations

import json

import pyarrow as pa

from wares.core import columns as c
from wares.core.config import FILE, ColumnsConfig
from wares.core.errors import ConfigError

CHOSEN = (
    c.DESCRIPTION, c.BRAND, c.CATEGORY, c.SIZE, c.PRICE, c.CURRENCY, c.IMAGE, c.URL, "attributes",
)  # fmt: skip
"""Columns that may be left out; ids, titles and availability may not."""
_INSIDE = "attributes."


def select_columns(table: pa.Table, config: ColumnsConfig) -> pa.Table:
    """The products with every column that is not kept emptied, so that nothing downstream can use it.

    Raises:
        ConfigError: when the configuration names a column that cannot be chosen.
    """
    for key, names in (("keep", config.keep), ("drop", config.drop)):
        for name in names:
            if name not in (*CHOSEN, c.PRODUCT_ID, c.TITLE, c.AVAILABLE) and not name.startswith(_INSIDE):
                raise ConfigError(
                    f"`columns.{key}` names {name!r}, which products do not have",
                    mend=f"Use {', '.join(CHOSEN)} or attributes.KEY",
                    key=f"columns.{key}",
                    source=FILE,
                )
    for name in config.drop:
        if name in (c.PRODUCT_ID, c.TITLE, c.AVAILABLE):
            raise ConfigError(
                f"`columns.drop` names {name!r}, which every product needs",
                mend="Take it out of the list",
                key="columns.drop",
                source=FILE,
            )
    inside = [name.removeprefix(_INSIDE) for name in config.keep if name.startswith(_INSIDE)]
    for name in CHOSEN:
        kept = not config.keep or name in config.keep or (name == "attributes" and bool(inside))
        if (not kept or name in config.drop) and name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.nulls(table.num_rows, table.schema.field(name).type))
    only = set(inside) if inside and "attributes" not in config.keep else None
    gone = {name.removeprefix(_INSIDE) for name in config.drop if name.startswith(_INSIDE)}
    if (gone or only is not None) and "attributes" in table.column_names:
        cells = [_without(cell, gone, only) for cell in table["attributes"].to_pylist()]
        place = table.column_names.index("attributes")
        table = table.set_column(place, "attributes", pa.array(cells, pa.string()))
    return table


def _without(cell: str | None, gone: set[str], only: set[str] | None) -> str | None:
    if not cell:
        return cell
    kept = {k: v for k, v in json.loads(cell).items() if k not in gone and (only is None or k in only)}
    return json.dumps(kept, ensure_ascii=False) if kept else None
