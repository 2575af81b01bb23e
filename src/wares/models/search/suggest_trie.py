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
    ``edges (n_nodes - 1,) int64`` is ``parent << 21 | character``, ascending; ``lows`` and ``highs (n_nodes,) int32`` the
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
        depths = _depths(np.array(edges, np.int64), len(nodes))
        ends = [low < high and len(words[low]) == d for (low, high), d in zip(nodes, depths, strict=True)]
        return cls(np.array(edges, np.int64), spans[:, 0].copy(), spans[:, 1].copy(), np.array(ends, bool))

    def save(self, folder: Path) -> None:
        """Write the arrays as ``trie_*.npy``."""
        save_arrays(
            folder, trie_edges=self.edges, trie_lows=self.lows, trie_highs=self.highs, trie_whole=self.whole
        )

    @classmethod
    def load(cls, folder: Path) -> Trie:
        """Read what `save` wrote, memory-mapped."""
        return cls(*(load_array(folder, f"trie_{name}") for name in ("edges", "lows", "highs", "whole")))

    def _step(self, nodes: Nodes, letter: str) -> Nodes:
        """The nodes that a letter leads to."""
        keys = nodes << _BITS | ord(letter)
        at = np.searchsorted(self.edges, keys)
        at = at[at < len(self.edges)] if len(at) and at[-1] >= len(self.edges) else at
        return at[self.edges[at] == keys[: len(at)]] + 1

    def _children(self, nodes: Nodes) -> Nodes:
        begin = np.searchsorted(self.edges, nodes << _BITS)
        end = np.searchsorted(self.edges, (nodes + 1) << _BITS)
        counts = end - begin
        total = int(counts.sum())
        if not total:
            return np.zeros(0, np.int64)
        shift = np.repeat(begin - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        return np.arange(total, dtype=np.int64) + shift + 1

    def near(self, word: str, mistakes: int, *, whole: bool) -> list[Near]:
        """Words within optimal string alignment of `mistakes` of `word` or, unless `whole`, words that begin so; fewest
        mistakes first.

        The first letter is taken as right, but for a swap with the second: a slip there is rare, and would open the whole list.
        """
        word = word[:LONGEST]
        n, none = len(word), np.zeros(0, np.int64)
        if not n or not len(self.edges):
            return []
        reached: list[list[Nodes]] = [[none] * (mistakes + 1) for _ in range(n + 2)]
        root = np.zeros(1, np.int64)
        reached[1][0] = self._step(root, word[0])
        if n > 1 and mistakes:
            reached[2][1] = self._step(self._step(root, word[1]), word[0])
        for i in range(1, n + 1):
            for e in range(mistakes + 1):
                nodes = reached[i][e]
                if not len(nodes):
                    continue
                # `_step` needs ascending nodes.
                nodes = reached[i][e] = np.unique(nodes)
                below = self._children(nodes) if e < mistakes else none
                if e < mistakes and (i < n or whole):
                    reached[i][e + 1] = np.concatenate([reached[i][e + 1], below])
                if i == n:
                    continue
                there = reached[i + 1]
                there[e] = np.concatenate([there[e], self._step(nodes, word[i])])
                if e < mistakes:
                    there[e + 1] = np.concatenate([there[e + 1], nodes, below])
                    if i + 1 < n:
                        swapped = self._step(self._step(nodes, word[i + 1]), word[i])
                        reached[i + 2][e + 1] = np.concatenate([reached[i + 2][e + 1], swapped])
        return self._found(reached[n], whole)

    def _found(self, by_mistakes: list[Nodes], whole: bool) -> list[Near]:
        out: list[Near] = []
        seen: set[int] = set()
        for e, nodes in enumerate(by_mistakes):
            for node in np.unique(nodes).tolist():
                if node in seen or (whole and not self.whole[node]):
                    continue
                seen.add(node)
                low = int(self.lows[node])
                out.append(Near(low, low + 1 if whole else int(self.highs[node]), e))
        return out


def _depths(edges: Nodes, n: int) -> list[int]:
    depth = [0] * n
    for i, parent in enumerate((edges >> _BITS).tolist()):
        depth[i + 1] = depth[parent] + 1
    return depth
