"""A shop that is fed by two catalogues sells each thing once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.features.catalogue import Catalogue
from wares.pipeline.workspace import init_workspace

CONFIG = """
[shop]
name = "Two"
[[sources]]
as = "products"
path = "products.csv"
[[sources]]
as = "events"
path = "events.csv"
[fusion]
enabled = true
trust = ["erp"]
[recommend]
min_support = 1
[evaluate]
bootstrap = 100
"""
NOUNS = ("lamp", "kettle", "drill", "camera", "router")
MAKERS = ("Acme", "Borealis", "Cobalt", "Delta")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("fused")
    rng = np.random.default_rng(3)
    products, events = ["product_id,title,brand,category,price,source"], ["user_id,product_id,kind,at"]
    for n in range(60):
        noun, maker, code = NOUNS[n % 5], MAKERS[n % 4], f"{'xkzq'[n % 4]}{7310 + 37 * n}{'abc'[n % 3]}"
        products.append(f"a{n:02},{maker} {noun} {code},{maker},{noun},{20 + n}.90,erp")
        products.append(f"b{n:02},{maker} {code} {noun},{maker},{noun},{20 + n}.50,market")
    for user in range(80):
        for day in range(4):
            n, side = int(rng.integers(60)), "ab"[int(rng.integers(2))]
            events.append(f"u{user},{side}{n:02},purchase,2025-0{1 + day}-{1 + user % 27:02}T10:00:00Z")
    (root / "products.csv").write_text("\n".join(products))
    (root / "events.csv").write_text("\n".join(events))
    shop = init_workspace(root, CONFIG)
    shop.ingest()
    shop.build()
    return shop


def catalogue(shop) -> Catalogue:
    latest = json.loads((shop.root / "build" / "latest.json").read_text())
    return Catalogue(shop.root / latest["done"]["catalogue"])


def test_each_thing_stands_once_under_the_trusted_id(shop):
    products = catalogue(shop)
    joined = [n for n in range(60) if products.row(f"a{n:02}") == products.row(f"b{n:02}") >= 0]
    assert len(joined) >= 54
    assert len(products) == 120 - len(joined)
    for n in joined:
        assert products.product(products.row(f"b{n:02}")).product_id == f"a{n:02}"


def test_what_was_bought_of_either_counts_for_one(shop):
    latest = json.loads((shop.root / "build" / "latest.json").read_text())
    interactions = shop.root / latest["done"]["interactions"]
    products = catalogue(shop)
    with (shop.root / "events.csv").open() as stream:
        rows = [line.split(",") for line in stream.read().splitlines()[1:]]
    pairs = {(user, products.row(item)) for user, item, *_ in rows}
    assert len(load_array(interactions, "items")) == len(pairs)


def test_a_second_build_fuses_nothing_anew_and_a_decision_does(shop):
    versions = shop.store.version(c.PRODUCT_CLUSTERS)
    shop.build()
    assert shop.store.version(c.PRODUCT_CLUSTERS) == versions
    products = catalogue(shop)
    n = next(n for n in range(60) if products.row(f"a{n:02}") == products.row(f"b{n:02}"))
    shop.fuser.unmerge(shop.fuser.clusters()[f"a{n:02}"], who="ann")
    shop.build()
    products = catalogue(shop)
    assert products.row(f"a{n:02}") != products.row(f"b{n:02}")
