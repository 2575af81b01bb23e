"""From probabilities to answers: curves, weights, costs, thresholds for languages and categories."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.models.test_sentiment import reviews

from wares.core.errors import QueryError
from wares.models.sentiment.calibration import bent, expected_error, softmax
from wares.models.sentiment.calibration_train import (
    SHRINK,
    cheapest_from,
    choose_curves,
    choose_offsets,
    fit_bias,
    fit_curves,
    fit_decision,
    macro_f1,
)
from wares.models.sentiment.decision import GLUE, Decision
from wares.models.sentiment.infer import Sentiment
from wares.models.sentiment.options import TrainOptions, plain_costs
from wares.models.sentiment.train import train_sentiment


def skewed(n, share, seed=0, classes=2):
    """Labels of which the first is common, and honest probabilities of them."""
    rng = np.random.default_rng(seed)
    prior = np.array([1 - share, *[share / (classes - 1)] * (classes - 1)])
    labels = rng.choice(classes, n, p=prior)
    signal = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[labels]
    return softmax(1.2 * signal + np.log(prior)), labels


def test_curves_bend_what_a_temperature_cannot():
    rng = np.random.default_rng(1)
    p = rng.uniform(size=6000)
    labels = (rng.random(6000) < np.where(p > 0.5, 0.9, 0.2)).astype(np.int64)
    both = np.column_stack([1 - p, p])
    curves, losses = choose_curves(both, labels, "auto")
    assert losses["isotonic"] < losses["temperature"]
    mended = bent(both, curves)
    assert mended.sum(1) == pytest.approx(np.ones(6000))
    assert expected_error(mended, labels) < 0.03 < expected_error(both, labels)
    # The order stays, also within a step.
    order = np.argsort(p)
    assert (np.diff(mended[order, 1]) > 0).mean() > 0.99


def test_honest_probabilities_keep_their_temperature_and_few_texts_too():
    p, labels = skewed(3000, 0.5)
    assert choose_curves(p, labels, "temperature") == ([], {})
    assert choose_curves(p[:100], labels[:100], "auto") == ([], {})
    three, said = skewed(3000, 0.5, classes=3)
    assert bent(three, fit_curves(three, said)).sum(1) == pytest.approx(np.ones(3000))


def test_offsets_raise_the_macro_f1_of_rare_labels():
    p, labels = skewed(6000, 0.06)
    offsets = choose_offsets(p, labels)
    before = macro_f1(p.argmax(1), labels, 2)
    said, confidence = Decision(0.5, np.array(offsets)).said(p)
    assert macro_f1(said, labels, 2) > before + 0.02
    assert confidence == pytest.approx(p[np.arange(len(p)), said])


def test_the_bias_undoes_training_with_weights():
    p, labels = skewed(6000, 0.1)
    moved = np.log(p) + np.array([0.0, 1.5])
    bias = fit_bias(moved, labels)
    assert bias[1] - bias[0] == pytest.approx(-1.5, abs=0.2)


def test_thresholds_are_the_cheapest():
    confidence = np.array([0.99, 0.9, 0.8, 0.7])
    cost = np.array([0.0, 0.0, 10.0, 0.0])
    assert cheapest_from(confidence, cost, 1.0) == (0.9, pytest.approx(0.5))
    assert cheapest_from(confidence, cost, 9.0)[0] == 0.7
    least, mean = cheapest_from(confidence, np.full(4, 5.0), 1.0)
    assert least > 1
    assert mean == 1.0


def test_stated_costs_are_nearly_as_low_as_they_can_be():
    p, labels = skewed(8000, 0.4)
    decision, cost = fit_decision(
        p[:4000], labels[:4000], ["en"] * 4000, (), precision=0.99, costs=plain_costs(10, 2), abstain=1.0
    )
    said, confidence = decision.said(p[4000:])
    sure = confidence >= decision.threshold
    wrong = said != labels[4000:]
    held = np.where(sure, 10.0 * wrong, 1.0).mean()
    assert held < min(1.0, 10 * wrong.mean())
    assert held == pytest.approx(cost, rel=0.25)
    # Chow's rule: with honest probabilities the threshold lies near 1 - 1/10.
    assert decision.threshold == pytest.approx(0.9, abs=0.05)


def test_unequal_costs_move_the_label():
    costs = np.array([[0.0, 1.0], [20.0, 0.0]])
    said, confidence = Decision(0.0, costs=costs).said(np.array([[0.9, 0.1], [0.99, 0.01]]))
    assert said.tolist() == [1, 0]
    assert confidence == pytest.approx([1 - 0.9 / 20, 1 - 0.2 / 20])


def test_a_small_group_is_drawn_to_the_threshold_above_it():
    rng = np.random.default_rng(3)
    n = 4000
    p = rng.uniform(0.5, 1, n)
    language = np.where(rng.random(n) < 0.5, "zh", "en")
    right = rng.random(n) < np.where(language == "zh", 0.995, p)
    groups = np.where(np.arange(n) % 10 == 0, "books", "shoes")
    both = np.column_stack([p, 1 - p])
    decision, _ = fit_decision(
        both, np.where(right, 0, 1), language.tolist(), tuple(groups.tolist()), precision=0.95
    )
    cells = decision.cells
    assert cells["zh"] < decision.threshold < cells["en"]
    small, large = (abs(cells[f"zh{GLUE}{g}"] - cells["zh"]) for g in ("books", "shoes"))
    assert small <= abs(0.5 - cells["zh"]) * 260 / (260 + SHRINK) + 0.05
    assert large >= 0
    found = decision.thresholds(["zh", "en", "fr"], ["books", "unknown", "books"])
    assert found.tolist() == [cells[f"zh{GLUE}books"], cells["en"], decision.threshold]
    assert decision.thresholds(["zh"])[0] == cells["zh"]


def test_an_artefact_keeps_its_thresholds_and_old_ones_still_work(tmp_path):
    train, valid = reviews(600), reviews(400, seed=4)
    groups = tuple("ab"[i % 2] for i in range(400))
    valid = type(valid)(valid.texts, valid.labels, valid.names, None, groups)
    options = TrainOptions(costs=plain_costs(5, 2), abstain=1.0, weights="auto", calibration="isotonic")
    report = train_sentiment(train, valid, tmp_path, options=options)
    model = Sentiment(tmp_path)
    assert report["valid"]["calibration"] == "isotonic"
    assert model.decision.cells == report["decision"]["cells"]
    texts = ["great quality", "质量很差"]
    assert [v.label for v in model.read(texts, ["a", "b"])] == ["1", "0"]
    with pytest.raises(ValueError, match="1 groups for 2 texts"):
        model.read(texts, ["a"])
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for key in ("decision", "curves", "bias", "neutral"):
        manifest.pop(key, None)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    old = Sentiment(tmp_path)
    assert old.decision.thresholds(["zh"])[0] == old.threshold
    assert old.read(texts)[0].label == "1"


def test_weights_are_of_labels_that_are_rare(tmp_path):
    rows = reviews(2000)
    rare = rows.some(np.flatnonzero((rows.labels == 1) | (np.arange(2000) % 12 == 0)))
    report = train_sentiment(rare, rare, tmp_path, options=TrainOptions(weights="balanced"))
    assert report["weighted"]
    assert "bias" in report
    assert report["valid"]["ece"] < 0.05


@pytest.mark.parametrize(
    "options",
    [
        TrainOptions(weights="heavy"), TrainOptions(calibration="none"), TrainOptions(costs=np.ones((3, 3))), TrainOptions(costs=np.zeros((2, 2))),
        TrainOptions(costs=-plain_costs(1, 2)), TrainOptions(costs=plain_costs(1, 2), abstain=-1.0),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path, options):
    rows = reviews(60)
    with pytest.raises(QueryError):
        train_sentiment(rows, rows, tmp_path, options=options)
