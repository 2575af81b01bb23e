"""Words that begin, but for some mistakes, as what was typed: a walk of all paths of a trie at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays

LONGEST = 24
_BITS = 21
"""Bits of a Unicode character."""
_ERRORS, _MASK = 2, 3
"""Bits of the mistakes in a state."""
_MANY = 300
_END = np.iinfo(np.int64).max
Nodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Near:
    """Words ``low`` to ``high`` (not included) of the ascending list, with the mistakes that lead to them."""

    low: int
    high: int
    mistakes: int


class Trie:
    """A trie over an ascending list of words, in arrays.

    Nodes are numbered level by level, so that the children of one stand together: node ``i + 1`` is the end of edge ``i``.
    ``edges (n_nodes,) int64`` is ``parent << 21 | character``, ascending, with a last one that nothing matches; ``lows`` and ``highs (n_nodes,) int32`` the
    words below a node, ``whole (n_nodes,) bool`` whether the first of them ends there.
    """

    def __init__(self, edges: Nodes, lows: NDArray[np.int32], highs: NDArray[np.int32], whole: NDArray[np.bool_]) -> None:  # fmt: skip
        self.edges, self.lows, self.highs, self.whole = edges, lows, highs, whole

    @classmethod
    def of(cls, words: Sequence[str]) -> Trie:
        """Build over ascending distinct words; what lies beyond 24 characters does not count."""
        words = [word[:LONGEST] for word in words]
        nodes: list[tuple[int, int]] = [(0, len(words))]
        edges: list[int] = []
        done, depth, level_end = 0, 0, 1
        while done < len(nodes):
            if done == level_end:
                depth, level_end = depth + 1, len(nodes)
            low, high = nodes[done]
            at = low
            while at < high and len(words[at]) <= depth:
                at += 1
            while at < high:
                letter, begin = words[at][depth], at
                while at < high and words[at][depth] == letter:
                    at += 1
                edges.append(done << _BITS | ord(letter))
                nodes.append((begin, at))
            done += 1
        spans = np.array(nodes, np.int32).reshape(-1, 2)
        depths = _depths(edges, len(nodes))
        ends = [low < high and len(words[low]) == d for (low, high), d in zip(nodes, depths, strict=True)]
        return cls(
            np.array([*edges, _END], np.int64), spans[:, 0].copy(), spans[:, 1].copy(), np.array(ends, bool)
        )

    def save(self, folder: Path) -> None:
        """Write the arrays as ``trie_*.npy``."""
        save_arrays(
            folder, trie_edges=self.edges, trie_lows=self.lows, trie_highs=self.highs, trie_whole=self.whole
        )

    @classmethod
    def load(cls, folder: Path) -> Trie:
        """Read what `save` wrote, memory-mapped."""
        return cls(*(load_array(folder, f"trie_{name}") for name in ("edges", "lows", "highs", "whole")))

    def _step(self, states: Nodes, letter: int) -> Nodes:
        """The states that a letter leads to."""
        keys = states >> _ERRORS << _BITS | letter
        at = np.searchsorted(self.edges, keys)
        there = self.edges[at] == keys
        return (at[there] + 1) << _ERRORS | states[there] & _MASK

    def _children(self, states: Nodes) -> Nodes:
        nodes = states >> _ERRORS
        begin, end = np.searchsorted(self.edges, np.stack([nodes, nodes + 1]) << _BITS)
        counts = end - begin
        ends = np.cumsum(counts)
        if not ends[-1]:
            return states[:0]
        shift = np.repeat(begin - ends + counts + 1, counts)
        return (np.arange(ends[-1]) + shift) << _ERRORS | np.repeat(states & _MASK, counts)

    def near(self, word: str, mistakes: int, *, whole: bool) -> list[Near]:
        """Words within optimal string alignment of `mistakes` (0 to 2) of `word` or, unless `whole`, words that begin so; fewest
        mistakes first.

        The first letter is taken as right, but for a swap with the second: a slip there is rare, and would open the whole list.
        """
        word = word[:LONGEST]
        n = len(word)
        if not n or len(self.edges) < 2:
            return []
        letters = [ord(ch) for ch in word]
        # A state is a node and its mistakes; all states after the same letters are walked on at once.
        reached: list[list[Nodes]] = [[] for _ in range(n + 2)]
        root = np.zeros(1, np.int64)
        reached[1].append(self._step(root, letters[0]))
        if n > 1 and mistakes:
            reached[2].append(self._step(self._step(root, letters[1]), letters[0]) + 1)
        ended = root[:0]
        for i in range(1, n + 1):
            states = np.concatenate(reached[i])
            if len(states) > _MANY:
                states = np.unique(states)
            free = states[(states & _MASK) < mistakes]
            below = self._children(free) + 1 if len(free) else free
            if i < n or whole:
                # Letters that were left out: a child further on for the same letters typed.
                more = below
                while len(more):
                    states = np.concatenate([states, more])
                    again = more[(more & _MASK) < mistakes]
                    further = self._children(again) + 1 if len(again) else again
                    free, below = np.concatenate([free, again]), np.concatenate([below, further])
                    more = further
            if i == n:
                ended = states
                break
            if len(states):
                reached[i + 1] += [self._step(states, letters[i]), free + 1, below]
            if i + 1 < n and len(free):
                reached[i + 2].append(self._step(self._step(free, letters[i + 1]), letters[i]) + 1)
            if not reached[i + 1]:
                reached[i + 1].append(root[:0])
        return self._found(ended, whole)

    def _found(self, states: Nodes, whole: bool) -> list[Near]:
        best: dict[int, int] = {}
        for state in states.tolist():
            node, e = state >> _ERRORS, state & _MASK
            if (not whole or self.whole[node]) and e < best.get(node, 9):
                best[node] = e
        return [
            Near(int(self.lows[node]), int(self.lows[node]) + 1 if whole else int(self.highs[node]), e)
            for node, e in sorted(best.items(), key=lambda item: (item[1], item[0]))
        ]


def _depths(edges: Sequence[int], n: int) -> list[int]:
    depth = [0] * n
    for i, edge in enumerate(edges):
        depth[i + 1] = depth[edge >> _BITS] + 1
    return depth
