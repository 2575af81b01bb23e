"""The graph as memory-mapped arrays: neighbourhoods, paths and entity vectors, readable with numpy alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.errors import NotFound
from wares.core.strings import StringTable

KIND = "graph"
PRODUCT = "product"
ALWAYS = -1
"""The day of an edge that carries no date: it was always there."""
HUB = 2_000
"""Entities with more edges explain nothing ("both are sold in euros"); paths do not lead through them."""
MOST_SEEN = 50_000
"""A search for paths gives up beyond so many entities on one side."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of a path or neighbourhood; ``forward`` is False when read against its direction."""

    head: int
    relation: str
    tail: int
    weight: float
    source: str
    day: int
    forward: bool = True


class Graph:
    """Entities by row (the first ``n_products`` are the catalogue's products), edges in both directions.

    Arrays: ``ptr (n_entities + 1,) int64``; for every edge ``tails int32``, ``relations int16`` (``r`` forward,
    ``r + n_relations`` backward), ``weights float32`` in 0..1, ``days int32`` (days since 1970, -1 for always),
    ``sources int16``; ``kinds (n_entities,) int16``. Edges of a head are sorted by relation, then tail.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.names = StringTable.load(folder, "names")
        self.relations: list[str] = list(self.manifest["relations"])
        self.sources: list[str] = list(self.manifest["sources"])
        self.kinds: list[str] = list(self.manifest["kinds"])
        self.n_products = int(self.manifest["n_products"])
        self.kind_of: NDArray[Any] = load_array(folder, "kind_of")
        self.ptr: NDArray[Any] = load_array(folder, "ptr")
        self.tails: NDArray[Any] = load_array(folder, "tails")
        self.relation_of: NDArray[Any] = load_array(folder, "relation_of")
        self.weights: NDArray[Any] = load_array(folder, "weights")
        self.days: NDArray[Any] = load_array(folder, "days")
        self.source_of: NDArray[Any] = load_array(folder, "source_of")
        # Products of many lists come again and again; tables meet faster than arrays that must be sorted first.
        self._around = lru_cache(4096)(self._strongest_to)

    def __len__(self) -> int:
        return len(self.names)

    def entity(self, kind: str, value: str) -> int:
        """The row of an entity.

        Raises:
            NotFound: when there is none.
        """
        row = self.names.find(f"{kind}:{value}")
        if row < 0:
            raise NotFound(f"the graph has no {kind} {value!r}", mend="Check the spelling", id=value)
        return row

    def label(self, entity: int) -> tuple[str, str]:
        """(kind, value) of an entity."""
        kind, _, value = str(self.names[entity]).partition(":")
        return kind, value

    def degree(self, entity: int) -> int:
        """How many edges touch it."""
        return int(self.ptr[entity + 1] - self.ptr[entity])

    def counts(self, entity: int) -> dict[str, int]:
        """How many edges of each relation touch it, by name."""
        part = slice(int(self.ptr[entity]), int(self.ptr[entity + 1]))
        n = max(len(self.relations), 1)
        sums = np.bincount(np.asarray(self.relation_of[part]) % n, minlength=n)
        return {name: int(sums[i]) for i, name in enumerate(self.relations) if sums[i]}

    def _edge(self, head: int, at: int) -> Edge:
        relation, n = int(self.relation_of[at]), len(self.relations)
        return Edge(
            head,
            self.relations[relation % n],
            int(self.tails[at]),
            float(self.weights[at]),
            self.sources[int(self.source_of[at])],
            int(self.days[at]),
            relation < n,
        )

    def neighbours(
        self, entity: int, relation: str | None = None, limit: int = 50, until: int | None = None
    ) -> list[Edge]:
        """Edges of an entity, strongest first (ties by row), of one relation if given, known before day `until`."""
        at = np.arange(self.ptr[entity], self.ptr[entity + 1])
        if relation is not None:
            if relation not in self.relations:
                raise NotFound(
                    f"the graph has no relation {relation!r}",
                    mend=f"It has {', '.join(self.relations)}",
                    id=relation,
                )
            at = at[self.relation_of[at] % len(self.relations) == self.relations.index(relation)]
        if until is not None:
            at = at[self.days[at] < until]
        order = np.lexsort((self.tails[at], -self.weights[at]))[:limit]
        return [self._edge(entity, int(i)) for i in at[order]]

    def between(self, one: int, other: int, limit: int = 8) -> list[list[Edge]]:
        """Ways of one or two steps between two entities: direct edges first, then by what fewest others share.

        Never through an entity with over 2,000 edges. Takes time in proportion to the edges of both.
        """
        here, there = (self.tails[self.ptr[e] : self.ptr[e + 1]] for e in (one, other))
        if len(here) > MOST_SEEN or len(there) > MOST_SEEN:
            return [self._direct(one, int(i)) for i in np.flatnonzero(here == other)][:limit]
        near = self._around(one)
        found = [self._direct(one, int(i)) for i in np.flatnonzero(here == other)] if other in near else []
        if one == other:
            return found[:limit]
        far = self._around(other)
        both = np.fromiter(near.keys() & far.keys(), np.int64)
        if not len(both):
            return found[:limit]
        degree = self.ptr[both + 1] - self.ptr[both]
        for middle in both[np.lexsort((both, degree))][: int((degree <= HUB).sum())][:limit].tolist():
            found.append([self._edge(one, near[middle]), _turned(self._edge(other, far[middle]))])
        return found[:limit]

    def _direct(self, head: int, place: int) -> list[Edge]:
        return [self._edge(head, int(self.ptr[head]) + place)]

    def _strongest_to(self, entity: int) -> dict[int, int]:
        """For each entity that one is joined to, the place of the strongest edge (the first of equals)."""
        begin, end = int(self.ptr[entity]), int(self.ptr[entity + 1])
        order = np.lexsort((-np.arange(begin, end), np.asarray(self.weights[begin:end])))
        # Weakest first, so that the strongest is written last.
        return dict(zip(self.tails[begin:end][order].tolist(), (order + begin).tolist(), strict=True))

    def paths(self, start: int, end: int, hops: int = 3, limit: int = 5) -> list[list[Edge]]:
        """Shortest paths between two entities, the strongest first; never through an entity with over 2,000 edges.

        Breadth first from both ends; a loop never occurs, as no entity comes twice in a path.
        """
        if start == end:
            return []
        near, far = self._reach(start, (hops + 1) // 2), self._reach(end, hops // 2)
        both = [e for e in near.keys() & far.keys() if e in (start, end) or self.degree(e) <= HUB]
        meeting = sorted(both, key=lambda e: (near[e][0] + far[e][0], self.degree(e), e))
        found: list[list[Edge]] = []
        for middle in meeting[: limit * 20]:
            path = self._trace(near, middle)
            path += [_turned(edge) for edge in reversed(self._trace(far, middle))]
            visited = [path[0].head, *(edge.tail for edge in path)] if path else []
            if path and len(set(visited)) == len(visited):
                found.append(path)
        found.sort(key=lambda p: (len(p), -float(np.prod([e.weight for e in p])), [e.tail for e in p]))
        return found[:limit]

    def _reach(self, start: int, hops: int) -> dict[int, tuple[int, int, int]]:
        """Entities within `hops`: (distance, the entity before, the edge that led here)."""
        seen: dict[int, tuple[int, int, int]] = {start: (0, -1, -1)}
        queue = deque([start])
        while queue:
            head = queue.popleft()
            distance = seen[head][0]
            if distance == hops or self.degree(head) > HUB or len(seen) > MOST_SEEN:
                continue
            first = int(self.ptr[head])
            for offset, tail in enumerate(self.tails[first : self.ptr[head + 1]].tolist()):
                if tail not in seen:
                    seen[tail] = (distance + 1, head, first + offset)
                    queue.append(tail)
        return seen

    def _trace(self, seen: dict[int, tuple[int, int, int]], entity: int) -> list[Edge]:
        edges: list[Edge] = []
        while seen[entity][1] >= 0:
            _, before, at = seen[entity]
            edges.append(self._edge(before, at))
            entity = before
        return edges[::-1]


def _turned(edge: Edge) -> Edge:
    return Edge(
        edge.tail, edge.relation, edge.head, edge.weight, edge.source, edge.day, forward=not edge.forward
    )
