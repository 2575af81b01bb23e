"""Elasticities as serving needs them, and what demand, revenue and margin would be at another price. numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.errors import NotIdentified, QueryError

KIND = "elasticity"
BASES = ("product", "category")
"""What an elasticity rests on: the product's own weeks, or mostly its category's."""
VERDICTS = (
    "identified", "too few sales", "no price variation", "price follows demand", "too uncertain", "never sold",
)  # fmt: skip
REASONS: dict[str, tuple[str, str]] = {
    "identified": ("identified", "可识别"),
    "too few sales": ("too few weeks or sales to tell", "销售周数或数量太少"),
    "no price variation": (
        "the price hardly moves once season, level and trend are taken out",
        "扣除季节、水平和趋势后价格几乎不变",
    ),
    "price follows demand": (
        "the price moves after demand does, so demand cannot be read off it",
        "价格随需求变动，无法由价格推断需求",
    ),
    "too uncertain": ("the interval is too wide to act upon", "区间太宽，无法据此行动"),
    "never sold": ("it was never sold at a known price", "从未以已知价格售出"),
}
"""Verdicts in words (English, Chinese)."""
DRAWS = 2000
BEYOND = 1.25
"""How far past the prices ever asked a simulation counts as within what was seen."""


@dataclass(frozen=True, slots=True)
class Elasticity:
    """How demand of a product answers to its price: a rise of 1 % changes it by `theta` %. `low` and `high` are the ends of the
    95 % interval; `basis` says whose sales it rests on. `weekly` units sold lately, `price` the last one, `price_low` and
    `price_high` the lowest and highest ever asked. Numbers are NaN where `verdict` is not ``identified``."""

    verdict: str
    basis: str
    theta: float
    error: float
    low: float
    high: float
    weekly: float
    lived: int
    price: float
    price_low: float
    price_high: float
    weeks: int
    units: float

    @property
    def identified(self) -> bool:
        """Whether it may be used."""
        return self.verdict == VERDICTS[0]

    def why(self, language: str = "en") -> str:
        """The verdict in words."""
        return REASONS[self.verdict][language == "zh"]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A week at another price: demand, revenue and, where the cost is known, margin, each as (middle, low, high) of 95 %;
    `seen` whether such a price was ever asked or nearly so."""

    price: float
    demand: tuple[float, float, float]
    revenue: tuple[float, float, float]
    margin: tuple[float, float, float] | None
    seen: bool


@dataclass(frozen=True, slots=True)
class Draws:
    """What uncertain elasticity and uncertain sales make of a product: ``theta (d,)`` and units a week ``base (d,)``."""

    theta: NDArray[np.float64]
    base: NDArray[np.float64]


class Elasticities:
    """The elasticities of a build."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        names = (
            "theta", "error", "low", "high", "verdict", "basis", "weekly", "lived", "price", "price_low", "price_high", "weeks", "units",
            "spread", "category_of", "category_theta", "category_low", "category_high", "category_verdict", "category_units",
        )  # fmt: skip
        self.arrays: dict[str, NDArray[Any]] = {name: load_array(folder, name) for name in names}

    def __len__(self) -> int:
        return len(self.arrays["theta"])

    def of(self, row: int) -> Elasticity:
        """The elasticity of the product of a row, identified or not.

        Raises:
            QueryError: for a row outside the build.
        """
        if not 0 <= row < len(self):
            raise QueryError(
                "there is no such product in this build", mend="Build again", parameter="product"
            )
        a = self.arrays
        verdict = VERDICTS[int(a["verdict"][row])]
        known = verdict == VERDICTS[0]
        numbers = [float(a[name][row]) if known else math.nan for name in ("theta", "error", "low", "high")]
        return Elasticity(
            verdict, BASES[int(a["basis"][row])], *numbers, float(a["weekly"][row]), int(a["lived"][row]), float(a["price"][row]),
            float(a["price_low"][row]), float(a["price_high"][row]), int(a["weeks"][row]), float(a["units"][row]),
        )  # fmt: skip

    def category(self, code: int) -> tuple[str, float, float, float] | None:
        """(verdict, elasticity, ends of its interval) of a category; None for a code that is none."""
        a = self.arrays
        if not 0 <= code < len(a["category_theta"]):
            return None
        verdict = VERDICTS[int(a["category_verdict"][code])]
        numbers = [float(a[name][code]) for name in ("category_theta", "category_low", "category_high")]
        if verdict != VERDICTS[0]:
            numbers = [math.nan] * 3
        return verdict, numbers[0], numbers[1], numbers[2]

    def sensitive(self, k: int = 50, least: float = 0.0) -> NDArray[np.int64]:
        """Rows whose demand surely falls faster than the price rises (the whole interval below -1), most sensitive first,
        of products that sell at least `least` units a week."""
        a = self.arrays
        rows = np.flatnonzero((a["verdict"] == 0) & (a["high"] < -1) & (a["weekly"] >= least))
        return rows[np.lexsort((rows, a["high"][rows]))][:k]


def needed(one: Elasticity, product: str) -> Elasticity:
    """The elasticity, if it may be used.

    Raises:
        NotIdentified: when it is not identified, with the reason.
    """
    if not one.identified or not math.isfinite(one.price) or one.price <= 0:
        raise NotIdentified(
            f"the elasticity of {product[:80]!r} is not identified: {one.why()}",
            mend="Sell it for some weeks at two prices that do not follow demand",
            id=product[:80],
            reason=one.verdict,
        )
    return one


def draws_of(one: Elasticity, seed: int = 7) -> Draws:
    """`DRAWS` of elasticity (normal) and of units a week (gamma, as for a Poisson count of the last weeks)."""
    rng = np.random.default_rng(seed)
    theta = one.theta + rng.standard_normal(DRAWS) * (one.high - one.low) / (2 * 1.959964)
    sold = max(one.weekly * one.lived, 0.0)
    return Draws(theta, rng.gamma(sold + 0.5, 1.0, DRAWS) / max(one.lived, 1))


def simulate(one: Elasticity, draws: Draws, price: float, cost: float | None = None) -> Simulated:
    """A week at `price`: demand = units a week · (price / price of now) ^ elasticity (constant elasticity).

    Raises:
        QueryError: for a price or cost that is none.
    """
    check_money(price, "price")
    if cost is not None:
        check_money(cost, "cost", zero=True)
    with np.errstate(over="ignore"):
        demand = draws.base * np.exp(np.clip(draws.theta * math.log(price / one.price), -30, 30))
    seen = one.price_low / BEYOND <= price <= one.price_high * BEYOND
    margin = None if cost is None else _middle((price - cost) * demand)
    return Simulated(price, _middle(demand), _middle(price * demand), margin, bool(seen))


def check_money(value: float, name: str, *, zero: bool = False) -> None:
    """Refuse what is no amount of money.

    Raises:
        QueryError: for NaN, infinity, and amounts below zero, or zero unless `zero`.
    """
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero) or value > 1e9:
        raise QueryError(
            f"{name} must be an amount above zero", mend=f"Write a {name} such as 9.90", parameter=name
        )


def _middle(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.025, 0.5, 0.975))
    return float(middle), float(low), float(high)
