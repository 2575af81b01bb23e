"""The word of the catalogue that was meant: by few mistakes, by one word written as two or two as one, by sound in Chinese.

A word that the catalogue has is never changed, nor one with a digit in it, nor one that is part of a brand. Latin words are found
by their deletions (SymSpell: W. Garbe, 2012): two words at a distance d in the sense of optimal string alignment agree after at
most d deletions in each; a word of up to seven letters may have one mistake, a longer one two. Chinese that no word of the catalogue covers is
compared by its sound without tones where the words beside it speak for that, and letters that spell the sound of Chinese words are read as these words.

Arrays of the artefact: ``delete_hash (d,) uint32`` ascending with ``delete_word (d,) int32``, the row of the word; ``sounds``
(strings) with ``sound_word (s,) int32``; ``char_sound`` (strings), the sound of each character from U+4E00 on.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from itertools import combinations
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from wares.core.arrays import load_array
from wares.core.strings import StringTable
from wares.models.search.read_lexicon import Lexicon
from wares.models.search.read_tokens import fold

SHORTEST, LONG, LONGEST = 4, 8, 40
PREFIX = 8
"""Deletions are taken from so many first letters."""
FIRST_HAN, LAST_HAN = 0x4E00, 0x9FA5
MOST_SOUND = 6
"""Characters of the longest Chinese word that is looked for by sound."""
COMMON = 3
"""In so many texts a word must be to stand in for one with another first letter, or two mistakes away."""

SHORT, SURE = 6, 15
"""A shorter word is as often a strange name as a mistake: then the word beside must speak for it, or so many texts."""


def deletions(word: str) -> set[int]:
    """Hashes of the beginning of a word with up to two letters (one in a short word) taken out."""
    start = word[:PREFIX]
    most = 1 if len(word) < LONG - 1 else 2
    out: set[int] = set()
    for n in range(most + 1):
        for gone in combinations(range(len(start)), n):
            out.add(zlib.crc32("".join(ch for i, ch in enumerate(start) if i not in gone).encode("utf-8")))
    return out


class Speller:
    """Corrections out of the artefact of a reader."""

    def __init__(self, folder: Path, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._hash: NDArray[Any] = load_array(folder, "delete_hash")
        self._word: NDArray[Any] = load_array(folder, "delete_word")
        self._sounds = StringTable.load(folder, "sounds")
        self._sound_word: NDArray[Any] = load_array(folder, "sound_word")
        self._char_sound = list(StringTable.load(folder, "char_sound"))
        self.correct = lru_cache(20_000)(self._correct)

    def _correct(self, word: str, before: str = "", after: str = "") -> str:
        """The word or words that were probably meant; empty when there are none. `before` and `after` stand beside it."""
        if len(word) < SHORTEST or len(word) > LONGEST or self.lexicon.known(word):
            return ""
        word = fold(word) if not word.isalpha() or not word.isascii() else word
        if not (word.isascii() and word.isalpha()) or self.lexicon.known(word):
            return ""
        return self._split(word) or self._by_sound(word) or self._near(word, before, after)

    def _near(self, word: str, before: str, after: str) -> str:
        limit = 1 if len(word) < LONG else 2
        keys = np.fromiter(deletions(word), np.uint32)
        starts, ends = np.searchsorted(self._hash, keys, "left"), np.searchsorted(self._hash, keys, "right")
        rows = {int(r) for a, b in zip(starts.tolist(), ends.tolist(), strict=True) for r in self._word[a:b]}
        best, least = "", 1e9
        for row in rows:
            other = str(self.lexicon.words[row])
            if abs(len(other) - len(word)) > limit:
                continue
            distance = OSA.distance(word, other, score_cutoff=limit)
            if distance > limit:
                continue
            count = int(self.lexicon.word_counts[row])
            strange = other[0] != word[0]
            if (strange or distance > 1) and (count < COMMON or (strange and distance > 1)):
                continue
            beside = (before and self.lexicon.pair(before, other)) or (
                after and self.lexicon.pair(other, after)
            )
            if len(word) < SHORT and not beside and count < SURE:
                continue
            cost = distance + 0.6 * strange - (0.5 if beside else 0.0) - 0.1 * log10(1 + count)
            if (cost, other) < (least, best):
                best, least = other, cost
        return best

    def _split(self, word: str) -> str:
        found = [
            (self.lexicon.pair(word[:cut], word[cut:]), -cut)
            for cut in range(2, len(word) - 1)
            if self.lexicon.row(word[:cut]) >= 0 and self.lexicon.row(word[cut:]) >= 0
        ]
        if not found:
            return ""
        pairs, cut = max(found)
        return f"{word[:-cut]} {word[-cut:]}" if pairs else ""

    def joined(self, first: str, second: str) -> str:
        """One word that was written as two, where the catalogue has the one and hardly the two; empty otherwise."""
        whole = first + second
        if not whole.isascii() or len(whole) < 6 or min(len(first), len(second)) < 2:
            return ""
        count = self.lexicon.count(whole)
        return whole if count > 5 * self.lexicon.pair(first, second) else ""

    # -- sound -----------------------------------------------------------------------------------------------

    def _sounding(self, sound: str) -> str:
        row = self._sounds.find(sound) if sound and len(self._sounds) else -1
        return str(self.lexicon.words[int(self._sound_word[row])]) if row >= 0 else ""

    def _by_sound(self, letters: str) -> str:
        """Chinese words that letters spell: ``lanyaerji`` is 蓝牙 耳机."""
        if not len(self._sounds) or len(letters) > 30:
            return ""
        best: list[list[str] | None] = [[]] + [None] * len(letters)
        for end in range(2, len(letters) + 1):
            for start in range(max(0, end - 24), end - 1):
                kept, word = best[start], ""
                if kept is not None:
                    word = self._sounding(letters[start:end])
                now = best[end]
                if kept is not None and word and (now is None or len(kept) + 1 < len(now)):
                    best[end] = [*kept, word]
        return " ".join(best[-1] or [])

    def sound(self, han: str) -> str:
        """The sound of Chinese characters without tones; empty when one is not known."""
        out = ""
        for ch in han:
            at = ord(ch) - FIRST_HAN
            if not 0 <= at < len(self._char_sound) or not self._char_sound[at]:
                return ""
            out += self._char_sound[at]
        return out

    def han(self, piece: str, before: str, after: str, *, whole: bool) -> str:
        """The word that was meant by Chinese characters, of the same sound and with half of the characters or more alike.

        One sound is written in many ways and most strange words are names, so what stands beside must speak for it: the catalogue
        has the word next to `before` or `after`; or, where the piece is the `whole` query, has it often.
        """
        if not len(self._sounds) or not 2 <= len(piece) <= MOST_SOUND or self.lexicon.row(piece) >= 0:
            return ""
        if piece in self.lexicon.forms:
            return ""
        word = self._sounding(self.sound(piece))
        if len(word) != len(piece) or 2 * sum(a == b for a, b in zip(word, piece, strict=True)) < len(piece):
            return ""
        beside = (before and self.lexicon.pair(before, word)) or (after and self.lexicon.pair(word, after))
        return word if beside or (whole and self.lexicon.count(word) >= COMMON) else ""
