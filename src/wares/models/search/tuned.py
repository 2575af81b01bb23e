"""How much the products around the best hits count in a search: chosen on what the shop's own shoppers clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact

KIND = "search_tuned"
GRID = (0.1, 0.2, 0.4)
FEWEST = 100
"""Clicked queries in each half below which nothing can be told."""
DEPTH = 10
RESAMPLES = 1000


class Around(Protocol):
    """The neighbourhood of some products: others near to them, and how near any product is to it."""

    @property
    def rows(self) -> NDArray[np.int32]:
        """Products near, nearest first ``(m,)``."""
        ...

    def scores(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """How near products are, 0..1 ``(len(rows),)``."""
        ...


Surroundings = Callable[[NDArray[np.int32], NDArray[np.float32]], Around]
"""Products ``(s,)`` with their shares ``(s,)`` of sum one, to what lies around them."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The share of likeness to the best hits, and how that was found: queries, NDCG@10 without and with it on the half
    that did not choose it, and the 95% interval of the difference. `reason` says why it is 0, where it is. `mood` holds the
    same of moods, with the likeness that was chosen before: ``share``, ``reason``, ``queries``, ``without``, ``with_it``, ``interval``."""

    alike: float
    reason: str = ""
    queries: int = 0
    without: float = 0.0
    with_it: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    mood: dict[str, Any] = field(default_factory=lambda: {"share": 0.0, "reason": "moods were not tried"})

    def facts(self) -> dict[str, Any]:
        """Everything as a dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Shares:
    """What a build found to help, as `wares.models.search.infer.Searcher` takes it: the shares of likeness and of moods, these
    ``(n_items,)``, and the weights of parts; None for what did not."""

    alike: float = 0.0
    mood: float = 0.0
    moods: NDArray[Any] | None = None
    learned: dict[str, float] | None = None

    @classmethod
    def read(cls, folder: Path) -> Shares:
        """Those of the artefact in `folder`; nothing of what a bundle of an earlier version has not."""
        found = open_artifact(folder, KIND)["tuned"] if folder.is_dir() else {}
        mood = float(found.get("mood", {}).get("share", 0.0))
        return cls(
            float(found.get("alike", 0.0)),
            mood,
            load_array(folder, "moods") if mood > 0 else None,
            found.get("fusion", {}).get("weights") or None,
        )


def gain(got: NDArray[Any], worths: NDArray[Any], depth: int = DEPTH) -> float:
    """NDCG of a list whose hits are worth `got`, best place first, where `worths` are all there is to find (Järvelin, Kekäläinen
    2002); NaN where nothing is worth anything."""
    discount = 1 / np.log2(np.arange(2, depth + 2))
    got, best = got[:depth], np.sort(worths)[::-1][:depth]
    ideal = float((best * discount[: len(best)]).sum())
    return float((got * discount[: len(got)]).sum()) / ideal if ideal > 0 else float("nan")


def ndcg(rows: NDArray[Any], clicks: Mapping[int, float], depth: int = DEPTH) -> float:
    """NDCG of a list with graded clicks as gains."""
    got = np.array([clicks.get(int(row), 0.0) for row in rows[:depth]])
    return gain(got, np.fromiter(clicks.values(), float), depth)


def interval(apart: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the mean of paired differences ``(n,)``: bootstrap over queries."""
    draws = rng.integers(0, len(apart), (RESAMPLES, len(apart)))
    low, high = (float(v) for v in np.quantile(apart[draws].mean(1), (0.025, 0.975)))
    return low, high


def choose(
    find: Callable[[str, float], NDArray[Any]],
    clicked: Mapping[str, Mapping[int, float]],
    seed: int,
    grid: Sequence[float] = GRID,
) -> Tuned:
    """The share of likeness that helps: best on one half of the queries, and proven on the other.

    `find` gives the rows for a query under a share; `clicked` has for each query its products with their gains, above 0.
    It stays 0 unless the 95% interval of the paired difference in NDCG@10 (bootstrap over queries) lies above zero.
    """
    names = sorted(clicked)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(names))
    halves = [[names[i] for i in order[0::2]], [names[i] for i in order[1::2]]]
    if len(halves[1]) < FEWEST:
        return Tuned(0.0, "too few clicked queries", len(names))

    def quality(queries: list[str], share: float) -> NDArray[np.float64]:
        return np.array([ndcg(find(q, share), clicked[q]) for q in queries])

    first = quality(halves[0], 0.0).mean()
    means = {share: float(quality(halves[0], share).mean()) for share in grid}
    share = max(grid, key=lambda value: (means[value], -value))
    if means[share] <= first:
        return Tuned(0.0, "no share was better", len(names), float(first), means[share])
    without, having = quality(halves[1], 0.0), quality(halves[1], share)
    apart = having - without
    low, high = interval(apart, rng)
    kept = share if low > 0 else 0.0
    reason = "" if kept else "not proven on the other half"
    return Tuned(kept, reason, len(names), float(without.mean()), float(having.mean()), (low, high))
