"""Quality over HTTP: scores, checks and their history, read from the state without the data room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import FastAPI, Query
from fastapi import Path as PathParam
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from wares.core.errors import NotFound
from wares.core.state import State
from wares.serve import problems

_RUN = ("id", "asset", "version", "at", "rows", "score", "state", "against", "contract", "seconds")
_CHECK = (
    "run",
    "label",
    "status",
    "severity",
    "blocking",
    "origin",
    "value",
    "expected",
    "broken",
    "message",
    "mend",
)
# Light names of tables that the data room makes (data/quality/history.py): nothing of it is imported here.
_runs = sa.table("quality_runs", *(sa.column(name) for name in _RUN))
_checks = sa.table("quality_checks", *(sa.column(name) for name in _CHECK))


class QualityCheck(BaseModel):
    """One rule of the newest run."""

    label: str = Field(description="Kind, column and, for a rule of the contract, its name.")
    status: Literal["passed", "broken", "invalid"]
    severity: Literal["warning", "error", "critical"]
    blocking: bool
    origin: Literal["contract", "built-in", "learned"]
    value: float | None = Field(description="What was measured.")
    expected: str
    broken: int = Field(description="Rows that broke it.")
    message: str
    mend: str


class QualityRun(BaseModel):
    """One run of the checks."""

    version: int
    at: str
    rows: int
    score: float
    state: str
    against: int | None


class QualityOut(BaseModel):
    """The quality of a table."""

    asset: str
    version: int
    at: str
    rows: int
    score: float = Field(description="0 to 100.")
    state: str = Field(description="`passed`, or the worst severity that is broken, or `invalid`.")
    against: int | None = Field(description="The version that taught what to expect.")
    contract: str = Field(description="Hash of the contract.")
    checks: list[QualityCheck]
    history: list[QualityRun] = Field(description="Runs, newest first.")


def read_quality(state: State, name: str, limit: int) -> QualityOut:
    """The newest run of a table, its checks and the runs before.

    Raises:
        NotFound: when the table was never checked.
    """
    missing = NotFound(f"{name!r} was never checked", mend=f"Run `wares check {name}`", id=name)
    if not sa.inspect(state.engine).has_table("quality_runs"):
        raise missing
    query = sa.select(_runs).where(_runs.c.asset == name).order_by(_runs.c.id.desc()).limit(limit)
    with state.engine.connect() as connection:
        runs = [dict(row) for row in connection.execute(query).mappings()]
        if not runs:
            raise missing
        chosen = sa.select(_checks).where(_checks.c.run == runs[0]["id"]).order_by(_checks.c.label)
        checks = [dict(row) for row in connection.execute(chosen).mappings()]
    newest: dict[str, Any] = {key: value for key, value in runs[0].items() if key not in ("id", "seconds")}
    return QualityOut(
        **newest,
        checks=[QualityCheck(**{k: v for k, v in row.items() if k != "run"}) for row in checks],
        history=[QualityRun(**{k: row[k] for k in QualityRun.model_fields}) for row in runs],
    )


def register(app: FastAPI, state: State, allowed: Any, may_see: Callable[[str], None] | None = None) -> None:
    """Put ``/v1/assets/{name}/quality`` onto the application.

    Args:
        app: the application.
        state: where the checks are kept.
        allowed: the dependency that tests the key.
        may_see: raises when the caller's role may not know the table.
    """
    error: dict[str, Any] = {
        "content": {
            problems.MEDIA_TYPE: {"schema": {"type": "object", "required": ["title", "status", "detail"]}}
        }
    }
    responses: dict[int | str, Any] = {
        code: {"description": text, **error}
        for code, text in (
            (400, "Bad request"), (401, "Key required"), (403, "Not allowed"), (404, "Never checked"), (413, "Too large"),
            (422, "Bad parameter"), (503, "Overloaded"),
        )
    }  # fmt: skip

    @app.get(
        "/v1/assets/{name}/quality",
        tags=["assets"],
        summary="Score, checks and their history of a table",
        dependencies=[allowed],
        responses=responses,
    )
    async def quality(
        name: Annotated[str, PathParam(min_length=1, max_length=100)],
        limit: Annotated[int, Query(ge=1, le=200, description="Runs in the history.")] = 20,
    ) -> QualityOut:
        if may_see is not None:
            may_see(name)
        return await run_in_threadpool(read_quality, state, name, limit)
