"""Seeded synthetic prices whose truths are known: categories with a level, packs with a unit price, a past with sales."""

from __future__ import annotations

import numpy as np

from wares.models.price.observations import DAY, Goods, Prices, read_prices


def make_prices(
    seed: int = 7, products: int = 1200, categories: int = 24, entries: int = 6
) -> tuple[Prices, Goods]:
    """Prices ending in 9 cents, of categories whose levels lie far apart; each text is shared by about five products.

    A third of the products come in packs of two to twelve; `entries` prices each on average, one of four a sale.
    """
    rng = np.random.default_rng(seed)
    category = rng.integers(categories, size=products)
    texts = products // 5
    text_of = (category * (texts // categories) + rng.integers(texts // categories, size=products)).astype(
        np.int32
    )
    level = rng.normal(1.5, 1.0, categories)[category] + rng.normal(0, 0.2, texts)[text_of]
    count = np.where(rng.random(products) < 0.33, rng.choice([2, 4, 6, 12], products), 1).astype(float)
    base = np.exp(level + 0.8 * np.log(count) + rng.normal(0, 0.1, products))
    many = np.maximum(rng.poisson(entries - 1, products) + 1, 1)
    item = np.repeat(np.arange(products), many)
    at = np.concatenate([np.sort(rng.integers(0, 300, n)) for n in many]) * DAY
    sale = np.where(rng.random(len(item)) < 0.25, 0.8, 1.0)
    value = np.maximum(np.floor(base[item] * sale * 10) / 10 + 0.09, 0.09)
    near = np.stack([(np.arange(texts) + step) % texts for step in range(1, 9)], 1).astype(np.int32)
    near = np.where(
        near // (texts // categories) == (np.arange(texts) // (texts // categories))[:, None], near, -1
    )
    goods = Goods(
        category.astype(np.int32), (category % 5).astype(np.int32), np.zeros(products, np.int32), count, count, text_of, near.astype(np.int32),
        np.where(near >= 0, 0.8, 0).astype(np.float32), ("piece",),
    )  # fmt: skip
    return read_prices(item, at, np.round(value, 2), products), goods
