from __future__ import annotations

import pyarrow as pa
import pytest

from wares.core.observe import observing
from wares.data.engine import Engine, cases, literal, row_number, window
from wares.data.lineage.origin import Lineage, from_rules, of_mapping
from wares.data.store import LINEAGE, Store


@pytest.fixture
def place(tmp_path):
    store = Store(tmp_path / "tables")
    store.append("products", pa.table({"id": ["a", "b"], "brand": ["x", "y"], "price": [1.0, 2.0]}))
    store.append("events", pa.table({"pid": ["a", "b"], "n": [1, 2], "at": [3, 4]}))
    with Engine(0.5, scratch=tmp_path) as engine:
        yield store, engine, engine.parquet(store.files("products")), engine.parquet(store.files("events"))


def origins(lineage: Lineage, column: str) -> set[tuple[str, str, str]]:
    return {(o.asset, o.column, o.kind) for o in lineage.columns[column]}


def rows(lineage: Lineage) -> set[tuple[str, str, str]]:
    return {(o.asset, o.column, o.kind) for o in lineage.rows}


def test_values_keep_their_kind_through_steps(place):
    _, engine, products, events = place
    joined = events.left_join(products, events.pid == products.id)
    joined = joined.mutate(dear=cases((joined.price > 1, joined.n), else_=0), half=joined.price / 2)
    table = joined.group_by("brand").aggregate(
        total=joined.n.sum(), rows=joined.count(), dear=joined.dear.max()
    )
    table = table.mutate(place=row_number().over(window(order_by=table.total.desc())))
    found = engine.lineage(table)
    assert origins(found, "brand") == {("products", "brand", "identity")}
    assert origins(found, "total") == {("events", "n", "aggregation")}
    assert origins(found, "rows") == set()
    assert origins(found, "dear") == {("events", "n", "aggregation"), ("products", "price", "conditional")}
    assert origins(found, "place") == {("events", "n", "window")}
    assert rows(found) == {
        ("events", "pid", "join"),
        ("products", "id", "join"),
        ("products", "brand", "group_by"),
    }
    assert origins(engine.lineage(joined), "half") == {("products", "price", "transformation")}


def test_filters_subqueries_unions_and_kept_tables(place):
    _, engine, products, events = place
    inside = engine.lineage(products.filter(products.id.isin(events.pid)))
    assert rows(inside) == {("products", "id", "filter"), ("events", "pid", "filter")}
    without = engine.lineage(products.anti_join(events.filter(events.n > 1), products.id == events.pid))
    assert rows(without) == {("events", "n", "filter"), ("events", "pid", "join"), ("products", "id", "join")}
    kept = engine.keep(products.mutate(twice=products.price * 2))
    both = kept.filter(kept.twice > 1).union(kept.filter(kept.brand == "x")).distinct()
    found = engine.lineage(both)
    assert origins(found, "twice") == {("products", "price", "transformation")}
    assert rows(found) == {("products", "price", "filter"), ("products", "brand", "filter")}
    renamed = engine.lineage(products.select(maker=products.brand).order_by("maker"))
    assert origins(renamed, "maker") == {("products", "brand", "identity")}


def test_lineage_goes_into_the_commit_with_the_data(place):
    store, engine, products, events = place
    joined = events.join(products, events.pid == products.id).select("pid", "brand")
    store.append("named", engine.batches(joined))
    store.replace("named", engine.arrow(joined))
    store.append(
        "told", pa.table({"a": [1]}), lineage=from_rules([("a", ["brand"], "casing")], "products", 0)
    )
    for entry in store.history("named"):
        found = Lineage.from_json(__import__("json").loads(entry[LINEAGE]))
        assert origins(found, "brand") == {("products", "brand", "identity")}
        assert {o.version for o in found.origins()} == {0}
    assert '"casing"' in store.history("told")[0][LINEAGE]


def test_mapping_of_an_import():
    found = of_mapping(
        ["title", "price", "currency", "id"], {"title": "{name}, {size}", "price": "cost", "currency": "=EUR"}, "source:p.csv", {"title": ["name", "size"]}
    )  # fmt: skip
    assert {o.column for o in found.columns["title"]} == {"name", "size"}
    assert {o.column for o in found.columns["price"]} == {"cost"}
    assert found.columns["currency"] == frozenset()
    assert {o.column for o in found.columns["id"]} == {"*"}


def test_observed_reads_are_those_of_the_result(place):
    _, engine, products, _ = place
    with observing() as seen:
        engine.keep(products)
        engine.arrow(products.filter(products.price > 1).select("id", c=literal(1)))
    assert seen.tables == {("products", 0): {"id", "price"}}
    assert {"Filter", "Greater", "Project"} <= seen.operations
