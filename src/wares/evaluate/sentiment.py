"""``wares evaluate sentiment``: how well labels of texts are told, how honest the probabilities are, and how fast."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import keep_artifact
from wares.core.errors import QueryError
from wares.evaluate.metrics import bootstrap
from wares.evaluate.sentiment_files import (
    SentimentTask,
    Texts,
    labelled,
    memory_of_bags,
    parts_of,
    read_texts,
    share_of,
)
from wares.models.sentiment.calibration import Floats, expected_error
from wares.models.sentiment.calibration_train import macro_f1
from wares.models.sentiment.frozen_train import FrozenVectors
from wares.models.sentiment.infer import KIND, Sentiment
from wares.models.sentiment.labelled import LabelledTexts, ordered
from wares.models.sentiment.languages import language_of
from wares.models.sentiment.neutral import neutral
from wares.models.sentiment.prepare import bags as plain_bags
from wares.models.sentiment.train import Bags, train_sentiment

TEST = 0.1
RESAMPLES = 1000
SHORT, LONG = 40, 400
FEWEST_IN_SLICE = 20
TIMED = 200
Say = Callable[[str], None]
Look = Callable[[Sentiment, LabelledTexts], dict[str, Any]]


def evaluate_sentiment(
    task: SentimentTask, progress: Say = lambda _: None, look: Look | None = None
) -> dict[str, Any]:
    """Train, choose on validation, and score the test once; `look` sees the first classifier and its test too.

    Raises:
        QueryError: for files or labels that cannot be used.
    """
    rows = read_texts(task.train, task)
    if task.test is not None:
        test = read_texts([task.test], task)
        if not task.numbers:
            labelled(test, ordered(rows.labels), task, task.test.name)
        return report_of(task, [run_once(task, rows, test, progress, look=look)])
    shares = np.array([share_of(text, task.seed) for text in rows.texts])
    if not task.folds:
        return report_of(task, [run_once(task, rows.some(shares < 1 - TEST), rows.some(shares >= 1 - TEST), progress, look=look)])  # fmt: skip
    runs, bags, frozen = [], memory_of_bags(), frozen_of(task)
    for fold in range(task.folds):
        inside = (shares * task.folds).astype(int) == fold
        progress(f"fold {fold + 1} of {task.folds}")
        keep = task if fold == 0 else replace(task, save=None)
        runs.append(
            run_once(
                keep,
                rows.some(~inside),
                rows.some(inside),
                progress,
                bags,
                frozen,
                look if fold == 0 else None,
            )
        )
    return report_of(task, runs)


def frozen_of(task: SentimentTask) -> FrozenVectors | None:
    """The vectors of an encoder that is not fine-tuned, for several trainings; None where there is none."""
    e = task.encoder
    return (
        FrozenVectors(e.model, e.max_tokens, e.prefix, e.threads)
        if e.model and e.method == "frozen"
        else None
    )


@dataclass(frozen=True)
class Run:
    """One training with its test: probabilities ``(n, c)``, labels said and true ``(n,)``, which are sure, and what was
    learned; of a regression also the numbers said and true; `looked` is what else was asked of the classifier."""

    test: Texts
    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    said: NDArray[np.int64]
    sure: NDArray[np.bool_]
    names: tuple[str, ...]
    trained: dict[str, Any]
    single_ms: list[float]
    seen: int
    parts: dict[str, Floats]
    numbers: tuple[Floats, Floats] | None = None
    looked: dict[str, Any] | None = None


def run_once(
    task: SentimentTask, rows: Texts, test: Texts, progress: Say, bags: Bags | None = None, frozen: FrozenVectors | None = None,
    look: Look | None = None,
) -> Run:  # fmt: skip
    """Train on rows, without what the test holds, and score the test; `look` sees the classifier and the test too.

    Raises:
        QueryError: when there is nothing to train or to test on.
    """
    if not test.texts:
        raise QueryError("there are no texts to test on", mend="Give more rows", parameter="file")
    train, valid, seen = parts_of(task, rows, test)
    truth = labelled(test, train.names, task)
    with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        trained = train_sentiment(
            train, valid, folder, progress=progress, options=task.options(train.names), frozen=frozen, bags=bags or plain_bags,
        )  # fmt: skip
        model = Sentiment(folder)
        progress("test")
        run = _score(task, model, test, truth.labels, truth.targets, trained, seen, folder, frozen)
        return run if look is None else replace(run, looked=look(model, truth))


def _score(
    task: SentimentTask, model: Sentiment, test: Texts, labels: NDArray[np.int64], targets: Floats | None, trained: dict[str, Any],
    seen: int, folder: Path, frozen: FrozenVectors | None,
) -> Run:  # fmt: skip
    known = frozen is not None and model.text is not None
    ready = [neutral(text) for text in test.texts] if model.manifest.get("neutral") else test.texts
    parts = model.parts(test.texts, frozen.of(ready) if known and frozen is not None else None)
    p = model.calibrated(parts)
    said, confidence = model.decision.said(p)
    least = model.decision.thresholds(
        [language_of(text) for text in test.texts], test.by if task.by else None
    )
    single = [_milliseconds(model, text) for text in test.texts[:TIMED]]
    if task.save is not None:
        keep_artifact(folder, task.save, KIND)
    stars = model.stars(parts)
    numbers = None if stars is None or targets is None else (stars, targets[:, 0])
    return Run(
        test, labels, p, said, confidence >= least, model.labels, trained, single, seen, parts, numbers
    )


def _milliseconds(model: Sentiment, text: str) -> float:
    begun = time.perf_counter()
    model.read([text])
    return 1000 * (time.perf_counter() - begun)


def report_of(task: SentimentTask, runs: list[Run]) -> dict[str, Any]:
    """The figures of all runs together.

    Raises:
        QueryError: when they did not learn the same labels.
    """
    names = runs[0].names
    if any(run.names != names for run in runs):
        raise QueryError("a label is so rare that a fold lacks it", mend="Use fewer folds, or join rare labels", parameter="folds")  # fmt: skip
    labels = np.concatenate([run.labels for run in runs])
    p = np.concatenate([run.probability for run in runs])
    said = np.concatenate([run.said for run in runs])
    sure = np.concatenate([run.sure for run in runs])
    texts = [text for run in runs for text in run.test.texts]
    by = [value for run in runs for value in run.test.by]
    single = sorted(ms for run in runs for ms in run.single_ms)
    right = said == labels
    slices = {
        "language": [language_of(text) or "none" for text in texts],
        "length": [_length(t) for t in texts],
    }
    if task.by:
        slices[task.by] = by
    out: dict[str, Any] = {
        **scores(p, labels, names, said), "interval": list(bootstrap(right.astype(float), RESAMPLES, task.seed)), "labels": list(names),
        "parts": {} if task.numbers else {name: _accuracy(runs, name) for name in runs[0].parts},
        "baseline": float(np.bincount(labels).max() / len(labels)),
        "sure": {
            "asked": task.precision, "coverage": float(sure.mean()), "precision": float(right[sure].mean()) if sure.any() else None,
        },
        "slices": {name: _sliced(values, p, labels, names, said) for name, values in slices.items()},
        "train_texts": [run.trained["texts"] for run in runs], "also_in_test": [run.seen for run in runs],
        "trained": [run.trained for run in runs], "minutes": sum(run.trained["minutes"] for run in runs),
        "single_ms": {"p50": single[len(single) // 2], "p95": single[int(0.95 * (len(single) - 1))]},
    }  # fmt: skip
    if runs[0].looked is not None:
        out |= runs[0].looked
    costs = task.options(names).costs
    if costs is not None and task.cost_abstain is not None:
        each = costs[labels, said]
        out["cost"] = {
            "a_text": float(np.where(sure, each, task.cost_abstain).mean()), "always_answering": float(each.mean()),
            "never_answering": task.cost_abstain,
        }  # fmt: skip
    numbers = [run.numbers for run in runs if run.numbers is not None]
    if numbers:
        out["numbers"] = number_scores(*(np.concatenate(both) for both in zip(*numbers, strict=True)))
    return out


def number_scores(said: Floats, true: Floats) -> dict[str, float]:
    """Mean absolute error, root of the mean squared one, Spearman's rank correlation, and how often the rounded number is right."""
    from scipy.stats import spearmanr

    error = said - true
    found: Any = spearmanr(said, true) if len(set(true)) > 1 and len(set(said)) > 1 else None
    near = np.clip(np.round(said), true.min(), true.max())
    return {
        "mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean())), "spearman": 0.0 if found is None else float(found.statistic),
        "rounding_accuracy": float((near == np.round(true)).mean()),
    }  # fmt: skip


def _accuracy(runs: list[Run], part: str) -> float:
    """Accuracy of one part alone, over the runs that have it."""
    there = [run for run in runs if part in run.parts]
    return float(np.concatenate([run.parts[part].argmax(1) == run.labels for run in there]).mean())


def scores(
    p: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
    said: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Accuracy, F1 by label and their mean, calibration error, and the confusion matrix (rows: truth). `said (n,)` are the
    labels given, where they are not simply the most probable."""
    given = p.argmax(1) if said is None else said
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (labels, given), 1)
    hit = np.diag(confusion)
    f1 = 2 * hit / np.maximum(confusion.sum(0) + confusion.sum(1), 1)
    return {
        "texts": len(labels), "accuracy": float(hit.sum() / max(len(labels), 1)), "macro_f1": macro_f1(given, labels, len(names)),
        "f1": {name: float(value) for name, value in zip(names, f1, strict=True)}, "ece": expected_error(p, labels),
        "confusion": confusion.tolist(),
    }  # fmt: skip


def _length(text: str) -> str:
    n = len(text.strip())
    return "blank" if not n else "short" if n < SHORT else "long" if n > LONG else "middle"


def _sliced(
    values: list[str], p: Floats, labels: NDArray[np.int64], names: Sequence[str], said: NDArray[np.int64]
) -> dict[str, Any]:
    found = np.array(values)
    out: dict[str, Any] = {}
    for value in sorted(set(values)):
        rows = found == value
        if rows.sum() >= FEWEST_IN_SLICE:
            out[value] = {
                k: v
                for k, v in scores(p[rows], labels[rows], names, said[rows]).items()
                if k not in ("confusion", "f1")
            }
    return out
