"""Moods watched over time: what the last build noticed becomes alerts, told once; doubtful texts go to the labelling queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wares.core import columns as c
from wares.core.mood_alerts import CONFIDENCE, DRIFT, OPEN, MoodAlert, MoodAlerts
from wares.core.state import stamp
from wares.core.strings import StringTable
from wares.data.labels.book import LabelBook, Project
from wares.data.quality.alerts import send
from wares.data.quality.history import History
from wares.models.sentiment.mood_words import alert_title, alert_words, date_of
from wares.models.sentiment.moods import ROSE, Alarm, Moods
from wares.models.sentiment.readings import Readings
from wares.pipeline.moods import MOODS
from wares.pipeline.reading import READINGS

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

MOST_TOLD = 20
"""Alerts that one message names."""
QUOTED = 2
"""Quotes of each alert in a message."""
QUOTE_LETTERS = 160
PROJECT = "moods"
"""The labelling project of doubtful texts."""


def watch(shop: Workspace) -> dict[str, Any]:
    """Take up what the last build noticed: new alerts and resolved ones are noted, and one message tells of them.

    Returns ``new`` and ``resolved`` (ids), how many are ``open``, and ``asked``: texts put into the labelling queue.
    """
    done = shop._latest()["done"]
    if MOODS not in done:
        return {"new": [], "resolved": [], "open": 0, "asked": 0}
    moods = Moods.load(shop.root / done[MOODS])
    found = current(moods, shop.config.sentiment.alert_days)
    alerts, now = MoodAlerts(shop.state), shop.clock.now()
    fresh, gone = alerts.watch(found, now)
    asked = (
        ask(shop, moods, Readings.load(shop.root / done[READINGS]))
        if any(a.kind == CONFIDENCE for a in fresh)
        else 0
    )
    if fresh or gone:
        _tell(shop, moods, fresh, gone, stamp(now))
    return {
        "new": [one.id for one in fresh], "resolved": [str(row["id"]) for row in gone], "open": len(alerts.all((OPEN,))), "asked": asked,
    }  # fmt: skip


def current(moods: Moods, days: int) -> list[MoodAlert]:
    """What holds now: told alarms of the last `days` that no other explains and that are not over, and drift."""
    alarms = [a for a in moods.alarms(since=moods.last_day - days, told=True) if a.part_of < 0 and not a.over]
    told = [alert_of(moods, alarm) for alarm in alarms] + _drifts(moods)
    # Of a series that changed twice the same way, the later change is what holds.
    return list({one.series: one for one in sorted(told, key=lambda one: one.day)}.values())


def alert_of(moods: Moods, alarm: Alarm) -> MoodAlert:
    """An alarm as an alert, its series by name."""
    scope, _, _ = moods.scope_of(alarm.series)
    level = moods.level(alarm.series)
    numbers = {
        "before": alarm.before, "after": alarm.after, "texts_before": alarm.texts_before, "texts_after": alarm.texts_after, "rate": alarm.rate,
        "false_alarms": moods.manifest["rule"]["false_alarms"], "volume": level.volume,
        "also": [alert_title(a.kind, moods.scope_of(a.series)[0], moods.name_of(a.series), moods.aspect_of(a.series)) for a in moods.alarms(told=True) if a.part_of == alarm.number],
    }  # fmt: skip
    evidence = tuple(quote.evidence for quote in moods.evidence(alarm.number))
    return MoodAlert(
        alarm.kind, scope, moods.name_of(alarm.series), moods.aspect_of(alarm.series), date_of(alarm.day), date_of(alarm.since), numbers, evidence
    )  # fmt: skip


def _drifts(moods: Moods) -> list[MoodAlert]:
    """Drift of the texts, and of the classifier, over everything and in each language."""
    out: list[MoodAlert] = []
    for found in moods.manifest["drift"]:
        for kind, of_model in ((DRIFT, False), (CONFIDENCE, True)):
            measures = [m for m in found["measures"] if m["drifted"] and m["model"] == of_model]
            if not measures:
                continue
            numbers = {
                "measures": measures,
                "recent_texts": found["recent_texts"],
                "reference_texts": found["reference_texts"],
            }
            doubts = moods.manifest["doubts"][:5] if of_model else ()
            evidence = tuple(quote.evidence for i in doubts if (quote := moods.quote_by_id(i)) is not None)
            out.append(
                MoodAlert(kind, "shop", found["language"], "", date_of(found["recent_to"]), date_of(found["recent_from"]), numbers, evidence)
            )  # fmt: skip
    # What a language shows by itself need not be said of the whole again.
    languages = {one.kind for one in out if one.key}
    whole = [one for one in out if not one.key]
    return whole or [one for one in out if one.kind in languages]


def ask(shop: Workspace, moods: Moods, read: Readings) -> int:
    """Put the least sure texts into the labelling queue; returns how many are new there."""
    book = LabelBook.of(shop)
    rows = [(text_id, read.ids.find(text_id)) for text_id in moods.manifest["doubts"]]
    items = [
        {
            "key": text_id,
            "payload": {"text": str(read.texts[row])},
            "priority": float(1 - read.confidence[row]),
        }
        for text_id, row in rows
        if row >= 0
    ]
    return book.add(_project(book), items, asset=READINGS, by="moods").landed if items else 0


def _project(book: LabelBook) -> Project:
    known = [project for project in book.projects() if project.name == PROJECT]
    return known[0] if known else book.create(PROJECT, "sentiment", by="moods")


def title_of(shop: Workspace, product: str) -> str:
    """The title of a product in the last build, or its id."""
    folder = shop.root / shop._latest()["done"]["catalogue"]
    row = StringTable.load(folder, c.PRODUCT_ID).find(product)
    return str(StringTable.load(folder, c.TITLE)[row]) if row >= 0 else product


def _tell(
    shop: Workspace, moods: Moods, fresh: Sequence[MoodAlert], gone: Sequence[dict[str, Any]], at: str
) -> None:
    name = shop.config.shop.name
    good = [one for one in fresh if one.kind == ROSE]
    lines = [f"{name}: {len(fresh)} new alerts about moods, {len(gone)} resolved"]
    broken: list[dict[str, Any]] = []
    for one in fresh[:MOST_TOLD]:
        title = title_of(shop, one.key) if one.scope.startswith("product") else ""
        said = alert_title(one.kind, one.scope, one.key, one.aspect, title=title)
        figures = alert_words(one.kind, one.numbers, one.since, one.day)
        quotes = [f'"{quote.text[:QUOTE_LETTERS]}"' for quote in moods.quoted(one.evidence[:QUOTED])]
        lines += [f"{one.id} {said}. {figures}", *(f"    {quote}" for quote in quotes)]
        if one not in good:
            broken.append(
                {"label": said, "severity": "warning", "message": " ".join([figures, *quotes]), "mend": f"See it with `wares alerts evidence {one.id}`; acknowledge with `wares alerts ack {one.id}`", "rows": int(one.numbers.get("texts_after") or one.numbers.get("recent_texts") or 0)}
            )  # fmt: skip
    if len(fresh) > MOST_TOLD:
        lines.append(f"and {len(fresh) - MOST_TOLD} more: `wares alerts list`")
    lines += [
        f"resolved {row['id']} {alert_title(row['kind'], row['scope'], row['key'], row['aspect'])}"
        for row in gone[:MOST_TOLD]
    ]
    message = {
        "shop": name, "table": c.REVIEWS, "at": at, "text": "\n".join(lines), "broken": broken,
        "mended": [str(row["id"]) for row in gone[:MOST_TOLD]],
    }  # fmt: skip
    sent = json.dumps(send(message, shop.config.quality))
    rows = [(one.id, one.kind, "broken") for one in fresh[:MOST_TOLD]] + [
        (str(row["id"]), str(row["kind"]), "mended") for row in gone[:MOST_TOLD]
    ]
    History(shop.state).put_alerts(
        [{"at": at, "asset": c.REVIEWS, "label": f"mood {kind} {alert}", "severity": "warning", "event": event, "sent": sent} for alert, kind, event in rows]
    )  # fmt: skip
