"""The result of an evaluation: one JSON form for every ``wares evaluate``, a table, and a page with plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.evaluate.metrics import Lists, Truth, bootstrap, list_metrics, per_user

GROUPS = ("head", "middle", "tail")


@dataclass
class Report:
    """Figures by flat name (``ndcg@10``, ``tail_recall@20`` …), their 95% intervals, and the same for baselines.

    ``differences`` sets a metric against the best baseline of it, user by user. ``parts`` has a row for each part of a model alone and for each blend of them, with the spread over seeds.
    """

    command: str
    data: dict[str, Any]
    seed: int
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    baseline_intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    peak_rss_mb: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain values, rounded to six places."""
        return {name: _round(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        """Back from plain values."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__ if name in value})


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _round(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_round(v) for v in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 6)
    return int(value) if isinstance(value, np.integer) else value


@dataclass(frozen=True)
class Setting:
    """What all rankers of an evaluation share: list lengths, product groups, categories, popularity."""

    ks: Sequence[int]
    n_items: int
    n_users: int
    group: NDArray[np.int8]
    cold: NDArray[np.bool_]
    category: NDArray[np.int32]
    popularity: NDArray[Any]
    resamples: int
    seed: int


def measure(
    lists: Lists, truth: Truth, setting: Setting, *, groups: bool = True
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """All metrics of some lists with their intervals, overall and, with `groups`, on head, middle, tail and cold products
    apart."""
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}

    def take(prefix: str, wanted: Truth) -> None:
        for name, values in per_user(lists, wanted, setting.ks).items():
            asked = values[~np.isnan(values)]
            metrics[prefix + name] = float(asked.mean()) if len(asked) else 0.0
            intervals[prefix + name] = bootstrap(values, setting.resamples, setting.seed)

    take("", truth)
    if groups:
        for code, name in enumerate(GROUPS):
            take(f"{name}_", [t[(setting.group[t] == code) & ~setting.cold[t]] for t in truth])
        take("cold_", [t[setting.cold[t]] for t in truth])
    metrics.update(
        list_metrics(
            lists,
            setting.ks,
            setting.n_items,
            setting.group,
            setting.category,
            setting.popularity,
            setting.n_users,
        )
    )
    return metrics, intervals


def differences(lists: dict[str, Lists], truth: Truth, setting: Setting) -> dict[str, dict[str, Any]]:
    """How far ``wares`` is from the baseline with the best mean, by metric: ``against``, ``mean`` and the 95% ``interval``
    of a paired bootstrap over users (Efron, Tibshirani 1993), which is much narrower than two intervals set beside each
    other. Needs ``wares`` and a baseline among the lists."""
    values = {name: per_user(one, truth, setting.ks) for name, one in lists.items()}
    out: dict[str, dict[str, Any]] = {}
    others = [name for name in lists if name != "wares"]
    for metric in values["wares"] if others else []:
        means = {name: _mean(values[name][metric]) for name in others}
        best = max(means, key=lambda name: means[name])
        apart = values["wares"][metric] - values[best][metric]
        interval = bootstrap(apart, setting.resamples, setting.seed)
        out[metric] = {"against": best, "mean": _mean(apart), "interval": interval}
    return out


def _mean(values: NDArray[np.float64]) -> float:
    asked = values[~np.isnan(values)]
    return float(asked.mean()) if len(asked) else 0.0


def recall_by_decile(lists: Lists, truth: Truth, popularity: NDArray[Any], k: int) -> list[float]:
    """Share of wanted products found in the first `k`, by decile of popularity (best-sellers first)."""
    order = np.lexsort((np.arange(len(popularity)), -popularity))
    sold = popularity[order] > 0
    decile = np.full(len(popularity), 9)
    decile[order[sold]] = np.arange(sold.sum()) * 10 // max(int(sold.sum()), 1)
    wanted, found = np.zeros(10), np.zeros(10)
    for row, items in enumerate(truth):
        np.add.at(wanted, decile[items], 1)
        np.add.at(found, decile[items], np.isin(items, lists[row, :k]))
    return [float(f / w) if w else 0.0 for f, w in zip(found, wanted, strict=True)]


def lorenz(lists: Lists, n_items: int, k: int, points: int = 60) -> list[tuple[float, float]]:
    """Points of the Lorenz curve: share of products (least shown first) → share of all places in lists."""
    shown = lists[:, :k]
    counts = np.sort(np.bincount(shown[shown >= 0], minlength=n_items))
    share = np.concatenate([[0.0], np.cumsum(counts) / max(counts.sum(), 1)])
    at = np.unique(np.linspace(0, n_items, points).astype(int))
    return [(float(i / n_items), float(share[i])) for i in at]
