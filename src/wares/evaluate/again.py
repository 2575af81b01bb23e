"""How well "buy again" tells what is bought again within days of a split, against frequency and recency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.interactions_build import DAY, EventLog
from wares.models.recommend.rebuy_infer import features, probability
from wares.models.recommend.rebuy_train import Purchases, habits_of, learn, next_purchases, purchases_of

K = 10
BINS = 10


def again(
    log: EventLog, category: NDArray[np.int32], start: int, end: int, horizons: tuple[int, ...], seed: int
) -> dict[str, float]:
    """Figures by horizon in days, over pairs bought on at least two days before `start` (Unix seconds).

    ``auc`` over all pairs, ``ndcg@10`` and ``recall@10`` of each shopper's list, ``brier``, ``ece`` (expected
    calibration error over ten equal groups) and ``share`` (how many were bought again); with ``frequency_``,
    ``recency_`` and ``due_`` (gap against the time since, unlearned) for the baselines. Everything is learned before
    `start`; nothing is tuned on what came after.
    """
    past = purchases_of(log, start)
    habits = habits_of(past, category, learn(log, category, start, seed))
    came = next_purchases(log, past, start, end)
    kept = np.flatnonzero(past.days >= 2)
    out: dict[str, float] = {"pairs": float(len(kept)), "shoppers": float(len(np.unique(past.user[kept])))}
    if not len(kept):
        return out
    item, since = past.item[kept], past.end - past.last[kept]
    for days in horizons:
        x = features(habits, item, past.days[kept], past.log_gaps[kept], since, days)
        p = probability(x, habits.weights)
        scores = {
            "": p,
            "frequency_": past.days[kept] + 1e-6 * past.last[kept],
            "recency_": -since.astype(np.float64),
            "due_": x[:, 1],
        }
        label = came[kept] < days
        out[f"share@{days}d"] = float(label.mean())
        for name, score in scores.items():
            out[f"{name}auc@{days}d"] = auc(score, label)
            ndcg, recall = lists(past, kept, score, label)
            out[f"{name}ndcg@{K}@{days}d"], out[f"{name}recall@{K}@{days}d"] = ndcg, recall
        out[f"brier@{days}d"] = float(((p - label) ** 2).mean())
        out[f"brier_of_share@{days}d"] = float(((label.mean() - label) ** 2).mean())
        out[f"ece@{days}d"] = calibration_error(p, label)
    return out


def auc(score: NDArray[Any], label: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN when all labels are alike."""
    positive = int(label.sum())
    negative = len(label) - positive
    if not positive or not negative:
        return math.nan
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    rank = (ends - (size - 1) / 2)[place]
    return float((rank[label].sum() - positive * (positive + 1) / 2) / (positive * negative))


def calibration_error(p: NDArray[np.float64], label: NDArray[np.bool_], bins: int = BINS) -> float:
    """Mean distance of the mean probability from the share that came true, over equally filled groups."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(b) * abs(p[b].mean() - label[b].mean()) for b in parts) / len(p))


def lists(
    past: Purchases, kept: NDArray[Any], score: NDArray[Any], label: NDArray[np.bool_]
) -> tuple[float, float]:
    """Mean NDCG@10 and recall@10 over shoppers who bought something again."""
    user = past.user[kept]
    order = np.lexsort((past.item[kept], -score, user))
    user, hit = user[order], label[order]
    first = np.r_[True, user[1:] != user[:-1]]
    group = np.cumsum(first) - 1
    place = np.arange(len(user)) - np.flatnonzero(first)[group]
    wanted = np.bincount(group, hit)
    gain = np.where(hit & (place < K), 1 / np.log2(place + 2), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, K + 2)))
    some = wanted > 0
    if not some.any():
        return math.nan, math.nan
    best = ideal[np.minimum(wanted[some], K).astype(int) - 1]
    ndcg = np.bincount(group, gain)[some] / best
    recall = np.bincount(group, hit & (place < K))[some] / wanted[some]
    return float(ndcg.mean()), float(recall.mean())


def windows(span: tuple[int, int], horizon: int) -> tuple[int, int]:
    """(start, end) of the test: the last `horizon` days."""
    return span[1] + 1 - horizon * DAY, span[1] + 1
