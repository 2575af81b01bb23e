"""A few threads over many pieces of work whose inner loops let go of Python's lock (numpy, scipy, ONNX Runtime)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def each(items: Iterable[T], work: Callable[[T], None], threads: int = 0) -> None:
    """Call `work` on every item, in no order; the first error is raised, and nothing is begun after it.

    Items are drawn one at a time by the thread that is free, so at most `threads` of them are in memory; 0 is one for
    each core.
    """
    drawn, lock, failed = iter(items), Lock(), False

    def go() -> None:
        nonlocal failed
        try:
            while True:
                with lock:
                    if failed:
                        return
                    item = next(drawn, _END)
                if item is _END:
                    return
                work(cast(T, item))
        except BaseException:
            failed = True
            raise

    count = threads or os.cpu_count() or 1
    if count == 1:
        go()
        return
    with ThreadPoolExecutor(count) as pool:
        for one in [pool.submit(go) for _ in range(count)]:
            one.result()
