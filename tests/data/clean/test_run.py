"""Whole tables: raw values stay, every change is counted, and cleaning twice is cleaning once."""

from __future__ import annotations

from decimal import Decimal

import pytest

import wares
from wares.core.errors import ConfigError
from wares.data.clean.rules import lineage
from wares.data.contract import contract_for, default_text, parse_contract
from wares.data.engine import Engine
from wares.pipeline.workspace import init_workspace
from wares.testing.shop import write_rows

ROWS = [
    {"sku": "a1", "name": "Fish &amp;amp; chips", "brand": "NIKE", "category": "Food|Frozen", "size": "2x500ml", "price": "4"},
    {"sku": "a2", "name": "Ｃｏｌａ\u200b  drink", "brand": "Nike", "category": "Food > Drinks", "size": "", "price": "3"},
    {"sku": "a3", "name": "Cola drink 6 x 330 ml", "brand": "Nike", "category": "Food > Drinks", "size": "", "price": "3"},
    {"sku": "a4", "name": "<p></p>", "brand": "", "category": "", "size": "500克", "price": ""},
    {"sku": "a5", "name": "مصباح مكتب 💡", "brand": "Lego", "category": "Toys", "size": "x" * 400, "price": "7"},
    {"sku": "a6", "name": "Cola  drink, 330 ml x 6", "brand": "Lego", "category": "Toys", "size": "large", "price": "0"},
]  # fmt: skip


def rows_of(shop, table):
    with Engine(0.5) as engine:
        rows = engine.parquet(shop.store.files(table))
        return {row["product_id"]: row for row in engine.arrow(rows).to_pylist()}


def loaded(folder, rows=ROWS):
    write_rows(folder / "products.csv", rows)
    shop = init_workspace(folder / "shop")
    shop.ingest(str(folder / "products.csv"), "products")
    return shop


def declare(shop, table, column, rules):
    """Replace the rules of one column in the workspace's contract."""
    import yaml

    path = shop.root / "contracts" / f"{table}.odcs.yaml"
    document = yaml.safe_load(path.read_text("utf-8"))
    for prop in document["schema"][0]["properties"]:
        if prop["name"] == column:
            prop["customProperties"] = [{"property": "clean", "value": rules}]
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return shop


def test_a_table_is_cleaned_and_the_raw_one_stays(tmp_path):
    shop = loaded(tmp_path)
    raw = rows_of(shop, "products")
    report = shop.cleaner.clean("products")
    clean = rows_of(shop, "products_clean")
    assert rows_of(shop, "products") == raw
    assert shop.store.version("products") == 0
    assert [clean[k]["title"] for k in ("a1", "a2", "a4")] == ["Fish & chips", "Cola drink", "<p></p>"]
    assert {clean["a1"]["brand"], clean["a2"]["brand"]} == {"Nike"}
    assert clean["a1"]["category"] == "Food > Frozen"
    assert (clean["a1"]["pack_count"], clean["a1"]["unit"], clean["a1"]["total_amount"]) == (2, "l", 1)
    assert clean["a1"]["unit_price"] == 4
    assert clean["a3"]["unit_price"] == Decimal("1.5152")
    assert clean["a6"]["title_group"] == clean["a3"]["title_group"] is not None
    assert clean["a2"]["title_group"] is None
    cells = {(ch.column, ch.rule): ch for ch in report.changes}
    assert cells["title", "html"].cells == 1
    assert cells["title", "html"].samples == [
        {"key": "a1", "before": "Fish &amp;amp; chips", "after": "Fish & chips"}
    ]
    assert cells["brand", "casing"].cells == 1
    assert cells["size", "pack"].cells == 4
    assert any("stay raw" in warning for warning in report.warnings)


def test_nothing_is_done_again_until_something_changes(tmp_path):
    shop = loaded(tmp_path)
    assert not shop.cleaner.clean("products").fresh
    again = shop.cleaner.clean("products")
    assert (again.fresh, again.version) == (True, 0)
    declare(shop, "products", "title", ["whitespace"])
    assert shop.cleaner.clean("products").version == 1
    assert rows_of(shop, "products_clean")["a1"]["title"] == "Fish &amp;amp; chips"


def test_cleaning_the_clean_table_changes_nothing(tmp_path):
    shop = loaded(tmp_path)
    shop.cleaner.clean("products")
    once = rows_of(shop, "products_clean")
    with Engine(0.5) as engine:
        table = engine.parquet(shop.store.files("products_clean"))
        names = contract_for("products").arrow_schema().names
        shop.store.replace("products", engine.batches(table.select(*names)))
    report = shop.cleaner.clean("products")
    assert rows_of(shop, "products_clean") == once
    assert [ch for ch in report.changes if ch.does == "changed" and ch.cells] == []


def test_a_build_reads_the_clean_table(copy_of_built):
    shop = copy_of_built
    assert shop.store.exists("products_clean")
    write_rows(
        shop.root / "more.csv",
        [{"sku": "new", "name": "Tea &amp; more", "brand": "B", "category": "Lamps", "price": "5"}],
    )
    shop.ingest(str(shop.root / "more.csv"), "products")
    shop.build()
    ranker = wares.load(shop.publish())
    assert ranker.catalogue.product(ranker.catalogue.row("new")).title == "Tea & more"
    assert rows_of(shop, "products")["new"]["title"] == "Tea &amp; more"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["witespace"], ["'title'", "witespace", "'whitespace'"]),
        ([{"unicode": {"form": "NFX"}}], ["unicode.form", "'NFX'", "NFC"]),
        ([{"near_duplicates": {"treshold": 0.9}}], ["'treshold'", "'threshold'"]),
        ([{"near_duplicates": {"threshold": 7}}], ["0.5 to 1"]),
        ([{"near_duplicates": {"threshold": "high"}}], ["'high'", "0.92"]),
        ([{"pack": ["title"]}], ["mapping"]),
        (["outliers"], ["number columns"]),
        ([7], ["7"]),
    ],
)
def test_a_wrong_rule_names_file_column_and_mend(rules, words, tmp_path):
    shop = declare(init_workspace(tmp_path / "shop"), "products", "title", rules)
    with pytest.raises(ConfigError) as caught:
        contract_for("products", shop.root)
    for word in ["products.odcs.yaml", *words]:
        assert word in str(caught.value)


def test_a_rule_on_a_missing_column_is_refused(tmp_path):
    shop = declare(loaded(tmp_path), "products", "price", [{"outliers": {"by": "categry"}}])
    with pytest.raises(ConfigError, match="'category'"):
        shop.cleaner.clean("products")


def test_a_contract_without_rules_says_how_to_add_some(tmp_path):
    shop = loaded(tmp_path)
    for column in contract_for("products").columns:
        declare(shop, "products", column.name, [])
    with pytest.raises(ConfigError, match="customProperties"):
        shop.cleaner.clean("products")


def test_lineage_names_outputs_inputs_and_rules():
    edges = lineage(parse_contract(default_text("products"), "products", "default"))
    assert ("unit_price", ["size", "title", "price"], "pack") in edges
    assert ("title_group", ["title"], "near_duplicates") in edges
    assert ("url", ["url"], "copy") in edges
    assert ("price_original", ["price"], "convert") in edges
    assert {output for output, _, _ in edges} >= {c.name for c in contract_for("products").columns}
