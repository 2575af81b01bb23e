"""Shoppers and visits: what they did before the build, and since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.strings import StringTable
from wares.features.interactions import Interactions
from wares.models.recommend.infer import History
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
        items, query, rebuy, times, last = self._before(rows)
        if deeds or more:
            fading = [*self._fading(deeds), *[1.0] * len(more)]
            items, query, rebuy, times, last = self._with_deeds(
                [*deeds, *more], fading, items, query, rebuy, times, last
            )
        return History(items, np.log2(1.0 + query).astype(np.float32), rebuy.astype(np.float32), times, last)

    def _before(self, rows: list[int]) -> tuple[NDArray[Any], ...]:
        """Items, asking and rebuying weights, times and last moment of what some rows did before the build."""
        parts = [self.data.of(row) for row in rows] or [slice(0, 0)]
        names = (self.params["query"], self.params["rebuy"])
        one = [
            (
                self.data.items[p],
                *(self.data.decayed[p][:, name] for name in names),
                self.data.times[p],
                self.data.last[p],
            )
            for p in parts
        ]
        if len(one) == 1:
            return one[0]
        items, *values = (np.concatenate(column) for column in zip(*one, strict=True))
        unique, place = np.unique(items, return_inverse=True)
        sums = [np.bincount(place, v, len(unique)).astype(v.dtype) for v in values[:3]]
        last = np.zeros(len(unique), np.int64)
        np.maximum.at(last, place, values[3])
        return unique, *sums, last

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

    def _with_deeds(
        self, deeds: list[Deed], fading: list[float], *arrays: NDArray[Any]
    ) -> tuple[NDArray[Any], ...]:
        items, query, rebuy, times, last = (list(a.tolist()) for a in arrays)
        place = {item: i for i, item in enumerate(items)}
        halves = [float(self.data.decays[self.params[name]]) for name in ("query", "rebuy")]
        for deed, fade in zip(deeds, fading, strict=True):
            row = self._row_for(deed.product_id)
            if row < 0:
                continue
            i = place.setdefault(row, len(items))
            if i == len(items):
                items.append(row)
                for column in (query, rebuy, times, last):
                    column.append(0)
            days = (deed.at - self.data.as_of) / DAY
            weight = self.kinds.get(deed.kind, 0.0) if deed.weight is None else deed.weight
            # A deed long after the build outweighs old ones, but not without limit.
            growth = [2.0 ** min(days / half, MAX_GROWTH) for half in halves]
            # What is sent back is taken back whole, however long ago.
            query[i] = max(0.0, query[i] + weight * growth[0] * (fade if weight > 0 else 1.0))
            rebuy[i] = max(0.0, rebuy[i] + weight * growth[1])
            times[i] += deed.kind == "purchase"
            last[i] = max(last[i], deed.at)
        kept = [i for i in range(len(items)) if query[i] > 0]
        kinds = (np.int32, np.float32, np.float32, np.int32, np.int64)
        return tuple(
            np.array([column[i] for i in kept], kind)
            for column, kind in zip((items, query, rebuy, times, last), kinds, strict=True)
        )
