"""Merchandising rules on an ordered list: what is banned goes, what is boosted rises, what is buried ends up last, what is pinned
stands in its place. A pure function: the rules come from `wares.core.search_rules`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wares.core.search_rules import BAN, BOOST, BURY, EXACT, PIN, Rule, normal_query
from wares.features.catalogue import Catalogue, below
from wares.models.search.analysis import stem, surface_words


@dataclass(slots=True)
class Ruled:
    """The list after the rules: ``rows (n,) int32`` best first, ``scores (n,) float32``, from which place in the list before each came
    ``source (n,) int64`` (-1: put in by a pin), and for each row that a rule moved, the rule."""

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    source: NDArray[np.int64]
    why: dict[int, Rule] = field(default_factory=dict[int, Rule])
    banned: int = 0


def meant(rules: Sequence[Rule], query: str, categories: Sequence[str] = ()) -> list[Rule]:
    """The rules that are for a query, asked within some categories (by filter or by what was read out of the query)."""
    asked, words = normal_query(query), frozenset[str]()
    out: list[Rule] = []
    for rule in rules:
        if rule.category and not any(below(category, rule.category) for category in categories):
            continue
        if rule.query and rule.match == EXACT and rule.query != asked:
            continue
        if rule.query and rule.match != EXACT:
            words = words or _said(asked)
            if not _said(rule.query) <= words:
                continue
        out.append(rule)
    return out


@lru_cache(10_000)
def _said(query: str) -> frozenset[str]:
    # What has no stem counts too: a rule for a query of nothing else must not be for all.
    return frozenset(stem(word) for word in surface_words(query))


class Goods:
    """What rules look at of products: a catalogue. A mask over the whole of it is made once for a rule, when a long list needs it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._codes = lru_cache(256)(self._find_codes)
        self._with_words = lru_cache(64)(self._find_words)
        self._stems = lru_cache(20_000)(self._read_stems)

    def row(self, product_id: str) -> int:
        """The row of a product, -1 for none."""
        return self.catalogue.row(product_id)

    def of(self, rule: Rule, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which products a rule is about ``(n,)``."""
        if rule.target == "product":
            return rows == self.row(rule.value)
        if rule.target != "word":
            code_of = self.catalogue.brand_of if rule.target == "brand" else self.catalogue.category_of
            return np.isin(code_of[rows], self._codes(rule.target, rule.value))
        if len(rows) > LONG:
            return self._with_words(rule.value)[rows]
        wanted = _stems_of(rule.value)
        return np.array([wanted <= self._stems(int(row)) for row in rows], bool)

    def _find_codes(self, name: str, value: str) -> NDArray[np.int64]:
        """The codes of a brand's spellings, or of a category and those below it."""
        code_of = self.catalogue.brand_of if name == "brand" else self.catalogue.category_of
        codes, first = np.unique(np.asarray(code_of), return_index=True)
        column = self.catalogue.columns[name]
        names = [str(column[int(row)]) for row in first]
        wanted = value.casefold()
        fits = [n.casefold() == wanted if name == "brand" else below(n, value) for n in names]
        return codes[np.array(fits, bool) & (codes >= 0)].astype(np.int64)

    def _find_words(self, value: str) -> NDArray[np.bool_]:
        """The products that have all words of a text ``(n_items,)``: rows in whose bytes a beginning of the rarest word stands, looked
        at closely."""
        wanted = _stems_of(value)
        out = np.zeros(len(self.catalogue), bool)
        if not wanted:
            return out
        longest = max(wanted, key=len)
        # An ending may change a word's last letters: "batteri" stands for "battery".
        begin = longest[: max(len(longest) - 2, 3)] if longest.isascii() else longest[0]
        patterns = [re.compile(re.escape(begin.encode()), re.IGNORECASE)]
        if longest.isascii():
            patterns.append(_OTHER_LATIN)
        near: set[int] = set()
        for name in WORD_FIELDS:
            table = self.catalogue.columns[name]
            for pattern in patterns:
                hits = (hit.start() for hit in pattern.finditer(memoryview(table.blob)))
                near.update(
                    np.unique(np.searchsorted(table.ends, np.fromiter(hits, np.int64), side="right")).tolist()
                )
        for row in near:
            out[row] = wanted <= self._stems(row)
        return out

    def _read_stems(self, row: int) -> frozenset[str]:
        text = " ".join(str(self.catalogue.columns[name][row]) for name in WORD_FIELDS)
        return _stems_of(text, 400)


WORD_FIELDS = ("title", "brand", "category", "description")
LONG = 600
"""Products up to which each is read; longer lists take the mask."""
_OTHER_LATIN = re.compile(b"\xef\xbc[\xa1-\xbf]|\xef\xbd[\x80-\x9a]|[\xc3-\xc5]")
"""Latin letters of full width or with accents, in UTF-8: they are folded before words are compared."""


def _stems_of(text: str, limit: int = 24) -> frozenset[str]:
    return frozenset(found for word in surface_words(text, limit) if (found := stem(word)))


def apply_rules(
    rules: Sequence[Rule],
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    goods: Goods,
    allowed: Callable[[int], bool] = lambda _: True,
) -> Ruled:
    """An ordered list under rules that are `meant` for it.

    `rows (n,)` best first with `scores (n,)`. A ban is stronger than anything; a boost moves the score away from the list's lowest by
    its factor, several multiply; burying keeps the order of what it buries; a pin puts its product into its place, and in if it is
    not in the list and `allowed` (which says whether a row passes the filters). Two pins to one place stand in the order of their age.
    """
    scores = np.asarray(scores, np.float32)
    whole = Ruled(rows, scores, np.arange(len(rows)))
    if not rules:
        return whole
    by: dict[str, list[Rule]] = {action: [r for r in rules if r.action == action] for action in (BAN, BOOST, BURY, PIN)}  # fmt: skip
    why: dict[int, Rule] = {}
    keep = np.ones(len(rows), bool)
    for rule in by[BAN]:
        keep &= ~goods.of(rule, rows)
    source = np.flatnonzero(keep)
    banned = len(rows) - len(source)
    rows, scores = rows[keep], scores[keep]
    if by[BOOST] and len(rows):
        low, factor = float(scores.min()), np.ones(len(rows))
        for rule in by[BOOST]:
            about = goods.of(rule, rows)
            factor[about] *= rule.amount
            why |= {int(row): rule for row in rows[about]}
        scores = (low + (scores - low) * factor).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        rows, scores, source = rows[order], scores[order], source[order]
    if by[BURY] and len(rows):
        buried = np.zeros(len(rows), bool)
        for rule in by[BURY]:
            about = goods.of(rule, rows)
            buried |= about
            why |= {int(row): rule for row in rows[about]}
        order = np.argsort(buried, kind="stable")
        # What is merged with the list by score later must not come before what is not buried.
        rows, scores, source = rows[order], np.minimum.accumulate(scores[order]), source[order]
    pins = [(rule, goods.row(rule.value)) for rule in sorted(by[PIN], key=lambda r: (r.amount, r.id))]
    here = set(rows.tolist())
    pins = [
        (rule, row)
        for rule, row in pins
        if row >= 0
        and (row in here or allowed(row))
        and not any(goods.of(ban, np.array([row], np.int32))[0] for ban in by[BAN])
    ]
    if pins:
        rows, scores, source = _pinned(pins, rows, scores, source, why)
    return Ruled(rows, scores, source, why, banned)


def _pinned(
    pins: list[tuple[Rule, int]],
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    source: NDArray[np.int64],
    why: dict[int, Rule],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """The list with the pinned products in their places; their scores are those of who stood there."""
    fixed = dict.fromkeys(row for _, row in pins)
    rule_of = {row: rule for rule, row in reversed(pins)}
    why |= rule_of
    pinned = np.fromiter(fixed, np.int32)
    rest = ~np.isin(rows, pinned)
    n = int(rest.sum())
    at: list[int] = []
    for number, row in enumerate(fixed):
        wanted = max(int(rule_of[row].amount) - 1, at[-1] + 1 if at else 0)
        at.append(min(wanted, n + number))
    whole = n + len(pinned)
    others = np.ones(whole, bool)
    others[at] = False
    out, place, value = np.empty(whole, np.int32), np.full(whole, -1, np.int64), np.empty(whole, np.float32)
    out[at], out[others] = pinned, rows[rest]
    place[others], value[others] = source[rest], scores[rest]
    for spot, row in zip(at, pinned.tolist(), strict=True):
        here = source[rows == row]
        place[spot] = here[0] if len(here) else -1
    for spot in reversed(at):
        value[spot] = value[spot + 1] if spot + 1 < whole else (value[others].min() if n else 0.0)
    return out, value, place
