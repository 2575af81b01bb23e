"""What to ask for a product: the best price within guard rails, and what shoppers say of prices at each price level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.models.price.elasticity import (
    Draws,
    Elasticity,
    Simulated,
    check_money,
    draws_of,
    needed,
    simulate,
)

LEVELS = 5
PULL = 10.0
"""Opinions of the shop's mean that stand beside a level's own."""
SURE = 0.8
"""How probable a gain must be before another price is proposed."""
BAD = -0.1
"""Mood on the price below which it is not raised."""
ENDINGS = {"none": (), "nines": (0.99,), "fives": (0.95, 0.99), "tens": (0.9,), "whole": (0.0,)}
"""Ends of a price after the point; ``none`` takes any."""


@dataclass(frozen=True, slots=True)
class Rails:
    """What a recommendation may do: change the price by at most the share `step`, never ask less than cost · (1 + `margin`), end
    as `ending` says, and not raise where shoppers find the price bad.

    Raises:
        QueryError: for a rail that is no rail.
    """

    step: float = 0.1
    margin: float = 0.0
    ending: str = "none"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.step) and 0 < self.step <= 0.5):
            raise QueryError(
                "step must be above 0 and at most 0.5", mend="Write 0.1 for 10 %", parameter="step"
            )
        if not (math.isfinite(self.margin) and 0 <= self.margin <= 10):
            raise QueryError("margin must be from 0 to 10", mend="Write 0.2 for 20 % on the cost", parameter="margin")  # fmt: skip
        if self.ending not in ENDINGS:
            raise QueryError(f"unknown ending {self.ending[:40]!r}", mend=f"Known: {', '.join(ENDINGS)}", parameter="ending")  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceMood:
    """What shoppers say of a product's price: mood from -1 to 1, shrunk, with the ends of its 95 % interval, of so many opinions."""

    mood: float
    low: float
    high: float
    opinions: float

    @property
    def bad(self) -> bool:
        """Whether it is surely bad."""
        return self.opinions > 0 and self.mood < BAD and self.high < 0


@dataclass(frozen=True, slots=True)
class Advice:
    """The price proposed: `price` (that of now where nothing better is sure), what it would bring, what now brings, how probable
    the gain is, the goal (``margin`` or ``revenue``) and the rails that held it back."""

    price: float
    goal: str
    now: Simulated
    then: Simulated
    gain: float
    probability: float
    held: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether another price is proposed."""
        return abs(self.price - self.now.price) > 1e-9


def advise(
    one: Elasticity,
    product: str,
    rails: Rails,
    cost: float | None = None,
    mood: PriceMood | None = None,
    seed: int = 7,
) -> Advice:
    """The price within the rails that brings the most margin, or revenue where no cost is known.

    Of prices on a grid within the step, with the wanted endings, the one with the greatest expected gain is taken; it is
    proposed only where the gain is at least `SURE` probable. Constant elasticity is trusted no further than the prices that
    were asked, give or take a quarter.

    Raises:
        NotIdentified: where the elasticity is not, with the reason.
        QueryError: for a cost that is no amount.
    """
    needed(one, product)
    if cost is not None:
        check_money(cost, "cost", zero=True)
    draws, held = draws_of(one, seed), list[str]()
    low, high = one.price * (1 - rails.step), one.price * (1 + rails.step)
    if cost is not None:
        floor = cost * (1 + rails.margin)
        if floor > low:
            held.append("floor")
        low = max(low, floor)
    if mood is not None and mood.bad:
        held.append("mood")
        high = min(high, max(one.price, low))
    options = candidates(low, high, rails.ending)
    if not len(options):
        held.append("ending")
    now = simulate(one, draws, one.price, cost)
    brought = _brought(one, draws, np.array([one.price]), cost)[0]
    found = [o for o in options.tolist() if simulate(one, draws, o, cost).seen]
    if len(found) < len(options):
        held.append("seen")
    best, gain, chance = one.price, 0.0, 0.0
    if found:
        gains = _brought(one, draws, np.array(found), cost) - brought
        means = gains.mean(1)
        top = int(means.argmax())
        if means[top] > 0 and float((gains[top] > 0).mean()) >= SURE:
            best, gain, chance = found[top], float(means[top]), float((gains[top] > 0).mean())
            if abs(best - one.price) > 0.97 * rails.step * one.price:
                held.append("step")
        elif means[top] > 0:
            held.append("unsure")
    return Advice(
        best, "revenue" if cost is None else "margin", now, simulate(one, draws, best, cost), gain, chance, tuple(held)
    )  # fmt: skip


def candidates(low: float, high: float, ending: str, most: int = 81) -> NDArray[np.float64]:
    """Prices to the cent from `low` to `high` with the wanted ending, ascending; none where none lies between."""
    if high < low or high <= 0:
        return np.zeros(0)
    if not ENDINGS[ending]:
        grid = np.unique(np.round(np.linspace(low, high, most), 2))
    else:
        whole = np.arange(math.floor(low), math.floor(high) + 1)
        if len(whole) > most:
            whole = np.unique(np.round(np.linspace(whole[0], whole[-1], most)))
        grid = np.unique(np.round(np.concatenate([whole + end for end in ENDINGS[ending]]), 2))
    return grid[(grid >= low - 1e-9) & (grid <= high + 1e-9) & (grid > 0)]


def _brought(
    one: Elasticity, draws: Draws, prices: NDArray[np.float64], cost: float | None
) -> NDArray[np.float64]:
    """Margin or revenue of a week at prices ``(p,)`` under each draw ``(p, d)``."""
    demand = draws.base * np.exp(np.clip(draws.theta * np.log(prices / one.price)[:, None], -30, 30))
    return (prices[:, None] - (cost or 0.0)) * demand


@dataclass(frozen=True, slots=True)
class Level:
    """Products of a price level against their category: the level from 0 (cheapest) to `LEVELS` - 1, products, opinions on the
    price, mood shrunk to the shop's with its 95 % interval."""

    level: int
    products: int
    opinions: int
    mood: float
    low: float
    high: float


def levels_of(price: NDArray[Any], category_of: NDArray[Any]) -> NDArray[np.int8]:
    """The price level ``(n,)`` of each product within its category, by rank; -1 without a price or in a category of fewer
    than `LEVELS` priced products."""
    price, category_of = np.asarray(price, np.float64), np.asarray(category_of)
    out = np.full(len(price), -1, np.int8)
    rows = np.flatnonzero(np.isfinite(price) & (price > 0) & (category_of >= 0))
    order = rows[np.lexsort((rows, price[rows], category_of[rows]))]
    if not len(order):
        return out
    code = category_of[order]
    start = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    size = np.diff(np.append(start, len(order)))
    place, of = np.arange(len(order)) - np.repeat(start, size), np.repeat(size, size)
    enough = of >= LEVELS
    out[order[enough]] = (place[enough] * LEVELS // of[enough]).astype(np.int8)
    return out


def mood_by_level(level: NDArray[Any], product: NDArray[Any], polarity: NDArray[Any]) -> list[Level]:
    """What is said of the price at each price level, from opinions on it: ``product (o,)``, ``polarity (o,)`` in -1..1."""
    product, polarity = np.asarray(product), np.asarray(polarity, np.float64)
    kept = product >= 0
    product, polarity = product[kept], polarity[kept]
    of = np.asarray(level)[product] if len(product) else np.zeros(0, np.int8)
    polarity, of = polarity[of >= 0], of[of >= 0]
    whole = float(polarity.mean()) if len(polarity) else 0.0
    spread = float(polarity.std()) if len(polarity) > 1 else 1.0
    out: list[Level] = []
    for one in range(LEVELS):
        mine = polarity[of == one]
        mood, low, high = shrunk(float(mine.sum()), len(mine), whole, spread)
        out.append(Level(one, int((np.asarray(level) == one).sum()), len(mine), mood, low, high))
    return out


def shrunk(total: float, count: float, whole: float, spread: float) -> tuple[float, float, float]:
    """(mood, ends of its 95 % interval) of opinions with this sum, pulled by `PULL` opinions to the mean of the whole."""
    mood = (total + PULL * whole) / (count + PULL)
    half = 1.96 * max(spread, 0.1) / math.sqrt(count + PULL)
    return mood, max(mood - half, -1.0), min(mood + half, 1.0)


def price_mood(total: float, count: float, whole: float, spread: float) -> PriceMood:
    """What is said of one product's price; see `shrunk`."""
    return PriceMood(*shrunk(total, count, whole, spread), count)
