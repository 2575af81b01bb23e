"""Exact identifiers: GTIN with its check digit, ASIN, ISBN, and manufacturers' part numbers."""

from __future__ import annotations

import re

_NAMES = frozenset(
    {"gtin", "gtin8", "gtin12", "gtin13", "gtin14", "ean", "ean13", "upc", "barcode", "isbn", "isbn10", "isbn13", "asin", "mpn", "part_number", "条码"}
)  # fmt: skip
_ASIN = re.compile(r"B0[A-Z0-9]{8}")
_DIGITS = re.compile(r"[\s\-.]")


def is_identifier_name(name: str) -> bool:
    """Whether a column of this name holds exact identifiers."""
    return name.strip().lower() in _NAMES


def gtin(text: str) -> str:
    """A valid GTIN-8, -12, -13 or -14 as 14 digits, or ``""`` (wrong length, wrong check digit, all zeros).

    The check digit is that of the GS1 General Specifications: weights 3, 1, 3, … from the right, modulo 10.
    """
    digits = _DIGITS.sub("", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (8, 12, 13, 14) or not int(digits):
        return ""
    body, check = digits[:-1], int(digits[-1])
    total = sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(reversed(body)))
    return digits.zfill(14) if (10 - total % 10) % 10 == check else ""


def isbn10(text: str) -> str:
    """A valid ISBN-10 as the GTIN of its book, or ``""``."""
    raw = _DIGITS.sub("", text).upper()
    if not re.fullmatch(r"[0-9]{9}[0-9X]", raw):
        return ""
    if sum((10 - at) * (10 if ch == "X" else int(ch)) for at, ch in enumerate(raw)) % 11:
        return ""
    body = "978" + raw[:9]
    total = sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(reversed(body)))
    return (body + str((10 - total % 10) % 10)).zfill(14)


def clean_identifier(text: str) -> str:
    """One form for each identifier, with its kind before it; ``""`` for what cannot identify.

    A number that looks like a GTIN but has a wrong check digit is dropped: it would join strangers.
    """
    text = text.strip().upper()
    if not text:
        return ""
    if found := gtin(text) or isbn10(text):
        return f"gtin:{found}"
    if _ASIN.fullmatch(text):
        return f"asin:{text}"
    digits = _DIGITS.sub("", text)
    if digits.isdigit():
        return "" if len(digits) in (8, 12, 13, 14) or len(digits) < 5 else f"mpn:{digits}"
    plain = re.sub(r"[\W_]", "", text)
    return f"mpn:{plain}" if len(plain) >= 4 and any(ch.isdigit() for ch in plain) else ""
