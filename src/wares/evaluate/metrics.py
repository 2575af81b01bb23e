"""Ranking metrics, one number a user, so that means, segments and bootstrap intervals come from the same table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lists = NDArray[np.int32]
Truth = Sequence[NDArray[np.int32]]


def hits_of(lists: Lists, truth: Truth) -> NDArray[np.bool_]:
    """Whether each place of each list ``(n_users, k)`` holds a wanted item; -1 pads lists and never hits."""
    out = np.zeros(lists.shape, bool)
    for row, wanted in enumerate(truth):
        out[row] = np.isin(lists[row], wanted) & (lists[row] >= 0)
    return out


def per_user(lists: Lists, truth: Truth, ks: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """``hr@k``, ``recall@k``, ``ndcg@k`` and ``mrr@k`` of each user ``(n_users,)``.

    The ideal of NDCG is min(k, number wanted) hits on top; recall divides by the number wanted.
    Users who want nothing get NaN.
    """
    hits = hits_of(lists, truth)
    wanted = np.array([len(t) for t in truth], np.float64)
    none = wanted == 0
    gains = np.cumsum(1.0 / np.log2(np.arange(2, max(ks) + 2)))
    out: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        top = hits[:, :k]
        width = top.shape[1]
        found = top.sum(1)
        first = np.where(top.any(1), top.argmax(1) + 1, np.inf) if width else np.full(len(top), np.inf)
        ideal = gains[np.clip(np.minimum(wanted, k).astype(int) - 1, 0, None)]
        values = {
            "hr": (found > 0).astype(np.float64),
            "recall": found / np.maximum(wanted, 1),
            "ndcg": (top / np.log2(np.arange(2, width + 2))).sum(1) / ideal,
            "mrr": 1.0 / first,
        }
        for name, value in values.items():
            out[f"{name}@{k}"] = np.where(none, np.nan, value)
    return out


def list_metrics(
    lists: Lists,
    ks: Sequence[int],
    n_items: int,
    group: NDArray[np.int8],
    category: NDArray[np.int32],
    popularity: NDArray[Any],
    n_users: int,
) -> dict[str, float]:
    """What the lists are like, whoever they are for.

    ``coverage`` share of the catalogue shown to anyone; ``gini`` of how often products are shown, over the whole
    catalogue; ``novelty`` mean −log2 of the share of users who have a shown product; ``diversity`` share of pairs
    in a list with different categories; ``tail_share`` share of shown products from the long tail (group 2).
    """
    out: dict[str, float] = {}
    for k in ks:
        top = lists[:, :k]
        shown = top[top >= 0]
        counts = np.bincount(shown, minlength=n_items)
        out[f"coverage@{k}"] = float((counts > 0).sum() / max(n_items, 1))
        out[f"gini@{k}"] = gini(counts)
        share = (popularity[shown] + 1.0) / (n_users + 1.0)
        out[f"novelty@{k}"] = float(-np.log2(share).mean()) if len(shown) else 0.0
        out[f"tail_share@{k}"] = float((group[shown] == 2).mean()) if len(shown) else 0.0
        out[f"diversity@{k}"] = _diversity(top, category)
    return out


def _diversity(top: Lists, category: NDArray[np.int32]) -> float:
    values = []
    for row in top:
        names = category[row[row >= 0]]
        if len(names) > 1:
            same = (names[:, None] == names[None, :]) & (names[:, None] >= 0)
            pairs = len(names) * (len(names) - 1)
            values.append(1 - (same.sum() - (names >= 0).sum()) / pairs)
    return float(np.mean(values)) if values else 0.0


def gini(counts: NDArray[Any]) -> float:
    """Gini coefficient: 0 when all are shown equally often, 1 when one is shown always."""
    ordered = np.sort(counts.astype(np.float64))
    n, total = len(ordered), ordered.sum()
    if n == 0 or total == 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def popularity_groups(counts: NDArray[Any], head: float, tail: float) -> NDArray[np.int8]:
    """0 head, 1 middle, 2 tail for each item ``(n_items,)``.

    Items in order of their count: the first with the share `head` of all deeds are the head, the last with the
    share `tail`, and all with none, are the tail.
    """
    order = np.lexsort((np.arange(len(counts)), -counts))
    share = np.cumsum(counts[order]) / max(counts.sum(), 1)
    group = np.full(len(counts), 1, np.int8)
    before = np.concatenate([[0.0], share[:-1]])
    group[order[before < head]] = 0
    group[order[before >= 1 - tail]] = 2
    group[counts == 0] = 2
    return group


def bootstrap(values: NDArray[np.float64], resamples: int, seed: int) -> tuple[float, float]:
    """95% percentile interval of the mean over users (Efron, Tibshirani 1993); NaN entries are left out."""
    values = values[~np.isnan(values)]
    if not len(values):
        return (0.0, 0.0)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, 50):
        n = min(50, resamples - start)
        means[start : start + n] = values[rng.integers(0, len(values), (n, len(values)))].mean(1)
    return (float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975)))
