"""Routes of what a shop also asks of recommendation: together, instead, with it, baskets, again, trending, first picks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response

from wares.serve.services import MOST_DAYS, MOST_HOURS
from wares.serve.situation import MAX_K, MOST_OF_A_BASKET, id_list

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

K = Annotated[int, Query(ge=1, le=MAX_K, description="How many.")]
Language = Annotated[Literal["en", "zh"], Query(description="Language of the reasons.")]
ProductId = Annotated[
    str, PathParam(min_length=1, max_length=200, openapi_examples={"milk": {"value": "1029743"}})
]
_PRODUCT = (
    ("together", "Bought together with a product"),
    ("substitutes", "What is taken instead of a product"),
    ("accessories", "What goes with a product"),
)


def routes(
    app: FastAPI,
    ranker: Callable[[], Ranker],
    answer: Callable[..., Response],
    allowed: Any,
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `ranker` gives the one in service, `answer` makes hits into JSON."""
    for relation, summary in _PRODUCT:
        _of_product(app, relation, summary, ranker, answer, allowed, missing)

    @app.get(
        "/v1/basket",
        tags=["read"],
        summary="What completes a basket",
        dependencies=[allowed],
        responses=errors,
    )
    async def basket(
        items: Annotated[
            list[str] | None,
            Query(
                description="Products in the basket, with commas between.",
                openapi_examples={"two": {"value": ["1029743,1082185"]}},
            ),
        ] = None,
        k: K = 10,
        language: Language = "en",
    ) -> Response:
        found = ranker()
        names = id_list(items, found.knows, MOST_OF_A_BASKET, "items")
        unknown = [name for name in names if not found.knows(name)]
        more = {"unknown_products": unknown} if unknown else {}
        return answer(found.services.basket(names, k, language), **more)

    @app.get(
        "/v1/again", tags=["read"], summary="What a shopper buys repeatedly, and when it is due", dependencies=[allowed],
        responses=errors,
    )  # fmt: skip
    async def again(
        user: Annotated[str, Query(max_length=200, openapi_examples={"household": {"value": "900"}})] = "",
        session: Annotated[
            str, Query(max_length=200, description="The visit of a shopper who logged in.")
        ] = "",
        k: K = 20,
        days: Annotated[
            float, Query(ge=1, le=MOST_DAYS, allow_inf_nan=False, description="Due within so many days.")
        ] = 14,
        language: Language = "en",
    ) -> Response:
        return answer(ranker().services.again(user, k, days=days, session=session, language=language))

    @app.get(
        "/v1/trending", tags=["read"], summary="What rises now against its own past", dependencies=[allowed],
        responses=errors,
    )  # fmt: skip
    async def trending(
        category: Annotated[
            str,
            Query(max_length=1000, description="This category and what lies below.", openapi_examples={"one": {"value": "Produce"}}),
        ] = "",
        hours: Annotated[int, Query(ge=1, le=MOST_HOURS, description="The window that is looked at.")] = 24,
        k: K = 20,
        language: Language = "en",
    ) -> Response:  # fmt: skip
        return answer(ranker().services.trending(k, hours=hours, category=category, language=language))

    @app.get(
        "/v1/onboarding", tags=["read"], summary="Well-known products that cover the shop, for a newcomer to pick from",
        dependencies=[allowed], responses=errors,
    )  # fmt: skip
    async def onboarding(k: K = 12, language: Language = "en") -> Response:
        return answer(ranker().services.onboarding(k, language))

    @app.get(
        "/v1/segments",
        tags=["read"],
        summary="The segments that a request may name",
        dependencies=[allowed],
        responses=errors,
    )
    async def segments() -> dict[str, list[dict[str, Any]]]:
        found = ranker().services.segments
        return {
            "segments": [
                {"name": name, "shoppers": int(size)}
                for name, size in zip(found.names, found.sizes, strict=True)
            ]
        }


def _of_product(
    app: FastAPI,
    relation: str,
    summary: str,
    ranker: Callable[[], Ranker],
    answer: Callable[..., Response],
    allowed: Any,
    missing: dict[int | str, Any],
) -> None:
    @app.get(
        f"/v1/{relation}/{{product_id:path}}", tags=["read"], summary=summary, dependencies=[allowed], responses=missing,
        operation_id=relation,
    )  # fmt: skip
    async def related(product_id: ProductId, k: K = 10, language: Language = "en") -> Response:
        return answer(ranker().services.related(relation, product_id, k, language))
