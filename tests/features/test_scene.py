"""The scene of products: stores among it, where events name them."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest

from wares.features.interactions_build import EventLog
from wares.features.scene_build import MOST_STORES, scene_counts
from wares.pipeline.workspace import init_workspace

CONFIG = """
[shop]
name = "Stores"
currency = "EUR"
[[sources]]
as = "events"
path = "exports/events.csv"
[[sources]]
as = "products"
path = "exports/products.csv"
"""


def log_of(root, events, *, column="store_id"):
    (root / "exports").mkdir(parents=True)
    with (root / "exports" / "products.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["product_id", "title"], ["p0", "tea"], ["p1", "snow shovel"]])
    with (root / "exports" / "events.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "product_id", "at", column])
        writer.writerows(events)
    shop = init_workspace(root, CONFIG)
    shop.ingest()
    items = pa.array(["p0", "p1"])
    return EventLog(shop.store, shop.store.version("events"), items, shop.config.recommend, 0.5, root)


def rows(stores):
    return [
        (f"u{i}", f"p{i % 2}", f"2025-03-{1 + i % 28:02d}T10:00:00Z", store) for i, store in enumerate(stores)
    ]


def test_stores_are_counted_by_product_and_by_cut(tmp_path):
    log = log_of(tmp_path / "shop", rows(["北京", "Oslo"] * 20))
    first, last = log.span()
    now, before = scene_counts(log, [None, (first + last) // 2])
    items, buckets, often = now["store"]
    # In the order of their names: Oslo is 0, 北京 is 1; p0 is bought in one, p1 in the other.
    assert dict(zip(items.tolist(), zip(buckets.tolist(), often.tolist(), strict=True), strict=True)) == {
        0: (1, 20.0),
        1: (0, 20.0),
    }
    assert before["store"][2].sum() < often.sum()


@pytest.mark.parametrize("stores", [["Oslo"] * 20, [""] * 20, ["Oslo", "  "] * 10])
def test_one_store_or_none_says_nothing(tmp_path, stores):
    (found,) = scene_counts(log_of(tmp_path / "shop", rows(stores)), [None])
    assert "store" not in found
    assert "weekday" in found


def test_the_busiest_of_many_stores_count(tmp_path):
    stores = [f"s{i:03d}" for i in range(MOST_STORES + 30)]
    log = log_of(tmp_path / "shop", rows([*stores, *stores[30:], *stores[30:]]))
    (found,) = scene_counts(log, [None])
    _, buckets, often = found["store"]
    assert np.array_equal(np.unique(buckets), np.arange(MOST_STORES))
    assert often.sum() == 3 * MOST_STORES


def test_events_of_a_contract_without_stores_have_none(tmp_path):
    root = tmp_path / "shop"
    log = log_of(root, rows(["a", "b"] * 10), column="till")
    (found,) = scene_counts(log, [None])
    assert "store" not in found
