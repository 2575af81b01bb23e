"""How many shoppers took up each product in each hour of the last weeks, for trends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from wares.core.arrays import save_arrays, seal
from wares.data.engine import Engine
from wares.features.interactions_build import DAY, EventLog
from wares.models.recommend.trending_infer import HOUR, KIND

KEPT_DAYS = 35
MOST = 5_000_000


def build_trending(log: EventLog | None, n_items: int, folder: Path) -> dict[str, Any]:
    """Write ``hour``, ``item`` and ``shoppers`` ``(m,) int32``, by hour (since 1970); at most the newest `MOST` cells."""
    hour, item, shoppers, end = np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32), 0
    if log is not None and (end := log.span()[1]):
        kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
        with Engine(log.memory_gb, scratch=log.scratch) as engine:
            lines = log.moments(engine, kinds, end - KEPT_DAYS * DAY, end + 1)
            lines = lines.mutate(hour=(lines["at"] / HOUR).floor().cast("int32"))
            cells = lines.group_by(["hour", "item"]).aggregate(shoppers=lines["user"].nunique().cast("int32"))
            table = engine.arrow(cells.order_by(["hour", "item"]))
        rows = pc.index_in(table["item"], value_set=log.item_ids)
        known = pc.is_valid(rows)
        hour, item = table["hour"].filter(known).to_numpy()[-MOST:], rows.filter(known).to_numpy()[-MOST:]
        shoppers = table["shoppers"].filter(known).to_numpy()[-MOST:]
    save_arrays(
        folder,
        hour=hour.astype(np.int32),
        item=item.astype(np.int32),
        shoppers=shoppers.astype(np.int32),
    )
    return seal(folder, KIND, n_items=n_items, end=end)
