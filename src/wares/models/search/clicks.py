"""Click models: what a product is worth for a query, apart from the place where it was shown.

Shoppers look at the first places most, so clicks say where a product stood as much as how good it is. Three accounts of that:
the cascade (Craswell et al., WSDM 2008), the simplified dynamic Bayesian network, SDBN (Chapelle, Zhang, WWW 2009, algorithm 1),
and the position-based or examination model, PBM, by expectation maximisation (Richardson et al., WWW 2007; Chuklin, Markov,
de Rijke 2015, section 4.2). Where examination is known, clicks are weighed by its inverse (Joachims et al., WSDM 2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PRIOR = 5.0
"""Looks at a product that the query's mean counts for, before the first one."""
TINY = 1e-6
DEEP = 50
"""Places beyond this one count as this one."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Searches in any order: the query of each ``query (s,) int32``, and what was shown from ``ptr (s + 1,) int64``: the product
    ``item (m,) int32`` and whether it was clicked ``clicked (m,) bool``, from the first place down."""

    query: NDArray[np.int32]
    ptr: NDArray[np.int64]
    item: NDArray[np.int32]
    clicked: NDArray[np.bool_]

    @classmethod
    def of(cls, searches: Iterable[tuple[int, Sequence[int], Iterable[int]]]) -> Sessions:
        """From (query, products shown in order, places clicked)."""
        query, ptr, item, clicked = list[int](), [0], list[int](), list[bool]()
        for number, shown, places in searches:
            hit = set(places)
            query.append(number)
            item += shown
            clicked += [place in hit for place in range(len(shown))]
            ptr.append(len(item))
        return cls(
            np.array(query, np.int32),
            np.array(ptr, np.int64),
            np.array(item, np.int32),
            np.array(clicked, bool),
        )

    def __len__(self) -> int:
        return len(self.query)

    @property
    def session(self) -> NDArray[np.int64]:
        """The search of each line ``(m,)``."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    @property
    def place(self) -> NDArray[np.int64]:
        """The place of each line, 0 first ``(m,)``."""
        return np.arange(len(self.item)) - self.ptr[:-1][self.session]

    def take(self, chosen: NDArray[np.bool_]) -> Sessions:
        """The searches marked in `chosen` ``(s,)``."""
        lines = np.repeat(chosen, np.diff(self.ptr))
        ptr = np.concatenate([[0], np.cumsum(np.diff(self.ptr)[chosen])])
        return Sessions(self.query[chosen], ptr.astype(np.int64), self.item[lines], self.clicked[lines])


@dataclass(frozen=True, slots=True)
class Looks:
    """Lines of some searches by pair of query and product: ``query (p,)``, ``item (p,)`` of each pair, in ascending order, and
    for each line its pair ``pair (m,)``."""

    query: NDArray[np.int32]
    item: NDArray[np.int32]
    pair: NDArray[np.int64]

    @classmethod
    def of(cls, sessions: Sessions) -> Looks:
        """The pairs that were shown."""
        query = sessions.query[sessions.session].astype(np.int64)
        key = query << 32 | sessions.item
        found, pair = np.unique(key, return_inverse=True)
        return cls((found >> 32).astype(np.int32), (found & 0xFFFFFFFF).astype(np.int32), pair.reshape(-1))

    def __len__(self) -> int:
        return len(self.query)

    def count(self, weights: Floats | NDArray[np.bool_]) -> Floats:
        """The sum of a weight of each line by pair ``(p,)``."""
        return np.bincount(self.pair, weights.astype(float), len(self))

    def prior(self, good: Floats, seen: Floats) -> Floats:
        """The share of good looks among all of the pair's query, ``(p,)``: where a pair that nobody looked at stands."""
        n = int(self.query.max(initial=-1)) + 1
        top = np.bincount(self.query, good, n)
        below = np.bincount(self.query, seen, n)
        whole = good.sum() / max(seen.sum(), 1.0)
        return ((top + PRIOR * whole) / (below + PRIOR))[self.query]


@dataclass(frozen=True, slots=True)
class Clicks:
    """A click model that was fitted: ``value (p,)`` in 0..1 what each pair of `looks` is worth, ``attractive`` and ``satisfies``
    ``(p,)`` its two halves where the model has both, ``examined (places,)`` how often a place is looked at where it knows that."""

    name: str
    looks: Looks
    value: Floats
    seen: Floats
    """Looks that the value rests on ``(p,)``."""
    attractive: Floats
    satisfies: Floats
    examined: Floats = field(default_factory=lambda: np.zeros(0))

    def grades(self) -> dict[int, dict[int, float]]:
        """For each query, its products with their values."""
        out: dict[int, dict[int, float]] = {}
        for query, item, value in zip(
            self.looks.query.tolist(), self.looks.item.tolist(), self.value.tolist(), strict=True
        ):
            out.setdefault(query, {})[item] = value
        return out


def _smooth(looks: Looks, good: Floats, seen: Floats) -> Floats:
    return (good + PRIOR * looks.prior(good, seen)) / (seen + PRIOR)


def _last_click(sessions: Sessions) -> NDArray[np.int64]:
    """The place of the last click of each search, -1 for none ``(s,)``."""
    out = np.full(len(sessions), -1, np.int64)
    lines = np.flatnonzero(sessions.clicked)
    np.maximum.at(out, sessions.session[lines], sessions.place[lines])
    return out


def plain_rate(sessions: Sessions) -> Clicks:
    """Clicks by showings: what a shop sees without a model. Goes with the place."""
    looks = Looks.of(sessions)
    good, seen = looks.count(sessions.clicked), looks.count(np.ones(len(sessions.item)))
    value = _smooth(looks, good, seen)
    return Clicks("rate", looks, value, seen, value, np.ones(len(looks)))


def cascade(sessions: Sessions) -> Clicks:
    """Shoppers read downwards and stop at the first click: value = first clicks / showings down to it."""
    looks = Looks.of(sessions)
    first = np.full(len(sessions), DEEP * 1000, np.int64)
    lines = np.flatnonzero(sessions.clicked)
    np.minimum.at(first, sessions.session[lines], sessions.place[lines])
    read = sessions.place <= first[sessions.session]
    good, seen = looks.count(sessions.clicked & read), looks.count(read)
    value = _smooth(looks, good, seen)
    return Clicks("cascade", looks, value, seen, value, np.ones(len(looks)))


def sdbn(sessions: Sessions) -> Clicks:
    """Shoppers read down to their last click, which satisfied them: value = attraction · satisfaction.

    Attraction is clicks by showings at or above the last click; satisfaction is last clicks by clicks. Searches without a click
    say nothing here.
    """
    looks = Looks.of(sessions)
    last = _last_click(sessions)[sessions.session]
    read = sessions.place <= last
    clicks, seen = looks.count(sessions.clicked), looks.count(read)
    ended = looks.count(sessions.clicked & (sessions.place == last))
    attractive = _smooth(looks, clicks, seen)
    satisfies = _smooth(looks, ended, clicks)
    return Clicks("sdbn", looks, attractive * satisfies, seen, attractive, satisfies)


def pbm(sessions: Sessions, rounds: int = 200, tolerance: float = 1e-6) -> Clicks:
    """A click needs a look at the place and an attractive product: P(click) = examined(place) · attractive(query, product).

    Expectation maximisation over counts by pair and place. ``examined`` is scaled to 1 at the first place: the two factors are
    known up to a common factor only, and apart from one another only where products changed their places.
    """
    looks = Looks.of(sessions)
    place = np.minimum(sessions.place, DEEP - 1)
    n_places = int(place.max(initial=-1)) + 1
    cell, back = np.unique(looks.pair * DEEP + place, return_inverse=True)
    pair, at = cell // DEEP, (cell % DEEP).astype(np.int64)
    shown = np.bincount(back.reshape(-1), minlength=len(cell)).astype(float)
    clicks = np.bincount(back.reshape(-1), sessions.clicked.astype(float), len(cell))
    missed = shown - clicks
    by_place, by_pair = np.bincount(at, shown, n_places), np.bincount(pair, shown, len(looks))
    examined = 1 / (1.0 + np.arange(n_places))
    attractive = np.full(len(looks), 0.3)
    prior = looks.prior(np.bincount(pair, clicks, len(looks)), by_pair)
    for _ in range(rounds):
        both = np.clip(examined[at] * attractive[pair], TINY, 1 - TINY)
        looked = clicks + missed * (examined[at] * (1 - attractive[pair])) / (1 - both)
        liked = clicks + missed * ((1 - examined[at]) * attractive[pair]) / (1 - both)
        new = np.bincount(at, looked, n_places) / np.maximum(by_place, 1)
        attractive = (np.bincount(pair, liked, len(looks)) + PRIOR * prior) / (by_pair + PRIOR)
        moved = float(np.abs(new - examined).max(initial=0))
        examined = new
        if moved < tolerance:
            break
    scale = float(examined[0]) if len(examined) and examined[0] > 0 else 1.0
    attractive = np.minimum(attractive * scale, 1.0)
    return Clicks("pbm", looks, attractive, by_pair, attractive, np.ones(len(looks)), examined / scale)


def weighed(sessions: Sessions, examined: Floats, floor: float = 0.02) -> Clicks:
    """Rates with the place taken out, by an examination that is known: clicks by looks expected (Zhang, Jones, WWW 2007).

    Its variance is far less than that of clicks weighed one by one, and it is never above one look's worth. `examined (places,)`
    is clipped at `floor`; deeper places count as the last one.
    """
    looks = Looks.of(sessions)
    weight = np.maximum(examined, floor)[np.minimum(sessions.place, len(examined) - 1)]
    good, seen = looks.count(sessions.clicked), looks.count(weight)
    value = np.minimum(_smooth(looks, good, seen), 1.0)
    return Clicks("weighed", looks, value, seen, value, np.ones(len(looks)), examined)


def inverse_weights(sessions: Sessions, examined: Floats, most: float = 20.0) -> Floats:
    """The weight of each line's click, the inverse of how often its place is looked at, at most `most` ``(m,)``."""
    deep = np.minimum(sessions.place, len(examined) - 1)
    return np.minimum(1 / np.maximum(examined, TINY), most)[deep] * sessions.clicked


MODELS = {"rate": plain_rate, "cascade": cascade, "sdbn": sdbn, "pbm": pbm}


def likelihood(model: Clicks, sessions: Sessions) -> float:
    """Mean log-likelihood of a line's click or miss, given those above it in its search, in nats; nearer to 0 is better.

    Pairs that the model did not see stand at its mean. The rate and PBM look at no line above; in SDBN and the cascade what was
    clicked above tells whether the shopper still reads.
    """
    known = model.looks.query.astype(np.int64) << 32 | model.looks.item
    asked = sessions.query[sessions.session].astype(np.int64) << 32 | sessions.item
    at = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
    there = known[at] == asked if len(known) else np.zeros(len(asked), bool)
    attractive = np.where(there, model.attractive[at], model.attractive.mean() if len(known) else 0.1)
    satisfies = np.where(there, model.satisfies[at], model.satisfies.mean() if len(known) else 0.5)
    if model.name in ("rate", "weighed"):
        chance = attractive
    elif model.name == "pbm":
        chance = attractive * model.examined[np.minimum(sessions.place, len(model.examined) - 1)]
    else:
        chance = _reading_on(sessions, attractive, satisfies)
    chance = np.clip(chance, TINY, 1 - TINY)
    return float(np.log(np.where(sessions.clicked, chance, 1 - chance)).mean())


def _reading_on(sessions: Sessions, attractive: Floats, satisfies: Floats) -> Floats:
    """P(click) of each line given those above, where shoppers read on until they are satisfied."""
    place, out = sessions.place, np.zeros(len(sessions.item))
    reads = np.ones(len(sessions))
    for depth in range(int(place.max(initial=-1)) + 1):
        lines = np.flatnonzero(place == depth)
        who = sessions.session[lines]
        out[lines] = reads[who] * attractive[lines]
        missed = reads[who] * (1 - attractive[lines]) / np.maximum(1 - out[lines], TINY)
        reads[who] = np.where(sessions.clicked[lines], 1 - satisfies[lines], missed)
    return out


def best_model(sessions: Sessions, seed: int) -> tuple[str, dict[str, float]]:
    """The click model that tells held-out searches best (a fifth, drawn at random), and the likelihood of each."""
    held = np.random.default_rng(seed).random(len(sessions)) < 0.2
    told = {
        name: likelihood(fit(sessions.take(~held)), sessions.take(held))
        for name, fit in MODELS.items()
        if name != "rate"
    }
    return max(told, key=lambda name: told[name]), told
