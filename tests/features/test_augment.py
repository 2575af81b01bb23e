from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import torch
from tests.features.test_adapt import offers, run, tiny  # noqa: F401

from wares.features.adapt_steps_train import contrast, dropped
from wares.features.augment import KINDS, fields_of, reordered, shortened, slipped, units_of, vary
from wares.features.batches import Batches
from wares.features.pairs import TRAIN, VALID, Builder
from wares.features.signals import GROUPS, balanced, counted

TEXT = "Acme kettle 1,7 l steel. Kitchen, electric; 2200 W. Boils water quickly and switches itself off"


def figures(text):
    return re.findall(r"\d+(?:[.,]\d+)?\s*\w*", text)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_their_units_stay_whatever_is_varied(kind):
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(200):
        said = vary(TEXT, (kind,), rng)
        assert sorted(figures(said)) == sorted(figures(TEXT))
        changed += said != TEXT
    assert changed > 100


def test_order_shuffles_fields_or_swaps_neighbours():
    assert fields_of(TEXT) == ["Acme kettle 1,7 l steel", "Kitchen", "electric", "2200 W", "Boils water quickly and switches itself off"]  # fmt: skip
    assert units_of("galaxy s8 64 gb black 12 x 500 ml") == ["galaxy", "s8 64 gb", "black", "12 x 500 ml"]
    rng = np.random.default_rng(1)
    seen = {reordered(TEXT, rng) for _ in range(50)}
    assert len(seen) > 10
    assert all(s.startswith("Acme kettle 1,7 l steel, ") for s in seen)
    short = {reordered("black phone 64 gb", rng) for _ in range(50)}
    assert short == {"phone black 64 gb", "black 64 gb phone"}


def test_slips_are_one_letter_of_one_long_word():
    rng = np.random.default_rng(2)
    for _ in range(50):
        said = slipped("Brushed kettle 2200w abc", rng)
        assert said.split()[2:] == ["2200w", "abc"]
        assert abs(len(said) - len("Brushed kettle 2200w abc")) <= 1
    assert slipped("紫砂茶壶手工制作", rng) == "紫砂茶壶手工制作"
    assert slipped("a b 64gb", rng) == "a b 64gb"


def test_fewer_fields_keep_the_title_and_every_number():
    rng = np.random.default_rng(3)
    seen = {shortened(TEXT, rng) for _ in range(50)}
    assert "Acme kettle 1,7 l steel, 2200 W" in seen
    assert all(s.startswith("Acme kettle 1,7 l steel") and "2200 W" in s for s in seen)


@pytest.mark.parametrize("text", ["", "  ", "a", "x" * 3000, "...", "64", "，；｜", "é́ǘ"])
def test_odd_texts_are_left_or_varied_without_error(text):
    rng = np.random.default_rng(4)
    for _ in range(20):
        assert isinstance(vary(text, KINDS, rng), str)
    assert vary(text, (), rng) == text


def test_word_dropout_leaves_numbers_and_what_follows_them():
    rng = np.random.default_rng(0)
    for _ in range(50):
        left = dropped([101, 5, 64, 7, 9, 102], rng, 0.95, frozenset({101, 102}), frozenset({64}))
        assert {64, 7} <= set(left)


def test_texts_are_varied_where_pairs_are_few_and_it_is_said(tiny, tmp_path):  # noqa: F811
    few = run(tiny, tmp_path / "a", steps=4)
    assert few.facts["augmented"] == {"share": 0.5, "kinds": list(KINDS)}
    none = run(tiny, tmp_path / "b", steps=4, vary_share=0.0, augment=0.0)
    assert none.facts["augmented"] == {"share": 0.0, "kinds": []}
    assert not np.array_equal(few.vectors, none.vectors)
    again = run(tiny, tmp_path / "c", steps=4)
    assert np.array_equal(few.vectors, again.vectors)


def mixed():
    builder = Builder()
    for i in range(40):
        builder.edge(builder.node(f"often {i}"), builder.node(f"seen {i}"), "viewed", 2.0)
    for i in range(10):
        builder.edge(builder.node(f"ask {i}", query=True), builder.node(f"thing {i}"), "query")
    builder.edge(builder.node("long"), builder.node("title"), "description")
    for i in range(20):
        builder.node(f"member {i}", group=i // 2)
    return builder.done()


def test_rare_signals_weigh_more_up_to_the_cap():
    pairs = mixed()
    part = np.full(len(pairs), TRAIN, np.int8)
    assert counted(pairs, part) == {"viewed": 40, "query": 10, "description": 1, GROUPS: 10}
    signals = balanced(pairs, part, 5.0)
    assert signals is not None
    assert signals.weights == {"viewed": 1, "query": 4, "description": 5, GROUPS: 4}
    assert balanced(pairs, part, 1.0) is None
    assert balanced(offers(), np.zeros(240, np.int8), 5.0) is None
    batch = next(
        Batches(pairs, part, 500, 1, 1, signals=signals).a_round(0, np.ones((len(pairs), 1), np.float32))
    )
    assert batch.emphasis is not None
    of = {pairs.texts[n]: float(w) for n, w in zip(batch.nodes, batch.emphasis, strict=True)}
    assert Counter(of.values()) == {1.0: 80, 4.0: 40, 5.0: 2}
    assert of["long"] == of["title"] == 5
    held = part.copy()
    held[pairs.query] = VALID
    assert counted(pairs, held)["query"] == 0
    assert "query" not in balanced(pairs, held, 5.0).weights


def test_the_loss_is_the_weighted_mean_over_anchors():
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    positive = torch.zeros(6, 6)
    for a in (0, 2):
        positive[a, a + 1] = positive[a + 1, a] = 1
    negative = ~(positive.bool() | torch.eye(6, dtype=torch.bool))
    ones = contrast(vectors, positive, negative, 0.1, torch.ones(6))
    assert torch.allclose(ones, contrast(vectors, positive, negative, 0.1))
    only = contrast(vectors, positive, negative, 0.1, torch.tensor([1.0, 1, 0, 0, 0, 0]))
    alone = positive.clone()
    alone[2:] = 0
    assert torch.allclose(only, contrast(vectors, alone, negative, 0.1))
