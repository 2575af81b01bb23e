"""Each bad input that a shop may send: a clear error, or a sensible answer, and the other rows answered."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluate.test_sentiment_evaluation import task, write
from tests.models.test_sentiment import reviews
from typer.testing import CliRunner

from wares.cli import main
from wares.core.errors import QueryError
from wares.evaluate.sentiment import evaluate_sentiment
from wares.evaluate.sentiment_files import read_texts
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.lexicon import Lexicon
from wares.models.sentiment.spam import screen
from wares.models.sentiment.train import train_sentiment

BAD = {
    "empty": "", "white space": " \t\n　", "100 kB": "works well " * 9500, "one emoji": "😡", "mixed languages": "质量很好 but it broke 差",
    "control characters": "\x00\x01\x07 works\x1b well\u202e", "broken Unicode": "good \udcff", "markup": "<script>alert(1)</script>" * 50,
    "marks": "!?!?" * 5000,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("bad") / "model"
    home.mkdir()
    train_sentiment(reviews(400), reviews(120, seed=4), home)
    return home


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("trained", [True, False])
def test_a_bad_row_is_answered_and_the_others_too(folder, kind, trained):
    reader = Sentiment(folder) if trained else Lexicon()
    beside = ["works well", "质量很差"]
    first, bad, last = reader.read([beside[0], BAD[kind], beside[1]])
    assert [first, last] == reader.read(beside)
    assert sum(bad.probabilities.values()) == pytest.approx(1)
    assert -1 <= bad.mood <= 1
    if kind in ("empty", "white space"):
        assert not bad.sure
    reader.why(BAD[kind])
    assert len(screen([beside[0], BAD[kind], beside[1]]).flags) == 3


@pytest.mark.parametrize(("text", "label"), [("100 kB", "1"), ("control characters", "1")])
def test_what_can_be_read_of_a_bad_row_is_read(folder, text, label):
    assert Sentiment(folder).read([BAD[text]])[0].label == label


def test_a_thousand_copies_do_not_spoil_training(tmp_path):
    rows = reviews(300)
    path = write(
        tmp_path / "copies.csv",
        [*rows.texts, *["the kettle works well"] * 1000],
        [*rows.labels.tolist(), *[1] * 1000],
    )
    report = evaluate_sentiment(task(path))
    assert report["f1"]["0"] > 0.8
    assert (screen(read_texts((path,), task(path)).texts).flags[301:] > 0).all()


@pytest.mark.parametrize(
    ("texts", "labels", "more", "said"),
    [
        (["a", "b"] * 20, ["good", "good"] * 20, {}, "all texts have one label, 'good'"),
        (["a", "b", "c"], ["1", "", "0"], {}, r"row 2 of rows\.csv has no label"),
        (["a", "b"], ["1", "great"], {"classes": 3}, r"row 2 of rows\.csv has the label 'great', which is no number of stars"),
        (["a", "b"], ["1", "7"], {"classes": 2}, r"row 2 of rows\.csv has 7 stars"),
        (["a", "b"], ["inf", "1"], {"numbers": True}, "no number of stars"),
        (["a", "b"], ["3", "3"], {"classes": 2}, "no texts to train on"),
        (["a", "b"] * 30, ["4", "4"] * 30, {"numbers": True}, "the labels go from 4 to 4"),
        (["a", "b"], ["1", "0"], {}, "too few texts"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_learned_are_named(tmp_path, texts, labels, more, said):
    path = write(tmp_path / "rows.csv", texts, labels)
    with pytest.raises(QueryError, match=said) as caught:
        evaluate_sentiment(task(path, test=path, **more) if said == "too few texts" else task(path, **more))
    assert caught.value.mend


def test_a_label_outside_the_set_is_named_in_each_file(tmp_path):
    rows = reviews(100)
    path = write(tmp_path / "train.csv", rows.texts, rows.labels.tolist())
    other = write(tmp_path / "other.csv", ["fine", "so-so"], ["1", "maybe"])
    for place in ("test", "valid"):
        with pytest.raises(QueryError, match=r"row 2 of other\.csv has the label 'maybe'"):
            evaluate_sentiment(task(path, **{place: other}))


def test_a_file_with_bad_rows_is_answered_row_by_row(folder, tmp_path):
    texts = [text for name, text in BAD.items() if name != "broken Unicode"]
    path = write(tmp_path / "rows.csv", [*texts, "works well"], ["x"] * (len(texts) + 1))
    said = CliRunner().invoke(
        main.app, ["sentiment", "--file", str(path), "--text", "review", "--model", str(folder), "--json"]
    )
    answers = json.loads(said.stdout)
    assert len(answers) == len(texts) + 1
    assert answers[-1]["label"] == "1"
    assert np.isfinite([answer["probability"] for answer in answers]).all()
