"""Entities found in free text by rules and by dictionaries that the catalogue itself teaches.

- *Model numbers*: words that mix letters and digits, or hyphenated digits, and that few products share.
- *Brands in titles*: names of the brand column that stand in titles of products without a brand.
- *Terms*: one or two words that stand in many titles of several brands, but not in most titles of a category:
  materials, colours, uses. Their confidence is how evenly brands share them (normalised entropy), so that a line name
  of one maker stays out.
- *Fits*: "for / fits / compatible with X", "适用于X", where X is a model number, a brand, or a term of the catalogue.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import rjieba

from wares.core.text import plain
from wares.graph.columns import normal
from wares.graph.triples import Triples

TEXT = "text"
MOST_SHARED_MODEL = 40
FEWEST_TERM = 5
FEWEST_BRANDS = 3
MOST_COMMON_TERM = 0.3
TERMS_OF_A_TITLE = 12
LEARNED_FROM = 400_000
"""Titles that teach the dictionaries; more are sampled evenly."""
STOP = ""
_WORD = re.compile(r"[^\W_]+(?:[-.'’][^\W_]+)*")
_CJK = re.compile(r"[\u3400-\u9fff]")
_MODEL = re.compile(r"^(?=.*\d.*\d)(?=.*[a-z])[a-z0-9][a-z0-9-]{3,24}$")
_UNIT = "(?:mm|cm|m|km|in|inch|ft|oz|lb|lbs|g|kg|mg|ml|cl|l|w|v|mah|ah|hz|gb|tb|mb|k|p|pcs|pc|ct|pk|pack|th|st|nd|rd|x|yr|yrs|mo|d|s|z)"
_MEASURE = re.compile(rf"^(?:x?\d+(?:[.,/x-]\d+)*-?{_UNIT}?)+$")
_BREAK = re.compile(r"[^\w\s'’.-]+|[.-](?=\s)|(?<=\s)[.-]")
_FITS = re.compile(
    r"\b(?:fits?|compatible with|designed for|made for|replacement for|for use with|for)\s+([^,;()|]{2,60})"
    r"|(?:适用于|适用|兼容|专用于)\s*([^,，;；()（）|]{2,40})",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """Case-folded words, with an empty one where punctuation parts them; Chinese is cut by its dictionary."""
    found: list[str] = []
    for part in _BREAK.split(plain(text).casefold()):
        for match in _WORD.finditer(part):
            word = match.group()
            found += [w for w in rjieba.cut(word) if w.strip()] if _CJK.search(word) else [word]
        found.append(STOP)
    while found and found[-1] == STOP:
        found.pop()
    return found


def model_numbers(tokens: Iterable[str]) -> list[str]:
    """Words that look like a maker's number, without measures such as 500ml or 60w."""
    return [t for t in tokens if _MODEL.match(t) and not _MEASURE.match(t)]


def add_texts(
    triples: Triples,
    titles: Sequence[str],
    brands: Sequence[str],
    categories: Sequence[str],
    descriptions: Sequence[str] | None = None,
) -> None:
    """Add what titles say (and descriptions, for ``fits``)."""
    tokens = [words(title) for title in titles]
    known = {normal(b) for b in brands if b.strip()}
    models = _models(tokens)
    _add(triples, "has_model", "model", [(row, m, 0.95) for row, found in models.items() for m in found])
    found_brands = _brands_in_titles(tokens, brands, known)
    _add(triples, "has_brand", "brand", found_brands)
    terms = _terms(tokens, brands, categories, known)
    _add(triples, "mentions", "term", _mentions(tokens, terms))
    every_model = {m for found in models.values() for m in found}
    texts = descriptions if descriptions is not None else [""] * len(titles)
    fits = [
        (row, kind, value)
        for row, title in enumerate(titles)
        for kind, value in fits_in(f"{title} ; {texts[row][:1000]}", every_model, known)
        if not (kind == "brand" and value == normal(brands[row]))
        and not (kind == "model" and value in models.get(row, ()))
    ]
    for kind in ("model", "brand"):
        _add(triples, "fits", kind, [(row, value, 0.7) for row, k, value in fits if k == kind])


def _add(triples: Triples, relation: str, kind: str, rows: Sequence[tuple[int, str, float]]) -> None:
    triples.add(
        [row for row, _, _ in rows],
        relation,
        [triples.entity(kind, value) for _, value, _ in rows],
        TEXT,
        [sure for _, _, sure in rows],
    )


def _models(tokens: Sequence[list[str]]) -> dict[int, list[str]]:
    count: Counter[str] = Counter()
    found: dict[int, list[str]] = {}
    for row, some in enumerate(tokens):
        mine = sorted(set(model_numbers(some)))
        if mine:
            found[row] = mine
            count.update(mine)
    return {
        row: kept
        for row, mine in found.items()
        if (kept := [m for m in mine if count[m] <= MOST_SHARED_MODEL])
    }


def _brands_in_titles(
    tokens: Sequence[list[str]], brands: Sequence[str], known: set[str]
) -> list[tuple[int, str, float]]:
    """A known brand at the start of a title is surer than one further on; a brand of one letter is none."""
    names = {name for name in known if len(name) > 2}
    found = []
    for row, some in enumerate(tokens):
        if brands[row].strip():
            continue
        for start in range(min(len(some), 6)):
            name = next(
                (n for size in (3, 2, 1) if (n := " ".join(some[start : start + size])) in names), None
            )
            if name is not None:
                found.append((row, name, 0.8 if start == 0 else 0.5))
                break
    return found


def _grams(some: Sequence[str]) -> set[str]:
    """Single words, and pairs that no punctuation parts."""
    single = {t for t in some if len(t) > 1 and not t.isdigit() and not _MEASURE.match(t)}
    double = {f"{a} {b}" for a, b in itertools.pairwise(some) if a in single and b in single and a != b}
    return single | double


def _terms(
    tokens: Sequence[list[str]], brands: Sequence[str], categories: Sequence[str], known: set[str]
) -> dict[str, float]:
    """Terms and their confidence, learned from the titles."""
    step = max(1, len(tokens) // LEARNED_FROM)
    rows = range(0, len(tokens), step)
    seen: Counter[str] = Counter()
    for row in rows:
        seen.update(_grams(tokens[row]))
    frequent = {g for g, count in seen.items() if count >= FEWEST_TERM and g not in known}
    by_brand: dict[str, Counter[str]] = defaultdict(Counter)
    by_category: dict[str, Counter[str]] = defaultdict(Counter)
    size: Counter[str] = Counter()
    for row in rows:
        size[categories[row]] += 1
        for gram in _grams(tokens[row]) & frequent:
            by_brand[gram][brands[row] or f"?{row}"] += 1
            by_category[gram][categories[row]] += 1
    terms: dict[str, float] = {}
    for gram in sorted(frequent):
        shares = by_brand[gram]
        if len(shares) < FEWEST_BRANDS or seen[gram] > MOST_COMMON_TERM * len(rows):
            continue
        top, count = by_category[gram].most_common(1)[0]
        if size[top] >= 20 and count > 0.9 * size[top]:
            continue
        total = sum(shares.values())
        entropy = -sum(v / total * math.log(v / total) for v in shares.values())
        terms[gram] = round(entropy / math.log(len(shares) + 1), 3)
    # "stainless" says nothing that "stainless steel" does not, where it never stands alone.
    for gram in [g for g in terms if " " in g]:
        for part in gram.split(" "):
            if part in terms and seen[gram] >= 0.9 * seen[part]:
                terms.pop(part)
    return terms


def _mentions(tokens: Sequence[list[str]], terms: dict[str, float]) -> list[tuple[int, str, float]]:
    found = []
    for row, some in enumerate(tokens):
        mine = sorted(_grams(some) & terms.keys(), key=lambda g: (-terms[g], g))[:TERMS_OF_A_TITLE]
        found += [(row, gram, terms[gram]) for gram in mine]
    return found


def fits_in(text: str, models: set[str], brands: set[str]) -> list[tuple[str, str]]:
    """What a text says its product fits: (kind, value) of model numbers and brands that the catalogue knows."""
    found: list[tuple[str, str]] = []
    for match in _FITS.finditer(text):
        some = words(match.group(1) or match.group(2))
        found += [("model", t) for t in some if t in models]
        found += [
            ("brand", name)
            for start in range(min(len(some), 4))
            for size in (1, 2, 3)
            for name in {" ".join(some[start : start + size]), "".join(some[start : start + size])}
            if name in brands and (len(name) > 2 or _CJK.search(name))
        ]
    return sorted(set(found))
