"""``wares bench serve``: a real server, loaded over loopback by a second process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np

from wares.core.errors import Unavailable
from wares.serve.ranker import load_ranker
from wares.serve.runner import free_port

PATHS = 400
QUERIES = 8000


def bench(workspace: Path, workers: int, connections: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Requests a second and latency percentiles of each route, in turns; the load runs in a process of its own."""
    paths = _paths(workspace)
    port = free_port("127.0.0.1", 0)
    command = [
        sys.executable,
        "-m",
        "wares.cli",
        "serve",
        "--shop",
        str(workspace),
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    begun = time.perf_counter()
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _await_ready(port, server)
        start = time.perf_counter() - begun
        samples: dict[str, list[float]] = {name: [] for name in paths}
        wall: dict[str, float] = dict.fromkeys(paths, 0.0)
        errors: dict[str, int] = dict.fromkeys(paths, 0)
        for turn in range(-1, rounds):
            for name, some in paths.items():
                took, spent, wrong = _load(
                    port, some, connections, 1.0 if turn < 0 else seconds / rounds, (turn + 1) * 2500
                )
                if turn >= 0:
                    samples[name] += took
                    wall[name] += spent
                    errors[name] += wrong
        memory = _memory_mb(server.pid)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    routes = {}
    for name, took in samples.items():
        p50, p95, p99 = (float(v) * 1000 for v in np.percentile(took, [50, 95, 99]))
        routes[name] = {
            "requests": len(took),
            "requests_per_s": round(len(took) / wall[name], 1),
            "p50_ms": round(p50, 2),
            "p95_ms": round(p95, 2),
            "p99_ms": round(p99, 2),
            "errors": errors[name],
        }
    return {
        "workers": workers,
        "connections": connections,
        "routes": routes,
        "memory_mb": round(memory, 1),
        "start_s": round(start, 2),
        "cores": os.cpu_count(),
    }


def _paths(workspace: Path) -> dict[str, list[str]]:
    """Queries as shoppers type them (two or three words of a title in any order, hardly ever the same), shoppers and products, drawn by seed."""
    ranker = load_ranker(workspace)
    rng = np.random.default_rng(7)
    titles, queries = ranker.catalogue.columns["title"], []
    for row in rng.choice(len(titles), min(QUERIES, len(titles)), replace=False):
        words = [w.strip(",:()") for w in str(titles[int(row)]).split() if len(w) > 2]
        queries.append(" ".join(rng.permutation(words)[: 2 + int(rng.integers(2))]) or "a")
    users = (
        [
            ranker.users[int(i)]
            for i in rng.choice(len(ranker.users), min(PATHS, len(ranker.users)), replace=False)
        ]
        if len(ranker.users)
        else ["nobody"]
    )
    sold = np.flatnonzero(np.asarray(ranker.searcher.log_sold) > 0)
    products = [
        ranker.catalogue.ids[int(i)]
        for i in rng.choice(
            sold if len(sold) else np.arange(len(titles)), min(PATHS, max(len(sold), 1)), replace=False
        )
    ]
    quote = urllib.parse.quote
    return {
        "search": [f"/v1/search?q={quote(q)}" for q in queries],
        "recommend": [f"/v1/recommend?user={quote(u)}" for u in users],
        "similar": [f"/v1/similar/{quote(p, safe='')}" for p in products],
    }


def _await_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise Unavailable("the server did not start", mend="Try `wares serve` to see why")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise Unavailable("the server was not ready in a minute", mend="Try `wares serve` to see why")


def _load(
    port: int, paths: list[str], connections: int, seconds: float, begin: int
) -> tuple[list[float], float, int]:
    spec = json.dumps(
        {"port": port, "paths": paths, "connections": connections, "seconds": seconds, "from": begin}
    )
    done = subprocess.run(
        [sys.executable, "-c", "from wares.cli.bench import _client; _client()"],
        input=spec,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds * 3 + 60,
    )
    result = json.loads(done.stdout)
    return result["took"], result["wall"], result["errors"]


def _client() -> None:
    """The second process: closed-loop connections, each with requests of its own."""
    spec = json.loads(sys.stdin.read())
    took: list[float] = []
    errors = 0
    lock = threading.Lock()
    until = time.perf_counter() + spec["seconds"]

    def work(number: int) -> None:
        nonlocal errors
        connection = http.client.HTTPConnection("127.0.0.1", spec["port"], timeout=10)
        mine: list[float] = []
        wrong, at = 0, spec["from"] + number * 997
        while time.perf_counter() < until:
            path = spec["paths"][at % len(spec["paths"])]
            at += 1
            begun = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            mine.append(time.perf_counter() - begun)
            wrong += answer.status != 200
        with lock:
            took.extend(mine)
            errors += wrong

    begun = time.perf_counter()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(spec["connections"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps({"took": took, "wall": time.perf_counter() - begun, "errors": errors}))


def _memory_mb(pid: int) -> float:
    """Proportional memory of a process group, in MB: pages shared by n processes count 1/n in each."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) != os.getpgid(pid):
                continue
            total += sum(
                int(line.split()[1])
                for line in (folder / "smaps_rollup").read_text().splitlines()
                if line.startswith("Pss:")
            )
        except (OSError, ValueError):
            continue
    return total / 1024
