"""A shop's rules for one list, in its own product ids, brought to the ranker's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import NotFound
from wares.features.catalogue import Catalogue
from wares.models.recommend.infer import SIGNALS, History, Ranked, Recommender
from wares.models.recommend.steer import Rules, arrange, mix_of


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of products before the shopper is known: ``ids (n,) int32``, ``values (n,)`` from 0 to 1, and
    their share `weight` of the score."""

    ids: NDArray[np.int32]
    values: NDArray[np.float32]
    weight: float


@dataclass(frozen=True, slots=True)
class Steering:
    """``exclude`` and ``pin`` are product ids; the rest as in `wares.models.recommend.steer.Rules`."""

    exclude: tuple[str, ...] = ()
    pin: tuple[str, ...] = ()
    per_brand: int = 0
    calibrate: float = 0.0
    diversity: float = 0.0
    margin: float = 0.0

    @classmethod
    def asked(
        cls,
        exclude: Sequence[str] | None,
        pin: Sequence[str] | None,
        per_brand: int,
        calibrate: float,
        diversity: float,
        margin: float,
    ) -> Steering | None:
        """The steering of a request; None when nothing is asked."""
        found = cls(tuple(exclude or ()), tuple(pin or ()), per_brand, calibrate, diversity, margin)
        return None if found == cls() else found

    def rank(
        self,
        model: Recommender,
        catalogue: Catalogue,
        history: History,
        k: int,
        *,
        tail: float | None,
        repeats: bool | None,
        allowed: NDArray[np.bool_],
        prior: Prior | None = None,
    ) -> Ranked:
        """The best `k` under the rules, with the places that belong to products never sold.

        What is pinned comes even if no model proposed it, unless it is hidden; so does what a `prior` proposes.

        Raises:
            NotFound: when a pinned product is in no build; products excluded in vain are no fault.
        """
        pinned = np.array([self._row(catalogue, name) for name in self.pin], np.int32)
        excluded = np.array([r for r in map(catalogue.row, self.exclude) if r >= 0], np.int32)
        found = model.rank(history, 1000, tail=tail, diversity=0.0, repeats=repeats, allowed=allowed)
        wanted = pinned if prior is None else np.unique(np.concatenate([pinned, prior.ids]))
        more = wanted[~np.isin(wanted, found.items) & allowed[wanted]]
        items = np.concatenate([found.items, more])
        lowest = float(found.scores.min()) if len(found.scores) else 0.0
        scores = np.concatenate([found.scores, np.full(len(more), lowest)])
        parts = np.concatenate([found.parts, np.zeros((len(more), len(SIGNALS)), np.float32)])
        if prior is not None:
            scores = _believed(scores, items, prior)
        rules = Rules(excluded, pinned, self.per_brand, self.calibrate, self.margin, self.diversity)
        order = arrange(
            scores,
            k,
            rules,
            items=items,
            category=catalogue.category_of[items],
            brand=catalogue.brand_of[items],
            margin=self._margins(catalogue, items) if self.margin > 0 else None,
            mix=mix_of(catalogue.category_of[history.items], history.query) if self.calibrate > 0 else None,
        )
        order = self._floor(order, items, scores, model, pinned, excluded, catalogue, k)
        return Ranked(items[order], scores[order].astype(np.float32), parts[order])

    def _floor(
        self,
        order: NDArray[np.int64],
        items: NDArray[np.int32],
        scores: NDArray[np.float64],
        model: Recommender,
        pinned: NDArray[np.int32],
        excluded: NDArray[np.int32],
        catalogue: Catalogue,
        k: int,
    ) -> NDArray[np.int64]:
        """The order with ``new_share`` of a full list given to products never sold; pins and caps are kept."""
        unsold = model.log_sold[items] == 0
        missing = model.new_places(k) - int(unsold[order].sum())
        if missing <= 0 or len(order) < k:
            return order
        free = np.flatnonzero(unsold & ~np.isin(items, excluded))
        free = free[~np.isin(free, order)]
        free = free[np.lexsort((items[free], -scores[free]))]
        place = [
            i for i in range(len(order) - 1, -1, -1) if not unsold[order[i]] and items[order[i]] not in pinned
        ]
        chosen = order.copy()
        brand = catalogue.brand_of
        for new in free.tolist():
            if not missing or not place:
                break
            kept = np.delete(chosen, place[0])
            mine = int(brand[items[new]])
            if self.per_brand and mine >= 0 and int((brand[items[kept]] == mine).sum()) >= self.per_brand:
                continue
            chosen = np.append(kept, new)
            # What stood behind the place moved up by one.
            place = [p for p in place[1:] if p < place[0]]
            missing -= 1
        return chosen

    @staticmethod
    def _row(catalogue: Catalogue, name: str) -> int:
        row = catalogue.row(name)
        if row < 0:
            raise NotFound(
                f"there is no product {name[:80]!r} to pin", mend="Check the id; a new product can be pinned after a build",
                id=name[:80],
            )  # fmt: skip
        return row

    @staticmethod
    def _margins(catalogue: Catalogue, items: NDArray[np.int32]) -> NDArray[np.float64]:
        """The attribute ``margin`` of each product; the mean where there is none."""
        out = np.full(len(items), np.nan)
        for place, row in enumerate(items.tolist()):
            try:
                out[place] = float(catalogue.product(row).attributes.get("margin", "nan"))
            except ValueError:
                continue
        known = out[np.isfinite(out)]
        return np.where(np.isfinite(out), out, known.mean() if len(known) else 0.0)


def _believed(scores: NDArray[np.float64], items: NDArray[np.int32], prior: Prior) -> NDArray[np.float64]:
    """Scores on the scale from 0 to 1, mixed with what the prior says of each item."""
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    mine = (scores - low) / max(high - low, 1e-9)
    said = np.zeros(len(items))
    order = np.argsort(prior.ids, kind="stable")
    if len(order):
        at = np.minimum(np.searchsorted(prior.ids[order], items), len(order) - 1)
        there = prior.ids[order][at] == items
        said[there] = prior.values[order][at[there]] / max(float(prior.values.max()), 1e-9)
    return (1 - prior.weight) * mine + prior.weight * said
