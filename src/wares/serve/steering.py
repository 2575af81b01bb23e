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
    ) -> Ranked:
        """The best `k` under the rules. What is pinned comes even if no model proposed it, unless it is hidden.

        Raises:
            NotFound: when a pinned product is in no build; products excluded in vain are no fault.
        """
        pinned = np.array([self._row(catalogue, name) for name in self.pin], np.int32)
        excluded = np.array([r for r in map(catalogue.row, self.exclude) if r >= 0], np.int32)
        found = model.rank(history, 1000, tail=tail, diversity=0.0, repeats=repeats, allowed=allowed)
        more = pinned[~np.isin(pinned, found.items) & allowed[pinned]]
        items = np.concatenate([found.items, more])
        lowest = float(found.scores.min()) if len(found.scores) else 0.0
        scores = np.concatenate([found.scores, np.full(len(more), lowest)])
        parts = np.concatenate([found.parts, np.zeros((len(more), len(SIGNALS)), np.float32)])
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
        return Ranked(items[order], scores[order], parts[order])

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
