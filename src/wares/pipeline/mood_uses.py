"""The build step that puts moods to use: queries, service, products to better, prices, stock, and what shoppers care about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.catalogue import PRICE_SCALE, Catalogue
from wares.features.interactions_build import DAY, EventLog
from wares.models.price import emerging_train as emerging
from wares.models.price.strategy import PriceMood, levels_of, mood_by_level, price_mood
from wares.models.price.strategy_stock import stock_hints
from wares.models.sentiment import satisfaction as sat
from wares.models.sentiment.improve import Complaints, Improvement, sentence_around
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.triage import Case, about, triage
from wares.models.sentiment.uses import MoodUses, write_uses
from wares.pipeline.graphing import event_log
from wares.pipeline.mood_queries import query_log, searched
from wares.pipeline.mood_side import MICROS
from wares.pipeline.plan import Context, Tick
from wares.pipeline.reading import READINGS

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

MOOD_USES = "mood_uses"
_SENTIMENT, _PRICE = "wares.models.sentiment.", "wares.models.price."
MOOD_USES_MODULES = (
    f"{_SENTIMENT}satisfaction", f"{_SENTIMENT}triage", f"{_SENTIMENT}improve", f"{_SENTIMENT}uses", f"{_SENTIMENT}readings",
    f"{_PRICE}strategy", f"{_PRICE}strategy_stock", "wares.pipeline.mood_uses", "wares.pipeline.mood_queries",
)  # fmt: skip
TABLES = (c.EVENTS, c.QUERIES, c.clean_name(c.QUERIES))
PRICE_ASPECTS = ("price", "value")
MOST_CASES, MOST_STOCK, MOST_RISKS = 500, 500, 500


def build_mood_uses(context: Context, folder: Path, tick: Tick) -> Any:
    """Write the artefact of `wares.models.sentiment.uses`."""
    readings, catalogue = Readings.load(context.done[READINGS]), Catalogue(context.done["catalogue"])
    n, log = len(catalogue), event_log(context)
    moods = sat.product_moods(readings, n)
    tick(1, 6)
    asked, clicks, linked = query_log(context, catalogue, log, readings)
    found = sat.satisfied(asked, moods, readings.aspects, clicks=clicks, linked=linked)
    tick(3, 6)
    complaints = Complaints(readings, np.asarray(catalogue.category_of))
    products = np.unique(readings.product[readings.counted & (readings.product >= 0)])
    reports = [complaints.report(int(row)) for row in products.tolist()]
    report_of = np.full(n, -1, np.int32)
    report_of[products] = np.arange(len(products))
    tick(4, 6)
    cases = triage(readings, MOST_CASES)
    bought = _bought(context, log, [(c.text, readings) for c in cases])
    tick(5, 6)
    price_sum, price_count, price_facts, levels = _prices(readings, catalogue, n)
    order = sorted(range(len(reports)), key=lambda i: (-_pressing(reports[i]), i))
    facts = {
        "texts": int(readings.counted.sum()), "trained": readings.trained, "source": readings.source, "aspects": list(readings.aspects),
        "searches": sum(one.searches for one in asked), "clicks": clicks, "linked": linked, "price_opinions": price_facts,
        "price_levels": levels, "whole": moods.whole,
    }  # fmt: skip
    lists = {
        "queries": [_query_json(one) for one in found],
        "cases": [_case_json(case, readings, catalogue, day) for case, day in zip(cases, bought, strict=True)],
        "reports": [_report_json(report, readings) for report in reports],
        "stock": _stock(context, log, readings, n, moods.spread),
        "risks": [{"product": reports[i].product, "pressing": round(_pressing(reports[i]), 3)} for i in order[:MOST_RISKS] if _pressing(reports[i]) > 0],
    }  # fmt: skip
    return write_uses(
        folder, lists, report_of, price_sum, price_count, [one.asked.text for one in found], facts
    )


def _number(value: float, digits: int = 4) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _query_json(one: sat.Satisfied) -> dict[str, Any]:
    asked = one.asked
    return {
        "query": asked.text, "searches": asked.searches, "satisfaction": _number(one.score), "interval": [_number(one.low), _number(one.high)],
        "mood": _number(one.mood), "texts": int(one.said), "behaviour": _number(one.behaviour), "remarks": asked.remarks, "remarks_mood": _number(asked.remarks_mood) if asked.remarks else None, "clicked": asked.clicked,
        "reformulated": asked.reformulated, "into": [list(pair) for pair in asked.into[:3]], "bought": asked.bought,
        "returned": asked.returned, "shown": list(asked.shown[: sat.SHOWN]),
        "changes": [{"code": change.code, **change.facts} for change in one.changes],
    }  # fmt: skip


def _case_json(case: Case, readings: Readings, catalogue: Catalogue, day: str) -> dict[str, Any]:
    row, product = case.text, int(readings.product[case.text])
    author = int(readings.author[row])
    title = catalogue.product(product).title if product >= 0 else ""
    return {
        "id": str(readings.ids[row]), "kind": readings.kinds[int(readings.kind[row])], "text": str(readings.texts[row]),
        "language": readings.languages[int(readings.language[row])], "at": int(readings.at[row]) // MICROS, "product": product,
        "user": str(readings.users[author]) if author >= 0 else "", "mood": _number(readings.mood[row]), "score": _number(case.score),
        "signs": {name: _number(value) for name, value in case.signs.items()}, "days": round(case.days, 1), "aspect": case.aspect,
        "about": about(case), "bought": day, "title": title,
    }  # fmt: skip


def _report_json(report: Improvement, readings: Readings) -> dict[str, Any]:
    return {
        "product": report.product, "texts": report.read, "mood": _number(report.mood), "category_mood": _number(report.category_mood),
        "praise": [list(pair) for pair in report.praise],
        "complaints": [
            {
                "aspect": one.aspect, "texts": one.texts, "share": _number(one.share), "interval": [_number(one.low), _number(one.high)],
                "category_share": _number(one.usual), "ratio": _number(one.ratio, 2), "worse": one.worse, "recent": _number(one.recent),
                "before": _number(one.before), "trend": one.trend, "praised": one.good,
"quotes": [_quote(readings, o) for o in one.quotes],
            }
            for one in report.complaints
        ],
    }  # fmt: skip


def _quote(readings: Readings, opinion: int) -> dict[str, Any]:
    row = int(readings.op_text[opinion])
    said = sentence_around(
        str(readings.texts[row]), int(readings.op_start[opinion]), int(readings.op_end[opinion])
    )
    return {"text": said, "of": str(readings.ids[row]), "at": max(int(readings.at[row]) // MICROS, -1)}


def _pressing(report: Improvement) -> float:
    """Texts beyond the category's share over the complaints that are surely worse than in the category."""
    return sum(max(one.share - one.usual, 0) * one.read for one in report.complaints if one.worse)


def _prices(
    readings: Readings, catalogue: Catalogue, n: int
) -> tuple[NDArray[Any], NDArray[Any], list[float], list[dict[str, Any]]]:
    """Opinions on price and value by product, their mean and spread, and moods by price level."""
    codes = [i for i, name in enumerate(readings.aspects) if name in PRICE_ASPECTS]
    mine = np.isin(readings.op_aspect, codes) & readings.counted[readings.op_text]
    product, polarity = (
        readings.product[readings.op_text[mine]],
        np.asarray(readings.op_polarity[mine], float),
    )
    there = product >= 0
    total, count = np.bincount(product[there], polarity[there], n), np.bincount(product[there], minlength=n)
    mean = float(polarity.mean()) if len(polarity) else 0.0
    spread = float(polarity.std()) if len(polarity) > 1 else 1.0
    price = np.asarray(catalogue.prices, float) / PRICE_SCALE
    found = mood_by_level(levels_of(price, np.asarray(catalogue.category_of)), product, polarity)
    levels = [
        {"level": one.level, "products": one.products, "opinions": one.opinions, "mood": _number(one.mood), "interval": [_number(one.low), _number(one.high)]}
        for one in found
    ]  # fmt: skip
    return total, count, [mean, spread], levels


def _bought(context: Context, log: EventLog | None, cases: Sequence[tuple[int, Readings]]) -> list[str]:
    """The day on which the writer of each text last bought its product, as written; empty where that is not known."""
    out = [""] * len(cases)
    if log is None or not cases:
        return out
    ids = StringTable.load(context.done["catalogue"], c.PRODUCT_ID)
    wanted: dict[tuple[str, str], list[int]] = {}
    for place, (row, readings) in enumerate(cases):
        author, product = int(readings.author[row]), int(readings.product[row])
        if author >= 0 and product >= 0:
            wanted.setdefault((str(readings.users[author]), str(ids[product])), []).append(place)
    if not wanted:
        return out
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.moments(engine, [c.PURCHASE], 0, 1 << 40)
        lines = lines.filter(lines["user"].isin(sorted({user for user, _ in wanted})))
        rows = engine.arrow(lines.select("user", "item", "at")).to_pylist()
    for line in sorted(rows, key=lambda line: line["at"]):
        for place in wanted.get((line["user"], line["item"]), ()):
            row, readings = cases[place]
            if line["at"] * MICROS <= int(readings.at[row]):
                out[place] = str(np.datetime64(int(line["at"]), "s").astype("datetime64[D]"))
    return out


def _stock(
    context: Context, log: EventLog | None, readings: Readings, n: int, spread: float
) -> list[dict[str, Any]]:
    """Stock hints as rows; empty without events over time."""
    span = log.span() if log is not None else (0, 0)
    days = emerging.windows(*span) if log is not None and span[1] else None
    if log is None or days is None:
        return []
    begin, start, end = days
    kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
    counts: list[NDArray[Any]] = []
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        for low, high in ((start, end), (begin, start)):
            lines = log.moments(engine, kinds, low * DAY, high * DAY)
            lines = lines.mutate(week=((lines["at"] - low * DAY) / (7 * DAY)).floor().cast("int32"))
            cells = lines.group_by(["item", "week"]).aggregate(shoppers=lines["user"].nunique().cast("int32"))
            table = engine.arrow(cells.group_by("item").aggregate(n=cells["shoppers"].sum()).order_by("item"))
            rows = pc.fill_null(pc.index_in(table["item"], value_set=log.item_ids), -1).to_numpy()
            kept = rows >= 0
            counts.append(np.bincount(rows[kept], table["n"].to_numpy()[kept], n))
    for found, out in zip(searched(context, ((start, end), (begin, start)), n), counts, strict=True):
        out += found
    edge = start * DAY * MICROS
    counted = (
        readings.counted & (readings.product >= 0) & (readings.at >= 0) & (readings.at < end * DAY * MICROS)
    )
    parts: list[NDArray[Any]] = []
    for mine in (counted & (readings.at >= edge), counted & (readings.at < edge)):
        product = readings.product[mine]
        size = np.bincount(product, minlength=n)
        parts += [np.bincount(product, readings.mood[mine], n) / np.maximum(size, 1), size]
    weeks = ((end - start) / 7, (start - begin) / 7)
    hints = stock_hints(
        counts[0],
        counts[1],
        weeks,
        (parts[0], parts[1], parts[2], parts[3]),
        spread,
        context.config.shop.seed,
    )
    return [
        {
            "product": one.row, "hint": one.hint, "ratio": _number(one.ratio, 3), "interval": [_number(one.low, 3), _number(one.high, 3)],
            "shoppers": one.recent, "expected": _number(one.expected, 2), "probability": _number(one.probability),
            "mood_change": _number(one.mood_change, 3), "mood_fell": _number(one.mood_fell), "careful": one.careful,
            "weeks": [round(weeks[0], 2), round(weeks[1], 2)],
        }
        for one in hints[:MOST_STOCK]
    ]  # fmt: skip


def uses_of(shop: Workspace) -> tuple[MoodUses, Catalogue]:
    """The uses of moods and the catalogue of the last build.

    Raises:
        NotFitted: when nothing is built, or by an earlier version.
    """
    from wares.core.errors import NotFitted

    done = shop._latest()["done"]
    if MOOD_USES not in done:
        raise NotFitted("the last build knows nothing of moods", mend="Run `wares build`")
    return MoodUses(shop.root / done[MOOD_USES]), Catalogue(shop.root / done["catalogue"])


def price_mood_of(shop: Workspace, row: int) -> PriceMood | None:
    """What is said of the price of a product; None where the last build knows nothing of moods."""
    done = shop._latest()["done"]
    if MOOD_USES not in done:
        return None
    return price_mood(*MoodUses(shop.root / done[MOOD_USES]).price_mood(row))
