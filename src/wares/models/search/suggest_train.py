"""Build what is proposed while typing: phrases of the catalogue and of past queries, and the ways to find them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.core.text import has_han
from wares.features.catalogue import Catalogue
from wares.models.search.analysis import lower
from wares.models.search.suggest import KIND, KINDS, peaks
from wares.models.search.suggest_past import Past, shareable
from wares.models.search.suggest_phrases import Book, sequences
from wares.models.search.suggest_text import STARTS, parts, tokens
from wares.models.search.suggest_trie import Trie

MOST = 300_000
INITIALS_FROM, INITIALS_TO = 2, 12
Rows = Iterable[tuple[str, str, str, int]]


def fit_suggest(
    catalogue: Catalogue,
    sold: NDArray[np.int64],
    folder: Path,
    past: Callable[[], Rows] = list,
    people: int = 5,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write the artefact into `folder`.

    Args:
        catalogue: the products.
        sold: ``(n_items,)`` how often each was sold; the weight of what names it.
        past: gives past queries as (text, user, session, clicked row or -1).
        people: how many must have typed a query before it is shown to others; 0 shows none.
    """
    book = Book.of(catalogue, sold)
    for words, weight, category in sequences(catalogue, book):
        book.add(words, "phrase", weight, category)
    known = frozenset(word for text in book.texts() for word in tokens(text))
    queries = shareable(past(), people, known) if people else []
    _add_queries(book, queries, catalogue)
    phrases = book.best(MOST)
    facts = write(
        folder,
        [p.text for p in phrases],
        np.array([p.weight for p in phrases], np.float64),
        np.array([KINDS.index(p.kind) for p in phrases], np.uint8),
        np.array([p.category for p in phrases], np.int32),
        sorted({name for name in catalogue.columns["category"] if name}),
        progress,
    )
    return seal(folder, KIND, **facts, queries=len(queries), people=people)


def _add_queries(book: Book, queries: Sequence[Past], catalogue: Catalogue) -> None:
    """Past queries weigh together as much as the catalogue does: a searcher is worth what a name's sales are on average."""
    asked = sum(past.people for past in queries)
    if not asked:
        return
    worth = book.total / asked
    category_of = catalogue.category_of
    for past in queries:
        codes: Counter[int] = Counter()
        for row, times in past.clicks.items():
            codes[int(category_of[row])] += times  # pyright: ignore[reportArgumentType]
        category = max(codes, key=lambda code: (codes[code], -code)) if codes else -1
        book.add(past.text, "query", worth * past.people, category)


def write(
    folder: Path,
    texts: Sequence[str],
    weights: NDArray[np.float64],
    kinds: NDArray[np.uint8],
    categories: NDArray[np.int32],
    category_names: Sequence[str],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write the arrays of phrases given heaviest first, with the code of the category of each; returns facts for the manifest."""
    log_most = float(np.log1p(weights.max(initial=0.0)))
    level = (np.log1p(weights) / max(log_most, 1e-9)).astype(np.float32)
    speak = _Speaker()
    starts: list[tuple[str, int, int]] = []
    sounds: list[tuple[str, int, int]] = []
    held: list[list[str]] = []
    for number, text in enumerate(texts):
        low = lower(text)
        words = parts(low)
        starts += [(low[at:], number, at) for _, at in words[:STARTS]]
        spoken = [speak(word) for word, _ in words] if has_han(low) else []
        if spoken:
            sounds += _sounds(words, spoken, number)
        mine = dict.fromkeys([*tokens(low), *("".join(s) for (w, _), s in zip(words, spoken, strict=False) if has_han(w))])  # fmt: skip
        held.append(list(mine))
        if number % 5000 == 0:
            progress(number, len(texts))
    starts.sort()
    sounds = sorted(set(sounds))
    StringTable.of(texts).save(folder, "phrases")
    StringTable.of(category_names).save(folder, "categories")
    StringTable.of([key for key, _, _ in sounds]).save(folder, "sounds")
    readings = speak.characters({ch for text in texts for ch in text if has_han(ch)})
    StringTable.of(readings.keys()).save(folder, "characters")
    StringTable.of(readings.values()).save(folder, "readings")
    n_words = _write_words(folder, held)
    arrays: dict[str, NDArray[Any]] = {}
    for name, entries in (("start", starts), ("sound", sounds)):
        phrase = np.array([p for _, p, _ in entries], np.int32)
        score = level[phrase] if len(phrase) else np.zeros(0, np.float32)
        arrays |= {
            f"{name}_phrase": phrase, f"{name}_offset": np.array([at for _, _, at in entries], np.uint8),
            f"{name}_score": score, f"{name}_peaks": peaks(score),
        }  # fmt: skip
    length = np.array([len(text) for text in texts], np.uint8)
    save_arrays(
        folder,
        **arrays,
        phrase_level=level,
        phrase_kind=kinds,
        phrase_category=categories,
        phrase_length=length,
    )
    named = Counter(KINDS[kind] for kind in kinds.tolist())
    return {"phrases": len(texts), "starts": len(starts), "sounds": len(sounds), "words": n_words, "log_most": log_most, "kinds": dict(sorted(named.items()))}  # fmt: skip


def _write_words(folder: Path, held: list[list[str]]) -> int:
    """The words of phrases and the phrases of words, both ways, and the trie that forgives slips."""
    words = sorted({word for mine in held for word in mine})
    code = {word: i for i, word in enumerate(words)}
    StringTable.of(words).save(folder, "words")
    Trie.of(words).save(folder)
    counts = np.array([len(mine) for mine in held], np.int64)
    ids = np.fromiter((code[word] for mine in held for word in mine), np.int32, int(counts.sum()))
    owner = np.repeat(np.arange(len(held), dtype=np.int32), counts)
    order = np.argsort(ids, kind="stable")
    per_word = np.bincount(ids, minlength=len(words))
    save_arrays(
        folder,
        phrase_words_ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        phrase_words_ids=ids,
        word_phrases_ptr=np.concatenate([[0], np.cumsum(per_word)]).astype(np.int64),
        word_phrases_ids=owner[order],
    )
    return len(words)


def _sounds(
    words: Sequence[tuple[str, int]], spoken: Sequence[tuple[str, ...]], number: int
) -> list[tuple[str, int, int]]:
    """A phrase in pinyin from each of its words on, in full and, behind a tab, by initials."""
    out: list[tuple[str, int, int]] = []
    for i, (_, at) in enumerate(words[:STARTS]):
        rest = spoken[i:]
        if not any(has_han(word) for word, _ in words[i:]):
            break
        out.append(("".join(s for some in rest for s in some), number, at))
        first = "".join(
            s if not has_han(word) else s[0]
            for (word, _), some in zip(words[i:], rest, strict=True)
            for s in some
        )
        if len(first) >= INITIALS_FROM:
            out.append(("\t" + first[:INITIALS_TO], number, at))
    return out


class _Speaker:
    """Pinyin without tones, ü as v; a word is read as a word, so that 重庆 is not 重量."""

    def __init__(self) -> None:
        from pypinyin import lazy_pinyin, pinyin

        self._read, self._readings = lazy_pinyin, pinyin
        self._word = lru_cache(200_000)(self._spoken)

    def __call__(self, word: str) -> tuple[str, ...]:
        """The syllables of a Chinese word; another word as it is."""
        return self._word(word)

    def _spoken(self, word: str) -> tuple[str, ...]:
        if not has_han(word):
            return (word,)
        return tuple(s for s in self._read(word, errors="ignore") if s)

    def characters(self, used: set[str]) -> dict[str, str]:
        """The readings of characters, commonest first: those that occur and, where any do, those of everyday Chinese.

        Who writes 蓝芽 for 蓝牙 uses a character that no phrase has.
        """
        if not used:
            return {}
        out: dict[str, str] = {}
        for ch in sorted(used | _everyday()):
            said = self._readings(ch, style=0, heteronym=True, errors="ignore")
            plain = [s for s in (said[0] if said else []) if s.isascii() and s.isalpha()]
            first = [s for s in self._read(ch, errors="ignore") if s.isascii() and s.isalpha()]
            if first:
                out[ch] = " ".join(dict.fromkeys([*first, *plain]))
        return out


def _everyday() -> set[str]:
    """The 6,763 characters of GB 2312."""
    rows = (bytes((high, low)) for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    return {ch for raw in rows for ch in raw.decode("gb2312", "ignore")}
