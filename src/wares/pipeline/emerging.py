"""The build step of what emerges: shoppers of each product in the last weeks and in the weeks before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.interactions_build import DAY
from wares.models.price import emerging_train as emerging
from wares.pipeline.graphing import event_log
from wares.pipeline.plan import Context, Tick

EMERGING_STEP = "emerging"
EMERGING_MODULES = (
    "wares.models.price.emerging_train",
    "wares.models.price.emerging_infer",
    "wares.pipeline.emerging",
)


def build_emerging(context: Context, folder: Path, tick: Tick) -> Any:
    """Count shoppers by product and week, and write the artefact. A shopper counts once a week for a product."""
    category_of = np.asarray(load_array(context.done["catalogue"], "category_of"))
    n = len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    recent, past = np.zeros(n, np.int64), np.zeros(n, np.int64)
    log = event_log(context)
    days = emerging.windows(*log.span()) if log is not None and log.span()[1] else None
    if log is not None and days is not None:
        begin, start, end = days
        kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
        with Engine(log.memory_gb, scratch=log.scratch) as engine:
            lines = log.moments(engine, kinds, begin * DAY, end * DAY)
            # Weeks end where the windows do.
            lines = lines.mutate(week=((lines["at"] - start * DAY) / (7 * DAY)).floor().cast("int32"))
            cells = lines.group_by(["item", "week"]).aggregate(shoppers=lines["user"].nunique().cast("int32"))
            table = engine.arrow(cells.order_by(["item", "week"]))
        rows = pc.index_in(table["item"], value_set=log.item_ids)
        known = pc.is_valid(rows)
        item, week = rows.filter(known).to_numpy(), table["week"].filter(known).to_numpy()
        shoppers = table["shoppers"].filter(known).to_numpy()
        for mine, out in ((week >= 0, recent), (week < 0, past)):
            out += np.bincount(item[mine], shoppers[mine], n).astype(np.int64)
    return emerging.fit(recent, past, category_of, days, folder)
