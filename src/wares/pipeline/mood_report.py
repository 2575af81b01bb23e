"""The report that a product manager reads: how products are felt about, why, what changed, and what to check."""

from __future__ import annotations

import csv
import html
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wares.core import columns as c
from wares.features.catalogue import Catalogue
from wares.features.pair_files import columns_of
from wares.models.sentiment.mood_json import level_json, mood_json, quote_json
from wares.models.sentiment.mood_words import alert_title, alert_words, date_of
from wares.models.sentiment.moods import Moods
from wares.models.sentiment.readings import Readings
from wares.pipeline.mood_watch import current
from wares.pipeline.moods import MOODS
from wares.pipeline.plan import execute
from wares.pipeline.reading import READINGS, SENTIMENT

ASPECTS = 5
"""Aspects of a product that the report names."""
LEAST_COMPLAINTS, LEAST_SHARE = 3, 0.02
"""Of an aspect, and of a product's texts: fewer are no reason to look."""
WORSE = 0.15
"""Of mood, below what the aspect has in the category: then it is the product's own."""
ALERT_DAYS = 60
ALL = "all"
Say = Callable[[str], None]


def report_of(moods: Moods, catalogue: Catalogue, products: int, source: str = "") -> dict[str, Any]:
    """The report as data: the shop, its aspects, and the `products` most spoken of, those with the most complaints first."""
    shop = moods.find("shop", 0)
    most = sorted(range(len(moods)), key=lambda row: (-float(moods.volume[row]), row))[:products]
    found = [mood_json(moods, catalogue, row) for row in most if moods.volume[row] > 0]
    for one in found:
        one["check"] = _check(moods, catalogue, one)
        del one["course"]
    found.sort(key=lambda one: (one["mood"], one["product_id"]))
    aspects = [_shop_aspect(moods, a) for a in range(len(moods.aspects)) if moods.find("aspect", -1, a) >= 0]
    aspects.sort(key=lambda one: (-one["texts"], one["aspect"]))
    alerts = [
        {"kind": a.kind, "what": alert_title(a.kind, a.scope, a.key, a.aspect, title=_title(catalogue, a.scope, a.key)), "words": alert_words(a.kind, a.numbers, a.since, a.day), "date": a.day, "evidence": [quote_json(q) for q in moods.quoted(a.evidence)]}
        for a in current(moods, ALERT_DAYS)
    ]  # fmt: skip
    history = [
        {"date": date_of(a.day), "what": alert_title(a.kind, moods.scope_of(a.series)[0], moods.name_of(a.series), moods.aspect_of(a.series), title=_title(catalogue, moods.scope_of(a.series)[0], moods.name_of(a.series))), "over": a.over, "words": alert_words(a.kind, {"before": a.before, "after": a.after, "texts_before": a.texts_before, "texts_after": a.texts_after, "rate": a.rate}, date_of(a.since), date_of(a.day))}
        for a in moods.alarms(told=True) if a.part_of < 0
    ]  # fmt: skip
    facts = moods.manifest
    trend = moods.trend(shop) if shop >= 0 else None
    return {
        "source": source, "from": date_of(facts["first_day"]), "to": date_of(facts["last_day"]), "texts": facts["texts"], "left_out": facts["left_out"],
        "undated": facts["undated"], "in_the_future": facts["in_the_future"], "products_spoken_of": int((moods.volume > 0).sum()),
        "mood": level_json(moods.level(shop)) if shop >= 0 else None,
        "trend": None if trend is None else {"before": level_json(trend[0]), "lately": level_json(trend[1])},
        "watched": facts["detection"].get("watched", 0), "false_alarms": facts["rule"]["false_alarms"], "aspects": aspects, "alerts": alerts,
        "noticed": history, "drift": facts["drift"], "products": found,
    }  # fmt: skip


def _title(catalogue: Catalogue, scope: str, key: str) -> str:
    row = catalogue.row(key) if scope.startswith("product") else -1
    return catalogue.product(row).title if row >= 0 else ""


def _shop_aspect(moods: Moods, aspect: int) -> dict[str, Any]:
    series = moods.find("aspect", -1, aspect)
    return {
        "aspect": moods.aspects[aspect], **level_json(moods.level(series)), "complaints": int(moods.aspect_bad[:, aspect].sum()),
        "praise": int(moods.aspect_good[:, aspect].sum()), "quotes": [quote_json(quote) for quote in moods.quotes_of(series)],
    }  # fmt: skip


def _check(moods: Moods, catalogue: Catalogue, one: dict[str, Any]) -> list[str]:
    """What to look at, worst first: aspects with complaints that are worse here than in the category, and changes."""
    row = catalogue.row(one["product_id"])
    category = int(catalogue.category_of[row])
    out = [
        f"{alarm['what']} on {alarm['date']}: see what happened around {alarm['since']}"
        for alarm in one["alarms"]
        if not alarm["over"]
    ]
    scored: list[tuple[float, str]] = []
    for aspect in one["aspects"]:
        place = moods.aspects.index(aspect["aspect"])
        usual = float(moods.category_aspect_mood[category, place]) if category >= 0 else 0.0
        gap = usual - aspect["mood"]
        few = aspect["complaints"] < max(LEAST_COMPLAINTS, LEAST_SHARE * one["texts"])
        if few or (gap < WORSE and aspect["mood"] > -0.1):
            continue
        share = aspect["complaints"] / max(one["texts"], 1)
        beside = f", {gap:.2f} of mood below its category" if gap >= WORSE else ", as in its category"
        scored.append(
            (
                -share,
                f"{aspect['name']}: {aspect['complaints']} complaints in {one['texts']:g} texts ({share:.0%}){beside}",
            )
        )
    return out + [words for _, words in sorted(scored)]


def report_of_file(
    file: Path,
    text: str,
    rating: str,
    date: str,
    product: str,
    category: str,
    products: int,
    progress: Say = lambda _: None,
) -> dict[str, Any]:
    """The report of a file of reviews: it goes the way of a shop's reviews, in a workspace that is thrown away.

    Raises:
        QueryError: when a column is missing.
        SourceError: when the file cannot be read.
    """
    from wares.pipeline.steps import STEPS
    from wares.pipeline.workspace import init_workspace

    progress("read")
    wanted = [name for name in (text, rating, date, product, category) if name]
    rows = columns_of(file, tuple(dict.fromkeys(wanted)))
    names = [name.strip() or ALL for name in rows[product]] if product else [ALL] * len(rows[text])
    with tempfile.TemporaryDirectory(prefix="wares-moods-") as scratch:
        root = Path(scratch) / "shop"
        shop = init_workspace(root)
        _write(
            root / "products.csv",
            (c.PRODUCT_ID, c.TITLE, c.CATEGORY),
            {
                name: (name, f"{name} ({kind.strip()})" if kind.strip() else name, kind.strip())
                for name, kind in zip(names, rows[category] if category else [""] * len(names), strict=True)
            },
        )
        header = (
            c.REVIEW_ID,
            c.PRODUCT_ID,
            c.TEXT,
            *((c.RATING,) if rating else ()),
            *((c.AT,) if date else ()),
        )
        columns = [names, rows[text], *((rows[rating],) if rating else ()), *((rows[date],) if date else ())]
        # Two equal rows are two reviews: which of them count is for the readings to say.
        _write(
            root / "reviews.csv",
            header,
            {str(i): (f"r{i + 1}", *values) for i, values in enumerate(zip(*columns, strict=True))},
        )
        shop.ingest(str(root / "products.csv"), c.PRODUCTS)
        landed = shop.ingest(str(root / "reviews.csv"), c.REVIEWS)
        context = shop._context()
        steps = [step for step in STEPS if step.name in ("catalogue", SENTIMENT, READINGS, MOODS)]
        for name, _ in execute(steps, context, lambda step, done, total: progress(step)):
            progress(name)
        moods, catalogue = Moods.load(context.done[MOODS]), Catalogue(context.done["catalogue"])
        report = report_of(moods, catalogue, products, file.name)
        read = Readings.load(context.done[READINGS])
        report["refused"] = sum(int(one.quarantined) for one in landed)
        report["reader"] = {"trained": read.trained, "source": read.source}
        shop.state.close()
    return report


def _write(path: Path, header: tuple[str, ...], rows: dict[str, tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="replace") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows.values())


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    out = [f"# What customers feel{': ' + report['source'] if report['source'] else ''}", ""]
    left = ", ".join(f"{n} {name}" for name, n in report["left_out"].items() if n)
    when = f"{report['from']} to {report['to']}" if report["from"] else "without dates"
    out.append(
        f"{report['texts']} texts of {report['products_spoken_of']} products, {when}" + (f"; left out: {left}" if left else "")
        + (f"; {report['undated']} without a date" if report["undated"] and report["from"] else "") + "."
    )  # fmt: skip
    if report["mood"]:
        out += [
            "",
            f"**Mood {_level(report['mood'])}**"
            + (
                f"; the last 90 days {_level(report['trend']['lately'])}, before {_level(report['trend']['before'])}"
                if report["trend"]
                else ""
            )
            + ". From -1 (bad) to +1 (good); in brackets the 90% interval.",
        ]
    out += ["", "## Alerts", ""]
    for alert in report["alerts"]:
        out.append(f"- **{alert['what']}** ({alert['date']}). {alert['words']}")
        out += [f"  > {_quote(quote)}" for quote in alert["evidence"][:3]]
    if not report["alerts"]:
        out.append(
            f"None now. {report['watched']} series are watched, each with at most {report['false_alarms']:g} false alarms a year and direction."
            if report["from"]
            else "The texts have no dates, so nothing can be watched over time."
        )
    earlier = [
        one
        for one in report["noticed"]
        if not any(a["what"] == one["what"] and a["date"] == one["date"] for a in report["alerts"])
    ]
    if earlier:
        out += [
            "",
            "Noticed earlier:",
            "",
            *(
                f"- {one['date']} {one['what']}{' (over)' if one['over'] else ''}. {one['words']}"
                for one in earlier[:10]
            ),
        ]
    drifted = [
        m for found in report["drift"] if not found["language"] for m in found["measures"] if m["drifted"]
    ]
    if drifted:
        out += [
            "",
            "The texts are not what they were: "
            + ", ".join(
                f"{m['name']} (size {m['size']:.2f}, limit {m['threshold']:g}, p {m['p']:.3f})"
                for m in drifted
            )
            + ".",
        ]
    if report["aspects"]:
        out += [
            "",
            "## Aspects",
            "",
            "| aspect | mood | complaints | praise | a complaint | a praise |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for one in report["aspects"][:12]:
            bad = next((q for q in one["quotes"] if q["mood"] < 0), None)
            good = next((q for q in one["quotes"] if q["mood"] > 0), None)
            out.append(
                f"| {one['aspect']} | {_level(one)} | {one['complaints']} | {one['praise']} | {_cell(bad)} | {_cell(good)} |"
            )
    out += ["", "## Products", ""]
    for one in report["products"]:
        out += _product(one)
    return "\n".join(out) + "\n"


def _product(one: dict[str, Any]) -> list[str]:
    out = [
        f"### {one['title']}",
        "",
        f"Mood {_level(one)}, {one['word']}, {one['texts']:g} texts{_trend(one['trend'])}.",
        "",
    ]
    complaints = sorted((a for a in one["aspects"] if a["complaints"]), key=lambda a: -a["complaints"])[
        :ASPECTS
    ]
    praise = sorted((a for a in one["aspects"] if a["praise"]), key=lambda a: -a["praise"])[:ASPECTS]
    for name, aspects, key, sign in (
        ("Complaints", complaints, "complaints", -1),
        ("Praise", praise, "praise", 1),
    ):
        if aspects:
            out.append(
                f"- {name}: " + "; ".join(f"{a['name']} {a[key]}{_says(a['quotes'], sign)}" for a in aspects)
            )
    if not complaints and not praise:
        out += [f"- said: {_quote(quote)}" for quote in one["quotes"][:3]]
    out += [f"- **Check** {words}" for words in one["check"]]
    return [*out, ""]


def _trend(trend: dict[str, Any] | None) -> str:
    if trend is None:
        return ""
    before, now = trend["before"], trend["lately"]
    clear = now["interval"][1] < before["interval"][0] or now["interval"][0] > before["interval"][1]
    return f"; last 90 days {now['mood']:+.2f}, the year before {before['mood']:+.2f} ({'a change' if clear else 'no clear change'})"


def _level(one: dict[str, Any]) -> str:
    return f"{one['mood']:+.2f} ({one['interval'][0]:+.2f} to {one['interval'][1]:+.2f})"


def _says(quotes: list[dict[str, Any]], sign: int) -> str:
    fitting = [quote for quote in quotes if quote["mood"] * sign > 0]
    return f" (“{_short(fitting[0]['says'])}”)" if fitting else ""


def _quote(quote: dict[str, Any]) -> str:
    return f"{quote['date'] + ' ' if quote['date'] else ''}“{_short(quote['says'], 220)}”"


def _cell(quote: dict[str, Any] | None) -> str:
    return "" if quote is None else f"“{_short(quote['says'])}”".replace("|", "/")


def _short(text: str, letters: int = 90) -> str:
    said = " ".join(html.unescape(text).split())
    return said if len(said) <= letters else said[: letters - 1].rstrip() + "…"
