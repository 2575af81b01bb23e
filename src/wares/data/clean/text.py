"""Text rules: each a function from text to text, and the chain of a column applied until nothing changes."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from wares.data.clean.rules import CleanRule

TextRule = Callable[[str], str]
ROUNDS = 12
"""A chain is repeated until it changes nothing, so that cleaning twice is cleaning once; in practice two rounds."""

_SCRIPT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>|<![^<>]{0,2000}>")
_SPACE = re.compile(r"\s+")
# Zero-width space, soft hyphen, word joiner, byte-order mark, and marks that turn the direction of the rest of a
# line. U+200C and U+200D stay (Persian, emoji), U+200E and U+200F stay (they only touch their neighbours).
_INVISIBLE = re.compile("[\u00ad\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WHITE = "\t\n\x0b\x0c\r\x85\u2028\u2029"
# Full-width forms and the ideographic space; half-width katakana with their sound marks, and half-width signs.
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_WIDE |= dict(zip(range(0xFFE0, 0xFFE7), "¢£¬¯¦¥₩", strict=True))  # type: ignore[arg-type]
_HALF = re.compile("[\uff61-\uffdc]+")

DIRTY = r"[^\x20-\x7e]|[<>&]|  |^ | $"
"""RE2 pattern of what the ``ascii_safe`` rules may change: any other text needs no visit from Python."""


def strip_html(text: str) -> str:
    """Entities to characters, markup to spaces; repeated, as exports escape twice."""
    while True:
        before = text
        if "<" in text:
            text = _TAG.sub(" ", _COMMENT.sub(" ", _SCRIPT.sub(" ", text)))
        if "&" in text:
            text = html.unescape(text)
        if text == before:
            return text


def fold_width(text: str) -> str:
    """Full-width forms to ASCII, half-width kana to full kana; other characters stay as they are."""
    return _HALF.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text).translate(_WIDE)


def strip_control(text: str) -> str:
    """White control characters become spaces; the others and invisible marks vanish."""
    return _INVISIBLE.sub("", _CONTROL.sub(lambda found: " " if found[0] in _WHITE else "", text))


def squeeze(text: str) -> str:
    """One space for each run of white space; none at the ends."""
    return _SPACE.sub(" ", text).strip()


@lru_cache(2)
def _converter(config: str) -> Any:
    import opencc

    return opencc.OpenCC(config)


_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def chinese(text: str, to: str = "simplified") -> str:
    """Characters of the other script, by OpenCC's tables (characters and phrases)."""
    if not _HAN.search(text):
        return text
    return str(_converter("t2s" if to == "simplified" else "s2t").convert(text))


def category_path(text: str, separators: tuple[str, ...]) -> str:
    """Steps joined by `` > ``; empty steps and a step that repeats the one before go."""
    steps = [text]
    for sign in separators:
        steps = [part for step in steps for part in step.split(sign)]
    out: list[str] = []
    for step in (squeeze(step) for step in steps):
        if step and (not out or out[-1].casefold() != step.casefold()):
            out.append(step)
    return " > ".join(out)


def text_rule(rule: CleanRule, learned: dict[str, str] | None = None) -> TextRule:
    """The function of a rule; `learned` is the table of those that learn one (``casing``, ``taxonomy``)."""
    if rule.name in ("casing", "taxonomy"):
        table = learned or {}
        return lambda text: table.get(text, text)
    if rule.name == "unicode":
        form: Any = rule["form"]
        return lambda text: unicodedata.normalize(form, text)
    if rule.name == "chinese":
        return lambda text: chinese(text, rule["to"])
    if rule.name == "case":
        return str.upper if rule["form"] == "upper" else str.lower
    if rule.name == "category_path":
        return lambda text: category_path(text, rule["separators"])
    return {"html": strip_html, "width": fold_width, "control": strip_control, "whitespace": squeeze}[
        rule.name
    ]


def run_chain(text: str, chain: list[TextRule]) -> tuple[str, list[tuple[str, str] | None]]:
    """`text` after the whole chain, repeated until it rests, and for each rule its first (before, after) or None."""
    changes: list[tuple[str, str] | None] = [None] * len(chain)
    for _ in range(ROUNDS):
        start = text
        for n, rule in enumerate(chain):
            after = rule(text)
            if after != text and changes[n] is None:
                changes[n] = (text, after)
            text = after
        if text == start:
            break
    return text, changes


def spelling_table(counts: dict[str, int]) -> dict[str, str]:
    """Each spelling → the most frequent one of the same letters; ties go to mixed case, then to the alphabet."""
    families: dict[str, list[str]] = {}
    for name in counts:
        families.setdefault(squeeze(unicodedata.normalize("NFKC", name).casefold()), []).append(name)
    table: dict[str, str] = {}
    for names in families.values():
        if len(names) > 1:
            best = min(names, key=lambda n: (-counts[n], n.isupper() or n.islower(), n))
            table |= {name: best for name in names if name != best}
    return table
