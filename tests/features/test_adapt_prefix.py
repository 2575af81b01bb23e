from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tests.features.test_adapt import run, tiny  # noqa: F401

from wares.core.config import Encoder
from wares.core.errors import ConfigError
from wares.features.adapt_body_train import Body, Build, note_of
from wares.features.encoder import TextEncoder
from wares.features.encoder_train import export_encoder, load_parts
from wares.pipeline.adapting import publish

TEXTS = ["alpha beta", "gamma", "the best offer delta epsilon zeta with box", "kappa 64gb"]


def vectors(body, texts=TEXTS):
    return body.encode(body.tokens(texts, np.zeros(len(texts), bool)))


def test_a_prefix_learns_is_published_and_the_graph_says_what_torch_says(tiny, tmp_path):  # noqa: F811
    outcome = run(tiny, tmp_path / "w", method="prefix", learning_rate=3e-2, steps=60)
    assert outcome.facts["share_trained"] < 0.05
    assert outcome.better, outcome.facts["gain"]
    before = vectors(outcome.body)
    name = publish(tmp_path / "encoders", outcome)
    folder = tmp_path / "encoders" / name
    assert note_of(folder)["method"] == "prefix"
    again = Body.load(Build(str(folder), split_digits=False, max_tokens=32), plain=True)
    assert ((before * vectors(again)).sum(1) > 0.9999).all()
    bare = Body.load(Build(str(folder / "base"), split_digits=False, max_tokens=32), plain=True)
    assert (before * vectors(bare)).sum(1).min() < 0.99
    (tmp_path / "onnx").mkdir()
    config = Encoder(model=str(folder), max_tokens=512, int8=False)
    facts = export_encoder(config, tmp_path / "onnx")
    assert facts["cosine_fp32"] > 0.9999
    # Four of the 64 positions belong to the prefix.
    assert facts["max_tokens"] == 60
    served = TextEncoder(tmp_path / "onnx", 1)
    assert {i.name for i in served.session.get_inputs()} == {"input_ids", "attention_mask"}
    assert ((served.encode(TEXTS) * before).sum(1) > 0.9999).all()
    one_by_one = np.concatenate([served.encode([text]) for text in TEXTS])
    assert np.allclose(one_by_one, served.encode(TEXTS), atol=1e-5)
    assert served.encode(["alpha " * 500]).shape == (1, 32)


def test_other_libraries_do_not_open_the_folder_without_its_prefix(tiny, tmp_path):  # noqa: F811
    from transformers import AutoModel

    body = Body.load(Build(tiny, method="prefix", rank=4, max_tokens=32))
    body.save(tmp_path / "out", {})
    with pytest.raises((OSError, ValueError)):
        AutoModel.from_pretrained(tmp_path / "out")
    with pytest.raises(ConfigError, match="adapted again"):
        Body.load(Build(str(tmp_path / "out"), method="lora"))


def test_the_first_step_begins_near_the_untuned_encoder(tiny):  # noqa: F811
    plain = Body.load(Build(tiny, split_digits=False, max_tokens=32), plain=True)
    led = Body.load(Build(tiny, method="prefix", rank=2, split_digits=False, max_tokens=32))
    assert (vectors(plain) * vectors(led)).sum(1).mean() > 0.7
    assert 0 < led.share < 0.02


def test_what_takes_no_prefix_is_refused(tiny, tmp_path):  # noqa: F811
    from transformers import DistilBertConfig, DistilBertModel

    with pytest.raises(ConfigError, match="64 positions"):
        Body.load(Build(tiny, method="prefix", rank=40, max_tokens=32))
    shutil.copytree(tiny, tmp_path / "other")
    size = json.loads((tmp_path / "other" / "config.json").read_text())["vocab_size"]
    config = DistilBertConfig(
        vocab_size=size, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64
    )
    DistilBertModel(config).save_pretrained(tmp_path / "other")
    assert load_parts(str(tmp_path / "other"), "other")
    with pytest.raises(ConfigError, match="distilbert encoder") as caught:
        Body.load(Build(str(tmp_path / "other"), method="prefix", rank=4, max_tokens=32))
    assert "lora" in caught.value.mend
