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


RATES = "date,from,to,rate\n2025-01-01,USD,EUR,0.90\n2025-06-01,USD,EUR,0.80\n2025-01-01,EUR,GBP,0.5\n"


def test_prices_come_into_one_currency_by_the_newest_rate_and_the_original_stays(tmp_path):
    rows = [
        {"sku": "e", "name": "Euro", "price": "10", "currency": "EUR"},
        {"sku": "d", "name": "Dollar", "price": "10", "currency": "USD"},
        {"sku": "g", "name": "Pound", "price": "10", "currency": "GBP"},
        {"sku": "y", "name": "Yen", "price": "1000", "currency": "JPY"},
        {"sku": "n", "name": "No price", "price": "", "currency": "USD"},
    ]
    shop = loaded(tmp_path, rows)
    (shop.root / "rates.csv").write_text(RATES)
    report = shop.cleaner.clean("products")
    clean = rows_of(shop, "products_clean")
    assert {k: (str(r["price"] and r["price"].normalize()), r["currency"]) for k, r in clean.items()} == {
        "e": ("1E+1", "EUR"), "d": ("8", "EUR"), "g": ("2E+1", "EUR"), "y": ("1E+3", "JPY"), "n": ("None", "USD"),
    }  # fmt: skip
    assert (clean["d"]["price_original"], clean["d"]["currency_original"]) == (10, "USD")
    assert clean["y"]["clean_flags"] == "no_rate:price"
    assert clean["d"]["clean_flags"] is None
    assert any("no rate for JPY in 1 rows" in warning for warning in report.warnings)
    (change,) = [ch for ch in report.changes if ch.rule == "convert"]
    assert change.cells == 2
    assert {"key": "d", "before": "10.0000 USD", "after": "8.0000 EUR"} in change.samples
    (shop.root / "rates.csv").write_text(RATES + "2025-07-01,JPY,EUR,0.006\n")
    assert not shop.cleaner.clean("products").fresh, "a new rates file is a reason to clean again"
    assert rows_of(shop, "products_clean")["y"]["price"] == 6


def test_prices_over_time_take_the_rate_of_their_day(tmp_path):
    from wares.data.clean.rules import FLAGS

    shop = loaded(tmp_path, [{"sku": "a", "name": "Tea", "price": "1"}])
    write_rows(
        tmp_path / "prices.csv",
        [
            {"sku": "a", "date": day, "price": "10", "currency": "USD"}
            for day in ("2024-12-31", "2025-01-01", "2025-01-31", "2025-03-01", "2025-06-02")
        ],
    )
    shop.ingest(str(tmp_path / "prices.csv"), "prices")
    (shop.root / "rates.csv").write_text(RATES)
    declare(shop, "prices", "price", [{"convert": {"max_age_days": 31}}])
    shop.cleaner.clean("prices")
    with Engine(0.5) as engine:
        table = engine.parquet(shop.store.files("prices_clean")).order_by("at")
        rows = engine.arrow(table).to_pylist()
    assert [(int(r["price"]), r[FLAGS]) for r in rows] == [
        (10, "no_rate:price"), (9, None), (9, None), (10, "no_rate:price"), (8, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("day,from,to,rate\n", ["line 1", "'date'"]),
        ("date,from,to,rate\nyesterday,USD,EUR,1\n", ["line 2", "2026-11-02,USD,EUR,0.92"]),
        ("date,from,to,rate\n2025-01-01,USD,EUR,-1\n", ["line 2", "above 0"]),
        ("date,from,to,rate\n2025-01-01,USD,EUR,NaN\n", ["line 2", "above 0"]),
        ("date,from,to,rate\n2025-01-01,usd,EUR,1\n", ["line 2", "USD"]),
    ],
)
def test_a_broken_rates_file_names_the_line(text, words, tmp_path):
    from wares.data.clean.money import read_rates

    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_rates(path)
    assert all(word in str(caught.value) for word in ["rates.csv", *words])


def test_outliers_are_flagged_by_group_and_not_changed(tmp_path):
    rows = [
        {"sku": f"{kind}{n:02d}", "name": f"{kind} {n}", "category": kind, "price": str(base * (1 + n / 50))}
        for kind, base in (("Pens", 2), ("Desks", 400))
        for n in range(30)
    ]
    rows += [
        {"sku": "dear", "name": "Gold pen", "category": "Pens", "price": "400"},
        {"sku": "cheap", "name": "Toy desk", "category": "Desks", "price": "2"},
        {"sku": "free", "name": "Free pen", "category": "Pens", "price": "0"},
        {"sku": "alone", "name": "Yacht", "category": "Boats", "price": "900000"},
    ]
    shop = loaded(tmp_path, rows)
    report = shop.cleaner.clean("products")
    clean = rows_of(shop, "products_clean")
    assert {key for key, row in clean.items() if row["clean_flags"] == "outlier:price"} == {"dear", "cheap"}
    assert clean["dear"]["price"] == 400
    assert [ch.cells for ch in report.changes if ch.rule == "outliers"] == [2]


def test_categories_come_onto_one_taxonomy_and_doubtful_ones_wait(tmp_path):
    names = {
        "a": "home | kitchen",
        "b": "Küche",
        "c": "Kitchens > Home",
        "d": "Garden > Hoses",
        "e": "Astronomy",
    }
    shop = loaded(tmp_path, [{"sku": k, "name": k, "category": v, "price": "1"} for k, v in names.items()])
    (shop.root / "taxonomy.txt").write_text("# ours\n1 - Home > Kitchen\nGarden > Hose\nGarden > Tools\n")
    (shop.root / "category_map.csv").write_text("from,to\nküche,Home > Kitchen\n")
    declare(shop, "products", "category", ["category_path", {"taxonomy": {"threshold": 0.9}}])
    report = shop.cleaner.clean("products")
    clean = rows_of(shop, "products_clean")
    assert {k: r["category"] for k, r in clean.items()} == {
        "a": "Home > Kitchen", "b": "Home > Kitchen", "c": "Kitchens > Home", "d": "Garden > Hose", "e": "Astronomy",
    }  # fmt: skip
    assert {k for k, r in clean.items() if r["clean_flags"]} == {"c", "e"}
    assert [p["to"] for p in report.proposals if p["applied"]] == ["Garden > Hose"]
    waiting = {p["from"] for p in report.proposals if not p["applied"]}
    assert {"Kitchens > Home", "Astronomy"} <= waiting
    (shop.root / "category_map.csv").write_text("from,to\nküche,Kitchen\n")
    with pytest.raises(ConfigError, match=r"line 2: 'Kitchen' is not in the taxonomy"):
        shop.cleaner.clean("products")


def test_languages_of_texts(tmp_path):
    from wares.data.clean.languages import language_of

    texts = {
        "这个产品非常好用": "zh", "とても良い商品です": "ja", "정말 좋은 제품": "ko",
        "This product works very well and arrived on time": "en", "Das Produkt ist sehr gut und kam schnell an": "de",
        "12345": None, "ok": None, "": None,
    }  # fmt: skip
    assert {text: language_of(text) for text in texts} == texts


def test_near_duplicates_need_equal_numbers():
    from wares.data.clean.titles import groups

    found = groups(
        [
            "Red desk lamp 10W",
            "Lamp, desk, red 10W",
            "Red desk lamp 12W",
            "RED desk lampe 10W",
            "紫砂茶壶 250ml",
            "250ml 紫砂茶壶",
        ]
    )
    assert found["Red desk lamp 10W"] == found["Lamp, desk, red 10W"] == found["RED desk lampe 10W"]
    assert "Red desk lamp 12W" not in found
    assert found["紫砂茶壶 250ml"] == found["250ml 紫砂茶壶"]


def test_prices_inside_words_are_read_where_the_rule_is_declared(tmp_path):
    texts = {
        "a": "from 12,99 € each",
        "b": "US$ 1,299.00 only",
        "c": "ask us",
        "d": "7.5",
        "e": "",
        "f": "nan",
    }
    rows = [{"sku": k, "name": f"Thing {k}", "price": v} for k, v in texts.items()]
    rows[4]["name"] = "Lamp 10W, now £22.90"
    write_rows(tmp_path / "products.csv", rows)
    shop = init_workspace(tmp_path / "shop")
    declare(shop, "products", "price", [{"price_text": {"from": "title"}}])
    (report,) = shop.ingest(str(tmp_path / "products.csv"), "products")
    assert report.rules == {"type:price": 2}
    raw = rows_of(shop, "products")
    assert [(str(raw[k]["price"]), raw[k]["currency"]) for k in "abd"] == [
        ("12.9900", "EUR"), ("1299.0000", "USD"), ("7.5000", "EUR"),
    ]  # fmt: skip
    assert raw["e"]["price"] is None
    shop.cleaner.clean("products")
    assert rows_of(shop, "products_clean")["e"]["price"] == Decimal("22.90")


def test_ten_thousand_characters_emoji_and_nothing(tmp_path):
    rows = [
        {
            "sku": "long",
            "name": "好" * 1500,
            "description": "&amp;" * 2000 + "<b>好</b>",
            "brand": "",
            "category": "a > " * 200,
            "price": "1",
        },
        {
            "sku": "emoji",
            "name": "👩‍🍳 灯 💡",
            "description": "",
            "brand": "🙂",
            "category": "",
            "price": "1",
        },
        {
            "sku": "rtl",
            "name": "\u202eمصباح\u202c",
            "description": "",
            "brand": "",
            "category": "",
            "price": "1",
        },
    ]
    shop = loaded(tmp_path, rows)
    shop.cleaner.clean("products")
    clean = rows_of(shop, "products_clean")
    assert clean["long"]["title"] == "好" * 1500
    assert clean["long"]["description"] == "&" * 2000 + " 好"
    assert clean["long"]["category"] == "a"
    assert (clean["emoji"]["title"], clean["emoji"]["brand"]) == ("👩‍🍳 灯 💡", "🙂")
    assert clean["rtl"]["title"] == "مصباح"


def test_no_sample_of_a_personal_column_is_kept_and_the_change_is_audited(tmp_path):
    shop = loaded(tmp_path, [{"sku": "a", "name": "Tea", "price": "1"}])
    secret = "My &amp; phone is 555 0199"
    write_rows(tmp_path / "reviews.csv", [{"sku": "a", "user": "u1", "rating": "5", "text": secret}])
    shop.ingest(str(tmp_path / "reviews.csv"), "reviews")
    report = shop.cleaner.clean("reviews")
    (change,) = [ch for ch in report.changes if (ch.column, ch.rule) == ("text", "html")]
    assert (change.cells, change.samples, change.withheld) == (1, [], True)
    kept = str(shop.state.versions("reviews_clean"))
    assert "555" not in kept
    assert "0199" not in kept
    actions = [(entry["action"], entry["what"]) for entry in shop.audit.entries()]
    assert ("clean", "reviews_clean") in actions
