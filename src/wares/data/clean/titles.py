"""Near-duplicate titles: groups of texts that say the same in another order, spelling or case, with equal numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from rapidfuzz import fuzz

from wares.core.files import digest

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_]+|\d+(?:[.,]\d+)?")
BLOCK = 60
"""A word or word pair that more texts share than this says nothing about any two of them."""
LONGEST = 500


def _tokens(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    plain = "".join(ch for ch in unicodedata.normalize("NFD", folded) if not unicodedata.combining(ch))
    return tuple(sorted(set(_WORD.findall(plain.replace("'", "").replace("’", "")))))


def groups(texts: Iterable[str], threshold: float = 0.92) -> dict[str, str]:
    """Text → group name, for texts that have a near duplicate other than themselves.

    Two texts are near when they have the same numbers and their sorted words are alike by at least `threshold`
    (normalised indel similarity). Candidates share their two rarest words, so the time grows with the number of
    texts and not with its square. Groups are the connected components; the name is made from the first text.
    """
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text in texts:
        key = _tokens(text)
        if key:
            members[key].append(text)
    keys = sorted(members)
    often = Counter(word for key in keys for word in key)
    parent = list(range(len(keys)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    lines = [" ".join(key) for key in keys]
    numbers = [tuple(word for word in key if word[0].isdigit()) for key in keys]
    blocks: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for n, key in enumerate(keys):
        rare = sorted((word for word in key if not word[0].isdigit()), key=lambda w: (often[w], w))[:4]
        for i, first in enumerate(rare):
            for second in rare[i + 1 :] or ([first] if len(rare) == 1 else []):
                blocks[(first, second, numbers[n])].append(n)
    for block in blocks.values():
        if 1 < len(block) <= BLOCK:
            for i, one in enumerate(block):
                for other in block[i + 1 :]:
                    if root(one) != root(other) and _alike(lines[one], lines[other], threshold):
                        parent[max(root(one), root(other))] = min(root(one), root(other))
    sizes: Counter[int] = Counter()
    for n, key in enumerate(keys):
        sizes[root(n)] += len(members[key])
    names = {n: f"g{digest(keys[n])[:10]}" for n, size in sizes.items() if size > 1}
    return {text: names[root(n)] for n, key in enumerate(keys) if root(n) in names for text in members[key]}


def _alike(one: str, other: str, threshold: float) -> bool:
    return fuzz.ratio(one, other, score_cutoff=100 * threshold) > 0
