"""Rank products for a shopper. numpy only; every array is memory-mapped.

Four signals meet in one list, each scaled to 0..1 within the shopper's candidates:

- ``cf``: learned item-item weights from what the shopper did (closed form, see ``closed_form.py``);
- ``text``: products whose text is near the text of what the shopper did; this is how unsold products get in;
- ``popular``: how many shoppers took the product up lately;
- ``repeat``: how much the shopper did with this very product, with forgetting.

Where enough was learned (``learned.py``), the best of them are scored once more: what the shopper had and what is new
to them apart, each by its log-odds of being bought. Otherwise score = Σ weight · signal. Then the score loses
tail · (log popularity), and products of a category already shown lose a share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, put_largest
from wares.core.errors import IncompatibleArtifact
from wares.models.recommend import alike as lists_of_likeness
from wares.models.recommend.alike import Alike
from wares.models.recommend.history import History
from wares.models.recommend.learned import Learned
from wares.models.recommend.lists import CANDIDATES, best_new, best_of, diverse, place_in, sum_by_id, union_of
from wares.models.recommend.moments import LEADS
from wares.models.recommend.mood import LEADS as MOOD_LEADS
from wares.models.recommend.mood import Mood, stepped

KIND = "recommender"
FORM = 4
"""Which arrays and facts an artefact has; another one is refused."""
SIGNALS = ("cf", "text", "popular", "repeat")
MAX_HISTORY = 64
DRAFTED = 100
EVIDENCE = 60
TEXTS = 60
ALIKE = LEADS.index("alike")
ALIKE_END = ALIKE + len(lists_of_likeness.LEADS)
MOOD = LEADS.index(MOOD_LEADS[0])
THIN = (1, 2, 3, 5)
"""Numbers of deeds of a newcomer for which the signals are weighed apart; the last holds up to `NEWCOMER` deeds."""
NEWCOMER = 8


@dataclass(slots=True)
class Candidates:
    """Possible answers: ``items (n,) int32`` ascending, their signals ``(n, 4) float32``, each 0..1, and for the learned
    ranker ``leads (n, len(LEADS)) float32`` and ``own (n,) int64``, the place in the history or -1."""

    items: NDArray[np.int32]
    signals: NDArray[np.float32]
    leads: NDArray[np.float32]
    own: NDArray[np.int64]


@dataclass(slots=True)
class Weighed:
    """Candidates with their scores, before any order: items ``(n,)``, scores, signals times weights ``(n, 4)``, the text
    signal, and whether the shopper is one of whom little is known."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    parts: NDArray[np.float32]
    text: NDArray[np.float32]
    stranger: bool


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
        if self.manifest.get("form") != FORM:
            raise IncompatibleArtifact(
                f"{folder} has form {self.manifest.get('form', 1)} of a recommender, not {FORM}",
                mend="Build and publish again with this version of wares",
                path=str(folder),
            )
        self.params: dict[str, Any] = self.manifest["params"]
        self.weigh(self.params)
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
        self.popular_scale = max(float(self.popular.max(initial=0)), 1e-6)
        self.learned: Learned | None = None
        self.has_near = bool(self.manifest["near"])
        if self.has_near:
            self.near_ids: NDArray[Any] = load_array(folder, "near_ids")
            self.near_sims: NDArray[Any] = load_array(folder, "near_sims")
            self.near_items: NDArray[Any] = load_array(folder, "near_items")
            self.near_weights: NDArray[Any] = load_array(folder, "near_weights")
        self.has_graph = bool(self.manifest["graph"])
        if self.has_graph:
            self.graph_ids: NDArray[Any] = load_array(folder, "graph_ids")
            self.graph_sims: NDArray[Any] = load_array(folder, "graph_sims")
        self.alike = Alike(folder) if self.manifest["alike"] else None
        self.mood = Mood(folder) if self.manifest["mood"] else None
        if self.manifest["learned"]:
            self.learned = Learned(folder, self.manifest["learned"], self.category_of, self.text_of)

    def weigh(self, params: dict[str, Any]) -> None:
        """Take the weights of the blend, with and without repeats, from `params`."""
        self.weights = {
            mode: np.array([params[key][name] for name in SIGNALS], np.float32)
            for mode, key in ((True, "blend"), (False, "blend_new"))
        }
        self.thin = {
            int(deeds): np.array([weights[name] for name in SIGNALS], np.float32)
            for deeds, weights in params.get("blend_thin", {}).items()
        }

    @property
    def repeats(self) -> bool:
        """Whether what the shopper already has may come again."""
        return bool(self.params["repeat"])

    def _for_newcomer(self, history: History, repeats: bool) -> NDArray[np.float32] | None:
        """The weights for a shopper whom the model has not met, after so few deeds; None for others."""
        deeds = max((n for n in self.thin if n <= len(history.items)), default=0)
        if history.row >= 0 or not deeds or len(history.items) > NEWCOMER:
            return None
        weights = self.thin[deeds].copy()
        if repeats:
            # What was done keeps the place among the rest that it has for regulars.
            usual = self.weights[True]
            weights[3] = usual[3] * weights[:3].sum() / max(float(usual[:3].sum()), 1e-6)
        return weights

    def candidates(
        self,
        history: History,
        *,
        repeats: bool | None = None,
        drafted: tuple[NDArray[Any], NDArray[Any]] | None = None,
    ) -> Candidates:
        """Products worth a look for this shopper, with their signals.

        `drafted` (items, scores) stands for the collaborative draft where an artefact has no neighbour lists.
        """
        repeats = self.repeats if repeats is None else repeats
        if len(history.items) > MAX_HISTORY:
            top = np.argpartition(-history.query, MAX_HISTORY)[:MAX_HISTORY]
            items, query = history.items[top], history.query[top]
        else:
            items, query = history.items, history.query
        cf_ids, cf_values = self._collaborative(items, query, history.items) if drafted is None else drafted
        text_ids, text_values = self._by_text(items, query)
        near_ids, near_values = self._by_near(history)
        graph_ids, graph_values = self._by_graph(items, query, history.items)
        alike = None if self.alike is None else self.alike.drawn(items, query, history.items)
        popular = self.popular_top[:CANDIDATES]
        drafts = [cf_ids, text_ids, near_ids, graph_ids, popular]
        if alike is not None:
            drafts.append(alike.ids)
        ids = union_of([*drafts, history.items] if repeats else drafts, self.n_items)
        if not repeats and len(history.items):
            ids = ids[place_in(history.items, ids) < 0]
        signals = np.zeros((len(ids), len(SIGNALS)), np.float32)
        if len(self.cf_factors):
            self._exact(signals[:, 0], ids, history)
        else:
            put_largest(signals[:, 0], ids, cf_ids, cf_values)
        put_largest(signals[:, 1], ids, text_ids, text_values)
        signals[:, 2] = self.popular[ids]
        if repeats:
            put_largest(signals[:, 3], ids, history.items, history.repeat)
        own = place_in(history.items, ids)
        # Against the best that is new to the shopper, so that the numbers mean the same with and without repeats.
        best = signals[own < 0].max(0, initial=0)
        best = np.where(best > 0, best, 1)
        leads = np.full((len(ids), len(LEADS)), np.nan, np.float32)
        leads[:, 0] = signals[:, 0]
        leads[:, 1:3] = signals[:, :2] / best[:2]
        leads[:, 3] = signals[:, 2] / self.popular_scale
        if len(near_ids):
            leads[:, 4] = 0
            put_largest(leads[:, 4], ids, near_ids, near_values)
        if len(graph_ids):
            leads[:, 5] = 0
            put_largest(leads[:, 5], ids, graph_ids, graph_values)
            leads[:, 5] /= max(float(leads[own < 0, 5].max(initial=0)), 1e-9)
        if self.alike is not None and alike is not None:
            leads[:, ALIKE:ALIKE_END] = self.alike.leads(alike, ids, own)
        if self.mood is not None:
            leads[:, MOOD:] = self.mood.leads(history.row, ids)
        peak = signals.max(0, initial=0)
        signals /= np.where(peak > 0, peak, 1)
        return Candidates(ids, signals, leads, own)

    def _collaborative(
        self, items: NDArray[np.int32], query: NDArray[np.float32], own: NDArray[np.int32]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = self.cf_row[items]
        known = rows >= 0
        if not known.any():
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        rows, query = rows[known], query[known]
        # With factors the lists only draft candidates, and half of each is enough for that.
        width = DRAFTED if len(self.cf_factors) else self.cf_ids.shape[1]
        ids, values = self.cf_ids[rows, :width], self.cf_weights[rows, :width] * query[:, None]
        return best_new(sum_by_id(ids.ravel(), values.ravel(), self.n_items), own, self.n_items)

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
        texts, values = best_of(sum_by_id(ids.ravel(), values.ravel(), len(self.text_ids)), TEXTS)
        products = self.text_items[texts]
        kept = products >= 0
        return products[kept], np.broadcast_to(values[:, None], products.shape)[kept]

    def _by_near(self, history: History) -> tuple[NDArray[Any], NDArray[Any]]:
        """What shoppers with a like history do, as a share of all that they do; for the learned ranker."""
        row = history.row
        if not self.has_near or not 0 <= row < len(self.near_ids):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        others = self.near_ids[row]
        there = others >= 0
        ids = self.near_items[others[there]]
        sims = self.near_sims[row][there].astype(np.float32)
        values = self.near_weights[others[there]] * (sims / max(float(sims.sum()), 1e-6))[:, None]
        return best_new(sum_by_id(ids.ravel(), values.ravel(), self.n_items), history.items, self.n_items)

    def _by_graph(
        self, items: NDArray[np.int32], query: NDArray[np.float32], own: NDArray[np.int32]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Neighbours in the graph of what was done; for the learned ranker, where they helped on validation."""
        if not self.has_graph or not len(items):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        ids, values = self.graph_ids[items], self.graph_sims[items].astype(np.float32) * query[:, None]
        return best_new(sum_by_id(ids.ravel(), values.ravel(), self.n_items), own, self.n_items)

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
        return self.arranged(
            self.weighed(history, repeats=repeats, allowed=allowed), k, tail=tail, diversity=diversity
        )

    def weighed(
        self, history: History, *, repeats: bool | None = None, allowed: NDArray[np.bool_] | None = None
    ) -> Weighed:
        """The first half of `rank`: candidates and their scores, in no order."""
        found = self.candidates(history, repeats=repeats)
        ids, signals = found.items, found.signals
        if allowed is not None:
            kept = allowed[ids]
            ids, signals = ids[kept], signals[kept]
        repeats = self.repeats if repeats is None else repeats
        thin = self._for_newcomer(history, repeats)
        parts = signals * (self.weights[repeats] if thin is None else thin)
        stranger = thin is not None or not len(history.items)
        learned = self.learned is not None and not stranger and self.learned.covers(found.own)
        scores = self.scored(history, found, allowed) if learned and len(ids) else parts.sum(1)
        if self.mood is not None:
            # What others find bad in the very thing that disappointed this shopper before steps back, within the cap.
            scores = stepped(scores, self.mood.demotion(history.row, ids))
        return Weighed(ids, scores, parts, signals[:, 1], stranger)

    def arranged(
        self, weighed: Weighed, k: int, *, tail: float | None = None, diversity: float | None = None
    ) -> Ranked:
        """The second half of `rank`: the list, as far along the tail and as diverse as asked."""
        ids, scores, parts = weighed.items, weighed.scores, weighed.parts
        if not len(ids):
            return Ranked(ids, np.zeros(0, np.float32), np.zeros((0, len(SIGNALS)), np.float32))
        if tail is None:
            # The default was tuned on shoppers who are known; what sells is all that a stranger tells us.
            tail = 0.0 if weighed.stranger else float(self.params["tail"])
        if tail > 0:
            scale = float(scores.max()) if weighed.stranger else self.tail_scale
            scores = scores - np.float32(tail * scale) * self.log_sold[ids]
        diversity = float(self.params["diversity"]) if diversity is None else diversity
        order = diverse(scores, self.category_of[ids], k, diversity)
        unsold = (self.log_sold[ids] == 0) & (weighed.text > 0)
        if len(order) == k:
            order = self._make_room(order, unsold, ids, weighed.text, k)
        return Ranked(ids[order], scores[order], parts[order])

    @property
    def tail_scale(self) -> float:
        """What the slider at 1 takes from the best-seller, on the scale of the scores."""
        known = self.learned.about if self.learned is not None else self.params
        return float(known["tail_scale"])

    def cheap(self, history: History, found: Candidates) -> NDArray[np.float32]:
        """A score ``(n,)`` to choose by what the learned ranker looks at: the blend for new products, what was done
        lately for others."""
        weights = self.weights[False]
        score = (
            found.leads[:, 1] * weights[0] + found.leads[:, 2] * weights[1] + found.leads[:, 3] * weights[2]
        )
        had = found.own >= 0
        near = np.nan_to_num(found.leads[:, 4])
        # Shoppers with a like history draft as much as what goes together does.
        score += near * (max(float(weights[0]), 0.1) / max(float(near[~had].max(initial=0)), 1e-9))
        if self.alike is not None:
            score += np.nan_to_num(found.leads[:, ALIKE]) * max(float(weights[0]), 0.1)
        score[had] = history.repeat[found.own[had]]
        return score

    def scored(
        self, history: History, found: Candidates, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Log-odds of being bought ``(n,)`` by the learned ranker, of those candidates that are `allowed`."""
        assert self.learned is not None
        cheap = self.cheap(history, found)
        if allowed is None:
            return self.learned.log_odds(history, found.items, found.own, found.leads, cheap)
        kept = allowed[found.items]
        return self.learned.log_odds(
            history, found.items[kept], found.own[kept], found.leads[kept], cheap[kept]
        )

    def new_places(self, k: int) -> int:
        """How many of `k` places belong to new products."""
        return int(np.ceil(k * float(self.params["new_share"]))) if k >= 10 else 0

    def _make_room(
        self, order: NDArray[np.int64], unsold: NDArray[np.bool_], ids: NDArray[np.int32], text: NDArray[np.float32], k: int
    ) -> NDArray[np.int64]:  # fmt: skip
        """Give the last places to what was never sold and is nearest by text, as many as are kept for it."""
        missing = self.new_places(k) - int(unsold[order].sum())
        if missing <= 0:
            return order
        left = unsold.copy()
        left[order] = False
        fresh = np.flatnonzero(left)
        fresh = fresh[np.lexsort((ids[fresh], -text[fresh]))][:missing]
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
