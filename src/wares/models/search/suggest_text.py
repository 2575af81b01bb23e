"""What was typed and what can be proposed, in one form; how Chinese sounds, without a pinyin library at serving."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import rjieba

from wares.core.strings import StringTable
from wares.core.text import HAN, has_han
from wares.models.search.analysis import lower, prepare

TYPED = 80
STARTS = 6
"""A phrase is found from each of its first so many words on."""

_WORD = re.compile(r"[^\W_]+")
_SOUND_SEAM = re.compile(r"[\s'’·\-]+")
_PARTS = re.compile(rf"[{HAN}]+|[^{HAN}\W_]+")


def shown(text: str) -> str:
    """A text as it is proposed: one line, full-width forms narrowed, nothing that cannot be stored."""
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode("utf-8"))
    return " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())


def typed_form(text: str) -> str:
    """What was typed so far, to compare with phrases: at most 80 characters."""
    return lower(shown(text[: 4 * TYPED]))[:TYPED].strip()


def parts(text: str) -> list[tuple[str, int]]:
    """Words with the place where they begin; Chinese is segmented, punctuation is between them."""
    out: list[tuple[str, int]] = []
    for found in _PARTS.finditer(text):
        word, at = found.group(), found.start()
        if not has_han(word):
            out.append((word, at))
            continue
        for piece in rjieba.cut(word):
            out.append((piece, at))
            at += len(piece)
    return out


def tokens(text: str) -> list[str]:
    """Distinct words to look up, without order: Chinese also by the words within words, ``500ml`` as one and as two."""
    low = lower(text)
    whole = [word for word in _WORD.findall(low) if not has_han(word)]
    return list(dict.fromkeys([*whole, *_WORD.findall(prepare(low))]))


class Sounds:
    """How characters are read, the commonest reading first, for what is typed with a keyboard of Latin letters."""

    def __init__(self, characters: StringTable, readings: StringTable) -> None:
        self.all: dict[str, tuple[str, ...]] = {
            ch: tuple(said.split(" ")) for ch, said in zip(characters, readings, strict=True)
        }
        self.readings: dict[str, str] = {ch: said[0] for ch, said in self.all.items()}

    def of(self, text: str) -> str:
        """A text as it sounds, without spaces; what is not Chinese stays."""
        return _SOUND_SEAM.sub("", "".join(self.readings.get(ch, ch) for ch in lower(text)))

    def initials(self, text: str) -> str:
        """The first letter of each character, words of letters whole."""
        return _SOUND_SEAM.sub(
            "", "".join(self.readings[ch][0] if ch in self.readings else ch for ch in lower(text))
        )

    def span(self, phrase: str, begin: int, typed: str) -> tuple[int, int]:
        """The characters of a phrase from `begin` on that a typed sound covers; an empty span where it does not."""
        for whole in (True, False):
            at, left = begin, typed
            while left and at < len(phrase):
                ch = lower(phrase[at])
                said = self.all.get(ch, (ch,))
                said = said if whole or ch not in self.all else tuple(s[0] for s in said)
                if _SOUND_SEAM.fullmatch(ch):
                    at += 1
                elif sound := next((s for s in said if left.startswith(s)), ""):
                    left, at = left[len(sound) :], at + 1
                elif any(s.startswith(left) for s in said):
                    left, at = "", at + 1
                else:
                    break
            if not left:
                return begin, at
        return begin, begin


def sound_of(text: str) -> str:
    """What was typed as a sound: letters alone, without the seams that people put between syllables."""
    return _SOUND_SEAM.sub("", text)


def joined(words: Sequence[str]) -> str:
    """Words as one phrase: a space only between two that are not Chinese."""
    out = ""
    for word in words:
        out += (" " if out and not (has_han(out[-1]) and has_han(word[0])) else "") + word
    return out
