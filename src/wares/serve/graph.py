"""``/v1/graph``: what the knowledge graph says of a product, and how two products hang together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from wares.core.errors import NotFound, QueryError
from wares.graph.infer import Graph
from wares.serve.answers import json_response
from wares.serve.graph_reasons import edge_json, graph_reason, steps_json
from wares.serve.ranker import Ranker

MAX_EDGES = 200
MAX_HOPS = 4


def graph_in(ranker: Ranker) -> Graph:
    """The graph in service.

    Raises:
        NotFound: when the live bundle has none.
    """
    if ranker.graph is None:
        raise NotFound("this bundle has no graph", mend="Build and publish again", id="graph")
    return ranker.graph


def neighbourhood(ranker: Ranker, product: str, relation: str | None, limit: int) -> dict[str, Any]:
    """The strongest edges of a product, and how many of each relation there are.

    A product that came in since the build is in no graph yet and has no edges.

    Raises:
        NotFound: for an unknown product or relation.
    """
    graph, known = graph_in(ranker), ranker.product(product)
    row = ranker.catalogue.row(product)
    out: dict[str, Any] = {"product": product, "title": known.title, "relations": {}, "edges": []}
    if row < 0:
        return out
    edges = graph.neighbours(row, relation, limit)
    return {**out, "relations": graph.counts(row), "edges": [_titled(ranker, graph, e) for e in edges]}


def _titled(ranker: Ranker, graph: Graph, edge: Any) -> dict[str, Any]:
    out = edge_json(graph, edge)
    if edge.tail < graph.n_products:
        out["entity"]["title"] = ranker.catalogue.product(edge.tail).title
    return out


def ways(ranker: Ranker, one: str, other: str, hops: int, limit: int, language: str) -> dict[str, Any]:
    """Paths between two products, shortest first, and the most telling in words.

    Raises:
        NotFound: for an unknown product.
    """
    graph = graph_in(ranker)
    ranker.product(other)
    title = ranker.product(one).title
    a, b = ranker.catalogue.row(one), ranker.catalogue.row(other)
    if a < 0 or b < 0 or a == b:
        return {"from": one, "to": other, "why": "", "paths": []}
    said = graph_reason(graph, graph.between(a, b), title, language, own=False)
    paths = [steps_json(graph, path) for path in graph.paths(a, b, hops, limit)]
    return {"from": one, "to": other, "why": said.text if said else "", "paths": paths}


def routes(app: FastAPI, ranker: Callable[[], Ranker], allowed: Any, errors: dict[int | str, Any]) -> None:
    """Put the routes onto `app`; `allowed` is the dependency that checks the key."""
    missing = {**errors, 404: {**errors[400], "description": "Unknown product or relation"}}

    @app.get(
        "/v1/graph/path",
        tags=["read"],
        summary="How two products hang together",
        dependencies=[allowed],
        responses=missing,
    )
    async def path(
        one: Annotated[
            str,
            Query(
                alias="from", min_length=1, max_length=200, openapi_examples={"product": {"value": "1029743"}}
            ),
        ],
        other: Annotated[
            str,
            Query(
                alias="to", min_length=1, max_length=200, openapi_examples={"product": {"value": "1106523"}}
            ),
        ],
        hops: Annotated[int, Query(ge=1, le=MAX_HOPS, description="Most steps of a path.")] = 3,
        limit: Annotated[int, Query(ge=1, le=20, description="Most paths.")] = 5,
        language: Annotated[str, Query(pattern="^(en|zh)$", description="en or zh.")] = "en",
    ) -> Response:
        return json_response(await run_in_threadpool(ways, ranker(), one, other, hops, limit, language))

    @app.get(
        "/v1/graph/{product_id:path}",
        tags=["read"],
        summary="What the knowledge graph says of a product",
        dependencies=[allowed],
        responses=missing,
    )
    async def show(
        product_id: Annotated[
            str,
            PathParam(min_length=1, max_length=200, openapi_examples={"product": {"value": "1029743"}}),
        ],
        relation: Annotated[
            str | None,
            Query(max_length=200, description="Only this relation, as has_brand or bought_with."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_EDGES, description="Most edges, strongest first.")] = 50,
    ) -> Response:
        if not product_id.strip() or "\x00" in product_id:
            raise QueryError("the product id is blank", mend="Put it into the path", parameter="product_id")
        return json_response(await run_in_threadpool(neighbourhood, ranker(), product_id, relation, limit))
