"""The words of every product in order, and how well they answer a query: what a word index cannot tell of a hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.strings import StringTable
from wares.core.text import has_han
from wares.models.search.analysis import analyzer, prepare
from wares.models.search.asked import Size

PARTS = ("titled", "cover", "said", "phrase", "numbers", "clash", "size")
MOST = 60
"""Words kept of a product."""
K1, B = 0.6, 0.4
"""BM25 of titles: repetition and length say less of them than of pages (the word index has 1.2 and .75, which tantivy fixes)."""
_UNITS: dict[str, tuple[tuple[str, float], ...]] = {
    "g": (("g", 1.0), ("kg", 1e3), ("mg", 1e-3), ("oz", 28.349523), ("lb", 453.59237), ("克", 1.0), ("公斤", 1e3)),
    "ml": (("ml", 1.0), ("l", 1e3), ("cl", 10.0), ("liter", 1e3), ("oz", 29.57353), ("升", 1e3), ("毫升", 1.0)),
    "mm": (("mm", 1.0), ("cm", 10.0), ("m", 1e3), ("inch", 25.4), ("in", 25.4), ("厘米", 10.0)),
    "inch": (("inch", 1.0), ("in", 1.0), ("cm", 1 / 2.54), ("寸", 1.0)),
    "byte": (("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("mb", 2.0**20), ("gb", 2.0**30), ("tb", 2.0**40)),
    "piece": (("pack", 1.0), ("pk", 1.0), ("ct", 1.0), ("count", 1.0), ("pc", 1.0), ("pcs", 1.0), ("piec", 1.0), ("片", 1.0), ("包", 1.0), ("只", 1.0)),
}  # fmt: skip


def tokens_of(text: str) -> list[str]:
    """The tokens that the word index holds for a text, in order."""
    return analyzer().analyze(prepare(text))


def reading_tokens(text: str) -> list[str]:
    """The same, and each character of longer Chinese words behind them: words are cut in more than one way."""
    out: list[str] = []
    for token in tokens_of(text):
        out.append(token)
        if len(token) > 1 and has_han(token):
            out.extend(token)
    return out


def save_forward(cells: Iterable[tuple[str, str, str]], folder: Path) -> None:
    """Write the words of titles, then those of brand and size that the title does not have, for each product."""
    ids: dict[str, int] = {}
    counts: Counter[int] = Counter()
    flat: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    for title, brand, size in cells:
        words = reading_tokens(title)[:MOST]
        known = set(words)
        words += [t for t in reading_tokens(f"{brand} {size}") if t not in known] if brand or size else []
        row = np.fromiter((ids.setdefault(w, len(ids)) for w in words), np.int32, len(words))
        flat.append(row)
        lengths.append(len(row))
        counts.update(set(row.tolist()))
    StringTable.of(ids).save(folder, "lexicon")
    save_arrays(
        folder,
        tokens=np.concatenate(flat) if flat else np.zeros(0, np.int32),
        tokens_ptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        token_df=np.array([counts[i] for i in range(len(ids))], np.int32),
        token_digits=np.array([any(ch.isdigit() for ch in t) for t in ids], bool),
    )


class Forward:
    """Words of products by row: ``tokens (m,) int32`` with ``tokens_ptr (n + 1,)``."""

    def __init__(self, folder: Path) -> None:
        self.lexicon = StringTable.load(folder, "lexicon")
        self.tokens: NDArray[Any] = load_array(folder, "tokens")
        self.ptr: NDArray[Any] = load_array(folder, "tokens_ptr")
        df = load_array(folder, "token_df").astype(np.float32)
        self.digits: NDArray[Any] = load_array(folder, "token_digits")
        n = max(len(self.ptr) - 1, 1)
        self.length = max(len(self.tokens) / n, 1.0)
        # Robertson & Spärck Jones, as BM25 has it; never negative.
        self.idf = np.log1p((n - df + 0.5) / (df + 0.5)).astype(np.float32)
        self.unseen = float(np.log1p((n + 0.5) / 0.5))

    def parts(
        self, words: Sequence[str], sizes: Sequence[Size], rows: NDArray[Any]
    ) -> dict[str, NDArray[np.float32]]:
        """For each of `rows` what of the query its words cover and how, each ``(len(rows),)`` in 0..1.

        ``titled``: BM25 over these words, as a share of the best of `rows`. ``cover``: the query's words that it has, each by its rarity (idf). ``said``: the same of its own words that the query
        has. ``phrase``: neighbours in the query that are neighbours in it. ``numbers``: the query's numbers that it has;
        ``clash``: its numbers that the query does not have, where the query has some. ``size``: whether it has the first
        of the sizes asked for, in any unit.
        """
        n = len(rows)
        out = {name: np.zeros(n, np.float32) for name in PARTS}
        asked = list(dict.fromkeys(t for word in words for t in reading_tokens(word)))[:MOST]
        if not n or not (asked or sizes):
            return out
        begin = self.ptr[rows]
        lengths = (self.ptr[rows + 1] - begin).astype(np.int64)
        ends = np.cumsum(lengths)
        owner = np.repeat(np.arange(n), lengths)
        inner = np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)
        token = self.tokens[np.repeat(begin, lengths) + inner]
        if asked:
            self._cover(asked, token, owner, n, out)
        for size in sizes[:1]:
            fits = np.zeros(n, bool)
            for pair in self._written(size):
                at = np.flatnonzero(
                    (token[:-1] == pair[0]) & (token[1:] == pair[1]) & (owner[:-1] == owner[1:])
                )
                fits[owner[at]] = True
            out["size"] = fits.astype(np.float32)
        return out

    def _cover(
        self, asked: list[str], token: NDArray[Any], owner: NDArray[Any], n: int, out: dict[str, NDArray[np.float32]]
    ) -> None:  # fmt: skip
        ids = np.array([self.lexicon.find(t) for t in asked], np.int64)
        weight = np.where(ids >= 0, self.idf[np.maximum(ids, 0)] if len(self.idf) else 0.0, self.unseen)
        order = np.argsort(ids, kind="stable")
        at = np.minimum(np.searchsorted(ids[order], token), len(ids) - 1)
        place = order[at]
        there = ids[place] == token
        width = len(ids)
        times = np.bincount(owner[there] * width + place[there], minlength=n * width).reshape(n, width)
        seen = (times > 0).astype(np.float32)
        length = np.bincount(owner, minlength=n)
        norm = K1 * (1 - B + B * length / self.length)
        bm25 = (times * (K1 + 1) / (times + norm[:, None])) @ weight
        out["titled"] = (bm25 / max(float(bm25.max(initial=0)), 1e-9)).astype(np.float32)
        out["cover"] = (seen @ weight / max(float(weight.sum()), 1e-9)).astype(np.float32)
        own = self.idf[token]
        whole = np.bincount(owner, own, n)
        out["said"] = (np.bincount(owner[there], own[there], n) / np.maximum(whole, 1e-9)).astype(np.float32)
        if len(ids) > 1:
            next_to = there[:-1] & there[1:] & (owner[:-1] == owner[1:]) & (place[1:] == place[:-1] + 1)
            pairs = np.bincount(owner[:-1][next_to], minlength=n) / (len(ids) - 1)
            out["phrase"] = np.minimum(pairs, 1.0).astype(np.float32)
        number = np.array([any(ch.isdigit() for ch in t) for t in asked])
        if number.any():
            out["numbers"] = (seen[:, number] @ weight[number] / weight[number].sum()).astype(np.float32)
            theirs = self.digits[token]
            extra = np.bincount(owner[theirs & ~there], minlength=n)
            out["clash"] = (extra / np.maximum(np.bincount(owner[theirs], minlength=n), 1)).astype(np.float32)

    def _written(self, size: Size) -> list[tuple[int, int]]:
        """Pairs of tokens that a product of this size may show: the number, or its last digits, and the unit."""
        out = []
        for unit, factor in _UNITS.get(size.unit, ((size.unit, 1.0),)):
            amount = size.amount / factor
            near = round(amount, 2) if amount < 10 else round(amount)
            if near <= 0 or abs(near - amount) > 0.006 * amount:
                continue
            last = tokens_of(f"{near:g}")
            first, second = self.lexicon.find(last[-1] if last else ""), self.lexicon.find(unit)
            if first >= 0 and second >= 0:
                out.append((first, second))
        return out
