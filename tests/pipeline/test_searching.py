"""A shop whose shoppers click what neither words nor meaning find: likeness to the best hits finds it."""

from __future__ import annotations

import csv
import random

import pytest

import wares
from wares.core.arrays import open_artifact
from wares.core.files import read_json
from wares.models.search.infer import Filters
from wares.models.search.tuned import FEWEST, KIND
from wares.pipeline.workspace import init_workspace

N = 2 * FEWEST + 20
CONFIG = """
[shop]
name = "Around"
currency = "EUR"
[[sources]]
as = "products"
path = "exports/products.csv"
[[sources]]
as = "queries"
path = "exports/queries.csv"
"""


def nonsense(rng):
    return "".join(rng.choice("bcdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4))


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def shop_of(root, *, related):
    """Pairs of products of one brand, category and price; shoppers type the word of one and click the other."""
    rng = random.Random(3)
    products, queries = [], []
    partner = list(range(N))
    if not related:
        rng.shuffle(partner)
    words = [nonsense(rng) for _ in range(2 * N)]
    for i in range(N):
        shared = {
            "brand": nonsense(rng),
            "category": f"{nonsense(rng)} > {nonsense(rng)}",
            "price": 5 + 3 * i,
        }
        products.append({"product_id": f"a{i}", "title": f"{words[i]} {nonsense(rng)}", **shared})
        products.append({"product_id": f"b{i}", "title": f"{words[N + i]} {nonsense(rng)}", **shared})
        for turn in range(2):
            queries.append({"query_id": f"{i}-{turn}", "text": words[i], "product_id": f"b{partner[i]}", "user_id": f"u{turn}"})  # fmt: skip
    queries.append({"query_id": "none", "text": "nothing clicked", "product_id": "", "user_id": "u9"})
    write(root / "exports" / "products.csv", products)
    write(root / "exports" / "queries.csv", queries)
    shop = init_workspace(root, CONFIG)
    shop.ingest(root / "exports")
    shop.build()
    shop.publish()
    return shop, words


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    return shop_of(tmp_path_factory.mktemp("around") / "shop", related=True)


def tuned(shop):
    return open_artifact(shop.root / read_json(shop.root / "build" / "latest.json")["done"]["search_tuned"], KIND)["tuned"]  # fmt: skip


def test_clicks_teach_that_likeness_helps(around):
    shop, words = around
    found = tuned(shop)
    assert found["alike"] > 0
    assert found["with_it"] > found["without"]
    ranker = wares.load(shop.root)
    hits = ranker.search(words[7], k=10).hits
    ids = [hit.product.product_id for hit in hits]
    assert ids[0] == "a7"
    assert "b7" in ids[:4]
    assert all(0 <= hit.parts["alike"] <= 1 for hit in hits)
    brought = next(hit for hit in hits if hit.product.product_id == "b7")
    assert brought.parts["words"] == 0
    assert brought.why.code in ("around", "meaning")


def test_what_likeness_brings_obeys_the_filters(around):
    shop, words = around
    ranker = wares.load(shop.root)
    page = ranker.search(words[7], k=10, filters=Filters(price_max=20.0))
    assert all(hit.product.price is not None and hit.product.price <= 20 for hit in page.hits)
    first, rest = ranker.search(words[7], k=3), ranker.search(words[7], k=3, offset=3)
    ids = [hit.product.product_id for hit in (*first.hits, *rest.hits)]
    assert len(ids) == len(set(ids))


def test_clicks_at_random_leave_search_as_it_is(tmp_path):
    shop, words = shop_of(tmp_path / "shop", related=False)
    assert tuned(shop)["alike"] == 0
    assert "alike" not in wares.load(shop.root).search(words[7], k=3).hits[0].parts
