"""The build step of prices: from the tables and the catalogue to what each price is held against."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.files import file_digest
from wares.core.strings import StringTable
from wares.data.clean.money import daily_rates, read_rates
from wares.data.clean.rules import declared
from wares.data.contract import contract_for
from wares.data.engine import Engine
from wares.evaluate.prices import Case
from wares.models.price import train as price
from wares.models.price.observations import Goods, Prices, daily, packs_of, read_prices
from wares.pipeline.last import context_of
from wares.pipeline.plan import Context, Tick

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

PRICE = "price"
_MODELS = ("train", "observations", "history", "comparables", "score", "hypotheses", "planting", "infer")
PRICE_MODULES = (
    *(f"wares.models.price.{name}" for name in _MODELS),
    "wares.data.clean.packs",
    "wares.data.clean.money",
    "wares.pipeline.pricing",
)
FOREIGN = "in another currency"


def build_prices(context: Context, folder: Path, tick: Tick) -> Any:
    """Write the artefact: see `wares.models.price.train.fit`."""
    config = context.config
    goods, prices = goods_of(context), prices_of(context)
    return price.fit(
        prices, goods, config.shop.currency, folder, seed=config.shop.seed, threads=config.build.threads or 1,
        rates=rates_of(context.root, config.shop.currency),
    )  # fmt: skip


def rate_files(root: Path) -> list[Path]:
    """The files of dated rates that the contracts' rules ``convert`` name, as far as they are there."""
    rules = (rule for table in c.TABLES for _, rule in declared(contract_for(table, root)))
    names = {str(rule["rates"]) for rule in rules if rule.name == "convert"}
    return [root / name for name in sorted(names) if (root / name).is_file()]


def rates_named(context: Context) -> list[list[str]]:
    """Names and content of the files of rates, for staleness."""
    return [[path.name, file_digest(path)] for path in rate_files(context.root)]


def rates_of(root: Path, currency: str) -> dict[str, float]:
    """Units of each currency for one of the shop's, by the newest rate of each in the workspace's files.

    Raises:
        ConfigError: for a file that cannot be read, naming the line.
    """
    rows = [row for path in rate_files(root) for row in read_rates(path)]
    newest = daily_rates(rows, currency, 0)[1].to_pylist()
    # The file says what one foreign unit is worth here; a rate too small for its digits is none.
    return {row["_currency"]: 1 / float(row["_rate"]) for row in newest if row["_rate"]}


def goods_of(context: Context) -> Goods:
    """Categories, brands, packs and like texts of the catalogue's products."""
    folder, texts = context.done["catalogue"], context.done["text_neighbours"]
    category_of, brand_of, text_of = (
        np.asarray(load_array(folder, name)) for name in ("category_of", "brand_of", "text_of")
    )
    sizes, titles = (list(StringTable.load(folder, name)) for name in (c.SIZE, c.TITLE))
    unit, amount, count, units = packs_of(sizes, titles)
    near, sims = (np.asarray(load_array(texts, name)) for name in ("ids", "sims"))
    # An empty text is like nothing.
    blank = np.array([not text.strip() for text in StringTable.load(folder, "texts")], bool)
    if len(blank):
        text_of = np.where(blank[text_of], -1, text_of)
    return Goods(category_of, brand_of, unit, amount, count, text_of.astype(np.int32), near, sims, units)


def prices_of(context: Context, now: int | None = None) -> Prices:
    """All prices that products had: of the table of prices or, where there is none, of what was paid; and those of now.

    Prices in other currencies than the shop's are left out and counted: without a dated rate they say nothing.
    """
    folder = context.done["catalogue"]
    ids = pa.array(list(StringTable.load(folder, c.PRODUCT_ID)), pa.string())
    own = context.config.shop.currency
    n, now = len(ids), int(time.time()) if now is None else now
    item, at, value, foreign = _history(context, ids, own)
    known = read_prices(item, at, value, n, now)
    asked = np.asarray(load_array(folder, "prices")) / 10_000.0
    currency = np.array([code in ("", own) for code in StringTable.load(folder, c.CURRENCY)], bool)
    # The catalogue writes −1 ten-thousandth where there is no price.
    there = np.asarray(load_array(folder, "prices")) != -1
    foreign += int((there & ~currency).sum())
    last = np.full(n, np.nan)
    last[known.item[known.last]] = known.value[known.last]
    newest = int(known.at.max(initial=0))
    # A price in the catalogue that no history knows came after all of it.
    fresh = np.flatnonzero(there & currency & ~(np.abs(asked - last) < 5e-5))
    prices = read_prices(
        np.concatenate([item, fresh]), np.concatenate([at, np.full(len(fresh), newest + 1)]), np.concatenate([value, asked[fresh]]), n, now
    )  # fmt: skip
    if foreign:
        prices.masked[FOREIGN] = foreign
    return prices


def _history(
    context: Context, ids: pa.Array, own: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """(row, moment, price) of the table of prices, else of purchases by day; and how many were in other currencies."""
    table = next((t for t in (c.PRICES, c.EVENTS) if t in context.versions), None)
    if table is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), 0
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(context.store.files(table, context.versions[table]))
        if table == c.EVENTS:
            rows = rows.filter(rows[c.KIND] == c.PURCHASE)
        rows = rows.filter(rows[c.PRICE].notnull() & rows[c.AT].notnull())
        mine = rows[c.CURRENCY].isnull() | (rows[c.CURRENCY] == own)
        foreign = engine.count(rows.filter(~mine))
        chosen = rows.filter(mine)
        chosen = chosen.select(
            item=chosen[c.PRODUCT_ID],
            at=chosen[c.AT].truncate("s").epoch_seconds(),
            value=chosen[c.PRICE].cast("float64"),
        )
        if table == c.EVENTS:
            # The same product at the same price on one day is one cell, so memory follows prices and not sales.
            chosen = chosen.mutate(at=(chosen["at"] // 86_400) * 86_400).distinct()
        found = engine.arrow(chosen.order_by(["item", "at", "value"]))
    item = pc.fill_null(pc.index_in(found["item"], value_set=ids), -1).to_numpy().astype(np.int64)
    at, value = found["at"].to_numpy().astype(np.int64), found["value"].to_numpy()
    kept = item >= 0
    item, at, value = item[kept], at[kept], value[kept]
    return (*(daily(item, at, value) if table == c.EVENTS else (item, at, value)), foreign)


def case_of(shop: Workspace) -> Case:
    """The prices of the last build, for `wares.evaluate.prices`.

    Raises:
        NotFitted: when nothing is built.
    """
    context = context_of(shop)
    return Case(
        shop.config.shop.name,
        prices_of(context),
        goods_of(context),
        shop.config.shop.currency,
        rates_of(shop.root, shop.config.shop.currency),
    )
