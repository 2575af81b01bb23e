"""The places that a list keeps for new products: those that came after the build, and those never sold before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.nouns import Hit
from wares.features.catalogue import below
from wares.models.recommend.infer import History
from wares.serve.online import NewProduct
from wares.serve.reasons import reason

LIKENESS = 0.45
ASKING = 50


@dataclass(frozen=True, slots=True)
class Rules:
    """What new products must obey like any other: `hidden` ids, the most places of a brand (0: no cap), a category
    (empty: any), and how many hits at the head of the list stay."""

    hidden: frozenset[str] = frozenset()
    per_brand: int = 0
    category: str = ""
    pinned: int = 0

    def let(self, product: Any) -> bool:
        """Whether a new product may come."""
        inside = not self.category or below(product.category, self.category)
        return bool(product.available) and product.product_id not in self.hidden and inside


def places_for(new_places: int, k: int) -> int:
    """How many of `k` places new products of this hour may take: what the build keeps, and one at least of a real list."""
    return max(1, new_places) if k > 1 else 0


def likest(
    new: Iterable[NewProduct],
    history: History,
    text_of: NDArray[Any],
    vectors: NDArray[Any],
    rules: Rules,
) -> list[tuple[NewProduct, float, int]]:
    """New products that are like what the shopper had: (product, likeness, row of what it is like), best first."""
    some = [n for n in new if rules.let(n.product)]
    if not some or not len(history.items) or not len(vectors):
        return []
    known = history.items[np.argsort(-history.query, kind="stable")[:ASKING]]
    near = np.stack([n.vector for n in some]) @ vectors[text_of[known]].astype(np.float32).T
    best = near.max(1)
    order = [int(i) for i in np.argsort(-best, kind="stable") if best[i] >= LIKENESS]
    return [(some[i], float(best[i]), int(known[int(near[i].argmax())])) for i in order]


def put_in(
    hits: list[Hit],
    found: Sequence[tuple[NewProduct, float, str]],
    k: int,
    places: int,
    rules: Rules,
    language: str,
) -> list[Hit]:
    """The list with at most `places` new products at its end; `found` has each with its likeness and the title it is like.

    What is pinned stays, and no brand gets more than its places.
    """
    places = min(places, k - rules.pinned)
    chosen: list[Hit] = []
    for new, value, title in found:
        if len(chosen) >= places:
            break
        kept = [*hits[: max(0, k - len(chosen) - 1)], *chosen]
        brand = new.product.brand
        if rules.per_brand and brand and sum(h.product.brand == brand for h in kept) >= rules.per_brand:
            continue
        chosen.append(Hit(new.product, value, reason("new_like", language, title=title), {"text": value}))
    return [*hits[: max(0, k - len(chosen))], *chosen]
