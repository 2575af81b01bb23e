"""Which table operations the whole flow uses, observed while it runs on the synthetic shop, and who supports them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from wares.core import columns as c
from wares.core.observe import observing

CONFIG = '[shop]\nname = "Operations"\ncurrency = "EUR"\n'
SPARK_OWN = {"Project", "Filter", "Sort", "Aggregate", "JoinChain", "JoinLink", "Union", "Distinct", "Limit", "DropColumns", "SelfReference", "SortKey"}  # fmt: skip
"""Relational operations that every SQL compiler of Ibis writes without a method of their name to ask for."""


def observe_flow() -> set[str]:
    """Ingest, clean, check, make features, compare, restore and make a training set; returns the operations seen."""
    from wares.data.registry.training import Feature, Recipe
    from wares.features.catalogue_build import build_catalogue
    from wares.features.interactions_build import EventLog
    from wares.pipeline.workspace import init_workspace
    from wares.testing.shop import make_shop, write_rows, write_shop

    data = make_shop(users=20, per_thing=2)
    with tempfile.TemporaryDirectory() as folder, observing() as seen:
        home = Path(folder)
        write_shop(data, home / "exports")
        shop = init_workspace(home / "shop", CONFIG)
        for table in (c.PRODUCTS, c.EVENTS):
            shop.ingest(str(home / "exports" / f"{table}.csv"), table)
        changed = [{**row, "brand": "Other"} for row in data.products[:3]]
        shop.ingest(str(write_rows(home / "changed.csv", changed)), c.PRODUCTS)
        for table in (c.PRODUCTS, c.EVENTS):
            shop.check(table)
        shop.quarantine()
        versions = {table: shop.store.version(table) for table in (c.PRODUCTS, c.EVENTS)}
        made = home / "catalogue"
        made.mkdir()
        build_catalogue(shop.store, versions, "{title}", made, 1.0, shop.config.columns)
        import pyarrow as pa

        ids = pa.array(sorted(row["sku"] for row in data.products))
        log = EventLog(shop.store, versions[c.EVENTS], ids, shop.config.recommend, 1.0, home)
        first, last = log.span()
        _, users = log.interactions((first + last) // 2)
        log.window((first + last) // 2, last, users)
        log.popularity(last, 28)
        shop.assets.diff(c.PRODUCTS, 0)
        shop.assets.restore(c.PRODUCTS, 0)
        features = tuple(
            Feature(f"f_{name}", c.EVENTS, (c.USER_ID,), c.PRICE, aggregate=name, days=28.0)
            for name in ("last", "count", "sum", "mean", "min", "max", "distinct")
        )
        shop.training_set(
            Recipe("flow", c.EVENTS, (c.EVENT_ID, c.USER_ID), features, as_of="2025-06-01", sample=0.5)
        )
        _read_through_the_door(shop)
        shop.state.close()
    return seen.operations


def _read_through_the_door(shop) -> None:  # type: ignore[no-untyped-def]
    shop.asset(c.PRODUCTS, "analyst").to_arrow(5)


def supported_by_spark(name: str) -> bool:
    """Whether Ibis compiles the operation for PySpark; decided by its compiler, without a Spark session."""
    import ibis.expr.operations as ops
    from ibis.backends.sql.compilers.pyspark import PySparkCompiler

    if name in SPARK_OWN:
        return True
    operation = getattr(ops, name, None)
    method = getattr(PySparkCompiler, f"visit_{name}", None)
    if operation is None or operation in PySparkCompiler.UNSUPPORTED_OPS:
        return False
    return method is not None and method not in (
        PySparkCompiler.visit_Undefined,
        PySparkCompiler.visit_Unsupported,
    )


def page(found: set[str]) -> str:
    """The list as Markdown."""
    lines = [
        "# Table operations in use",
        "",
        "Made by `wares asset operations > docs/operations.md`, which runs ingest, cleaning, checks, features, comparison, restore,",
        "the read door and a training set on the synthetic shop and writes down every Ibis operation that the engine is given. A test",
        "keeps the list complete, and holds that Ibis compiles each of them for PySpark, so that the same expressions can run there.",
        "",
        "| operation | DuckDB | PySpark |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{name}` | yes | {'yes' if supported_by_spark(name) else 'no'} |" for name in sorted(found)]
    return "\n".join(lines) + "\n"
