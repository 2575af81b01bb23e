"""Batches for contrastive training: near things together, so that in-batch negatives are hard, and no false negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.features.pairs import TRAIN, PairSet
from wares.features.signals import Signals

MOST_UNITS = 16_384
"""Units of one round: grouping them by nearness compares each with all others."""
MORE = 3
"""So many times the wanted neighbours are looked at, as those of the same group may not stand beside each other."""


@dataclass(frozen=True)
class Batch:
    """``nodes (b,)``, ``positive (b, b) float32`` whose rows are shares of one, ``negative (b, b) bool``.

    ``emphasis (b,) float32`` is what each weighs as an anchor; None when all weigh the same.
    """

    nodes: NDArray[np.int64]
    positive: NDArray[np.float32]
    negative: NDArray[np.bool_]
    emphasis: NDArray[np.float32] | None = None


class Batches:
    """Rounds over the training pairs.

    A unit is a pair of a group's members, an edge, or a node that is alone (it serves as a negative). A batch is made of
    runs of ``hard`` units that are each other's nearest by the vectors of the last time they were seen.
    """

    def __init__(
        self,
        pairs: PairSet,
        part: NDArray[np.int8],
        size: int,
        hard: int,
        seed: int,
        use: NDArray[np.bool_] | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.signals = signals
        self.pairs, self.size, self.hard, self.seed = pairs, size, max(1, hard), seed
        inside = (part == TRAIN) & ~pairs.blank
        if use is not None:
            inside &= use
        self.members: list[NDArray[np.int64]] = []
        alone: list[int] = []
        for nodes in pairs.members.values():
            kept = nodes[inside[nodes]]
            _, first = np.unique(pairs.text_id[kept], return_index=True)
            kept = kept[np.sort(first)]
            if len(kept) > 1:
                self.members.append(kept)
            elif len(kept):
                alone.append(int(kept[0]))
        self.alone = np.array(alone, np.int64)
        a, b = pairs.edges.T if len(pairs.edges) else (np.zeros(0, np.int32),) * 2
        good = inside[a] & inside[b] & (pairs.text_id[a] != pairs.text_id[b])
        self.edges = pairs.edges[good].astype(np.int64)
        wrong = pairs.negatives
        self.negatives: dict[int, list[int]] = {}
        for anchor, other in wrong[inside[wrong].all(1)].tolist() if len(wrong) else []:
            self.negatives.setdefault(anchor, []).append(other)

    def a_round(self, number: int, bank: NDArray[np.float32]) -> Iterator[Batch]:
        """The batches of one round, the same for the same number and `bank (n_nodes, dim)`."""
        rng = np.random.default_rng([self.seed, number])
        units = self._units(rng)
        if len(units) > MOST_UNITS:
            # The next rounds take the next parts of the same shuffle.
            order = np.random.default_rng([self.seed, 0]).permutation(len(units))
            turn = (number * MOST_UNITS) % len(units)
            units = units[np.sort(np.roll(order, -turn)[:MOST_UNITS])]
        runs = self._runs(units, bank, rng)
        held: list[int] = []
        for run in (runs[i] for i in rng.permutation(len(runs))):
            held += [int(node) for unit in units[run] for node in unit if node >= 0]
            if len(set(held)) >= self.size:
                yield self._batch(held, rng)
                held = []
        if len(set(held)) > 2:
            yield self._batch(held, rng)

    def _units(self, rng: np.random.Generator) -> NDArray[np.int64]:
        found: list[tuple[int, int]] = []
        for nodes in self.members:
            mixed = rng.permutation(nodes)
            found += [(int(mixed[i]), int(mixed[i + 1])) for i in range(0, len(mixed) - 1, 2)]
            if len(mixed) % 2:
                found.append((int(mixed[-1]), int(mixed[0])))
        found += [(int(node), -1) for node in self.alone]
        parts = [np.array(found, np.int64).reshape(-1, 2), self.edges]
        return np.concatenate(parts)

    def _runs(
        self, units: NDArray[np.int64], bank: NDArray[np.float32], rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        if self.hard == 1:
            return [np.array([i]) for i in rng.permutation(len(units))]
        second = np.where(units[:, 1] >= 0, units[:, 1], units[:, 0])
        centre = np.asarray(bank[units[:, 0]] + bank[second], np.float32)
        centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-9)
        name = np.where(
            self.pairs.group[units[:, 0]] >= 0, self.pairs.group[units[:, 0]], -2 - np.arange(len(units))
        )
        free = np.ones(len(units), bool)
        left = np.arange(len(units))
        runs: list[NDArray[np.int64]] = []
        for seed in rng.permutation(len(units)):
            if not free[seed]:
                continue
            if free[left].mean() < 0.7:
                left = left[free[left]]
            near = centre[left] @ centre[seed]
            near[~free[left]] = -9.0
            near[left == seed] = 9.0
            most = min(len(left), self.hard * MORE)
            top = np.argpartition(-near, most - 1)[:most]
            top = top[np.lexsort((top, -near[top]))]
            chosen: list[int] = []
            seen: set[int] = set()
            for at in left[top].tolist():
                if free[at] and int(name[at]) not in seen:
                    chosen.append(at)
                    seen.add(int(name[at]))
                if len(chosen) == self.hard:
                    break
            free[chosen] = False
            runs.append(np.array(chosen))
        return runs

    def _batch(self, held: list[int], rng: np.random.Generator) -> Batch:
        pairs = self.pairs
        nodes = list(dict.fromkeys(held))
        known = set(nodes)
        extra = [int(rng.choice(self.negatives[node])) for node in nodes if node in self.negatives]
        nodes += [node for node in dict.fromkeys(extra) if node not in known][: max(1, self.size // 4)]
        rows = np.array(nodes, np.int64)
        group, text = pairs.group[rows], pairs.text_id[rows]
        same = (group[:, None] == group[None, :]) & (group >= 0)[:, None]
        twin = text[:, None] == text[None, :]
        tied = np.asarray(pairs.linked[rows][:, rows].todense(), np.float32)
        positive = np.where(twin, 0.0, np.maximum(tied, same.astype(np.float32)))
        total = positive.sum(1, keepdims=True)
        # A product of two groups under one title must not push away what its twin belongs to.
        beside = _spread(twin, (same | (tied > 0)))
        share = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
        share = share.astype(np.float32)
        apart = np.asarray(pairs.beside[rows][:, rows].todense()) > 0
        emphasis = None if self.signals is None else self.signals.emphasis(rows, share)
        return Batch(rows, share, ~(same | twin | (tied > 0) | beside | apart), emphasis)


def _spread(twin: NDArray[np.bool_], belongs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What belongs to a node of the same text belongs to this one, and the other way round."""
    if twin.sum() == len(twin):
        return belongs
    alike: Any = twin.astype(np.float32)
    return (alike @ belongs.astype(np.float32) @ alike) > 0


def of_like_length(length: NDArray[Any], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows in batches of `size` whose texts are of like `length (n,)`, in a new order each time."""
    order = rng.permutation(len(length))
    out: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size * 20):
        some = order[start : start + size * 20]
        some = some[np.argsort(length[some], kind="stable")]
        out += [some[at : at + size] for at in range(0, len(some), size)]
    rng.shuffle(out)  # type: ignore[arg-type]
    return out
