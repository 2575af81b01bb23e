"""Few labels, frozen encoders, cut ones, and students of a teacher; with a tiny transformer made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.models.test_sentiment import reviews
from tests.models.test_sentiment_text import english, tiny  # noqa: F401 the fixture

from wares.core.errors import ConfigError, QueryError
from wares.models.sentiment.distil_train import distil
from wares.models.sentiment.few_train import sample_shots, train_few
from wares.models.sentiment.frozen_train import FrozenVectors, fit_layer, said_by
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.options import TrainOptions
from wares.models.sentiment.peer_train import TorchPeer
from wares.models.sentiment.text_train import TextOptions, train_text
from wares.models.sentiment.train import train_sentiment

pytest.importorskip("torch")


def accuracy(model, rows):
    return np.mean(
        [rows.names.index(v.label) == y for v, y in zip(model.read(rows.texts), rows.labels, strict=True)]
    )


def test_shots_are_drawn_of_each_label_by_seed():
    rows = reviews(400)
    some = sample_shots(rows, 16, 3)
    assert np.bincount(some.labels).tolist() == [16, 16]
    assert some.texts == sample_shots(rows, 16, 3).texts != sample_shots(rows, 16, 4).texts
    with pytest.raises(QueryError, match="fewer than 300 shots"):
        sample_shots(rows, 300, 3)


def test_few_labels_are_enough_for_what_is_plain(tmp_path):
    shots = sample_shots(reviews(400), 16, 1)
    facts = train_few(shots, tmp_path)
    model = Sentiment(tmp_path)
    assert facts["used"] == "linear"
    assert accuracy(model, reviews(300, seed=8)) > 0.85
    # Thirty-two texts are no proof: no probability is near one.
    assert max(v.probability for v in model.read(shots.texts)) < 0.995
    with pytest.raises(QueryError, match="at least two labels"):
        train_few(shots.some(np.flatnonzero(shots.labels == 0)), tmp_path)


def test_few_shots_with_frozen_vectors(tiny, tmp_path):  # noqa: F811
    frozen = FrozenVectors(tiny, 32, threads=1)
    rows = english(1500, 1)
    facts = train_few(sample_shots(rows, 32, 1), tmp_path, frozen)
    assert set(facts["inside"]) == {"linear", "text"}
    assert accuracy(Sentiment(tmp_path, 1), english(300, 5)) > 0.8
    assert np.array_equal(frozen.of(["works well", "works well"])[0], frozen.of(["works well"])[0])


def test_a_layer_over_vectors_tells_what_they_hold():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    vectors = (np.eye(3)[labels] @ rng.normal(size=(3, 20)) + 0.3 * rng.normal(size=(600, 20)) + 5).astype(
        np.float32
    )
    assert (said_by(fit_layer(vectors, labels, 3, 0.3), vectors).argmax(1) == labels).mean() > 0.95


@pytest.mark.parametrize("numbers", [False, True])
def test_a_frozen_encoder_is_blended_like_a_tuned_one(tiny, tmp_path, numbers):  # noqa: F811
    rows = english(3000, 1)
    if numbers:
        rows = LabelledTexts(rows.texts, rows.labels, rows.names, rows.labels[:, None].astype(float))
    options = TrainOptions(numbers=numbers, text=TextOptions(tiny, "frozen", max_tokens=32, threads=1))
    report = train_sentiment(rows.some(np.arange(200, len(rows))), rows.some(np.arange(200)), tmp_path, options=options)  # fmt: skip
    assert set(report["factors"]) == {"linear", "text"}
    assert accuracy(Sentiment(tmp_path, 1), english(200, 6)) > 0.9


def test_an_encoder_learns_numbers(tiny, tmp_path):  # noqa: F811
    rows = english(2500, 1)
    rows = LabelledTexts(rows.texts, rows.labels, rows.names, 1 + 4.0 * rows.labels[:, None])
    held = rows.some(np.arange(300))
    report = train_text(rows, held, tmp_path, TextOptions(tiny, minutes=0.2, max_tokens=32, threads=1))
    assert not report.why
    assert report.checks[-1]["valid_squared_error"] < 4.0


@pytest.fixture(scope="module")
def teacher(tiny, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("teacher") / "model"
    folder.mkdir()
    body = folder.parent / "body"
    options = TextOptions(tiny, minutes=0.3, max_tokens=32, threads=1, keep=body)
    train_sentiment(english(3000, 1), english(600, 2), folder, text=options)
    return folder, body


@pytest.mark.parametrize("student", ["ngrams", "layers"])
def test_a_student_agrees_with_its_teacher(tiny, teacher, tmp_path, student):  # noqa: F811
    options = TrainOptions(text=TextOptions(tiny, minutes=0.2, max_tokens=32, threads=1, layers=1))
    more = english(300, 7).texts
    report = distil(teacher[0], english(1500, 1), english(400, 2), tmp_path, student, options, more)
    assert report["agree"] > 0.9
    assert report["distilled"]["unlabelled"] == len(more)
    assert report["student"]["accuracy"] > 0.9
    # What the teacher says of texts that its n-grams have learned from is no figure of it.
    assert "accuracy" not in report["teacher"]
    model = Sentiment(tmp_path, 1)
    assert (model.text is None) == (student == "ngrams")
    if student == "ngrams":
        assert not (tmp_path / "encoder").exists()


def test_a_student_that_cannot_be_made_is_refused(tiny, teacher, tmp_path):  # noqa: F811
    rows = english(200, 1)
    with pytest.raises(QueryError, match="no student"):
        distil(teacher[0], rows, rows, tmp_path, "parrot", TrainOptions())
    other = replace(rows, names=("no", "yes"))
    with pytest.raises(QueryError, match="other labels"):
        distil(teacher[0], other, other, tmp_path, "ngrams", TrainOptions())
    deep = TrainOptions(text=TextOptions(tiny, minutes=0.1, max_tokens=32, threads=1, layers=9))
    with pytest.raises(ConfigError, match="9 layers"):
        distil(teacher[0], rows, rows, tmp_path, "layers", deep)


def test_the_peer_says_what_the_served_encoder_says(teacher):
    folder, body = teacher
    part = Sentiment(folder, 1).text
    peer = TorchPeer(str(body), "", 32, part.weights, part.bias, 1)
    texts = ["works well", "waste of money, my order never arrived", "great quality"]
    assert peer.logits(texts) == pytest.approx(part.logits(texts), abs=0.6)
    assert peer.logits(texts).argmax(1).tolist() == part.logits(texts).argmax(1).tolist()


def test_both_are_measured_in_turns(teacher):
    from wares.cli.bench_sentiment import compare

    folder, body = teacher
    texts = ["works well", "waste of money", "great quality", "it broke at once"] * 20
    said = []
    found = compare(folder, str(body), texts, 16, 2, 1, said.append)
    assert said == ["round 1 of 2", "round 2 of 2"]
    assert found["agree"] == 1
    for part in ("whole", "encoder"):
        for ratio in found["ratios"][part].values():
            assert 0 < ratio["least"] <= ratio["median"] <= ratio["most"]
    assert found["rows"]["transformers"]["texts_per_s"] > 0
    assert compare(folder, "", texts[:16], 16, 1, 1, said.append)["agree"] is None
