"""Images that a build could not read stand in quarantine with their product, until a later build reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from wares.core import columns as c
from wares.core.files import digest, read_json
from wares.data.contract import contract_for
from wares.data.engine import Engine
from wares.data.quality.release import RELEASED, closed_entries, entries, settle
from wares.data.quarantine import QUARANTINE_SCHEMA, quarantine_row, set_aside
from wares.data.sources import Fault
from wares.data.types import to_json
from wares.features.image_build import KIND, REFUSED

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

COLUMN = "image"
BY = "build"
MOST = 1_000_000
_MENDS = {
    "missing": "Put the file there, or name another in the product's image",
    "url": "Save the picture below [image].folder and name that file",
    "outside": "Name a path below [image].folder",
}
_UNREADABLE = "Export the picture again as JPEG, PNG or WEBP"


def set_images_aside(shop: Workspace) -> dict[str, int]:
    """Quarantine what the last build refused, each fault once; entries whose image is now read, or no longer named, are
    marked as released by the build. Returns how many are ``refused``, and ``settled``.

    An entry holds the product's row, so that it can be mended and released like any other.
    """
    folder = shop._latest()["done"].get(KIND)
    refused: list[dict[str, str]] = [] if folder is None else read_json(shop.root / folder / REFUSED)
    closed = closed_entries(shop.state)
    open_now = [
        row for row in entries(shop.store, shop.state, c.PRODUCTS, column=COLUMN, limit=MOST) if row["line"] == 0
    ]  # fmt: skip
    rows = _rows(shop, [one["product_id"] for one in refused]) if refused else {}
    now, found = shop.clock.now(), list[dict[str, Any]]()
    for one in refused:
        product = one["product_id"]
        cells = rows.get(product, {c.PRODUCT_ID: product, COLUMN: one["image"] or None})
        mend = f"Product {product}: {one['reason']}. {_MENDS.get(one['rule'], _UNREADABLE)}; then build again"
        fault = Fault(0, one["rule"], COLUMN, one["file"][:200], to_json(cells)[:20_000], mend)
        entry = quarantine_row(c.PRODUCTS, one["file"][:1000], fault, now)
        # Other cells of the product may change without the fault being another.
        entry["id"] = digest([c.PRODUCTS, COLUMN, product, one["file"], one["rule"]])
        while (before := closed.get(entry["id"])) is not None and before["action"] == RELEASED:
            # It was mended and broke again: that is a fault of its own. What a person discarded stays so.
            entry["id"] = digest([entry["id"], before["at"]])
        found.append(entry)
    if found:
        with Engine(0.5) as engine:
            set_aside(shop.store, engine, pa.Table.from_pylist(found, QUARANTINE_SCHEMA))
    still = {entry["id"] for entry in found}
    mended = [row["id"] for row in open_now if row["id"] not in still]
    settle(shop, mended, c.PRODUCTS, by=BY)
    return {"refused": len(found), "settled": len(mended)}


def _rows(shop: Workspace, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The stored rows of products by id; a fused product has none of its own."""
    names = [column.name for column in contract_for(c.PRODUCTS, shop.root).columns]
    with Engine(0.5) as engine:
        table = engine.parquet(shop.store.files(c.PRODUCTS))
        mine = engine.rows(pa.table({c.PRODUCT_ID: pa.array(sorted(set(ids)), pa.string())}))
        chosen = table.select(*[name for name in names if name in table.columns]).semi_join(
            mine, c.PRODUCT_ID
        )
        return {row[c.PRODUCT_ID]: row for row in engine.arrow(chosen).to_pylist()}
