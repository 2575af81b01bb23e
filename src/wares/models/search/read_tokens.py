"""A text as tokens with their places, alike for what is typed and what the catalogue says."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import rjieba

from wares.core.text import HAN, has_han

MAX_CHARS = 400
"""Of a query; nobody asks for more, and what stands behind is left out."""
MASK = "\x01"
"""Stands where structure was taken out; it ends a phrase."""
_TOKEN = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+(?:[-'’.+&/][^\W_{HAN}]+)*")
_SPACE = re.compile(r"\s+")
_MARKS = re.compile(r"[^\w]+|_")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text, lower case, with its place; `han` for a Chinese one."""

    start: int
    end: int
    text: str
    han: bool


def normal(text: str, limit: int = MAX_CHARS) -> str:
    """Full-width forms narrowed, control characters and runs of space gone, at most `limit` characters."""
    text = text[: 4 * limit].encode("utf-8", "ignore").decode("utf-8")
    text = unicodedata.normalize("NFKC", text.replace("″", '"').replace("“", '"').replace("”", '"'))
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(ch) in ("Cc", "Cf", "Zl", "Zp") else ch for ch in text)
    return _SPACE.sub(" ", text).strip()[:limit]


def fold(word: str) -> str:
    """A word without accents, apostrophes and marks, with single spaces: the key by which names are compared."""
    if not word.isascii():
        word = "".join(ch for ch in unicodedata.normalize("NFKD", word) if not unicodedata.combining(ch))
    return " ".join(_MARKS.sub(" ", word.replace("'", "").replace("’", "")).split())


def tokens(text: str) -> list[Token]:
    """The words of a lower-case text in order; ``wh-1000xm5`` and ``gore-tex`` are one, Chinese is segmented."""
    out: list[Token] = []
    for match in _TOKEN.finditer(text):
        start, run = match.start(), match.group()
        if not has_han(run[0]):
            out.append(Token(start, match.end(), run, False))
            continue
        for piece in rjieba.cut(run) if len(run) > 1 else (run,):
            out.append(Token(start, start + len(piece), piece, True))
            start += len(piece)
    return out


def language(text: str) -> str:
    """The language of a query as far as its script and its function words tell: ISO 639-1, ``en`` when nothing else is said."""
    for code, pattern in _SCRIPTS:
        if pattern.search(text):
            return code
    found = set(re.findall(r"[^\W\d_]+", text.lower()))
    best = max(_FUNCTION_WORDS, key=lambda code: len(found & _FUNCTION_WORDS[code]))
    return best if found & _FUNCTION_WORDS[best] else "en"


_SCRIPTS = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("ja", "[\u3040-\u30ff]"), ("ko", "[\uac00-\ud7af]"), ("zh", f"[{HAN}]"), ("ar", "[\u0600-\u06ff]"), ("he", "[\u0590-\u05ff]"),
        ("ru", "[\u0400-\u04ff]"), ("el", "[\u0370-\u03ff]"), ("th", "[\u0e00-\u0e7f]"), ("hi", "[\u0900-\u097f]"),
    )
)  # fmt: skip
_FUNCTION_WORDS = {
    "en": frozenset(
        ["the", "for", "with", "and", "without", "under", "of", "in", "on", "to", "from", "between", "not"]
    ),
    "de": frozenset(
        [
            "für",
            "mit",
            "und",
            "ohne",
            "unter",
            "der",
            "die",
            "das",
            "von",
            "über",
            "zwischen",
            "nicht",
            "aus",
            "bis",
        ]
    ),
    "fr": frozenset(
        ["pour", "avec", "et", "sans", "sous", "le", "la", "les", "des", "du", "moins", "entre", "pas"]
    ),
    "es": frozenset(["para", "con", "y", "sin", "el", "los", "las", "de", "por", "menos", "entre"]),
    "it": frozenset(["per", "con", "e", "senza", "il", "gli", "di", "del", "meno", "tra", "sotto"]),
    "nl": frozenset(["voor", "met", "en", "zonder", "onder", "het", "van", "tussen", "niet"]),
    "pt": frozenset(["para", "com", "e", "sem", "o", "os", "as", "do", "da", "menos", "entre"]),
}
