"""``/v1/assets/{name}/rows`` and its kin: the read door over HTTP, in the role that the API key is bound to.

Mounted with the console, because the workers of ``wares serve`` hold no data engine.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from wares.pipeline.workspace import Workspace
from wares.serve.auth import Gate

MAX_ROWS = 1000
Authorization = Annotated[str | None, Header(include_in_schema=False)]
Version = Annotated[int | None, Query(ge=0, description="A version; the newest without it.")]
Purpose = Annotated[str, Query(max_length=100, description="One of the role's purposes.")]
Where = Annotated[str, Query(max_length=4000, description="A condition over the columns of the role.")]


def mount_assets(app: FastAPI, workspace: Workspace, gate: Gate) -> None:
    """Put the routes onto `app`."""

    def reading(authorization: str | None, name: str, **wanted: Any) -> Any:
        key, role = gate.role(authorization, workspace.config.access.key_role)
        wanted = {k: v or None if k != "version" else v for k, v in wanted.items()}
        return workspace.asset(name, role, who=f"key:{key}" if key else "api", **wanted)

    @app.get("/v1/assets/{name}/rows", tags=["assets"], summary="Rows as the key's role may see them")
    async def rows(
        name: str,
        columns: Annotated[str, Query(max_length=4000, description="With commas.")] = "",
        where: Where = "",
        version: Version = None,
        purpose: Purpose = "",
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100,
        authorization: Authorization = None,
    ) -> Response:
        def work() -> Response:
            wanted = {"columns": _names(columns), "where": where, "version": version, "purpose": purpose}
            found = reading(authorization, name, **wanted)
            table = found.to_arrow(limit)
            return _json(found, columns=table.column_names, rows=table.to_pylist())

        return await run_in_threadpool(work)

    @app.get("/v1/assets/{name}/count", tags=["assets"], summary="How many rows; null when of too few people")
    async def count(
        name: str,
        where: Where = "",
        version: Version = None,
        purpose: Purpose = "",
        authorization: Authorization = None,
    ) -> Response:
        def work() -> Response:
            found = reading(authorization, name, where=where, version=version, purpose=purpose)
            n = found.count()
            return _json(found, rows=n)

        return await run_in_threadpool(work)

    @app.get("/v1/assets/{name}/groups", tags=["assets"], summary="Groups of enough people, with measures")
    async def groups(
        name: str,
        by: Annotated[str, Query(max_length=1000, description="Columns to group by, with commas.")] = "",
        measure: Annotated[
            list[str] | None, Query(description="count, people, sum:column, mean:column …")
        ] = None,
        where: Where = "",
        version: Version = None,
        purpose: Purpose = "",
        authorization: Authorization = None,
    ) -> Response:
        def work() -> Response:
            found = reading(authorization, name, where=where, version=version, purpose=purpose)
            wanted = {text.replace(":", "_"): text for text in measure or ["count"]}
            table = found.aggregate(_names(by), **wanted)
            return _json(found, columns=table.column_names, rows=table.to_pylist())

        return await run_in_threadpool(work)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _json(reading: Any, **more: Any) -> Response:
    access = reading.access
    body = {
        "asset": access.table, "version": reading.version, "role": access.role.name, "purpose": access.purpose,
        "suppressed": reading.suppressed, **more,
    }  # fmt: skip
    return Response(orjson.dumps(body, default=str), media_type="application/json")
