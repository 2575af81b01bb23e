"""Errors as problem documents (RFC 9457): every answer that is not 2xx says what is wrong and the mend."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from wares.core.errors import WaresError

log = logging.getLogger("wares.serve")
MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, title: str, detail: str, mend: str = "", headers: dict[str, str] | None = None, **fields: Any
) -> Response:
    """A problem document."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        **({"mend": mend} if mend else {}),
        **fields,
    }
    return Response(orjson.dumps(body, default=str), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, WaresError)
        headers = (
            {"Retry-After": "1"}
            if error.status == 503
            else {"WWW-Authenticate": "Bearer"}
            if error.status == 401
            else None
        )
        fields = {k: v for k, v in error.fields.items() if isinstance(v, str | int | float | bool)}
        return problem(error.status, error.title, error.message, error.mend, headers, **fields)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        wrong = [
            {"place": ".".join(str(p) for p in e["loc"]), "message": str(e["msg"])}
            for e in error.errors()[:20]
        ]
        return problem(
            422, "Bad request", f"{place}: {first['msg']}", "See /docs for what is allowed", errors=wrong
        )

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        mend = "See /docs for the paths there are" if error.status_code == 404 else ""
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, str(error.detail), str(error.detail), mend, headers)

    async def fault(request: Request, error: Exception) -> Response:
        log.error("fault in %s %s", request.method, request.url.path, exc_info=error)
        return problem(
            503,
            "Unavailable",
            "this request met a fault; it is in the server's log",
            "Try again; if it stays, report it",
            {"Retry-After": "1"},
        )

    app.add_exception_handler(WaresError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, fault)
