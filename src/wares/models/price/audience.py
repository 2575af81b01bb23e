"""Who is likely to want a product: from buyers of it and of products like it, by how lately and how much.

Each shopper is described by a few sums over what they bought, each purchase weighted by how like the product it is; how much each
sum tells is learned on the shop's own last weeks, over many products, by logistic regression. What likeness is comes
from outside, as arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.features.interactions import Interactions

FEATURES = (
    "bought it before", "bought its kind", "bought what is like it", "bought what its buyers buy", "had what its buyers have",
    "buys much", "was here lately",
)  # fmt: skip
TELLING = 5
"""The first features speak of the product, the others of the shopper."""
TEACHERS = 120
"""Products that teach the weights."""
RIDGE = 1.0
DURABLE = 0.1
"""Where fewer of its buyers bought a product again, those who have it are not asked once more."""
FEWEST_BUYERS = 5
FEWEST_TAKERS = 30
"""Purchases by newcomers (and by owners) below which the weights are the usual ones."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be sold: `items` rows; `like (n_items,)` and `goes (n_items,)` in 0..1, how like each product is by text and
    by behaviour, zero for `items` themselves; `category (n_items,)` whether it is of their categories."""

    items: NDArray[np.int64]
    like: NDArray[np.float32]
    goes: NDArray[np.float32]
    category: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Likeness of products, injected: ids and values ``(n_items, k)`` by text and by behaviour, −1 where there is none."""

    text_ids: NDArray[Any]
    text_values: NDArray[Any]
    behaviour_ids: NDArray[Any]
    behaviour_values: NDArray[Any]
    category_of: NDArray[Any]

    def target(self, items: NDArray[Any]) -> Target:
        """A target of one or more products.

        Raises:
            QueryError: when there is none.
        """
        items = np.unique(np.asarray(items, np.int64))
        if not len(items):
            raise QueryError(
                "no product is named", mend="Give --product, --category or --coupon", parameter="product"
            )
        n = len(self.category_of)
        kinds = np.unique(self.category_of[items])
        category = np.isin(self.category_of, kinds[kinds >= 0])
        category[items] = False
        return Target(
            items, _spread(n, items, self.text_ids, self.text_values), _spread(n, items, self.behaviour_ids, self.behaviour_values), category
        )  # fmt: skip


def _spread(n: int, items: NDArray[np.int64], ids: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float32]:
    out = np.zeros(n, np.float32)
    some, weight = np.asarray(ids[items]).ravel(), np.asarray(values[items], np.float32).ravel()
    kept = (some >= 0) & np.isfinite(weight) & (weight > 0)
    np.maximum.at(out, some[kept], weight[kept])
    out[items] = 0
    return out


class Shoppers:
    """The shoppers of a history, described for any target."""

    def __init__(self, data: Interactions, half_life: float = 60.0) -> None:
        self.data = data
        self.rows = data.rows()
        decay = int(np.argmin([abs(np.log(d / half_life)) for d in data.decays])) if data.decays else -1
        # Without forgetting, how often; at most ten a product, so that one who buys by the dozen is not all.
        self.weight = np.minimum(data.decayed[:, decay] if decay >= 0 else data.counts, 10).astype(np.float64)
        self.activity = self._sum(self.weight)
        last = np.zeros(data.n_users, np.int64)
        np.maximum.at(last, self.rows, data.last)
        self.quiet_days = np.maximum(data.as_of - last, 0) / DAY

    def _sum(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.rows, cells, minlength=self.data.n_users)

    def owners(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who had any of some products ``(n_users,)``."""
        mark = np.zeros(self.data.n_items, bool)
        mark[items] = True
        return np.bincount(self.rows, mark[self.data.items], minlength=self.data.n_users) > 0

    def rebought(self, items: NDArray[np.int64]) -> float:
        """Share of the buyers of some products who took one up more than once."""
        mark = np.zeros(self.data.n_items, bool)
        mark[items] = True
        mine = mark[self.data.items]
        times = np.bincount(self.rows[mine], self.data.times[mine], minlength=self.data.n_users)
        return float((times >= 2).sum() / max(int((times >= 1).sum()), 1))

    def describe(self, target: Target) -> NDArray[np.float64]:
        """``(n_users, len(FEATURES))``, each on a scale of logarithms."""
        own = np.zeros(self.data.n_items)
        own[target.items] = 1
        sums = [
            self._sum(self.weight * weight[self.data.items])
            for weight in (own, target.category.astype(float), target.like, target.goes)
        ]
        # The same without forgetting: a newcomer to a product is told by all that was ever bought.
        sums.append(self._sum(np.asarray(target.goes, np.float64)[self.data.items]))
        columns = [np.log1p(4 * part) for part in sums]
        columns += [np.log1p(self.activity), -np.log1p(self.quiet_days)]
        return np.stack(columns, 1)


@dataclass(frozen=True, slots=True)
class Weights:
    """What each feature tells of those who had the thing and of those who never had it: ``coefficients (2, len(FEATURES) + 1)``,
    intercept first, on features less ``centre`` by ``scale`` ``(2, len(FEATURES))``; row 0 for newcomers, 1 for owners."""

    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    taught_by: int

    def parts(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each feature adds to the logarithm of the odds ``(n, len(FEATURES))``."""
        had = (features[:, 0] > 0).astype(int)
        return (features - self.centre[had]) / self.scale[had] * self.coefficients[had, 1:]

    def score(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of a purchase in a window as long as the taught one, averaged over the teaching products."""
        had = (features[:, 0] > 0).astype(int)
        margin = self.parts(features).sum(1) + self.coefficients[had, 0]
        return 1 / (1 + np.exp(-np.clip(margin, -30, 30)))

    def to_json(self) -> dict[str, dict[str, float]]:
        """The coefficients by name, of newcomers and of owners."""
        return {
            group: {
                name: round(float(w), 4) for name, w in zip(FEATURES, self.coefficients[row, 1:], strict=True)
            }
            for row, group in enumerate(("newcomers", "owners"))
        }


DEFAULT = Weights(
    np.array([[-5.0, 0.0, 0.6, 0.4, 0.6, 0.2, 0.2, 0.4], [-3.0, 1.0, 0.4, 0.2, 0.2, 0.0, 0.0, 0.4]]),
    np.zeros((2, 7)),
    np.ones((2, 7)),
    0,
)
"""Where a shop has too little past to learn from."""


def learn(
    before: Interactions,
    bought: list[NDArray[np.int32]],
    neighbours: Neighbours,
    seed: int,
    teachers: int = TEACHERS,
) -> Weights:
    """Weights from a window of the past: `before` it, and what each shopper of it `bought` in it.

    Products that teach are drawn among those that at least `FEWEST_BUYERS` shoppers bought in the window, the better sold the
    likelier, half of them alone and half with their category's best-sellers, as coupons are.
    """
    shoppers = Shoppers(before)
    users = np.repeat(np.arange(len(bought)), [len(b) for b in bought])
    items = np.concatenate(bought) if len(bought) and len(users) else np.zeros(0, np.int32)
    known = users < before.n_users
    users, items = users[known], items[known]
    sold = np.bincount(items, minlength=before.n_items)
    pool = np.flatnonzero(sold >= FEWEST_BUYERS)
    if len(pool) < 5:
        return DEFAULT
    rng = np.random.default_rng(seed)
    share = np.sqrt(sold[pool])
    drawn = rng.choice(pool, min(teachers, len(pool)), replace=False, p=share / share.sum())
    tables, labels = [], []
    for number, item in enumerate(drawn.tolist()):
        chosen = np.array([item])
        if number % 2 and neighbours.category_of[item] >= 0:
            same = pool[neighbours.category_of[pool] == neighbours.category_of[item]]
            chosen = same[np.argsort(-sold[same], kind="stable")][:20]
        mark = np.zeros(before.n_items, bool)
        mark[chosen] = True
        label = np.bincount(users[mark[items]], minlength=before.n_users) > 0
        tables.append(shoppers.describe(neighbours.target(chosen)))
        labels.append(label)
    features, label = np.concatenate(tables), np.concatenate(labels).astype(np.float64)
    had = features[:, 0] > 0
    coefficients, centre, scale = (
        DEFAULT.coefficients.copy(),
        np.zeros((2, len(FEATURES))),
        np.ones((2, len(FEATURES))),
    )
    for group in (0, 1):
        rows = had == bool(group)
        if label[rows].sum() >= FEWEST_TAKERS:
            some = features[rows]
            # What was the same for all who taught tells nothing, and must not tell much later.
            spread = some.std(0)
            centre[group], scale[group] = some.mean(0), np.where(spread > 1e-3, spread, 1e3)
            coefficients[group] = _logistic((some - centre[group]) / scale[group], label[rows])
    return Weights(coefficients, centre, scale, len(drawn))


def _logistic(features: NDArray[np.float64], label: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ridge logistic regression by Newton's method: intercept first."""
    table = np.concatenate([np.ones((len(features), 1)), features], 1)
    weights = np.zeros(table.shape[1])
    share = float(np.clip(label.mean(), 1e-6, 1 - 1e-6))
    weights[0] = np.log(share / (1 - share))
    ridge = np.diag([0.0, *([RIDGE] * features.shape[1])])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(table @ weights, -30, 30)))
        slope = table.T @ (label - p) - ridge @ weights
        curve = (table * (p * (1 - p))[:, None]).T @ table + ridge + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def reasons(features: NDArray[np.float64], weights: Weights) -> list[str]:
    """For each row of features, what tells most for it; empty where nothing does."""
    lead = np.where(features > 0, weights.parts(features), -np.inf)[:, :TELLING]
    best = lead.argmax(1)
    return [FEATURES[int(i)] if lead[row, int(i)] > 0 else "" for row, i in enumerate(best)]
