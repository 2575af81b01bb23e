"""What active learning is worth against random choice: the measurement behind ``wares evaluate active``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.data.labels.active import FIRST, Learner, choose
from wares.data.labels.views import Views
from wares.evaluate.label_errors import Encode, repeats

POINTS = (50, 100, 200, 300, 400, 500, 750, 1000, 1500, 2000)


def evaluate_active(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    budget: int = 500,
    seeds: int = 5,
    pool: int = 5000,
    test: int = 3000,
    batch: int = 25,
    strategy: str = "diverse",
    encode: Encode | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Label `budget` texts of a pool by `strategy` and at random, with the same model, and compare accuracy on unseen texts.

    Each seed draws pool and test anew, and no text stands in both; both ways share the draw, so their differences are
    paired. The interval is Student's t over the seeds. `full` is the model with the whole pool labelled;
    ``random_labels_to_match`` says, for each seed, how many labels random choice needs for the same accuracy (None: more
    than twice the budget).

    Raises:
        DataError: when the file has too few usable rows.
    """
    first: dict[str, int] = {}
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if text.strip() and label:
            first.setdefault(text, i)
    rows = np.array(list(first.values()), np.int64)
    names = sorted({labels[i] for i in rows})
    if len(rows) < 2 * budget or len(names) < 2:
        raise DataError(
            f"{len(rows)} different texts with {len(names)} labels are too few for a budget of {budget}",
            mend="Give a larger file, or a smaller --budget",
            table="file",
        )
    n_test = min(test, len(rows) // 3)
    n_pool = min(pool, len(rows) - n_test)
    curves: dict[str, list[dict[int, float]]] = (
        {strategy: [], "random": []} if strategy != "random" else {"random": []}
    )
    full, begun = [], time.perf_counter()
    for seed in range(seeds):
        drawn = np.random.default_rng([seed, 2027]).permutation(rows)[: n_pool + n_test]
        part = [texts[int(i)] for i in drawn]
        y = np.array([names.index(labels[int(i)]) for i in drawn], np.int64)
        progress(f"seed {seed + 1} of {seeds}, views")
        views = Views.of(part, encode(part) if encode else None, seed)
        unseen = np.arange(n_pool, n_pool + n_test)
        full.append(_accuracy(views, np.arange(n_pool), y, unseen))
        for way, curve in curves.items():
            progress(f"seed {seed + 1} of {seeds}, {way}")
            curve.append(learn(views, y, np.arange(n_pool), unseen, budget, batch, way, seed))
    points = sorted(curves[strategy][0])
    gain = [
        ours[points[-1]] - by_chance[points[-1]]
        for ours, by_chance in zip(curves[strategy], curves["random"], strict=True)
    ]
    saved = [_reached(curves["random"][s], c[points[-1]]) for s, c in enumerate(curves[strategy])]
    return {
        "what": "active", "strategy": strategy, "budget": budget, "seeds": seeds, "pool": n_pool, "test": n_test,
        "seconds": round(time.perf_counter() - begun, 1),
        "file": repeats([t for t in texts if t.strip()], [n for t, n in zip(texts, labels, strict=True) if t.strip()]),
        "curve": [
            {"labels": p, **{way: _stat([c[p] for c in curve]) for way, curve in curves.items()}} for p in points
        ],
        "accuracy": {way: _stat([c[points[-1]] for c in curve]) for way, curve in curves.items()},
        "full": _stat(full), "gain": {**_stat(gain), "interval95": _interval(gain)},
        "random_labels_to_match": saved,
    }  # fmt: skip


def learn(
    views: Views,
    y: NDArray[np.int64],
    pool: NDArray[np.int64],
    unseen: NDArray[np.int64],
    budget: int,
    batch: int,
    strategy: str,
    seed: int,
) -> dict[int, float]:
    """Accuracy on `unseen` after so many labels of `pool`; random choice goes on to twice the budget, to see what it would take."""
    labelled = np.zeros(0, np.int64)
    marks = sorted({p for p in POINTS if p < budget} | {budget})
    if strategy == "random":
        order = choose(views, labelled, y[labelled], pool, len(pool), strategy="random", seed=seed)
        beyond = {p for p in (*POINTS, 2 * budget) if budget < p <= min(2 * budget, len(pool))}
        return {p: _accuracy(views, order[:p], y, unseen) for p in sorted({*marks, *beyond})}
    curve: dict[int, float] = {}
    for mark in marks:
        while len(labelled) < mark:
            n = FIRST if not len(labelled) else min(batch, mark - len(labelled))
            rest = np.setdiff1d(pool, labelled)
            labelled = np.concatenate(
                [labelled, choose(views, labelled, y[labelled], rest, n, strategy=strategy, seed=seed)]
            )
        curve[mark] = _accuracy(views, labelled, y, unseen)
    return curve


def _accuracy(
    views: Views, rows: NDArray[np.int64], y: NDArray[np.int64], unseen: NDArray[np.int64]
) -> float:
    if len(np.unique(y[rows])) < 2:
        return float((y[unseen] == y[rows][0]).mean())
    model = Learner(views).fit(rows, y[rows])
    return float((model.names[model.predict(unseen).argmax(1)] == y[unseen]).mean())


def _reached(curve: dict[int, float], accuracy: float) -> int | None:
    return next((p for p, value in sorted(curve.items()) if value >= accuracy), None)


def _stat(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": round(float(np.mean(values)), 4),
        "sd": round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else 0.0,
        "each": [round(v, 4) for v in values],
    }


def _interval(values: Sequence[float]) -> list[float] | None:
    """Student's t interval of the mean at 95 %; None for a single value."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    middle = float(np.mean(values))
    return [round(middle - half, 4), round(middle + half, 4)]
