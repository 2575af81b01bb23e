"""``wares evaluate sentiment`` on files: splits, labels, slices, bad rows."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from tests.models.test_sentiment import reviews
from typer.testing import CliRunner

from wares.cli import main
from wares.core.errors import QueryError
from wares.evaluate.sentiment import SentimentTask, evaluate_sentiment, scores, share_of

for name in main.GROUPS:
    __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)


def write(path, texts, labels, **more):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "stars", *more])
        writer.writerows(zip(texts, labels, *more.values(), strict=True))
    return path


@pytest.fixture
def train(tmp_path):
    rows = reviews(300)
    return write(tmp_path / "train.csv", rows.texts, rows.labels.tolist(), cat=["a", "b"] * 150)


def task(train, **more):
    return SentimentTask((train,), text="review", label="stars", **more)


def test_a_test_file_is_scored_and_its_texts_leave_training(train, tmp_path):
    rows = reviews(300)
    test = write(tmp_path / "test.csv", rows.texts[:40], rows.labels[:40].tolist(), cat=["a"] * 40)
    report = evaluate_sentiment(task(train, test=test, by="cat"))
    assert report["accuracy"] > 0.9
    assert report["also_in_test"][0] >= 40
    assert report["train_texts"][0] == 300 - report["also_in_test"][0]
    assert np.sum(report["confusion"]) == 40
    assert report["slices"]["cat"]["a"]["texts"] == 40
    assert {"zh", "en", "mixed"} >= set(report["slices"]["language"])


def test_folds_test_every_text_once(train):
    report = evaluate_sentiment(task(train, folds=3))
    assert report["texts"] == 300
    assert len(report["trained"]) == 3
    assert report["interval"][0] <= report["accuracy"] <= report["interval"][1]


def test_equal_texts_are_never_on_both_sides():
    assert share_of("Good  lamp!", 7) == share_of("good lamp!", 7)
    assert share_of("good lamp!", 7) != share_of("good lamp!", 8)


@pytest.mark.parametrize(
    ("label", "said"), [("", "row 1 of test.csv has no label"), ("maybe", "label 'maybe'")]
)
def test_labels_that_cannot_be_used_are_named_with_their_row(train, tmp_path, label, said):
    test = write(tmp_path / "test.csv", ["fine"], [label])
    with pytest.raises(QueryError, match=said):
        evaluate_sentiment(task(train, test=test))


def test_numbers_written_with_a_point_are_the_same_labels(train, tmp_path):
    rows = reviews(30, seed=9)
    test = write(tmp_path / "test.csv", rows.texts, [f"{y}.0" for y in rows.labels])
    assert evaluate_sentiment(task(train, test=test))["labels"] == ["0", "1"]


def test_missing_columns_and_one_class_say_what_to_do(train, tmp_path):
    with pytest.raises(QueryError, match="no column 'text'"):
        evaluate_sentiment(SentimentTask((train,)))
    same = write(tmp_path / "same.csv", [f"text {i}" for i in range(60)], ["1"] * 60)
    with pytest.raises(QueryError, match="one label"):
        evaluate_sentiment(task(same))


def test_scores_of_a_known_table():
    p = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    found = scores(p, np.array([0, 1, 1]), ("0", "1"))
    assert found["confusion"] == [[1, 0], [1, 1]]
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_the_commands(train, tmp_path):
    run = CliRunner().invoke
    out = tmp_path / "moods"
    columns = ("--text", "review", "--label", "stars", "--encoder", "none")
    made = run(main.app, ["tune", "sentiment", "--train", str(train), *columns, "--out", str(out), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["valid"]["accuracy"] > 0.8
    said = run(main.app, ["sentiment", "works well", "", "--model", str(out), "--why", "--json"])
    answers = json.loads(said.stdout)
    assert answers[0]["label"] == "1"
    assert answers[0]["why"]
    assert not answers[1]["sure"]
    many = run(main.app, ["sentiment", "--file", str(train), "--text", "review", "--model", str(out)])
    assert many.exit_code == 0, many.output
    untrained = run(main.app, ["sentiment", "works great", "--json"])
    assert (
        json.loads(untrained.stdout)[0] | {"trained": False, "sure": False, "label": "positive"}
        == json.loads(untrained.stdout)[0]
    )
    assert "Untrained" in run(main.app, ["sentiment", "works great"]).stdout
    shown = run(main.app, ["evaluate", "sentiment", "--train", str(train), *columns])
    assert "accuracy" in shown.stdout
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    for wrong in (
        ["sentiment", "x", "--by", "cat"],
        ["sentiment", "--model", str(out)],
        ["evaluate", "sentiment", "--train", str(tmp_path / "none.csv")],
        ["evaluate", "sentiment", "--train", str(train), "--folds", "1", *columns],
        ["tune", "sentiment", "--train", str(train), *columns, "--out", str(tmp_path / "other")],
    ):
        assert run(main.app, wrong).exit_code != 0
    assert (tmp_path / "other" / "file").read_text() == "mine"
