"""The build step of elasticities: from purchases and prices to weeks of products, and how demand answers to prices."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.catalogue_build import fused_names
from wares.models.price import elasticity_train
from wares.models.price.elasticity_panel import WEEK, Panel, panel_of
from wares.pipeline.graphing import event_log
from wares.pipeline.last import context_of
from wares.pipeline.plan import Context, Tick

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

ELASTICITY_STEP = "elasticity"
ELASTICITY_MODULES = (
    "wares.models.price.elasticity_train",
    "wares.models.price.elasticity_moment",
    "wares.models.price.elasticity_residuals_train",
    "wares.models.price.elasticity_panel",
    "wares.models.price.elasticity",
    "wares.pipeline.elasticity",
)
AGREES = 0.8
"""Share of weeks with purchases in which the table of prices must say what was paid, to be asked of the others."""
MOST_ROWS = 1_000_000
"""Product-weeks that are looked at, of the products bought most often; the others have too few sales to tell."""


def build_elasticity(context: Context, folder: Path, tick: Tick) -> Any:
    """Write the artefact: see `wares.models.price.elasticity_train.fit`."""
    category_of = np.asarray(load_array(context.done["catalogue"], "category_of"))
    panel, bought = panel_now(context)
    return elasticity_train.fit(
        panel, category_of, folder, bought=bought, currency=context.config.shop.currency, seed=context.config.shop.seed,
        threads=context.config.build.threads or 1,
    )  # fmt: skip


def panel_now(context: Context) -> tuple[Panel, NDArray[np.int64]]:
    """Weeks of products from their first purchase to their last, and how often each was bought ``(n_items,)``.

    The price of a week is the mean of what was paid in it; of a week without purchases, the one asked last before it ends by
    the table of prices, where that mostly says what was paid, or else the higher of those paid before and after: most weeks
    are no promotion. Purchases in another currency than the shop's are left out and counted.
    """
    n = len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    nothing = np.zeros(0)
    if c.EVENTS not in context.versions:
        return panel_of(nothing, nothing, nothing, nothing, n), np.zeros(n, np.int64)
    item, week, units, price, lines, foreign = _weeks(context)
    bought = np.bincount(item, lines, n).astype(np.int64)
    known = np.isfinite(price)
    item, week, units, price = item[known], week[known], units[known], price[known]
    if not len(item):
        return panel_of(nothing, nothing, nothing, nothing, n), bought
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1, np.int64)
    np.minimum.at(first, item, week)
    np.maximum.at(last, item, week)
    span = np.where(last >= 0, last - first + 1, 0)
    order = np.lexsort((np.arange(n), -bought))
    kept = order[np.cumsum(span[order]) <= MOST_ROWS]
    kept = np.sort(kept[span[kept] > 0])
    whole_item = np.repeat(kept, span[kept])
    start = np.cumsum(span[kept]) - span[kept]
    whole_week = np.arange(len(whole_item)) - np.repeat(start, span[kept]) + first[whole_item]
    place = np.full(n, -1, np.int64)
    place[kept] = start
    there = place[item] >= 0
    at = place[item[there]] + week[there] - first[item[there]]
    sold, paid = np.zeros(len(whole_item)), np.full(len(whole_item), np.nan)
    sold[at], paid[at] = units[there], price[there]
    asked = _asked(context, whole_item, whole_week)
    both = np.isfinite(asked) & np.isfinite(paid)
    missing = np.isnan(paid)
    if both.any() and float((np.abs(asked[both] / paid[both] - 1) < 0.01).mean()) >= AGREES:
        paid[missing] = asked[missing]
    paid = _between(paid, whole_item)
    panel = panel_of(whole_item, whole_week, sold, paid, n)
    if foreign:
        panel.left_out["in another currency"] = foreign
    return panel, bought


def _weeks(
    context: Context,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """(row, week since 1970, units, mean price, purchases) of each product and week with purchases; how many were foreign."""
    log, own = event_log(context), context.config.shop.currency
    assert log is not None
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(context.store.files(c.EVENTS, context.versions[c.EVENTS]))
        rows = rows.filter((rows[c.KIND] == c.PURCHASE) & rows[c.AT].notnull() & rows[c.PRODUCT_ID].notnull())
        mine = rows[c.CURRENCY].isnull() | (rows[c.CURRENCY] == own)
        foreign = engine.count(rows.filter(~mine))
        rows = rows.filter(mine)
        lines = rows.select(
            item=rows[c.PRODUCT_ID],
            week=(rows[c.AT].truncate("s").epoch_seconds() / WEEK).floor().cast("int64"),
            units=rows[c.QUANTITY].cast("float64").coalesce(1.0),
            price=rows[c.PRICE].cast("float64"),
        )
        if log.fused:
            names = fused_names(engine, context.store, dict(log.fused))
            joined = lines.left_join(names, [lines["item"] == names.member])
            lines = joined.mutate(item=joined.golden.coalesce(joined["item"])).drop("member", "golden")
        lines = lines.filter(lines["units"] > 0)
        cells = lines.group_by(["item", "week"]).aggregate(
            units=lines["units"].sum(), price=lines["price"].mean(), lines=lines["item"].count()
        )
        table = engine.arrow(cells.order_by(["item", "week"]))
    rows_of = pc.fill_null(pc.index_in(table["item"], value_set=log.item_ids), -1).to_numpy().astype(np.int64)
    kept = rows_of >= 0
    columns = [
        table[name].to_numpy(zero_copy_only=False)[kept] for name in ("week", "units", "price", "lines")
    ]
    price = columns[2].astype(np.float64)
    return rows_of[kept], columns[0].astype(np.int64), columns[1], np.where(price > 0, price, np.nan), columns[3], foreign  # fmt: skip


def _asked(context: Context, item: NDArray[np.int64], week: NDArray[np.int64]) -> NDArray[np.float64]:
    """The price asked last before the end of each of these weeks, by the table of prices; NaN where it knows none."""
    if c.PRICES not in context.versions or not len(item):
        return np.full(len(item), np.nan)
    ids = pa.array(list(StringTable.load(context.done["catalogue"], c.PRODUCT_ID)), pa.string())
    own = context.config.shop.currency
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(context.store.files(c.PRICES, context.versions[c.PRICES]))
        rows = rows.filter(
            rows[c.PRICE].notnull()
            & rows[c.AT].notnull()
            & (rows[c.CURRENCY].isnull() | (rows[c.CURRENCY] == own))
        )
        chosen = rows.select(
            item=rows[c.PRODUCT_ID], at=rows[c.AT].truncate("s").epoch_seconds(), price=rows[c.PRICE].cast("float64")
        )  # fmt: skip
        table = engine.arrow(chosen.order_by(["item", "at"]))
    row = pc.fill_null(pc.index_in(table["item"], value_set=ids), -1).to_numpy().astype(np.int64)
    at, price = table["at"].to_numpy().astype(np.int64), table["price"].to_numpy()
    good = (row >= 0) & (price > 0)
    row, at, price = row[good], at[good], price[good]
    if not len(row):
        return np.full(len(item), np.nan)
    order = np.lexsort((at, row))
    row, at, price = row[order], at[order], price[order]
    # One ascending key for products and moments: a shop's span is far below this width.
    wide = np.int64(1) << 40
    found = np.searchsorted(row * wide + at, item * wide + (week + 1) * WEEK, side="left") - 1
    there = (found >= 0) & (row[np.maximum(found, 0)] == item)
    return np.where(there, price[np.maximum(found, 0)], np.nan)


def _between(price: NDArray[np.float64], item: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gaps filled with the higher of the prices before and after them, of the same product, whose first and last week have one."""
    at, there = np.arange(len(price)), ~np.isnan(price)
    before = np.maximum.accumulate(np.where(there, at, 0))
    after = np.minimum.accumulate(np.where(there, at, len(price) - 1)[::-1])[::-1]
    filled = np.fmax(
        np.where(item[before] == item, price[before], np.nan),
        np.where(item[after] == item, price[after], np.nan),
    )
    return np.where(there, price, filled)


def evaluate_shop(shop: Workspace, command: str, progress: Callable[[str], None]) -> dict[str, Any]:
    """How many products of a workspace are identified, by the last build's tables.

    Raises:
        NotFitted: when nothing is built.
    """
    from wares.evaluate.elasticity import shop_report

    begun = time.perf_counter()
    context = context_of(shop)
    progress("weeks")
    panel, bought = panel_now(context)
    progress("estimate")
    category_of = np.asarray(load_array(context.done["catalogue"], "category_of"))
    found = elasticity_train.find(
        panel, category_of, shop.config.shop.seed, shop.config.build.threads or 1, bought
    )
    return shop_report(panel, found, command, shop.config.shop.name, time.perf_counter() - begun)
