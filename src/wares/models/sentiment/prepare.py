"""A review as the models read it, and the n-grams that stand for it: the same for training and for serving."""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import rjieba
from numpy.typing import NDArray

from wares.core.text import has_han, plain

BITS = 20
BUCKETS = 1 << BITS
HEAD, TAIL = 3000, 1000
"""Of a longer text its beginning and its end are read: verdicts stand there."""
LETTERS = (1, 4)
"""Lengths of the character n-grams of Chinese."""
LATIN_LETTERS = (2, 5)
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")
_LONG_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)
_REPEATS = re.compile(r"(.{2,8}?)\1{3,}", re.DOTALL)


def prepared(text: str) -> str:
    """Without HTML and control characters, narrow forms, lower case; emoji, punctuation and negation stay.

    What is repeated more than three times ("哈哈哈哈哈", "!!!!!!") is repeated three times.
    """
    text = unicodedata.normalize("NFKC", plain(text.encode("utf-8", "ignore").decode("utf-8"), 200_000))
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} {text[-TAIL:]}"
    text = _LONG_RUN.sub(r"\1\1\1", text.casefold())
    return _REPEATS.sub(r"\1\1\1", text).strip()


def words_of(text: str) -> list[str]:
    """Words and marks of a prepared text, in order; Chinese is segmented."""
    if has_han(text):
        return [word for word in rjieba.cut(text) if not word.isspace()]
    return _TOKEN.findall(text)


def grams(text: str) -> set[str]:
    """Words, pairs of words, and runs of characters of a prepared text."""
    words = words_of(text)
    out = {f"w{word}" for word in words}
    out.update(f"w{a}\x1f{b}" for a, b in itertools.pairwise(words))
    low, high = LETTERS if has_han(text) else LATIN_LETTERS
    whole = f" {text} "
    for n in range(low, high + 1):
        out.update(f"c{whole[i : i + n]}" for i in range(len(whole) - n + 1))
    return out


def buckets(text: str) -> NDArray[np.int64]:
    """The n-grams of a text as ascending numbers below `BUCKETS` (Weinberger et al. 2009, CRC-32 as the hash).

    A blank text has none.
    """
    text = prepared(text)
    if not text:
        return np.zeros(0, np.int64)
    found = {zlib.crc32(gram.encode()) & (BUCKETS - 1) for gram in grams(text)}
    return np.array(sorted(found), np.int64)


def bags(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``indices`` and ``ptr (len(texts) + 1,)`` of the n-grams of texts, as in a CSR matrix."""
    rows = [buckets(text) for text in texts]
    ptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return (np.concatenate(rows) if rows else np.zeros(0, np.int64)), ptr
