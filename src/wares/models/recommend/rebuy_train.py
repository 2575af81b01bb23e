"""When is a product due again: gaps between purchases, shrunk from shopper to product to category to shop.

A pair of shopper and product with purchases on n days has n − 1 gaps. Their mean logarithm is shrunk towards the
product's, that towards its category's, that towards the shop's (each as if it had `PRIOR` more gaps of the wider
group), so that one odd gap does not decide. A gap is log-normal about that; whether there is another purchase at all is
a share ``alive`` that grows with n and depends on the product (a mixture cure model; "Buy It Again", Bhagat et al., KDD
2018, has the same two parts: repeat probability and a distribution of time). So after t days without it

    P(within N days) = alive · (F(t + N) − F(t)) / (1 − alive · F(t)),  F the log-normal of the gap.

A logistic regression on the logarithm of its odds, n, t and N is fitted on the last days before the end, where what
came is known, so that the probabilities mean what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.data.engine import Engine, window
from wares.features.interactions_build import EventLog
from wares.models.recommend.rebuy_infer import KIND, PRIOR, Habits, features

DAY = 86_400
LEARNED_ON = 28
HORIZONS = (3, 7, 14, 28)
MOST_LEARNED = 400_000
FEWEST_LEARNED = 200
LEAST_SPREAD, MOST_SPREAD = 0.3, 1.5
PENALTY = 1.0


@dataclass(frozen=True, slots=True)
class Purchases:
    """One row a pair, by user and item: rows of `users` and of the catalogue, on how many days, the first and last day
    since 1970, the sum of logarithms of gaps and of their squares ``(n_pairs,)``."""

    users: list[str]
    user: NDArray[np.int64]
    item: NDArray[np.int32]
    days: NDArray[np.int32]
    last: NDArray[np.int32]
    log_gaps: NDArray[np.float64]
    squares: NDArray[np.float64]
    end: int


def purchases_of(log: EventLog, until: int | None = None) -> Purchases:
    """Count in the data engine, out of core; `until` in Unix seconds leaves out later events. Visits have no habits."""
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.baskets(engine, (c.PURCHASE,), until)
        lines = lines.filter(~lines["user"].startswith("~")).select("user", "item", "day")
        before = (
            lines["day"].lag().over(window(group_by=[lines["user"], lines["item"]], order_by=[lines["day"]]))
        )
        lines = lines.mutate(gap=(lines["day"] - before).cast("float64").log())
        pairs = lines.group_by(["user", "item"]).aggregate(
            days=lines["day"].count().cast("int32"),
            last=lines["day"].max(),
            log_gaps=lines["gap"].sum().coalesce(0.0),
            squares=(lines["gap"] * lines["gap"]).sum().coalesce(0.0),
        )
        table = engine.arrow(pairs.order_by(["user", "item"]))
    rows = pc.index_in(table["item"], value_set=log.item_ids)
    known = pc.is_valid(rows)
    table, rows = table.filter(known), rows.filter(known)
    encoded = table["user"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    last = table["last"].to_numpy()
    return Purchases(
        encoded.dictionary.to_pylist(),
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        rows.to_numpy().astype(np.int32),
        table["days"].to_numpy(),
        last.astype(np.int32),
        table["log_gaps"].to_numpy(),
        table["squares"].to_numpy(),
        int(until // DAY) if until is not None else int(last.max(initial=0)) + 1,
    )


def habits_of(bought: Purchases, category: NDArray[np.int32], weights: NDArray[np.float64]) -> Habits:
    """Shrunk gaps and shares by product; `category (n_items,)` with -1 for none, `weights` of the logistic regression."""
    n = len(category)
    gaps = (bought.days - 1).astype(np.float64)
    sums, squares, count = (np.bincount(bought.item, v, n) for v in (bought.log_gaps, bought.squares, gaps))
    total = max(float(count.sum()), 1.0)
    usual = float(sums.sum()) / total if count.sum() else math.log(30.0)
    spread = max(float(squares.sum()) / total - usual**2, LEAST_SPREAD**2) if count.sum() else 1.0
    group = np.where(category >= 0, category, category.max(initial=-1) + 1)
    size = int(group.max(initial=0)) + 1
    of_group, in_group = (np.bincount(group, v, size) for v in (sums, count))
    mean_group = (of_group + PRIOR * usual) / (in_group + PRIOR)
    mean_item = (sums + PRIOR * mean_group[group]) / (count + PRIOR)
    # The spread about the pair's own mean: what is left when the shopper's habit is known.
    own = np.where(gaps > 0, bought.log_gaps / np.maximum(gaps, 1), 0.0)
    within = np.bincount(bought.item, bought.squares - gaps * own**2, n)
    free = np.bincount(bought.item, np.maximum(gaps - 1, 0), n)
    common = float(within.sum()) / max(float(free.sum()), 1.0) if free.sum() else spread
    sigma = np.sqrt((within + 20 * common) / (free + 20)).clip(LEAST_SPREAD, MOST_SPREAD)
    # Another purchase after the n-th: of pairs whose last purchase is long enough ago to tell.
    reach = bought.end - bought.last
    told = (bought.days > 1) | (reach > np.minimum(3 * np.exp(mean_item[bought.item]), 180))
    again = np.bincount(bought.item[told], (bought.days[told] - 1).astype(float), n)
    chances = np.bincount(bought.item[told], bought.days[told].astype(float), n)
    overall = (float(again.sum()) + 1) / (float(chances.sum()) + 2)
    return Habits(
        gap=mean_item.astype(np.float32),
        spread=sigma.astype(np.float32),
        alive=((again + 20 * overall) / (chances + 20)).astype(np.float32),
        weights=weights,
    )


def learn(log: EventLog, category: NDArray[np.int32], end: int, seed: int) -> NDArray[np.float64]:
    """Weights of the logistic regression, from what came in the `LEARNED_ON` days before `end` (Unix seconds).

    Too few pairs, and the formula speaks for itself.
    """
    start = end - LEARNED_ON * DAY
    past = purchases_of(log, start)
    if len(past.user) < FEWEST_LEARNED:
        return plain()
    came = next_purchases(log, past, start, end)
    habits = habits_of(past, category, plain())
    chosen = np.arange(len(past.user))
    if len(chosen) > MOST_LEARNED:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST_LEARNED, replace=False))
    rows, labels = [], []
    for within in HORIZONS:
        rows.append(_features(past, habits, within, chosen))
        labels.append(came[chosen] < within)
    return logistic(np.concatenate(rows), np.concatenate(labels).astype(np.float64))


def _features(past: Purchases, habits: Habits, within: int, chosen: NDArray[Any]) -> NDArray[np.float64]:
    item = past.item[chosen]
    return features(
        habits, item, past.days[chosen], past.log_gaps[chosen], past.end - past.last[chosen], within
    )


def next_purchases(log: EventLog, past: Purchases, start: int, end: int) -> NDArray[np.float64]:
    """In how many days from `start` each pair of `past` was bought again before `end`; infinity for not at all."""
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.baskets(engine, (c.PURCHASE,), end)
        lines = lines.filter(lines["at"] >= start)
        first = lines.group_by(["user", "item"]).aggregate(at=lines["at"].min())
        table = engine.arrow(first)
    items = pc.index_in(table["item"], value_set=log.item_ids)
    users = pc.index_in(table["user"], value_set=pa.array(past.users, pa.string()))
    known = pc.and_(pc.is_valid(items), pc.is_valid(users))
    n = len(log.item_ids)
    keys = users.filter(known).to_numpy().astype(np.int64) * n + items.filter(known).to_numpy()
    at = (table["at"].filter(known).to_numpy() - start) / DAY
    order = np.argsort(keys)
    keys, at = keys[order], at[order]
    wanted = past.user * n + past.item
    out = np.full(len(wanted), np.inf)
    if len(keys):
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there = keys[place] == wanted
        out[there] = at[place[there]]
    return out


def plain() -> NDArray[np.float64]:
    """Weights that leave the formula's probability as it is."""
    return np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def logistic(x: NDArray[np.float64], y: NDArray[np.float64], rounds: int = 50) -> NDArray[np.float64]:
    """Logistic regression by Newton's method, with a ridge towards `plain` and steps halved until they help."""
    start = plain()
    w = start.copy()

    def loss(v: NDArray[np.float64]) -> float:
        z = x @ v
        return float((np.logaddexp(0, z) - y * z).sum() + PENALTY / 2 * ((v - start) ** 2).sum())

    now = loss(w)
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (p - y) + PENALTY * (w - start)
        curve = (x * (p * (1 - p))[:, None]).T @ x + PENALTY * np.eye(len(w))
        step = np.linalg.solve(curve, slope)
        length = 1.0
        while length > 1e-4 and loss(w - length * step) > now:
            length /= 2
        if length <= 1e-4:
            break
        w = w - length * step
        gain, now = now - loss(w), loss(w)
        if gain < 1e-7 * max(now, 1):
            break
    return w


def build_rebuy(
    log: EventLog | None, users: StringTable, category: NDArray[np.int32], seed: int, folder: Path
) -> dict[str, Any]:
    """Write the artefact; pairs stand by the rows of `users`, who are those of the interactions."""
    n_users = len(users)
    bought = purchases_of(log) if log is not None else None
    if log is None or bought is None or not len(bought.user):
        none = np.zeros(0, np.int32)
        habits = Habits.none(len(category), plain())
        row, item, days, last, gaps = none.astype(np.int64), none, none, none, none.astype(np.float32)
        end = 0
    else:
        habits = habits_of(bought, category, learn(log, category, log.span()[1] + 1, seed))
        place = np.array([users.find(name) for name in bought.users], np.int64)
        row = place[bought.user]
        known = row >= 0
        order = np.lexsort((bought.item[known], row[known]))
        row, item, days, last, gaps = (
            a[known][order] for a in (row, bought.item, bought.days, bought.last, bought.log_gaps)
        )
        end = bought.end
    save_arrays(
        folder,
        ptr=np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_users))]).astype(np.int64),
        items=item.astype(np.int32),
        days=days.astype(np.int32),
        last=last.astype(np.int32),
        log_gaps=gaps.astype(np.float32),
        gap=habits.gap,
        spread=habits.spread,
        alive=habits.alive,
        weights=habits.weights,
    )
    return seal(folder, KIND, n_items=len(category), n_users=n_users, pairs=len(item), end=end)
