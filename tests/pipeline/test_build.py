from __future__ import annotations

import json

import pytest
from tests.conftest import new_workspace

import wares
from wares.core.arrays import MANIFEST
from wares.core.bundles import live_bundle, pointer
from wares.core.errors import ConfigError, IncompatibleArtifact, NotFitted, Unavailable
from wares.core.files import read_json
from wares.pipeline.steps import STEPS
from wares.pipeline.workspace import init_workspace, open_workspace, starter_config
from wares.testing.shop import write_rows


def test_second_build_does_nothing(copy_of_built):
    report = copy_of_built.build()
    assert report.ran == {}
    assert len(report.fresh) == len(STEPS)
    assert copy_of_built.publish().name == live_bundle(copy_of_built.root).name


def test_same_inputs_config_and_seed_give_the_same_bundle(built, tmp_path, shop_data):
    other = new_workspace(tmp_path / "other", shop_data)
    other.ingest()
    other.build()
    assert other.publish().name == live_bundle(built.root).name


def test_only_what_depends_on_a_change_is_made_again(copy_of_built, shop_data, tmp_path):
    config = (copy_of_built.root / "wares.toml").read_text()
    (copy_of_built.root / "wares.toml").write_text(config + "[search]\nvector_weight = 0.3\n")
    shop = open_workspace(copy_of_built.root)
    assert list(shop.build().ran) == ["search", "search_tuned", "search_order", "mood_uses"]
    shop.ingest(
        str(
            write_rows(
                tmp_path / "p.csv",
                [
                    {
                        "sku": "p0000",
                        "name": "violet desk lamp",
                        "brand": "B",
                        "category": "Lamps",
                        "price": "1.00",
                    }
                ],
            )
        ),
        "products",
    )
    ran = shop.build().ran
    assert "encoder" not in ran
    assert "catalogue" in ran
    assert "vectors" in ran


def test_rollback_returns_to_the_bundle_before(copy_of_built):
    first = live_bundle(copy_of_built.root).name
    config = copy_of_built.root / "wares.toml"
    config.write_text(config.read_text().replace('name = "Synthetic"', 'name = "Renamed"'))
    shop = open_workspace(copy_of_built.root)
    shop.build()
    assert shop.publish().name != first
    assert shop.rollback() == first
    assert wares.load(shop.root).manifest["shop"]["name"] == "Synthetic"
    with pytest.raises(NotFitted, match="no earlier bundle"):
        shop.rollback()


def test_online_events_and_products_come_back_into_the_tables(copy_of_built):
    state = copy_of_built.state
    event = {
        "event_id": "e1",
        "user_id": "web1",
        "product_id": "new1",
        "kind": "purchase",
        "at": "2025-07-01T10:00:00.123456+00:00",
        "quantity": "1",
        "price": None,
        "session_id": "",
    }
    state.append_product(
        "new1",
        {
            "product_id": "new1",
            "title": "copper desk lamp",
            "category": "Lamps",
            "price": "9.99",
            "currency": "EUR",
            "available": True,
            "attributes": {"a": "b"},
        },
    )
    state.append_events([event])
    assert copy_of_built.absorb() == {"events": 1, "products": 1}
    assert copy_of_built.absorb() == {"events": 0, "products": 0}
    copy_of_built.build()
    copy_of_built.publish()
    ranker = wares.load(copy_of_built.root)
    assert ranker.product("new1").title == "copper desk lamp"
    assert ranker.users.find("web1") >= 0
    assert ranker.manifest["absorbed"] == {"events": 1, "products": 1, "links": 0}


def test_a_failed_build_leaves_the_previous_bundle_live(copy_of_built, monkeypatch, tmp_path):
    before = live_bundle(copy_of_built.root).name

    def broken(*_):
        raise Unavailable("the disk is full", mend="Free some space")

    copy_of_built.ingest(
        str(
            write_rows(
                tmp_path / "p.csv", [{"sku": "zz", "name": "New", "brand": "", "category": "", "price": "1"}]
            )
        ),
        "products",
    )
    monkeypatch.setattr("wares.pipeline.steps.build_catalogue", broken)
    import dataclasses

    monkeypatch.setattr("wares.pipeline.steps.STEPS", [dataclasses.replace(STEPS[0], run=broken), *STEPS[1:]])
    with pytest.raises(Unavailable):
        copy_of_built.build()
    assert live_bundle(copy_of_built.root).name == before
    assert copy_of_built.state.last_runs(["build"])[0]["status"] == "failed"
    assert not list((copy_of_built.root / "build" / "catalogue").glob(".tmp*"))


def test_a_damaged_bundle_is_refused(copy_of_built):
    manifest = live_bundle(copy_of_built.root) / "recommend" / MANIFEST
    value = read_json(manifest)
    manifest.unlink()
    manifest.write_text(json.dumps({**value, "format": 99}))
    with pytest.raises(IncompatibleArtifact, match="Build again"):
        wares.load(copy_of_built.root)


def test_evaluation_is_kept_and_not_repeated(copy_of_built):
    report = copy_of_built.evaluate()
    assert report.metrics["ndcg@10"] > report.baselines["popularity"]["ndcg@10"]
    assert {
        "head_recall@20",
        "tail_recall@20",
        "cold_recall@20",
        "gini@5",
        "novelty@10",
        "cold_users_ndcg@10",
    } <= report.metrics.keys()
    assert (copy_of_built.root / "evaluations" / "latest.html").is_file()
    assert copy_of_built.evaluate().seconds == pytest.approx(report.seconds, abs=1e-3)
    assert copy_of_built.last_evaluation()["metrics"]["ndcg@10"] == pytest.approx(
        report.metrics["ndcg@10"], abs=1e-6
    )


def test_a_folder_is_ingested_by_file_name(tmp_path, shop_data):
    from wares.testing.shop import write_shop

    shop = init_workspace(tmp_path / "s", "[shop]\nname = 'x'\n")
    reports = shop.ingest(str(write_shop(shop_data, tmp_path / "exports" / "2026-11")))
    assert [r.table for r in reports] == ["products", "events"]
    shop.check("products").raise_for_errors()


def test_nothing_to_build_or_load(tmp_path):
    shop = init_workspace(tmp_path / "empty", starter_config("Leer", "EUR", (("products", "/x/y.csv"),)))
    assert shop.config.sources[0].path == "/x/y.csv"
    with pytest.raises(NotFitted, match="no products"):
        shop.build()
    with pytest.raises(NotFitted, match="Run `wares build`"):
        shop.publish()
    with pytest.raises(NotFitted, match="nothing is published"):
        wares.load(shop.root)
    with pytest.raises(ConfigError, match="exists"):
        init_workspace(tmp_path / "empty")


def test_a_catalogue_without_events_still_answers(tmp_path):
    shop = init_workspace(tmp_path / "s", "[shop]\nname = 'x'\n")
    path = write_rows(
        tmp_path / "products.csv",
        [{"sku": f"{i}", "name": f"{w} lamp"} for i, w in enumerate(("red", "blue", "old"))],
    )
    shop.ingest(str(path))
    shop.build()
    shop.publish()
    ranker = wares.load(shop.root)
    assert ranker.search("blue", k=3).hits[0].product.title == "blue lamp"
    assert len(ranker.similar("0", k=10)) == 2
    assert ranker.recommend("anyone", k=5) == []
    with pytest.raises(NotFitted, match="no events"):
        shop.evaluate()
    assert pointer(shop.root)["before"] == []
