"""Small rules for text that the data room and the server must apply alike."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from string import Formatter
from typing import Any

HAN = "㐀-䶿一-鿿豈-﫿"
"""Chinese characters, for a class of a regular expression."""
_HAN = re.compile(f"[{HAN}]")
_TAG = re.compile(r"<[^<>]{0,2000}>")
_SPACE = re.compile(r"\s+")
_EDGE = " ,;·|/-."


def has_han(text: str) -> bool:
    """Whether there is a Chinese character in a text."""
    return _HAN.search(text) is not None


def plain(text: str, limit: int = 20_000) -> str:
    """Text without HTML, control characters and runs of white space; at most `limit` characters."""
    text = text[: 4 * limit]
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "&" in text:
        text = html.unescape(text)
    text = (
        "".join(" " if unicodedata.category(ch) == "Cc" else ch for ch in text)
        if not text.isprintable()
        else text
    )
    return _SPACE.sub(" ", text).strip()[:limit]


def template_parts(template: str) -> list[tuple[str, str]]:
    """(text before, field name) pairs of a template such as ``{title}, {brand}``; the last name may be empty.

    Raises:
        ValueError: when the braces do not match.
    """
    return [(literal, name or "") for literal, name, _, _ in Formatter().parse(template)]


def fill(parts: list[tuple[str, str]], values: Mapping[str, Any]) -> str:
    """Fill a template; the separator before a missing part is dropped with it."""
    text = ""
    for literal, name in parts:
        value = values.get(name) if name else None
        cell = str(value).strip() if value is not None else ""
        if not name:
            text += literal if text else ""
        elif cell:
            text += (literal if text or literal.strip(_EDGE) else "") + cell
    return text.strip(_EDGE)
