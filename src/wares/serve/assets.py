"""``/v1/assets``: the registry, read-only. Names, columns, versions and lineage; never a cell of a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from wares.core.lineage import Graph, split_name
from wares.core.registry import Registry
from wares.core.state import State
from wares.serve.answers import json_response

Name = Annotated[str, PathParam(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


def routes(app: FastAPI, state: State, allowed: Any, errors: dict[int | str, Any]) -> None:
    """Put the routes onto `app`; `allowed` is the dependency that checks the key."""
    registry = Registry(state)
    missing = {**errors, 404: {**errors[400], "description": "Unknown asset"}}

    @app.get(
        "/v1/assets",
        tags=["assets"],
        summary="Find assets by words",
        dependencies=[allowed],
        responses=errors,
    )
    async def find(
        q: Annotated[
            str, Query(max_length=200, description="Words of name, description, columns, tags or owner.")
        ] = "",
        k: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        def read() -> list[dict[str, Any]]:
            newest = registry.newest()
            return [
                {**_brief(a), "version": newest[a.name].version if a.name in newest else None}
                for a in registry.search(q, k)
            ]

        return json_response({"assets": await run_in_threadpool(read)})

    @app.get(
        "/v1/assets/{name}",
        tags=["assets"],
        summary="An asset: columns, facts, tags",
        dependencies=[allowed],
        responses=missing,
    )
    async def show(name: Name) -> Response:
        def read() -> dict[str, Any]:
            asset = registry.get(name)
            pairs = Graph(registry).assets()
            return {
                **_brief(asset), "columns": asset.columns, "facts": asset.facts, "tags": registry.tags(name),
                "made_from": sorted({a for a, b in pairs if b == name}), "consumers": sorted({b for a, b in pairs if a == name}),
            }  # fmt: skip

        return json_response(await run_in_threadpool(read))

    @app.get(
        "/v1/assets/{name}/versions",
        tags=["assets"],
        summary="Versions, newest first",
        dependencies=[allowed],
        responses=missing,
    )
    async def history(name: Name) -> Response:
        def read() -> list[dict[str, Any]]:
            registry.get(name)
            return [v.__dict__ for v in registry.versions(name)]

        return json_response({"versions": await run_in_threadpool(read)})

    @app.get(
        "/v1/assets/{name}/lineage",
        tags=["assets"],
        summary="What it is made from, or what hangs on it",
        dependencies=[allowed],
        responses=missing,
    )
    async def lineage(
        name: Annotated[str, PathParam(min_length=1, max_length=400, pattern=r"^[^\x00]+$", description="As `products`, `products.brand`, `events@3` or `bundle`.")],
        direction: Literal["up", "down"] = "up",
        rows: Annotated[bool, Query(description="With what only chooses rows: filters, joins, order.")] = True,
    ) -> Response:  # fmt: skip
        def read() -> dict[str, Any]:
            asset, version, column = split_name(registry, name)
            graph = Graph(registry)
            answer = (
                graph.down(asset, column, rows=rows)
                if direction == "down"
                else graph.up(asset, column, version, rows=rows)
            )
            return answer.to_json()

        return json_response(await run_in_threadpool(read))


def _brief(asset: Any) -> dict[str, Any]:
    return {"name": asset.name, "kind": asset.kind, "description": asset.description, "owner": asset.owner}
