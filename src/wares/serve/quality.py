"""Quality over HTTP: scores, checks and their history, read from the state without the data room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import FastAPI, Header, Query
from fastapi import Path as PathParam
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from wares.core.access import Policy
from wares.core.errors import NotFound
from wares.core.policy_file import POLICY_FILE, load_policy
from wares.core.state import State
from wares.serve import problems
from wares.serve.auth import Gate

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


Rows = list[dict[str, Any]]


def read_quality(state: State, name: str, limit: int, choose: Callable[[Rows], Rows]) -> QualityOut:
    """The newest run of a table, those of its checks that `choose` leaves, and the runs before.

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
        checks = choose([dict(row) for row in connection.execute(chosen).mappings()])
    newest: dict[str, Any] = {key: value for key, value in runs[0].items() if key not in ("id", "seconds")}
    return QualityOut(
        **newest,
        checks=[
            QualityCheck(**{k: v for k, v in row.items() if k in QualityCheck.model_fields}) for row in checks
        ],
        history=[QualityRun(**{k: row[k] for k in QualityRun.model_fields}) for row in runs],
    )


def in_role(rows: list[dict[str, Any]], policy: Policy, role: str, table: str) -> list[dict[str, Any]]:
    """Checks as a role may see them.

    Checks of columns that do not exist for the role are left out. Of masked columns, and of checks that join columns or
    tables while the role sees not all columns plainly, only the outcome stays: a measured number or a message could give
    a masked value away. Counts below the role's threshold are not told.

    Raises:
        AccessDenied: when the role may read nothing of the table.
    """
    access = policy.decide(role, table)
    if access.role.is_owner:
        return rows
    shown = policy.columns_shown(role, table)
    plain = {name for name, mask in shown.items() if mask == "visible"}
    out: list[dict[str, Any]] = []
    for row in rows:
        kind, _, rest = str(row["label"]).partition("#")[0].partition(":")
        named = set(rest.split("+")) if rest and kind != "relation" else set(access.columns)
        if kind != "relation" and rest and not named <= set(shown):
            continue
        custom = "#" in str(row["label"])
        open_ = named <= plain and not (custom and not set(access.columns) <= plain)
        few = 0 < row["broken"] < access.threshold
        if open_ and not few:
            out.append({**row, "sample": row.get("sample", []) if access.rows_allowed else []})
        else:
            out.append(
                {**row, "value": None, "expected": "", "broken": 0, "message": "", "mend": "", "sample": []}
            )
    return out


def register(app: FastAPI, state: State, gate: Gate, workspace: Path, default_role: str) -> None:
    """Put ``/v1/assets/{name}/quality`` onto the application.

    Args:
        app: the application.
        state: where the checks are kept.
        gate: who knows keys and their roles.
        workspace: whose access policy counts.
        default_role: of keys without a role.
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
        summary="Score, checks and their history of a table, as the key's role may see them",
        responses=responses,
    )
    async def quality(
        name: Annotated[str, PathParam(min_length=1, max_length=100)],
        limit: Annotated[int, Query(ge=1, le=200, description="Runs in the history.")] = 20,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> QualityOut:
        def work() -> QualityOut:
            gate.check(authorization, "read")
            _, role = gate.role(authorization, default_role)
            policy = load_policy(workspace / "state" / POLICY_FILE)
            policy.decide(role, name)
            return read_quality(state, name, limit, lambda rows: in_role(rows, policy, role, name))

        return await run_in_threadpool(work)
