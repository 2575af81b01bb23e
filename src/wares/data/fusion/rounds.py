"""The second round: what several offers of one thing say together decides on offers that say little alone.

"1400rpm washing machine 12kg white" matches no single title well, but everything in it stands in one or the other
title of one cluster. So the sure clusters of the first round become records with the words of all their offers, and
are compared and joined again: collective entity resolution (Bhattacharya & Getoor, ACM TKDD 2007) with our evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wares.core.words import Reading
from wares.data.fusion.blocking import Pairs, neighbours, union
from wares.data.fusion.evidence import Evidence, Features, rivals
from wares.data.fusion.offers import Offers

NEAR = 20
CARRIED = 0.02
"""Pairs of the first round above this probability carry over to the clusters of their rows."""


@dataclass(frozen=True)
class Units:
    """The clusters of the first round as records: the unit of each row, the evidence, candidate pairs and features."""

    unit: NDArray[np.int64]
    members: list[list[int]]
    evidence: Evidence
    pairs: Pairs
    features: Features
    names: list[str]
    sources: list[set[int]] | None


def units_of(
    evidence: Evidence,
    cluster: NDArray[np.int64],
    pairs: Pairs,
    probability: NDArray[np.float64],
    sources: list[set[int]] | None,
) -> Units:
    """Merge the rows of each cluster and compare the clusters."""
    keys, unit = np.unique(cluster, return_inverse=True)
    unit = unit.astype(np.int64)
    n = len(keys)
    members: list[list[int]] = [[] for _ in range(n)]
    for row, at in enumerate(unit.tolist()):
        members[at].append(row)
    merged = Evidence(
        _merged(evidence, members), [_joined([evidence.readings[i] for i in rows]) for rows in members]
    )
    carried = unit[pairs[probability > CARRIED]].reshape(-1, 2)
    near = union(neighbours(merged.word_unit, NEAR), neighbours(merged.gram_unit, NEAR), carried)
    held = None
    if sources is not None:
        held = [set().union(*(sources[row] for row in rows)) for rows in members]
        near = near[np.fromiter((not held[a] & held[b] for a, b in near.tolist()), bool, len(near))]
    features, names = merged.compare(near)
    between = _between(unit, near, pairs, probability, np.asarray([len(rows) for rows in members]))
    extra = dict(between)
    column = {name: features[:, at] for at, name in enumerate(names)}
    for name, score in (
        ("best", between["between_best"]), ("mean", between["between_mean"]), ("inside", column["word_inside"]),
        ("word", column["word_cosine"]), ("gram", column["gram_cosine"]),
    ):  # fmt: skip
        extra |= {f"{name}_{key}": values for key, values in rivals(near, score, n).items()}
    return Units(
        unit, members, merged, near, np.column_stack([features, *extra.values()]), [*names, *extra], held
    )


def _joined(readings: list[Reading]) -> Reading:
    if len(readings) == 1:
        return readings[0]
    words: dict[str, None] = {}
    for reading in readings:
        words.update(dict.fromkeys(reading.words))
    return Reading(
        max((r.text for r in readings), key=lambda text: (len(text), text)),
        tuple(words),
        frozenset().union(*(r.codes for r in readings)),
        frozenset().union(*(r.numbers for r in readings)),
        frozenset().union(*(r.measures for r in readings)),
        frozenset().union(*(r.nexts for r in readings)),
    )


def _merged(evidence: Evidence, members: list[list[int]]) -> Offers:
    offers = evidence.offers

    def common(column: object) -> list[str]:
        out = []
        for rows in members:
            values = [column[row] for row in rows if column[row]]  # type: ignore[index]
            out.append(max(sorted(set(values)), key=values.count) if values else "")
        return out

    def middle(column: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(len(members), np.nan)
        for at, rows in enumerate(members):
            values = column[rows]
            values = values[~np.isnan(values)]
            if len(values):
                out[at] = np.median(values)
        return out

    vectors = None
    if offers.vectors is not None:
        vectors = np.stack([offers.vectors[rows].mean(axis=0) for rows in members])
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return Offers(
        title=[""] * len(members),
        texts={name: [" ".join(dict.fromkeys(c[row] or "" for row in rows)) for rows in members] for name, c in offers.texts.items()},
        labels={name: common(column) for name, column in offers.labels.items()},
        numbers={name: middle(column) for name, column in offers.numbers.items()},
        identifiers={name: common(column) for name, column in offers.identifiers.items()},
        vectors=vectors,
    )  # fmt: skip


def _between(
    unit: NDArray[np.int64],
    near: Pairs,
    pairs: Pairs,
    probability: NDArray[np.float64],
    size: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    n = len(size)
    ends = np.sort(unit[pairs].reshape(-1, 2), axis=1)
    key, wanted = ends[:, 0] * n + ends[:, 1], near[:, 0] * n + near[:, 1]
    at = np.minimum(np.searchsorted(wanted, key), max(len(wanted) - 1, 0))
    hit = wanted[at] == key if len(wanted) else np.zeros(len(key), bool)
    total = np.bincount(at[hit], probability[hit], len(wanted))
    count = np.bincount(at[hit], minlength=len(wanted))
    best = np.zeros(len(wanted))
    np.maximum.at(best, at[hit], probability[hit])
    first, second = size[near[:, 0]], size[near[:, 1]]
    values = {
        "between_mean": total / (first * second), "between_known": count / (first * second), "between_best": best,
        "between_told": total / np.maximum(count, 1), "size_min": np.minimum(first, second), "size_max": np.maximum(first, second),
    }  # fmt: skip
    return {name: column.astype(np.float32) for name, column in values.items()}
