"""What a query does not want: "without gore-tex", "but not Sony", "-leather", "不要羽绒", "除了耐克的".

"sugar free", "non-stick", 无糖 and 不粘锅 are words for products and stay words; so does "no sugar" where titles say it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wares.models.search.read_lexicon import Lexicon, Span
from wares.models.search.read_tokens import MASK, Token, tokens

_STRONG = (("anything", "but"), ("other", "than"), ("except", "for"), ("except",), ("excluding",), ("without",), ("w/o",), ("free", "of"))  # fmt: skip
_WEAK = (("but", "not"), ("with", "no"), ("not", "from"), ("not", "by"), ("not",), ("no",), ("but", "no"))
_CUES = {cue[0] for cue in (*_STRONG, *_WEAK)}
_ENDS = frozenset(
    [
        "for",
        "with",
        "under",
        "over",
        "in",
        "from",
        "by",
        "on",
        "to",
        "but",
        "that",
        "which",
        "at",
        "of",
        "who",
        "between",
    ]
)
_LISTS = frozenset(("and", "or", "nor", "&"))
_LONGEST = 3
_MINUS = re.compile(r"(?:^|(?<=[\s\x01]))-(?=[a-z一-鿿])")
_ZH = re.compile(r"(?:不想要|不要|别要|不含|不带|没有|不是|排除|除了|除|非)")
_ZH_STOP = re.compile(r"[\s,，。;；、\x01]")
_ZH_OUT = re.compile(r"(?:以外|之外|外)(?:的)?")
_ZH_LIST = re.compile(r"和|或者|或|跟|与|及")


@dataclass(frozen=True, slots=True)
class Negation:
    """A negated stretch of the text with the places of what is not wanted: names of brands (as keys) and words."""

    start: int
    end: int
    brands: tuple[tuple[Span, str], ...]
    words: tuple[Span, ...]


def negations(text: str, row: list[Token], lexicon: Lexicon) -> list[Negation]:
    """The negations of a masked lower-case text with its tokens, in order of place."""
    found = [*_latin(text, row, lexicon), *_minus(text, row, lexicon)]
    taken = [(n.start, n.end) for n in found]
    for one in _chinese(text, row, lexicon):
        if not any(one.start < end and start < one.end for start, end in taken):
            found.append(one)
            taken.append((one.start, one.end))
    return sorted(found, key=lambda n: n.start)


def product_words(row: list[Token], lexicon: Lexicon) -> set[int]:
    """Places of "no" that belong to a word for a product, as in "no sugar"."""
    return {
        i
        for i in range(len(row) - 1)
        if row[i].text == "no" and not row[i + 1].han and lexicon.pair("no", row[i + 1].text)
    }


def _cue(row: list[Token], at: int) -> tuple[int, bool]:
    """How many tokens from `at` on say that something is not wanted, and whether all up to the next boundary is meant."""
    if row[at].text not in _CUES:
        return 0, False
    for cues, strong in ((_STRONG, True), (_WEAK, False)):
        for cue in sorted(cues, key=len, reverse=True):
            if tuple(t.text for t in row[at : at + len(cue)]) == cue:
                return len(cue), strong
    return 0, False


def _latin(text: str, row: list[Token], lexicon: Lexicon) -> list[Negation]:
    found: list[Negation] = []
    kept = product_words(row, lexicon)
    at = 0
    while at < len(row):
        n, strong = _cue(row, at)
        if not n or at in kept or (n > 1 and at + n - 1 in kept):
            at += 1
            continue
        brands, words, end = _items(text, row, at + n, strong, lexicon)
        if brands or words:
            found.append(Negation(row[at].start, row[end - 1].end, tuple(brands), tuple(words)))
            at = end
        else:
            at += n
    return found


def _breaks(text: str, before: Token, after: Token) -> bool:
    gap = text[before.end : after.start]
    return MASK in gap or any(mark in gap for mark in ",;:()|，；：")


def _items(
    text: str, row: list[Token], at: int, strong: bool, lexicon: Lexicon
) -> tuple[list[tuple[Span, str]], list[Span], int]:
    brands: list[tuple[Span, str]] = []
    words: list[Span] = []
    while at < len(row):
        if _breaks(text, row[at - 1], row[at]) or row[at].text in _ENDS or row[at].text in _LISTS:
            break
        if row[at].text.isdigit():
            break
        n, key = lexicon.brand_at(row, at)
        if n:
            brands.append(((row[at].start, row[at + n - 1].end), key))
        else:
            n = _length(text, row, at, strong, lexicon)
            words.append((row[at].start, row[at + n - 1].end))
        at += n
        if at + 1 < len(row) and row[at].text in _LISTS and not _breaks(text, row[at], row[at + 1]):
            at += 1
            continue
        break
    return brands, words, at


def _length(text: str, row: list[Token], at: int, strong: bool, lexicon: Lexicon) -> int:
    n = 1
    if row[at].han:
        return n
    while strong and n < _LONGEST and at + n < len(row):
        after = row[at + n]
        stop = after.text in _ENDS or after.text in _LISTS or after.han or after.text in _CUES
        if stop or _breaks(text, row[at + n - 1], after):
            break
        n += 1
    return n


def _minus(text: str, row: list[Token], lexicon: Lexicon) -> list[Negation]:
    found: list[Negation] = []
    places = {match.end() for match in _MINUS.finditer(text)}
    for at, token in enumerate(row):
        if token.start not in places:
            continue
        n, key = lexicon.brand_at(row, at)
        span = (token.start, row[at + max(n, 1) - 1].end)
        brands = ((span, key),) if n else ()
        found.append(Negation(token.start - 1, span[1], brands, () if n else (span,)))
    return found


def _chinese(text: str, row: list[Token], lexicon: Lexicon) -> list[Negation]:
    found: list[Negation] = []
    at = 0
    while (match := _ZH.search(text, at)) is not None:
        at = match.end()
        stop = _ZH_STOP.search(text, at)
        rest = text[at : stop.start() if stop else len(text)]
        if not rest or not _is_cue(match, rest, row, lexicon):
            continue
        one = _chinese_items(match, rest, lexicon)
        if one is not None:
            found.append(one)
            at = one.end
    return found


def _is_cue(match: re.Match[str], rest: str, row: list[Token], lexicon: Lexicon) -> bool:
    cue = match.group()
    if cue == "除":
        return _ZH_OUT.search(rest) is not None
    first = tokens(rest)[0] if tokens(rest) else None
    if cue == "非":
        whole = any(token.text == cue and token.start == match.start() for token in row)
        return whole or (first is not None and lexicon.brand_at(tokens(rest), 0)[0] > 0)
    # "不含酒精" on the packs themselves is a word for products.
    return not (cue == "不含" and first is not None and lexicon.pair(cue, first.text))


def _chinese_items(match: re.Match[str], rest: str, lexicon: Lexicon) -> Negation | None:
    base = match.end()
    end = len(rest)
    out = _ZH_OUT.search(rest) if match.group() in ("除了", "除") else None
    here = tokens(rest)
    n, key = lexicon.brand_at(here, 0)
    # The 的 of a name such as 美的 ends nothing.
    of = rest.find("的", here[n - 1].end if n else 1)
    if out is not None:
        rest, end = rest[: out.start()], out.end()
    elif of > 0:
        rest, end = rest[:of], of + 1
    elif n and not (n < len(here) and _ZH_LIST.fullmatch(here[n].text)):
        span = (base, base + here[n - 1].end)
        return Negation(match.start(), span[1], ((span, key),), ())
    elif not n and len(here) > 2:
        rest = rest[: here[0].end]
        end = len(rest)
    brands: list[tuple[Span, str]] = []
    words: list[Span] = []
    start = 0
    for piece in _ZH_LIST.split(rest):
        at = rest.find(piece, start)
        start = at + len(piece)
        if piece:
            parts = tokens(piece)
            n, key = lexicon.brand_at(parts, 0) if parts else (0, "")
            span = (base + at, base + at + len(piece))
            if n == len(parts) and n:
                brands.append((span, key))
            else:
                words.append(span)
    if not brands and not words:
        return None
    return Negation(match.start(), base + end, tuple(brands), tuple(words))
