"""What this process uses of the machine, and how it shares it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_rss() -> int:
    """The highest resident memory of this process so far, in bytes.

    On Linux from ``VmHWM``: ``ru_maxrss`` of a new program begins with what the process was that started it.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def share_cores() -> None:
    """Let the threads of numeric libraries sleep while they wait; must run before numpy, LightGBM or torch is imported.

    By default they spin: as soon as something else uses a core, growing trees with two threads takes thirty times, and a
    factorisation five times, as long as with one. What the environment says already stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # libgomp: LightGBM, torch
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # numpy, scipy: 2^4 cycles


def bf16_pays() -> bool:
    """Whether this processor multiplies bfloat16 itself (AVX-512 BF16 or AMX): there it trains about twice as fast."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text("utf-8", "replace") if flags.is_file() else ""
    return "avx512_bf16" in text or "amx_bf16" in text
