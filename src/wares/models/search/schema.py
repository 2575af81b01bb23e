"""The word index of a search artefact: its fields, and what of a text goes into which."""

from __future__ import annotations

import re
import unicodedata

import tantivy

from wares.models.search.analysis import ANALYZER

KIND = "search"
FIELDS = ("title", "brand", "category", "size", "description")
NUMBERS = "numbers"
EXACT = "exact"
ATTRIBUTES = "attributes"
MOST_JOINED = 3
"""Pieces of a product number that a shopper may have typed apart."""
_PIECES = re.compile(r"[a-z0-9]+(?:[-/._][a-z0-9]+)*")
_MEASURE = re.compile(
    r"\d+(?:[.,]\d+)?(?:gb|tb|mb|ml|cl|l|g|kg|mg|cm|mm|m|w|v|ah|mah|hz|mhz|ghz|mp|k|p|in|inch|oz|lb|pcs|pc|pk|ct|x)"
)


def schema() -> tantivy.Schema:
    """The fields of the word index."""
    builder = tantivy.SchemaBuilder()
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name=ANALYZER)
    builder.add_text_field("code", tokenizer_name="raw", index_option="basic")
    for name in ("row", "brand_code", "category_code", "price", "available"):
        builder.add_integer_field(name, fast=True, indexed=True)
    builder.add_text_field(ATTRIBUTES, tokenizer_name=ANALYZER)
    builder.add_text_field(EXACT, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(NUMBERS, tokenizer_name="whitespace", index_option="basic")
    builder.add_integer_field("size_code", fast=True, indexed=True)
    return builder.build()


def title_key(text: str) -> str:
    """A title as it is compared whole: narrow forms, lower case, letters and digits alone with single blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", folded))[:300]


def product_numbers(text: str, *, typed: bool = False) -> list[str]:
    """What in a text looks like a product number, in lower case and without its dashes: ``WH-1000XM4`` is ``wh1000xm4``.

    That is a word of letters and digits, or of at least five digits, and no measure (``64gb``). With `typed` neighbouring words
    are joined too, as shoppers part what the maker writes in one: of ``wh 1000 xm4`` comes ``wh1000xm4``.
    """
    words = _PIECES.findall(unicodedata.normalize("NFKC", text[:2000]).lower())
    found: dict[str, None] = {}
    for word in words:
        for piece in (re.sub(r"[-/._]", "", word), *re.split(r"[-/._]", word)):
            if _is_number(piece):
                found[piece] = None
    if typed:
        for size in range(2, MOST_JOINED + 1):
            for at in range(len(words) - size + 1):
                joined = re.sub(r"[-/._]", "", "".join(words[at : at + size]))
                if _is_number(joined) and not joined.isdigit():
                    found[joined] = None
    return list(found)[:32]


def _is_number(piece: str) -> bool:
    if not any(ch.isdigit() for ch in piece) or _MEASURE.fullmatch(piece):
        return False
    return len(piece) >= (5 if piece.isdigit() else 3)
