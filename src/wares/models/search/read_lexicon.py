"""What a reader knows of its catalogue: words with counts, pairs of words, brands, attributes, sizes and where words lead.

Arrays of the artefact: ``words`` (strings) with ``word_counts (w,) int64``; ``stems`` (strings); ``pair_hash (p,) uint64``
ascending with ``pair_counts (p,) int32``; ``forms`` (strings) of brands with ``form_ptr (f + 1,)`` into ``form_brand``,
``form_doubt (f,) float32`` and the evidence of doubtful ones ``doubt_ptr (f + 1,)``, ``doubt_token`` (strings),
``doubt_log (d,) float32``; ``values`` (strings) of attributes with ``value_key`` and ``value_cell`` (strings); ``sizes`` (strings);
``cat_ptr (w + 1,)`` into ``cat_code (m,) int32`` and ``cat_count (m,) float32`` with ``cat_total (c,) float32``.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array
from wares.core.strings import StringTable
from wares.models.search.analysis import stem
from wares.models.search.asked import Size
from wares.models.search.read_tokens import Token, fold

AT_MOST_FORM = 5
"""Tokens of the longest name that is looked for."""
DOUBT = 0.2
"""From this share of uses by other brands on, a brand's name is also a word, and the words beside it decide."""
SMOOTH = 0.5
LIKELY = 5
LIKELY_LEAST = 0.02
_JOINS = frozenset({"and", "&", "+"})
Span = tuple[int, int]


def pair_key(first: str, second: str) -> int:
    """A number for two words side by side."""
    raw = f"{first} {second}".encode("utf-8", "surrogatepass")
    return zlib.crc32(raw) | (zlib.crc32(raw[::-1], 1) << 32)


def size_key(size: Size) -> str:
    """A size as text, to three digits."""
    return f"{size.amount:.3g} {size.unit}"


def name_key(run: Iterable[Token]) -> str:
    """The key of tokens side by side, as the brands and attributes of the artefact are stored; ``black + decker`` as ``black decker``."""
    key, before = "", False
    for token in run:
        if token.text in _JOINS:
            continue
        piece = token.text if token.han else fold(token.text)
        key += f" {piece}" if key and not (before or token.han) else piece
        before = token.han
    return key


class Lexicon:
    """Look-ups in the artefact of a reader. Thread-safe: nothing changes after opening."""

    def __init__(self, folder: Path, brands: list[str], categories: list[str]) -> None:
        self.brands, self.categories = brands, categories
        self.words = StringTable.load(folder, "words")
        self.word_counts: NDArray[Any] = load_array(folder, "word_counts")
        self.stems = StringTable.load(folder, "stems")
        self._pair_hash: NDArray[Any] = load_array(folder, "pair_hash")
        self._pair_counts: NDArray[Any] = load_array(folder, "pair_counts")
        forms = list(StringTable.load(folder, "forms"))
        ptr, codes = load_array(folder, "form_ptr").tolist(), load_array(folder, "form_brand").tolist()
        self.forms = {
            form: tuple(brands[b] for b in codes[ptr[i] : ptr[i + 1]]) for i, form in enumerate(forms)
        }
        self.brand_words = frozenset(word for form in forms for word in form.split())
        doubt = load_array(folder, "form_doubt").tolist()
        self._doubt = {form: (i, doubt[i]) for i, form in enumerate(forms) if doubt[i] >= DOUBT}
        self._doubt_ptr = load_array(folder, "doubt_ptr").tolist()
        self._doubt_token = StringTable.load(folder, "doubt_token")
        self._doubt_log: NDArray[Any] = load_array(folder, "doubt_log")
        self.longest_han = max((len(form) for form in forms if not form.isascii()), default=0)
        values, keys, cells = (
            list(StringTable.load(folder, name)) for name in ("values", "value_key", "value_cell")
        )
        self.values = {form: (key, cell) for form, key, cell in zip(values, keys, cells, strict=True)}
        self.keys = {fold(key.lower()) or key.lower(): key for key in StringTable.load(folder, "keys")}
        self._sizes = frozenset(StringTable.load(folder, "sizes"))
        self._cat_ptr: NDArray[Any] = load_array(folder, "cat_ptr")
        self._cat_code: NDArray[Any] = load_array(folder, "cat_code")
        self._cat_count: NDArray[Any] = load_array(folder, "cat_count")
        self._cat_total: NDArray[Any] = load_array(folder, "cat_total")
        self._names = _category_names(categories)
        self.row = lru_cache(50_000)(self.words.find)

    # -- words -----------------------------------------------------------------------------------------------

    def count(self, word: str) -> int:
        """How many texts of the catalogue hold a word."""
        row = self.row(word)
        return int(self.word_counts[row]) if row >= 0 else 0

    def known(self, word: str) -> bool:
        """Whether the catalogue has the word, in this or another ending, or all parts of a word with a hyphen."""
        if self.row(word) >= 0 or word in self.forms or word in self.brand_words or fold(word) in self.forms:
            return True
        token = stem(word)
        if token and self.stems.find(token) >= 0 and not any(mark in word for mark in "-/.&+"):
            return True
        parts = fold(word).split()
        return len(parts) > 1 and all(self.row(part) >= 0 for part in parts)

    def pair(self, first: str, second: str) -> int:
        """How many texts have the two words side by side."""
        key = np.uint64(pair_key(first, second))
        at = int(np.searchsorted(self._pair_hash, key))
        return int(self._pair_counts[at]) if at < len(self._pair_hash) and self._pair_hash[at] == key else 0

    def knows_size(self, size: Size) -> bool:
        """Whether a product has such a size."""
        return size_key(size) in self._sizes

    # -- brands ----------------------------------------------------------------------------------------------

    def brand_at(self, row: list[Token], at: int) -> tuple[int, str]:
        """How many tokens from `at` on are the name of a brand, the longest one, and its key; (0, "") when none is.

        Tokens parted by structure or by a comma are no name.
        """
        for n in range(min(AT_MOST_FORM, len(row) - at), 0, -1):
            run = row[at : at + n]
            if run[0].text in _JOINS or run[-1].text in _JOINS:
                continue
            if any(b.start - a.end > 2 for a, b in itertools.pairwise(run)):
                continue
            key = name_key(run)
            if key in self.forms:
                return n, key
        return 0, ""

    def brand_inside(self, run: str) -> tuple[int, int] | None:
        """Where in a run of Chinese the longest brand of three characters or more stands, however the run is segmented."""
        for length in range(min(self.longest_han, len(run)), 2, -1):
            for at in range(len(run) - length + 1):
                if run[at : at + length] in self.forms:
                    return at, at + length
        return None

    def meant(self, key: str, others: Collection[str]) -> bool:
        """Whether a name that is also a word stands for the brand here, by the words and units of the query beside it.

        A comparison of naive Bayes: products of the brand against products of others that have the word in their title.
        """
        if key not in self._doubt:
            return True
        form, share = self._doubt[key]
        low, high = self._doubt_ptr[form], self._doubt_ptr[form + 1]
        known = {str(self._doubt_token[i]): float(self._doubt_log[i]) for i in range(low, high)}
        told = [known[other] for other in others if other in known]
        prior = float(np.log((1 - share) / share)) if 0 < share < 1 else (-5.0 if share else 5.0)
        return bool(others) and prior + sum(told) > 0

    # -- categories ------------------------------------------------------------------------------------------

    def category(self, name: str) -> tuple[str, ...]:
        """The paths that have this name as one of their levels, up to that level; a plural may differ."""
        key = fold(name.lower())
        return self._names.get(key) or self._names.get(_single(key)) or ()

    def likely(self, words: Iterable[str]) -> dict[int, float]:
        """Probability of categories for words, by naive Bayes over titles and clicks; at most `LIKELY`, most probable first."""
        total = self._cat_total
        if not len(total):
            return {}
        score: NDArray[np.float64] | None = None
        whole = float(total.sum())
        for word in words:
            row = self.row(word)
            if row < 0:
                row = self.row(stem(word))
            if row < 0:
                continue
            part = slice(int(self._cat_ptr[row]), int(self._cat_ptr[row + 1]))
            counts = self._cat_count[part]
            if not len(counts):
                continue
            if score is None:
                score = np.zeros(len(total))
            share = float(counts.sum()) / whole
            base = np.log(SMOOTH * share / (total + SMOOTH))
            codes = self._cat_code[part]
            base[codes] = np.log((counts + SMOOTH * share) / (total[codes] + SMOOTH))
            score += base
        if score is None:
            return {}
        odds = score + np.log(total + 1e-9)
        shares = np.exp(odds - odds.max())
        shares = shares / shares.sum()
        best = np.argsort(-shares, kind="stable")[:LIKELY]
        return {int(c): round(float(shares[c]), 4) for c in best if shares[c] >= LIKELY_LEAST}


def _single(key: str) -> str:
    return key[:-1] if len(key) > 3 and key.endswith("s") else key


def _category_names(categories: list[str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, dict[str, None]] = {}
    for path in categories:
        levels = [level.strip() for level in path.split(">")]
        for depth, level in enumerate(levels, 1):
            key = fold(level.lower())
            if key:
                for form in {key, _single(key)}:
                    names.setdefault(form, {})[" > ".join(levels[:depth])] = None
    return {name: tuple(paths) for name, paths in names.items()}
