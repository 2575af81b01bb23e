"""``/v1/queries/satisfaction``, ``/v1/service/triage``, ``/v1/improvement/{id}``, ``/v1/stock/hints``, ``/v1/price/moods``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response

from wares.core.errors import NotFound
from wares.features.catalogue import Catalogue
from wares.models.sentiment.mood_words import aspect_name
from wares.models.sentiment.uses import MoodUses
from wares.serve.answers import Language, json_response
from wares.serve.mood_words import (
    KINDS,
    NOTHING,
    SIGNS,
    TRENDS,
    answer_words,
    change_words,
    hint_words,
    said,
)

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker


def _named(catalogue: Catalogue, row: int) -> dict[str, str] | None:
    if not 0 <= row < len(catalogue):
        return None
    product = catalogue.product(row)
    return {"product_id": product.product_id, "title": product.title}


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat() if at >= 0 else ""


def notes(uses: MoodUses, language: str, *names: str) -> list[str]:
    """What must be known to read an answer: that moods were learned from nothing, that searches tell no clicks, and so on."""
    facts, out = uses.facts, list[str]()
    if "queries" in names and not facts["searches"]:
        out.append(said(NOTHING["queries"], language))
    elif "queries" in names:
        out += [said(NOTHING[name], language) for name in ("clicks", "linked") if not facts[name]]
    if not facts["texts"]:
        out.append(said(NOTHING["texts"], language))
    elif not facts["trained"]:
        out.append(said(NOTHING["untrained"], language))
    return out


def query_json(row: Mapping[str, Any], catalogue: Catalogue, language: str = "en") -> dict[str, Any]:
    """A query's satisfaction for programs, with what to change in words."""
    changes: list[dict[str, Any]] = []
    for change in row["changes"]:
        back: list[int] = change.get("products") or []
        rows = [r for r in (change.get("product"), change.get("push"), *back) if r is not None]
        named = {r: _named(catalogue, r) for r in rows}
        titles = {r: one["title"] for r, one in named.items() if one is not None}
        facts: dict[str, Any] = {
            name: named.get(value) if name in ("product", "push") else value for name, value in change.items()
        }
        if "products" in facts:
            facts["products"] = [named[r] for r in facts["products"]]
        changes.append({**facts, "words": change_words(change, titles, language)})
    shown = [_named(catalogue, r) for r in row["shown"]]
    return {**row, "shown": [one for one in shown if one is not None], "changes": changes}


def queries_json(
    uses: MoodUses, catalogue: Catalogue, k: int, offset: int = 0, language: str = "en"
) -> dict[str, Any]:
    """Queries, least satisfying first."""
    found = [query_json(row, catalogue, language) for row in uses.rows("queries", k, offset)]
    return {
        "queries": found,
        "total": uses.count("queries"),
        "searches": uses.facts["searches"],
        "notes": notes(uses, language, "queries"),
    }


def case_json(case: Mapping[str, Any], catalogue: Catalogue, language: str = "en") -> dict[str, Any]:
    """A case of service for programs, with a suggested answer in the customer's language."""
    row = int(case["product"])
    signs = sorted(case["signs"].items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        **{name: case[name] for name in ("id", "kind", "text", "language", "user", "mood", "score", "days", "aspect", "about", "bought")},
        "at": _day(int(case["at"])), "product": _named(catalogue, row),
        "signs": [{"sign": name, "adds": value, "words": said(SIGNS[name], language)} for name, value in signs],
        "kind_words": said(KINDS.get(str(case["kind"]), KINDS["other"]), language),
        "aspect_words": aspect_name(str(case["aspect"]), language) if case["aspect"] else "", "answer": answer_words(case),
    }  # fmt: skip


def cases_json(
    uses: MoodUses, catalogue: Catalogue, k: int, offset: int = 0, language: str = "en"
) -> dict[str, Any]:
    """Cases of service, most pressing first."""
    found = [case_json(case, catalogue, language) for case in uses.rows("cases", k, offset)]
    more = notes(uses, language) or ([] if found else [said(NOTHING["cases"], language)])
    return {"cases": found, "total": uses.count("cases"), "notes": more}


def report_json(uses: MoodUses, catalogue: Catalogue, row: int, language: str = "en") -> dict[str, Any]:
    """What to better about a product, for programs; without complaints where nothing is said of it."""
    found = uses.report(row) or {
        "product": row,
        "texts": 0,
        "mood": None,
        "category_mood": None,
        "praise": [],
        "complaints": [],
    }
    product = catalogue.product(row)
    complaints = [
        {
            **one, "aspect_words": aspect_name(one["aspect"], language), "trend_words": said(TRENDS[one["trend"]], language),
            "quotes": [{**quote, "at": _day(int(quote["at"]))} for quote in one["quotes"]],
        }
        for one in found["complaints"]
    ]  # fmt: skip
    praise = [
        {"aspect": name, "texts": count, "words": aspect_name(name, language)}
        for name, count in found["praise"]
    ]
    return {
        **found, "product": {"product_id": product.product_id, "title": product.title, "category": product.category}, "complaints": complaints,
        "praise": praise, "notes": notes(uses, language),
    }  # fmt: skip


def risks_json(uses: MoodUses, catalogue: Catalogue, k: int, language: str = "en") -> dict[str, Any]:
    """Products whose complaints go furthest beyond their category's, each with the worst one."""
    rows = uses.rows("risks", k)
    found = [
        {"pressing": one["pressing"], **report_json(uses, catalogue, int(one["product"]), language)}
        for one in rows
    ]
    more = notes(uses, language) or ([] if found else [said(NOTHING["reports"], language)])
    return {"products": found, "notes": more}


def stock_json(uses: MoodUses, catalogue: Catalogue, k: int, language: str = "en") -> dict[str, Any]:
    """Stock hints, surest first."""
    found = [
        {**one, "product": _named(catalogue, int(one["product"])), "words": hint_words(one, language)}
        for one in uses.rows("stock", k)
    ]
    more = notes(uses, language) + ([] if found else [said(NOTHING["stock"], language)])
    return {"hints": found, "total": uses.count("stock"), "notes": more}


def levels_json(uses: MoodUses, language: str = "en") -> dict[str, Any]:
    """What is said of prices at each price level within the categories, cheapest first."""
    opinions = sum(one["opinions"] for one in uses.facts["price_levels"])
    return {"levels": uses.facts["price_levels"], "opinions": opinions, "notes": notes(uses, language)}


def uses_in(ranker: Ranker) -> MoodUses:
    """The uses of moods in service.

    Raises:
        NotFound: when the live bundle, of an earlier version, has none.
    """
    if ranker.mood_uses is None:
        raise NotFound("this bundle knows nothing of moods", mend="Build and publish again", id="mood_uses")
    return ranker.mood_uses


K = Annotated[int, Query(ge=1, le=500, description="How many.")]
Offset = Annotated[int, Query(ge=0, le=100_000, description="How many to pass over.")]


def routes(
    app: FastAPI,
    ranker: Callable[[], Ranker],
    allowed: Any,
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `allowed` is the dependency that checks the key."""

    @app.get("/v1/queries/satisfaction", tags=["read"], summary="How satisfied buyers are with what searches return, worst first", dependencies=[allowed], responses=missing)  # fmt: skip
    async def queries(
        q: Annotated[str, Query(max_length=1000, description="Only this search text.")] = "",
        k: K = 50,
        offset: Offset = 0,
        language: Language = "en",
    ) -> Response:
        now = ranker()
        uses = uses_in(now)
        if not q.strip():
            return json_response(queries_json(uses, now.catalogue, k, offset, language))
        found = uses.query(q)
        if found is None:
            raise NotFound(f"nothing is known of the search {q[:80]!r}", mend="It was asked too seldom, or after the last build", id=q[:80])  # fmt: skip
        return json_response({"queries": [query_json(found, now.catalogue, language)], "total": 1, "searches": found["searches"], "notes": notes(uses, language, "queries")})  # fmt: skip

    @app.get("/v1/service/triage", tags=["read"], summary="Customers to answer first, with suggested answers", dependencies=[allowed], responses=missing)  # fmt: skip
    async def cases(k: K = 50, offset: Offset = 0, language: Language = "en") -> Response:
        now = ranker()
        return json_response(cases_json(uses_in(now), now.catalogue, k, offset, language))

    @app.get("/v1/improvement", tags=["read"], summary="Products whose complaints go beyond their category's", dependencies=[allowed], responses=missing)  # fmt: skip
    async def risks(k: K = 20, language: Language = "en") -> Response:
        now = ranker()
        return json_response(risks_json(uses_in(now), now.catalogue, k, language))

    @app.get("/v1/improvement/{product_id:path}", tags=["read"], summary="What to better about a product: complaints with counts, quotes and trend", dependencies=[allowed], responses=missing)  # fmt: skip
    async def report(
        product_id: Annotated[
            str, PathParam(min_length=1, max_length=200, openapi_examples={"milk": {"value": "1029743"}})
        ],
        language: Language = "en",
    ) -> Response:
        now = ranker()
        row = now.catalogue.row(product_id)
        if row < 0:
            raise NotFound(f"nothing is said of product {product_id[:80]!r}", mend="New products get it with the next build", id=product_id[:80])  # fmt: skip
        return json_response(report_json(uses_in(now), now.catalogue, row, language))

    @app.get("/v1/stock/hints", tags=["read"], summary="Products of which more or less will be wanted, and how sure that is", dependencies=[allowed], responses=missing)  # fmt: skip
    async def stock(k: K = 50, language: Language = "en") -> Response:
        now = ranker()
        return json_response(stock_json(uses_in(now), now.catalogue, k, language))

    @app.get("/v1/price/moods", tags=["read"], summary="What is said of prices at each price level", dependencies=[allowed], responses=missing)  # fmt: skip
    async def levels(language: Language = "en") -> Response:
        return json_response(levels_json(uses_in(ranker()), language))
