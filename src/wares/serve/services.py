"""What a shop also asks of recommendation: together, instead, with it, again, trending, first picks. With reasons."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.nouns import Hit
from wares.models.recommend.onboarding_infer import POOL, cover
from wares.models.recommend.rebuy_infer import Rebuy
from wares.models.recommend.segments_infer import Segments
from wares.models.recommend.together_infer import Neighbours, Together
from wares.models.recommend.trending_infer import HOUR, Trending
from wares.serve.reasons import reason, same
from wares.serve.situation import check_k

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

DAY = 86_400
QUIET_DAYS = 30
MOST_HOURS = 24 * 14
MOST_DAYS = 90
REMEMBERED = 15.0
NEAR_PRICE = 2.0
_REASONS = {"together": "basket", "accessories": "goes_with", "substitutes": "instead"}


class Services:
    """The further answers of a ranker's bundle; thread-safe."""

    def __init__(self, ranker: Ranker, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.ranker, self._clock = ranker, clock
        self.relations = Together(folder / "together")
        self.rebuy = Rebuy(folder / "rebuy")
        self.segments = Segments(folder / "segments")
        self.trends = Trending(folder / "trending")
        self._lock = threading.Lock()
        self._covered: NDArray[np.int64] | None = None
        self._rising: dict[int, tuple[tuple[int, float], Any]] = {}

    def now(self) -> int:
        """The moment to count from, in Unix seconds: now, or the last deed where nothing was done for a month.

        The lists of a shop that is shown from an archive are those of its last day, not years later.
        """
        ranker = self.ranker
        last = max(ranker.interactions.as_of, ranker.online.last if ranker.online is not None else 0)
        wall = int(self._clock())
        return wall if not last or wall - last < QUIET_DAYS * DAY else last + 1

    # -- together, instead, with it ----------------------------------------------------------------------------

    def related(self, relation: str, product_id: str, k: int = 10, language: str = "en") -> list[Hit]:
        """The `k` best products in a relation to one: ``together``, ``substitutes`` or ``accessories``.

        Substitutes of a product of which too little is known come by likeness, and say so; the other relations are
        known from baskets alone and may be empty.

        Raises:
            NotFound: for an unknown product.
        """
        ranker = self.ranker
        check_k(k)
        ranker.refresh()
        product = ranker.product(product_id)
        row = ranker.catalogue.row(product_id)
        found = self.relations.rank(relation, [row], k, ranker.visible()) if row >= 0 else None
        hits = self._hits(found, relation, language) if found is not None else []
        if relation == "substitutes" and len(hits) < k:
            hits += self._like(product_id, k - len(hits), {h.product.product_id for h in hits}, language)
        return [hit for hit in hits if hit.product.product_id != product.product_id]

    def basket(self, items: Sequence[str], k: int = 10, language: str = "en") -> list[Hit]:
        """What completes a basket: together with what lies in it, and instead of nothing that does.

        An empty basket, or one of which nothing is known, gets no list.
        """
        ranker = self.ranker
        check_k(k)
        ranker.refresh()
        rows = [row for row in dict.fromkeys(map(ranker.catalogue.row, items)) if row >= 0]
        allowed = ranker.visible().copy()
        for row in rows:
            allowed[self.relations.of("substitutes", row)[0]] = False
        return self._hits(self.relations.rank("together", rows, k, allowed), "together", language)

    def _hits(self, found: Neighbours, relation: str, language: str) -> list[Hit]:
        catalogue = self.ranker.catalogue
        out: list[Hit] = []
        for row, score, count, because in zip(
            found.items.tolist(),
            found.scores.tolist(),
            found.counts.tolist(),
            found.because.tolist(),
            strict=True,
        ):
            product, main = catalogue.product(row), catalogue.product(because)
            facts = {"title": main.title, "count": count}
            out.append(Hit(product, score, reason(_REASONS[relation], language, **facts), {relation: score}))
        return out

    def _like(self, product_id: str, k: int, known: set[str], language: str) -> list[Hit]:
        """Products of the same category, like in words and not far in price."""
        ranker = self.ranker
        product = ranker.product(product_id)
        out: list[Hit] = []
        for hit in ranker.similar(product_id, min(200, 10 * k + 30), weights={"text": 1}, language=language):
            other = hit.product
            if other.product_id in known or (product.category and other.category != product.category):
                continue
            if (
                product.price
                and other.price
                and not (1 / NEAR_PRICE <= float(other.price / product.price) <= NEAR_PRICE)
            ):
                continue
            why = reason("like_instead", language, same=same(product, other, language))
            out.append(Hit(other, hit.score, why, {"text": hit.parts.get("text", 0.0)}))
            if len(out) == k:
                break
        return out

    # -- again -------------------------------------------------------------------------------------------------

    def again(
        self, user: str, k: int = 20, *, days: float = 14, session: str = "", language: str = "en"
    ) -> list[Hit]:
        """What a shopper buys repeatedly, surest to be bought within `days` first; empty for strangers.

        ``score`` is that probability; ``parts`` have ``due_in_days`` (negative: overdue) and ``every_days``.

        Raises:
            QueryError: when `days` is out of range.
        """
        ranker = self.ranker
        check_k(k)
        if not 1 <= days <= MOST_DAYS:
            raise QueryError(
                f"days must be between 1 and {MOST_DAYS}", mend="Ask for 7 or 14", parameter="days"
            )
        ranker.refresh()
        row, deeds = ranker.known(user, session)
        bought = [
            (item, deed.at // DAY)
            for deed in deeds
            if deed.kind == "purchase" and (item := ranker.catalogue.row(deed.product_id)) >= 0
        ]
        today = self.now() // DAY
        due = self.rebuy.due(row, today, days, k, bought=bought, allowed=ranker.visible())
        out: list[Hit] = []
        for item, p, in_days, every, times, last in zip(
            *(a.tolist() for a in (due.items, due.probability, due.in_days, due.every, due.days, due.last)),
            strict=True,
        ):
            when = datetime.fromtimestamp((today + round(in_days)) * DAY, UTC).date()
            code = "due" if in_days >= 0 else "overdue"
            facts = {
                "times": times, "every": max(1, round(every)), "due": when.isoformat(),
                "last": (datetime.fromtimestamp(0, UTC) + timedelta(days=last)).date().isoformat(),
            }  # fmt: skip
            parts = {"probability": p, "due_in_days": round(in_days, 1), "every_days": round(every, 1)}
            out.append(Hit(ranker.catalogue.product(item), p, reason(code, language, **facts), parts))
        return out

    # -- trending ----------------------------------------------------------------------------------------------

    def trending(
        self, k: int = 20, *, hours: int = 24, category: str = "", language: str = "en"
    ) -> list[Hit]:
        """What rises in the last `hours` against its own past; `category` keeps to one and what lies below it.

        Raises:
            QueryError: when `hours` is out of range.
        """
        ranker = self.ranker
        check_k(k)
        if not 1 <= hours <= MOST_HOURS:
            raise QueryError(
                f"hours must be between 1 and {MOST_HOURS}", mend="Ask for 24 or 168", parameter="hours"
            )
        ranker.refresh()
        found = self._risen(hours)
        allowed = ranker.within(category)
        out: list[Hit] = []
        for row, z, rise, shoppers in zip(
            *(a.tolist() for a in (found.items, found.z, found.rise, found.shoppers)), strict=True
        ):
            if allowed[row]:
                facts = {"rise": round(rise, 1), "shoppers": shoppers, "hours": hours}
                parts = {"rise": round(rise, 2), "z": round(z, 2)}
                out.append(Hit(ranker.catalogue.product(row), z, reason("rising", language, **facts), parts))
                if len(out) == k:
                    break
        return out

    def _risen(self, hours: int) -> Any:
        """Counting all deeds since the build takes long in a busy shop, so an answer holds for `REMEMBERED` seconds."""
        online, moment = self.ranker.online, self._clock()
        mark = online.seen_events if online is not None else 0
        kept = self._rising.get(hours)
        if kept is not None and (kept[0][0] == mark or moment - kept[0][1] < REMEMBERED):
            return kept[1]
        now = self.now()
        found = self.trends.rank(now, hours, self._later(now - hours * HOUR))
        self._rising = {**self._rising, hours: ((mark, moment), found)}
        return found

    def _later(self, since: int) -> NDArray[np.int64]:
        """Distinct shoppers and visits of each product since a moment, of what came after the build ``(n_items,)``."""
        ranker = self.ranker
        out = np.zeros(len(ranker.catalogue), np.int64)
        if ranker.online is not None:
            for book in (ranker.online.deeds, ranker.online.visits):
                for deeds in list(book.values()):
                    recent = {
                        d.product_id for d in deeds if d.at > since and ranker.people.kinds.get(d.kind, 0) > 0
                    }
                    for row in {ranker.catalogue.row(p) for p in recent}:
                        if row >= 0:
                            out[row] += 1
        return out

    # -- first picks -------------------------------------------------------------------------------------------

    def onboarding(self, k: int = 12, language: str = "en") -> list[Hit]:
        """Well-known products that together cover the shop, for a newcomer to pick from."""
        ranker = self.ranker
        check_k(k)
        ranker.refresh()
        allowed = ranker.visible()
        rows = [row for row in self._cover().tolist() if allowed[row]][:k]
        popular = ranker.popular
        return [
            Hit(ranker.catalogue.product(row), float(popular[row]), reason("well_known", language))
            for row in rows
        ]

    def _cover(self) -> NDArray[np.int64]:
        if self._covered is None:
            with self._lock:
                ranker = self.ranker
                popular = ranker.popular
                pool = np.lexsort((np.arange(len(popular)), -popular))[:POOL]
                pool = pool[popular[pool] > 0]
                vectors = ranker.searcher.vectors
                of = ranker.catalogue.text_of[pool]
                some = vectors[of] if len(vectors) else np.zeros((len(pool), 0), np.float32)
                order = cover(popular[pool], some, ranker.catalogue.category_of[pool], len(pool))
                self._covered = pool[order]
        return self._covered
