"""The encoder's part of sentiment, with a tiny transformer made here."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.test_sentiment import BAD, FILL, GOOD, reviews

from wares.core.errors import ConfigError
from wares.models.sentiment import text_train
from wares.models.sentiment.calibration import fit_blend, log_loss
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.text_train import TextOptions, train_text
from wares.models.sentiment.train import train_sentiment

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "bert"
    words = sorted({w for phrase in (*GOOD, *BAD, *FILL) for w in phrase.split() if w.isascii()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    backend = Tokenizer(models.WordPiece({w: i for i, w in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


def english(n, seed):
    rows = reviews(n, seed)
    return rows.some(np.array([text.isascii() for text in rows.texts]))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_it_learns_is_exported_and_blended(tiny, tmp_path, method):
    train, valid = english(6000, 1), english(1000, 2)
    options = TextOptions(tiny, method, minutes=0.5, max_tokens=32, threads=1)
    report = train_sentiment(train, valid, tmp_path, text=options)
    assert not report["text"]["why"]
    assert report["valid"]["parts"]["text"]["accuracy"] > 0.6
    assert set(report["factors"]) == {"linear", "text"}
    assert min(report["factors"].values()) >= 0
    model = Sentiment(tmp_path, threads=1)
    assert model.read(["great quality"])[0].label == "1"
    alone = model.probabilities(["works well"])
    assert model.probabilities(["works well", "waste of money " * 10])[0] == pytest.approx(alone[0], abs=0.02)
    assert model.probabilities([""]).shape == (1, 2)


def test_an_encoder_that_cannot_read_the_texts_is_left_out(tiny, tmp_path):
    rows = reviews(300)
    chinese = rows.some(np.array([not text.isascii() for text in rows.texts]))
    chinese = type(chinese)([t.translate({ord(c): None for c in "abcdefghijklmnopqrstuvwxyz"}) for t in chinese.texts], chinese.labels, chinese.names)  # fmt: skip
    report = train_text(chinese, chinese, tmp_path, TextOptions(tiny, minutes=0.2, threads=1))
    assert "cannot read" in report.why
    assert not (tmp_path / "encoder").exists()


def test_too_few_texts_and_a_model_that_is_none(tiny, tmp_path):
    few = english(20, 1).some(np.arange(5))
    assert "too few" in train_text(few, few, tmp_path, TextOptions(tiny)).why
    some = english(200, 1)
    with pytest.raises(ConfigError):
        train_text(some, some, tmp_path, TextOptions(str(tmp_path)))


def test_the_blend_is_no_worse_than_either_part():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=800)
    labels = (truth + rng.normal(size=800) * 0.3 > 0).astype(np.int64)
    parts = [np.column_stack([np.zeros(800), truth + rng.normal(size=800)]) * scale for scale in (0.5, 8)]
    factors = fit_blend(parts, labels)
    both = sum(f * p for f, p in zip(factors, parts, strict=True))
    alone = [fit_blend([p], labels)[0] * p for p in parts]
    assert log_loss(both, labels) <= min(log_loss(p, labels) for p in alone) + 1e-6
    assert min(factors) > 0
    noise = np.column_stack([np.zeros(800), rng.normal(size=800)])
    assert fit_blend([parts[0], noise], labels)[1] < 0.25 * fit_blend([parts[0], noise], labels)[0]


def test_long_texts_teach_in_parts():
    tuner = object.__new__(text_train._Tuner)
    tuner.length = np.array([3, 2000, 1500, 9000])
    parts = tuner._parts(np.array([0, 1, 2]))
    assert [part.tolist() for part in parts] == [[0, 1], [2]]  # two of 2,000 pieces are 4,000
    assert [part.tolist() for part in tuner._parts(np.array([3, 0]))] == [[3], [0]]
    assert [part.tolist() for part in tuner._parts(np.array([0]))] == [[0]]
