"""Where in a text the words of a query stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from wares.core.text import has_han
from wares.models.search.analysis import stem
from wares.models.search.asked import Asked

Span = tuple[int, int]
_WORDS = re.compile(r"[^\W\d_]+|\d+")


def highlighted_words(asked: Asked | None, corrected: Mapping[str, str]) -> list[str]:
    """The words of a query that may be shown in a text: as mended, with what says the same, brands and values of attributes."""
    if asked is None:
        return []
    words = [corrected.get(w, w) for w in asked.words]
    same = [phrase for w in asked.words for phrase in asked.also.get(w, ())]
    more = [
        part
        for phrase in (*same, *asked.brands, *(v for _, v in asked.attributes))
        for part in phrase.split()
    ]
    return list(dict.fromkeys([*words, *more]))


def highlights(text: str, words: Iterable[str]) -> list[Span]:
    """Spans ``(start, end)`` in characters of what in `text` matches a word, ascending and apart.

    A word matches whatever has its stem (``shoes`` finds ``Shoe``); letters and digits count as apart, as in the index. Chinese
    words match wherever they stand. The last of the spans that touch are joined.
    """
    plain, whole = set[str](), list[str]()
    for word in words:
        folded = unicodedata.normalize("NFKC", word).casefold()
        if has_han(folded):
            whole.append(folded)
        else:
            plain.update(filter(None, (_stem(part) for part in _WORDS.findall(folded))))
    # One character for one, so that places stay those of the text.
    lower = "".join(low if len(low := ch.casefold()) == 1 else ch for ch in text)
    spans = [m.span() for m in _WORDS.finditer(lower) if plain and _stem(m.group()) in plain]
    for word in whole:
        at = lower.find(word)
        while at >= 0:
            spans.append((at, at + len(word)))
            at = lower.find(word, at + len(word))
    return joined(spans)


@lru_cache(50_000)
def _stem(word: str) -> str:
    return stem(word) or word


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that overlap or touch as one."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out
