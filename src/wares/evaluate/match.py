"""``wares evaluate match``: how well a matcher trained on labelled pairs tells same products from others, on any pair files."""

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
from wares.core.errors import QueryError
from wares.evaluate.dedupe import read_table
from wares.features.pair_fields import ROW_IDS, Record, clean
from wares.models.similar.match_calibration import (
    calibration,
    careful_threshold,
    f1_at,
    fit_weights,
    sigmoid,
)
from wares.models.similar.match_infer import KIND, Judgement, Matcher
from wares.models.similar.match_train import MINUTES, LabelledPairs, MatchOptions, train_matcher

LABEL, LEFT, RIGHT = "label", "left_", "right_"
_SAME = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
HOLD_OUT = 0.2
"""Share of the training pairs that becomes the validation set where none is given."""


@dataclass(frozen=True)
class MatchTask:
    """Files of labelled pairs, and how to train. `seeds` runs with seeds from ``options.seed`` on; `save` keeps the first.

    `transductive` also counts the words of the test's records, without their labels.
    """

    train: tuple[Path, ...]
    valid: Path | None
    test: Path
    options: MatchOptions = field(default_factory=MatchOptions)
    seeds: int = 1
    save: Path | None = None
    transductive: bool = False
    ignore: tuple[str, ...] = ()


def read_pairs(paths: Sequence[Path], ignore: Sequence[str] = ()) -> LabelledPairs:
    """Labelled pairs of one or several files with columns ``left_*``, ``right_*`` and ``label``.

    A record gets every field that either side of any file names; what is missing is ``""``. Fields of `ignore` are left out.

    Raises:
        QueryError: when columns are missing, or a label is not 0 or 1 (with its row).
        SourceError: when a file cannot be read.
    """
    lefts: list[Record] = []
    rights: list[Record] = []
    same: list[bool] = []
    tables = [(path, read_table(path)) for path in paths]
    named = [name for _, table in tables for name in table]
    names = sorted(
        {name.removeprefix(p) for p in (LEFT, RIGHT) for name in named if name.startswith(p)} - {""}
    )
    for path, table in tables:
        absent = [
            shown for shown, there in ((LABEL, LABEL in table), *((f"{p}*", any(n.startswith(p) for n in table)) for p in (LEFT, RIGHT))) if not there
        ]  # fmt: skip
        if absent:
            raise QueryError(
                f"{path.name} has no column {', '.join(absent)}; it has {', '.join(list(table)[:12])}",
                mend="Give left_* and right_* columns and label, 1 for the same product and 0 for others",
                parameter="file",
            )
        kept = [name for name in names if name not in ignore]
        for row, label in enumerate(table[LABEL]):
            value = _SAME.get(label.strip().casefold())
            if value is None:
                raise QueryError(
                    f"row {row + 1} of {path.name} has the label {label!r}",
                    mend="Labels are 1 for the same product and 0 for others; take rows without a label out",
                    parameter="label", row=row + 1,
                )  # fmt: skip
            for side, out in ((LEFT, lefts), (RIGHT, rights)):
                out.append(
                    {name: clean(table[side + name][row]) if side + name in table else "" for name in kept}
                )
            same.append(value)
    return LabelledPairs(lefts, rights, np.asarray(same, bool))


def columns_of(pairs: LabelledPairs) -> set[str]:
    """Fields in which any record says something."""
    return {
        name
        for side in (pairs.left, pairs.right)
        for record in side
        for name, value in record.items()
        if value
    }


def split(pairs: LabelledPairs, seed: int, share: float = HOLD_OUT) -> tuple[LabelledPairs, LabelledPairs]:
    """The pairs without a random `share` of each label, and that share."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(pairs), bool)
    for label in (True, False):
        rows = np.flatnonzero(pairs.same == label)
        held[rng.permutation(rows)[: max(1, round(share * len(rows))) if len(rows) > 1 else 0]] = True
    return _some(pairs, ~held), _some(pairs, held)


def _some(pairs: LabelledPairs, rows: NDArray[np.bool_]) -> LabelledPairs:
    at = np.flatnonzero(rows).tolist()
    return LabelledPairs([pairs.left[i] for i in at], [pairs.right[i] for i in at], pairs.same[rows])


def judge_pairs(matcher: Matcher, pairs: LabelledPairs, *, rivals: bool = True) -> Judgement:
    """The matcher's word on each pair, in their order; see `Matcher.judge`."""
    # A record stands in many pairs: it is read once.
    rows: dict[tuple[tuple[str, str], ...], int] = {}
    records: list[Record] = []
    ends = np.zeros((len(pairs), 2), np.int64)
    for column, side in enumerate((pairs.left, pairs.right)):
        for at, record in enumerate(side):
            key = tuple(record.items())
            if key not in rows:
                rows[key] = len(records)
                records.append(record)
            ends[at, column] = rows[key]
    return matcher.judge(matcher.read(records), ends, rivals=rivals)


def evaluate_match(task: MatchTask, progress: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Train on the training pairs, calibrate and choose the threshold on validation, and score the test once a seed.

    Every test pair is judged alone: by what was learned from the labels of training and validation. Where the sides are
    two catalogues, that includes their known records and known matches (the report says ``rivals``); ``parts`` has the
    same without them, and without the language model. Figures of several seeds come as mean and standard
    deviation; the headline ``test`` is the first seed's.

    Raises:
        QueryError: when a file lacks columns or holds other labels than 0 and 1.
        DataError: when training or validation pairs have one label only.
    """
    begun, cpu = time.monotonic(), time.process_time()
    train = read_pairs(task.train, task.ignore)
    valid = read_pairs([task.valid], task.ignore) if task.valid is not None else None
    if valid is None:
        train, valid = split(train, task.options.seed)
    test = read_pairs([task.test], task.ignore)
    known, there = columns_of(train), columns_of(test)
    also = [*test.left, *test.right] if task.transductive else []
    report: dict[str, Any] = {
        "train": [path.name for path in task.train], "valid": task.valid.name if task.valid else f"{HOLD_OUT:.0%} of train",
        "test_file": task.test.name, "model": task.options.model or "none (evidence alone)",
        "columns": {"used": sorted(n for n in known if n.lower() not in ROW_IDS), "row_ids_left_out": sorted(n for n in known if n.lower() in ROW_IDS), "only_in_test_ignored": sorted(there - known), "missing_in_test": sorted(known - there)},
        "information": _information(task), "overlap": _overlap(train, valid, test),
    }  # fmt: skip
    runs: list[dict[str, Any]] = []
    for number in range(max(1, task.seeds)):
        options = replace(task.options, seed=task.options.seed + number)
        with tempfile.TemporaryDirectory(prefix="wares-match-") as scratch:
            folder = Path(scratch) / "matcher"
            fitted = train_matcher(train, valid, folder, options, progress, also)
            matcher = Matcher(folder, options.threads)
            progress("test")
            judged, held = judge_pairs(matcher, test), judge_pairs(matcher, valid)
            run = {"seed": options.seed, **_scores(judged.probability, test.same, matcher.threshold), "threshold": round(matcher.threshold, 4)}  # fmt: skip
            run["valid_f1"] = fitted["valid"]["f1"]
            run["evidence_alone"] = _part(held.evidence, valid.same, judged.evidence, test.same)
            if fitted["rivals"]:
                said, cut = (judge_pairs(matcher, pairs, rivals=False).probability for pairs in (test, valid))
                run["without_rivals"] = _scores(said, test.same, careful_threshold(cut))
            runs.append(run)
            if number == 0:
                report["trained"] = fitted
                report["test"] = {**_scores(judged.probability, test.same, matcher.threshold), "pairs": len(test), "matches": int(test.same.sum()), "calibration": calibration(judged.probability, test.same)}  # fmt: skip
                if task.save is not None:
                    keep_artifact(folder, task.save, KIND)
        progress("")
    report["threshold"] = report["trained"]["threshold"]
    report["parts"] = {"evidence and text": runs[0]["f1"], "evidence alone": runs[0]["evidence_alone"]["f1"]}
    if report["trained"]["rivals"]:
        report["parts"]["evidence and text, known records and rivals left out"] = runs[0]["without_rivals"][
            "f1"
        ]
    f1 = [run["f1"] for run in runs]
    report["seeds"] = runs
    report["f1_mean"], report["f1_sd"] = round(float(np.mean(f1)), 4), round(float(np.std(f1)), 4)
    report["minutes"] = round((time.monotonic() - begun) / 60, 2)
    report["cpu_minutes"] = round((time.process_time() - cpu) / 60, 2)
    return report


def _information(task: MatchTask) -> list[str]:
    told = ["labels of train", "records of train and valid, for the weights of words", "labels of valid, for calibration, early stopping and the threshold"]  # fmt: skip
    return told + (
        ["records of test without labels, for the weights of words (transductive)"]
        if task.transductive
        else []
    )


def _overlap(train: LabelledPairs, valid: LabelledPairs, test: LabelledPairs) -> dict[str, float]:
    """How much of the test was seen before: its records, and whole pairs (which are then a matter of memory)."""

    def key(record: Record) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((name, value) for name, value in record.items() if value))

    seen = [
        (key(a), key(b)) for pairs in (train, valid) for a, b in zip(pairs.left, pairs.right, strict=True)
    ]
    records, whole = {one for pair in seen for one in pair}, set(seen)
    asked = [(key(a), key(b)) for a, b in zip(test.left, test.right, strict=True)]
    return {
        "test_records_seen": round(float(np.mean([one in records for pair in asked for one in pair])) if asked else 0.0, 3),
        "test_pairs_seen": sum(pair in whole for pair in asked),
    }  # fmt: skip


def _scores(probability: NDArray[np.float64], same: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    precision, recall, f1 = f1_at(probability, same, threshold)
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}


def _part(
    held: NDArray[np.float64], held_same: NDArray[np.bool_], said: NDArray[np.float64], same: NDArray[np.bool_]
) -> dict[str, float]:  # fmt: skip
    """One score alone: calibrated and cut on validation as the whole is."""
    weights = fit_weights(held[:, None], held_same)
    threshold = careful_threshold(sigmoid(held * weights[0] + weights[1]))
    return _scores(sigmoid(said * weights[0] + weights[1]), same, threshold)


def task_of(
    train: Sequence[Path], valid: Path | None, test: Path, *, model: str | None = None, minutes: float = MINUTES, seed: int = 7,
    seeds: int = 1, save: Path | None = None, transductive: bool = False, members: int | None = None, ignore: Sequence[str] = (),
) -> MatchTask:  # fmt: skip
    """A task from what a command line gives; None takes the default. `minutes` bound the training of each seed."""
    options = MatchOptions(minutes=minutes, seed=seed)
    if model is not None:
        options = replace(options, model=model)
    if members is not None:
        options = replace(options, members=members)
    return MatchTask(tuple(train), valid, test, options, seeds, save, transductive, tuple(ignore))
