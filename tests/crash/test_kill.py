"""Promises that hold when processes die: `kill -9` of the server during writes, of builds and publications anywhere."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.conftest import await_ready

import wares
from wares.core.bundles import live_bundle, open_bundle
from wares.core.state import State
from wares.serve.runner import free_port
from wares.testing.shop import write_rows

KILLS = 50


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_acknowledged_means_present_after_kill_9(copy_of_built):
    """A bare writer process takes events over HTTP as the server does, and is killed fifty times while it writes."""
    rng = random.Random(7)
    acknowledged: set[str] = set()
    sent = 0
    for life in range(KILLS):
        port = free_port("127.0.0.1", 0)
        environment = {
            **os.environ,
            "WARES_WORKSPACE": str(copy_of_built.root),
            "WARES_REQUIRE_KEYS": "0",
            "WARES_CONSOLE": "0",
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "wares.serve.app:create_from_environment", "--factory", "--port", str(port), "--log-level", "error"],
            env=environment, start_new_session=True, stderr=subprocess.PIPE,
        )  # fmt: skip
        await_ready(port, server)
        timer = threading.Timer(0.05 + 0.3 * rng.random(), lambda s=server: os.killpg(s.pid, signal.SIGKILL))
        timer.start()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while True:
            names = [f"e{life}-{sent + n}" for n in range(3)]
            sent += 3
            body = {
                "events": [
                    {"event_id": n, "user_id": f"u{sent % 9}", "product_id": "p0001", "kind": "view"}
                    for n in names
                ]
            }
            try:
                connection.request(
                    "POST", "/v1/events", json.dumps(body), {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                break
            assert answer.status == 202
            acknowledged.update(names)
        connection.close()
        server.wait(10)
        server.stderr.close()
        assert server.returncode == -signal.SIGKILL
    state = State.at(copy_of_built.root / "state")
    stored = [row["event_id"] for row in state.events_after(0, 10**6)]
    # Most lives got to take something in, also on a machine that does other work; how much is no promise.
    assert len(acknowledged) > KILLS
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    # All or none of a request.
    whole = {name.split("-")[0] + "-" + str((int(name.split("-")[1])) // 3) for name in stored}
    assert len(whole) * 3 == len(stored)


@pytest.mark.slow
def test_killed_builds_and_publications_leave_the_previous_bundle_live(copy_of_built, tmp_path):
    rng = random.Random(3)
    root = copy_of_built.root
    before = live_bundle(root).name
    fresh = [
        {"sku": f"n{i}", "name": f"new thing {i}", "brand": "B", "category": "Lamps", "price": "2.00"}
        for i in range(5)
    ]
    copy_of_built.ingest(str(write_rows(tmp_path / "p.csv", fresh)), "products")
    code = f"import wares; s = wares.open({str(root)!r}); print('open', flush=True); s.build(); s.publish()"
    killed = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process.stdout.readline()
        time.sleep(rng.random() * 3.0)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        process.stdout.close()
        now = live_bundle(root)
        open_bundle(now, verify=True)
        if now.name != before:
            break
    assert killed >= 3
    shop = wares.open(root)
    shop.build()
    shop.publish()
    ranker = wares.load(root)
    assert ranker.name != before
    assert ranker.search("new thing", k=5).hits[0].product.product_id.startswith("n")
    assert not list((root / "bundles").glob(".tmp-*"))


@pytest.mark.slow
def test_publications_killed_at_random_points(copy_of_built):
    rng = random.Random(5)
    root = copy_of_built.root
    code = (
        "import sys, wares, pathlib; s = wares.open(sys.argv[1]); print('open', flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    latest = pathlib.Path(sys.argv[1]) / 'build' / 'latest.json'\n"
        "    import json; v = json.loads(latest.read_text()); v['absorbed']['events'] = -n - int(sys.argv[2])\n"
        "    from wares.core.files import write_json; write_json(latest, v); s.publish()\n"
    )
    for life in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(root), str(life * 1000)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process.stdout.readline()
        time.sleep(rng.random() * 0.4)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        open_bundle(live_bundle(root), verify=True)
    wares.load(root)
