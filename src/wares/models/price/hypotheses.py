"""What may have gone wrong with a price: each error multiplies the right price by a factor that it is known by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATES = {
    "USD": 1.0, "EUR": 0.92, "GBP": 0.78, "CHF": 0.88, "CAD": 1.37, "AUD": 1.52, "PLN": 3.98, "SEK": 10.6, "CNY": 7.2, "HKD": 7.8,
    "MXN": 18.3, "INR": 83.7, "JPY": 151.0, "KRW": 1364.0,
}  # fmt: skip
"""Rough units of each currency for one US dollar (means of 2024): a mix-up is told from its size, not to the cent."""


def exchange(currency: str, dated: Mapping[str, float] | None = None) -> dict[str, float]:
    """Units of each other currency for one of `currency`: the `dated` rates of the shop, for the rest the rough ones.

    Empty where neither knows the currency.
    """
    own = RATES.get(currency)
    rough = {code: rate / own for code, rate in RATES.items()} if own else {}
    known = {code: float(rate) for code, rate in sorted((dated or {}).items())}
    return {code: rate for code, rate in (rough | known).items() if code != currency}


PACKS = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 24.0, 48.0)
"""Sizes of packs that are tried where none is known."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """`kind` for machines; `factor` by which the written price is too high; `prior` its share of errors; `slack` the
    standard deviation of the logarithm of the factor."""

    kind: str
    factor: float
    prior: float
    slack: float = 0.01
    detail: str = ""


def hypotheses(
    currency: str, pieces: float = float("nan"), rates: Mapping[str, float] | None = None
) -> list[Hypothesis]:
    """All that is tried for a product sold in `currency`, in packs of `pieces` where that is known.

    `rates` are the shop's own, as in `exchange`.
    """
    found = [
        Hypothesis("x10", 10.0, 0.2),
        Hypothesis("/10", 0.1, 0.08),
        Hypothesis("x100", 100.0, 0.1),
        Hypothesis("/100", 0.01, 0.2),
        Hypothesis("x1000", 1000.0, 0.01),
        Hypothesis("/1000", 0.001, 0.01),
    ]
    others = exchange(currency, rates)
    for code, rate in others.items():
        found.append(Hypothesis("currency", rate, 0.2 / len(others), 0.04, code))
        found.append(Hypothesis("currency", 1 / rate, 0.03 / len(others), 0.04, code))
    known = np.isfinite(pieces) and pieces > 1
    sizes = {float(pieces): 0.8} if known else {}
    for size in PACKS:
        sizes[size] = sizes.get(size, 0.0) + (0.2 if known else 1.0) / len(PACKS)
    for size, share in sizes.items():
        found.append(Hypothesis("pack", size, 0.1 * share, 0.02, f"{size:g}"))
        found.append(Hypothesis("pack", 1 / size, 0.1 * share, 0.02, f"1/{size:g}"))
    return found


OUTLIER_PRIOR = 0.1
OUTLIER_WIDTH = 8.0
"""A true outlier may lie anywhere within so many units of the logarithm: e⁸ is three thousand times."""


EXACT = 0.015
"""Slack below which a factor keeps all digits: ten is ten, an exchange rate of last year is not."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How often the shop asks each price: sorted prices in cents and how often each is met."""

    cents: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, value: NDArray[np.float64]) -> Habit:
        """Learned from all prices ``(m,)``."""
        cents, counts = np.unique(np.rint(value * 100).astype(np.int64), return_counts=True)
        return cls(cents, counts)

    def surprise(self, price: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of how much more often the shop asks this price than others within 5 % of it, per cent of money."""
        cents = np.rint(price * 100).astype(np.int64)
        at = np.minimum(np.searchsorted(self.cents, cents), len(self.cents) - 1)
        here = np.where(self.cents[at] == cents, self.counts[at], 0)
        total = np.concatenate([[0], np.cumsum(self.counts)])
        low, high = np.floor(cents * 0.95), np.ceil(cents * 1.05)
        around = total[np.searchsorted(self.cents, high, "right")] - total[np.searchsorted(self.cents, low)]
        usual = around / np.maximum(high - low + 1, 1)
        return np.log((here + 0.3) / (usual + 0.3)).clip(-2.5, 3.5)


def explain(
    x: float, middle: float, spread: float, options: list[Hypothesis], habit: Habit, own: NDArray[np.float64]
) -> list[tuple[Hypothesis | None, float, float]]:
    """The explanations of a price of logarithm `x` where `middle` ± `spread` was expected, best first: each hypothesis
    (None: a true outlier, whose price may be right), its share of the probability, the price that would then be right.

    Each factor f leaves log(price / f), which should be near what is expected: Student's t with four degrees of freedom, so
    that a far price is not impossible. What counts besides: a price that the product had before (`own`, logarithms), and one
    that the shop is in the habit of asking (2.99 rather than 3.13).
    """
    factors = np.array([h.factor for h in options])
    slack = np.array([h.slack for h in options])
    logs = x - np.log(factors)
    # A wrong price that is too low was written in whole cents, so the right one is known to half a cent times the factor.
    lost = np.where(factors < 1, 0.0029 / np.exp(x), 0.0)
    scale = np.sqrt(spread**2 + slack**2 + lost**2)
    density = (
        np.log([h.prior for h in options])
        - np.log(scale)
        - 2.5 * np.log1p(((logs - middle) / scale) ** 2 / 4)
    )
    right = np.exp(logs)
    known = own[np.isfinite(own)]
    match = np.zeros(len(factors), bool)
    if len(known):
        gap = np.abs(logs[:, None] - known)
        match = gap.min(1) < np.maximum(slack, 1.7 * lost) + 0.003
        snapped = np.exp(known[gap.argmin(1)])
        right = np.where(match, snapped, right)
    exact = (slack < EXACT) & (lost < EXACT)
    whole = np.abs(right * 100 - np.rint(right * 100)) < 0.02
    density += np.where(exact & ~match, np.where(whole, habit.surprise(right), -2.5), 0.0)
    # The closer a factor must fit, the less likely a match is by chance.
    density += np.where(match, 1.5 - np.log(np.maximum(slack + lost, 0.01) / 0.01), 0.0)
    merged: dict[str, tuple[float, int]] = {}
    for place, option in enumerate(options):
        total, best = merged.get(option.kind, (-np.inf, place))
        merged[option.kind] = (
            float(np.logaddexp(total, density[place])),
            place if density[place] > density[best] else best,
        )
    beyond = float(np.log(OUTLIER_PRIOR / OUTLIER_WIDTH))
    everything = float(np.logaddexp.reduce([beyond, *(total for total, _ in merged.values())]))
    found: list[tuple[Hypothesis | None, float, float]] = [
        (None, float(np.exp(beyond - everything)), float(np.exp(middle)))
    ]
    for total, place in merged.values():
        price = float(right[place])
        if not match[place] and lost[place] > EXACT:
            # Within what rounding lost, what is expected tells more than the cents do.
            reach = 1.7 * lost[place]
            price = float(np.exp(np.clip(middle, logs[place] - reach, logs[place] + reach)))
        found.append((options[place], float(np.exp(total - everything)), price))
    return sorted(found, key=lambda one: -one[1])
