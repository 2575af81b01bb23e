"""Which past queries may be shown to others: those that enough people typed, that name nobody, and that lead somewhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wares.models.search.analysis import lower
from wares.models.search.suggest_text import shown, tokens

LONGEST = 60
VISIT = 0.5
"""What a visit without a shopper counts: one person makes several."""

_PERSONAL = re.compile(
    r"@|://|www\.|\d(?:[\s().\-/]?\d){5}|[0-9a-f]:[0-9a-f:]{2,}|\d{1,3}\.\d{1,3}\.\d"
    r"|\b(?:my name|name is|i am|i'm|mr|mrs|ms|dr)\b|我叫|我是|姓名|收件人|收货人|联系人|先生|女士收"
    r"|\d+\s+\w+[\w .'-]*\b(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|blvd)\b"
    r"|[省市区县镇].{1,20}[路街巷弄号]"
)


@dataclass(slots=True)
class Past:
    """A past query: how many people typed it, and the products clicked for it, by row, with how many people."""

    text: str
    people: float
    clicks: dict[int, float] = field(default_factory=dict[int, float])


def normal(text: str) -> str:
    """The form in which queries are the same; never the form in which one person wrote it."""
    return lower(shown(text))


def personal(text: str) -> bool:
    """Whether a text looks as if it named a person, an address, a number of someone, or a link."""
    return _PERSONAL.search(text) is not None


def shareable(
    rows: Iterable[tuple[str, str, str, int]], least: int, known: Mapping[str, int] | frozenset[str]
) -> list[Past]:
    """Past queries that may be proposed, most people first; ties by text.

    A query is kept when at least `least` people typed it, it looks like nothing personal, and either every word is one of the
    catalogue's or at least `least` people clicked on what it led to. A shopper counts once however often they typed; a visit
    without a shopper counts half, and one with neither not at all.

    Args:
        rows: (text, user, session, row of the clicked product or -1).
        least: people; 0 keeps nothing.
        known: the catalogue's words.
    """
    if least < 1:
        return []
    who: dict[str, set[str]] = defaultdict(set)
    clicked: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for text, user, session, product in rows:
        name = user or (f"~{session}" if session else "")
        text = normal(text)
        if not name or not 2 <= len(text) <= LONGEST:
            continue
        who[text].add(name)
        if product >= 0:
            clicked[text][product].add(name)
    out: list[Past] = []
    for text, names in who.items():
        people = _count(names)
        if people < least or personal(text):
            continue
        clicks = {row: _count(by) for row, by in sorted(clicked[text].items())} if text in clicked else {}
        led = _count({name for by in clicked[text].values() for name in by}) if text in clicked else 0.0
        words = tokens(text)
        if words and (led >= least or all(word in known for word in words)):
            out.append(Past(text, people, clicks))
    return sorted(out, key=lambda past: (-past.people, past.text))


def _count(names: Iterable[str]) -> float:
    kinds = Counter(name.startswith("~") for name in names)
    return kinds[False] + VISIT * kinds[True]
