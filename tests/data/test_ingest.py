from __future__ import annotations

import csv
from collections import Counter

import pytest
from tests.conftest import new_workspace

from wares.core.errors import (
    ConfigError,
    ContractViolation,
    SourceError,
    VersionErased,
    VersionNotFound,
)
from wares.data.contract import contract_for, parse_contract
from wares.data.engine import Engine
from wares.data.quarantine import quarantine_counts
from wares.testing.shop import write_rows
from wares.testing.spoil import export_rows, spoil


@pytest.fixture
def shop(tmp_path, shop_data):
    return new_workspace(tmp_path / "shop", shop_data)


def rows_of(shop, table):
    with Engine(0.5) as engine:
        return engine.arrow(engine.parquet(shop.store.files(table))).to_pylist()


def test_same_file_twice_changes_nothing(shop, shop_data):
    first = shop.ingest()
    assert [r.added for r in first] == [len(shop_data.products), len(shop_data.events)]
    versions = {t: shop.store.version(t) for t in ("products", "events")}
    again = shop.ingest()
    assert [(r.added, r.changed, r.quarantined) for r in again] == [(0, 0, 0)] * 2
    assert versions == {t: shop.store.version(t) for t in versions}


def test_changed_rows_replace_old_ones(shop, shop_data, tmp_path):
    shop.ingest()
    changed = [{**p, "price": "99.00"} if i < 3 else p for i, p in enumerate(shop_data.products)]
    report = shop.ingest(str(write_rows(tmp_path / "new.csv", changed)), "products")[0]
    assert (report.added, report.changed, report.same) == (0, 3, len(changed) - 3)
    assert len(rows_of(shop, "products")) == len(changed)
    assert sum(str(r["price"]) == "99.0000" for r in rows_of(shop, "products")) == 3
    assert shop.store.files("products", 0) != shop.store.files("products", 1)


def test_every_damaged_row_is_in_quarantine(shop, shop_data, tmp_path):
    shop.ingest(str(shop.root / "exports" / "products.csv"), "products")
    rows = [
        [e["customer"], "", e["sku"], e["type"], e["time"], e["qty"], e["price"]] for e in shop_data.events
    ]
    expected, good = spoil(rows, tmp_path / "spoilt.csv", 0.2)
    assert len(expected) == 9
    report = shop.ingest(str(tmp_path / "spoilt.csv"), "events")[0]
    assert Counter(report.rules) == expected
    assert report.added == good
    with pytest.raises(ContractViolation, match="blocking"):
        report.raise_for_errors()
    again = shop.ingest(str(tmp_path / "spoilt.csv"), "events")[0]
    assert again.version is None
    assert sum(row["rows"] for row in quarantine_counts(shop.store)) == sum(expected.values())
    sample = shop.quarantine("events", 500)
    assert all(r["mend"] and r["line"] > 1 and r["source"] == "spoilt.csv" for r in sample)


@pytest.mark.slow
def test_spoilt_demo_exports(tmp_path):
    """Two per cent of 1.46 million rows damaged in ten ways: all in quarantine with their rule, all others landed."""
    from wares.data.demo import CONFIG, write_exports
    from wares.pipeline.workspace import init_workspace

    write_exports(tmp_path / "demo" / "exports")
    shop = init_workspace(tmp_path / "demo", CONFIG)
    folder = shop.root / "exports"
    shop.ingest(str(folder / "products.parquet"), "products")
    expected, good = spoil(
        export_rows(folder / "transactions.parquet", folder / "products.parquet"), tmp_path / "spoilt.csv"
    )
    report = shop.ingest(str(tmp_path / "spoilt.csv"), "events")[0]
    assert Counter(report.rules) == expected
    assert (report.added, report.quarantined) == (good, sum(expected.values()))
    assert good > 1_400_000
    assert report.quarantined > 28_000


def test_returns_unknown_products_and_derived_ids(shop, tmp_path):
    shop.ingest()
    path = tmp_path / "more.csv"
    path.write_text(
        "customer,sku,time,qty\nu1,p0001,2025-08-01,-2\nu1,p0001,2025-08-01,-2\nu1,ghost,2025-08-01,1\n,p0001,2025-08-01,1\n",
        encoding="utf-8",
    )
    report = shop.ingest(str(path), "events")[0]
    assert (report.added, report.same) == (1, 1)
    assert report.rules == {"reference:product_id": 1, "required:user_id": 1}
    assert [r["quantity"] for r in rows_of(shop, "events") if r["kind"] == "return"] == [2]


def test_conflicting_duplicates(shop, tmp_path):
    path = tmp_path / "twins.csv"
    path.write_text("sku,name\na,One\na,Two\na,One\nb,Three\n")
    report = shop.ingest(str(path), "products")[0]
    assert (report.added, report.same, report.rules) == (2, 1, {"unique:product_id": 1})
    last = shop.ingest(str(path), "products", duplicates="last")[0]
    assert last.quarantined == 0


@pytest.mark.parametrize(
    ("cell", "rule"),
    [("x" * 300, "length:product_id"), ("", "required:product_id")],
)
def test_bad_ids(shop, tmp_path, cell, rule):
    with (tmp_path / "p.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["sku", "name"], [cell, "T"], ["ok", "T😀\u202e<b>"]])
    report = shop.ingest(str(tmp_path / "p.csv"), "products")[0]
    assert report.rules == {rule: 1}
    assert report.added == 1


def test_ten_megabyte_description(shop, tmp_path):
    (tmp_path / "p.csv").write_text("sku,name,description\na,T," + "x" * 10_000_000 + "\nb,T,fine\n")
    report = shop.ingest(str(tmp_path / "p.csv"), "products")[0]
    assert report.rules == {"length:description": 1}
    assert len(shop.quarantine("products")[0]["value"]) <= 200


def test_events_before_products_warn(shop):
    report = shop.ingest(str(shop.root / "exports" / "events.csv"), "events")[0]
    assert report.added > 0
    assert "not loaded yet" in report.warnings[0]


def test_unusable_file_says_which_column(shop, tmp_path):
    (tmp_path / "p.csv").write_text("foo,bar\n1,2\n")
    with pytest.raises(SourceError, match=r"no column looks like 'product_id'.*foo, bar"):
        shop.ingest(str(tmp_path / "p.csv"), "products")
    with pytest.raises(ConfigError, match="what are the rows"):
        shop.ingest(str(tmp_path / "p.csv"))


def test_contract_errors_name_the_place():
    good = (contract_for("products"), "x")[0]
    assert good.key == ("product_id",)
    for text, words in (
        ("schema: [", "no valid data contract"),
        (
            "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: '1'\nstatus: x\nschema: [{name: other}]",
            "no table 'products'",
        ),
        (
            "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: '1'\nstatus: x\nschema: [{name: products, properties: [{name: p, logicalTypeOptions: {pattern: '['}}]}]",
            "pattern",
        ),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_contract(text, "products", "c.yaml")


def test_an_edited_contract_counts(shop):
    path = shop.root / "contracts" / "products.odcs.yaml"
    path.write_text(
        path.read_text().replace(
            "maximum: 10000000}, description: Current price.", "maximum: 20}, description: Current price."
        )
    )
    report = shop.ingest(str(shop.root / "exports" / "products.csv"), "products")[0]
    assert report.rules["range:price"] > 0


def test_versions(shop):
    shop.ingest()
    with pytest.raises(VersionNotFound, match="It has 0 to 0"):
        shop.store.files("products", 7)
    with pytest.raises(VersionNotFound, match="no table"):
        shop.store.files("nothing")
    import pathlib

    for file in shop.store.files("events"):
        pathlib.Path(file).unlink()
    with pytest.raises(VersionErased):
        shop.store.files("events", 0)
