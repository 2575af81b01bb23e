from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.features.tiny import tiny_encoder

from wares.core.config import Encoder
from wares.core.errors import ConfigError, DataError
from wares.features.adapt_body_train import Body, Build, note_of
from wares.features.adapt_steps_train import Loss, dropped
from wares.features.adapt_train import Recipe, Run
from wares.features.encoder import TextEncoder
from wares.features.encoder_train import export_encoder
from wares.features.pairs import from_groups, split_nodes

HEADS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
FILL = ["new", "sale", "the", "best", "offer", "cheap", "with", "box", "free"]


def offers(groups=80, k=3, seed=0):
    """Things named by two heads and a code, with words that say nothing between."""
    rng = np.random.default_rng(seed)
    texts, names = [], []
    for g in range(groups):
        name = [HEADS[g % 10], HEADS[(g // 10) % 10], f"{'abcdefg'[g % 7]}{g}"]
        for _ in range(k):
            texts.append(" ".join(rng.permutation([*rng.choice(FILL, 2, replace=False), *name])))
            names.append(str(g))
    return from_groups(texts, names)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(tiny_encoder(tmp_path_factory.mktemp("tiny") / "m", HEADS + FILL))


def recipe(tiny, method="full", **changes):
    base = Recipe(
        Build(tiny, method=method, rank=4, max_tokens=32), learning_rate=4e-3, steps=24, batch=64, hard=8, checks=1, checkpoint_seconds=0, bf16="off",
    )  # fmt: skip
    return replace(base, **changes)


def run(tiny, folder, pairs=None, method="full", resume=False, **changes):
    pairs = offers() if pairs is None else pairs
    folder.mkdir(parents=True, exist_ok=True)
    return Run(pairs, split_nodes(pairs, 1), recipe(tiny, method, **changes), folder, resume=resume).all()


def test_adapting_finds_the_mates_and_the_folder_serves_the_same_vectors(tiny, tmp_path):
    outcome = run(tiny, tmp_path / "w")
    assert outcome.better
    assert outcome.facts["share_trained"] == 1
    gain = outcome.facts["gain"]["mrr"]
    assert gain["interval"][0] > 0.03
    assert outcome.facts["test"]["adapted"]["mrr"] > outcome.facts["test"]["untuned"]["mrr"] + 0.1
    outcome.body.save(tmp_path / "out", outcome.facts)
    assert note_of(tmp_path / "out")["data"]["digest"]
    (tmp_path / "onnx").mkdir()
    facts = export_encoder(
        Encoder(model=str(tmp_path / "out"), max_tokens=32, int8=False), tmp_path / "onnx", "m adapted x"
    )
    assert facts["cosine_fp32"] > 0.9999
    assert facts["model"] == "m adapted x"
    rows = outcome.test.queries[:40]
    served = TextEncoder(tmp_path / "onnx", 1).encode([outcome.test.pairs.texts[i] for i in rows])
    assert ((served * outcome.vectors[rows]).sum(1) > 0.9999).all()


def test_digits_are_parted_in_training_and_after_every_way_of_loading(tiny, tmp_path):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoTokenizer

    body = Body.load(Build(tiny))
    body.save(tmp_path / "out", {})
    plain = Body.load(Build(tiny, split_digits=False), plain=True)
    wanted = plain.tokens(["alpha 64 gb"], np.zeros(1, bool))
    assert body.tokens(["alpha 64gb"], np.zeros(1, bool)) == wanted
    assert plain.tokens(["alpha 64gb"], np.zeros(1, bool)) != wanted
    assert AutoTokenizer.from_pretrained(tmp_path / "out")(["alpha 64gb"])["input_ids"] == wanted
    loaded = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    ours = body.encode(wanted)[0]
    assert float(loaded.encode(["alpha 64gb"])[0] @ ours) > 0.9999


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_adapters_train_a_small_share_and_are_merged(tiny, tmp_path, method):
    outcome = run(tiny, tmp_path / "w", method=method)
    assert 0.01 < outcome.facts["share_trained"] < 0.3
    before = outcome.body.encode(outcome.body.tokens(["alpha beta"], np.zeros(1, bool)))
    outcome.body.save(tmp_path / "out", {})
    assert "adapter_config.json" not in {p.name for p in (tmp_path / "out").iterdir()}
    again = Body.load(Build(str(tmp_path / "out"), split_digits=False), plain=True)
    after = again.encode(again.tokens(["alpha beta"], np.zeros(1, bool)))
    assert float((before * after).sum()) > 0.9999


class _Killed(Exception):
    pass


@pytest.mark.parametrize(("method", "more"), [("full", {}), ("lora", {"masked_steps": 3, "cached": True})])
def test_a_killed_run_goes_on_and_ends_the_same(tiny, tmp_path, method, more):
    pairs = offers()
    whole = run(tiny, tmp_path / "whole", pairs, method, **more)
    part, settings = split_nodes(pairs, 1), recipe(tiny, method, **more)

    def die(said):
        if said.startswith("step 17 "):
            raise _Killed

    (tmp_path / "killed").mkdir()
    with pytest.raises(_Killed):
        Run(pairs, part, settings, tmp_path / "killed", say=die).all()
    said = []
    again = Run(pairs, part, settings, tmp_path / "killed", resume=True, say=said.append).all()
    assert next(s for s in said if s.startswith("step")).startswith("step 17 ")
    for name, value in whole.facts["test"]["adapted"].items():
        assert again.facts["test"]["adapted"][name] == value
    assert np.array_equal(whole.vectors, again.vectors)
    with pytest.raises(DataError, match="no interrupted run"):
        Run(pairs, part, replace(settings, batch=32), tmp_path / "killed", resume=True)


def test_cached_gradients_are_the_gradients(tiny):
    import torch

    from wares.features.adapt_steps_train import step
    from wares.features.batches import Batches

    pairs = offers()
    batch = next(
        Batches(pairs, np.zeros(len(pairs), np.int8), 150, 8, 1).a_round(
            0, np.ones((len(pairs), 2), np.float32)
        )
    )
    found = []
    for cached in (False, True):
        body = Body.load(Build(tiny))
        body.model.eval()  # no dropout: chunks would be drawn in another order
        rows = body.tokens([pairs.texts[i] for i in batch.nodes], pairs.query[batch.nodes])
        step(body, rows, batch, Loss(), None, cached)
        found.append(torch.cat([p.grad.flatten() for p in body.learning() if p.grad is not None]))
    assert torch.allclose(*found, atol=1e-6)


def test_what_is_not_better_is_said_to_be_so(tiny, tmp_path):
    rng = np.random.default_rng(1)
    # Groups drawn at random: nothing of what is learned holds for others.
    texts = [" ".join(rng.choice(HEADS + FILL, 6)) for _ in range(240)]
    pairs = from_groups(texts, [str(i // 3) for i in range(240)])
    outcome = run(tiny, tmp_path / "w", pairs)
    assert not outcome.better
    assert outcome.facts["gain"]["mrr"]["interval"][0] <= 0


def test_matryoshka_teacher_and_word_dropout(tiny, tmp_path):
    outcome = run(tiny, tmp_path / "w", loss=Loss(dims=(8, 32), distil=0.2), teacher=tiny, augment=0.2)
    assert outcome.facts["word_dropout"] == 0.2
    assert outcome.better
    cut = outcome.vectors[:, :8] / np.maximum(
        np.linalg.norm(outcome.vectors[:, :8], axis=1, keepdims=True), 1e-9
    )
    assert outcome.test.by_cosine(cut)["mrr"].mean() > outcome.theirs["mrr"].mean()
    outcome.body.save(tmp_path / "out", {})
    (tmp_path / "onnx").mkdir()
    config = Encoder(model=str(tmp_path / "out"), max_tokens=32, int8=False, dim=8)
    assert export_encoder(config, tmp_path / "onnx")["dim"] == 8
    served = TextEncoder(tmp_path / "onnx", 1).encode([outcome.test.pairs.texts[outcome.test.queries[0]]])
    assert served.shape == (1, 8)
    assert float((served * cut[outcome.test.queries[0]]).sum()) > 0.999


def test_a_language_that_the_encoder_does_not_know_is_said(tiny, tmp_path):
    names = [f"紫砂壶 {'茶具陶瓷'[i % 4]}" for i in range(240)]
    pairs = from_groups(
        [f"{n} {chr(0x4E00 + i)}{chr(0x5E00 + i)}" for i, n in enumerate(names)],
        [str(i // 3) for i in range(240)],
    )
    with pytest.raises(DataError, match=r"cannot read 100% of the texts") as caught:
        run(tiny, tmp_path / "w", pairs)
    assert "multilingual" in caught.value.mend


def test_some_unknown_texts_are_masked_and_counted(tiny, tmp_path):
    good = offers()
    texts, groups = list(good.texts), [str(g) for g in good.group]
    texts += [f"茶{chr(0x4E00 + i)}壶{chr(0x5E00 + i)}" for i in range(60)] + ["", "alpha " * 2000]
    groups += [f"zh{i // 3}" for i in range(60)] + ["0", "0"]
    pairs = from_groups(texts, groups)
    outcome = run(tiny, tmp_path / "w", pairs)
    assert outcome.facts["unread"] == 61
    assert outcome.better
    unread = np.arange(240, 301)
    assert not np.isin(unread, outcome.test.candidates).any()


def test_too_few_held_out_queries(tiny, tmp_path):
    with pytest.raises(DataError, match="held-out queries"):
        run(tiny, tmp_path / "w", offers(groups=30, k=2))


def test_unknown_methods_and_tokenisers(tiny):
    with pytest.raises(ConfigError, match="method"):
        Body.load(Build(tiny, method="magic"))
    from wares.features.adapt_body_train import part_digits

    class Fake:
        class backend_tokenizer:
            model = object()
            pre_tokenizer = None

    with pytest.raises(ConfigError, match="letters and digits"):
        part_digits(Fake())


def test_word_dropout_leaves_something():
    rng = np.random.default_rng(0)
    keep = frozenset({101, 102})
    assert all(set(dropped([101, 7, 102], rng, 0.9, keep)) == {101, 7, 102} for _ in range(20))
    some = dropped([101, *range(1, 50), 102], rng, 0.3, keep)
    assert 15 < len(some) < 48
    assert some[0] == 101
    assert some[-1] == 102
