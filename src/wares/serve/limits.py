"""Admission: how many requests may be at work at once, how large they may be, and what is counted."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wares.serve.problems import problem

_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
REQUESTS = Counter("wares_requests", "Requests by route and status", ["route", "status"])
SECONDS = Histogram(
    "wares_request_seconds",
    "Seconds from the first byte in to the last byte out",
    ["route"],
    buckets=_BUCKETS,
)
EVENTS = Counter("wares_events_accepted", "Events on disk")
ACTIVE = Gauge("wares_requests_active", "Requests at work", multiprocess_mode="livesum")
RELOADS = Counter("wares_bundle_reloads", "Bundles taken into service")
_OPEN = ("/healthz", "/readyz", "/metrics")


def exposition() -> bytes:
    """All metrics in Prometheus' text form; of all workers, when there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest()


class Admission:
    """Lets at most `concurrent` requests work at once; others wait up to `patience` seconds, then get 503."""

    def __init__(self, app: ASGIApp, concurrent: int, patience: float, max_body: int) -> None:
        self.app, self.concurrent, self.patience, self.max_body = app, concurrent, patience, max_body
        self._turns: asyncio.Semaphore | None = None
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _OPEN or not scope["path"].startswith("/v1"):
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if length.isdigit() and int(length) > self.max_body:
            await problem(
                413,
                "Too large",
                f"the request has {int(length)} bytes; {self.max_body} are allowed",
                "Send it in parts",
            )(scope, receive, watched)
        elif not await self._turn():
            await problem(
                503,
                "Overloaded",
                "too many requests are waiting",
                "Try again in a second",
                {"Retry-After": "1"},
            )(scope, receive, watched)
        else:
            assert self._turns is not None
            ACTIVE.inc()
            try:
                await self.app(scope, self._bounded(receive), watched)
            finally:
                ACTIVE.dec()
                self._turns.release()
        route: Any = scope.get("route")
        path = str(getattr(route, "path", "other"))
        REQUESTS.labels(path, str(status)).inc()
        SECONDS.labels(path).observe(time.perf_counter() - begun)

    async def _turn(self) -> bool:
        if self._turns is None:
            self._turns = asyncio.Semaphore(self.concurrent)
        if not self._turns.locked():
            await self._turns.acquire()
            return True
        if self._waiting >= 4 * self.concurrent:
            return False
        self._waiting += 1
        try:
            await asyncio.wait_for(self._turns.acquire(), self.patience)
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def _bounded(self, receive: Receive) -> Receive:
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body:
                # The sender lied about the length; to the application it looks as if it had gone away.
                return {"type": "http.disconnect"}
            return message

        return bounded
