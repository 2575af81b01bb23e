"""Moods, alarms and alerts for programs, with their words: what the API, the command line and reports say."""

from __future__ import annotations

from typing import Any

from wares.features.catalogue import Catalogue
from wares.models.sentiment.mood_words import alert_title, alert_words, aspect_name, date_of, mood_word
from wares.models.sentiment.moods import Alarm, Level, Moods, Quote

LISTED_ASPECTS = 30
QUOTE_LETTERS = 400


def quote_json(quote: Quote) -> dict[str, Any]:
    """A quote around the span that says it."""
    text, start, end = quote.text, quote.start, quote.end
    if start < 0:
        start, end = 0, min(len(text), QUOTE_LETTERS)
    around = text[:QUOTE_LETTERS] if end <= QUOTE_LETTERS else f"…{text[max(0, start - 80) : end + 80]}"
    return {
        "id": quote.id, "text": around,
        "says": text[start:end],
        "mood": round(quote.mood, 3), "date": date_of(quote.day) or None,
    }  # fmt: skip


def level_json(level: Level) -> dict[str, Any]:
    """A mood with its interval and volume."""
    return {
        "mood": round(level.mood, 4),
        "interval": [round(level.low, 4), round(level.high, 4)],
        "texts": round(level.volume, 1),
    }


def alarm_json(moods: Moods, alarm: Alarm, title: str = "", language: str = "en") -> dict[str, Any]:
    """An alarm for programs, with its words and its evidence."""
    scope, aspect = moods.scope_of(alarm.series)[0], moods.aspect_of(alarm.series)
    numbers = {
        name: getattr(alarm, name) for name in ("before", "after", "texts_before", "texts_after", "rate")
    }
    return {
        "kind": alarm.kind, "scope": scope, "key": moods.name_of(alarm.series), "aspect": aspect, "date": date_of(alarm.day),
        "since": date_of(alarm.since), **numbers, "told": alarm.told, "over": alarm.over,
        "what": alert_title(alarm.kind, scope, moods.name_of(alarm.series), aspect, language, title),
        "words": alert_words(alarm.kind, numbers, date_of(alarm.since), date_of(alarm.day), language),
        "evidence": [quote_json(quote) for quote in moods.evidence(alarm.number)],
    }  # fmt: skip


def mood_json(moods: Moods, catalogue: Catalogue, row: int, language: str = "en") -> dict[str, Any]:
    """How a product is felt about: level, course, aspects with complaints and praise, and what was noticed."""
    product = catalogue.product(row)
    series = moods.find("product", row)
    base = {"product_id": product.product_id, "title": product.title, "category": product.category}
    if series < 0:
        # Nobody has spoken of it: what is usual, and that this is a guess.
        level = Level(float(moods.mood[row]), float(moods.mood_low[row]), float(moods.mood_high[row]), 0.0)
        return {
            **base,
            **level_json(level),
            "word": mood_word(level.mood, language),
            "trend": None,
            "course": [],
            "aspects": [],
            "quotes": [],
            "alarms": [],
        }
    level, curve, trend = moods.level(series), moods.curve(series), moods.trend(series)
    course = [
        {"date": date_of(int(day)), "mood": round(float(m), 4), "interval": [round(float(low), 4), round(float(high), 4)], "texts": float(n)}
        for day, m, low, high, n in zip(curve.day, curve.mood, curve.low, curve.high, curve.volume, strict=True)
    ]  # fmt: skip
    return {
        **base, **level_json(level), "word": mood_word(level.mood, language),
        "trend": None if trend is None else {"before": level_json(trend[0]), "lately": level_json(trend[1])}, "course": course,
        "aspects": [aspect_json(moods, row, one, language) for one in moods.aspects_of("product", row)[:LISTED_ASPECTS]],
        "quotes": [quote_json(quote) for quote in moods.quotes_of(series)],
        "alarms": [alarm_json(moods, alarm, product.title, language) for alarm in _alarms_of(moods, row)],
    }  # fmt: skip


def _alarms_of(moods: Moods, row: int) -> list[Alarm]:
    """Told alarms of a product and its aspects, newest first."""
    own = [moods.find("product", row), *moods.aspects_of("product", row)]
    found = [alarm for series in own if series >= 0 for alarm in moods.alarms(series, told=True)]
    return sorted(found, key=lambda alarm: (-alarm.day, alarm.number))


def aspect_json(moods: Moods, row: int, series: int, language: str = "en") -> dict[str, Any]:
    """What is said of one aspect of a product."""
    aspect = int(moods.series["aspect"][series])
    trend = moods.trend(series)
    return {
        "aspect": moods.aspects[aspect], "name": aspect_name(moods.aspects[aspect], language), **level_json(moods.level(series)),
        "complaints": int(moods.aspect_bad[row, aspect]), "praise": int(moods.aspect_good[row, aspect]),
        "trend": None if trend is None else {"before": level_json(trend[0]), "lately": level_json(trend[1])},
        "quotes": [quote_json(quote) for quote in moods.quotes_of(series)],
    }  # fmt: skip


def alert_json(
    row: dict[str, Any], moods: Moods | None, catalogue: Catalogue | None, language: str = "en"
) -> dict[str, Any]:
    """A stored alert with its words; evidence is looked up in the moods in service, so that what was erased is gone."""
    title = ""
    if (
        catalogue is not None
        and row["scope"].startswith("product")
        and (at := catalogue.row(row["key"])) >= 0
    ):
        title = catalogue.product(at).title
    quotes = [] if moods is None else moods.quoted(row["evidence"])
    return {
        **row, "title": title, "what": alert_title(row["kind"], row["scope"], row["key"], row["aspect"], language, title),
        "words": alert_words(row["kind"], row["numbers"], row["since"], row["day"], language), "evidence": [quote_json(q) for q in quotes],
    }  # fmt: skip
