"""``/v1/price`` and ``/v1/products/{id}/price``: which prices look wrong, and what each product is expected to cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response

from wares.core.errors import NotFound
from wares.features.catalogue import Catalogue, below
from wares.models.price.emerging_infer import Emerging, Riser, riser_words
from wares.models.price.infer import PriceAnomaly, PriceBook, PriceRange
from wares.models.price.words import evidence_words, kind_words, verdict_words
from wares.serve.answers import Language, json_response

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker


def _finite(value: float, digits: int = 4) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def anomaly_json(odd: PriceAnomaly, catalogue: Catalogue, language: str = "en") -> dict[str, Any]:
    """An anomaly for programs, with its evidence in words."""
    product = catalogue.product(odd.item)
    return {
        "product_id": product.product_id, "title": product.title, "category": product.category, "price": odd.price,
        "currency": product.currency, "since": datetime.fromtimestamp(odd.at, UTC).isoformat(), "current": odd.current,
        "probability": _finite(odd.probability), "kind": odd.kind, "detail": odd.detail, "kind_share": _finite(odd.share),
        "likely_price": None if odd.kind == "outlier" else _finite(odd.right, 2),
        "expected": {"low": _finite(odd.low), "middle": _finite(odd.middle), "high": _finite(odd.high), "comparable": odd.comparables},
        "own_past": {"middle": _finite(odd.own_middle), "prices": odd.own_count} if odd.own_count else None,
        "what": kind_words(odd.kind, odd.detail, language), "evidence": evidence_words(odd, language), "verdict": verdict_words(odd, language),
    }  # fmt: skip


def range_json(book: PriceBook, catalogue: Catalogue, row: int, language: str = "en") -> dict[str, Any]:
    """What a product is expected to cost, and its comparable products."""
    product, found, odd = catalogue.product(row), book.expected(row), book.anomaly_of(row)
    nearest = [] if found is None else found.nearest.tolist()
    return {
        "product_id": product.product_id, "title": product.title, "price": None if product.price is None else str(product.price),
        "currency": product.currency, "expected": None if found is None else _expected(found),
        "own_past": None if found is None or not found.own_count else {"middle": _finite(found.own_middle), "prices": found.own_count},
        "comparable": [_comparable(book, catalogue, other) for other in nearest],
        "why": None if odd is None else anomaly_json(odd, catalogue, language),
    }  # fmt: skip


def _expected(found: PriceRange) -> dict[str, Any]:
    per = None
    if found.unit and math.isfinite(found.amount) and found.amount > 0:
        low, middle, high = (_finite(value / found.amount) for value in (found.low, found.middle, found.high))
        per = {
            "unit": found.unit,
            "amount": _finite(found.amount, 6),
            "low": low,
            "middle": middle,
            "high": high,
        }
    return {
        "low": _finite(found.low), "middle": _finite(found.middle), "high": _finite(found.high), "per_unit": per,
        "same_unit": found.same_unit, "probability_wrong": _finite(found.probability),
    }  # fmt: skip


def _comparable(book: PriceBook, catalogue: Catalogue, row: int) -> dict[str, Any]:
    product, unit = catalogue.product(row), book.unit_of(row)
    per = None
    if unit is not None and product.price is not None:
        per = f"{float(product.price) / unit[1]:.2f} per {unit[0]}"
    return {
        "product_id": product.product_id, "title": product.title, "size": product.size,
        "price": None if product.price is None else str(product.price), "per_unit": per,
    }  # fmt: skip


def book_in(ranker: Ranker) -> PriceBook:
    """The prices in service.

    Raises:
        NotFound: when the live bundle, of an earlier version, has none.
    """
    if ranker.prices is None:
        raise NotFound("this bundle knows nothing of prices", mend="Build and publish again", id="price")
    return ranker.prices


def routes(
    app: FastAPI,
    ranker: Callable[[], Ranker],
    allowed: Any,
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `allowed` is the dependency that checks the key."""

    @app.get(
        "/v1/price/anomalies", tags=["read"], summary="Prices that look wrong, likeliest first", dependencies=[allowed], responses=missing
    )  # fmt: skip
    async def anomalies(
        k: Annotated[int, Query(ge=1, le=2000, description="How many.")] = 50,
        history: Annotated[bool, Query(description="Also prices that held before.")] = False,
        least: Annotated[
            float, Query(ge=0, le=1, allow_inf_nan=False, description="Least probability.")
        ] = 0.0,
        language: Language = "en",
    ) -> Response:
        now = ranker()
        found = book_in(now).anomalies(k, past=history, least=least)
        return json_response({"anomalies": [anomaly_json(one, now.catalogue, language) for one in found]})

    @app.get(
        "/v1/price/expected/{product_id:path}", tags=["read"], summary="What a product is expected to cost, and by which products",
        dependencies=[allowed], responses=missing,
    )  # fmt: skip
    async def expected(
        product_id: Annotated[
            str, PathParam(min_length=1, max_length=200, openapi_examples={"milk": {"value": "1029743"}})
        ],
        language: Language = "en",
    ) -> Response:
        now = ranker()
        row = now.catalogue.row(product_id)
        if row < 0:
            raise NotFound(
                f"no price is known of product {product_id!r}",
                mend="New products get one with the next build",
                id=product_id,
            )
        return json_response(range_json(book_in(now), now.catalogue, row, language))

    @app.get(
        "/v1/emerging", tags=["read"], summary="Products and categories that rise against their past and their neighbours",
        dependencies=[allowed], responses=missing,
    )  # fmt: skip
    async def emerging(
        k: Annotated[int, Query(ge=1, le=500, description="How many.")] = 20,
        category: Annotated[
            str, Query(max_length=1000, description="Only this category and what lies below it.")
        ] = "",
        language: Language = "en",
    ) -> Response:
        return json_response(emerging_json(ranker(), k, category, language))


def emerging_json(ranker: Ranker, k: int, category: str = "", language: str = "en") -> dict[str, Any]:
    """What emerges, for programs: products and, without a category, categories.

    Raises:
        NotFound: when the live bundle, of an earlier version, knows nothing of it.
    """
    if ranker.emerging is None:
        raise NotFound(
            "this bundle knows nothing of what emerges", mend="Build and publish again", id="emerging"
        )
    return risers_json(ranker.emerging, ranker.catalogue, k, category, language)


def risers_json(
    found: Emerging, catalogue: Catalogue, k: int, category: str = "", language: str = "en"
) -> dict[str, Any]:
    """Risers with their words; ``windows`` are the days between which was counted."""
    within = None
    if category:
        names = list(catalogue.columns["category"])
        within = np.array([below(name, category) for name in names], bool)
    days = found.days
    weeks = ((days[2] - days[1]) / 7, (days[1] - days[0]) / 7) if days else (0.0, 0.0)
    products = [
        {
            "product_id": p.product_id,
            "title": p.title,
            "category": p.category,
            **_riser(one),
            "why": riser_words(one, weeks, language),
        }
        for one in found.products(k, within)
        for p in [catalogue.product(one.row)]
    ]
    categories = [
        {
            "category": catalogue.product(one.row).category,
            **_riser(one),
            "why": riser_words(one, weeks, language, category=True),
        }
        for one in ([] if category else found.categories(k))
    ]
    dates = [datetime.fromtimestamp(day * 86_400, UTC).date().isoformat() for day in days]
    return {
        "windows": dates,
        "false_rate": found.manifest["false_rate"],
        "products": products,
        "categories": categories,
    }


def _riser(one: Riser) -> dict[str, Any]:
    return {
        "ratio": round(one.ratio, 3), "interval": [round(one.low, 3), round(one.high, 3)], "shoppers": one.recent, "before": one.past,
        "expected": round(one.expected, 2), "neighbours_trend": round(one.trend, 3), "q": round(one.q, 5),
    }  # fmt: skip
