"""``POST /v1/match``: whether two product records are one thing, by the trained matcher of the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool

from wares.core.errors import NotFound
from wares.features.pair_fields import Record
from wares.models.similar.match_infer import Matcher
from wares.serve.ranker import Ranker
from wares.serve.schemas import Id, Text

MOST_PAIRS = 100
MOST_FIELDS = 50
MOST_CHARS = 20_000


class SideIn(BaseModel):
    """One of the two: a product of the shop by its id, or a record by its fields."""

    model_config = ConfigDict(extra="forbid")
    product_id: Id | None = None
    fields: Annotated[
        dict[Annotated[Text, Field(max_length=200)], Annotated[Text, Field(max_length=MOST_CHARS)]],
        Field(max_length=MOST_FIELDS),
    ] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _one(self) -> SideIn:
        if (self.product_id is None) == (not self.fields):
            raise ValueError("give product_id, or fields such as title, brand and price")
        return self


class PairIn(BaseModel):
    """Two records."""

    model_config = ConfigDict(extra="forbid")
    left: SideIn
    right: SideIn


class MatchIn(BaseModel):
    """Up to a hundred pairs; each is judged alone."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "pairs": [
                        {
                            "left": {"fields": {"title": "Sony TX-NR906 receiver", "price": "1499"}},
                            "right": {"product_id": "1029743"},
                        }
                    ]
                }
            ]
        },
    )
    pairs: Annotated[list[PairIn], Field(min_length=1, max_length=MOST_PAIRS)]


class ReasonOut(BaseModel):
    """A piece of evidence: code, measure, number, price, words, field or identifier."""

    kind: str
    text: str


class VerdictOut(BaseModel):
    """`same` when the probability reaches the matcher's threshold; what speaks for it and against it."""

    probability: float
    same: bool
    evidence_log_odds: float
    text_log_odds: float
    speaks_for: list[ReasonOut]
    speaks_against: list[ReasonOut]


class MatchOut(BaseModel):
    """One verdict a pair, in their order."""

    threshold: float
    pairs: list[VerdictOut]


def matcher_in(ranker: Ranker) -> Matcher:
    """The matcher in service.

    Raises:
        NotFound: when the live bundle has none.
    """
    if ranker.matcher is None:
        raise NotFound(
            "this bundle has no matcher",
            mend="Train one with `wares tune match`, name it as fusion.matcher in wares.toml, and publish",
            id="matcher",
        )
    return ranker.matcher


def product_fields(ranker: Ranker, product_id: str) -> Record:
    """A product under the names that the matcher knows.

    Raises:
        NotFound: for an unknown product.
    """
    product, matcher = ranker.product(product_id), matcher_in(ranker)
    values = {
        "title": " ".join(part for part in (product.title, product.size) if part), "description": product.description,
        "brand": product.brand, "category": product.category, "price": "" if product.price is None else str(product.price),
    }  # fmt: skip
    named: Mapping[str, str] = ranker.manifest.get("matcher_fields", {})
    out = {name: values.get(named.get(name, name), "") for name in matcher.reader.fields.names}
    title = matcher.reader.fields.title
    return {**out, title: out[title] or values["title"]}


def verdicts(ranker: Ranker, body: MatchIn) -> MatchOut:
    """Judge the pairs.

    Raises:
        NotFound: when there is no matcher, or a product is unknown.
        QueryError: when no record has a field that the matcher knows.
    """
    matcher = matcher_in(ranker)
    sides = [side for pair in body.pairs for side in (pair.left, pair.right)]
    records = [
        dict(side.fields) if side.product_id is None else product_fields(ranker, side.product_id)
        for side in sides
    ]
    sheet = matcher.read(records)
    ends = np.arange(len(records), dtype=np.int64).reshape(-1, 2)
    judged = matcher.judge(sheet, ends)
    out: list[VerdictOut] = []
    for at, (left, right) in enumerate(ends.tolist()):
        why = matcher.why(sheet, left, right)
        probability = float(judged.probability[at])
        out.append(
            VerdictOut(
                probability=round(probability, 4), same=probability >= matcher.threshold,
                evidence_log_odds=round(float(judged.evidence[at]), 3), text_log_odds=round(float(judged.text[at]), 3),
                speaks_for=[ReasonOut(kind=r.kind, text=r.text) for r in why if r.side == "for"],
                speaks_against=[ReasonOut(kind=r.kind, text=r.text) for r in why if r.side == "against"],
            )
        )  # fmt: skip
    return MatchOut(threshold=round(matcher.threshold, 4), pairs=out)


def routes(app: FastAPI, ranker: Callable[[], Ranker], allowed: Any, errors: dict[int | str, Any]) -> None:
    """Put the route onto the application."""

    @app.post(
        "/v1/match", tags=["read"], summary="Whether two products are one, with probability and evidence", dependencies=[allowed],
        responses=errors,
    )  # fmt: skip
    async def match(body: MatchIn) -> MatchOut:
        return await run_in_threadpool(verdicts, ranker(), body)
