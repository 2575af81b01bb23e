from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# Two test processes share two cores: threads of numeric libraries would wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

CONFIG = """
[shop]
name = "Synthetic"
currency = "EUR"
[[sources]]
as = "products"
path = "exports/products.csv"
[[sources]]
as = "events"
path = "exports/events.csv"
[recommend]
regularisation = [10.0, 50.0]
half_lives_days = [60.0, 3650.0]
min_support = 1
[evaluate]
bootstrap = 100
"""


@pytest.fixture(scope="session")
def shop_data():
    from wares.testing.shop import make_shop

    return make_shop()


def new_workspace(folder: Path, data):
    from wares.pipeline.workspace import init_workspace
    from wares.testing.shop import write_shop

    write_shop(data, folder / "exports")
    return init_workspace(folder, CONFIG)


@pytest.fixture(scope="session")
def built(tmp_path_factory, shop_data):
    """A built and published synthetic shop; tests must not change it."""
    shop = new_workspace(tmp_path_factory.mktemp("built") / "shop", shop_data)
    shop.ingest()
    shop.build()
    shop.publish()
    return shop


@pytest.fixture
def copy_of_built(built, tmp_path):
    """A published shop that a test may change."""
    from wares.pipeline.workspace import open_workspace

    return open_workspace(copy_workspace(built.root, tmp_path / "shop"))


def copy_workspace(root: Path, target: Path) -> Path:
    """Copy a workspace that may be open here. By another process: see `wares.core.files.opened_apart`."""
    subprocess.run(["cp", "-a", str(root), str(target)], check=True)
    return target


@contextmanager
def running_server(root: Path, *options: str, wait: bool = True) -> Iterator[tuple[subprocess.Popen, int]]:
    from wares.serve.runner import free_port

    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "wares.cli", "serve", "--shop", str(root), "--port", str(port), *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    try:
        if wait:
            await_ready(port, server)
        yield server, port
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait(20)
        server.stderr.close()


def await_ready(port: int, server: subprocess.Popen) -> None:
    for _ in range(400):
        assert server.poll() is None, server.stderr.read().decode()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not become ready")
