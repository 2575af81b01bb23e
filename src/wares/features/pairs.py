"""Texts that belong together, as one thing to learn from: groups, pairs, known negatives, and a split without leaks.

A node is one record: an offer, a product, a query, a review. Nodes of one group (the offers of one thing) are positives
of each other, and so are the two ends of an edge. Whatever else is known to belong together is never a negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.core.files import digest
from wares.core.text import plain

TRAIN, VALID, TEST = 0, 1, 2
FEWEST = 20
"""Fewer training pairs than this teach an encoder nothing but themselves."""
LONGEST = 2000
"""Characters of a text that are read; a title of 10,000 is cut, as the tokeniser would cut it anyway."""


def _no_edges() -> NDArray[np.int32]:
    return np.zeros((0, 2), np.int32)


@dataclass(frozen=True)
class PairSet:
    """What belongs together.

    ``texts`` one a node; ``query (n,) bool`` which are queries; ``group (n,) int64``, -1 for none; ``edges (m, 2)
    int32`` with ``weight (m,) float32`` and ``source (m,) int8`` (an index of ``sources``); ``negatives (h, 2)
    int32``: the second is known not to belong to the first; ``category (n,) int32``, -1 for none. ``aside (k, 2) int32``
    are neither: a product's whole text holds its description, so that finding it by that would teach and prove nothing.
    """

    texts: list[str]
    query: NDArray[np.bool_]
    group: NDArray[np.int64]
    edges: NDArray[np.int32] = field(default_factory=_no_edges)
    weight: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    source: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    sources: tuple[str, ...] = ()
    negatives: NDArray[np.int32] = field(default_factory=_no_edges)
    category: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    aside: NDArray[np.int32] = field(default_factory=_no_edges)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def text_id(self) -> NDArray[np.int64]:
        """The same number for the same text ``(n,)``: identical texts are neither positives nor negatives."""
        known: dict[str, int] = {}
        return np.fromiter((known.setdefault(t, len(known)) for t in self.texts), np.int64, len(self.texts))

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        """Nodes without a letter or digit ``(n,)``: they are masked everywhere, never encoded as if they meant something."""
        return np.fromiter((not any(ch.isalnum() for ch in t) for t in self.texts), bool, len(self.texts))

    @cached_property
    def linked(self) -> sp.csr_matrix:
        """Symmetric ``(n, n)`` weights of the edges."""
        n = len(self)
        a, b = self.edges[:, 0], self.edges[:, 1]
        half = sp.csr_matrix((self.weight, (a, b)), (n, n))
        return half.maximum(half.T).tocsr()

    @cached_property
    def beside(self) -> sp.csr_matrix:
        """Symmetric ``(n, n)``: what is set `aside` from each other."""
        n = len(self)
        half = sp.csr_matrix(
            (np.ones(len(self.aside), np.float32), (self.aside[:, 0], self.aside[:, 1])), (n, n)
        )
        return half.maximum(half.T).tocsr()

    @cached_property
    def members(self) -> dict[int, NDArray[np.int64]]:
        """Group → its nodes that say something, ascending."""
        nodes = np.flatnonzero((self.group >= 0) & ~self.blank)
        order = nodes[np.argsort(self.group[nodes], kind="stable")]
        names, starts = np.unique(self.group[order], return_index=True)
        parts = np.split(order, starts[1:]) if len(order) else []
        return dict(zip(names.tolist(), parts, strict=True))

    def mates(self, node: int) -> NDArray[np.int64]:
        """Nodes that belong to `node` and read differently, ascending."""
        found = self.linked.indices[self.linked.indptr[node] : self.linked.indptr[node + 1]]
        if self.group[node] >= 0:
            found = np.union1d(found, self.members.get(int(self.group[node]), np.zeros(0, np.int64)))
        found = np.asarray(found, np.int64)
        return np.sort(found[(self.text_id[found] != self.text_id[node]) & ~self.blank[found]])

    @cached_property
    def digest(self) -> str:
        """Names the content."""
        parts = [
            self.texts,
            self.query.tolist(),
            self.group.tolist(),
            self.edges.tolist(),
            self.negatives.tolist(),
            self.aside.tolist(),
        ]
        return digest([*parts, self.weight.round(5).tolist(), self.sources])

    def facts(self) -> dict[str, Any]:
        """Counts for reports."""
        sizes = np.array([len(np.unique(self.text_id[m])) for m in self.members.values()], np.int64)
        named = {name: int((self.source == i).sum()) for i, name in enumerate(self.sources)}
        return {
            "texts": len(np.unique(self.text_id)), "nodes": len(self), "queries": int(self.query.sum()), "blank": int(self.blank.sum()),
            "groups": len(sizes), "groups_with_mates": int((sizes > 1).sum()), "edges": named, "negatives": len(self.negatives),
        }  # fmt: skip


class Builder:
    """Collects nodes and edges; products of the same text share a node."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._at: dict[tuple[str, bool, int], int] = {}
        self._query: list[bool] = []
        self._group: list[int] = []
        self._category: list[int] = []
        self._edges: dict[tuple[int, int], tuple[float, int]] = {}
        self._negatives: set[tuple[int, int]] = set()
        self._aside: set[tuple[int, int]] = set()
        self.sources: list[str] = []

    def node(self, text: str, *, query: bool = False, group: int = -1, category: int = -1) -> int:
        """The node of a text; made when it is new."""
        text = plain(text, LONGEST)
        key = (text, query, group)
        if key not in self._at:
            self._at[key] = len(self.texts)
            self.texts.append(text)
            self._query.append(query)
            self._group.append(group)
            self._category.append(category)
        return self._at[key]

    def edge(self, a: int, b: int, source: str, weight: float = 1.0) -> None:
        """Two nodes belong together; the larger weight of repeated edges stays."""
        if source not in self.sources:
            self.sources.append(source)
        key = (min(a, b), max(a, b))
        if a != b and self._edges.get(key, (0.0, 0))[0] < weight:
            self._edges[key] = (weight, self.sources.index(source))

    def negative(self, anchor: int, other: int) -> None:
        """`other` is known not to belong to `anchor`."""
        if anchor != other:
            self._negatives.add((anchor, other))

    def aside(self, a: int, b: int) -> None:
        """Two nodes are neither mates nor strangers, whatever the signals say."""
        if a != b:
            self._aside.add((min(a, b), max(a, b)))

    def done(self) -> PairSet:
        """All of it; a pair that is an edge is no negative and not aside."""
        keys = sorted(self._edges)
        apart = sorted(self._aside - self._edges.keys())
        wrong = sorted(p for p in self._negatives if (min(p), max(p)) not in self._edges)
        return PairSet(
            self.texts, np.array(self._query, bool), np.array(self._group, np.int64),
            np.array(keys, np.int32).reshape(-1, 2), np.array([self._edges[k][0] for k in keys], np.float32),
            np.array([self._edges[k][1] for k in keys], np.int8), tuple(self.sources),
            np.array(wrong, np.int32).reshape(-1, 2), np.array(self._category, np.int32), np.array(apart, np.int32).reshape(-1, 2),
        )  # fmt: skip


def from_groups(
    texts: Sequence[str], groups: Sequence[str], categories: Sequence[str] | None = None
) -> PairSet:
    """Rows of a file as nodes, one each, in their order; an empty group is none."""
    names: dict[str, int] = {}
    group = [names.setdefault(g, len(names)) if g else -1 for g in groups]
    kinds: dict[str, int] = {}
    category = [kinds.setdefault(k, len(kinds)) if k else -1 for k in categories or [""] * len(texts)]
    return PairSet(
        [plain(t, LONGEST) for t in texts], np.zeros(len(texts), bool), np.array(group, np.int64),
        category=np.array(category, np.int32),
    )  # fmt: skip


def split_nodes(pairs: PairSet, seed: int, valid: float = 0.1, test: float = 0.2) -> NDArray[np.int8]:
    """``TRAIN``, ``VALID`` or ``TEST`` for each node ``(n,)``, so that what is held out was never part of a training pair.

    Whole groups are held out, and, where there are edges, single nodes with all their edges: the queries where the
    source has queries, products otherwise. All nodes of one text go together unless their groups part them.
    """
    part = np.full(len(pairs), TRAIN, np.int8)
    rng = np.random.default_rng(seed)
    groups = np.unique(pairs.group[pairs.group >= 0])
    if len(groups):
        where = _cut(len(groups), valid, test, rng)
        grouped = pairs.group >= 0
        part[grouped] = where[np.searchsorted(groups, pairs.group[grouped])]
    if len(pairs.edges):
        loose = np.unique(pairs.edges)
        loose = loose[pairs.group[loose] < 0]
        # Where an edge joins a query and a product, the query is what will be new.
        asked = pairs.query[pairs.edges].any(1)
        behind = np.unique(pairs.edges[asked])
        only = np.setdiff1d(behind[~pairs.query[behind]], pairs.edges[~asked].ravel())
        loose = np.setdiff1d(loose, only)
        for kind in (True, False):
            some = loose[pairs.query[loose] == kind]
            ids, at = np.unique(pairs.text_id[some], return_inverse=True)
            part[some] = _cut(len(ids), valid, test, rng)[at]
    return part


def _cut(n: int, valid: float, test: float, rng: np.random.Generator) -> NDArray[np.int8]:
    out = np.full(n, TRAIN, np.int8)
    order = rng.permutation(n)
    first, second = round(n * test), round(n * (test + valid))
    out[order[:first]], out[order[first:second]] = TEST, VALID
    return out


def checked(pairs: PairSet, part: NDArray[np.int8]) -> int:
    """How many training pairs there are, with each group of k different texts counted as k - 1.

    Raises:
        DataError: when they are too few, when no text says anything, or when all texts are the same.
    """
    if not len(pairs) or pairs.blank.all():
        raise DataError(
            "no text holds a letter or a digit", mend="Name the column that holds titles", texts=len(pairs)
        )
    if len(np.unique(pairs.text_id)) < 2:
        raise DataError(
            "all texts are the same, so there is nothing to tell apart",
            mend="Name another text column",
            texts=len(pairs),
        )
    inside = part == TRAIN
    found = sum(
        len(np.unique(pairs.text_id[m[inside[m]]])) - 1 for m in pairs.members.values() if inside[m].any()
    )
    if len(pairs.edges):
        a, b = pairs.edges.T
        good = (
            inside[a] & inside[b] & (pairs.text_id[a] != pairs.text_id[b]) & ~pairs.blank[a] & ~pairs.blank[b]
        )
        found += int(good.sum())
    if found < FEWEST:
        raise DataError(
            f"{found} training pairs of different texts; at least {FEWEST} are needed",
            mend="Bring more pairs: events, queries, clusters, descriptions, or a file with --pairs",
            pairs=found,
        )
    return found
