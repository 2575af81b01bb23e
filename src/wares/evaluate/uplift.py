"""Did it bring anything: differences between a group that was written to and one that was not, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054


def difference_of_shares(treated: NDArray[np.bool_], control: NDArray[np.bool_]) -> dict[str, Any]:
    """Shares of both groups, their difference and its 95 % interval: Newcombe's hybrid score (Statistics in Medicine 1998)."""
    (p, low, high), (q, below, above) = _wilson(treated), _wilson(control)
    gap = p - q
    return {
        "target": round(p, 6), "holdout": round(q, 6), "n_target": len(treated), "n_holdout": len(control), "difference": round(gap, 6),
        "interval": [round(gap - float(np.hypot(p - low, above - q)), 6), round(gap + float(np.hypot(high - p, q - below)), 6)],
        "lift": round(p / q, 4) if q > 0 else None,
    }  # fmt: skip


def _wilson(hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    """A share and the ends of its score interval (Wilson 1927)."""
    n = max(len(hits), 1)
    p = float(hits.sum()) / n
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * float(np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)))
    return p, max(middle - reach, 0.0), min(middle + reach, 1.0)


def difference_of_means(
    treated: NDArray[np.float64], control: NDArray[np.float64], seed: int = 7, draws: int = 2000
) -> dict[str, Any]:
    """Means of both groups, their difference and its 95 % interval, by resampling people (percentile bootstrap)."""
    rng = np.random.default_rng(seed)
    gaps = [
        float(
            treated[rng.integers(len(treated), size=len(treated))].mean()
            - control[rng.integers(len(control), size=len(control))].mean()
        )
        for _ in range(draws)
    ]
    low, high = np.quantile(gaps, [0.025, 0.975])
    return {
        "target": round(float(treated.mean()), 6), "holdout": round(float(control.mean()), 6),
        "difference": round(float(treated.mean() - control.mean()), 6), "interval": [round(float(low), 6), round(float(high), 6)],
    }  # fmt: skip
