"""Merchandising rules on an ordered list: what is banned goes, what is boosted rises, what is buried ends up last, what is pinned
stands in its place. A pure function: the rules come from `wares.core.search_rules`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wares.core.search_rules import BAN, BOOST, BURY, EXACT, PIN, Rule, normal_query
from wares.features.catalogue import Catalogue
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


def below(category: str, path: str) -> bool:
    """Whether a category is `path` or lies below it."""
    return category == path or category.startswith(f"{path} >")


def meant(rules: Sequence[Rule], query: str, categories: Sequence[str] = ()) -> list[Rule]:
    """The rules that are for a query, asked within some categories (by filter or by what was read out of the query)."""
    asked, words = normal_query(query), list[str]()
    out: list[Rule] = []
    for rule in rules:
        if rule.category and not any(below(category, rule.category) for category in categories):
            continue
        if rule.query and rule.match == EXACT and rule.query != asked:
            continue
        if rule.query and rule.match != EXACT:
            words = words or [stem(word) for word in surface_words(asked)]
            if not all(stem(word) in words for word in surface_words(rule.query)):
                continue
        out.append(rule)
    return out


class Goods:
    """What rules look at of products: a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def row(self, product_id: str) -> int:
        """The row of a product, -1 for none."""
        return self.catalogue.row(product_id)

    def of(self, rule: Rule, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which products a rule is about ``(n,)``."""
        if rule.target == "product":
            return rows == self.row(rule.value)
        columns = self.catalogue.columns
        if rule.target == "brand":
            brand = rule.value.casefold()
            return np.array([str(columns["brand"][int(r)]).casefold() == brand for r in rows], bool)
        if rule.target == "category":
            return np.array([below(str(columns["category"][int(r)]), rule.value) for r in rows], bool)
        wanted = {stem(word) for word in surface_words(rule.value)}
        fields = ("title", "brand", "category", "description")
        return np.array([wanted <= self._stems(int(r), fields) for r in rows], bool)

    def _stems(self, row: int, fields: Sequence[str]) -> set[str]:
        text = " ".join(str(self.catalogue.columns[name][row]) for name in fields)
        return {stem(word) for word in surface_words(text, 400)}


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
    of = {row: (int(at), float(score)) for row, at, score in zip(rows.tolist(), source, scores, strict=True)}
    fixed = dict.fromkeys(row for _, row in pins)
    rest = [row for row in rows.tolist() if row not in fixed]
    out: list[int] = []
    waiting = list({row: rule for rule, row in reversed(pins)}.items())[::-1]
    while rest or waiting:
        if waiting and (len(out) + 1 >= waiting[0][1].amount or not rest):
            row, rule = waiting.pop(0)
            why[row] = rule
            out.append(row)
        else:
            out.append(rest.pop(0))
    place = np.array([of.get(row, (-1, 0.0))[0] for row in out], np.int64)
    value = np.array([np.nan if row in fixed else of[row][1] for row in out], np.float32)
    last = float(scores.min()) if len(scores) else 0.0
    for at in range(len(out) - 1, -1, -1):
        if np.isnan(value[at]):
            value[at] = value[at + 1] if at + 1 < len(out) else last
    return np.array(out, np.int32), value, place
