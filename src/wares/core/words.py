"""What a product text says: words, model codes and measured quantities, in a form that can be compared.

Two shops write one thing in many ways: ``64 GB`` and ``64gb``, ``MN 314 IX H`` and ``mn314ixh``, ``0.5 l`` and
``500ml``. A `Reading` holds a text after these differences are gone. CJK text is read as character pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wares.core.text import plain

_RUN = re.compile(r"[0-9]+")
_PIECE = re.compile(r"[^\W\d_]+|[0-9]+")
MAX_CHARS = 1200
MAX_WORDS = 96
JOIN = 5
"""So many neighbouring words may be one code written apart."""
MAX_CODE = 20

_TOKEN = re.compile(r"(?:[^\W_]|(?<=[0-9])[.,](?=[0-9]))+", re.UNICODE)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_MEASURE = re.compile(r"([0-9]+(?:[.,][0-9]+)?)([^\W\d_]{1,10})")

# Unit → (dimension, factor to its base). The words of a unit in several languages stand for the unit itself.
_UNITS: dict[str, tuple[str, float]] = {
    "gb": ("gb", 1.0), "go": ("gb", 1.0), "gigabyte": ("gb", 1.0), "tb": ("gb", 1024.0), "mb": ("gb", 1 / 1024), "kb": ("gb", 1 / 1024**2),
    "ghz": ("ghz", 1.0), "mhz": ("ghz", 1e-3), "khz": ("khz", 1.0), "hz": ("hz", 1.0),
    "inch": ("inch", 1.0), "inches": ("inch", 1.0), "in": ("inch", 1.0), "zoll": ("inch", 1.0), "pouces": ("inch", 1.0), "pulgadas": ("inch", 1.0),
    "cm": ("cm", 1.0), "mm": ("cm", 0.1), "m": ("cm", 100.0), "ft": ("ft", 1.0), "feet": ("ft", 1.0),
    "kg": ("g", 1000.0), "g": ("g", 1.0), "gr": ("g", 1.0), "mg": ("g", 0.001),
    "oz": ("oz", 1.0), "lb": ("oz", 16.0), "lbs": ("oz", 16.0),
    "l": ("l", 1.0), "lt": ("l", 1.0), "ltr": ("l", 1.0), "litre": ("l", 1.0), "litres": ("l", 1.0), "liter": ("l", 1.0),
    "liters": ("l", 1.0), "ml": ("l", 0.001), "cl": ("l", 0.01),
    "w": ("w", 1.0), "kw": ("w", 1000.0), "watt": ("w", 1.0), "watts": ("w", 1.0), "v": ("v", 1.0), "volt": ("v", 1.0), "mah": ("mah", 1.0),
    "mp": ("mp", 1.0), "mpix": ("mp", 1.0), "mpixel": ("mp", 1.0), "megapixel": ("mp", 1.0), "megapixels": ("mp", 1.0), "rpm": ("rpm", 1.0), "k": ("k", 1.0), "p": ("p", 1.0),
    "pack": ("count", 1.0), "pk": ("count", 1.0), "pcs": ("count", 1.0), "ct": ("count", 1.0), "count": ("count", 1.0),
    "core": ("core", 1.0), "cores": ("core", 1.0), "user": ("user", 1.0), "users": ("user", 1.0),
    "year": ("year", 1.0), "years": ("year", 1.0), "yr": ("year", 1.0), "port": ("port", 1.0), "ports": ("port", 1.0),
}  # fmt: skip
# Too short or too common as words of their own ("4 in 1"): units only when written onto the number.
_ATTACHED_ONLY = frozenset({"in", "k", "p", "m", "go", "gr"})


@dataclass(frozen=True)
class Reading:
    """A text as sets: `words` (codes and numbers among them), `codes`, bare `numbers`, and `measures` ``(dimension, value)``."""

    text: str
    words: tuple[str, ...]
    codes: frozenset[str]
    numbers: frozenset[str]
    measures: frozenset[tuple[str, float]]
    nexts: frozenset[str] = frozenset()
    """Words side by side: "mark iii" is more than "mark" and "iii"."""


def fold(text: str) -> str:
    """Lower case, compatibility forms made plain, accents gone, HTML gone."""
    text = unicodedata.normalize("NFKD", plain(text, MAX_CHARS).casefold())
    return unicodedata.normalize("NFC", "".join(ch for ch in text if not unicodedata.combining(ch)))


def _canonical(number: str) -> str:
    number = number.replace(",", ".") if number.count(",") + number.count(".") <= 1 else number
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0" if "." not in number else number


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    for token in _TOKEN.findall(text):
        if _CJK.search(token):
            for part in re.split(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)", token):
                if _CJK.fullmatch(part):
                    found += [part] if len(part) == 1 else [part[i : i + 2] for i in range(len(part) - 1)]
                elif part:
                    found.append(part)
        else:
            found.append(token)
    return found


def _is_code(token: str) -> bool:
    return len(token) >= 3 and any(ch.isdigit() for ch in token) and any(ch.isalpha() for ch in token)


def read_texts(texts: Sequence[str], whole: Collection[str] | None = None) -> list[Reading]:
    """Read the texts of one table together: a code written apart is joined when another text writes it as one.

    `whole` are the codes that may be joined; without it they are those that any of `texts` writes as one word.
    """
    tokens = [_tokens(fold(text))[:MAX_WORDS] for text in texts]
    if whole is None:
        whole = {token for row in tokens for token in row if is_whole(token)}
    return [_read(row, whole) for row in tokens]


def is_whole(token: str) -> bool:
    """Whether a word may be a code that other texts write apart."""
    return len(token) >= 4 and any(ch.isdigit() for ch in token)


def runs_together(text: str) -> set[str]:
    """Every two to `JOIN` neighbouring words of a folded text written as one, where there is a digit in them."""
    row, out = text.split(), set[str]()
    for start in range(len(row)):
        joined = row[start]
        for token in row[start + 1 : start + JOIN]:
            joined += token
            if len(joined) > MAX_CODE:
                break
            if is_whole(joined):
                out.add(joined)
    return out


def runs(reading: Reading) -> set[str]:
    """The numbers of a text wherever they stand, also inside codes: "55" in "ue55nu7400"."""
    return {run.lstrip("0") or "0" for word in reading.words for run in _RUN.findall(word)}


def pieces(reading: Reading) -> set[str]:
    """Letters and digits apart, and codes without their beginnings and ends: a region or colour is often hung on."""
    out = {piece for word in reading.words for piece in _PIECE.findall(word)} | set(reading.codes)
    for code in reading.codes:
        out.update(code[cut:] for cut in (1, 2, 3) if len(code) - cut >= 4)
        out.update(code[:-cut] for cut in (1, 2, 3, 4) if len(code) - cut >= 4)
    return out


def _joined(row: list[str], whole: Collection[str]) -> list[str]:
    more: list[str] = []
    for start in range(len(row)):
        text = row[start]
        for token in row[start + 1 : start + JOIN]:
            text += token
            if len(text) > MAX_CODE:
                break
            if text in whole:
                more.append(text)
    return more


def _read(row: list[str], whole: Collection[str]) -> Reading:
    words: dict[str, None] = {}
    codes: set[str] = set()
    numbers: set[str] = set()
    measures: set[tuple[str, float]] = set()
    skip = False
    for at, token in enumerate(row):
        if skip:
            skip = False
            continue
        if _NUMBER.fullmatch(token):
            number = _canonical(token)
            after = row[at + 1] if at + 1 < len(row) else ""
            unit = _UNITS.get(after) if after not in _ATTACHED_ONLY else None
            if unit is not None and number.count(".") <= 1 and "," not in number:
                measures.add(_measure(number, unit))
                words[_named(number, unit)] = None
                skip = True
            else:
                words[number] = None
                numbers.add(number)
            continue
        match = _MEASURE.fullmatch(token)
        unit = _UNITS.get(match.group(2)) if match else None
        if match and unit is not None:
            number = _canonical(match.group(1))
            measures.add(_measure(number, unit))
            words[_named(number, unit)] = None
            continue
        words[token] = None
        if _is_code(token):
            codes.add(token)
    for text in _joined(row, whole):
        match = _MEASURE.fullmatch(text)
        if match and match.group(2) in _UNITS:
            continue
        words[text] = None
        if _is_code(text) or len(text) >= 5:
            codes.add(text)
    return Reading(
        " ".join(row), tuple(words), frozenset(codes), frozenset(numbers), frozenset(measures),
        frozenset(f"{first} {second}" for first, second in pairwise(row)),
    )  # fmt: skip


def _measure(number: str, unit: tuple[str, float]) -> tuple[str, float]:
    return unit[0], float(f"{float(number) * unit[1]:.5g}")


def _named(number: str, unit: tuple[str, float]) -> str:
    dimension, value = _measure(number, unit)
    return f"{value:g}{dimension}"
