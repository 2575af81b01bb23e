"""The HTTP API over one ranker, which is exchanged when a new bundle is published."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi import Path as PathParam
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from wares.core import bundles
from wares.core.audit import Audit
from wares.core.config import FILE, Serve, load_config
from wares.core.errors import NotFitted, QueryError, WaresError
from wares.core.nouns import Hit
from wares.core.state import State
from wares.core.synonyms import SynonymBook
from wares.models.search.suggest import SCOPE
from wares.serve import (
    assets,
    elasticity,
    graph,
    matching,
    mood_uses,
    moods,
    prices,
    problems,
    quality,
    search_api,
    services_api,
    synonyms,
)
from wares.serve.answers import json_response
from wares.serve.auth import Gate
from wares.serve.limits import EVENTS, RELOADS, Admission, exposition
from wares.serve.ranker import Ranker
from wares.serve.schemas import (
    EventsIn,
    EventsOut,
    LoginIn,
    LoginOut,
    ProductIn,
    ProductOut,
    hit_json,
    product_json,
)
from wares.serve.situation import MAX_K, Situation
from wares.serve.steering import Steering
from wares.serve.suggesting import suggestion_json

log = logging.getLogger("wares.serve")
WATCH_SECONDS = 0.5


class Shelf:
    """Holds the ranker in service and follows the pointer to the live bundle."""

    def __init__(self, workspace: Path, state: State) -> None:
        self.workspace, self.state = workspace, state
        self.ranker = Ranker(bundles.live_bundle(workspace), state)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="wares-bundle-watch", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End following."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _watch(self) -> None:
        failed = ""
        while not self._stop.wait(WATCH_SECONDS):
            try:
                folder = bundles.live_bundle(self.workspace)
                if folder.name not in (self.ranker.name, failed):
                    # Requests under way keep the old ranker; it goes when the last of them ends.
                    self.ranker = Ranker(folder, self.state)
                    RELOADS.inc()
                    log.info("bundle %s is in service", folder.name)
            except (WaresError, OSError, ValueError) as error:
                failed = bundles.pointer(self.workspace)["live"]
                log.error("the new bundle cannot be served, the old one stays: %s", error)


def _hits(hits: list[Hit], **more: Any) -> Response:
    return json_response({"hits": [hit_json(hit) for hit in hits], **more})


def _weights(text: str | None) -> dict[str, float] | None:
    if not text:
        return None
    try:
        return {
            name.strip(): float(value) for name, value in (part.split(":", 1) for part in text.split(","))
        }
    except ValueError:
        raise QueryError(
            f"cannot read weights {text[:80]!r}", mend="Write text:1,behaviour:2", parameter="weights"
        ) from None


K = Annotated[int, Query(ge=1, le=MAX_K, description="How many.")]
Language = Annotated[Literal["en", "zh"], Query(description="Language of the reasons.")]
ProductId = Annotated[str, PathParam(min_length=1, max_length=200)]
_PROBLEM: dict[str, Any] = {
    "content": {
        problems.MEDIA_TYPE: {"schema": {"type": "object", "required": ["title", "status", "detail"]}}
    }
}
_ERRORS: dict[int | str, Any] = {
    code: {"description": text, **_PROBLEM}
    for code, text in (
        (400, "Bad request"),
        (401, "Key required"),
        (403, "Not allowed"),
        (413, "Too large"),
        (422, "Bad parameter"),
        (503, "Overloaded"),
    )
}
_MISSING: dict[int | str, Any] = {**_ERRORS, 404: {"description": "Unknown product", **_PROBLEM}}


def create_app(workspace: Path, *, require_keys: bool = False, settings: Serve | None = None) -> FastAPI:
    """The application for a workspace with a live bundle.

    Raises:
        NotFitted: when nothing is published.
    """
    config = load_config(workspace / FILE)
    settings = settings or config.serve
    state = State.at(workspace / "state", config.state.url)
    shelf = Shelf(workspace, state)
    gate = Gate(state, required=require_keys)
    names = config.audit
    audit = Audit(state, workspace / "state", key=names.key_file, anchor=names.anchor)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        shelf.start()
        yield
        shelf.stop()
        state.close()

    app = FastAPI(
        title="wares", version=version('wares'), lifespan=lifespan, summary=f"Search and recommendations of {config.shop.name}",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    app.state.shelf, app.state.settings, app.state.gate = shelf, settings, gate
    problems.install(app)
    app.add_middleware(
        Admission,
        concurrent=settings.max_concurrent,
        patience=settings.queue_seconds,
        max_body=settings.max_body_kb * 1024,
    )

    def may(scope: str) -> Any:
        def check(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
            gate.check(authorization, scope)

        return Depends(check)

    _health(app, shelf)
    # Before the product itself, whose id may hold slashes and would take the end of the path for its own.
    moods.routes(app, lambda: shelf.ranker, state, gate, may, _ERRORS, _MISSING)
    search_api.routes(app, lambda: shelf.ranker, may("read"), _ERRORS)
    _reading(app, shelf, may("read"))
    services_api.routes(app, lambda: shelf.ranker, _hits, may("read"), _ERRORS, _MISSING)
    _writing(app, shelf, may("write"))
    quality.register(app, state, gate, workspace, config.access.key_role)
    graph.routes(app, lambda: shelf.ranker, may("read"), _ERRORS)
    matching.routes(app, lambda: shelf.ranker, may("read"), _MISSING)
    prices.routes(app, lambda: shelf.ranker, may("read"), _ERRORS, _MISSING)
    elasticity.routes(app, lambda: shelf.ranker, may("read"), _ERRORS, _MISSING)
    mood_uses.routes(app, lambda: shelf.ranker, may("read"), _ERRORS, _MISSING)
    synonyms.routes(
        app, SynonymBook(state, audit), lambda: bundles.live_bundle(workspace), gate, may, _ERRORS, _MISSING
    )
    assets.routes(app, state, may("read"), _ERRORS)
    return app


def _health(app: FastAPI, shelf: Shelf) -> None:
    @app.get("/healthz", tags=["health"], summary="The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], summary="A bundle is loaded and warm", responses={503: _ERRORS[503]})
    async def readyz() -> dict[str, str]:
        return {"status": "ready", "bundle": shelf.ranker.name}

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _reading(app: FastAPI, shelf: Shelf, allowed: Any) -> None:
    @app.get(
        "/v1/suggest",
        tags=["read"],
        summary="Completions while typing",
        dependencies=[allowed],
        responses=_ERRORS,
    )
    async def suggest(
        q: Annotated[str, Query(max_length=200, openapi_examples={"begun": {"value": "choc"}})] = "",
        k: K = 8,
        user: Annotated[
            str | None, Query(max_length=200, description="The shopper, for a personal order.")
        ] = None,
        category: Annotated[
            str, Query(max_length=1000, description="Keep to this category and what lies below it.")
        ] = "",
    ) -> Response:
        found = shelf.ranker.suggestions(q, k, user, category)
        return json_response(
            {
                "suggestions": [one.text for one in found if one.kind != SCOPE],
                "items": [suggestion_json(one) for one in found],
            }
        )

    @app.get(
        "/v1/recommend",
        tags=["read"],
        summary="For a shopper, or for a stranger",
        dependencies=[allowed],
        responses=_ERRORS,
    )
    async def recommend(
        user: Annotated[
            str | None, Query(max_length=200, openapi_examples={"household": {"value": "900"}})
        ] = None,
        k: K = 20,
        tail: Annotated[
            float | None,
            Query(ge=0, le=1, allow_inf_nan=False, description="0: most accurate, 1: discovery."),
        ] = None,
        repeats: Annotated[bool | None, Query(description="May what the shopper has come again?")] = None,
        language: Language = "en",
        session: Annotated[
            str | None,
            Query(max_length=200, description="The visit; with `user`, the visit becomes the shopper's."),
        ] = None,
        likes: Annotated[
            list[str] | None,
            Query(
                description="Products picked, with commas between.",
                openapi_examples={"picks": {"value": ["1029743,1082185"]}},
            ),
        ] = None,
        basket: Annotated[
            list[str] | None, Query(description="Products in the basket, with commas between.")
        ] = None,
        segment: Annotated[
            str | None,
            Query(max_length=200, description="One of `/v1/segments`, for those little is known of."),
        ] = None,
        category: Annotated[
            str | None,
            Query(max_length=1000, description="The page: this category and what lies below it."),
        ] = None,
        exclude: Annotated[list[str] | None, Query(max_length=200, description="Products left out.")] = None,
        pin: Annotated[list[str] | None, Query(max_length=20, description="Products put first.")] = None,
        per_brand: Annotated[int, Query(ge=0, le=100, description="Most places of a brand; 0: no cap.")] = 0,
        calibrate: Annotated[
            float,
            Query(
                ge=0, le=1, allow_inf_nan=False, description="Pull to the shopper's own mix of categories."
            ),
        ] = 0.0,
        diversity: Annotated[
            float,
            Query(ge=0, le=1, allow_inf_nan=False, description="What a second hit of a category loses."),
        ] = 0.0,
        margin: Annotated[
            float, Query(ge=0, le=10, allow_inf_nan=False, description="Weight of the attribute `margin`.")
        ] = 0.0,
    ) -> Response:
        steering = Steering.asked(exclude, pin, per_brand, calibrate, diversity, margin)
        ranker = shelf.ranker
        situation = Situation.asked(session, likes, basket, segment, category, ranker.knows)
        found = ranker.recommend(
            user, k, tail=tail, repeats=repeats, language=language, steering=steering, situation=situation
        )
        return _hits(found, **ranker.unheard(situation))

    @app.get(
        "/v1/similar/{product_id:path}",
        tags=["read"],
        summary="Products like one",
        dependencies=[allowed],
        responses=_MISSING,
    )
    async def similar(
        product_id: ProductId,
        k: K = 10,
        weights: Annotated[
            str | None,
            Query(max_length=400, description="By dimension, as `text:1,price:0`; the others count nothing."),
        ] = None,
        kind: Annotated[
            Literal["like", "same", "substitute", "complement", "style"],
            Query(description="What is meant by similar; 400 where the shop has no signals for it."),
        ] = "like",
        language: Language = "en",
    ) -> Response:
        likeness = shelf.ranker.likeness
        found = shelf.ranker.similar(product_id, k, weights=_weights(weights), kind=kind, language=language)
        return _hits(found, kinds=list(likeness.kinds), dimensions=list(likeness.names))

    @app.post(
        "/v1/similar-to-image",
        tags=["read"],
        summary="Products that look like an image; its bytes are the body",
        dependencies=[allowed],
        responses=_MISSING,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def similar_to_image(request: Request, k: K = 10, language: Language = "en") -> Response:
        body = await request.body()
        return _hits(await run_in_threadpool(shelf.ranker.alike.by_image, body, k, language=language))

    @app.get(
        "/v1/products/{product_id:path}",
        tags=["read"],
        summary="A product and its prices over time",
        dependencies=[allowed],
        responses=_MISSING,
    )
    async def product(product_id: ProductId) -> Response:
        ranker = shelf.ranker
        ranker.refresh()
        found = product_json(ranker.product(product_id))
        history = [
            {"at": at.isoformat(), "price": str(price)} for at, price in ranker.price_history(product_id)
        ]
        return json_response({**found, "price_history": history})


def _writing(app: FastAPI, shelf: Shelf, allowed: Any) -> None:
    @app.post(
        "/v1/events",
        tags=["write"],
        summary="What shoppers did; on disk before the answer",
        dependencies=[allowed],
        status_code=202,
        responses=_ERRORS,
    )
    async def events(body: EventsIn) -> EventsOut:
        ranker = shelf.ranker
        ranker.refresh()
        rows = [event.row() for event in body.events]
        given, rows = len(rows), ranker.admit(rows)
        new = await run_in_threadpool(shelf.state.append_events, rows)
        EVENTS.inc(new)
        await run_in_threadpool(ranker.log_in_all, rows)
        ranker.refresh()
        unknown = sorted({r["product_id"] for r in rows if not ranker.knows(r["product_id"])})
        return EventsOut(
            accepted=new,
            duplicates=len(rows) - new,
            unknown_products=unknown[:100],
            erased=given - len(rows),
        )

    @app.post(
        "/v1/sessions/{session}/login",
        tags=["write"],
        summary="A visitor logged in: what the visit did becomes the shopper's; on disk before the answer",
        dependencies=[allowed],
        responses=_ERRORS,
    )
    async def login(
        session: Annotated[str, PathParam(min_length=1, max_length=200)], body: LoginIn
    ) -> LoginOut:
        if not session.strip() or "\x00" in session:
            raise QueryError(
                "the session must not be blank", mend="Put it into the path", parameter="session"
            )
        ranker = shelf.ranker
        ranker.refresh()
        registered = ranker.registered
        erased = registered is not None and bool(registered.erased_among((session, body.user_id)))
        merged, _ = await run_in_threadpool(ranker.log_in, session, body.user_id)
        return LoginOut(session_id=session, user_id=body.user_id, merged=merged, erased=erased)

    @app.put(
        "/v1/products/{product_id:path}",
        tags=["write"],
        summary="A new product, or a new form of one; on disk before the answer",
        dependencies=[allowed],
        responses=_ERRORS,
    )
    async def put_product(product_id: ProductId, body: ProductIn) -> ProductOut:
        if not product_id.strip() or "\x00" in product_id:
            raise QueryError(
                "the product id must not be blank",
                mend="Put the shop's own number into the path",
                parameter="product_id",
            )
        document = {"product_id": product_id, **body.model_dump(mode="json")}
        document["currency"] = body.currency or str(shelf.ranker.manifest["shop"]["currency"])
        await run_in_threadpool(shelf.state.append_product, product_id, document)
        await run_in_threadpool(shelf.ranker.refresh)
        return ProductOut(product_id=product_id, searchable=body.available)


def create_from_environment() -> FastAPI:
    """What each uvicorn worker calls; ``WARES_WORKSPACE`` and ``WARES_REQUIRE_KEYS`` come from ``wares serve``."""
    workspace = os.environ.get("WARES_WORKSPACE", "")
    if not workspace:
        raise NotFitted("no workspace to serve", mend="Start with `wares serve`")
    app = create_app(
        Path(workspace),
        require_keys=os.environ.get("WARES_REQUIRE_KEYS") == "1",
        settings=load_config(Path(workspace) / FILE).serve,
    )
    if os.environ.get("WARES_CONSOLE") == "1":
        # By name, because the console imports this room and not the other way round.
        importlib.import_module("wares.console.app").mount(app, Path(workspace))
    return app
