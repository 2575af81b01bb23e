"""Reads what was typed: words to match, and the structure beside them. No torch, no data engine, no pinyin tables.

In order: sizes, limits of price, attributes with a cue ("size 42"), a category that is named as one ("in lighting"), what is not
wanted, brands, attributes by their values; what is left are words, which are corrected and get their synonyms.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from wares.core.arrays import open_artifact
from wares.core.strings import StringTable
from wares.core.synonyms import Curated
from wares.core.text import has_han
from wares.models.search.analysis import lower
from wares.models.search.asked import LONGEST_PHRASE, Asked, Size
from wares.models.search.read_lexicon import Lexicon, name_key
from wares.models.search.read_negation import negations, product_words
from wares.models.search.read_price import price_spans
from wares.models.search.read_tokens import MASK, Token, language, normal, tokens
from wares.models.search.spelling import Speller
from wares.models.search.units import quantities

KIND = "search_reader"
MAX_WORDS = 24
_SMALL = "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with any anything something please"
STOP = frozenset(
    (*_SMALL.split(), *["的", "又", "了", "吗", "呢", "吧", "啊", "和", "与", "或", "或者", "跟"])
)
_DANGLING = re.compile(
    r"(?:(?<![a-z0-9])(?:under|below|up to|at most|at least|over|above|around|about|less than|more than|max|min)|不超过|低于|高于|大于|小于|至少|最多|大约|约) ?(?=\x01)"
    r"|(?<=\x01) ?(?:以内|之内|以下|以上|之上|左右|上下|的?装|\+)"
)
_SIZE_CUE = re.compile(r"(?<![a-z0-9])size:? ?(?P<v>\d{1,3}(?:\.5)?|x{0,3}[sl]|m|xxl|[2-5]xl)(?![a-z0-9])")
_SIZE_ZH = re.compile(
    r"(?<![a-z0-9.])(?P<v>\d{2,3}(?:\.5)?|x{0,3}[sl]|m|[2-5]xl)码|(?:尺码|码数)[::]? ?(?P<w>\d{2,3}(?:\.5)?|x{0,3}[sl]|m|[2-5]xl)(?![a-z0-9])"
)
_LETTER = re.compile(r"(?<![a-z0-9\-])(?P<v>x{1,3}[sl]|[2-5]xl)(?![a-z0-9\-])")
_KEYED = re.compile(r"(?<![\w])(?P<k>[^\W\d_]{2,20})[:=] ?(?P<v>[^\s:=,\x01]{1,40})")
_SIZE_KEYS = ("size", "尺码", "尺寸", "码数", "größe", "taille", "talla", "shoe size", "clothing size")
_CATEGORY_CUE = re.compile(
    r"(?:^|(?<= ))(?:(?P<a>in(?: the)?|category:?|department:?) |(?P<z>分类|类目|品类)[::]? ?)(?P<name>[^\x01,:;]{2,60}?)(?P<colon>:)?(?= |$|\x01|,|:)"
)
_CATEGORY_ZH = re.compile(r"(?P<name>[一-鿿a-z]{1,12}?)(?:类里的?|里面的|里的|分类的?|类目的?|品类的?)")


class _Reading:
    """One query on its way to `Asked`."""

    def __init__(self, text: str) -> None:
        self.text, self.low = text, lower(text)
        self.masked = self.low
        self.notes: list[tuple[int, str, str, str]] = []

    def take(self, start: int, end: int, kind: str = "", value: str = "") -> None:
        """Take a span out of the words; with a `kind` it is noted for people."""
        self.masked = self.masked[:start] + MASK * (end - start) + self.masked[end:]
        if kind:
            self.notes.append((start, self.text[start:end].strip(), kind, value))


class Reader:
    """The reader of a bundle. Thread-safe.

    ``words`` of what it reads are whole: ``gore-tex`` and ``wh-1000xm5`` are one word each, and Chinese words are as segmented;
    the index parts them further, so each is to go through `analysis.prepare` and the analyser.
    """

    def __init__(self, folder: Path, curated: Callable[[], Curated] | None = None) -> None:
        """Open the artefact in `folder`; `curated` gives the synonyms that people keep, asked anew for each query."""
        self.manifest = open_artifact(folder, KIND)
        self.lexicon = Lexicon(
            folder, list(StringTable.load(folder, "brands")), list(StringTable.load(folder, "categories"))
        )
        self.speller = Speller(folder, self.lexicon)
        self.curated = curated
        self.learned: dict[str, tuple[str, ...]] = {}
        pairs = zip(StringTable.load(folder, "same_from"), StringTable.load(folder, "same_to"), strict=True)
        for one, other in pairs:
            self.learned[one] = (*self.learned.get(one, ()), other)
        self._size_key = next((self.lexicon.keys[k] for k in _SIZE_KEYS if k in self.lexicon.keys), "")
        self._size_key_zh = next(
            (self.lexicon.keys[k] for k in ("尺码", "码数", "尺寸") if k in self.lexicon.keys),
            self._size_key,
        )

    def read(self, text: str) -> Asked:
        """What a query asks for. Never raises: a text that says nothing has no words and no limits."""
        text = normal(text)
        reading = _Reading(text)
        sizes = self._sizes(reading)
        low, high = self._price(reading)
        attributes = self._cued(reading)
        categories = self._category(reading)
        row = tokens(reading.masked)
        not_words, not_brands = self._unwanted(reading, row)
        row = _left(row, reading.masked)
        brands, row = self._brands(reading, row, sizes)
        more, row = self._values(reading, row, sizes)
        attributes += more
        words, corrected = self._words(row, bool(reading.notes))
        if not words and not reading.notes:
            words = reading.low.split()[:MAX_WORDS]
        return Asked(
            text=text,
            words=tuple(words),
            language=language(text),
            corrected=corrected,
            also=self._also(words),
            brands=tuple(dict.fromkeys(brands)),
            categories=tuple(dict.fromkeys(categories)),
            price_min=low,
            price_max=high,
            sizes=tuple(dict.fromkeys(sizes)),
            attributes=tuple(dict.fromkeys(attributes)),
            not_words=tuple(dict.fromkeys(not_words)),
            not_brands=tuple(b for b in dict.fromkeys(not_brands) if b not in brands),
            likely=self.lexicon.likely(words),
            notes=tuple((span, kind, value) for _, span, kind, value in sorted(reading.notes)),
        )

    def correct(self, word: str) -> str:
        """The word of this catalogue that was probably meant; empty when there is none."""
        return self.speller.correct(lower(normal(word)))

    # -- limits ----------------------------------------------------------------------------------------------

    def _sizes(self, reading: _Reading) -> list[Size]:
        found: list[Size] = []
        for one in quantities(reading.masked, self.lexicon.knows_size):
            if self._named(reading.low, one.start, one.end):
                continue
            reading.take(one.start, one.end, "size", f"{one.size.amount:g} {one.size.unit}")
            found.append(one.size)
        return found

    def _named(self, low: str, start: int, end: int) -> bool:
        """Whether a quantity is in truth (a part of) the name of a brand, as in 三只松鼠 or 3M."""
        row = list(tokens(low[start : end + 6])) if has_han(low[start : end + 6]) else []
        for n in range(len(row), 0, -1):
            if (
                len(key := name_key(row[:n])) > 2
                and row[n - 1].end > end - start
                and key in self.lexicon.forms
            ):
                return True
        whole = "".join(low[start:end].split())
        return whole in self.lexicon.forms and self.lexicon.meant(whole, low.split())

    def _price(self, reading: _Reading) -> tuple[float | None, float | None]:
        low: float | None = None
        high: float | None = None
        for span in price_spans(reading.masked):
            if span.low is not None:
                low = span.low if low is None else max(low, span.low)
            if span.high is not None:
                high = span.high if high is None else min(high, span.high)
            bounds = f"{'' if span.low is None else f'{span.low:g}'}-{'' if span.high is None else f'{span.high:g}'}"
            reading.take(span.start, span.end, "price", bounds)
        if MASK in reading.masked:
            for match in list(_DANGLING.finditer(reading.masked)):
                reading.take(match.start(), match.end())
        return low, high

    def _cued(self, reading: _Reading) -> list[tuple[str, str]]:
        """Attributes that are named with their key: "size 42", "42码", "color:red"."""
        found: list[tuple[str, str]] = []
        for pattern, key in ((_SIZE_CUE, self._size_key), (_SIZE_ZH, self._size_key_zh)):
            for match in list(pattern.finditer(reading.masked)) if key else ():
                value = next(v for v in match.groupdict().values() if v)
                reading.take(match.start(), match.end(), "attribute", f"{key}: {value}")
                found.append((key, value))
        key = self._size_key_zh if has_han(reading.low) else self._size_key
        for match in list(_LETTER.finditer(reading.masked)) if key and not found else ():
            reading.take(match.start(), match.end(), "attribute", f"{key}: {match['v']}")
            found.append((key, match["v"]))
        for match in list(_KEYED.finditer(reading.masked)):
            key = self.lexicon.keys.get(match["k"])
            if key:
                value = self.lexicon.values.get(match["v"], (key, match["v"]))[1]
                reading.take(match.start(), match.end(), "attribute", f"{key}: {value}")
                found.append((key, value))
        return found

    def _category(self, reading: _Reading) -> list[str]:
        """Categories that are named as such; a word that merely is one's name stays a word."""
        for match in list(_CATEGORY_CUE.finditer(reading.masked)):
            start, rest = match.start("name"), reading.masked[match.start("name") :]
            for n in range(min(4, len(rest.split(" "))), 0, -1):
                name = " ".join(rest.split(" ")[:n]).rstrip(":,;" + MASK)
                paths = self.lexicon.category(name)
                if paths:
                    end = start + len(name)
                    end += reading.masked[end : end + 1] == ":"
                    reading.take(match.start(), end, "category", " | ".join(paths))
                    return list(paths)
        for match in _CATEGORY_ZH.finditer(reading.masked):
            paths = self.lexicon.category(match["name"])
            if paths:
                reading.take(match.start(), match.end(), "category", " | ".join(paths))
                return list(paths)
        return []

    # -- names -----------------------------------------------------------------------------------------------

    def _unwanted(self, reading: _Reading, row: list[Token]) -> tuple[list[str], list[str]]:
        words: list[str] = []
        brands: list[str] = []
        for one in negations(reading.masked, row, self.lexicon):
            names = [name for _, key in one.brands for name in self.lexicon.forms[key]]
            phrases = [reading.masked[a:b].strip() for a, b in one.words]
            brands += names
            words += [phrase for phrase in phrases if phrase]
            reading.take(one.start, one.end, "not", ", ".join([*names, *phrases]))
        return words, brands

    def _brands(
        self, reading: _Reading, row: list[Token], sizes: list[Size]
    ) -> tuple[list[str], list[Token]]:
        brands: list[str] = []
        row = self._long_names(reading, row, brands)
        at, left = 0, list[Token]()
        while at < len(row):
            n, key = self.lexicon.brand_at(row, at)
            if n and self.lexicon.meant(key, self._evidence(row[:at] + row[at + n :], sizes)):
                start, end = row[at].start, row[at + n - 1].end
                if not has_han(key) and reading.low[max(0, start - 3) : start] == "by ":
                    start -= 3
                reading.take(start, end, "brand", ", ".join(self.lexicon.forms[key]))
                brands += self.lexicon.forms[key]
                at += n
            else:
                left.append(row[at])
                at += 1
        return brands, left

    def _long_names(self, reading: _Reading, row: list[Token], brands: list[str]) -> list[Token]:
        """Brands of three Chinese characters and more, wherever the segmentation cut them."""
        if self.lexicon.longest_han < 3:
            return row
        again = False
        for run in list(re.finditer("[一-鿿]{3,}", reading.masked)):
            inside = self.lexicon.brand_inside(run.group())
            if inside is None or any(
                run.start() + inside[0] == t.start and run.start() + inside[1] == t.end for t in row
            ):
                continue
            key = run.group()[inside[0] : inside[1]]
            if self.lexicon.meant(key, self._evidence(row, [])):
                start = run.start() + inside[0]
                reading.take(start, start + len(key), "brand", ", ".join(self.lexicon.forms[key]))
                brands += self.lexicon.forms[key]
                again = True
        return tokens(reading.masked) if again else row

    @staticmethod
    def _evidence(row: list[Token], sizes: list[Size]) -> list[str]:
        return [*(t.text for t in row), *(f"#{size.unit}" for size in sizes)]

    def _values(
        self, reading: _Reading, row: list[Token], sizes: list[Size]
    ) -> tuple[list[tuple[str, str]], list[Token]]:
        found: list[tuple[str, str]] = []
        at, left = 0, list[Token]()
        while at < len(row):
            for n in range(min(3, len(row) - at), 0, -1):
                run = row[at : at + n]
                known = self.lexicon.values.get(name_key(run))
                if known and all(b.start - a.end <= 1 for a, b in itertools.pairwise(run)):
                    reading.take(run[0].start, run[-1].end, "attribute", f"{known[0]}: {known[1]}")
                    found.append(known)
                    at += n
                    break
            else:
                left.append(row[at])
                at += 1
        return found, left

    # -- words -----------------------------------------------------------------------------------------------

    def _words(self, row: list[Token], structured: bool) -> tuple[list[str], dict[str, str]]:
        kept = product_words(row, self.lexicon)
        wanted = [t for i, t in enumerate(row) if t.text not in STOP or i in kept]
        if not wanted and not structured:
            wanted = row
        wanted = wanted[:MAX_WORDS]
        words: list[str] = []
        corrected: dict[str, str] = {}
        at = 0
        while at < len(wanted):
            token = wanted[at]
            after = wanted[at + 1] if at + 1 < len(wanted) else None
            if token.han:
                at = self._han_run(wanted, at, words, corrected)
                continue
            if after is not None and not after.han and (one := self.speller.joined(token.text, after.text)):
                corrected[f"{token.text} {after.text}"] = one
                words.append(one)
                at += 2
                continue
            near = self.speller.correct(
                token.text, words[-1] if words else "", after.text if after is not None else ""
            )
            if near:
                corrected[token.text] = near
            words += near.split() if near else [token.text]
            at += 1
        return words, corrected

    def _han_run(self, row: list[Token], at: int, words: list[str], corrected: dict[str, str]) -> int:
        """Chinese words from `at` on that stand side by side, corrected by sound; returns where they end."""
        end = at + 1
        while end < len(row) and row[end].han and row[end].start == row[end - 1].end:
            end += 1
        run = row[at:end]
        first = 0
        while first < len(run):
            for last in range(len(run), first, -1):
                piece = "".join(t.text for t in run[first:last])
                before = run[first - 1].text if first else ""
                after = run[last].text if last < len(run) else ""
                near = self.speller.han(piece, before, after, whole=first == 0 and last == len(row))
                if near:
                    corrected[piece] = near
                    words += [t.text for t in tokens(near)]
                    first = last
                    break
            else:
                words.append(run[first].text)
                first += 1
        return end

    def _also(self, words: list[str]) -> dict[str, tuple[str, ...]]:
        curated = self.curated() if self.curated is not None else None
        if not self.learned and (curated is None or not curated.kept):
            return {}
        out: dict[str, tuple[str, ...]] = {}
        for n in range(min(LONGEST_PHRASE, len(words)), 0, -1):
            for at in range(len(words) - n + 1):
                run = words[at : at + n]
                phrase = "".join(run) if all(has_han(w) for w in run) else " ".join(run)
                said = self.learned.get(phrase, ())
                if curated is not None:
                    refused = curated.refused.get(phrase, ())
                    kept = curated.kept.get(phrase, ())
                    said = (*kept, *(s for s in said if s not in refused and s not in kept))
                if said:
                    out[phrase] = said
        return out


def _left(row: list[Token], masked: str) -> list[Token]:
    return [token for token in row if masked[token.start] != MASK]
