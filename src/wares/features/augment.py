"""Other ways to say the same of a product, for training where labels are few: order, slips of the keyboard, fewer fields.

Numbers and the units after them are never changed, dropped or parted: two products that agree in all but a number are two
products, and a text without its number says something else. Methods as in Wei & Zou 2019 (easy data augmentation) and
Li et al. 2020 (Ditto: fields and spans dropped and shuffled), less what those do to numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

KINDS = ("order", "typos", "fields")
SHORTEST = 5
"""Letters that a word must have to get a slip."""
UNIT = 4
"""A word of at most so many letters after a number is taken for its unit."""
_PART = re.compile(r"\s*[;|·]\s*|(?<!\d)[.,]\s+|[.,]\s+(?!\d)")


def vary(text: str, kinds: Sequence[str], rng: np.random.Generator) -> str:
    """`text` in one of the ways `kinds` drawn at random; the text itself where that way changes nothing."""
    return _WAYS[kinds[int(rng.integers(len(kinds)))]](text, rng) if kinds else text


def reordered(text: str, rng: np.random.Generator) -> str:
    """Fields after the first in another order; of a text with fewer than three fields, two neighbouring words."""
    parts = fields_of(text)
    if len(parts) > 2:
        rest = [parts[1:][i] for i in rng.permutation(len(parts) - 1)]
        return ", ".join([parts[0], *rest])
    units = units_of(text)
    if len(units) < 2:
        return text
    at = int(rng.integers(len(units) - 1))
    units[at], units[at + 1] = units[at + 1], units[at]
    return " ".join(units)


def slipped(text: str, rng: np.random.Generator) -> str:
    """One letter of one long word left out, doubled, or swapped with the next; only words of scripts that have case, without digits."""
    words = text.split()
    long = [
        i
        for i, word in enumerate(words)
        if len(word) >= SHORTEST and word.isalpha() and word.lower() != word.upper()
    ]
    if not long:
        return text
    chosen = long[int(rng.integers(len(long)))]
    word = words[chosen]
    at = int(rng.integers(1, len(word) - 1))
    kind = int(rng.integers(3))
    if kind == 0:
        word = word[:at] + word[at + 1 :]
    elif kind == 1:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[chosen] = word
    return " ".join(words)


def shortened(text: str, rng: np.random.Generator) -> str:
    """Without one field, or (every second time) with the title and the fields that hold a number only; the first field stays."""
    parts = fields_of(text)
    loose = [i for i in range(1, len(parts)) if not any(ch.isdigit() for ch in parts[i])]
    if not loose:
        return text
    gone = set(loose) if rng.random() < 0.5 else {loose[int(rng.integers(len(loose)))]}
    return ", ".join(part for i, part in enumerate(parts) if i not in gone)


def fields_of(text: str) -> list[str]:
    """Parts between commas, full stops, semicolons, bars and dots; a comma or point between digits parts nothing."""
    return [part for part in _PART.split(text.strip().rstrip(".;,|")) if part]


def units_of(text: str) -> list[str]:
    """Words; a number, what follows it as a unit, and measures beside each other are one."""
    out: list[str] = []
    for word in text.split():
        last = out[-1].split()[-1] if out else ""
        figures = any(ch.isdigit() for ch in word)
        unit = word.isalpha() and len(word) <= UNIT and last[-1:].isdigit()
        measured = bool(out) and figures and any(ch.isdigit() for ch in out[-1])
        if out and (unit or measured):
            out[-1] += " " + word
        else:
            out.append(word)
    return out


_WAYS: dict[str, Callable[[str, np.random.Generator], str]] = {
    "order": reordered,
    "typos": slipped,
    "fields": shortened,
}
