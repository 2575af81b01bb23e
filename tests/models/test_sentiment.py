"""What reviews say: preparation, the linear part, calibration, and bad texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.core.errors import IncompatibleArtifact, QueryError
from wares.models.sentiment.calibration import (
    expected_error,
    fit_temperature,
    log_loss,
    softmax,
    sure_from,
)
from wares.models.sentiment.infer import Sentiment, moods_of
from wares.models.sentiment.labelled import LabelledTexts, ordered
from wares.models.sentiment.prepare import BUCKETS, HEAD, TAIL, buckets, prepared, words_of
from wares.models.sentiment.train import train_sentiment

GOOD = ("works well", "love it", "great quality", "arrived fast", "很好用", "质量不错", "非常满意")
BAD = ("broke at once", "waste of money", "poor quality", "never arrived", "太差了", "质量很差", "不推荐")
FILL = ("the lamp", "this kettle", "my order", "for my mother", "这个灯", "水壶", "昨天买的")


def reviews(n, seed=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = [f"{rng.choice(FILL)} {rng.choice(GOOD if y else BAD)} {rng.choice(FILL)}" for y in labels]
    return LabelledTexts(texts, labels.astype(np.int64), ("0", "1"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("moods") / "model"
    home.mkdir()
    report = train_sentiment(reviews(400), reviews(120, seed=4), home)
    assert report["valid"]["accuracy"] > 0.95
    return home


@pytest.fixture
def model(folder):
    return Sentiment(folder)


def test_it_reads_both_languages(model):
    good, bad = model.read(["great quality, works well", "这个灯质量很差"])
    assert (good.label, bad.label) == ("1", "0")
    assert good.mood > 0.5 > -0.5 > bad.mood
    assert sum(good.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    ["", "   \n\t", "\x00\x07", "👍", "😡😡", "a" * 100_000, "差" * 100_000, "<b></b>", "\u202eabc", "\ud800", "é" * 50, "<script>" * 3000],
)  # fmt: skip
def test_any_text_gets_an_answer_and_a_bad_one_spoils_no_other(model, text):
    alone = model.read(["works well"])[0]
    answer, beside = model.read([text, "works well"])
    assert beside == alone
    assert 0 <= answer.probability <= 1
    if not prepared(text):
        assert not answer.sure


def test_a_blank_text_is_what_is_usual_and_never_sure(model):
    p = model.probabilities(["", "  "])
    assert p[0] == pytest.approx(p[1])
    assert not any(v.sure for v in model.read(["", "  "]))
    assert model.read([]) == []
    assert model.why("") == []


def test_words_say_what_they_add(model):
    found = dict(model.why("this kettle works well"))
    assert max(found, key=found.__getitem__) in ("works", "well")
    assert found["well"] + found["works"] > 0


@given(st.text(max_size=300))
def test_preparing_is_the_same_twice_and_bounded(text):
    once = prepared(text)
    assert len(once) <= 3 * (HEAD + TAIL + 1)
    assert "".join(words_of(once)).replace(" ", "") in once.replace(" ", "") or words_of(once)
    found = buckets(text)
    assert (np.diff(found) > 0).all()
    assert not len(found) or (found[0] >= 0 and found[-1] < BUCKETS)


def test_emoji_marks_and_negation_stay_and_runs_are_shortened():
    assert prepared("<p>NOT good!!!!!!!! 😡</p>") == "not good!!! 😡"
    assert prepared("哈哈哈哈哈哈哈哈") == "哈哈哈"
    assert prepared("ＧＯＯＤ　１") == "good 1"


def test_one_label_or_a_label_without_texts_is_refused(tmp_path):
    one = LabelledTexts(["a", "b"], np.zeros(2, np.int64), ("good",))
    with pytest.raises(QueryError, match="all texts have one label"):
        train_sentiment(one, one, tmp_path)
    two = LabelledTexts(["a", "b"], np.zeros(2, np.int64), ("bad", "good"))
    with pytest.raises(QueryError, match="nothing to learn from for good"):
        train_sentiment(two, two, tmp_path)


def test_a_tampered_model_is_not_loaded(folder, tmp_path):
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "linear_bias.npy").write_bytes(b"no array")
    with pytest.raises(IncompatibleArtifact):
        Sentiment(copy)


def test_five_stars_have_an_order(tmp_path):
    rng = np.random.default_rng(1)
    stars = rng.integers(0, 5, 300).astype(np.int64)
    texts = [f"grade{'abcde'[s]} {rng.choice(FILL)}" for s in stars]
    rows = LabelledTexts(texts, stars, ("1", "2", "3", "4", "5"))
    train_sentiment(rows, rows, tmp_path)
    worst, middle, best = Sentiment(tmp_path).read(["gradea", "gradec", "gradee"])
    assert (worst.label, middle.label, best.label) == ("1", "3", "5")
    assert worst.mood < middle.mood < best.mood


def test_labels_are_ordered_by_what_they_mean():
    assert ordered(["positive", "negative", "neutral", "positive"]) == ("negative", "neutral", "positive")
    assert ordered(["10", "9", "2"]) == ("2", "9", "10")
    assert ordered(["b", "a"]) == ("a", "b")
    assert moods_of(("a", "b")) is None
    assert moods_of(("1", "5")).tolist() == [-1, 1]
    assert moods_of(("nan", "1")) is None


def test_the_temperature_makes_probabilities_honest():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(4000, 1)) * [[0.0, 1.5]]
    labels = (rng.random(4000) < softmax(truth)[:, 1]).astype(np.int64)
    loud = truth * 6
    t = fit_temperature(loud, labels)
    assert t == pytest.approx(6, rel=0.15)
    assert expected_error(softmax(loud / t), labels) < 0.03 < expected_error(softmax(loud), labels)
    assert log_loss(loud / t, labels) <= log_loss(loud / (t * 1.1), labels)
    assert log_loss(loud / t, labels) <= log_loss(loud / (t / 1.1), labels)


def test_the_sure_part_is_as_large_as_the_precision_lets():
    p = np.array([[0.99, 0.01], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    labels = np.array([0, 0, 1, 0, 0])
    assert sure_from(p, labels, 1.0) == 0.9
    assert sure_from(p, labels, 0.8) == 0.6
    assert sure_from(p, 1 - labels.clip(0, 0), 1.0) > 1
    # Equal confidence is not divided.
    assert sure_from(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]), 1.0) > 1
