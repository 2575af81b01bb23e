"""The fields of two product records to be compared, and what each is for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wares.core.identifiers import is_identifier_name
from wares.core.text import plain

Record = Mapping[str, str]
"""Field name → text, ``""`` where nothing is known."""
TITLES = ("title", "name", "product_title", "product_name", "productname", "item_name", "song_name", "beer_name", "商品名称", "标题")  # fmt: skip
MISSING = frozenset({"", "nan", "none", "null", "n/a", "na", "-"})
ROW_IDS = frozenset({"id", "record_id", "row_id", "row", "index", "product_id", "offer_id", "item_id", "entity_id", "cluster_id"})  # fmt: skip
"""Fields of these names number rows, or give the answer away; they say nothing of a thing and are left out."""
MOST_CHARS = 4000
"""A field is read this far: a title of 10,000 characters says no more than its beginning."""
NUMERIC = 0.6
"""A field that reads as a number this often is one; other values in it are taken for missing (values slip columns)."""
WORDY = 3.0
"""Mean words from which a field is a text and not a label."""


@dataclass(frozen=True)
class Fields:
    """Roles: what names the thing, what describes it, what agrees or differs, what is a magnitude, what identifies."""

    title: str
    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All fields, the title first."""
        return (self.title, *self.texts, *self.labels, *self.numbers, *self.identifiers)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Fields:
        """Guess the roles from names and values; fields without any value, and ids of rows, are left out.

        Raises:
            ValueError: when no record says anything.
        """
        texts, labels, numbers, identifiers = [], [], [], []
        says: dict[str, float] = {}
        for name in dict.fromkeys(name for record in records for name in record):
            filled = [value for record in records if (value := record.get(name, ""))]
            if not filled or name.lower() in ROW_IDS:
                continue
            words = sum(len(value.split()) for value in filled) / len(filled)
            if is_identifier_name(name):
                identifiers.append(name)
            elif sum(number(value) is not None for value in filled) > NUMERIC * len(filled):
                numbers.append(name)
            else:
                (texts if words >= WORDY or _unspaced(filled) else labels).append(name)
                says[name] = len(filled) * min(words + _unspaced(filled) * 5, 12) + len(set(filled)) / len(
                    filled
                )
        title = next((name for known in TITLES for name in says if name.lower() == known), "")
        title = title or max(says, key=lambda name: says[name], default="")
        if not title:
            title = next(iter([*numbers, *identifiers]), "")
        if not title:
            raise ValueError("no record says anything")
        kinds = (texts, labels, numbers, identifiers)
        return cls(title, *(tuple(name for name in kind if name != title) for kind in kinds))

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fields:
        """Back from the manifest."""
        kinds = ("texts", "labels", "numbers", "identifiers")
        return cls(str(value["title"]), *(tuple(str(name) for name in value[kind]) for kind in kinds))

    def key(self, record: Record) -> str:
        """What makes two records the same record: all their values."""
        return "\x1f".join(record.get(name, "") for name in self.names)

    def whole(self, record: Record) -> str:
        """All values as one text, the title first; what stands in the wrong field is found here still."""
        return " ".join(value for name in self.names if (value := record.get(name, "")))


def clean(value: Any) -> str:
    """A value as text; what stands for "missing", NaN among it, as ``""``."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = plain(str(value), MOST_CHARS)
    return "" if text.casefold() in MISSING else text


def number(text: str) -> float | None:
    """A finite number, with or without a currency sign before it and commas between its thousands."""
    try:
        value = float(text.strip().lstrip("$€£¥ ").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _unspaced(values: Sequence[str]) -> bool:
    some = values[:500]
    return sum(sum("\u3040" <= ch <= "\u9fff" for ch in value) >= 4 for value in some) > len(some) / 2
