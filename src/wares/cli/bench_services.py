"""How fast visits are answered, and how soon a new product is recommended. The shop's own state is never written to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from wares.core import bundles
from wares.core.config import FILE
from wares.core.errors import Unavailable
from wares.core.state import State
from wares.serve.ranker import Ranker, load_ranker
from wares.serve.runner import free_port
from wares.serve.situation import Situation

SEED = 7
PATIENCE = 10.0


def _percentiles(took: list[float]) -> dict[str, float]:
    p50, p95, p99 = (float(v) * 1000 for v in np.percentile(took, [50, 95, 99]))
    return {"p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "p99_ms": round(p99, 3), "n": len(took)}


def sessions(workspace: Path, deeds: int, visits: int, k: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Time the list of a visit of `deeds` events, without and with one more event written to disk before it."""
    with tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch:
        state = State.at(Path(scratch))
        ranker = Ranker(bundles.live_bundle(workspace), state)
        rng = np.random.default_rng(SEED)
        sold = np.flatnonzero(np.asarray(ranker.popular) > 0)
        pool = sold if len(sold) else np.arange(len(ranker.catalogue))
        say("fill")
        for visit in range(visits):
            # A visit stays near a theme: a product and what is like it, and some of anything.
            theme = rng.choice(pool, 8)
            rows = rng.choice(np.concatenate([theme, rng.choice(pool, 4)]), deeds)
            state.append_events([_event(ranker, f"visit-{visit}", int(row)) for row in rows])
        ranker.refresh()
        alone: list[float] = []
        work: list[float] = []
        bare: list[float] = []
        after: list[float] = []
        say("answer")
        for visit in rng.permutation(visits).tolist():
            here = Situation(session=f"visit-{visit}")
            begun, worked = time.perf_counter(), time.thread_time()
            ranker.recommend(None, k, situation=here)
            alone.append(time.perf_counter() - begun)
            work.append(time.thread_time() - worked)
            worked = time.thread_time()
            ranker.recommend(None, k, situation=here, reasons=False)
            bare.append(time.thread_time() - worked)
        say("event and answer")
        for visit in rng.permutation(visits).tolist():
            event = _event(ranker, f"visit-{visit}", int(rng.choice(pool)))
            begun = time.perf_counter()
            state.append_events([event])
            ranker.recommend(None, k, situation=Situation(session=f"visit-{visit}"))
            after.append(time.perf_counter() - begun)
        state.close()
    return {
        "deeds": deeds, "visits": visits, "k": k, "cores": os.cpu_count(), "bundle": ranker.name, "seed": SEED,
        "rows": {"list of a visit": _percentiles(alone), "its work (CPU time)": _percentiles(work),
            "its work without reasons (CPU time)": _percentiles(bare), "one more event on disk, then the list": _percentiles(after)},
    }  # fmt: skip


def _event(ranker: Ranker, session: str, row: int) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex, "user_id": "", "product_id": str(ranker.catalogue.ids[row]), "kind": "view",
        "at": datetime.now(UTC).isoformat(), "quantity": "1", "price": None, "session_id": session,
    }  # fmt: skip


def newproduct(workspace: Path, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """PUT new products, each like what a shopper has bought, and ask for that shopper's list until it is there."""
    ranker = load_ranker(workspace)
    rng = np.random.default_rng(SEED)
    took: list[float] = []
    with _server_of_copy(workspace, ranker.folder) as port:
        say("put and ask")
        for n in range(rounds):
            user, row = _suited(ranker, rng)
            liked = ranker.catalogue.product(row)
            name = f"new-{n}-{uuid.uuid4().hex[:6]}"
            body = {
                "title": f"{liked.title}, new", "category": liked.category, "brand": liked.brand,
                "price": None if liked.price is None else str(liked.price),
            }  # fmt: skip
            begun = time.perf_counter()
            _ask(port, "PUT", f"/v1/products/{name}", body)
            path = f"/v1/recommend?k=20&user={urllib.parse.quote(user)}"
            while name not in _ask(port, "GET", path):
                if time.perf_counter() - begun > PATIENCE:
                    break
                time.sleep(0.01)
            else:
                took.append(time.perf_counter() - begun)
            # Off the shelf again: a list of twenty keeps one place for new products, and rounds must not compete.
            _ask(port, "PUT", f"/v1/products/{name}", {**body, "available": False})
    return {
        "rounds": rounds, "found": len(took), "p50_s": round(float(np.median(took)), 3) if took else None,
        "max_s": round(max(took), 3) if took else None, "bundle": ranker.name, "seed": SEED, "cores": os.cpu_count(),
    }  # fmt: skip


def _suited(ranker: Ranker, rng: np.random.Generator) -> tuple[str, int]:
    """A shopper and a product that is among those who say most about them."""
    while True:
        user = str(ranker.users[int(rng.integers(len(ranker.users)))])
        history = ranker.history(user)
        if len(history.items):
            top = history.items[np.argsort(-history.query, kind="stable")[:5]]
            return user, int(rng.choice(top))


@contextmanager
def _server_of_copy(workspace: Path, folder: Path) -> Iterator[int]:
    """A server on a workspace with the same bundle and an empty state."""
    with tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch:
        root = Path(scratch) / "shop"
        (root / "bundles").mkdir(parents=True)
        (root / FILE).write_bytes((workspace / FILE).read_bytes())
        (root / "bundles" / folder.name).symlink_to(folder)
        bundles.set_live(root, folder.name)
        port = free_port("127.0.0.1", 0)
        command = [sys.executable, "-m", "wares.cli", "serve", "--shop", str(root), "--port", str(port)]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            for _ in range(1200):
                if server.poll() is not None:
                    raise Unavailable("the server did not start", mend="Try `wares serve` to see why")
                try:
                    _ask(port, "GET", "/readyz")
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


def _ask(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 400:
            raise Unavailable(
                f"{method} {path} gave {answer.status}: {text[:200]}", mend="Try `wares serve` to see why"
            )
        return text
    finally:
        connection.close()
