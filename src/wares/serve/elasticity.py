"""``/v1/price/elasticity``, ``/v1/price/simulate`` and ``/v1/price/advice``: how demand answers to prices, and what to ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response

from wares.core.errors import NotFound
from wares.features.catalogue import Catalogue
from wares.models.price.elasticity import Elasticities, Elasticity, Simulated, draws_of, needed, simulate
from wares.models.price.strategy import Advice, PriceMood, Rails, advise, price_mood
from wares.serve.answers import Language, json_response

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

HELD: dict[str, tuple[str, str]] = {
    "floor": ("not below cost and least margin", "不低于成本与最低毛利"),
    "mood": ("not raised: shoppers find the price bad", "顾客认为价格偏高，不再上调"),
    "step": ("no further in one step", "单次调价幅度已达上限"),
    "ending": ("no price with the wanted ending within the step", "幅度内没有符合尾数要求的价格"),
    "seen": ("no further from prices that were ever asked", "不超出曾经售卖过的价格范围"),
    "unsure": ("a better price is not sure enough", "更优价格的把握不足"),
}


def _number(value: float, digits: int = 4) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def elasticity_json(one: Elasticity, catalogue: Catalogue, row: int, language: str = "en") -> dict[str, Any]:
    """An elasticity for programs; numbers are null where it is not identified."""
    product = catalogue.product(row)
    return {
        "product_id": product.product_id, "title": product.title, "category": product.category, "identified": one.identified,
        "verdict": one.verdict, "why": one.why(language), "basis": one.basis if one.identified else None,
        "elasticity": _number(one.theta), "interval": [_number(one.low), _number(one.high)] if one.identified else None,
        "weeks": one.weeks, "units": _number(one.units, 1), "weekly_units": _number(one.weekly, 3), "price": _number(one.price),
        "asked": [_number(one.price_low), _number(one.price_high)] if math.isfinite(one.price) else None,
    }  # fmt: skip


def simulated_json(found: Simulated) -> dict[str, Any]:
    """A simulated week for programs: middles with the ends of 95 %."""

    def three(values: tuple[float, float, float]) -> dict[str, Any]:
        return {"middle": _number(values[0], 3), "low": _number(values[1], 3), "high": _number(values[2], 3)}

    return {
        "price": _number(found.price), "weekly_units": three(found.demand), "revenue": three(found.revenue),
        "margin": None if found.margin is None else three(found.margin), "seen": found.seen,
    }  # fmt: skip


def advice_json(found: Advice, language: str = "en") -> dict[str, Any]:
    """A recommended price for programs."""
    return {
        "price": _number(found.price), "changes": found.changes, "goal": found.goal, "gain_per_week": _number(found.gain, 3),
        "probability": _number(found.probability), "now": simulated_json(found.now), "then": simulated_json(found.then),
        "rails": list(found.held), "words": [HELD[name][language == "zh"] for name in found.held],
    }  # fmt: skip


def listed_json(book: Elasticities, catalogue: Catalogue, k: int, language: str = "en") -> dict[str, Any]:
    """What is known of a shop: counts of verdicts, and the products whose demand answers most to the price."""
    facts = {
        name: book.manifest[name] for name in ("products", "identified_by", "categories", "currency", "weeks")
    }
    facts["weeks"] = max(facts["weeks"][1] - facts["weeks"][0] + 1, 0) if book.manifest["rows"] else 0
    rows = book.sensitive(k)
    return {
        **facts,
        "sensitive": [elasticity_json(book.of(int(row)), catalogue, int(row), language) for row in rows],
    }


def cost_of(catalogue: Catalogue, row: int) -> float | None:
    """What a product costs the shop: its attribute ``cost``; None where there is none."""
    try:
        cost = float(catalogue.product(row).attributes.get("cost", "nan"))
    except ValueError:
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None


def simulate_json(
    book: Elasticities, catalogue: Catalogue, row: int, prices: list[float], cost: float | None, language: str = "en"
) -> dict[str, Any]:  # fmt: skip
    """A week at each of `prices`, beside the price of now.

    Raises:
        NotIdentified: where the elasticity is not, with the reason.
        QueryError: for what is no price.
    """
    one = needed(book.of(row), str(catalogue.ids[row]))
    draws = draws_of(one)
    cost = cost_of(catalogue, row) if cost is None else cost
    return {
        **elasticity_json(one, catalogue, row, language),
        "cost": cost,
        "now": simulated_json(simulate(one, draws, one.price, cost)),
        "at": [simulated_json(simulate(one, draws, price, cost)) for price in prices],
    }


def advise_json(
    book: Elasticities, catalogue: Catalogue, row: int, rails: Rails, cost: float | None, mood: PriceMood | None, language: str = "en"
) -> dict[str, Any]:  # fmt: skip
    """The price proposed within the rails; see `wares.models.price.strategy.advise`."""
    cost = cost_of(catalogue, row) if cost is None else cost
    found = advise(book.of(row), str(catalogue.ids[row]), rails, cost, mood)
    said = None
    if mood is not None and mood.opinions:
        said = {"mood": _number(mood.mood), "interval": [_number(mood.low), _number(mood.high)], "opinions": mood.opinions, "bad": mood.bad}  # fmt: skip
    return {
        **elasticity_json(book.of(row), catalogue, row, language),
        "cost": cost,
        "price_mood": said,
        "advice": advice_json(found, language),
    }


def book_in(ranker: Ranker) -> Elasticities:
    """The elasticities in service.

    Raises:
        NotFound: when the live bundle, of an earlier version, has none.
    """
    if ranker.elasticities is None:
        raise NotFound(
            "this bundle knows nothing of elasticities", mend="Build and publish again", id="elasticity"
        )
    return ranker.elasticities


def row_in(ranker: Ranker, product_id: str) -> int:
    """The row of a product.

    Raises:
        NotFound: for one that no build knows.
    """
    row = ranker.catalogue.row(product_id)
    if row < 0:
        raise NotFound(
            f"nothing is known of product {product_id[:80]!r}",
            mend="New products get it with the next build",
            id=product_id[:80],
        )
    return int(row)


Money = Annotated[float, Query(gt=0, le=1e9, allow_inf_nan=False, description="What is asked for a piece.")]
Cost = Annotated[
    float | None,
    Query(ge=0, le=1e9, allow_inf_nan=False, description="What a piece costs the shop; by default its attribute `cost`."),
]  # fmt: skip
Product = Annotated[str, PathParam(min_length=1, max_length=200, openapi_examples={"milk": {"value": "1029743"}})]  # fmt: skip


def routes(
    app: FastAPI,
    ranker: Callable[[], Ranker],
    allowed: Any,
    errors: dict[int | str, Any],
    missing: dict[int | str, Any],
) -> None:
    """Put the routes onto the application; `allowed` is the dependency that checks the key."""

    @app.get("/v1/price/elasticity", tags=["read"], summary="How much is known of demand and price; the most sensitive products", dependencies=[allowed], responses=missing)  # fmt: skip
    async def listed(
        k: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 50, language: Language = "en"
    ) -> Response:
        now = ranker()
        return json_response(listed_json(book_in(now), now.catalogue, k, language))

    @app.get("/v1/price/elasticity/{product_id:path}", tags=["read"], summary="How demand of a product answers to its price, or why that is not identified", dependencies=[allowed], responses=missing)  # fmt: skip
    async def one(product_id: Product, language: Language = "en") -> Response:
        now = ranker()
        row = row_in(now, product_id)
        return json_response(elasticity_json(book_in(now).of(row), now.catalogue, row, language))

    @app.get("/v1/price/simulate/{product_id:path}", tags=["read"], summary="Demand, revenue and margin of a week at another price; 422 where not identified", dependencies=[allowed], responses=missing)  # fmt: skip
    async def simulated(product_id: Product, price: Money, cost: Cost = None, language: Language = "en") -> Response:  # fmt: skip
        now = ranker()
        row = row_in(now, product_id)
        return json_response(simulate_json(book_in(now), now.catalogue, row, [price], cost, language))

    @app.get("/v1/price/advice/{product_id:path}", tags=["read"], summary="The price to ask, within guard rails; 422 where not identified", dependencies=[allowed], responses=missing)  # fmt: skip
    async def advice(
        product_id: Product,
        cost: Cost = None,
        step: Annotated[
            float, Query(gt=0, le=0.5, allow_inf_nan=False, description="Largest change, as a share.")
        ] = 0.1,
        margin: Annotated[
            float,
            Query(ge=0, le=10, allow_inf_nan=False, description="Least margin, as a share of the cost."),
        ] = 0.0,
        ending: Annotated[
            Literal["none", "nines", "fives", "tens", "whole"], Query(description="How prices end.")
        ] = "none",
        language: Language = "en",
    ) -> Response:
        now = ranker()
        row = row_in(now, product_id)
        mood = None if now.mood_uses is None else price_mood(*now.mood_uses.price_mood(row))
        rails = Rails(step, margin, ending)
        return json_response(advise_json(book_in(now), now.catalogue, row, rails, cost, mood, language))
