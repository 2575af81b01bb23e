"""``wares evaluate aspects``: how well polarities of aspects are told, and how much of what texts say is found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import keep_artifact
from wares.core.errors import MissingExtra, QueryError
from wares.evaluate.aspect_files import (
    Columns,
    Row,
    has_quads,
    labelled,
    names_of,
    read_quads,
    read_reviews,
    read_rows,
    rows_of,
)
from wares.evaluate.metrics import bootstrap
from wares.evaluate.sentiment import scores, share_of
from wares.models.sentiment.aspect_labelled import AspectRows, QuadTexts, Reviews
from wares.models.sentiment.aspect_polarity_infer import PolarityPart
from wares.models.sentiment.aspect_prior import mix_of
from wares.models.sentiment.aspect_quads_infer import QuadPart
from wares.models.sentiment.aspect_scores import implicit_scores, scores_of
from wares.models.sentiment.calibration import Floats, softmax
from wares.models.sentiment.opinions import KIND
from wares.models.sentiment.prepare import prepared

VALID = 0.1
RESAMPLES = 1000
TIMED = 100
Say = Callable[[str], None]


@dataclass(frozen=True)
class Encoder:
    """An encoder to fine-tune, and how: see `wares.models.sentiment.aspect_states_train.StatesOptions`."""

    model: str
    prefix: str = ""


@dataclass(frozen=True)
class AspectsTask:
    """Files, columns and how to learn. Without `valid` a tenth of the sentences by hash, all aspects of one on one side."""

    train: tuple[Path, ...]
    test: Path | None = None
    valid: Path | None = None
    columns: Columns = field(default_factory=Columns)
    encoders: tuple[Encoder, ...] = ()
    method: str = "full"
    minutes: float = 8.0
    epochs: float = 5.0
    tokens: int = 96
    aim: str = "accuracy"
    pretrain: tuple[Path, ...] = ()
    pretrain_text: str = "text"
    pretrain_label: str = "label"
    seeds: tuple[int, ...] = (7,)
    save: Path | None = None
    threads: int = 0


def evaluate_aspects(task: AspectsTask, say: Say = lambda _: None) -> dict[str, Any]:
    """Train on one form of labels, choose on validation, and score the test once for each seed.

    Raises:
        QueryError: for files or labels that cannot be used, with the row.
    """
    if task.test is None:
        raise QueryError("there is no test", mend="Give --test", parameter="test")
    if has_quads(task.train[0]):
        return _evaluate_quads(task, say)
    return _evaluate_polarity(task, say)


def tune_aspects(task: AspectsTask, folder: Path, say: Say = lambda _: None) -> dict[str, Any]:
    """Train on one form of labels and write the model into `folder`; returns what was learned.

    Raises:
        QueryError: for files or labels that cannot be used, with the row.
    """
    seed = task.seeds[0]
    if has_quads(task.train[0]):
        texts = read_quads(task.train)
        train, valid, _ = _split_quads(task, texts, QuadTexts([], []), seed)
        return _train_quads(task, train, valid, folder, seed, say)
    rows, said = read_rows(task.train, task.columns)
    train, valid, _ = _split_rows(task, labelled(rows, said, names_of(said)), [], seed)
    return _train_polarity(task, train, valid, folder, seed, _Before(task, []), say)


# -- polarity of given aspects ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    probability: Floats
    said: NDArray[np.int64]
    parts: dict[str, Floats]
    trained: dict[str, Any]
    single_ms: list[float]
    seen: int


class _Before:
    """What encoders read before the training rows, without the sentences of the test."""

    def __init__(self, task: AspectsTask, test: Sequence[Row]) -> None:
        self.reviews: Reviews | None = None
        self.aspects: AspectRows | None = None
        self.facts: dict[str, Any] = {}
        known = {_key(row) for row in test}
        lines = [path for path in task.pretrain if has_quads(path)]
        plain = [path for path in task.pretrain if path not in lines]
        if lines:
            rows, said = rows_of(read_quads(lines))
            own = [i for i, row in enumerate(rows) if _key(row) not in known]
            rows, said = [rows[i] for i in own], [said[i] for i in own]
            self.aspects = labelled(rows, said, names_of(said))
        if plain:
            found = read_reviews(plain, task.pretrain_text, task.pretrain_label)
            kept = [i for i, text in enumerate(found.texts) if prepared(text).replace(" ", "") not in known]
            self.reviews = Reviews([found.texts[i] for i in kept], found.labels[kept])
        if task.pretrain:
            self.facts = {
                "files": [path.name for path in task.pretrain], "reviews": len(self.reviews or ()), "aspects": len(self.aspects or ()),
            }  # fmt: skip


def _key(row: Row) -> str:
    """What a sentence says without the blanks that data sets put differently round its aspects."""
    return prepared("".join(row)).replace(" ", "")


def _split_rows(
    task: AspectsTask, rows: AspectRows, test: Sequence[Row], seed: int
) -> tuple[AspectRows, AspectRows, int]:
    """Training and validation rows without the sentences of the test, and how many rows these had."""
    known = {_key(row) for row in test}
    keys = [_key(row) for row in rows.rows]
    own = np.array([key not in known for key in keys], bool)
    if task.valid is not None:
        held, said = read_rows([task.valid], task.columns, rows.names)
        train, valid = rows.some(own), labelled(held, said, rows.names)
    else:
        shares = np.array([share_of(key, seed + 1) for key in keys])
        train, valid = rows.some(own & (shares >= VALID)), rows.some(own & (shares < VALID))
    if not len(train) or not len(valid):
        raise QueryError("there are too few sentences to train on and to hold any back", mend="Give more rows, or --valid", parameter="file")  # fmt: skip
    return train, valid, int((~own).sum())


def _train_polarity(
    task: AspectsTask, train: AspectRows, valid: AspectRows, folder: Path, seed: int, before: _Before, say: Say
) -> dict[str, Any]:  # fmt: skip
    from wares.models.sentiment.aspect_polarity_train import PolarityOptions, train_polarity

    options = PolarityOptions(_encoders(task, seed), before.reviews, before.aspects, task.aim)
    return {**train_polarity(train, valid, folder, options, say), "pretrained": before.facts}


def _encoders(task: AspectsTask, seed: int) -> tuple[Any, ...]:
    if not task.encoders:
        return ()
    try:
        from wares.models.sentiment.aspect_states_train import StatesOptions
    except ImportError as error:
        raise MissingExtra("fine-tuning an encoder", "train") from error
    each = task.minutes / len(task.encoders)
    # Several of one model differ by their seeds.
    return tuple(
        StatesOptions(
            one.model, task.method, each, task.epochs, task.tokens, one.prefix, seed + number, task.threads
        )
        for number, one in enumerate(task.encoders)
    )


def _evaluate_polarity(task: AspectsTask, say: Say) -> dict[str, Any]:
    assert task.test is not None
    rows, said = read_rows(task.train, task.columns)
    names = names_of(said)
    held, truth = read_rows([task.test], task.columns, names)
    test = labelled(held, truth, names)
    before = _Before(task, test.rows)
    runs: list[_Run] = []
    for number, seed in enumerate(task.seeds):
        tell: Say = say if len(task.seeds) == 1 else lambda text, n=number: say(f"seed {n + 1} of {len(task.seeds)}: {text}")  # fmt: skip
        train, valid, seen = _split_rows(task, labelled(rows, said, names), test.rows, seed)
        with tempfile.TemporaryDirectory(prefix="wares-aspects-") as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            trained = _train_polarity(task, train, valid, folder, seed, before, tell)
            model = PolarityPart(folder)
            tell("test")
            parts = model.parts(test.rows)
            logits = np.asarray(
                np.sum([model.factors[name] * found for name, found in parts.items()], axis=0)
            )
            single = [_milliseconds(model, row) for row in test.rows[:TIMED]]
            if task.save is not None and number == 0:
                keep_artifact(folder, task.save, KIND)
        runs.append(_Run(softmax(logits), (logits + model.offsets).argmax(1), parts, trained, single, seen))
    return _polarity_report(task, test, runs, before)


def _milliseconds(model: PolarityPart, row: Row) -> float:
    begun = time.perf_counter()
    model.logits([row])
    return 1000 * (time.perf_counter() - begun)


def _polarity_report(
    task: AspectsTask, test: AspectRows, runs: list[_Run], before: _Before
) -> dict[str, Any]:
    names, first = test.names, runs[0]
    each = [_scored(run, test) for run in runs]
    right = first.said == test.labels
    sentences: dict[str, set[int]] = {}
    keys = [_key(row) for row in test.rows]
    for key, label in zip(keys, test.labels.tolist(), strict=True):
        sentences.setdefault(key, set()).add(label)
    mixed = np.array([len(sentences[key]) > 1 for key in keys])
    single = sorted(ms for run in runs for ms in run.single_ms)
    accuracy, f1 = ([s[name] for s in each] for name in ("accuracy", "macro_f1"))
    return {
        "task": "polarity", "labels": list(names), **each[0], "interval": list(bootstrap(right.astype(float), RESAMPLES, task.seeds[0])),
        "baseline": float(np.bincount(test.labels, minlength=len(names)).max() / max(len(test), 1)),
        "conflicting": {"rows": int(mixed.sum()), "accuracy": float(right[mixed].mean()) if mixed.any() else None},
        "parts": {
            name: {"accuracy": float((found.argmax(1) == test.labels).mean()), "macro_f1": scores(softmax(found), test.labels, names)["macro_f1"]}
            for name, found in first.parts.items()
        },
        "seeds": {
            "seeds": list(task.seeds), "accuracy": accuracy, "macro_f1": f1, "mean_accuracy": float(np.mean(accuracy)), "sd_accuracy": float(np.std(accuracy)),
            "mean_macro_f1": float(np.mean(f1)), "sd_macro_f1": float(np.std(f1)),
        },
        "mix": _mixed(first, test), "also_in_test": first.seen, "pretrained": before.facts, "trained": [run.trained for run in runs],
        "minutes": sum(run.trained["minutes"] for run in runs),
        "single_ms": {"p50": single[len(single) // 2], "p95": single[int(0.95 * (len(single) - 1))]},
    }  # fmt: skip


def _mixed(run: _Run, test: AspectRows) -> dict[str, Any]:
    """Scores where the mix of polarities is estimated from all texts of the test together, without their labels."""
    counts = np.array(run.trained["counts"], float)
    mix, moved = mix_of(run.probability, counts / counts.sum())
    found = scores(moved, test.labels, test.names)
    return {
        "trained": (counts / counts.sum()).tolist(), "estimated": mix.tolist(), "accuracy": found["accuracy"], "macro_f1": found["macro_f1"],
        "ece": found["ece"],
    }  # fmt: skip


def _scored(run: _Run, test: AspectRows) -> dict[str, Any]:
    """Scores of the verdicts; calibration of the probabilities, which the shift towards rare labels does not touch."""
    hard = np.eye(len(test.names))[run.said]
    found = scores(hard, test.labels, test.names)
    return {**found, "ece": scores(run.probability, test.labels, test.names)["ece"]}


# -- extraction ---------------------------------------------------------------------------------------------------------------


def _split_quads(
    task: AspectsTask, texts: QuadTexts, test: QuadTexts, seed: int
) -> tuple[QuadTexts, QuadTexts, int]:
    known = {prepared(text) for text in test.texts}
    own = np.array([prepared(text) not in known for text in texts.texts], bool)
    if task.valid is not None:
        train, valid = texts.some(own), read_quads([task.valid])
    else:
        shares = np.array([share_of(text, seed + 1) for text in texts.texts])
        train, valid = texts.some(own & (shares >= VALID)), texts.some(own & (shares < VALID))
    if not len(train) or not len(valid):
        raise QueryError("there are too few texts to train on and to hold any back", mend="Give more, or --valid", parameter="file")  # fmt: skip
    return train, valid, int((~own).sum())


def _train_quads(
    task: AspectsTask, train: QuadTexts, valid: QuadTexts, folder: Path, seed: int, say: Say
) -> dict[str, Any]:
    # One encoder gives the states for both steps: of several that are named, the first.
    options = _encoders(replace(task, encoders=task.encoders[:1]), seed)
    if not options:
        raise QueryError("extraction needs an encoder", mend="Name one with --encoder", parameter="encoder")
    from wares.models.sentiment.aspect_quads_train import train_quads

    return train_quads(train, valid, folder, options[0], say)


def _evaluate_quads(task: AspectsTask, say: Say) -> dict[str, Any]:
    assert task.test is not None
    texts, test = read_quads(task.train), read_quads([task.test])
    runs: list[dict[str, Any]] = []
    for number, seed in enumerate(task.seeds):
        train, valid, seen = _split_quads(task, texts, test, seed)
        with tempfile.TemporaryDirectory(prefix="wares-aspects-") as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            trained = _train_quads(task, train, valid, folder, seed, say)
            model = QuadPart(folder)
            say("test")
            begun = time.perf_counter()
            found = model.read(test.texts)
            seconds = time.perf_counter() - begun
            if task.save is not None and number == 0:
                keep_artifact(folder, task.save, KIND)
        runs.append(
            {
                **scores_of(test, found), "implicit": implicit_scores(test, found), "trained": trained, "also_in_test": seen,
                "texts_per_second": len(test) / max(seconds, 1e-9),
            }
        )  # fmt: skip
    f1 = [run["quadruples"]["f1"] for run in runs]
    return {
        "task": "quadruples", "texts": len(test), **runs[0],
        "seeds": {"seeds": list(task.seeds), "f1": f1, "mean_f1": float(np.mean(f1)), "sd_f1": float(np.std(f1))},
        "minutes": sum(run["trained"]["minutes"] for run in runs),
    }  # fmt: skip
