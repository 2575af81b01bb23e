"""Groups left out, few shots, robustness, and the options of the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluate.test_sentiment_evaluation import task, write
from tests.models.test_sentiment import reviews
from typer.testing import CliRunner

from wares.cli import main
from wares.core.errors import QueryError
from wares.evaluate.sentiment import evaluate_sentiment, number_scores
from wares.evaluate.sentiment_robust import flips, robustness
from wares.evaluate.sentiment_transfer import few_shots, leave_out
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.train import train_sentiment

run = CliRunner().invoke


@pytest.fixture
def train(tmp_path):
    rows = reviews(360)
    return write(tmp_path / "train.csv", rows.texts, rows.labels.tolist(), cat=["a", "b", "c"] * 120)


def test_each_group_is_tested_by_a_model_of_the_others(train):
    report = leave_out(task(train), "cat")
    assert list(report["groups"]) == ["a", "b", "c"]
    assert sum(group["texts"] for group in report["groups"].values()) == report["together"]["texts"] == 360
    assert report["mean"]["accuracy"] > 0.9


def test_a_group_of_other_words_is_harder_than_the_rest(tmp_path):
    rows = reviews(200)
    far = [f"zq{'xk'[y]} {n}" for n, y in enumerate(rows.labels)]
    path = write(
        tmp_path / "two.csv",
        [*rows.texts, *far],
        [*rows.labels, *rows.labels],
        cat=["near"] * 200 + ["far"] * 200,
    )
    groups = leave_out(task(path), "cat")["groups"]
    assert groups["far"]["accuracy"] < 0.75


def test_a_column_of_one_value_cannot_be_left_out(train, tmp_path):
    path = write(tmp_path / "one.csv", ["good", "bad"] * 20, [1, 0] * 20, cat=["a"] * 40)
    with pytest.raises(QueryError, match="has 1 values"):
        leave_out(task(path), "cat")
    with pytest.raises(QueryError, match="no column 'kind'"):
        leave_out(task(train), "kind")


def test_few_shots_are_drawn_several_times(train):
    report = few_shots(task(train), 8, 3)
    assert [draw["seed"] for draw in report["draws"]] == [7, 8, 9]
    assert report["accuracy"]["least"] <= report["accuracy"]["mean"] <= report["accuracy"]["most"]
    assert report["accuracy"]["mean"] > 0.7
    with pytest.raises(QueryError, match="fewer than 500 shots"):
        few_shots(task(train), 500)


def test_noise_costs_little_and_flips_are_counted(tmp_path):
    train_sentiment(reviews(600), reviews(200, seed=2), tmp_path)
    found = robustness(Sentiment(tmp_path), reviews(300, seed=5))
    assert set(found["noise"]) == {"typos", "emoji", "html", "case", "punctuation"}
    for kind in found["noise"].values():
        low, high = kind["interval"]
        assert low <= kind["drop_points"] <= high
        assert kind["reached"] == (kind["drop_points"] <= 2)
    assert found["noise"]["case"]["drop_points"] == 0
    assert found["counterfactual"]["names: introduced"]["flips"] == 0
    assert found["counterfactual"]["names: spoken of"]["texts"] == 300
    assert all(
        found["counterfactual"][kind]["sure_flips"] <= found["counterfactual"][kind]["flips"]
        for kind in found["counterfactual"]
    )


def test_a_model_that_hangs_on_names_is_found_out(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    names = np.array([["Emily", "Greg", "Wei"], ["Jamal", "Fatima", "Juan"]])
    texts = [f"I bought this for {names[y, rng.integers(3)]}. the lamp" for y in labels]
    rows = LabelledTexts(texts, labels.astype(np.int64), ("0", "1"))
    train_sentiment(rows, rows, tmp_path)
    found = robustness(
        Sentiment(tmp_path), LabelledTexts(["the lamp"] * 100, np.zeros(100, np.int64), ("0", "1"))
    )
    assert not found["counterfactual"]["names: spoken of"]["reached"]


def test_the_bound_of_flips():
    assert flips(0, 100, 200)["bound"] == pytest.approx(1 - 0.05 ** (1 / 100))
    assert flips(3, 3, 3)["bound"] == 1
    assert flips(0, 0, 5)["share"] == 0
    assert not flips(2, 100, 100)["reached"]


def test_numbers_are_scored():
    found = number_scores(np.array([1.2, 4.8, 3.0]), np.array([1.0, 5.0, 4.0]))
    assert found["mae"] == pytest.approx(1.4 / 3)
    assert found["rounding_accuracy"] == pytest.approx(2 / 3)
    assert found["spearman"] == 1


@pytest.fixture
def stars(tmp_path):
    rng = np.random.default_rng(1)
    said = rng.integers(1, 6, 500)
    texts = [
        f"grade{'abcde'[s - 1]} {rng.choice(['lamp', 'kettle', 'order'])} {n % 40}"
        for n, s in enumerate(said)
    ]
    return write(tmp_path / "stars.csv", texts, said.tolist())


def test_stars_as_numbers_and_as_classes(stars):
    report = evaluate_sentiment(task(stars, numbers=True))
    assert report["numbers"]["mae"] < 0.5
    assert report["numbers"]["spearman"] > 0.9
    assert report["labels"] == ["1", "2", "3", "4", "5"]
    assert evaluate_sentiment(task(stars, classes=3))["labels"] == ["negative", "neutral", "positive"]
    two = evaluate_sentiment(task(stars, classes=2))
    assert two["labels"] == ["negative", "positive"]
    with pytest.raises(QueryError, match="4 classes"):
        evaluate_sentiment(task(stars, classes=4))
    with pytest.raises(QueryError, match="two things"):
        evaluate_sentiment(task(stars, classes=3, numbers=True))


def test_costs_are_stated_and_weighed(train, tmp_path):
    report = evaluate_sentiment(task(train, cost_wrong=10.0, cost_abstain=1.0, by="cat"))
    assert report["cost"]["a_text"] <= 1.0
    table = tmp_path / "costs.json"
    table.write_text('{"0": {"1": 5}, "1": {"0": 1}}')
    assert "cost" in evaluate_sentiment(task(train, costs=table, cost_abstain=0.5))
    for wrong in ('{"0": {"1": 5}}', "[]", '{"0": {"1": "dear"}, "1": {"0": 1}}', "{"):
        table.write_text(wrong)
        with pytest.raises(QueryError, match="costs"):
            evaluate_sentiment(task(train, costs=table, cost_abstain=0.5))
    for half in ({"cost_wrong": 1.0}, {"cost_abstain": 1.0}):
        with pytest.raises(QueryError, match="cost"):
            evaluate_sentiment(task(train, **half))


def test_the_commands(train, stars, tmp_path):
    columns = ("--text", "review", "--label", "stars", "--encoder", "none")
    shown = run(main.app, ["evaluate", "sentiment", "--train", str(train), *columns, "--leave-out", "cat"])
    assert "mean accuracy" in shown.stdout, shown.output
    shown = run(
        main.app, ["evaluate", "sentiment", "--train", str(train), *columns, "--shots", "8", "--seeds", "2"]
    )
    assert "accuracy" in shown.stdout, shown.output
    shown = run(main.app, ["evaluate", "sentiment", "--train", str(train), *columns, "--robust", "--json"])
    assert json.loads(shown.stdout)["robust"]["noise"]["typos"]["accuracy"] > 0.8
    shown = run(main.app, ["evaluate", "sentiment", "--train", str(stars), *columns, "--task", "regression"])
    assert "rank correlation" in shown.stdout, shown.output
    few, weak, small = (tmp_path / name for name in ("few", "weak", "small"))
    for more in (
        ["--shots", "8", "--out", str(few)], ["--distil", "ngrams", "--unlabelled", str(train), "--out", str(small)],
        ["--weights", "auto", "--calibration", "isotonic", "--by", "cat", "--noisy", "--cost-wrong", "5", "--cost-abstain", "1", "--out", str(small)],
    ):  # fmt: skip
        made = run(main.app, ["tune", "sentiment", "--train", str(train), *columns, *more])
        assert made.exit_code == 0, made.output
    made = run(
        main.app,
        ["tune", "sentiment", "--train", str(stars), *columns, "--stars-only", "--out", str(weak), "--json"],
    )
    assert json.loads(made.stdout)["source"] == "stars", made.output
    said = run(
        main.app,
        [
            "sentiment",
            "--file",
            str(train),
            "--text",
            "review",
            "--by",
            "cat",
            "--model",
            str(small),
            "--json",
        ],
    )
    assert json.loads(said.stdout)[0]["trained"] is True
    test = run(
        main.app,
        [
            "evaluate",
            "sentiment-robust",
            "--model",
            str(few),
            "--test",
            str(train),
            "--text",
            "review",
            "--label",
            "stars",
        ],
    )
    assert "points lost" in test.stdout, test.output
    for wrong in (
        ["evaluate", "sentiment", "--train", str(train), *columns, "--leave-out", "cat", "--shots", "8"],
        ["evaluate", "sentiment", "--train", str(train), *columns, "--leave-out", "cat", "--robust"],
        ["evaluate", "sentiment", "--train", str(train), *columns, "--task", "guess"],
        ["tune", "sentiment", "--train", str(train), *columns, "--unlabelled", str(train), "--out", str(few)],
        ["tune", "sentiment", "--train", str(train), *columns, "--shots", "8", "--distil", "ngrams", "--out", str(few)],
        ["tune", "sentiment", "--train", str(train), *columns, "--body", str(tmp_path), "--out", str(few)],
        ["bench", "sentiment", "--file", str(train), "--model", str(few), "--text", "review"],
        ["bench", "sentiment", "--file", str(train), *columns],
    ):  # fmt: skip
        assert run(main.app, wrong).exit_code != 0, wrong
