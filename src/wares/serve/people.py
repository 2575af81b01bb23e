"""Shoppers and visits: what they did before the build, and since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.strings import StringTable
from wares.features.interactions import Interactions
from wares.models.recommend.history import History
from wares.serve.online import Deed

MAX_GROWTH = 4.0
DAY = 86_400
PAUSE = 1800


class People:
    """Histories by shopper. `row_for` gives the row that speaks for a product, or -1; `kinds` weighs deeds,
    `session_decay` how fast they fade within a visit."""

    def __init__(
        self,
        data: Interactions,
        users: StringTable,
        params: dict[str, Any],
        kinds: dict[str, float],
        row_for: Callable[[str], int],
        session_decay: float = 1.0,
    ) -> None:
        self.data, self.users, self.params, self.kinds, self._row_for = data, users, params, kinds, row_for
        self.session_decay = session_decay

    def history(
        self, user: str | None, deeds: list[Deed], visits: Sequence[str] = (), more: Sequence[Deed] = ()
    ) -> History:
        """What a shopper did, `deeds` since the build (oldest first) and earlier anonymous `visits` included.

        `more` is what a request adds, each alike. Empty for strangers.
        """
        rows = [self.users.find(name) for name in ([user] if user else []) + [f"~{v}" for v in visits]]
        rows = [row for row in rows if row >= 0]
        if not rows and not deeds and not more:
            return History.empty()
        past = self._before(rows)
        query = past.decayed[:, self.params["query"]]
        if deeds or more:
            fading = [*self._fading(deeds), *[1.0] * len(more)]
            query = self._add(past, [*deeds, *more], fading)
        else:
            past.repeat = past.decayed[:, self.params["rebuy"]].astype(np.float32)
        past.query = np.log2(1.0 + query).astype(np.float32)
        return past

    def _before(self, rows: list[int]) -> History:
        """What some rows did before the build, as one history whose ``query`` and ``repeat`` are still to be made."""
        data, none = self.data, np.zeros(0, np.float32)
        parts = [data.of(row) for row in rows] or [slice(0, 0)]

        def taken(column: NDArray[Any]) -> NDArray[Any]:
            return column[parts[0]] if len(parts) == 1 else np.concatenate([column[p] for p in parts])

        items, times, decayed = taken(data.items), taken(data.times), taken(data.decayed)
        first, last = taken(data.first), taken(data.last)
        visits = data.visits(rows[0]) if rows else np.zeros(0, np.int32)
        if len(rows) > 1:
            visits = np.unique(np.concatenate([data.visits(row) for row in rows]))
            items, place = np.unique(items, return_inverse=True)
            n = len(items)
            newest, oldest = np.zeros(n, np.int64), np.full(n, np.iinfo(np.int64).max)
            np.maximum.at(newest, place, last)
            np.minimum.at(oldest, place, first)
            sums = np.zeros((n, decayed.shape[1]), np.float32)
            np.add.at(sums, place, decayed)
            times = np.bincount(place, times, n).astype(np.int32)
            last, first, decayed = newest, oldest, sums
        row = rows[0] if rows else -1
        return History(items, none, none, times, last, first, decayed, visits, data.as_of, row)

    def _fading(self, deeds: list[Deed]) -> list[float]:
        """How much each deed still says within its own visit: ``decay ** steps`` back from the visit's last deed.

        A visit is deeds of one session (or all without one) less than `PAUSE` apart. Forgetting by days cannot tell
        the deeds of a minute apart.
        """
        out: list[float] = []
        later: dict[str, tuple[int, int]] = {}
        for deed in reversed(deeds):
            at, steps = later.get(deed.session, (deed.at, -1))
            steps = steps + 1 if at - deed.at <= PAUSE else 0
            later[deed.session] = (deed.at, steps)
            out.append(self.session_decay**steps)
        return out[::-1]

    def _add(self, past: History, deeds: list[Deed], fading: list[float]) -> NDArray[np.float64]:
        """Put deeds since the build into a history; returns the asking weight of each entry.

        What lies before the build is read-only, so that arrays are replaced.
        """
        items, times, first, last = (a.tolist() for a in (past.items, past.times, past.first, past.last))
        decayed = [row.astype(np.float64) for row in past.decayed]
        asked = self.params["query"]
        query = [float(row[asked]) for row in decayed]
        place = {item: i for i, item in enumerate(items)}
        halves = np.array(self.data.decays, np.float64)
        days: set[int] = set()
        for deed, fade in zip(deeds, fading, strict=True):
            row = self._row_for(deed.product_id)
            if row < 0:
                continue
            i = place.setdefault(row, len(items))
            if i == len(items):
                items.append(row)
                times.append(0)
                first.append(deed.at)
                last.append(deed.at)
                query.append(0.0)
                decayed.append(np.zeros(len(halves)))
            weight = self.kinds.get(deed.kind, 0.0) if deed.weight is None else deed.weight
            # A deed long after the build outweighs old ones, but not without limit.
            growth = 2.0 ** np.minimum((deed.at - self.data.as_of) / DAY / halves, MAX_GROWTH)
            # What is sent back is taken back whole, however long ago.
            query[i] = max(0.0, query[i] + weight * float(growth[asked]) * (fade if weight > 0 else 1.0))
            decayed[i] = np.maximum(0.0, decayed[i] + weight * growth)
            times[i] += deed.kind == "purchase"
            first[i], last[i] = min(first[i], deed.at), max(last[i], deed.at)
            if weight > 0:
                days.add(deed.at // DAY)
        kept = [i for i in range(len(items)) if query[i] > 0]
        past.items = np.array([items[i] for i in kept], np.int32)
        past.times = np.array([times[i] for i in kept], np.int32)
        past.first = np.array([first[i] for i in kept], np.int64)
        past.last = np.array([last[i] for i in kept], np.int64)
        sums = np.array([decayed[i] for i in kept], np.float64).reshape(len(kept), len(halves))
        past.repeat = sums[:, self.params["rebuy"]].astype(np.float32)
        # Time moves on with the shopper: a bundle may be served long after the last event that it knows.
        past.now = max([past.now, *(deed.at for deed in deeds)])
        faded = 2.0 ** -np.minimum((past.now - self.data.as_of) / DAY / halves, MAX_GROWTH)
        past.decayed = (sums * faded).astype(np.float32)
        past.visits = np.union1d(past.visits, np.array(sorted(days), np.int32)).astype(np.int32)
        return np.array([query[i] for i in kept])
