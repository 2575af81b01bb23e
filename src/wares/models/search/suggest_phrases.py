"""What of a catalogue is worth proposing: categories, brands, names of products, and the words that names share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wares.core.text import has_han
from wares.features.catalogue import Catalogue
from wares.models.search.analysis import lower
from wares.models.search.suggest_text import joined, parts, shown

SHORTEST, LONGEST = 2, 60
CHINESE_LONGEST = 24
FACTORS = {"product": 1.0, "category": 0.5, "brand": 0.3}
SHARED = 0.8
SEQUENCE, LEAST_NAMES, AT_END, NAMES = 3, 3, 0.3, 200_000
_SEAM = re.compile(r"\s[-–|/]\s|[,;|(（，；【\[]")
_STOPS = frozenset(
    [
        "a",
        "an",
        "and",
        "for",
        "from",
        "in",
        "of",
        "on",
        "or",
        "the",
        "to",
        "with",
        "by",
        "at",
        "as",
        "per",
        "is",
        "it",
        "la",
        "le",
        "de",
    ]
)


def name_of(column: str, cell: str) -> str:
    """What of a cell is worth proposing: the leaf of a category path, a title up to its first comma and not too long."""
    text = shown(cell.rsplit(">", 1)[-1] if column == "category" else cell)
    if column != "product":
        return text
    head = next((part.strip() for part in _SEAM.split(text) if part.strip()), "")
    most = CHINESE_LONGEST if has_han(head) else LONGEST
    if len(head) <= most:
        return head
    end = max((at + len(word) for word, at in parts(head) if at + len(word) <= most), default=0)
    return head[:end]


@dataclass(slots=True)
class Phrase:
    """One thing to propose. `kind` is where most of its weight is from."""

    text: str
    weight: float = 0.0
    heaviest: float = 0.0
    kind: str = ""
    category: int = -1
    by_kind: dict[str, float] = field(default_factory=dict[str, float])


class Book:
    """Phrases by their lower-case form; the form that weighs most is shown."""

    def __init__(self) -> None:
        self._phrases: dict[str, Phrase] = {}
        self.total = 0.0

    @classmethod
    def of(cls, catalogue: Catalogue, sold: NDArray[np.int64]) -> Book:
        """Categories, brands and names of a catalogue, by what was sold."""
        book = cls()
        category_of, worth = np.asarray(catalogue.category_of), 1.0 + np.asarray(sold, np.float64)
        for kind, column in (("product", "title"), ("category", "category"), ("brand", "brand")):
            weights: dict[str, float] = {}
            places: dict[str, dict[int, float]] = {}
            for row, cell in enumerate(catalogue.columns[column]):
                text = name_of(kind, cell)
                if not SHORTEST <= len(text) <= LONGEST:
                    continue
                weight = FACTORS[kind] * float(worth[row])
                weights[text] = weights.get(text, 0.0) + weight
                code = int(category_of[row])
                there = places.setdefault(text, {})
                there[code] = there.get(code, 0.0) + weight
            for text, weight in weights.items():
                there = places[text]
                book.add(text, kind, weight, max(there, key=lambda code: (there[code], -code)))
        return book

    def add(self, text: str, kind: str, weight: float, category: int) -> None:
        """Add weight to a phrase; its category is that of its heaviest source."""
        phrase = self._phrases.setdefault(lower(text), Phrase(text))
        phrase.weight += weight
        phrase.by_kind[kind] = phrase.by_kind.get(kind, 0.0) + weight
        self.total += weight
        if weight > phrase.heaviest:
            phrase.heaviest = weight
            phrase.text = text if kind != "query" else phrase.text
            phrase.category = category if category >= 0 else phrase.category
        phrase.kind = max(phrase.by_kind, key=lambda name: (phrase.by_kind[name], name))

    def texts(self) -> list[str]:
        """All phrases, as they are shown."""
        return [phrase.text for phrase in self._phrases.values()]

    def weight(self, text: str) -> float:
        """The weight of a phrase; 0 where there is none."""
        found = self._phrases.get(lower(text))
        return found.weight if found is not None else 0.0

    def names(self, kind: str) -> list[Phrase]:
        """Phrases of a kind, heaviest first."""
        found = [phrase for phrase in self._phrases.values() if kind in phrase.by_kind]
        return sorted(found, key=lambda phrase: (-phrase.weight, phrase.text))

    def best(self, most: int) -> list[Phrase]:
        """The heaviest phrases; ties by text."""
        return sorted(self._phrases.values(), key=lambda phrase: (-phrase.weight, phrase.text))[:most]


def sequences(catalogue: Catalogue, book: Book) -> Iterator[tuple[str, float, int]]:
    """Up to three words that several names share and end with, as ``desk lamp`` of ``red desk lamp``: (text, weight, category).

    A product's kind stands at the end of its name in English and Chinese; so words that seldom end a name are no kind. What is
    nearly always part of one longer sequence is left out for that.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    ends: Counter[tuple[str, ...]] = Counter()
    weights: dict[tuple[str, ...], float] = {}
    places: dict[tuple[str, ...], dict[int, float]] = {}
    for name in book.names("product")[:NAMES]:
        words = [word for word, _ in parts(lower(name.text))]
        for size in range(1, SEQUENCE + 1):
            for i in range(len(words) - size + 1):
                some = tuple(words[i : i + size])
                if some[0] in _STOPS or some[-1] in _STOPS or any(word.isdigit() for word in some):
                    continue
                counts[some] += 1
                ends[some] += i + size == len(words)
                weights[some] = weights.get(some, 0.0) + name.by_kind["product"]
                there = places.setdefault(some, {})
                there[name.category] = there.get(name.category, 0.0) + name.weight
    frequent = {some: n for some, n in counts.items() if n >= LEAST_NAMES and ends[some] >= AT_END * n}
    covered = {
        part
        for some, n in frequent.items()
        for part in (some[1:], some[:-1])
        if part and n >= SHARED * counts[part]
    }
    for some in sorted(frequent.keys() - covered):
        text = joined(some)
        there = places[some]
        if SHORTEST <= len(text) <= LONGEST:
            # Words that are a name of their own already have that weight.
            weight = max(0.0, SHARED * weights[some] - book.weight(text))
            yield text, weight, max(there, key=lambda code: (there[code], -code))
