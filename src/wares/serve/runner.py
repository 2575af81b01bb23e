"""Start the server: one process, or several that share the memory-mapped bundle."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path

import uvicorn

from wares.core import bundles
from wares.core.config import Serve
from wares.core.errors import ConfigError, Unavailable
from wares.serve.auth import is_loopback


def free_port(host: str, port: int) -> int:
    """`port` when it can be bound, or a free one for 0.

    Raises:
        Unavailable: when another program listens there.
        ConfigError: when the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable(
                    f"port {port} on {host} is in use",
                    mend="Stop the program that listens there, or take another: `wares serve --port 8001`",
                    port=port,
                ) from None
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                mend="Use 127.0.0.1, 0.0.0.0 or an address of this machine",
                key="serve.host",
                source=host,
            ) from None
        return int(probe.getsockname()[1])


def serve(workspace: Path, settings: Serve, *, workers: int = 1, console: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished.

    Raises:
        NotFitted: when nothing is published.
        Unavailable: when the port is in use.
    """
    bundles.live_bundle(workspace)
    port = free_port(settings.host, settings.port)
    os.environ["WARES_WORKSPACE"] = str(workspace)
    os.environ["WARES_REQUIRE_KEYS"] = "0" if is_loopback(settings.host) else "1"
    os.environ["WARES_CONSOLE"] = "1" if console and workers == 1 else "0"
    # A request is too small to be shared between cores; idle BLAS threads only take them from other workers.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with tempfile.TemporaryDirectory(prefix="wares-metrics-") as metrics:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        uvicorn.run(
            "wares.serve.app:create_from_environment", factory=True, host=settings.host, port=port, workers=workers if workers > 1 else None,
            log_level="warning", access_log=False, timeout_graceful_shutdown=10, timeout_keep_alive=30,
        )  # fmt: skip
