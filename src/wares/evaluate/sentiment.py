"""``wares evaluate sentiment``: how well labels of texts are told, how honest the probabilities are, and how fast."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import keep_artifact
from wares.core.errors import QueryError
from wares.evaluate.metrics import bootstrap
from wares.features.pair_files import columns_of
from wares.models.sentiment.calibration import Floats, expected_error, softmax
from wares.models.sentiment.infer import KIND, Sentiment, sum_of
from wares.models.sentiment.labelled import LabelledTexts, ordered
from wares.models.sentiment.prepare import is_chinese, prepared
from wares.models.sentiment.text_train import TextOptions
from wares.models.sentiment.train import train_sentiment

VALID, TEST = 0.1, 0.1
RESAMPLES = 1000
SHORT, LONG = 40, 400
FEWEST_IN_SLICE = 20
TIMED = 200
Say = Callable[[str], None]


@dataclass(frozen=True)
class SentimentTask:
    """Files, columns and how to split. Without `test` a tenth of the texts by hash, or with `folds` each fold once."""

    train: tuple[Path, ...]
    valid: Path | None = None
    test: Path | None = None
    text: str = "text"
    label: str = "label"
    by: str = ""
    folds: int = 0
    seed: int = 7
    precision: float = 0.99
    save: Path | None = None
    encoder: TextOptions = field(default_factory=TextOptions)


@dataclass(frozen=True)
class Texts:
    """Rows of files: texts, label names, and the value of the column to slice by."""

    texts: list[str]
    labels: list[str]
    by: list[str]


def read_texts(paths: Sequence[Path], task: SentimentTask) -> Texts:
    """Rows with a label; a row without a text is kept, one without a label is refused.

    Raises:
        QueryError: when a column is missing or a label is blank (with its row).
        SourceError: when a file cannot be read.
    """
    out = Texts([], [], [])
    for path in paths:
        table = columns_of(path, (task.text, task.label, *((task.by,) if task.by else ())))
        for row, name in enumerate(table[task.label]):
            if not name.strip():
                raise QueryError(
                    f"row {row + 1} of {path.name} has no label",
                    mend="Take rows without a label out", parameter=task.label, row=row + 1,
                )  # fmt: skip
        out.texts.extend(table[task.text])
        out.labels.extend(_name(name) for name in table[task.label])
        out.by.extend(table[task.by] if task.by else [""] * len(table[task.text]))
    return out


def _name(label: str) -> str:
    """The label as a name: 1.0 is 1, as a file with a gap in the column writes it."""
    label = label.strip()
    return label.removesuffix(".0") if label.endswith(".0") and label[:-2].lstrip("-").isdigit() else label


def share_of(text: str, seed: int) -> float:
    """A number in 0..1 from what a text says, so that equal texts fall on one side of every split."""
    mark = hashlib.blake2b(f"{seed}\x1f{prepared(text)}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(mark.digest(), "big") / 2**64


def evaluate_sentiment(task: SentimentTask, progress: Say = lambda _: None) -> dict[str, Any]:
    """Train, choose on validation, and score the test once.

    Raises:
        QueryError: for files or labels that cannot be used.
    """
    rows = read_texts(task.train, task)
    if task.test is not None:
        test = read_texts([task.test], task)
        unknown = [i for i, name in enumerate(test.labels) if name not in set(rows.labels)]
        if unknown:
            at = unknown[0]
            raise QueryError(
                f"row {at + 1} of {task.test.name} has the label {test.labels[at]!r}, which no training text has ({len(unknown)} such rows)",
                mend=f"Labels to learn: {', '.join(ordered(rows.labels)[:20])}", parameter=task.label, row=at + 1,
            )  # fmt: skip
        return _report(task, [_run(task, rows, test, progress)])
    shares = np.array([share_of(text, task.seed) for text in rows.texts])
    if not task.folds:
        return _report(task, [_run(task, _some(rows, shares < 1 - TEST), _some(rows, shares >= 1 - TEST), progress)])  # fmt: skip
    runs = []
    for fold in range(task.folds):
        inside = (shares * task.folds).astype(int) == fold
        progress(f"fold {fold + 1} of {task.folds}")
        keep = task if fold == 0 else replace(task, save=None)
        runs.append(_run(keep, _some(rows, ~inside), _some(rows, inside), progress))
    return _report(task, runs)


def _some(rows: Texts, mask: NDArray[np.bool_]) -> Texts:
    at = np.flatnonzero(mask).tolist()
    return Texts([rows.texts[i] for i in at], [rows.labels[i] for i in at], [rows.by[i] for i in at])


@dataclass(frozen=True)
class Run:
    """One training with its test: probabilities ``(n, c)``, labels ``(n,)``, and what was learned."""

    test: Texts
    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    names: tuple[str, ...]
    threshold: float
    trained: dict[str, Any]
    single_ms: list[float]
    seen: int
    parts: dict[str, Floats]


def parts_of(task: SentimentTask, rows: Texts, test: Texts) -> tuple[LabelledTexts, LabelledTexts, int]:
    """Texts to train on and to choose on, without those that the test holds, and how many these were.

    Raises:
        QueryError: when nothing is left, or the validation file has labels of its own.
    """
    names = ordered(rows.labels)
    place = {name: i for i, name in enumerate(names)}
    known = {prepared(text) for text in test.texts}
    own = np.array([prepared(text) not in known for text in rows.texts], bool)
    labelled = LabelledTexts(rows.texts, np.array([place[n] for n in rows.labels], np.int64), names)
    if task.valid is not None:
        held = read_texts([task.valid], task)
        train = labelled.some(own)
        valid = LabelledTexts(held.texts, np.array([place.get(n, -1) for n in held.labels], np.int64), names)
        if (valid.labels < 0).any():
            raise QueryError("the validation file has labels that training lacks", mend="Use one set of labels", parameter="valid")  # fmt: skip
    else:
        shares = np.array([share_of(text, task.seed + 1) for text in rows.texts])
        train, valid = labelled.some(own & (shares >= VALID)), labelled.some(own & (shares < VALID))
    if not len(valid) or not len(train):
        raise QueryError("there are too few texts to train on and to hold any back", mend="Give more rows, or --valid", parameter="file")  # fmt: skip
    return train, valid, int((~own).sum())


def _run(task: SentimentTask, rows: Texts, test: Texts, progress: Say) -> Run:
    if not test.texts:
        raise QueryError("there are no texts to test on", mend="Give more rows", parameter="file")
    train, valid, seen = parts_of(task, rows, test)
    names, place = train.names, {name: i for i, name in enumerate(train.names)}
    with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        trained = train_sentiment(train, valid, folder, task.precision, task.encoder, progress)
        model = Sentiment(folder)
        progress("test")
        parts = model.parts(test.texts)
        probability = softmax(sum_of(parts, model.factors))
        single = [_milliseconds(model, text) for text in test.texts[:TIMED]]
        if task.save is not None:
            keep_artifact(folder, task.save, KIND)
    labels = np.array([place[name] for name in test.labels], np.int64)
    return Run(test, labels, probability, names, model.threshold, trained, single, seen, parts)


def _milliseconds(model: Sentiment, text: str) -> float:
    begun = time.perf_counter()
    model.read([text])
    return 1000 * (time.perf_counter() - begun)


def _report(task: SentimentTask, runs: list[Run]) -> dict[str, Any]:
    names = runs[0].names
    if any(run.names != names for run in runs):
        raise QueryError("a label is so rare that a fold lacks it", mend="Use fewer folds, or join rare labels", parameter="folds")  # fmt: skip
    labels = np.concatenate([run.labels for run in runs])
    p = np.concatenate([run.probability for run in runs])
    sure = np.concatenate([run.probability.max(1) >= run.threshold for run in runs])
    texts = [text for run in runs for text in run.test.texts]
    by = [value for run in runs for value in run.test.by]
    single = sorted(ms for run in runs for ms in run.single_ms)
    right = p.argmax(1) == labels
    slices = {
        "language": ["zh" if is_chinese(text) else "other" for text in texts],
        "length": [_length(t) for t in texts],
    }
    if task.by:
        slices[task.by] = by
    return {
        **scores(p, labels, names), "interval": list(bootstrap(right.astype(float), RESAMPLES, task.seed)), "labels": list(names),
        "parts": {name: _accuracy(runs, name) for name in runs[0].parts}, "baseline": float(np.bincount(labels).max() / len(labels)),
        "sure": {
            "asked": task.precision, "coverage": float(sure.mean()), "precision": float(right[sure].mean()) if sure.any() else None,
        },
        "slices": {name: _sliced(values, p, labels, names) for name, values in slices.items()},
        "train_texts": [run.trained["texts"] for run in runs], "also_in_test": [run.seen for run in runs],
        "trained": [run.trained for run in runs], "minutes": sum(run.trained["minutes"] for run in runs),
        "single_ms": {"p50": single[len(single) // 2], "p95": single[int(0.95 * (len(single) - 1))]},
    }  # fmt: skip


def _accuracy(runs: list[Run], part: str) -> float:
    """Accuracy of one part alone, over the runs that have it."""
    there = [run for run in runs if part in run.parts]
    return float(np.concatenate([run.parts[part].argmax(1) == run.labels for run in there]).mean())


def scores(p: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, F1 by label and their mean, calibration error, and the confusion matrix (rows: truth)."""
    said = p.argmax(1)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (labels, said), 1)
    hit = np.diag(confusion)
    f1 = 2 * hit / np.maximum(confusion.sum(0) + confusion.sum(1), 1)
    there = confusion.sum(1) > 0
    return {
        "texts": len(labels), "accuracy": float(hit.sum() / max(len(labels), 1)), "macro_f1": float(f1[there].mean()) if there.any() else 0.0,
        "f1": {name: float(value) for name, value in zip(names, f1, strict=True)}, "ece": expected_error(p, labels),
        "confusion": confusion.tolist(),
    }  # fmt: skip


def _length(text: str) -> str:
    n = len(text.strip())
    return "blank" if not n else "short" if n < SHORT else "long" if n > LONG else "middle"


def _sliced(
    values: list[str], p: NDArray[np.float64], labels: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Any]:
    found = np.array(values)
    out: dict[str, Any] = {}
    for value in sorted(set(values)):
        rows = found == value
        if rows.sum() >= FEWEST_IN_SLICE:
            out[value] = {
                k: v for k, v in scores(p[rows], labels[rows], names).items() if k not in ("confusion", "f1")
            }
    return out
