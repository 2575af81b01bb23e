"""Stars: joined to classes, kept as numbers, and as weak labels with noise."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.test_sentiment import BAD, FILL, GOOD, reviews

from wares.core.errors import QueryError
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.options import TrainOptions
from wares.models.sentiment.stars import joined, logits_of, steps_of
from wares.models.sentiment.train import train_sentiment
from wares.models.sentiment.weak_train import train_from_stars


@pytest.mark.parametrize(
    ("stars", "two", "three", "five"),
    [("1", "negative", "negative", "1"), ("2", "negative", "negative", "2"), ("3", None, "neutral", "3"), ("4.0", "positive", "positive", "4"), ("5", "positive", "positive", "5")],
)  # fmt: skip
def test_stars_are_joined(stars, two, three, five):
    assert [joined(stars, n, 1) for n in (2, 3, 5)] == [two, three, five]


@pytest.mark.parametrize("label", ["good", "0", "6", "nan", ""])
def test_what_is_no_star_is_refused_with_its_row(label):
    with pytest.raises(QueryError, match=r"row 7 of stars\.csv"):
        joined(label, 3, 7, "stars.csv")


def test_a_number_becomes_probabilities_of_steps():
    p = np.exp(logits_of(np.array([4.2, -50.0, 90.0]), ("1", "2", "3", "4", "5"), 0.3))
    assert p.sum(1) == pytest.approx(np.ones(3))
    assert p.argmax(1).tolist() == [3, 0, 4]
    with pytest.raises(QueryError):
        steps_of([3.0, 3.0])
    with pytest.raises(QueryError):
        steps_of([0.0, 1000.0])


def test_regression_finds_numbers_between(tmp_path):
    rng = np.random.default_rng(1)
    stars = rng.integers(1, 6, 900)
    texts = [" ".join([f"grade{'abcde'[s - 1]}", *rng.choice(FILL, 2)]) for s in stars]
    rows = LabelledTexts(texts, stars - 1, tuple("12345"), stars[:, None].astype(float))
    report = train_sentiment(
        rows.some(np.arange(700)),
        rows.some(np.arange(700, 900)),
        tmp_path,
        options=TrainOptions(numbers=True),
    )
    assert report["spread"] > 0
    low, high, blank = Sentiment(tmp_path).read(["gradea this lamp", "gradee this lamp", ""])
    assert low.stars == pytest.approx(1, abs=0.5)
    assert high.stars == pytest.approx(5, abs=0.5)
    assert (low.label, high.label) == ("1", "5")
    assert low.mood < 0 < high.mood
    assert not blank.sure


def noisy(n, share, seed=0):
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 2, n)
    texts = [
        f"{rng.choice(FILL)} {rng.choice(GOOD if y else BAD)} {rng.choice(FILL)} {rng.choice(FILL)}"
        for y in said
    ]
    wrong = rng.random(n) < share
    return texts, np.where(said ^ wrong, 5.0, 1.0), said, wrong


def test_the_noise_of_stars_is_estimated_and_does_not_spoil_the_model(tmp_path):
    texts, stars, _, wrong = noisy(2400, 0.12)
    report = train_from_stars(texts, stars, tmp_path)
    assert report["labels"] == ["negative", "positive"]
    assert report["noise"]["share"] == pytest.approx(0.12, abs=0.04)
    assert report["noise"]["doubted"] == pytest.approx(wrong.sum(), rel=0.3)
    clean = reviews(400, seed=9)
    verdicts = Sentiment(tmp_path).read(clean.texts)
    assert (
        np.mean(
            [
                v.label == ("positive" if y else "negative")
                for v, y in zip(verdicts, clean.labels, strict=True)
            ]
        )
        > 0.97
    )


def test_neutral_is_learned_where_there_are_enough_and_rows_that_do_not_count_are_left_out(tmp_path):
    texts, stars, _, _ = noisy(300, 0.0)
    texts += [f"it is so-so {fill} {n}" for n in range(10) for fill in FILL] + ["", "no stars", "good"]
    stars = np.concatenate([stars, np.full(70, 3.0), [5.0, np.nan, 9.0]])
    report = train_from_stars(texts, stars, tmp_path / "three", counted=np.ones(len(texts), bool))
    assert report["labels"] == ["negative", "neutral", "positive"]
    assert report["left_out"] == 3
    assert Sentiment(tmp_path / "three").read(["it is so-so"])[0].label == "neutral"


def test_too_few_stars_say_so(tmp_path):
    with pytest.raises(QueryError, match="too few to learn from"):
        train_from_stars(["good"] * 50, [5.0] * 50, tmp_path)
    with pytest.raises(QueryError, match="2 texts have 1 stars"):
        train_from_stars(["a", "b"], [1.0], tmp_path)
