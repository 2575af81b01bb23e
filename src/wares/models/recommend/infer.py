"""Rank products for a shopper. numpy only; every array is memory-mapped.

Four signals meet in one list, each scaled to 0..1 within the shopper's candidates:

- ``cf``: learned item-item weights from what the shopper did (closed form, see ``closed_form.py``);
- ``text``: products whose text is near the text of what the shopper did; this is how unsold products get in;
- ``popular``: how many shoppers took the product up lately;
- ``repeat``: how much the shopper did with this very product, with forgetting.

score = Σ weight · signal − tail · (log popularity), then products of a category already shown lose a share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, put_largest

KIND = "recommender"
SIGNALS = ("cf", "text", "popular", "repeat")
MAX_HISTORY = 64
CANDIDATES = 200
DRAFTED = 100
EVIDENCE = 60
TEXTS = 60
FLAT_LIMIT = 500_000


@dataclass(slots=True)
class History:
    """What a shopper did. Arrays have one entry an item: ``items (h,) int32``, ``query (h,)`` and ``repeat (h,)``
    weights with forgetting, ``times (h,)`` how often, ``last (h,)`` Unix seconds."""

    items: NDArray[np.int32]
    query: NDArray[np.float32]
    repeat: NDArray[np.float32]
    times: NDArray[np.int32]
    last: NDArray[np.int64]

    @classmethod
    def empty(cls) -> History:
        """A shopper of whom nothing is known."""
        f = np.zeros(0, np.float32)
        return cls(np.zeros(0, np.int32), f, f, np.zeros(0, np.int32), np.zeros(0, np.int64))


@dataclass(slots=True)
class Candidates:
    """Possible answers: ``items (n,) int32`` ascending and their signals ``(n, 4) float32``, each 0..1."""

    items: NDArray[np.int32]
    signals: NDArray[np.float32]


@dataclass(slots=True)
class Ranked:
    """The answer, best first: items, scores, the signals of each times its weight ``(k, 4)``."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    parts: NDArray[np.float32]


class Recommender:
    """The recommender of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.params: dict[str, Any] = self.manifest["params"]
        self.weights = {
            mode: np.array([self.params[key][name] for name in SIGNALS], np.float32)
            for mode, key in ((True, "blend"), (False, "blend_new"))
        }
        self.n_items = int(self.manifest["n_items"])
        self.cf_row: NDArray[Any] = load_array(folder, "cf_row")
        self.cf_ids: NDArray[Any] = load_array(folder, "cf_ids")
        self.cf_weights: NDArray[Any] = load_array(folder, "cf_weights")
        self.cf_shared: NDArray[Any] = load_array(folder, "cf_shared")
        self.cf_factors: NDArray[Any] = load_array(folder, "cf_factors")
        self.cf_squares: NDArray[Any] = load_array(folder, "cf_squares")
        self.text_of: NDArray[Any] = load_array(folder, "text_of")
        self.text_ids: NDArray[Any] = load_array(folder, "text_ids")
        self.text_sims: NDArray[Any] = load_array(folder, "text_sims")
        self.text_items: NDArray[Any] = load_array(folder, "text_items")
        self.popular: NDArray[Any] = load_array(folder, "popular")
        self.popular_top: NDArray[Any] = load_array(folder, "popular_top")
        self.log_sold: NDArray[Any] = load_array(folder, "log_sold")
        self.category_of: NDArray[Any] = load_array(folder, "category_of")

    @property
    def repeats(self) -> bool:
        """Whether what the shopper already has may come again."""
        return bool(self.params["repeat"])

    def candidates(self, history: History, *, repeats: bool | None = None) -> Candidates:
        """Products worth a look for this shopper, with their signals."""
        repeats = self.repeats if repeats is None else repeats
        if len(history.items) > MAX_HISTORY:
            top = np.argpartition(-history.query, MAX_HISTORY)[:MAX_HISTORY]
            items, query = history.items[top], history.query[top]
        else:
            items, query = history.items, history.query
        cf_ids, cf_values = self._collaborative(items, query)
        text_ids, text_values = self._by_text(items, query)
        popular = self.popular_top[:CANDIDATES]
        own = history.items if repeats else history.items[:0]
        ids = np.unique(np.concatenate([cf_ids, text_ids, popular, own]).astype(np.int32))
        if not repeats and len(history.items):
            ids = ids[~np.isin(ids, history.items)]
        signals = np.zeros((len(ids), len(SIGNALS)), np.float32)
        if len(self.cf_factors):
            self._exact(signals[:, 0], ids, history)
        else:
            put_largest(signals[:, 0], ids, cf_ids, cf_values)
        put_largest(signals[:, 1], ids, text_ids, text_values)
        signals[:, 2] = self.popular[ids]
        if repeats:
            put_largest(signals[:, 3], ids, history.items, history.repeat)
        peak = signals.max(0, initial=0)
        signals /= np.where(peak > 0, peak, 1)
        return Candidates(ids, signals)

    def _collaborative(
        self, items: NDArray[np.int32], query: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = self.cf_row[items]
        known = rows >= 0
        if not known.any():
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        rows, query = rows[known], query[known]
        # With factors the lists only draft candidates, and half of each is enough for that.
        width = DRAFTED if len(self.cf_factors) else self.cf_ids.shape[1]
        ids, values = self.cf_ids[rows, :width], self.cf_weights[rows, :width] * query[:, None]
        return _best(_sum_by_id(ids.ravel(), values.ravel(), self.n_items), CANDIDATES)

    def _exact(self, column: NDArray[np.float32], ids: NDArray[np.int32], history: History) -> None:
        """Scores of the factorised closed form, with all its small and negative weights that neighbour lists drop."""
        rows = self.cf_row[history.items]
        known = rows >= 0
        wanted = np.flatnonzero(self.cf_row[ids] >= 0)
        if not known.any() or not len(wanted):
            return
        query = history.query[known]
        columns = self.cf_row[ids[wanted]]
        squares = self.cf_squares[columns]
        scores = self.cf_factors[columns] @ (query @ self.cf_factors[rows[known]])
        own = np.searchsorted(ids[wanted], history.items[known])
        own = np.minimum(own, len(wanted) - 1)
        there = ids[wanted][own] == history.items[known]
        scores[own[there]] -= query[there] * squares[own[there]]
        column[wanted] = np.maximum(scores / np.maximum(1.0 - squares, 1e-3), 0)

    def _by_text(
        self, items: NDArray[np.int32], query: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        if not len(items) or not self.text_ids.size:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        rows = self.text_of[items]
        ids, values = self.text_ids[rows], self.text_sims[rows].astype(np.float32) * query[:, None]
        texts, values = _best(_sum_by_id(ids.ravel(), values.ravel(), len(self.text_ids)), TEXTS)
        products = self.text_items[texts]
        kept = products >= 0
        return products[kept], np.broadcast_to(values[:, None], products.shape)[kept]

    def rank(
        self,
        history: History,
        k: int,
        *,
        tail: float | None = None,
        diversity: float | None = None,
        repeats: bool | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Ranked:
        """The best `k` products, fewer when there are fewer; ties go to the lower row.

        `allowed (n_items,)` hides products. The last places, a share ``new_share`` of the list, go to products never
        sold whose text is nearest to what the shopper did: without them nothing new would ever be seen.
        """
        found = self.candidates(history, repeats=repeats)
        ids, signals = found.items, found.signals
        if allowed is not None:
            kept = allowed[ids]
            ids, signals = ids[kept], signals[kept]
        if not len(ids):
            return Ranked(ids, np.zeros(0, np.float32), np.zeros((0, len(SIGNALS)), np.float32))
        parts = signals * self.weights[self.repeats if repeats is None else repeats]
        scores = parts.sum(1)
        stranger = not len(history.items)
        if tail is None:
            # The default was tuned on shoppers who are known; what sells is all that a stranger tells us.
            tail = 0.0 if stranger else float(self.params["tail"])
        if tail > 0:
            scale = float(scores.max()) if stranger else float(self.params["tail_scale"])
            scores = scores - np.float32(tail * scale) * self.log_sold[ids]
        diversity = float(self.params["diversity"]) if diversity is None else diversity
        order = diverse(scores, self.category_of[ids], k, diversity)
        unsold = np.flatnonzero((self.log_sold[ids] == 0) & (signals[:, 1] > 0))
        if len(unsold) and len(order) == k:
            order = self._make_room(order, unsold[np.lexsort((ids[unsold], -signals[unsold, 1]))], k)
        return Ranked(ids[order], scores[order], parts[order])

    def new_places(self, k: int) -> int:
        """How many of `k` places belong to new products."""
        return int(np.ceil(k * float(self.params["new_share"]))) if k >= 10 else 0

    def _make_room(self, order: NDArray[np.int64], unsold: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        missing = self.new_places(k) - int(np.isin(order, unsold).sum())
        fresh = unsold[~np.isin(unsold, order)][: max(missing, 0)]
        return np.concatenate([order[: k - len(fresh)], fresh]) if len(fresh) else order

    def evidence(self, items: NDArray[np.int32], history: History) -> dict[int, tuple[int, int]]:
        """For each of `items` that can be explained so: the thing the shopper did that speaks most for it, and how
        many shoppers have both."""
        rows = self.cf_row[history.items]
        known = np.flatnonzero(rows >= 0)
        if not len(known) or not len(items):
            return {}
        known = known[np.argsort(-history.query[known], kind="stable")[:EVIDENCE]]
        mine = rows[known]
        ids = self.cf_ids[mine, :DRAFTED]
        place = np.flatnonzero(np.isin(ids.ravel(), items))
        if not len(place):
            return {}
        line, column = np.divmod(place, ids.shape[1])
        value = self.cf_weights[mine[line], column] * history.query[known[line]]
        out: dict[int, tuple[int, int]] = {}
        # Weakest first, so that the strongest is written last.
        for i in np.argsort(value, kind="stable").tolist():
            out[int(ids[line[i], column[i]])] = (
                int(history.items[known[line[i]]]),
                int(self.cf_shared[mine[line[i]], column[i]]),
            )
        return out

    def nearest_text(self, item: int, history: History) -> int | None:
        """The thing the shopper did whose text is nearest to that of `item`."""
        if len(history.items) == 0 or not self.text_ids.size:
            return None
        rows = self.text_of[history.items]
        line, column = np.nonzero(self.text_ids[rows] == self.text_of[item])
        if not len(line):
            return None
        best = int(np.argmax(self.text_sims[rows[line], column]))
        return int(history.items[line[best]])


def _sum_by_id(ids: NDArray[Any], values: NDArray[Any], n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    kept = ids >= 0
    if not kept.all():
        ids, values = ids[kept], values[kept]
    if n <= FLAT_LIMIT:
        sums = np.bincount(ids, values, minlength=n)
        found = np.flatnonzero(sums != 0)  # of booleans: ten times faster than of floats
        return found.astype(np.int32), sums[found].astype(np.float32)
    # A flat array of ten million places for a few thousand values would cost more than sorting them.
    found, inverse = np.unique(ids, return_inverse=True)
    return found.astype(np.int32), np.bincount(inverse, values).astype(np.float32)


def _best(pairs: tuple[NDArray[Any], NDArray[Any]], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    ids, values = pairs
    if len(ids) <= k:
        return ids, values
    top = np.argpartition(-values, k)[:k]
    return ids[top], values[top]


def diverse(scores: NDArray[Any], category: NDArray[Any], k: int, diversity: float) -> NDArray[np.int64]:
    """Positions of the best `k`, where each further hit of a category loses the share `diversity` of the score range.

    A greedy re-ranking in the manner of maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998) with
    "same category" as the likeness.
    """
    pool = np.lexsort((np.arange(len(scores)), -scores))[: max(5 * k, 50)]
    k = min(k, len(pool))
    if diversity <= 0 or len(pool) <= 1:
        return pool[:k]
    value = scores[pool].astype(np.float64)
    group = category[pool]
    span = max(float(value[0] - value[-1]), 1e-9)
    # The loss is a share of the distance that the list itself spans, so that it means the same in every shop.
    step = diversity * 0.2 * span
    chosen = np.zeros(k, np.int64)
    for place in range(k):
        best = int(np.argmax(value))
        chosen[place] = pool[best]
        if group[best] >= 0:
            value[group == group[best]] -= step
        value[best] = -np.inf
    return chosen
