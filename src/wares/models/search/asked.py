"""What a query asks for, once it is read: words to match, and limits that stand beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

LONGEST_PHRASE = 3
"""Words of the longest phrase in ``Asked.also``."""


@dataclass(frozen=True, slots=True)
class Size:
    """A quantity in a base unit: ``unit`` is ``g``, ``ml``, ``mm``, ``piece``, ``byte``, ``inch`` or another of the unit table."""

    amount: float
    unit: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, read.

    `text` is what was typed, normalised; `words` are those left to match, after corrections, in order. `also` has for a word the
    phrases that say the same. What was recognised as structure stands in the other fields and no longer in `words`; `notes` names,
    for people, each span that became structure: ``(span, kind, value)``.
    """

    text: str
    words: tuple[str, ...]
    language: str = ""
    corrected: dict[str, str] = field(default_factory=dict[str, str])
    also: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    sizes: tuple[Size, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    not_words: tuple[str, ...] = ()
    not_brands: tuple[str, ...] = ()
    likely: dict[int, float] = field(default_factory=dict[int, float])
    """Probability of categories by their code, most probable ones alone; for the order, never a limit."""
    notes: tuple[tuple[str, str, str], ...] = ()

    @property
    def structured(self) -> bool:
        """Whether anything of the query became a limit."""
        limits = (self.brands, self.categories, self.sizes, self.attributes, self.not_words, self.not_brands)
        return any(limits) or self.price_min is not None or self.price_max is not None

    def plain(self) -> Asked:
        """The same with every word to match and no structure: for when the structure finds nothing."""
        return replace(
            Asked(self.text, tuple(self.text.split()), self.language),
            corrected=self.corrected,
            also=self.also,
        )


Read = Callable[[str], Asked]
"""Reads what was typed."""
