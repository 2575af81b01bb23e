"""How well planted label errors are found: the measurement behind ``wares evaluate label-errors``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.data.labels.doubt import confident, find_doubts
from wares.data.labels.views import Views, tidy

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def plant(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Change `share` of the labels, chosen at random, to another one at random; ``(labels, planted)``, each ``(n,)``."""
    names = np.unique(labels)
    planted = np.zeros(len(labels), bool)
    planted[rng.permutation(len(labels))[: round(share * len(labels))]] = True
    step = rng.integers(1, len(names), len(labels))
    other = names[(np.searchsorted(names, labels) + step) % len(names)]
    return np.where(planted, other, labels), planted


def scores(
    planted: NDArray[np.bool_], found: NDArray[np.bool_], doubt: NDArray[np.float64]
) -> dict[str, float]:
    """Precision, recall and F1 of `found`, average precision of the ranking by `doubt`, and precision among the first n_planted."""
    hits, n = int((planted & found).sum()), int(planted.sum())
    precision, recall = hits / max(int(found.sum()), 1), hits / max(n, 1)
    order = np.argsort(-np.nan_to_num(doubt, nan=-1.0), kind="stable")
    right = np.cumsum(planted[order])
    at = np.arange(1, len(order) + 1)
    return {
        "precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12),
        "average_precision": float((right / at)[planted[order]].mean()) if n else 0.0,
        "precision_at_planted": float(right[n - 1] / n) if n else 0.0, "found": float(found.sum()),
    }  # fmt: skip


def repeats(texts: Sequence[str], labels: Sequence[Any]) -> dict[str, int]:
    """How many rows repeat an earlier text, and how many texts carry different labels: noise that was there before planting."""
    seen: dict[str, set[Any]] = {}
    repeated = 0
    for text, label in zip(texts, labels, strict=True):
        known = seen.setdefault(tidy(text), set())
        repeated += bool(known)
        known.add(label)
    return {"repeated": repeated, "conflicting": sum(len(known) > 1 for known in seen.values())}


def evaluate_label_errors(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    share: float = 0.05,
    n: int = 5000,
    seeds: int = 5,
    encode: Encode | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Plant wrong labels into `n` rows drawn anew for each seed, look for them, and report means with their spread.

    Beside ours stands the textbook way as `baseline`: one TF-IDF logistic regression on words and cleanlab's default
    filter. The precision is a lower bound: labels that were wrong before count as false alarms.

    Raises:
        DataError: when there are fewer than 100 usable rows or only one label.
    """
    rows = [i for i, (text, label) in enumerate(zip(texts, labels, strict=True)) if text.strip() and label]
    names = sorted({labels[i] for i in rows})
    if len(rows) < 100 or len(names) < 2:
        raise DataError(
            f"{len(rows)} usable rows with {len(names)} labels are too few",
            mend="Give a file with at least 100 texts and two labels",
            table="file",
        )
    ours, base, seconds, samples = [], [], [], []
    noise = repeats([texts[i] for i in rows], [labels[i] for i in rows])
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 2026])
        picked = [rows[int(i)] for i in np.sort(rng.permutation(len(rows))[:n])]
        part = [texts[i] for i in picked]
        truth = np.array([names.index(labels[i]) for i in picked], np.int64)
        given, planted = plant(truth, share, rng)

        def stage(what: str, seed: int = seed) -> None:
            progress(f"seed {seed + 1} of {seeds}, {what}")

        stage("vectors") if encode else None
        vectors = encode(part) if encode else None
        begun = time.perf_counter()
        doubts = find_doubts(part, given, vectors=vectors, seed=seed, progress=stage)
        seconds.append(time.perf_counter() - begun)
        ours.append(scores(planted, doubts.found, doubts.score))
        stage("baseline")
        base.append(_baseline(part, given, planted, seed))
        if not samples:
            samples = [
                {
                    "text": part[i][:300], "label": names[int(given[i])], "suggested": names[int(doubts.suggested[i])],
                    "score": round(float(doubts.score[i]), 4),
                }
                for i in doubts.order if not planted[i]
            ][:10]  # fmt: skip
    return {
        "what": "label-errors", "rows": min(n, len(rows)), "labels": len(names), "planted_share": share, "seeds": seeds,
        "seconds": round(float(np.mean(seconds)), 1), "file": {"usable": len(rows), **noise},
        "found": _spread(ours), "baseline": _spread(base), "doubted_though_not_planted": samples,
    }  # fmt: skip


def _spread(runs: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "mean": round(float(np.mean([run[name] for run in runs])), 4),
            "sd": round(float(np.std([run[name] for run in runs], ddof=1)), 4) if len(runs) > 1 else 0.0,
            "each": [round(run[name], 4) for run in runs],
        }
        for name in runs[0]
    }


def _baseline(
    texts: Sequence[str], given: NDArray[np.int64], planted: NDArray[np.bool_], seed: int
) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    probabilities = cross_val_predict(
        LogisticRegression(max_iter=500), Views.of(texts).words, given, method="predict_proba",
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
    )  # fmt: skip
    found = confident(given, probabilities, "prune_by_noise_rate")
    return scores(planted, found, 1 - probabilities[np.arange(len(given)), given])
