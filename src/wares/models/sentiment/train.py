"""Train a classifier of texts on labelled ones, calibrate it, and write it as an artefact."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import QueryError
from wares.models.sentiment.calibration import Floats, expected_error, fit_blend, softmax
from wares.models.sentiment.calibration_train import (
    choose_curves,
    choose_offsets,
    fit_bias,
    fit_decision,
    macro_f1,
)
from wares.models.sentiment.frozen_train import FrozenVectors, choose_layer
from wares.models.sentiment.infer import KIND, calibrated, moods_of, sum_of
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.languages import language_of
from wares.models.sentiment.linear_infer import Linear
from wares.models.sentiment.linear_numbers_train import choose_numbers, fit_numbers
from wares.models.sentiment.linear_train import Choice, choose_linear, fit_linear, matrix
from wares.models.sentiment.noise import with_noise
from wares.models.sentiment.options import TrainOptions
from wares.models.sentiment.prepare import bags, prepared
from wares.models.sentiment.stars import logits_of
from wares.models.sentiment.text_infer import TextPart
from wares.models.sentiment.text_train import LEAST_TEXTS, TextOptions, TextReport, train_text

Say = Callable[[str], None]
PRECISION = 0.99
WEIGHTS_GAIN = 0.005
"""Macro-F1 on validation that weights must add to be chosen."""
SPREADS = np.geomspace(0.05, 2.0, 25)
Bags = Callable[[Sequence[str]], tuple[NDArray[Any], NDArray[Any]]]


def train_sentiment(
    train: LabelledTexts, valid: LabelledTexts, folder: Path, precision: float = PRECISION, text: TextOptions | None = None,
    progress: Say = lambda _: None, options: TrainOptions | None = None, frozen: FrozenVectors | None = None, bags: Bags = bags,
) -> dict[str, Any]:  # fmt: skip
    """Write the artefact into `folder`; returns what was chosen and how well it does on `valid`.

    A linear model over n-grams and, where `text` names an encoder that can read the texts, that encoder fine-tuned (or with a
    layer over its vectors, `frozen` ones if they are given); they are blended as validation says. Settings and factors come
    from models of `train` alone judged on `valid`; the linear one that is written learns from both. Verdicts below the
    threshold are not sure. `options` say more, and stand in place of `precision` and `text`.

    Raises:
        QueryError: when a label has no text to learn from, or the options cannot be meant.
    """
    begun = time.monotonic()
    options = options or TrainOptions(precision, text=text or TextOptions())
    names = train.names
    options.check(len(names))
    blank = sum(not prepared(text) for text in train.texts)
    if options.neutral:
        train, valid = train.neutral(), valid.neutral()
    counts = np.bincount(train.labels, minlength=len(names))
    if len(names) < 2 or (not options.numbers and not counts.all()) or np.count_nonzero(counts) < 2:
        missing = [name for name, n in zip(names, counts, strict=True) if not n]
        raise QueryError(
            f"there is nothing to learn from for {', '.join(missing)}" if missing else f"all texts have one label, {next(iter(names), '')!r}",
            mend="Give texts of at least two labels, and some of each", parameter="label",
        )  # fmt: skip
    work = _Work(train, valid, options, bags, progress)
    weighted, choice, logits = work.linear()
    weights = work.weights(train.labels) if weighted else None
    noisy = with_noise(train, options.text.seed) if options.noisy else train
    heavy = None if weights is None else np.tile(weights, len(noisy) // len(train))
    tuned = _text(noisy, valid, folder, options.text, heavy, frozen, progress)
    parts: dict[str, Floats] = {"linear": logits}
    if not tuned.why:
        progress("text: validation")
        vectors = frozen.of(valid.texts) if frozen is not None and options.text.method == "frozen" else None
        parts["text"] = TextPart(folder).logits(valid.texts, vectors)
    facts, p, chosen = calibrate(parts, valid, options, weighted)
    progress("linear: all texts")
    work.last(choice, weighted).save(folder)
    moods = moods_of(names)
    facts |= {
        "neutral": options.neutral, "labels": list(names), "precision": options.precision,
        "moods": None if moods is None else moods.tolist(), "linear": {"scaling": choice.scaling, "strength": choice.strength},
        "texts": len(train) + len(valid), "counts": (counts + np.bincount(valid.labels, minlength=len(names))).tolist(),
    }  # fmt: skip
    seal(folder, KIND, **facts)
    return {
        **facts,
        "blank": blank,
        "weighted": weighted,
        "valid": {
            "texts": len(valid), "accuracy": float((p.argmax(1) == valid.labels).mean()), "ece": expected_error(p, valid.labels),
            **chosen,
            "parts": {} if options.numbers else {
                name: {"accuracy": float((found.argmax(1) == valid.labels).mean()), "ece_uncalibrated": expected_error(softmax(found), valid.labels)}
                for name, found in parts.items()
            },
        },
        "text": {**asdict(tuned)},
        "minutes": (time.monotonic() - begun) / 60,
    }  # fmt: skip


def _text(
    train: LabelledTexts, valid: LabelledTexts, folder: Path, options: TextOptions, weights: NDArray[np.float64] | None,
    frozen: FrozenVectors | None, progress: Say,
) -> TextReport:  # fmt: skip
    if options.method != "frozen" or not options.model:
        return train_text(train, valid, folder, options, progress, weights)
    report = TextReport(options.model, options.method)
    if len(train) < LEAST_TEXTS:
        report.why = f"{len(train)} texts are too few for a layer"
        return report
    begun = time.monotonic()
    frozen = frozen or FrozenVectors(options.model, options.max_tokens, options.prefix, options.threads)
    layer, strength = choose_layer(train, valid, frozen, weights, progress)
    frozen.save(folder, layer)
    report.checks = [{"strength": strength}]
    report.int8 = frozen.facts["precision"] == "int8"
    report.seconds = round(time.monotonic() - begun, 1)
    return report


def calibrate(
    parts: dict[str, Floats], valid: LabelledTexts, options: TrainOptions, weighted: bool = False
) -> tuple[dict[str, Any], Floats, dict[str, Any]]:
    """From the parts' logits on validation: the facts of an artefact that say how they become probabilities and answers, those
    probabilities ``(n, c)``, and what was weighed up."""
    facts: dict[str, Any] = {}
    if options.numbers:
        facts |= _fit_numbers(parts, valid)
    else:
        facts["factors"] = dict(zip(parts, fit_blend(list(parts.values()), valid.labels), strict=True))
        if weighted:
            facts["bias"] = fit_bias(sum_of(parts, facts["factors"]), valid.labels)
    facts["labels"] = list(valid.names)
    p = calibrated(parts, facts)
    curves, losses = choose_curves(p, valid.labels, options.calibration, options.text.seed)
    if curves:
        facts["curves"] = curves
        p = calibrated(parts, facts)
    offsets = choose_offsets(p, valid.labels) if weighted else None
    decision, cost = fit_decision(
        p, valid.labels, [language_of(text) for text in valid.texts], valid.groups, precision=options.precision,
        costs=options.costs, abstain=options.abstain, offsets=offsets,
    )  # fmt: skip
    facts["threshold"] = min(decision.threshold, 2.0)
    more: dict[str, Any] = {}
    if decision.offsets is not None:
        more["offsets"] = decision.offsets.tolist()
    if decision.costs is not None:
        more["costs"] = decision.costs.tolist()
    if decision.cells:
        more["cells"] = dict(decision.cells)
    if more:
        facts["decision"] = more
    said, confidence = decision.said(p)
    sure = confidence >= decision.threshold
    found = {
        "macro_f1": macro_f1(said, valid.labels, len(valid.names)), "calibration": "isotonic" if curves else "temperature",
        "calibration_losses": losses, "sure": float(sure.mean()), "cost": cost,
    }  # fmt: skip
    return facts, p, found


def _fit_numbers(parts: dict[str, Floats], valid: LabelledTexts) -> dict[str, Any]:
    """Factors, none below zero, and what is added, with the least squared error; and the spread with the least log-loss."""
    from scipy.optimize import nnls

    assert valid.targets is not None
    values = valid.targets[:, 0]
    said = np.column_stack([part[:, 0] for part in parts.values()])
    factors, _ = nnls(said - said.mean(0), values - values.mean())
    if not factors.any():
        factors = np.full(len(parts), 1e-6)
    bias = float(values.mean() - said.mean(0) @ factors)
    number = said @ factors + bias
    losses = [
        -float(np.mean(logits_of(number, valid.names, s)[np.arange(len(values)), valid.labels]))
        for s in SPREADS
    ]
    return {"factors": dict(zip(parts, factors.tolist(), strict=True)), "bias": [bias], "spread": float(SPREADS[int(np.argmin(losses))])}  # fmt: skip


@dataclass
class _Work:
    """The linear part's training: on texts to choose by, then on all."""

    train: LabelledTexts
    valid: LabelledTexts
    options: TrainOptions
    bags: Bags
    progress: Say

    def __post_init__(self) -> None:
        self.progress("linear: n-grams")
        rows = with_noise(self.train, self.options.text.seed) if self.options.noisy else self.train
        self.rows = rows
        self.x, self.v = matrix(*self.bags(rows.texts)), matrix(*self.bags(self.valid.texts))

    def weights(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of texts, so that labels count alike; one on average."""
        counts = np.bincount(labels, minlength=len(self.train.names))
        return len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))[labels]

    def linear(self) -> tuple[bool, Choice, Floats]:
        """Whether labels are weighted, the choice, and the logits or numbers on validation."""
        classes = len(self.train.names)
        if self.options.numbers:
            assert self.rows.targets is not None
            assert self.valid.targets is not None
            choice, numbers = choose_numbers(
                (self.x, self.rows.targets[:, 0], self.rows.labels), (self.v, self.valid.targets[:, 0]), classes, self.progress
            )  # fmt: skip
            return False, choice, numbers
        found: list[tuple[float, bool, Choice, Floats]] = []
        for weighted in {"none": (False,), "balanced": (True,), "auto": (False, True)}[self.options.weights]:
            weights = self.weights(self.rows.labels) if weighted else None
            choice, _, logits = choose_linear(
                (self.x, self.rows.labels), (self.v, self.valid.labels), classes, self.progress, weights
            )
            _, _, facts = calibrate(
                {"linear": logits}, self.valid, replace(self.options, costs=None, abstain=None, calibration="temperature"), weighted
            )  # fmt: skip
            found.append((facts["macro_f1"], weighted, choice, logits))
        # Weights cost accuracy: where there is a choice, they must earn it.
        return max(found, key=lambda one: one[0] - (WEIGHTS_GAIN if one[1] else 0))[1:]

    def last(self, choice: Choice, weighted: bool) -> Linear:
        """The linear model that is written: of training and validation together."""
        import scipy.sparse as sp

        both = sp.vstack([self.x, self.v]).tocsr()
        labels = np.concatenate([self.rows.labels, self.valid.labels])
        classes = len(self.train.names)
        if self.options.numbers:
            assert self.rows.targets is not None
            assert self.valid.targets is not None
            values = np.concatenate([self.rows.targets[:, 0], self.valid.targets[:, 0]])
            return fit_numbers(both, values, labels, classes, choice)
        return fit_linear(both, labels, classes, choice, self.weights(labels) if weighted else None)
