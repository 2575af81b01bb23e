"""How well a classifier does where it has seen little: on a group that it was not trained on, and from a few labels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wares.core.arrays import keep_artifact
from wares.core.errors import QueryError
from wares.evaluate.sentiment import (
    TEST,
    SentimentTask,
    frozen_of,
    memory_of_bags,
    read_texts,
    report_of,
    run_once,
    scores,
    share_of,
)
from wares.evaluate.sentiment_files import labelled, names_of
from wares.models.sentiment.calibration import expected_error
from wares.models.sentiment.few_train import sample_shots, train_few
from wares.models.sentiment.infer import KIND, Sentiment
from wares.models.sentiment.neutral import neutral
from wares.models.sentiment.prepare import prepared

SEEDS = 5
MOST_GROUPS = 50
Say = Callable[[str], None]


def leave_out(task: SentimentTask, column: str, progress: Say = lambda _: None) -> dict[str, Any]:
    """For each value of `column`: trained on the texts of all others, tested on its own.

    Returns the figures of each, their mean, and those of all texts together. Nothing of the group left out is looked at, not
    even for settings, blend and thresholds.

    Raises:
        QueryError: when the column has one value or too many, or a group lacks what is asked.
    """
    task = replace(task, by=column, folds=0, test=None, valid=None, save=None)
    rows = read_texts(task.train, task)
    groups = sorted(set(rows.by))
    if not 2 <= len(groups) <= MOST_GROUPS:
        raise QueryError(
            f"the column {column!r} has {len(groups)} values", mend=f"Name one with 2 to {MOST_GROUPS}", parameter="leave_out",
        )  # fmt: skip
    bags, frozen = memory_of_bags(), frozen_of(task)
    by, runs, found = np.array(rows.by), [], {}
    for n, group in enumerate(groups, 1):
        progress(f"{group}: {n} of {len(groups)}")
        inside = by == group
        # Thresholds of groups say nothing of one that is not among them.
        run = run_once(replace(task, by=""), rows.some(~inside), rows.some(inside), progress, bags, frozen)
        runs.append(run)
        report = report_of(replace(task, by=""), [run])
        found[group] = {
            key: report[key] for key in ("texts", "accuracy", "interval", "macro_f1", "ece", "parts", "sure", "baseline", "minutes")
        }  # fmt: skip
    together = report_of(task, runs)
    return {
        "left_out": column, "groups": found,
        "mean": {key: float(np.mean([one[key] for one in found.values()])) for key in ("accuracy", "macro_f1", "ece")},
        "together": {key: together[key] for key in ("texts", "accuracy", "interval", "macro_f1", "ece", "sure", "confusion", "labels", "minutes")},
    }  # fmt: skip


def few_shots(
    task: SentimentTask, shots: int, seeds: int = SEEDS, progress: Say = lambda _: None
) -> dict[str, Any]:
    """`shots` texts of each label drawn with each of several seeds, and nothing else to learn or to choose from; the test is
    the file given, or a tenth of the texts by hash. Returns each draw's figures, their mean and their spread.

    Raises:
        QueryError: when a label has too few texts.
    """
    rows = read_texts(task.train, task)
    if task.test is not None:
        test = read_texts([task.test], task)
    else:
        far = np.array([share_of(text, task.seed) for text in rows.texts]) >= 1 - TEST
        rows, test = rows.some(~far), rows.some(far)
    names = names_of(rows, task)
    truth = labelled(test, names, task, "the test").labels
    held = {prepared(text) for text in test.texts}
    own = np.array([prepared(text) not in held for text in rows.texts], bool)
    pool = labelled(rows, names, task).some(own)
    frozen = frozen_of(replace(task, encoder=replace(task.encoder, method="frozen")))
    vectors = None if frozen is None else frozen.of([neutral(text) for text in test.texts], progress)
    draws: list[dict[str, Any]] = []
    for seed in range(task.seed, task.seed + seeds):
        progress(f"draw {seed - task.seed + 1} of {seeds}")
        with tempfile.TemporaryDirectory(prefix="wares-sentiment-") as scratch:
            folder = Path(scratch) / "model"
            folder.mkdir()
            facts = train_few(sample_shots(pool, shots, seed), folder, frozen, task.precision, seed, progress)
            model = Sentiment(folder)
            p = model.calibrated(model.parts(test.texts, None if model.text is None else vectors))
            if task.save is not None and seed == task.seed:
                keep_artifact(folder, task.save, KIND)
        figures = scores(p, truth, names)
        draws.append({
            "seed": seed, "accuracy": figures["accuracy"], "macro_f1": figures["macro_f1"], "ece": expected_error(p, truth),
            "used": facts["used"], "inside": facts["inside"],
        })  # fmt: skip

    def spread(key: str) -> dict[str, float]:
        values = np.array([draw[key] for draw in draws])
        return {"mean": float(values.mean()), "deviation": float(values.std(ddof=1)) if len(values) > 1 else 0.0, "least": float(values.min()), "most": float(values.max())}  # fmt: skip

    return {
        "shots": shots, "labels": list(names), "test_texts": len(truth), "draws": draws, "accuracy": spread("accuracy"),
        "macro_f1": spread("macro_f1"), "ece": spread("ece"),
    }  # fmt: skip
