"""Merchandising rules while serving: ``/v1/rules``, and what search does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Header, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from wares.core.clock import SYSTEM, Clock
from wares.core.search_rules import LARGEST_FACTOR, LONGEST, Rule, RuleBook
from wares.features.catalogue import Catalogue
from wares.models.search.asked import Asked
from wares.models.search.rules import Goods, Ruled, apply_rules, meant
from wares.serve.answers import json_response
from wares.serve.auth import Gate
from wares.serve.schemas import Text


class Merchandiser:
    """The rules of a shop over the catalogue of a bundle. Live: a rule counts half a second after it was put down."""

    def __init__(self, book: RuleBook, catalogue: Catalogue, clock: Clock = SYSTEM) -> None:
        self.book, self.goods, self.clock = book, Goods(catalogue), clock

    def __call__(
        self,
        query: str,
        categories: Sequence[str],
        rows: NDArray[np.int32],
        scores: NDArray[np.float32],
        allowed: Callable[[int], bool] = lambda _: True,
    ) -> Ruled:
        """The ordered list ``rows (n,)``, ``scores (n,)`` of a query, asked within `categories`, under today's rules."""
        return apply_rules(self._meant(query, categories), rows, scores, self.goods, allowed)

    def _meant(self, query: str, categories: Sequence[str]) -> list[Rule]:
        return meant(self.book.active(self.clock.now()), query, categories)

    def arrange(
        self,
        asked: Asked,
        rows: NDArray[np.int32],
        scores: NDArray[np.float32] | None = None,
        allowed: Callable[[int], bool] = lambda _: True,
    ) -> NDArray[np.int32]:
        """The ordered `rows` ``(n,)`` of a query that was read, under today's rules: the searcher's hook ``rules``.

        Without `scores` a boost works on those of the places, 1 / log2(place + 1).
        """
        rules = self._meant(asked.text, asked.categories)
        if not rules:
            return rows
        if scores is None:
            scores = (1 / np.log2(np.arange(2, len(rows) + 2))).astype(np.float32)
        return apply_rules(rules, rows, scores, self.goods, allowed).rows


Short = Annotated[Text, Field(max_length=LONGEST)]


class RuleIn(BaseModel):
    """A rule to put down."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["pin", "bury", "boost", "ban"]
    target: Literal["product", "brand", "category", "word"] = "product"
    value: Annotated[Short, Field(description="The product's id, the brand, the category, the word.")]
    query: Annotated[Short, Field(description="For this query; all when empty.")] = ""
    match: Literal["exact", "contains"] = "exact"
    category: Annotated[Short, Field(description="Only within this category and below it.")] = ""
    amount: Annotated[
        float,
        Field(ge=0, le=LARGEST_FACTOR, allow_inf_nan=False, description="Place of a pin, factor of a boost."),
    ] = 0.0
    starts: Annotated[date | None, Field(description="First day, UTC.")] = None
    ends: Annotated[date | None, Field(description="Last day, UTC.")] = None
    note: Annotated[Short, Field(description="Why; kept in its history.")] = ""


def listed(book: RuleBook, now: datetime) -> list[dict[str, Any]]:
    """All rules as plain values, with whether each counts today."""
    day = now.date()
    return [rule.to_json() | {"state": rule.state(day)} for rule in book.all()]


def routes(
    app: FastAPI,
    book: RuleBook,
    gate: Gate,
    may: Callable[[str], Any],
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `may` gives the dependency that checks the key for a scope."""

    @app.get("/v1/rules", tags=["curate"], summary="Merchandising rules, and who changed them", dependencies=[may("curate")], responses=errors)  # fmt: skip
    async def rules(
        history: Annotated[int, Query(ge=0, le=1000, description="How many changes, newest first.")] = 0,
    ) -> Response:
        found = await run_in_threadpool(listed, book, datetime.now(UTC))
        changes = await run_in_threadpool(book.history, history) if history else []
        return json_response({"rules": found, "history": changes})

    @app.post("/v1/rules", tags=["curate"], status_code=201, summary="Pin, bury, boost or ban, from now or between two days", dependencies=[may("curate")], responses=errors)  # fmt: skip
    async def add(
        rule: RuleIn, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
    ) -> Response:
        made = await run_in_threadpool(
            book.add, Rule(**rule.model_dump()), gate.caller(authorization, "curate"), datetime.now(UTC)
        )
        return json_response(made.to_json(), 201)

    @app.delete("/v1/rules/{rule_id}", tags=["curate"], summary="Take a rule away; its history stays", dependencies=[may("curate")], responses=missing)  # fmt: skip
    async def remove(
        rule_id: Annotated[int, PathParam(ge=1, le=2**31 - 1)],
        note: Annotated[str, Query(max_length=LONGEST, description="Why.")] = "",
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        gone = await run_in_threadpool(
            book.remove, rule_id, gate.caller(authorization, "curate"), datetime.now(UTC), note
        )
        return json_response({"removed": gone.to_json()})
