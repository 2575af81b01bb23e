"""Seeded synthetic weeks of sales whose elasticities are known: seasons, trends and promotions that demand would hide in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wares.models.price.elasticity_panel import Panel, panel_of


@dataclass(frozen=True)
class Demand:
    """The panel, categories ``(n_items,)``, the true elasticity of each product ``(n_items,)`` and of each category ``(c,)``."""

    panel: Panel
    category_of: NDArray[np.int32]
    theta: NDArray[np.float64]
    category_theta: NDArray[np.float64]


def make_demand(
    seed: int = 7, products: int = 60, categories: int = 5, weeks: int = 104, spread: float = 0.3, *, follows: bool = False, flat: bool = False,
    rate: float = 12.0,
) -> Demand:  # fmt: skip
    """Weekly sales, overdispersed counts, of products with one elasticity each around their category's.

    Prices rise in the season in which demand is high, and with costs that drift as the trend does, so that sales set
    against prices alone mislead; promotions come at random. `follows`: the price is moved by last week's surprise in demand;
    `flat`: no promotion, no drift; `rate` is the usual number of units a week.
    """
    rng = np.random.default_rng(seed)
    category = (np.arange(products) % categories).astype(np.int32)
    category_theta = rng.uniform(-3.0, -0.7, categories)
    theta = category_theta[category] + rng.normal(0, spread, products)
    t = np.arange(weeks)
    phase = rng.uniform(0, 2 * np.pi, categories)
    season = 0.4 * np.sin(2 * np.pi * t[None, :] / 52.18 + phase[:, None])[category]
    trend = rng.normal(0, 0.3, categories)[category][:, None] * (t / weeks)[None, :]
    own = rng.normal(0, 0.15, (products, weeks))
    shock = np.zeros((products, weeks))
    for week in range(1, weeks):
        shock[:, week] = 0.6 * shock[:, week - 1] + rng.normal(0, 0.25, products)
    level = rng.normal(2.0, 0.7, products)
    price = np.repeat(level[:, None], weeks, 1)
    if not flat:
        price = price + 0.25 * season + 0.4 * trend
        start = rng.random((products, weeks)) < 0.06
        depth = np.zeros((products, weeks))
        for week in range(weeks):
            began = start[:, week]
            depth[began, week : week + 2] = np.log(1 - rng.choice([0.1, 0.2, 0.3], int(began.sum())))[:, None]
        price = (
            price
            + depth
            + np.where(rng.random((products, weeks)) < 0.15, rng.normal(0, 0.03, (products, weeks)), 0)
        )
    if follows:
        price[:, 1:] += 0.35 * shock[:, :-1]
        own = own + shock
    base = rng.normal(np.log(rate), 0.6, products)
    mean = np.exp(base[:, None] + season + trend + own + theta[:, None] * (price - level[:, None]))
    units = rng.poisson(np.minimum(mean, 1e6))
    asked = np.round(np.exp(price), 2)
    item = np.repeat(np.arange(products), weeks)
    return Demand(
        panel_of(item, np.tile(t + 2800, products), units.ravel(), asked.ravel(), products),
        category,
        theta,
        category_theta,
    )
