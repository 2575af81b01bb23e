"""Which texts are copies of others, and which are advertising or noise: by rules that say why.

Copies: equal texts by their letters; near copies by MinHash over runs of characters (Broder 1997) in bands, then the share
of common runs. All of it over the whole corpus at once in numpy, so that 100,000 texts take seconds.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.prepare import prepared

BLANK, DUPLICATE, SPAM = 1, 2, 4
RUN = 4
"""Characters of a run."""
LONGEST = 600
"""Characters of a text that are compared."""
BANDS, ROWS = 6, 4
"""A pair that shares .8 of its runs meets in some band with probability .96, one that shares .3 with .05."""
ALIKE = 0.8
SHORT = 12
"""Units (a Chinese character counts two) below which equal texts are no copies, but what many people say: good, 好评."""
_LETTERS = re.compile(r"[\W\d_]+")
_LINK = re.compile(r"https?://|www\.|\b[a-z0-9-]{2,}\.(?:com|net|cn|shop|top|xyz|ru|info|biz|vip)\b")
_WHOLE_LINK = re.compile(r"(?:https?://|www\.)[!-~]+")
_CONTACT = re.compile(
    r"(?:微信|薇信|威信|微\s?信号|加我|加v|加微|vx|wechat|whatsapp|telegram|扣扣|qq群?|q群|企鹅号)[\s:：号是]{0,4}[a-z0-9_-]{5,}|(?<!\d)1[3-9]\d{9}(?!\d)"
)
_OFFER = re.compile(
    r"兼职|刷单|返现|加群|进群|招代理|招聘|领券|内部券|贷款|彩票|日赚|月入|扫码|免费领"
    r"|promo code|coupon code|discount code|click here|free gift card|work from home|earn \$|make money|casino|crypto|follow me on|dm me|visit my|check out my"
)
_TOKEN = re.compile(r"[a-z]+")
_MASH = re.compile(r"[bcdfghjklmnpqrstvwxz]{7,}|(?:asdf|qwer|zxcv|hjkl){1,}", re.IGNORECASE)


@dataclass(frozen=True)
class Screened:
    """What was found of ``n`` texts: ``blank (n,)``; ``copy_of (n,)``, the earlier text of which one is a copy, or -1;
    ``spam``, why each is spam, or ``""``."""

    blank: NDArray[np.bool_]
    copy_of: NDArray[np.int64]
    spam: tuple[str, ...]

    @property
    def flags(self) -> NDArray[np.uint8]:
        """``BLANK``, ``DUPLICATE`` and ``SPAM`` together ``(n,) uint8``; zero is a text that counts."""
        spam = np.array([bool(why) for why in self.spam], bool)
        return (BLANK * self.blank + DUPLICATE * (self.copy_of >= 0) + SPAM * spam).astype(np.uint8)


def screen(texts: Sequence[str], authors: Sequence[str | int | None] | None = None) -> Screened:
    """Look at texts in the order in which they were written; with `authors`, short texts that one of them repeats are copies too."""
    ready = [prepared(text) for text in texts]
    return Screened(
        np.array([not text for text in ready], bool), copies(ready, authors), tuple(spam_of(text) for text in ready)
    )  # fmt: skip


def spam_of(text: str) -> str:
    """Why a prepared text is spam: ``contact``, ``link``, ``offer``, ``noise``; ``""`` where it is none.

    A link or a word of an offer alone is none: buyers complain of such, and quote them.
    """
    links = _LINK.findall(text)
    offers = len(set(_OFFER.findall(text)))
    if _CONTACT.search(text):
        return "contact"
    if links and (offers or 2 * len(_WHOLE_LINK.sub("", text)) < len(text)):
        return "link"
    if offers > 1:
        return "offer"
    return "noise" if _noise(text) else ""


def _noise(text: str) -> bool:
    """Keys struck at random, or few words over and over."""
    words = _TOKEN.findall(text)
    mashed = sum(len(word) for word in words if _MASH.search(word))
    if mashed >= 8 and 2 * mashed > len(text):
        return True
    if len(text) < 60:
        return False
    raw = text.encode("utf-8", "ignore")
    return len(zlib.compress(raw, 1)) < 0.22 * min(len(raw), 2000)


def copies(ready: Sequence[str], authors: Sequence[str | int | None] | None = None) -> NDArray[np.int64]:
    """For each prepared text the row of the earliest that it copies, or -1, ``(n,) int64``.

    Equal but for marks and digits, or at least `ALIKE` of all their runs of characters in common. Blank texts copy none.
    """
    out = np.full(len(ready), -1, np.int64)
    bare: list[str] = [_LETTERS.sub("", text)[:LONGEST] for text in ready]
    first: dict[tuple[str, object], int] = {}
    alone: list[int] = []
    for row, said in enumerate(bare):
        if not said:
            continue
        if _units(said) < SHORT:
            author = None if authors is None else authors[row]
            if author in (None, "", -1):
                continue
            out[row] = first.setdefault((said, author), row)
        else:
            out[row] = first.setdefault((said, None), row)
            if out[row] == row:
                alone.append(row)
    out[out == np.arange(len(ready))] = -1
    _near(bare, np.array([row for row in alone if len(bare[row]) >= 2 * RUN], np.int64), out)
    # A copy of a copy is one of the earliest.
    for row in np.flatnonzero(out >= 0).tolist():
        while out[out[row]] >= 0:
            out[row] = out[out[row]]
    return out


def _units(said: str) -> int:
    return len(said) + sum(ch > "⺀" for ch in said[:SHORT])


def _near(bare: list[str], rows: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    if len(rows) < 2:
        return
    runs, starts = _runs([bare[row] for row in rows.tolist()])
    ends = np.append(starts[1:], len(runs))
    rng = np.random.default_rng(1)
    factors = rng.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    held: dict[int, NDArray[np.uint64]] = {}

    def kinds(at: int) -> NDArray[np.uint64]:
        if at not in held:
            held[at] = np.unique(runs[starts[at] : ends[at]])
        return held[at]

    for band in range(BANDS):
        key = np.zeros(len(rows), np.uint64)
        for factor in factors[band * ROWS : (band + 1) * ROWS]:
            # Multiplication by an odd number permutes; its high bits are mixed best.
            least = np.minimum.reduceat((runs * factor) >> np.uint64(16), starts)
            key = (key ^ least) * np.uint64(0x9E3779B97F4A7C15)
        order = np.argsort(key, kind="stable")
        same = np.flatnonzero(key[order][1:] == key[order][:-1]) + 1
        head = -1
        last = -2
        for place in same.tolist():
            if place != last + 1:
                head = int(order[place - 1])
            last = place
            at = int(order[place])
            if out[rows[at]] < 0 and _alike(kinds(head), kinds(at)):
                out[rows[at]] = rows[head]


def _alike(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> bool:
    if min(len(a), len(b)) < ALIKE * max(len(a), len(b)):
        return False
    common = int(np.isin(a, b, assume_unique=True).sum())
    return common >= ALIKE * (len(a) + len(b) - common)


def _runs(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashed runs of all texts one after another, and where each text's begin. Every text is longer than a run."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    length = np.array([len(text) for text in texts], np.int64)
    hashed = np.zeros(len(codes), np.uint64)
    for n in range(RUN):
        hashed[: len(codes) - n] = hashed[: len(codes) - n] * np.uint64(0x100000001B3) + codes[n:]
    hashed ^= hashed >> np.uint64(29)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(32)
    # Runs over the end of a text belong to none.
    begins = np.cumsum(length) - length
    inside = np.ones(len(codes), bool)
    for n in range(1, RUN):
        inside[begins + length - n] = False
    kept = length - RUN + 1
    return hashed[inside], np.cumsum(kept) - kept
