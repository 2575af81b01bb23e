from __future__ import annotations

import json

import pytest

from wares.core import columns as c
from wares.core.errors import NotFound, VersionErased
from wares.pipeline.registering import READS
from wares.pipeline.steps import STEPS
from wares.testing.shop import write_rows


def test_steps_read_what_they_declare(built):
    """Which tables and artefacts a step declares is what it was seen to read."""
    for step in STEPS:
        for folder in (built.root / "build" / step.name).iterdir():
            seen = json.loads((folder / READS).read_text())
            tables = {table.removesuffix("_clean") for table, _, _ in seen["tables"]}
            assert tables <= {table.removesuffix("_clean") for table in step.tables}, step.name
            assert set(seen["arrays"]) == set(step.inputs), step.name


def test_which_columns_fed_the_bundle_and_what_breaks(built):
    up = built.assets.lineage("bundle").assets
    assert {"user_id", "product_id", "at", "kind"} <= set(up["events"])
    assert {"title", "category"} <= set(up["products"])
    assert (
        "customer" in up["source:exports/events.csv"] + up.get("source:events.csv", [])
        if "source:exports/events.csv" in up
        else True
    )
    down = built.assets.lineage("products.brand", "down").assets
    assert {"catalogue", "search", "bundle"} <= set(down)
    assert "text_vectors" not in down
    assert "text_vectors" in built.assets.lineage("products.title", "down").assets
    assert "setting search.facets" in built.assets.consumers("products.brand")


def test_features_are_assets(built):
    vectors = built.assets.show("text_vectors")
    assert vectors["facts"]["dim"] == 384
    assert vectors["facts"]["encoder"]
    assert vectors["versions"][0]["hash"]
    assert "text_encoder" in vectors["made_from"]
    assert {a.name for a in built.assets.search()} >= {
        "products",
        "events",
        "interactions",
        "price_history",
        "recommend",
        "search",
        "similar",
        "bundle",
    }
    assert built.assets.sync() == []


def test_events_are_openlineage(built):
    lines = [
        json.loads(line) for line in (built.root / "state" / "openlineage.jsonl").read_text().splitlines()
    ]
    event = next(e for e in lines if e["outputs"][0]["name"] == "events")
    facets = event["outputs"][0]["facets"]
    assert {f["name"] for f in facets["schema"]["fields"]} >= {"event_id", "user_id"}
    inputs = facets["columnLineage"]["fields"]["user_id"]["inputFields"]
    assert inputs[0]["field"] == "customer"
    assert inputs[0]["transformations"][0]["type"] == "DIRECT"


def test_versions_by_number_tag_and_day_restore_and_vacuum(copy_of_built, shop_data, tmp_path):
    assets = copy_of_built.assets
    for number in range(2):
        rows = [{**row, "brand": f"New{number}"} for row in shop_data.products[:5]]
        copy_of_built.ingest(str(write_rows(tmp_path / "p.csv", rows)), c.PRODUCTS)
    first, last = 0, copy_of_built.store.version(c.PRODUCTS)
    assert assets.diff(c.PRODUCTS, first).changed == 5
    assets.tag(c.PRODUCTS, "old", version=first)
    assert assets.version(c.PRODUCTS, "old") == first
    assert assets.version(c.PRODUCTS, "2999-01-01") == last
    made = assets.restore(c.PRODUCTS, "old")
    assert made == last + 1
    assert assets.diff(c.PRODUCTS, "old").changed == 0
    plan = assets.vacuum([c.PRODUCTS], keep=1, days=0)[0]
    assert "tagged old" in plan.keep[first]
    assert plan.erase
    with pytest.raises(VersionErased, match="was removed"):
        assets.diff(c.PRODUCTS, plan.erase[0])
    assert assets.vacuum([c.PRODUCTS], keep=1, days=0)[0].erase == []
    with pytest.raises(NotFound, match="Did you mean products"):
        assets.restore("product", 0)
    assert {"asset.tag", "asset.restore", "asset.vacuum"} <= {
        e["action"] for e in copy_of_built.audit.entries()
    }
