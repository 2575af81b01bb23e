"""Variety on the first page where a query means several kinds of product, and a floor for the long tail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PAGE = 20
DEEP = 60
AMBIGUOUS = 0.5
"""Entropy of the categories, over that of as many even ones, from which a query counts as ambiguous."""


def _shares(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores as shares of sum one; the best counts e times one a standard deviation below."""
    spread = float(scores.std())
    if spread <= 0:
        return np.full(len(scores), 1 / max(len(scores), 1))
    value = np.exp((scores - scores.max()).astype(np.float64) / spread)
    return value / value.sum()


def meanings(scores: NDArray[np.float32], category: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:  # fmt: skip
    """(the category of each product as a number, the share of each in what the query seems to mean, how ambiguous that is 0..1)."""
    _, kind = np.unique(category, return_inverse=True)
    kind = kind.reshape(-1)
    share = np.bincount(kind, _shares(scores))
    if len(share) < 2:
        return kind, share, 0.0
    known = share[share > 0]
    return kind, share, float(-(known * np.log(known)).sum() / np.log(len(share)))


def various(
    order: NDArray[np.int64], scores: NDArray[np.float32], category: NDArray[np.int32], weight: float
) -> NDArray[np.int64]:
    """The order with its first page spread over what the query seems to mean: xQuAD (Santos, Macdonald, Ounis, WWW 2010).

    Categories of the first `DEEP` products are the meanings, with their share of the scores. Each next product is that with the most
    of (1 − weight) · its own share + weight · the share of its category that is still unmet. Queries that mean one thing (entropy
    below `AMBIGUOUS`) stay as they are. `order (n,)` positions best first, `scores (n,)`, `category (n,)`; `weight` 0..1.
    """
    head = order[:DEEP]
    if len(head) < 3 or weight <= 0:
        return order
    kind, share, ambiguous = meanings(scores[head], category[head])
    if ambiguous < AMBIGUOUS:
        return order
    own = _shares(scores[head])
    own = own / own.max()
    # A product meets the need of its category as far as it is good beside the best of it.
    best = np.zeros(len(share))
    np.maximum.at(best, kind, own)
    meets = own / np.maximum(best[kind], 1e-12)
    share = share / share.max()
    unmet, left = np.ones(len(share)), np.ones(len(head), bool)
    chosen: list[int] = []
    for _ in range(min(PAGE, len(head))):
        gain = (1 - weight) * own + weight * share[kind] * unmet[kind] * meets
        gain[~left] = -1
        at = int(np.argmax(gain))
        chosen.append(at)
        left[at] = False
        unmet[kind[at]] *= 1 - 0.8 * meets[at]
    rest = np.flatnonzero(left)
    return np.concatenate([head[chosen], head[rest], order[DEEP:]])


def tail_floor(
    order: NDArray[np.int64], tail: NDArray[np.bool_], share: float, page: int = PAGE
) -> NDArray[np.int64]:
    """The order with at least `share` of the first page from the long tail, where so many are found.

    The best of the tail beyond the page come in for the last of the others on it, at the page's end. `tail (n,)` says which candidates are of the
    long tail.
    """
    head, rest = order[:page], order[page:]
    wanted = int(np.ceil(share * len(head))) - int(tail[head].sum())
    if wanted <= 0:
        return order
    come = rest[tail[rest]][:wanted]
    if not len(come):
        return order
    give = head[~tail[head]][-len(come) :]
    come = come[: len(give)]
    kept = head[~np.isin(head, give)]
    left = rest[~np.isin(rest, come)]
    return np.concatenate([kept, come, give, left])
