"""The evidence of one pair in words that a person can check: what agrees, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wares.core.words import Reading, is_whole, runs_together
from wares.features.pair_bags import idf
from wares.features.pair_evidence import Sheet
from wares.features.pair_fields import number

MOST = 3
CLOSE = 0.97
FAR = 0.6
"""Prices whose ratio is above the first are near each other, below the second they are far apart."""
_DIMENSIONS = {
    "gb": "memory", "ghz": "clock rates", "khz": "sampling rates", "hz": "frequencies", "inch": "inches", "cm": "lengths", "ft": "lengths",
    "g": "weights", "oz": "weights", "l": "volumes", "w": "watts", "v": "volts", "mah": "charges", "mp": "megapixels",
    "rpm": "rotations", "count": "pack sizes", "core": "cores", "user": "users", "year": "years", "port": "ports",
}  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """One piece of evidence: `kind` (code, measure, number, price, words, field, identifier), which way it points, and text."""

    kind: str
    side: Literal["for", "against"]
    text: str


def reasons(sheet: Sheet, left: int, right: int) -> list[Reason]:
    """What speaks for and against two rows of a sheet being one thing, codes and identifiers first."""
    a, b = sheet.whole.readings[left], sheet.whole.readings[right]
    out = _identifiers(sheet, left, right) + _codes(a, b) + _measures(a, b)
    # Only those of the titles: elsewhere a bare number is a price or somebody's id.
    out += _numbers(sheet.title.readings[left], sheet.title.readings[right])
    out += _prices(sheet, left, right) + _labels(sheet, left, right) + _words(sheet, a, b)
    return out


def _identifiers(sheet: Sheet, left: int, right: int) -> list[Reason]:
    out = []
    for name, values in sheet.identifiers.items():
        a, b = values[left], values[right]
        if a and b:
            out.append(
                Reason("identifier", "for", f"{name} agrees: {a.partition(':')[2]}")
                if a == b
                else Reason("identifier", "against", f"{name} disagrees: {a.partition(':')[2]} against {b.partition(':')[2]}")
            )  # fmt: skip
    return out


def _codes(a: Reading, b: Reading) -> list[Reason]:
    shared = a.codes & b.codes
    apart = (a.codes & runs_together(b.text)) | (b.codes & runs_together(a.text))
    found = sorted((code for code in shared | apart if is_whole(code)), key=lambda c: (-len(c), c))
    if found:
        return [Reason("code", "for", f"model number agrees: {', '.join(found[:MOST])}")]
    mine, theirs = (sorted(filter(is_whole, r.codes), key=lambda c: (-len(c), c)) for r in (a, b))
    if mine and theirs:
        return [Reason("code", "against", f"model numbers disagree: {mine[0]} against {theirs[0]}")]
    return []


def _measures(a: Reading, b: Reading) -> list[Reason]:
    out = []
    for kind in sorted({d for d, _ in a.measures} & {d for d, _ in b.measures}):
        mine, theirs = (sorted(v for d, v in r.measures if d == kind) for r in (a, b))
        name = _DIMENSIONS.get(kind, kind)
        if set(mine) & set(theirs):
            both = ", ".join(_shown(v, kind) for v in sorted(set(mine) & set(theirs))[:MOST])
            out.append(Reason("measure", "for", f"{name} agree: {both}"))
        else:
            said = [", ".join(_shown(v, kind) for v in values[:MOST]) for values in (mine, theirs)]
            out.append(Reason("measure", "against", f"{name} disagree: {said[0]} against {said[1]}"))
    return out


def _shown(value: float, kind: str) -> str:
    if kind == "l" and value < 1:
        return f"{value * 1000:g} ml"
    if kind == "g" and value >= 1000:
        return f"{value / 1000:g} kg"
    return f"{value:g} {'MP' if kind == 'mp' else 'GB' if kind == 'gb' else '' if kind == 'count' else kind}".strip()


def _numbers(a: Reading, b: Reading) -> list[Reason]:
    """Bare numbers: versions, years, editions."""
    shared, mine, theirs = a.numbers & b.numbers, a.numbers - b.numbers, b.numbers - a.numbers
    out = []
    if shared:
        out.append(Reason("number", "for", f"numbers agree: {', '.join(sorted(shared)[:MOST])}"))
    if mine and theirs:
        said = [", ".join(sorted(values)[:MOST]) for values in (mine, theirs)]
        out.append(Reason("number", "against", f"numbers disagree: {said[0]} against {said[1]}"))
    return out


def _prices(sheet: Sheet, left: int, right: int) -> list[Reason]:
    out = []
    for name in sheet.numbers:
        a, b = (number(sheet.records[row].get(name, "")) for row in (left, right))
        if a and b:
            ratio = min(abs(a), abs(b)) / max(abs(a), abs(b))
            if ratio >= CLOSE:
                out.append(Reason("price", "for", f"{name} agrees: {a:g} and {b:g}"))
            elif ratio < FAR:
                out.append(Reason("price", "against", f"{name} far apart: {a:g} against {b:g}"))
    return out


def _labels(sheet: Sheet, left: int, right: int) -> list[Reason]:
    out = []
    for name, values in sheet.labels.items():
        a, b = values[left], values[right]
        if a and b:
            near = a == b or a in b or b in a
            text = f"{name} agrees: {a}" if near else f"{name} disagrees: {a} against {b}"
            out.append(Reason("field", "for" if near else "against", text))
    return out


def _words(sheet: Sheet, a: Reading, b: Reading) -> list[Reason]:
    known = sheet.whole.known

    def rarest(words: set[str]) -> list[str]:
        plain = [w for w in words if not any(ch.isdigit() for ch in w)]
        return sorted(plain, key=lambda w: (-idf(known.counts["word"].get(w, 0), known.n), w))[:MOST]

    shared = rarest(set(a.words) & set(b.words))
    out = [Reason("words", "for", f"both say {', '.join(shared)}")] if shared else []
    one = [rarest(set(x.words) - set(y.words)) for x, y in ((a, b), (b, a))]
    if one[0] and one[1]:
        out.append(
            Reason(
                "words", "against", f"only one says {', '.join(one[0])}; only the other {', '.join(one[1])}"
            )
        )
    return out
