"""What a server reads from its state so often that it may be half a second old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
FRESH = 0.5
"""Seconds for which a server believes what it read last."""


class Lately(Generic[T]):
    """The value of `read`, read anew once it is older than `FRESH` or was forgotten. Thread-safe."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._last: tuple[float, T] | None = None

    def get(self) -> T:
        """The value as of half a second ago or later."""
        with self._lock:
            clock = time.monotonic()
            if self._last is None or clock - self._last[0] > FRESH:
                self._last = clock, self._read()
            return self._last[1]

    def forget(self) -> None:
        """Read anew when asked next, as after a change of one's own."""
        with self._lock:
            self._last = None
