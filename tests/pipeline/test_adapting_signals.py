"""Adapting to each signal of a shop that two catalogues feed: titles and descriptions, reviews, members of a cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.features.tiny import tiny_encoder
from tests.pipeline.test_adapting import FILL, WORDS

from wares.features.signals import GROUPS
from wares.pipeline.adapted import live_encoder
from wares.pipeline.adapting import context_of, recipe_of, shop_pairs, tune_shop
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.testing.shop import make_shop, write_rows

CONFIG = """
[shop]
name = "Signals"
[[sources]]
as = "products"
path = "products.csv"
[[sources]]
as = "events"
path = "events.csv"
[[sources]]
as = "reviews"
path = "reviews.csv"
[fusion]
enabled = true
trust = ["erp"]
[recommend]
min_support = 1
[evaluate]
bootstrap = 100
[encoder]
model = "{model}"
max_tokens = 40
int8 = false
[encoder.tune]
learning_rate = 4e-3
batch = 64
max_tokens = 32
signals = ["{signals}"]
"""
LETTERS = "xkzq"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """216 things of the synthetic shop, each an offer of two catalogues, described and reviewed in words of its own."""
    root = tmp_path_factory.mktemp("signals")
    tiny_encoder(root / "tiny", WORDS)
    data = make_shop(per_thing=18)
    rng = np.random.default_rng(5)
    things = [p for p in data.products if p["name"].isascii()]
    products, reviews, named = [], [], {}
    for n, p in enumerate(things):
        code = f"{LETTERS[n % 4]}{7310 + 37 * n}{LETTERS[(n // 4) % 4]}"
        named[p["sku"]] = f"a{n:03}"
        title, words = f"{p['name']} {code}", [*p["name"].split(), code]
        said = " ".join(rng.permutation([*rng.choice(FILL, 14), *words]))
        common = {"brand": p["brand"], "category": p["category"], "price": p["price"]}
        products.append(
            {"product_id": f"a{n:03}", "title": title, "description": said, "source": "erp", **common}
        )
        products.append(
            {
                "product_id": f"b{n:03}",
                "title": f"{code} {p['name']}",
                "description": "",
                "source": "market",
                **common,
            }
        )
        for k in range(2):
            text = " ".join(rng.permutation([*rng.choice(FILL, 3, replace=False), *words]))
            reviews.append(
                {
                    "review_id": f"r{n}-{k}", "product_id": f"{'ab'[k]}{n:03}", "user_id": f"u{n % 9}", "rating": "5", "text": text,
                    "at": "2025-01-02T00:00:00Z",
                }
            )  # fmt: skip
    events = [
        {"user_id": e["customer"], "product_id": named[e["sku"]], "kind": "purchase", "at": e["time"]}
        for e in data.events
        if e["sku"] in named
    ]
    for name, rows in (("products", products), ("reviews", reviews), ("events", events)):
        write_rows(root / "shop" / f"{name}.csv", rows)
    made = init_workspace(root / "shop", CONFIG.format(model=root / "tiny", signals="cluster"))
    made.ingest()
    made.build()
    return made


def opened(shop, signal, **changes):
    """The shop with one signal, and a short run."""
    config = shop.root / "wares.toml"
    config.write_text(CONFIG.format(model=shop.root.parent / "tiny", signals=signal))
    again = open_workspace(shop.root)
    return again, replace(recipe_of(again.config.encoder, 7, steps=40), bf16="off", checks=1, **changes)


def test_a_description_asks_for_its_title_and_its_product_is_set_aside(shop):
    again, recipe = opened(shop, "description")
    pairs = shop_pairs(context_of(again))
    assert pairs.facts()["edges"] == {"description": 216}
    for a, b in pairs.edges[:20]:
        asked, title = (a, b) if pairs.query[a] else (b, a)
        assert set(pairs.texts[title].split()) <= set(pairs.texts[asked].split())
        (whole,) = pairs.beside.indices[pairs.beside.indptr[asked] : pairs.beside.indptr[asked + 1]]
        assert pairs.texts[asked] in pairs.texts[whole]
        assert whole not in pairs.mates(int(asked))
    facts = tune_shop(again, recipe)
    assert facts["published"], (facts["test"], facts["validation"], facts["gain"]["mrr"])
    assert facts["signals"] == {"pairs": {"description": facts["pairs"]}, "weights": {}}
    assert live_encoder(again.root, again.config.encoder) is not None


def test_a_review_asks_for_the_product_that_its_offers_became(shop):
    again, recipe = opened(shop, "review")
    pairs = shop_pairs(context_of(again))
    assert pairs.facts()["edges"] == {"review": 432}
    # Reviews of either catalogue's offer are of the one fused product.
    offers = {int(b if pairs.query[a] else a) for a, b in pairs.edges}
    assert 216 <= len(offers) < 260
    facts = tune_shop(again, recipe)
    assert facts["published"], (facts["test"], facts["validation"], facts["gain"]["mrr"])
    assert facts["test"]["queries"] > 60


def test_members_of_a_cluster_belong_together(shop):
    again, recipe = opened(shop, "cluster")
    pairs = shop_pairs(context_of(again))
    facts = pairs.facts()
    assert facts["groups_with_mates"] > 190
    assert facts["negatives"] > 0
    assert not any(pairs.group[a] == pairs.group[b] for a, b in pairs.negatives)
    for nodes in list(pairs.members.values())[:20]:
        codes = {
            next(w.strip(".") for w in pairs.texts[n].split() if any(ch.isdigit() for ch in w)) for n in nodes
        }
        assert len(codes) == 1
    # Most of what parting digits is worth comes before the first step; the rest is learned.
    tuned = tune_shop(again, recipe)
    assert tuned["published"], tuned["gain"]
    assert tuned["signals"]["pairs"] == {GROUPS: tuned["pairs"]}


def test_rare_signals_weigh_more_and_one_run_learns_from_all(shop):
    again, recipe = opened(shop, 'description", "review", "cluster', balance=3.0)
    facts = tune_shop(again, recipe)
    assert facts["published"], (facts["test"], facts["validation"], facts["gain"]["mrr"])
    counts, weights = facts["signals"]["pairs"], facts["signals"]["weights"]
    assert set(counts) == {"description", "review", GROUPS} == set(weights)
    assert weights["review"] == 1 < weights["description"] <= 3
    assert weights["description"] == pytest.approx(counts["review"] / counts["description"], abs=1e-3)
