"""The route of search: a query, filters, an order and a page in; hits, facets and what the query was read as out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from wares.core.errors import QueryError
from wares.models.search.asked import Asked
from wares.models.search.infer import Filters
from wares.models.search.pages import FURTHEST
from wares.serve.answers import Language, json_response
from wares.serve.schemas import hit_json
from wares.serve.situation import MAX_K

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

K = Annotated[int, Query(ge=1, le=MAX_K, description="How many.")]
MAX_QUERY = 1000
Money = Annotated[float | None, Query(ge=0, le=1e9, allow_inf_nan=False)]
KNOWN = frozenset(
    (
        "q", "user", "k", "offset", "brand", "category", "size", "price_min", "price_max", "available", "language", "sort", "group",
        "cursor", "verbatim",
    )
)  # fmt: skip


def asked_json(asked: Asked | None) -> dict[str, Any]:
    """What a query was read as: its words, and every limit that it names; empty when it was not read."""
    if asked is None:
        return {}
    out: dict[str, Any] = {"words": list(asked.words), "language": asked.language}
    for name in ("brands", "categories", "not_words", "not_brands"):
        if values := getattr(asked, name):
            out[name] = list(values)
    for name in ("price_min", "price_max"):
        if (value := getattr(asked, name)) is not None:
            out[name] = value
    if asked.sizes:
        out["sizes"] = [{"amount": size.amount, "unit": size.unit} for size in asked.sizes]
    if asked.attributes:
        out["attributes"] = dict(asked.attributes)
    out["notes"] = [{"span": span, "kind": kind, "value": value} for span, kind, value in asked.notes]
    return out


def routes(app: FastAPI, ranker: Callable[[], Ranker], allowed: Any, errors: dict[int | str, Any]) -> None:
    """Put the route onto the application; `ranker` gives the one in service."""

    @app.get(
        "/v1/search",
        tags=["read"],
        summary="Search by words and meaning",
        dependencies=[allowed],
        responses=errors,
    )
    async def search(
        request: Request,
        q: Annotated[
            str,
            Query(
                max_length=MAX_QUERY,
                description="What the shopper typed; empty browses.",
                openapi_examples={"plain": {"value": "chocolate cookies"}},
            ),
        ] = "",
        user: Annotated[
            str | None, Query(max_length=200, description="The shopper, for a personal order.")
        ] = None,
        k: K = 20,
        offset: Annotated[int, Query(ge=0, le=FURTHEST)] = 0,
        brand: Annotated[list[str] | None, Query(description="One of these brands.")] = None,
        category: Annotated[
            list[str] | None, Query(description="One of these categories, or anything below them.")
        ] = None,
        size: Annotated[
            list[str] | None, Query(description="One of these sizes, as the shop writes them.")
        ] = None,
        price_min: Money = None,
        price_max: Money = None,
        available: Annotated[bool | None, Query()] = None,
        language: Language = "en",
        sort: Annotated[
            Literal["relevance", "price", "-price", "newest", "popular"],
            Query(description="Order; the others than relevance order the best 1,500 hits."),
        ] = "relevance",
        group: Annotated[
            Literal["", "variant"], Query(description="`variant`: one product of each group of variants.")
        ] = "",
        cursor: Annotated[
            str,
            Query(max_length=200, description="That of the page before, with everything else as it was."),
        ] = "",
        verbatim: Annotated[
            bool, Query(description="Every word as it was typed: nothing is mended or read.")
        ] = False,
    ) -> Response:
        if price_min is not None and price_max is not None and price_min > price_max:
            raise QueryError("price_min is above price_max", mend="Swap them", parameter="price_min")
        filters = Filters(
            tuple(brand or ()), tuple(category or ()), price_min, price_max, available, tuple(size or ())
        )
        page = await run_in_threadpool(
            ranker().search, q, user, k, offset, filters, language, sort=sort, group=group, cursor=cursor, verbatim=verbatim,
        )  # fmt: skip
        hits = [hit_json(hit) for hit in page.hits]
        for hit, spans, others in zip(hits, page.highlights, page.variants, strict=True):
            hit["highlights"] = {"title": spans}
            if others:
                hit["variants"] = others
        facets = {name: [{"value": v, "count": c} for v, c in values] for name, values in page.facets.items()}
        more: dict[str, Any] = {"cursor": page.cursor} if page.cursor else {}
        if strange := sorted(set(request.query_params) - KNOWN):
            # A filter that does nothing must not pass for one that did.
            more["ignored"] = [name[:80] for name in strange[:20]]
        return json_response(
            {
                "hits": hits, "total": page.total, "facets": facets, "relaxed": page.relaxed, "corrected": page.corrected,
                "asked": asked_json(page.asked), "sort": sort, **more,
            }
        )  # fmt: skip
