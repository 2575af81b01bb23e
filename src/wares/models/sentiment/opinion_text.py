"""A review as the aspect reader sees it: the same length as it was written, so that every place in it can be quoted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wares.core.text import HAN

MOST = 20_000
"""Characters of a text that are read."""
_TAG = re.compile(r"<[^<>]{0,2000}>")
_PIECE = re.compile(
    rf"[a-z0-9][a-z0-9'’\-]*|[{HAN}]|[.!?;。！？；…\n~～]+|[,，、:：()（）]|[\U0001F300-\U0001FAFF☀-➿]"
)
_SENTENCE = re.compile(r"[^.!?;。！？；…\n]+(?:[.!?;。！？；…\n]+|$)")
_STOP = frozenset(".!?;。！？；…\n")


class _Narrow(dict[int, str]):
    """One character for one: narrow, small, control characters as blanks."""

    def __missing__(self, code: int) -> str:
        ch = chr(code)
        if code < 128:
            out = ch.lower() if ch.isprintable() or ch == "\n" else " "
        elif unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co"):
            out = " "
        else:
            out = unicodedata.normalize("NFKC", ch).lower()
            out = out if len(out) == 1 and out != "\n" else ch
        self[code] = out
        return out


_NARROW = _Narrow()


def aligned(text: str) -> str:
    """A text of the same length (at most `MOST`), small and narrow; HTML and control characters are blanks."""
    text = text[:MOST].translate(_NARROW)
    return _TAG.sub(lambda found: " " * len(found.group()), text) if "<" in text else text


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, a Chinese character or a mark, and where it stands."""

    text: str
    start: int
    end: int


def pieces(text: str) -> list[Piece]:
    """Words, Chinese characters and marks of an aligned text, in order."""
    return [Piece(found.group(), found.start(), found.end()) for found in _PIECE.finditer(text)]


def is_stop(piece: str) -> bool:
    """Whether a mark ends a sentence. A run of waves does, a comma does not."""
    return piece[0] in _STOP or piece[0] in "~～"


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence of an aligned text, without blanks at its ends."""
    for found in _SENTENCE.finditer(text):
        said = found.group()
        start = found.start() + len(said) - len(said.lstrip())
        end = found.start() + len(said.rstrip())
        if any(ch.isalnum() for ch in said):
            yield start, end


class Phrases:
    """Phrases by what they mean; the longest one wins. Latin ones match whole words, Chinese ones characters."""

    def __init__(self) -> None:
        self._words: dict[str, dict[tuple[str, ...], list[tuple[str, str]]]] = {}
        self._longest: dict[str, int] = {}
        self._chinese: dict[str, list[tuple[str, str]]] = {}
        self._most: dict[str, int] = {}

    def add(self, phrases: Iterable[str], kind: str, value: str = "") -> None:
        """Let phrases mean (kind, value); one phrase may mean several things."""
        for phrase in phrases:
            found = [piece.text for piece in pieces(aligned(phrase).strip())]
            if not found:
                continue
            if len(found[0]) == 1 and not found[0].isascii():
                joined = "".join(found)
                self._put(self._chinese.setdefault(joined, []), kind, value)
                self._most[joined[0]] = max(self._most.get(joined[0], 0), len(joined))
            else:
                known = self._words.setdefault(found[0], {})
                self._put(known.setdefault(tuple(found), []), kind, value)
                self._longest[found[0]] = max(self._longest.get(found[0], 0), len(found))

    @staticmethod
    def _put(meanings: list[tuple[str, str]], kind: str, value: str) -> None:
        if (kind, value) not in meanings:
            meanings.append((kind, value))

    def find(self, text: str, found: Sequence[Piece]) -> Iterator[tuple[int, int, Sequence[tuple[str, str]]]]:
        """(first piece, piece after the last, meanings) of each phrase, in order and never over one another."""
        at = 0
        while at < len(found):
            piece = found[at]
            most = self._most.get(piece.text[0], 0)
            if most:
                # Characters of a Chinese phrase follow one another, or stand apart by one blank each.
                for size in range(min(most, len(found) - at), 0, -1):
                    last = found[at + size - 1]
                    if last.end - piece.start > 2 * size - 1:
                        continue
                    said = text[piece.start : last.end]
                    meant = self._chinese.get(said if len(said) == size else said.replace(" ", ""))
                    if meant is not None:
                        yield at, at + size, meant
                        at += size
                        break
                else:
                    at += 1
                continue
            longest = self._longest.get(piece.text, 0)
            if longest:
                known = self._words[piece.text]
                for size in range(min(longest, len(found) - at), 0, -1):
                    meant = known.get(tuple([p.text for p in found[at : at + size]]))
                    if meant is not None:
                        yield at, at + size, meant
                        at += size
                        break
                else:
                    at += 1
                continue
            at += 1
