"""Make the catalogue artefact and the list of texts to encode from the products and prices tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wares.core import columns as c
from wares.core.arrays import save_arrays, seal
from wares.core.config import ColumnsConfig
from wares.core.strings import StringTable
from wares.core.text import fill, plain, template_parts
from wares.data.engine import Engine, Table
from wares.data.store import Store
from wares.features.catalogue import KIND, NO_PRICE, PRICE_SCALE, TEXTS, codes
from wares.features.columns import select_columns


def build_catalogue(
    store: Store,
    versions: dict[str, int],
    template: str,
    folder: Path,
    memory_gb: float,
    chosen: ColumnsConfig,
) -> dict[str, Any]:
    """Write the catalogue of these table versions into `folder`; products are ordered by id.

    Besides the columns it writes the string table ``texts``: each distinct text to encode once, since
    catalogues repeat themselves (variants, anonymous titles), and ``text_of``, the text of each product.
    """
    with Engine(memory_gb, scratch=folder) as engine:
        clean = c.clean_name(c.PRODUCTS)
        # Fused records stand for all their members; otherwise every product stands for itself.
        source = next((t for t in (c.PRODUCTS_FUSED, clean) if t in versions), c.PRODUCTS)
        products = engine.parquet(store.files(source, versions[source]))
        table = select_columns(
            engine.arrow(products.select(*TEXTS, c.PRICE, c.AVAILABLE).order_by(c.PRODUCT_ID)), chosen
        )
        ids = table[c.PRODUCT_ID].combine_chunks()
        history = _history(engine, store, versions.get(c.PRICES), ids)
        aliases = _aliases(engine, store, versions, ids)
    columns: dict[str, list[str]] = {}
    for name in TEXTS:
        columns[name] = pc.fill_null(table[name].cast(pa.string()), "").to_pylist()
        if name in ("title", "description", "brand", "category", "size"):
            columns[name] = [plain(v) for v in columns[name]]
        StringTable.of(columns[name]).save(folder, name)
    parts = template_parts(template)
    fields = sorted({name for _, name in parts if name})
    texts = (
        [
            fill(parts, dict(zip(fields, row, strict=True)))
            for row in zip(*(columns[f] for f in fields), strict=True)
        ]
        if fields
        else []
    )
    unique = sorted(set(texts))
    index = {text: i for i, text in enumerate(unique)}
    StringTable.of(unique).save(folder, "texts")
    price = pc.fill_null(table[c.PRICE].cast(pa.float64()), NO_PRICE / PRICE_SCALE)
    category_of, categories = codes(columns["category"])
    brand_of, brands = codes(columns["brand"])
    save_arrays(
        folder,
        prices=np.rint(price.to_numpy() * PRICE_SCALE).astype(np.int64),
        available=pc.fill_null(table[c.AVAILABLE], True).to_numpy().astype(np.uint8),
        text_of=np.fromiter((index[t] for t in texts), np.int32, len(texts)),
        category_of=category_of,
        brand_of=brand_of,
        **history,
        **aliases,
    )
    facts = {
        "aliases": len(aliases["alias_row"]),
        "items": len(ids),
        "texts": len(unique),
        "categories": len(categories),
        "brands": len(brands),
        "template": template,
    }
    return seal(folder, KIND, **facts)


def _aliases(engine: Engine, store: Store, versions: dict[str, int], ids: pa.Array) -> dict[str, Any]:
    """Other ids of fused products: the string table ``alias`` and ``alias_row``, the product that each stands for."""
    names, rows = pa.array([], pa.string()), np.zeros(0, np.int32)
    if c.PRODUCTS_FUSED in versions:
        renamed = engine.arrow(fused_names(engine, store, versions).order_by("member"))
        at = pc.index_in(renamed["golden"], value_set=ids)
        other = pc.and_(pc.is_valid(at), pc.not_equal(renamed["member"], renamed["golden"]))
        names, rows = renamed["member"].filter(other), at.filter(other).to_numpy().astype(np.int32)
    table = StringTable.of(names.to_pylist())
    return {
        "alias_blob": table.blob, "alias_ends": table.ends, "alias_hashes": table.hashes, "alias_order": table.order,
        "alias_row": rows,
    }  # fmt: skip


def fused_names(engine: Engine, store: Store, versions: dict[str, int]) -> Table:
    """Each product (``member``) and the product that stands for its cluster (``golden``)."""
    clusters = engine.parquet(store.files(c.PRODUCT_CLUSTERS, versions[c.PRODUCT_CLUSTERS]))
    fused = engine.parquet(store.files(c.PRODUCTS_FUSED, versions[c.PRODUCTS_FUSED]))
    golden = fused.select(cluster=fused[c.CLUSTER_ID], golden=fused[c.PRODUCT_ID])
    members = clusters.select(member=clusters[c.PRODUCT_ID], of=clusters[c.CLUSTER_ID])
    return members.join(golden, [members.of == golden.cluster]).select("member", "golden")


def lineage(template: str) -> dict[str, list[str]]:
    """Array of the catalogue → the columns it is made from, as ``table.column``. The order of products is in all."""
    found = {name: [name] for name in TEXTS}
    fields = sorted({name for _, name in template_parts(template) if name})
    found |= {"texts": fields, "text_of": fields, "prices": [c.PRICE], "available": [c.AVAILABLE]}
    found |= {"category_of": [c.CATEGORY], "brand_of": [c.BRAND]}
    columns = {
        array: [f"{c.PRODUCTS}.{name}" for name in dict.fromkeys([*names, c.PRODUCT_ID])]
        for array, names in found.items()
    }
    history = [f"{c.PRODUCTS}.{c.PRODUCT_ID}", *(f"{c.PRICES}.{n}" for n in (c.PRODUCT_ID, c.AT, c.PRICE))]
    return columns | dict.fromkeys(("price_ptr", "price_at", "price_value"), history)


def _history(engine: Engine, store: Store, version: int | None, ids: pa.Array) -> dict[str, Any]:
    empty = {
        "price_ptr": np.zeros(len(ids) + 1, np.int64),
        "price_at": np.zeros(0, np.int64),
        "price_value": np.zeros(0, np.int64),
    }
    if version is None:
        return empty
    prices = engine.parquet(store.files(c.PRICES, version))
    chosen = prices.select(
        item=prices[c.PRODUCT_ID],
        at=prices[c.AT].truncate("s").epoch_seconds(),
        value=prices[c.PRICE].cast("float64"),
    )
    table = engine.arrow(chosen.filter(chosen["value"].notnull()).order_by(["item", "at"]))
    rows = pc.index_in(table["item"], value_set=ids)
    known = pc.is_valid(rows)
    table, rows = table.filter(known), rows.filter(known).to_numpy()
    order = np.argsort(rows, kind="stable")
    return {
        "price_ptr": np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(ids)))]).astype(np.int64),
        "price_at": table["at"].to_numpy()[order].astype(np.int64),
        "price_value": np.rint(table["value"].to_numpy()[order] * PRICE_SCALE).astype(np.int64),
    }
