"""What goes with what, learned from baskets: bought together, taken instead of, accessories to.

*Together*: how many times more often than by chance two products lie in one basket, shrunk towards chance, so that a
pair met three times does not beat one met three hundred times (the gamma-Poisson shrinker of DuMouchel, The American
Statistician 1999, with a prior of `PRIOR` baskets). The score is the logarithm of that, times the root of the share of
the product's baskets that have the other: what is popular with everything has no lift, and what is rare has no share.

*Substitutes* and *accessories* are told apart by `wares.graph.behaviour.add_roles` where people look at products
before they buy. A shop that only knows purchases tells substitutes by shoppers who have both, in one category, in
fewer common baskets than if they filled each basket for itself (`_either`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.interactions import Interactions
from wares.features.interactions_build import EventLog
from wares.graph.behaviour import Pairs, add_roles
from wares.graph.columns import category_steps
from wares.graph.triples import Triples
from wares.models.recommend.together_infer import KIND, RELATIONS

PRIOR = 2.0
LEAST_LIFT = 1.5
ACCESSORY_PRIOR = 8.0
ACCESSORY_LIFT = 2.0
SURE = 1.5
FEWEST = 3
KEPT = 30
MOST_OF_A_CATEGORY = 3000
PRICE_SPREAD = 0.7

Edges = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Shop:
    """What the relations need beside baskets: categories and prices ``(n_items,)`` by row (prices ≤ 0: none), pairs of
    shopper and product, and how many baskets each shopper filled ``(n_users,)``."""

    categories: Sequence[str]
    prices: NDArray[np.int64]
    interactions: Interactions
    baskets: NDArray[np.int64]

    @property
    def leaf(self) -> NDArray[np.int32]:
        """The last step of each product's category as a number, -1 for none ``(n_items,)``."""
        names = [steps[-1] if (steps := category_steps(name)) else "" for name in self.categories]
        index: dict[str, int] = {}
        return np.array([index.setdefault(n, len(index)) if n else -1 for n in names], np.int32)


def baskets_of(log: EventLog | None, users: StringTable) -> NDArray[np.int64]:
    """How many baskets, days with a purchase, each shopper filled ``(n_users,)``."""
    out = np.zeros(len(users), np.int64)
    if log is None:
        return out
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        days = log.baskets(engine, (c.PURCHASE,)).select("user", "day").distinct()
        table = engine.arrow(days.group_by("user").aggregate(n=days["day"].count()).order_by("user"))
    for name, n in zip(table["user"].to_pylist(), table["n"].to_pylist(), strict=True):
        if (row := users.find(name)) >= 0:
            out[row] = n
    return out


def shrunk_lift(pairs: Pairs, prior: float = PRIOR) -> NDArray[np.float64]:
    """Joint baskets over those expected by chance, shrunk towards 1 ``(n_pairs,)``."""
    a, b = pairs.alone[pairs.a].astype(np.float64), pairs.alone[pairs.b].astype(np.float64)
    return (pairs.together + prior) / (a * b / max(pairs.baskets, 1) + prior)


def fit(bought: Pairs, viewed: Pairs | None, shop: Shop, folder: Path) -> dict[str, Any]:
    """Write the artefact: for each relation the neighbours of each product, best first."""
    n, leaf = len(shop.categories), shop.leaf
    lift = shrunk_lift(bought)
    roles = Triples([str(i) for i in range(n)])
    add_roles(roles, bought, viewed, shop.categories, shop.prices)
    edges = {
        "substitutes": _substitutes(roles, viewed, shop, bought, leaf),
        "accessories": _accessories(roles, bought, shop, leaf),
    }
    edges["together"] = _together(bought, lift, edges["substitutes"], n)
    counts: dict[str, int] = {}
    for relation in RELATIONS:
        arrays = _lists(edges[relation], n)
        counts[relation] = len(arrays["ids"])
        save_arrays(folder, **{f"{relation}_{name}": array for name, array in arrays.items()})
    return seal(folder, KIND, n_items=n, baskets=bought.baskets, edges=counts)


def _together(pairs: Pairs, lift: NDArray[np.float64], instead: Edges, n: int) -> Edges:
    """Both directions of pairs with enough lift that are not substitutes of each other."""
    either = np.minimum(instead[0], instead[1]).astype(np.int64) * n + np.maximum(instead[0], instead[1])
    fine = (lift >= LEAST_LIFT) & (pairs.together >= FEWEST)
    fine &= ~np.isin(pairs.a.astype(np.int64) * n + pairs.b, either)
    a, b, both, log = pairs.a[fine], pairs.b[fine], pairs.together[fine], np.log2(lift[fine])
    score = [log * np.sqrt(both / np.maximum(pairs.alone[x], 1)) for x in (a, b)]
    return np.r_[a, b], np.r_[b, a], np.r_[score[0], score[1]], np.r_[both, both]


def _accessories(roles: Triples, pairs: Pairs, shop: Shop, leaf: NDArray[np.int32]) -> Edges:
    """From a main product to what goes with it: of another category, cheaper, and bought for its sake.

    That is when its buyers have the main product more surely than the main product's buyers have it. The lift is
    shrunk harder than for baskets, as an accessory is often rare; what `add_roles` is sure of counts `SURE` times.
    """
    n = len(leaf)
    known = np.array([m * n + x for x, m, _ in _edges(roles, "accessory_of")], np.int64)
    a, b = np.r_[pairs.a, pairs.b].astype(np.int64), np.r_[pairs.b, pairs.a].astype(np.int64)
    lift, both = np.tile(shrunk_lift(pairs, ACCESSORY_PRIOR), 2), np.tile(pairs.together, 2)
    sure = np.isin(a * n + b, known)
    prices = shop.prices
    fine = (
        (leaf[a] != leaf[b]) & (leaf[a] >= 0) & (leaf[b] >= 0) & (both >= FEWEST) & (lift >= ACCESSORY_LIFT)
    )
    fine &= sure | ((pairs.alone[b] < pairs.alone[a]) & (prices[b] > 0) & (prices[b] < prices[a]))
    a, b, both, lift, sure = (x[fine] for x in (a, b, both, lift, sure))
    share = both / (pairs.alone[b] + PRIOR)
    return a, b, np.log2(lift) * np.sqrt(share) * np.where(sure, SURE, 1.0), both


def _edges(roles: Triples, relation: str) -> list[tuple[int, int, float]]:
    return [
        (int(h), int(t), float(w))
        for heads, name, tails, weights, _, _ in roles.chunks
        if name == relation
        for h, t, w in zip(heads, tails, weights, strict=True)
    ]


def _substitutes(
    roles: Triples, viewed: Pairs | None, shop: Shop, bought: Pairs, leaf: NDArray[np.int32]
) -> Edges:
    seen = _edges(roles, "substitute_of")
    if viewed is None or not len(viewed.a) or not seen:
        a, b, score, both = _either(shop, bought, leaf)
    else:
        n = len(leaf)
        a, b = (np.array([e[i] for e in seen], np.int64) for i in (0, 1))
        score = np.array([e[2] for e in seen])
        keys = viewed.a.astype(np.int64) * n + viewed.b
        order = np.argsort(keys)
        wanted = np.minimum(a, b) * n + np.maximum(a, b)
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        both = viewed.together[order][at]
    close = _closeness(shop.prices, a, b)
    return np.r_[a, b], np.r_[b, a], np.r_[score * close, score * close], np.r_[both, both]


def _closeness(prices: NDArray[np.int64], a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """1 for equal prices, falling with the distance of their logarithms; 0.8 where a price is not known."""
    known = (prices[a] > 0) & (prices[b] > 0)
    apart = np.abs(np.log(np.maximum(prices[a], 1)) - np.log(np.maximum(prices[b], 1)))
    return np.where(known, np.exp(-((apart / PRICE_SPREAD) ** 2) / 2), 0.8)


def _either(shop: Shop, bought: Pairs, leaf: NDArray[np.int32]) -> Edges:
    """Pairs ``a < b`` of one category whose shoppers have both, but in fewer common baskets than by their own chance.

    Of a shopper with D baskets who had a in d_a and b in d_b of them, d_a·d_b/D baskets with both are expected. The
    score is the shrunk cosine of their shoppers, times one minus the share of the expected baskets that came true.
    """
    data, n = shop.interactions, len(leaf)
    users, items = data.rows(), data.items
    size = np.maximum(shop.baskets, 1)
    days = np.minimum(data.times, size[users]).astype(np.float32)
    kept = (leaf[items] >= 0) & (days > 0)
    users, items, days = users[kept], items[kept], days[kept]
    shoppers = np.bincount(items, minlength=n)
    pair_keys = bought.a.astype(np.int64) * n + bought.b
    order = np.argsort(pair_keys)
    pair_keys, joint = pair_keys[order], bought.together[order]
    out: list[Edges] = []
    group = np.argsort(leaf[items], kind="stable")
    bounds = np.searchsorted(leaf[items][group], np.arange(leaf.max(initial=-1) + 2))
    for kind in range(len(bounds) - 1):
        part = group[bounds[kind] : bounds[kind + 1]]
        wanted = np.unique(items[part])
        wanted = wanted[shoppers[wanted] >= FEWEST]
        if len(wanted) > MOST_OF_A_CATEGORY:
            wanted = np.sort(wanted[np.argsort(-shoppers[wanted], kind="stable")[:MOST_OF_A_CATEGORY]])
        if len(wanted) < 2:
            continue
        part = part[np.isin(items[part], wanted)]
        shape = (data.n_users, len(wanted))
        where = (users[part], np.searchsorted(wanted, items[part]))
        has = sp.csr_matrix((np.ones(len(part), np.float32), where), shape)
        often = sp.csr_matrix((days[part], where), shape)
        share = sp.csr_matrix((days[part] / size[users[part]], where), shape)
        shared = sp.triu(has.T @ has, 1).tocoo()
        fine = shared.data >= FEWEST
        i, j, both = shared.row[fine], shared.col[fine], shared.data[fine]
        expected = (often.T @ share).toarray()[i, j]
        a, b = wanted[i].astype(np.int64), wanted[j].astype(np.int64)
        at = np.minimum(np.searchsorted(pair_keys, a * n + b), max(len(pair_keys) - 1, 0))
        together = np.where(pair_keys[at] == a * n + b, joint[at], 0) if len(pair_keys) else np.zeros(len(a))
        true = (together + 0.5) / (expected + 0.5)
        cosine = both / (np.sqrt(shoppers[a] * shoppers[b].astype(np.float64)) + 10)
        rare = true < 1
        out.append((a[rare], b[rare], (cosine * (1 - true / 2))[rare], both[rare].astype(np.int64)))
    if not out:
        none = np.zeros(0, np.int64)
        return none, none, none.astype(np.float64), none
    a, b, score, both = (np.concatenate(column) for column in zip(*out, strict=True))
    return a, b, score, both


def _lists(edges: Edges, n: int) -> dict[str, NDArray[Any]]:
    """The best `KEPT` of each product as ``ptr (n + 1,)``, ``ids``, ``scores``, ``counts``; ties go to the lower row."""
    a, b, score, both = edges
    order = np.lexsort((b, -score, a))
    a, b, score, both = a[order], b[order], score[order], both[order]
    first = np.r_[True, a[1:] != a[:-1]] if len(a) else np.zeros(0, bool)
    place = np.arange(len(a)) - np.maximum.accumulate(np.where(first, np.arange(len(a)), 0))
    kept = (place < KEPT) & (score > 0)
    a = a[kept].astype(np.int64)
    return {
        "ptr": np.concatenate([[0], np.cumsum(np.bincount(a, minlength=n))]).astype(np.int64),
        "ids": b[kept].astype(np.int32),
        "scores": score[kept].astype(np.float32),
        "counts": np.minimum(both[kept], np.iinfo(np.int32).max).astype(np.int32),
    }
