"""Segments of shoppers and what sells in each lately.

A shopper's segment is the top category that sets them most apart: the largest term c · log(share / usual share) of the
likelihood ratio against the shop's average (the share shrunk by `PRIOR` deeds of the average). One deed in a rare
category makes no taste; a third more of a large one does. Within a segment a product's popularity is the share of its shoppers
who took it up in the last days, shrunk towards the whole shop's share as if `SHOPPERS` more average shoppers belonged
to it: in a small segment the shop speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog
from wares.graph.columns import category_steps
from wares.models.recommend.segments_infer import KIND

PRIOR = 5.0
SHOPPERS = 30.0
FEWEST_DEEDS = 3
KEPT = 300


def tops_of(categories: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """The top category of each product by number, -1 for none, and their names as the shop writes them."""
    names: dict[str, str] = {}
    tops: list[str] = []
    for category in categories:
        steps = category_steps(category)
        top = steps[0] if steps else ""
        tops.append(top)
        if top:
            names.setdefault(top, _written(category))
    order = sorted(names)
    index = {name: i for i, name in enumerate(order)}
    return np.array([index.get(top, -1) for top in tops], np.int64), [names[name] for name in order]


def _written(category: str) -> str:
    for mark in (">", "/", "|", "»", "→", "::"):
        category = category.split(mark, 1)[0]
    return category.strip()


def segments_of(data: Interactions, top_of: NDArray[np.int64], n: int) -> NDArray[np.int32]:
    """The segment of each shopper ``(n_users,)``, -1 for those who did too little."""
    users, kind = data.rows(), top_of[data.items]
    known = kind >= 0
    counts = np.bincount(users[known] * n + kind[known], minlength=data.n_users * n).reshape(data.n_users, n)
    usual = counts.sum(0) / max(int(counts.sum()), 1)
    apart = set_apart(counts, usual)
    return np.where(counts.sum(1) >= FEWEST_DEEDS, apart.argmax(1), -1).astype(np.int32)


def set_apart(counts: NDArray[np.int64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each category sets a shopper apart, of deeds by category ``(…, n_categories)``; `usual` are their shares."""
    total = counts.sum(-1, keepdims=True)
    lift = (counts + PRIOR * usual) / (total + PRIOR) / np.maximum(usual, 1e-9)
    return np.asarray(counts * np.log(np.maximum(lift, 1e-9)), np.float64)


def taken(
    log: EventLog, since: int, until: int, users: StringTable
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct pairs of shopper and product within [since, until) that speak for the product, as rows; -1: no such user."""
    kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.baskets(engine, kinds, until)
        table = engine.arrow(
            lines.filter(lines["at"] >= since).select("user", "item").distinct().order_by(["user", "item"])
        )
    items = pc.index_in(table["item"], value_set=log.item_ids)
    known = pc.is_valid(items)
    table, items = table.filter(known), items.filter(known)
    encoded = table["user"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    place = np.array([users.find(name) for name in encoded.dictionary.to_pylist()], np.int64)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return place[codes] if len(codes) else np.zeros(0, np.int64), items.to_numpy().astype(np.int64)


def popularity(
    segment: NDArray[np.int32],
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    n_segments: int,
    n_items: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best `KEPT` products of each segment and their shrunk shares ``(n_segments, kept)``; -1 pads."""
    everyone = np.bincount(items, minlength=n_items) / max(len(np.unique(users)), 1)
    of = np.where(users >= 0, segment[users] if len(segment) else -1, -1)
    width = min(KEPT, n_items)
    ids = np.full((n_segments, width), -1, np.int32)
    shares = np.zeros((n_segments, width), np.float32)
    for code in range(n_segments):
        here = of == code
        size = len(np.unique(users[here]))
        share = (np.bincount(items[here], minlength=n_items) + SHOPPERS * everyone) / (size + SHOPPERS)
        best = np.lexsort((np.arange(n_items), -share))[:width]
        best = best[share[best] > 0]
        ids[code, : len(best)], shares[code, : len(best)] = best, share[best]
    return ids, shares


def build_segments(
    log: EventLog | None, data: Interactions, users: StringTable, categories: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Write the artefact. A shop of one category, or without events, has no segments."""
    top_of, names = tops_of(categories)
    segment = (
        segments_of(data, top_of, len(names))
        if len(names) > 1 and data.n_users
        else np.full(data.n_users, -1, np.int32)
    )
    if log is None or len(names) < 2 or not data.n_users:
        names = []
        ids, shares = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
        segment = np.full(data.n_users, -1, np.int32)
    else:
        until = data.as_of + 1
        who, what = taken(log, until - int(log.config.popular_days * DAY), until, users)
        ids, shares = popularity(segment, who, what, len(names), len(categories))
    StringTable.of(names).save(folder, "names")
    sizes = np.bincount(segment[segment >= 0], minlength=len(names))
    save_arrays(
        folder, segment_of=segment.astype(np.int32), sizes=sizes.astype(np.int64), ids=ids, shares=shares
    )
    return seal(folder, KIND, segments=len(names), n_items=len(categories))
