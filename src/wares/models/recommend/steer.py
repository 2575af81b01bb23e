"""What a shop may ask of a list beyond the best: rules on the way from scored candidates to `k` places. numpy only.

The order is greedy. Each place goes to the candidate with the most of: its score (as a share of the span that the list
would have anyway), plus its margin, minus what another product of a category already shown costs (maximal marginal
relevance, Carbonell, Goldstein, SIGIR 1998), minus how far the list so far lies from the shopper's own mix of
categories (calibration: Steck, RecSys 2018, https://doi.org/10.1145/3240323.3240372). Caps are never exceeded; pinned
products come first, in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError

SMOOTH = 0.01
NONE = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Rules:
    """What to ask. `exclude` and `pin` are item rows; `per_brand` the most places of a brand (0: no cap);
    `calibrate` and `diversity` from 0 to 1; `margin` ≥ 0 weighs the margins given beside."""

    exclude: NDArray[np.int32] = field(default_factory=lambda: NONE)
    pin: NDArray[np.int32] = field(default_factory=lambda: NONE)
    per_brand: int = 0
    calibrate: float = 0.0
    margin: float = 0.0
    diversity: float = 0.0

    def check(self) -> Rules:
        """Itself, or QueryError for what is out of range."""
        for name, value, low, high in (
            ("per_brand", self.per_brand, 0, 10_000),
            ("calibrate", self.calibrate, 0, 1),
            ("diversity", self.diversity, 0, 1),
            ("margin", self.margin, 0, 10),
        ):
            if not low <= value <= high:
                raise QueryError(
                    f"{name} must be between {low} and {high}", mend="Give a value in range", parameter=name
                )
        return self


def arrange(
    scores: NDArray[Any],
    k: int,
    rules: Rules,
    *,
    items: NDArray[Any],
    category: NDArray[Any],
    brand: NDArray[Any],
    margin: NDArray[Any] | None = None,
    mix: dict[int, float] | None = None,
) -> NDArray[np.int64]:
    """Positions of the best at most `k` candidates under `rules`, in order of their places.

    All arrays have one entry a candidate; a `category` or `brand` of -1 is none and shares nothing. `mix` is the
    shopper's share of each category. Ties go to the lower position.
    """
    rules.check()
    free = ~np.isin(items, rules.exclude)
    pinned = [
        int(np.flatnonzero((items == p) & free)[0]) for p in rules.pin.tolist() if ((items == p) & free).any()
    ]
    pinned = list(dict.fromkeys(pinned))[:k]
    order = np.lexsort((np.arange(len(scores)), -np.asarray(scores, np.float64)))
    order = order[free[order]]
    pool = np.concatenate([order[: max(6 * k, 120)], pinned]).astype(np.int64) if len(order) else order
    pool = pool[np.sort(np.unique(pool, return_index=True)[1])]
    k = min(k, len(pool))
    if not k:
        return np.zeros(0, np.int64)
    value = np.asarray(scores, np.float64)[pool]
    ranked = np.sort(value)[::-1]
    value = (value - ranked[0]) / max(float(ranked[0] - ranked[min(k, len(ranked)) - 1]), 1e-9)
    if margin is not None and rules.margin > 0:
        money = np.nan_to_num(np.asarray(margin, np.float64)[pool])
        value = value + rules.margin * (money - money.mean()) / max(float(money.std()), 1e-9) * 0.5
    group, maker = np.asarray(category)[pool], np.asarray(brand)[pool]
    wanted = _shares(mix or {}, group)
    shown = np.zeros(len(wanted))
    kind = np.searchsorted(np.unique(group), group)
    chosen: list[int] = []
    left = np.ones(len(pool), bool)
    used: dict[int, int] = {}
    places = {int(p): i for i, p in enumerate(pool.tolist())}
    for place in range(k):
        if place < len(pinned):
            best = places[pinned[place]]
        else:
            if not left.any():
                break
            now = value.copy()
            if rules.calibrate > 0 and mix:
                now = (1 - rules.calibrate) * now - rules.calibrate * 4 * _distance(wanted, shown, place)[
                    kind
                ]
            best = int(np.argmax(np.where(left, now, -np.inf)))
        chosen.append(int(pool[best]))
        left[best] = False
        shown[kind[best]] += 1
        if rules.diversity > 0 and group[best] >= 0:
            value[group == group[best]] -= 0.2 * rules.diversity
        if rules.per_brand and maker[best] >= 0:
            used[int(maker[best])] = used.get(int(maker[best]), 0) + 1
            if used[int(maker[best])] >= rules.per_brand:
                left &= maker != maker[best]
    return np.array(chosen, np.int64)


def _shares(mix: dict[int, float], group: NDArray[Any]) -> NDArray[np.float64]:
    """The wanted share of each distinct category of the pool, those without one among them."""
    shares = np.array([max(mix.get(int(c), 0.0), 0.0) for c in np.unique(group)])
    total = shares.sum()
    return shares / total if total > 0 else np.full(len(shares), 1 / max(len(shares), 1))


def _distance(wanted: NDArray[np.float64], shown: NDArray[np.float64], place: int) -> NDArray[np.float64]:
    """KL(wanted ‖ list with one more of each category), smoothed ``(n_categories,)``."""
    after = (shown[None, :] + np.eye(len(shown))) / (place + 1)
    after = (1 - SMOOTH) * after + SMOOTH * wanted[None, :]
    safe = np.where(wanted > 0, wanted, 1.0)
    return np.where(wanted > 0, wanted * np.log(safe / np.maximum(after, 1e-12)), 0.0).sum(1)


def mix_of(category: NDArray[Any], weight: NDArray[Any]) -> dict[int, float]:
    """A shopper's share of each category, from the categories ``(h,)`` of what was done and its weights."""
    there = category >= 0
    total = float(weight[there].sum())
    if total <= 0:
        return {}
    names, place = np.unique(category[there], return_inverse=True)
    shares = np.bincount(place, weight[there]) / total
    return {int(c): float(s) for c, s in zip(names, shares, strict=True)}
