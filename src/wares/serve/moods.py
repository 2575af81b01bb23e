"""``/v1/sentiment``, ``/v1/products/{id}/mood`` and ``/v1/alerts``: what texts say, how products are felt about, what changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Header, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from wares.core.errors import NotFound
from wares.core.mood_alerts import OPEN, STATES, MoodAlerts
from wares.core.state import State
from wares.models.sentiment.mood_json import alert_json, mood_json
from wares.models.sentiment.moods import Moods
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.prepare import prepared
from wares.models.sentiment.reader import Reader
from wares.serve.answers import Language, json_response
from wares.serve.auth import Gate
from wares.serve.schemas import AlertDecision, SentimentQuestion

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

MOST_LETTERS = 100_000
"""Of one text; a longer one is refused, and the others of its batch are answered."""
EXPLAINED = 16
"""Texts of a request that are explained word by word."""


def sentiment_json(
    reader: Reader, aspects: AspectReader, texts: Sequence[Any], why: bool = False
) -> list[dict[str, Any]]:
    """An answer for each text, in their order: the verdict and opinions, or ``error`` for one that cannot be read."""
    errors = {i: problem for i, text in enumerate(texts) if (problem := _problem(text)) is not None}
    good = [i for i in range(len(texts)) if i not in errors]
    # Half of a surrogate pair is no character: one mark takes its place, so that spans still fit.
    said = [str(texts[i]).encode("utf-8", "replace").decode() for i in good]
    verdicts = reader.read(said)
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
        return json_response({"trained": reader_in(now).trained, "answers": found})

    @app.get(
        "/v1/products/{product_id:path}/mood", tags=["read"], summary="How a product is felt about, over time and by aspect", dependencies=[may("read")],
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
        return json_response(mood_json(moods_in(now), now.catalogue, row, language))

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
        return json_response(
            {
                "alerts": [alert_json(row, now.moods, now.catalogue, language) for row in rows],
                "states": STATES,
            }
        )

    @app.post(
        "/v1/alerts/{alert_id}", tags=["write"], summary="Acknowledge or mute an alert, or open it again", dependencies=[may("write")], responses=missing
    )  # fmt: skip
    async def decide(
        alert_id: Annotated[str, PathParam(pattern=r"^\w{1,64}$")],
        decision: AlertDecision,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        now = ranker()
        who = gate.caller(authorization, "write")
        row = await run_in_threadpool(
            alerts.decide, alert_id, decision.state, who, datetime.now(UTC), decision.note
        )
        history = await run_in_threadpool(alerts.history, alert_id)
        return json_response({**alert_json(row, now.moods, now.catalogue), "history": history})
