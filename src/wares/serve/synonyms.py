"""``/v1/synonyms``: which phrases say the same in search, as people keep them and as they were learned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from wares.core.files import read_json
from wares.core.synonyms import LONGEST, SynonymBook
from wares.serve.answers import json_response
from wares.serve.auth import Gate
from wares.serve.reading import PART
from wares.serve.schemas import Text

PROPOSALS = "synonyms.json"
Short = Annotated[Text, Field(min_length=1, max_length=LONGEST)]


class SynonymIn(BaseModel):
    """Two phrases of which people say whether they mean the same."""

    model_config = ConfigDict(extra="forbid")
    phrase: Annotated[Short, Field(description="What is typed.")]
    also: Annotated[Short, Field(description="What says the same.")]
    state: Literal["kept", "refused"] = "kept"
    both: Annotated[bool, Field(description="In both directions.")] = True


def learned(bundle: Path) -> list[dict[str, Any]]:
    """What the build learned of synonyms, proven pairs first; empty where the bundle holds none.

    Each is ``one``, ``other``, the cosines ``clicks``, ``meaning`` and ``context`` (-1 where there was nothing to compare), and ``proven``.
    """
    path = bundle / PART / PROPOSALS
    return list(read_json(path)) if path.is_file() else []


def proposed(bundle: Path, book: SynonymBook, limit: int) -> list[dict[str, Any]]:
    """Pairs that may say the same but are not proven, and that nobody has decided on."""
    said = {(one.phrase, one.also) for one in book.all()}
    return [
        pair
        for pair in learned(bundle)
        if not pair["proven"]
        and (pair["one"], pair["other"]) not in said
        and (pair["other"], pair["one"]) not in said
    ][:limit]


def listed(bundle: Path | None, book: SynonymBook, proposals: int = 0, history: int = 0) -> dict[str, Any]:
    """Everything of synonyms as plain values: ``synonyms`` of people, ``learned`` ones in use, ``proposed`` ones and the ``history``."""
    refused = {(one.phrase, one.also) for one in book.all() if one.state == "refused"}
    found = [] if bundle is None else learned(bundle)
    in_use = [
        pair
        for pair in found
        if pair["proven"] and not {(pair["one"], pair["other"]), (pair["other"], pair["one"])} <= refused
    ]
    return {
        "synonyms": [one.to_json() for one in book.all()],
        "learned": in_use,
        "proposed": proposed(bundle, book, proposals) if bundle is not None and proposals else [],
        "history": book.history(history) if history else [],
    }


def routes(
    app: FastAPI,
    book: SynonymBook,
    bundle: Callable[[], Path],
    gate: Gate,
    may: Callable[[str], Any],
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `may` gives the dependency that checks the key for a scope."""

    @app.get("/v1/synonyms", tags=["curate"], summary="Phrases that say the same in search", dependencies=[may("curate")], responses=errors)  # fmt: skip
    async def synonyms(
        proposals: Annotated[int, Query(ge=0, le=1000, description="How many pairs to propose.")] = 0,
        history: Annotated[int, Query(ge=0, le=1000, description="How many changes, newest first.")] = 0,
    ) -> Response:
        return json_response(await run_in_threadpool(listed, bundle(), book, proposals, history))

    @app.post("/v1/synonyms", tags=["curate"], status_code=201, summary="Say that two phrases are the same, or are not", dependencies=[may("curate")], responses=errors)  # fmt: skip
    async def add(
        pair: SynonymIn, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
    ) -> Response:
        by, now = gate.caller(authorization, "curate"), datetime.now(UTC)
        put = book.add if pair.state == "kept" else book.refuse
        made = await run_in_threadpool(lambda: put(pair.phrase, pair.also, by, now, both=pair.both))
        return json_response({"synonyms": [one.to_json() for one in made]}, 201)

    @app.delete("/v1/synonyms", tags=["curate"], summary="Take back what was said of two phrases", dependencies=[may("curate")], responses=missing)  # fmt: skip
    async def remove(
        phrase: Annotated[str, Query(min_length=1, max_length=LONGEST)],
        also: Annotated[str, Query(min_length=1, max_length=LONGEST)],
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        gone = await run_in_threadpool(
            book.remove, phrase, also, gate.caller(authorization, "curate"), datetime.now(UTC)
        )
        return json_response({"removed": [one.to_json() for one in gone]})
