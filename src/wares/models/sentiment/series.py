"""Texts as series over days: of the shop, each category, brand, product, aspect, language, seller, query and sort of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.readings import Readings

DAY = 86_400_000_000
NO_ASPECT = -1
SCOPES = (
    "shop", "category", "brand", "product", "aspect", "category_aspect", "product_aspect", "language", "seller", "query", "kind",
)  # fmt: skip
"""What a series is of; the order is that of the numbers in an artefact."""


@dataclass(frozen=True)
class Group:
    """One series: its `scope`, `key` (row in the scope's table) and `aspect` (-1: none), with ``rows (m,)`` of texts in order of
    time, their ``days`` and ``values`` (badness 0..1), and ``spans (m, 2)`` of the evidence (-1: the whole text)."""

    scope: str
    key: int
    aspect: int
    rows: NDArray[np.int64]
    days: NDArray[np.int64]
    values: NDArray[np.float64]
    spans: NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """Texts that count, one row each, in order of time: ``row`` in the readings, ``day`` (-1 undated), ``badness`` 0..1, and the place
    of each in every scope ``groups[scope]`` (-1: none); and of opinions ``(m,)`` the text (place among these), aspect, badness and span.
    ``sizes[scope]`` are the numbers of keys."""

    row: NDArray[np.int64]
    day: NDArray[np.int64]
    badness: NDArray[np.float64]
    groups: dict[str, NDArray[np.int64]]
    sizes: dict[str, int]
    op_text: NDArray[np.int64]
    op_aspect: NDArray[np.int64]
    op_badness: NDArray[np.float64]
    op_span: NDArray[np.int64]
    aspects: tuple[str, ...]


def badness_of(mood: NDArray[Any]) -> NDArray[np.float64]:
    """Moods of -1..1 as badness of 0..1."""
    return np.clip((1 - np.asarray(mood, float)) / 2, 0, 1)


def mood_of(badness: Any) -> Any:
    """Badness of 0..1 as mood of -1..1."""
    return 1 - 2 * badness


def days_of(at: NDArray[Any], now: int) -> NDArray[np.int64]:
    """Days since 1970 of moments in microseconds; -1 without one, and for one after `now`."""
    at = np.asarray(at, np.int64)
    return np.where((at < 0) | (at > now), -1, at // DAY)


def counted(
    read: Readings, category_of: NDArray[Any], categories: int, brand_of: Sequence[str], now: int
) -> tuple[Counted, list[str]]:
    """The texts that are neither blank nor copies nor spam, with what each belongs to; and the names of the brands.

    `category_of (n_products,)` and the names `brand_of` are of the catalogue's products; a text without a product has no
    category, and its brand where it names one. `now` in microseconds: what claims to be later has no date.
    """
    rows = np.flatnonzero(np.asarray(read.flags) == 0)
    product = np.asarray(read.product, np.int64)[rows]
    there = product >= 0
    at = np.maximum(product, 0)

    def of_product(owner: NDArray[Any]) -> NDArray[np.int64]:
        return np.where(there, np.asarray(owner, np.int64)[at], -1) if len(owner) else np.full(len(rows), -1)

    names: dict[str, int] = {}
    of_text = np.array([names.setdefault(str(name), len(names)) for name in read.brands] or [-1], np.int64)
    named = np.array([names.setdefault(name, len(names)) if name else -1 for name in brand_of], np.int64)
    own = np.asarray(read.brand, np.int64)[rows]
    brand = np.where(own >= 0, of_text[np.maximum(own, 0)], of_product(named))
    groups = {
        "shop": np.zeros(len(rows), np.int64), "category": of_product(category_of), "brand": brand, "product": product,
        "language": np.asarray(read.language, np.int64)[rows], "seller": np.asarray(read.seller, np.int64)[rows],
        "query": np.asarray(read.query, np.int64)[rows], "kind": np.asarray(read.kind, np.int64)[rows],
    }  # fmt: skip
    sizes = {
        "shop": 1, "category": categories, "brand": len(names), "product": len(category_of), "language": len(read.languages),
        "seller": len(read.sellers), "query": len(read.queries), "kind": len(read.kinds),
    }  # fmt: skip
    place = np.full(len(read.flags), -1, np.int64)
    place[rows] = np.arange(len(rows))
    text, aspect, polarity = (
        np.asarray(read.op_text, np.int64),
        np.asarray(read.op_aspect),
        np.asarray(read.op_polarity),
    )
    span = (
        np.stack([np.asarray(read.op_start, np.int64), np.asarray(read.op_end, np.int64)], 1)
        if len(text)
        else np.zeros((0, 2), np.int64)
    )
    own = place[text] >= 0 if len(text) else np.zeros(0, bool)
    found = Counted(
        rows, days_of(np.asarray(read.at)[rows], now), badness_of(np.asarray(read.mood)[rows]), groups, sizes,
        place[text[own]] if len(text) else np.zeros(0, np.int64), aspect[own].astype(np.int64), badness_of(polarity[own]), span[own], tuple(read.aspects),
    )  # fmt: skip
    return found, list(names)


def one_opinion_each(texts: Counted) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Opinions as one a text and aspect: the text and aspect ``(m, 2)``, the mean badness, and the span of the worst.

    Who says three times that the battery is bad counts once.
    """
    if not len(texts.op_text):
        return np.zeros((0, 2), np.int64), np.zeros(0), np.zeros((0, 2), np.int64)
    pairs = np.stack([texts.op_text, texts.op_aspect], 1)
    unique, place = np.unique(pairs, axis=0, return_inverse=True)
    place = place.ravel()
    badness = np.bincount(place, texts.op_badness) / np.bincount(place)
    # The furthest from neutral is the one to quote.
    order = np.argsort(np.abs(texts.op_badness - 0.5), kind="stable")
    first = np.zeros(len(unique), np.int64)
    first[place[order]] = order
    return unique, badness, texts.op_span[first]


def groups_of(
    texts: Counted, scopes: Sequence[str] = SCOPES, least: int = 1, dated: bool = True
) -> Iterator[Group]:
    """The series of `scopes` with at least `least` texts; with `dated`, of texts with a date alone."""
    usable = texts.day >= 0 if dated else np.ones(len(texts.day), bool)
    whole = np.full((len(texts.row), 2), -1, np.int64)
    everything = np.arange(len(texts.row))
    pairs, badness, spans = one_opinion_each(texts)
    for scope in scopes:
        base = scope.removesuffix("_aspect")
        if scope == "aspect":
            some = usable[pairs[:, 0]] if len(pairs) else np.zeros(0, bool)
            yield from _split(
                scope,
                texts,
                pairs[some, 0],
                pairs[some, 1],
                np.full(some.sum(), -1),
                badness[some],
                spans[some],
                least,
            )
        elif scope.endswith("_aspect"):
            keys = texts.groups[base][pairs[:, 0]] if len(pairs) else np.zeros(0, np.int64)
            some = (usable[pairs[:, 0]] & (keys >= 0)) if len(pairs) else np.zeros(0, bool)
            yield from _split(
                scope, texts, pairs[some, 0], keys[some], pairs[some, 1], badness[some], spans[some], least
            )
        else:
            keys = texts.groups[base]
            some = usable & (keys >= 0)
            yield from _split(
                scope,
                texts,
                everything[some],
                keys[some],
                np.full(some.sum(), -1),
                texts.badness[some],
                whole[some],
                least,
            )


def _split(
    scope: str,
    texts: Counted,
    places: NDArray[Any],
    keys: NDArray[Any],
    aspects: NDArray[Any],
    values: NDArray[Any],
    spans: NDArray[Any],
    least: int,
) -> Iterator[Group]:
    if not len(keys):
        return
    order = np.lexsort((places, texts.day[places], aspects, keys))
    keys, aspects, places = keys[order], aspects[order], places[order]
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(keys) != 0) | (np.diff(aspects) != 0)]))
    for begin, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        if end - begin < least:
            continue
        part = places[begin:end]
        aspect_scope = scope == "aspect"
        yield Group(
            scope, -1 if aspect_scope else int(keys[begin]), int(keys[begin]) if aspect_scope else int(aspects[begin]), texts.row[part],
            texts.day[part], values[order[begin:end]], spans[order[begin:end]],
        )  # fmt: skip


def daily(group: Group) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Days with texts, their sums of badness, and their numbers of texts."""
    days, place = np.unique(group.days, return_inverse=True)
    sums, counts = (np.asarray(np.bincount(place, w, len(days)), float) for w in (group.values, None))
    return np.asarray(days, np.int64), sums, counts
