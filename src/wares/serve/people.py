"""Shoppers: what they did before the build, and since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.strings import StringTable
from wares.features.interactions import Interactions
from wares.models.recommend.infer import History
from wares.serve.online import Deed

MAX_GROWTH = 4.0
DAY = 86_400


class People:
    """Histories by shopper. `row_for` gives the row that speaks for a product, or -1; `kinds` weighs deeds."""

    def __init__(
        self,
        data: Interactions,
        users: StringTable,
        params: dict[str, Any],
        kinds: dict[str, float],
        row_for: Callable[[str], int],
    ) -> None:
        self.data, self.users, self.params, self.kinds, self._row_for = data, users, params, kinds, row_for

    def history(self, user: str | None, deeds: list[Deed]) -> History:
        """What a shopper did, `deeds` since the build included; empty for strangers."""
        row = self.users.find(user) if user else -1
        if row < 0 and not deeds:
            return History.empty()
        part = self.data.of(row) if row >= 0 else slice(0, 0)
        decayed = self.data.decayed[part]
        items, times, last = self.data.items[part], self.data.times[part], self.data.last[part]
        query, rebuy = decayed[:, self.params["query"]], decayed[:, self.params["rebuy"]]
        if deeds:
            items, query, rebuy, times, last = self._with_deeds(deeds, items, query, rebuy, times, last)
        return History(items, np.log2(1.0 + query).astype(np.float32), rebuy.astype(np.float32), times, last)

    def _with_deeds(self, deeds: list[Deed], *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        items, query, rebuy, times, last = (list(a.tolist()) for a in arrays)
        place = {item: i for i, item in enumerate(items)}
        halves = [float(self.data.decays[self.params[name]]) for name in ("query", "rebuy")]
        for deed in deeds:
            row = self._row_for(deed.product_id)
            if row < 0:
                continue
            i = place.setdefault(row, len(items))
            if i == len(items):
                items.append(row)
                for column in (query, rebuy, times, last):
                    column.append(0)
            days = (deed.at - self.data.as_of) / DAY
            weight = self.kinds.get(deed.kind, 0.0)
            # A deed long after the build outweighs old ones, but not without limit.
            growth = [2.0 ** min(days / half, MAX_GROWTH) for half in halves]
            query[i] = max(0.0, query[i] + weight * growth[0])
            rebuy[i] = max(0.0, rebuy[i] + weight * growth[1])
            times[i] += deed.kind == "purchase"
            last[i] = max(last[i], deed.at)
        kept = [i for i in range(len(items)) if query[i] > 0]
        kinds = (np.int32, np.float32, np.float32, np.int32, np.int64)
        return tuple(
            np.array([column[i] for i in kept], kind)
            for column, kind in zip((items, query, rebuy, times, last), kinds, strict=True)
        )
