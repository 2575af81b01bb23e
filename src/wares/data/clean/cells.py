"""Rules that look at one cell at a time, over Arrow batches: each distinct value of a batch is visited once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wares.data.clean.languages import language_of
from wares.data.clean.packs import parse_pack
from wares.data.clean.report import SAMPLES, Change
from wares.data.clean.rules import FLAGS, PACK_COLUMNS, CleanRule
from wares.data.clean.text import DIRTY, run_chain, text_rule

Cleaned = tuple[str | None, list[tuple[str, str] | None], bool]
AMOUNT = pa.decimal128(18, 6)
KEPT, LONGEST_KEPT = 100_000, 400
"""Results kept for the next batches, and the longest text that is worth keeping."""


@dataclass
class ColumnCleaner:
    """The text rules of one column. `learned` holds the tables of rules that learn one, by rule name."""

    column: str
    rules: list[CleanRule]
    required: bool
    learned: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.changes = [Change(self.column, rule.name, "changed") for rule in self.rules]
        self._chain = [text_rule(rule, self.learned.get(rule.name)) for rule in self.rules]
        self._only_dirty = all(rule.spec.ascii_safe for rule in self.rules)
        self._seen: dict[str, Cleaned] = {}
        self.kept_raw = 0

    def value(self, text: str) -> Cleaned:
        """The clean text (None when nothing is left of it), and what each rule did, and whether the raw text had to stay."""
        known = self._seen.get(text)
        if known is None:
            clean, changes = run_chain(text, self._chain)
            # A title of nothing but tags must not break the contract: the raw text stays.
            kept = not clean and self.required
            known = (text if kept else clean or None, [None] * len(changes) if kept else changes, kept)
            if len(text) <= LONGEST_KEPT:
                if len(self._seen) >= KEPT:
                    self._seen.clear()
                self._seen[text] = known
        return known

    def apply(self, values: pa.Array, keys: pa.Array) -> pa.Array:
        """The clean column; counts and samples are added to ``changes``."""
        if self._only_dirty:
            dirty = pc.fill_null(pc.match_substring_regex(values, DIRTY), False)
            if not pc.any(dirty).as_py():
                return values
            rows = pc.indices_nonzero(dirty)
            part = self._visit(values.take(rows), keys.take(rows))
            return pc.replace_with_mask(values, dirty, part)
        return self._visit(values, keys)

    def _visit(self, values: pa.Array, keys: pa.Array) -> pa.Array:
        coded = values.dictionary_encode()
        raw = coded.dictionary.to_pylist()
        results = [self.value(text) for text in raw]
        touched = np.array([[ch is not None for ch in changes] for _, changes, _ in results], bool)
        touched = touched.reshape(len(raw), len(self.rules))
        indices = coded.indices
        counts = np.bincount(pc.drop_null(indices).to_numpy(), minlength=len(raw))
        self.kept_raw += int(sum(n for n, (_, _, kept) in zip(counts, results, strict=True) if kept))
        for n, change in enumerate(self.changes):
            change.cells += int(counts @ touched[:, n])
            if len(change.samples) < SAMPLES:
                for place in np.flatnonzero(touched[:, n])[:SAMPLES]:
                    row = pc.index(indices, pa.scalar(int(place), indices.type)).as_py()
                    before, after = results[place][1][n] or ("", "")
                    change.sample(keys[row].as_py(), before, after)
        return pa.array([clean for clean, _, _ in results], pa.string()).take(indices)


@dataclass
class Adder:
    """A rule that makes columns from a text column, after that column is clean."""

    column: str
    rule: CleanRule
    learned: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.change = Change(self.column, self.rule.name, "filled")

    def fields(self) -> list[pa.Field]:
        """The columns that this makes (``unit_price`` is made later, when prices are in one currency)."""
        if self.rule.name == "pack":
            kinds = (pa.int32(), AMOUNT, pa.string(), AMOUNT)
            return [pa.field(name, kind) for name, kind in zip(PACK_COLUMNS, kinds, strict=False)]
        return [pa.field(name, pa.string()) for name in self.rule.adds(self.column) if name != FLAGS]

    def apply(self, batch: dict[str, pa.Array], keys: pa.Array) -> dict[str, pa.Array]:
        """New columns for a batch of clean columns."""
        if self.rule.name == "pack":
            return self._packs(batch, keys)
        make: Callable[[str], Any] = (
            (lambda text: language_of(text, self.rule["min_letters"]))
            if self.rule.name == "language"
            else self.learned.get
        )
        values = batch[self.column]
        coded = values.dictionary_encode()
        made = pa.array([make(text) for text in coded.dictionary.to_pylist()], pa.string()).take(
            coded.indices
        )
        self._count(values, made, keys)
        return {self.fields()[0].name: made}

    def _count(self, before: pa.Array, made: pa.Array, keys: pa.Array) -> None:
        self.change.cells += len(made) - made.null_count
        if len(self.change.samples) < SAMPLES:
            for row in pc.indices_nonzero(pc.is_valid(made))[:200].to_pylist():
                self.change.sample(keys[row].as_py(), before[row].as_py(), made[row].as_py())

    def _packs(self, batch: dict[str, pa.Array], keys: pa.Array) -> dict[str, pa.Array]:
        texts = batch[self.column]
        packs = _parsed(texts)
        also = str(self.rule["also"])
        if also:
            spare = _parsed(batch[also])
            texts = pa.array(
                [
                    b if p is None else a
                    for a, b, p in zip(texts.to_pylist(), batch[also].to_pylist(), packs, strict=True)
                ],
                pa.string(),
            )
            packs = [p or q for p, q in zip(packs, spare, strict=True)]
        label = pa.array(
            [
                None if p is None else f"{p.count} × {_short(p.amount)} {p.unit} = {_short(p.total)} {p.unit}"
                for p in packs
            ],
            pa.string(),
        )
        self._count(texts, label, keys)
        columns = {
            "pack_count": [p and p.count for p in packs],
            "unit_amount": [p and p.amount for p in packs],
            "unit": [p and p.unit for p in packs],
            "total_amount": [p and p.total for p in packs],
        }
        return {field.name: pa.array(columns[field.name], field.type) for field in self.fields()}


def _parsed(texts: pa.Array) -> list[Any]:
    return [None if text is None else parse_pack(text) for text in texts.to_pylist()]


def _short(value: Decimal) -> str:
    return f"{value.normalize():f}"


def stage_columns(contract: Any) -> tuple[dict[str, list[CleanRule]], list[tuple[str, CleanRule]]]:
    """The text rules by column, and the (column, rule) pairs that add columns cell by cell."""
    chains: dict[str, list[CleanRule]] = {}
    adders: list[tuple[str, CleanRule]] = []
    for column in contract.columns:
        for rule in column.clean:
            if rule.name in ("pack", "language", "near_duplicates"):
                adders.append((column.name, rule))
            elif rule.name not in ("convert", "outliers", "price_text"):
                chains.setdefault(column.name, []).append(rule)
    return chains, adders
