"""From text to tokens, alike for products and queries, in Chinese and English."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import rjieba
import tantivy

from wares.core.text import has_han
from wares.models.search.asked import Asked

ANALYZER = "wares"
MAX_TOKENS = 24
_SEAM = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


@lru_cache(1)
def analyzer() -> tantivy.TextAnalyzer:
    """Words, lower case, without accents, English endings cut."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(60),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


@lru_cache(1)
def _stop_words() -> tantivy.TextAnalyzer:
    """Lower-case words without "the", "for", "with" …"""
    steps = (tantivy.Filter.lowercase(), tantivy.Filter.stopword("english"))
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in steps:
        builder = builder.filter(step)
    return builder.build()


def surface_words(text: str, limit: int = MAX_TOKENS) -> list[str]:
    """Distinct lower-case words as they stand; function words are left out when there are others."""
    text = prepare(text.encode("utf-8", "ignore").decode("utf-8")[:4000])
    words = list(dict.fromkeys(_stop_words().analyze(text)))
    return (words or list(dict.fromkeys(text.lower().split())))[:limit]


def as_typed(text: str) -> Asked:
    """A query of which nothing was read: all of it is words."""
    return Asked(text[:2000], tuple(surface_words(text)))


@lru_cache(100_000)
def stem(word: str) -> str:
    """The token that the index holds for a word; empty when it holds none."""
    found = analyzer().analyze(word)
    return found[0] if found else ""


def lower(text: str) -> str:
    """Lower case, of the same length, so that places in one are places in the other."""
    low = text.lower()
    return (
        low if len(low) == len(text) else "".join(ch.lower() if len(ch.lower()) == 1 else ch for ch in text)
    )


def prepare(text: str) -> str:
    """Full-width forms narrowed, Chinese segmented, ``500ml`` parted into ``500 ml``: text for the analyser."""
    text = unicodedata.normalize("NFKC", text)
    if has_han(text):
        text = " ".join(rjieba.cut_for_search(text))
    return _SEAM.sub(" ", text) if any(ch.isdigit() for ch in text) else text
