"""Propose what is being typed: phrases by their beginning, by sound, by words in any order and past a slip. No search engine."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.strings import StringTable
from wares.core.text import has_han
from wares.features.catalogue import below
from wares.models.search.analysis import lower, stem
from wares.models.search.highlight import joined
from wares.models.search.suggest_text import Sounds, parts, sound_of, tokens, typed_form
from wares.models.search.suggest_trie import Near, Trie

KIND = "suggest"
KINDS = ("query", "category", "brand", "phrase", "product")
SCOPE = "scope"
BLOCK = 256
POOL, WIDE_POOL = 120, 400
"""Best phrases of each way to find them, before the mistakes order them; and before the person or the category do."""
ENOUGH = 3
"""With fewer phrases than this, words in any order and slips are tried as well."""
MOST_POSTINGS = 2000
SCOPES = 2
SCOPE_SHARE = 0.15

AT_BEGIN = 0.15
AFFINITY = 0.25
MISTAKE = 0.35
INITIALS = 0.2
UNORDERED = 0.1
ADDED = 0.1
"""A phrase loses up to this much for what it has beyond what was typed."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One proposal: `kind` is one of `KINDS` or ``scope``; `category` is the path that a scope keeps to, else the one where most
    of it lies; `highlight` has the (begin, end) characters that were typed; `corrected` says that a slip was passed over."""

    text: str
    kind: str
    category: str = ""
    highlight: tuple[tuple[int, int], ...] = ()
    corrected: bool = False


@dataclass(slots=True)
class _Way:
    """How a phrase was found: from which character on, with which score beside its weight."""

    score: float
    offset: int = -1
    mistakes: int = 0


def peaks(scores: NDArray[Any]) -> NDArray[np.float32]:
    """The largest score of every 256 ``(ceil(n / 256),)``."""
    n = len(scores)
    padded = np.full(-(-n // BLOCK) * BLOCK, -np.inf, np.float32)
    padded[:n] = scores
    return padded.reshape(-1, BLOCK).max(1) if n else np.zeros(0, np.float32)


def best_of_range(scores: NDArray[Any], tops: NDArray[Any], low: int, high: int, m: int) -> NDArray[np.int64]:
    """The `m` places from `low` to `high` with the largest scores, in no order, without reading all of a wide range.

    The largest `m` of a range lie in those `m` whole blocks that have the largest peaks, or in the two cut ones at its ends.
    """
    first, last = -(-low // BLOCK), high // BLOCK
    if last - first <= m:
        places = np.arange(low, high)
    else:
        blocks = first + np.argpartition(-tops[first:last], m - 1)[:m]
        places = np.concatenate(
            [
                np.arange(low, first * BLOCK),
                (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel(),
                np.arange(last * BLOCK, high),
            ]
        )
    if len(places) <= m:
        return places
    return places[np.argpartition(-scores[places], m - 1)[:m]]


class Suggester:
    """The proposals of a bundle. Thread-safe; an answer reads a few blocks of memory-mapped arrays.

    Phrases are numbered by weight, heaviest first. Arrays: ``start_phrase, start_offset (n_starts,)`` with ``start_score`` and
    ``start_peaks``, ascending by the phrase from that character on; the same four for ``sound`` with the strings themselves;
    ``phrase_level (n_phrases,)`` the logarithm of the weight over the largest; ``phrase_kind``, ``phrase_category``; the words of
    phrases and the phrases of words in ``*_ptr`` and ``*_ids``.
    """

    def __init__(self, folder: Path) -> None:
        """Open the artefact in `folder`."""
        self.manifest = open_artifact(folder, KIND)
        self.categories: list[str] = list(StringTable.load(folder, "categories"))
        self.log_most = float(self.manifest["log_most"])
        self.phrases = StringTable.load(folder, "phrases")
        self.words = StringTable.load(folder, "words")
        self.sounds = StringTable.load(folder, "sounds")
        self.reading = Sounds(StringTable.load(folder, "characters"), StringTable.load(folder, "readings"))
        self.trie = Trie.load(folder)
        names = (
            "start_phrase", "start_offset", "start_score", "start_peaks", "sound_phrase", "sound_offset", "sound_score",
            "sound_peaks", "phrase_level", "phrase_kind", "phrase_category", "phrase_length", "phrase_words_ptr", "phrase_words_ids",
            "word_phrases_ptr", "word_phrases_ids",
        )  # fmt: skip
        self.arrays: dict[str, NDArray[Any]] = {name: load_array(folder, name) for name in names}

    def suggest(
        self,
        text: str,
        k: int = 8,
        affinity: Mapping[int, float] | None = None,
        within: str = "",
        scopes: int = SCOPES,
    ) -> list[Suggestion]:
        """At most `k` proposals for what was typed so far, best first.

        score = log weight / log of the largest + a little where the phrase begins so and where a shopper's `affinity` (0..1 by
        category code) lies − for mistakes, initials and words out of order. After the first come at most `scopes` proposals to
        look in one category alone, where what was typed lies in several. `within` keeps to a category and what lies below it.
        Ties go to the heavier phrase.
        """
        typed = typed_form(text)
        if not typed:
            return []
        ways: dict[int, _Way] = {}
        # Who keeps to a category sees little of what is heaviest everywhere.
        pool = WIDE_POOL if within or affinity else POOL
        self._begun(typed, ways, pool)
        self._heard(typed, ways, pool)
        asked = tokens(typed)
        if len(ways) < max(ENOUGH, k) and len(asked) > 1:
            self._unordered(asked, 0, ways)
        if len(ways) < ENOUGH:
            self._slipped(asked, ways)
        order = self._order(ways, typed, affinity or {}, within)
        out: list[Suggestion] = []
        seen: set[tuple[str, ...]] = set()
        for phrase in order:
            one = self._told(phrase, ways[phrase], typed, asked)
            same = tuple(sorted(stem(word) or word for word in tokens(one.text)))
            if same in seen:
                continue
            seen.add(same)
            out.append(one)
            if len(out) == k:
                break
        if out and scopes and not within and len(typed) + has_han(typed) > 1:
            out[1:1] = self._scopes(typed, order, ways, affinity or {}, scopes)
        return out[:k]

    # -- ways to find ----------------------------------------------------------------------------------------

    def _key(self, place: int) -> str:
        """The phrase of a start, from its character on."""
        phrase = self.phrases[int(self.arrays["start_phrase"][place])]
        return lower(phrase)[int(self.arrays["start_offset"][place]) :]

    def _range(
        self, name: str, span: tuple[int, int], ways: dict[int, _Way], pool: int, less: float, mistakes: int
    ) -> None:
        scores, tops = self.arrays[f"{name}_score"], self.arrays[f"{name}_peaks"]
        places = best_of_range(scores, tops, *span, pool)
        phrases, offsets = self.arrays[f"{name}_phrase"][places], self.arrays[f"{name}_offset"][places]
        for phrase, offset, score in zip(
            phrases.tolist(), offsets.tolist(), scores[places].tolist(), strict=True
        ):
            before = ways.get(phrase)
            if before is None or before.score < score - less:
                ways[phrase] = _Way(score - less, -2 - offset if name == "sound" else offset, mistakes)

    def _begun(self, typed: str, ways: dict[int, _Way], pool: int) -> None:
        places = range(len(self.arrays["start_phrase"]))
        low = bisect_left(places, typed, key=self._key)
        high = bisect_left(places, typed + "\U0010ffff", low, key=self._key)
        self._range("start", (low, high), ways, pool, 0.0, 0)

    def _heard(self, typed: str, ways: dict[int, _Way], pool: int) -> None:
        """By sound: pinyin in full or its initials; Chinese that sounds the same, when the characters are no phrase."""
        chinese = has_han(typed)
        if not len(self.sounds) or (chinese and len(ways) >= ENOUGH):
            return
        sound = self.reading.of(typed) if chinese else sound_of(typed)
        if len(sound) < 2 or not sound[0].isalpha():
            return
        # Initials stand in the same list behind a mark, so that they can count less.
        for mark, less in (("", 0.0), ("\t", INITIALS)):
            if mark and chinese:
                continue
            low = bisect_left(self.sounds, mark + sound)
            high = bisect_left(self.sounds, mark + sound + "\U0010ffff", low)
            self._range("sound", (low, high), ways, pool, less + MISTAKE * chinese, int(chinese))

    def _slipped(self, asked: list[str], ways: dict[int, _Way]) -> None:
        """With one mistake a word, two in long ones; first in words that are no beginning of any, then in every one."""
        most = 2 if any(len(word) >= 8 for word in asked) else 1
        before = len(ways)
        self._unordered(asked, most, ways)
        if len(ways) == before and len(asked) > 1:
            self._unordered(asked, most, ways, every=True)

    def _options(self, word: str, last: bool, mistakes: int, every: bool) -> list[Near]:
        low = bisect_left(self.words, word)
        if last:
            high = bisect_left(self.words, word + "\U0010ffff", low)
            found = [Near(low, high, 0)] if high > low else []
        else:
            found = [Near(low, low + 1, 0)] if low < len(self.words) and self.words[low] == word else []
        # Numbers and short words are not misspelt, they are other words.
        if mistakes and (every or not found) and len(word) >= 4 and word.isascii() and word.isalpha():
            allowed = min(mistakes, 1 if len(word) < 8 else 2)
            found += [near for near in self.trie.near(word, allowed, whole=not last) if near.mistakes]
        return found

    def _unordered(self, asked: list[str], mistakes: int, ways: dict[int, _Way], every: bool = False) -> None:
        """Phrases that have every word, the last one begun."""
        ptr, ids = self.arrays["word_phrases_ptr"], self.arrays["word_phrases_ids"]
        options = [self._options(word, i == len(asked) - 1, mistakes, every) for i, word in enumerate(asked)]
        if not options or not all(options):
            return
        sizes = [sum(int(ptr[o.high] - ptr[o.low]) for o in some) for some in options]
        some = options[int(np.argmin(sizes))]
        portions = [ids[int(ptr[o.low]) : int(ptr[o.high])] for o in some]
        wide = min(sizes) > 10 * MOST_POSTINGS
        # Of very many, those of every range that stand first in memory: a prefix that common says nothing yet.
        found = np.concatenate([part[:MOST_POSTINGS] if wide else part for part in portions])
        # Heaviest first: phrases are numbered by weight.
        found = np.unique(found)[:MOST_POSTINGS]
        found, wrong = self._with_all(found, options)
        for phrase, e in zip(found[:POOL].tolist(), wrong[:POOL].tolist(), strict=True):
            score = float(self.arrays["phrase_level"][phrase]) - MISTAKE * e - UNORDERED
            if phrase not in ways or ways[phrase].score < score:
                ways[phrase] = _Way(score, -1, int(e))

    def _with_all(
        self, phrases: NDArray[Any], options: list[list[Near]]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Those of some phrases that have a word of every option, with their mistakes; fewest first, then heaviest."""
        ptr, ids = self.arrays["phrase_words_ptr"], self.arrays["phrase_words_ids"]
        begin, count = ptr[phrases], ptr[phrases + 1] - ptr[phrases]
        ends = np.cumsum(count)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - count), count)
        held, owner = ids[at], np.repeat(np.arange(len(phrases)), count)
        wrong = np.zeros(len(phrases), np.int64)
        for some in options:
            least = np.full(len(phrases), 99, np.int64)
            for option in some:
                with_it = owner[(held >= option.low) & (held < option.high)]
                least[with_it] = np.minimum(least[with_it], option.mistakes)
            wrong += least
        keep = np.flatnonzero(wrong < 99)
        order = keep[np.lexsort((phrases[keep], wrong[keep]))]
        return phrases[order], wrong[order]

    # -- order and telling -----------------------------------------------------------------------------------

    def _order(
        self, ways: dict[int, _Way], typed: str, affinity: Mapping[int, float], within: str
    ) -> list[int]:
        category, length = self.arrays["phrase_category"], self.arrays["phrase_length"]
        allowed = None if not within else self._below(within)
        ranked: list[tuple[float, int]] = []
        for phrase, way in ways.items():
            code = int(category[phrase])
            if allowed is not None and code not in allowed:
                continue
            beyond = 1.0 - min(1.0, len(typed) / max(1, int(length[phrase])))
            score = way.score - ADDED * beyond + AFFINITY * affinity.get(code, 0.0)
            ranked.append((-score - AT_BEGIN * (way.offset in (0, -2)), phrase))
        return [phrase for _, phrase in sorted(ranked)]

    def _below(self, category: str) -> set[int]:
        return {code for code, name in enumerate(self.categories) if below(name, category)}

    def _path(self, code: int) -> str:
        return self.categories[code] if code >= 0 else ""

    def _told(self, phrase: int, way: _Way, typed: str, asked: list[str]) -> Suggestion:
        text = str(self.phrases[phrase])
        if way.offset >= 0:
            spans = [(way.offset, way.offset + len(typed))]
        elif way.offset <= -2 and not way.mistakes:
            spans = [self.reading.span(text, -2 - way.offset, sound_of(typed))]
        else:
            spans = _marks(text, asked)
        return Suggestion(
            text,
            KINDS[int(self.arrays["phrase_kind"][phrase])],
            self._path(int(self.arrays["phrase_category"][phrase])),
            tuple(span for span in spans if span[1] > span[0]),
            way.mistakes > 0,
        )

    def _scopes(
        self, typed: str, order: list[int], ways: dict[int, _Way], affinity: Mapping[int, float], most: int
    ) -> list[Suggestion]:
        """The typed words, the last one completed, in the categories where most of what has them lies."""
        category, level = self.arrays["phrase_category"], self.arrays["phrase_level"]
        texts: dict[str, float] = {}
        shares: dict[str, dict[int, float]] = {}
        for phrase in order:
            code, offset = int(category[phrase]), ways[phrase].offset
            if code < 0 or offset < 0:
                continue
            whole = _completed(str(self.phrases[phrase]), offset, len(typed))
            weight = float(np.expm1(self.log_most * float(level[phrase])))
            texts[whole] = texts.get(whole, 0.0) + weight
            there = shares.setdefault(whole, {})
            there[code] = there.get(code, 0.0) + weight
        if not texts:
            return []
        whole = max(texts, key=lambda text: (texts[text], text))
        there = {code: weight / texts[whole] for code, weight in shares[whole].items()}
        chosen = sorted(
            (code for code, share in there.items() if share >= SCOPE_SHARE),
            key=lambda code: (-there[code] - affinity.get(code, 0.0), code),
        )
        if len(chosen) < 2:
            return []
        return [
            Suggestion(whole, SCOPE, self._path(code), ((0, min(len(typed), len(whole))),))
            for code in chosen[:most]
        ]


def _completed(phrase: str, offset: int, typed: int) -> str:
    """A phrase from a character on, up to the end of the word that was being typed."""
    low = lower(phrase)
    ends = [at + len(word) for word, at in parts(low) if at >= offset]
    end = next((end for end in ends if end >= offset + typed), len(low))
    return low[offset:end]


def _marks(text: str, asked: list[str]) -> list[tuple[int, int]]:
    """Where typed words begin a word of a text; those that meet are one."""
    low = lower(text)
    found: list[tuple[int, int]] = []
    for word in asked:
        at = next((at for _, at in parts(low) if low.startswith(word, at)), -1)
        if at >= 0:
            found.append((at, at + len(word)))
    return joined(found)
