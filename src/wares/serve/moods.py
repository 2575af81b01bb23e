"""``/v1/sentiment``, ``/v1/products/{id}/mood`` and ``/v1/alerts``: what texts say, how products are felt about, what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from fastapi import FastAPI, Header, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from wares.core.errors import NotFound
from wares.core.mood_alerts import OPEN, STATES, MoodAlerts
from wares.core.state import State
from wares.features.catalogue import Catalogue
from wares.models.sentiment.mood_words import alert_title, alert_words, aspect_name, date_of, mood_word
from wares.models.sentiment.moods import Alarm, Level, Moods, Quote
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.prepare import prepared
from wares.models.sentiment.reader import Reader
from wares.serve.auth import Gate
from wares.serve.schemas import AlertDecision, SentimentQuestion

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

MOST_LETTERS = 100_000
"""Of one text; a longer one is refused, and the others of its batch are answered."""
EXPLAINED = 16
"""Texts of a request that are explained word by word."""
LISTED_ASPECTS = 30
Language = Annotated[Literal["en", "zh"], Query(description="Language of the words.")]
QUOTE_LETTERS = 400


def sentiment_json(
    reader: Reader, aspects: AspectReader, texts: Sequence[Any], why: bool = False
) -> list[dict[str, Any]]:
    """An answer for each text, in their order: the verdict and opinions, or ``error`` for one that cannot be read.

    Raises:
        NotFound: when no classifier is in service.
    """
    errors = {i: problem for i, text in enumerate(texts) if (problem := _problem(text)) is not None}
    good = [i for i in range(len(texts)) if i not in errors]
    # Half of a surrogate pair is no character: one mark takes its place, so that spans still fit.
    said = [str(texts[i]).encode("utf-8", "replace").decode() for i in good]
    verdicts = reader.read(said)
    if len(verdicts) != len(said):
        raise NotFound(
            "no classifier is in service", mend="Give reviews with stars, or name one in `[sentiment] model`; then build and publish",
            id="sentiment",
        )  # fmt: skip
    out: list[dict[str, Any]] = [{"error": errors[i]} if i in errors else {} for i in range(len(texts))]
    explained = 0
    for i, text, verdict, opinions in zip(good, said, verdicts, aspects.read(said), strict=True):
        out[i] = {
            "label": verdict.label, "probability": round(verdict.probability, 5), "mood": None if verdict.mood is None else round(verdict.mood, 4),
            "sure": verdict.sure, "blank": not prepared(text), "probabilities": {name: round(p, 5) for name, p in verdict.probabilities.items()},
            "opinions": [_opinion(one, text) for one in opinions],
        }  # fmt: skip
        if why and explained < EXPLAINED:
            explained += 1
            out[i]["why"] = [{"word": word, "adds": round(adds, 5)} for word, adds in reader.why(text)]
    return out


def _problem(text: Any) -> dict[str, str] | None:
    if not isinstance(text, str):
        return {"title": "Bad text", "detail": f"a text, not {type(text).__name__}", "mend": "Give a string"}
    if len(text) > MOST_LETTERS:
        return {
            "title": "Too long",
            "detail": f"{len(text):,} characters",
            "mend": f"Give at most {MOST_LETTERS:,}",
        }
    return None


def _opinion(one: Any, text: str) -> dict[str, Any]:
    return {
        "aspect": one.aspect, "polarity": round(one.polarity, 4), "confidence": round(one.confidence, 4), "start": one.start, "end": one.end,
        "evidence": text[one.start : one.end], "term": text[one.term_start : one.term_end] if one.term_start >= 0 else None,
    }  # fmt: skip


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


def moods_in(ranker: Ranker) -> Moods:
    """The moods in service.

    Raises:
        NotFound: when the live bundle, of an earlier version, has none.
    """
    if ranker.moods is None:
        raise NotFound("this bundle knows nothing of moods", mend="Build and publish again", id="mood")
    return ranker.moods


def reader_in(ranker: Ranker) -> Reader:
    """The classifier in service.

    Raises:
        NotFound: when the live bundle, of an earlier version, has none.
    """
    if ranker.reader is None:
        raise NotFound("this bundle reads no texts", mend="Build and publish again", id="sentiment")
    return ranker.reader


def routes(
    app: FastAPI,
    ranker: Callable[[], Ranker],
    state: State,
    gate: Gate,
    may: Callable[[str], Any],
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `may` gives the dependency that checks the key for a scope."""
    alerts = MoodAlerts(state)

    @app.post(
        "/v1/sentiment", tags=["read"], summary="What texts say: verdict, probabilities, mood and opinions", dependencies=[may("read")], responses=missing
    )  # fmt: skip
    async def sentiment(question: SentimentQuestion) -> Response:
        now = ranker()
        found = await run_in_threadpool(
            sentiment_json, reader_in(now), now.aspects, question.texts, question.why
        )
        return _json({"trained": reader_in(now).trained, "answers": found})

    @app.get(
        "/v1/products/{product_id}/mood", tags=["read"], summary="How a product is felt about, over time and by aspect", dependencies=[may("read")],
        responses=missing,
    )  # fmt: skip
    async def mood(
        product_id: Annotated[str, PathParam(min_length=1, max_length=200)], language: Language = "en"
    ) -> Response:
        now = ranker()
        row = now.catalogue.row(product_id)
        if row < 0:
            raise NotFound(
                f"there is no product {product_id!r}",
                mend="New products get a mood with the next build",
                id=product_id,
            )
        return _json(mood_json(moods_in(now), now.catalogue, row, language))

    @app.get(
        "/v1/alerts",
        tags=["read"],
        summary="Alerts about moods, newest first",
        dependencies=[may("read")],
        responses=errors,
    )
    async def listed(
        state: Annotated[
            list[Literal["open", "acknowledged", "muted", "resolved"]] | None,
            Query(description="In these states; open ones when absent."),
        ] = None,
        k: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 100,
        language: Language = "en",
    ) -> Response:
        now = ranker()
        rows = await run_in_threadpool(alerts.all, tuple(state or (OPEN,)), k)
        return _json(
            {
                "alerts": [alert_json(row, now.moods, now.catalogue, language) for row in rows],
                "states": STATES,
            }
        )

    @app.post(
        "/v1/alerts/{alert_id}", tags=["write"], summary="Acknowledge or mute an alert, or open it again", dependencies=[may("write")], responses=missing
    )  # fmt: skip
    async def decide(
        alert_id: Annotated[str, PathParam(min_length=1, max_length=64)],
        decision: AlertDecision,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        now = ranker()
        who = _caller(gate, authorization)
        row = await run_in_threadpool(
            alerts.decide, alert_id, decision.state, who, datetime.now(UTC), decision.note
        )
        history = await run_in_threadpool(alerts.history, alert_id)
        return _json({**alert_json(row, now.moods, now.catalogue), "history": history})


def _caller(gate: Gate, authorization: str | None) -> str:
    """Who the key belongs to, for the history."""
    key = gate.check(authorization, "write")
    return f"key {key}" if key else "api"


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
