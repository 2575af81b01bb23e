"""Units and pack sizes in text, English and Chinese, made comparable: kilogram, litre, metre, square metre, piece.

An ounce is a weight unless it is a fluid ounce; US customary volumes; a Chinese 斤 is 500 g, a 两 50 g.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

_D = Decimal
# unit word → (comparable unit, how much of it)
_UNITS: dict[str, tuple[str, Decimal]] = {}


def _add(unit: str, factor: str, words: str) -> None:
    for word in words.split():
        _UNITS[word.replace("_", " ")] = (unit, _D(factor))


_add("kg", "1", "kg kgs kilo kilos kilogram kilograms 公斤 千克")
_add("kg", "0.001", "g gm gms gr gs gram grams gramme grammes 克")
_add("kg", "0.000001", "mg mgs milligram milligrams 毫克")
_add("kg", "0.5", "斤 市斤")
_add("kg", "0.05", "两")
_add("kg", "0.45359237", "lb lbs pound pounds 磅")
_add("kg", "0.028349523125", "oz ozs oz. ounce ounces z 盎司")
_add("l", "1", "l lt ltr ltrs lrt liter liters litre litres 升 公升")
_add("l", "0.001", "ml mls mil millilitre milliliter millilitres milliliters cc 毫升")
_add("l", "0.01", "cl centilitre centiliter")
_add("l", "0.1", "dl")
_add("l", "0.0295735295625", "fl_oz fl._oz fl.oz floz fl_oz. fluid_ounce fluid_ounces 液盎司")
_add("l", "0.473176473", "pt pint pints")
_add("l", "0.946352946", "qt qts quart quarts")
_add("l", "3.785411784", "gal ga gals gallon gallons 加仑")
_add("m", "1", "m meter meters metre metres 米")
_add("m", "0.01", "cm centimetre centimeter 厘米")
_add("m", "0.001", "mm 毫米")
_add("m", "0.0254", 'in inch inches " 英寸 寸')
_add("m", "0.3048", "ft foot feet 英尺")
_add("m", "0.9144", "yd yds yard yards 码")
_add("m2", "1", "sqm sq_m m2 平方米")
_add("m2", "0.09290304", "sq_ft sqft sq._ft. sq_foot sq_feet 平方英尺")
_add("load", "1", "load loads ld lds wash washes")
_add("piece", "12", "dz doz dozen dzn 打")
_COUNTS = (
    "ct cts count pc pcs pce piece pieces ea each unit units tablet tablets tabs caps capsule capsules bag bags "
    "sachet sachets roll rolls sheet sheets stem stems pair pairs wipes diapers cup cups pod pods bar bars can cans "
    "bottle bottles box boxes 个 只 支 片 粒 张 枚 条 块 颗 根 对 双 件 包 袋 盒 瓶 罐 听 卷 桶 杯 抽 套"
)
_add("piece", "1", _COUNTS)
# Words that count whole packs, so that "12 pk/12 oz" is twelve times 12 oz; pieces ("10 ct/12 oz") share the amount.
_PACKS = "pk pks pack packs pck p x 包装 连包 联包 组"
_MULTIPLIERS = {
    *_PACKS.split(),
    *[
        "包",
        "袋",
        "盒",
        "瓶",
        "罐",
        "听",
        "桶",
        "杯",
        "支",
        "箱",
        "板",
        "排",
        "条",
        "件",
        "bottle",
        "bottles",
        "can",
        "cans",
        "bag",
        "bags",
        "sachet",
        "sachets",
    ],
}

_NUMBER = r"(?:\d+\s+\d+/\d+|\d+-\d+/\d+|\d+/\d+|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)"
_WORDS = sorted({*_UNITS, *_PACKS.split(), "包装"} - {"x"}, key=len, reverse=True)
# A unit of letters must end where the word ends ("5 g" but not "5 green"); a Chinese one need not.
_UNIT = "|".join(re.escape(w) + ("(?![a-z])" if w[-1].isascii() and w[-1].isalpha() else "") for w in _WORDS)
_AMOUNT = re.compile(rf"(?P<n>{_NUMBER})\s*-?\s*(?P<u>{_UNIT})", re.IGNORECASE)
_TIMES = r"(?:[x×*✕]|\bby\b)"


def _words(units: tuple[str, ...], more: str = "") -> str:
    words = {*(w for w, (unit, _) in _UNITS.items() if unit in units), *more.split()} - {"x"}
    ends = {w: "(?![a-z])" if w[-1].isascii() and w[-1].isalpha() else "" for w in words}
    return "|".join(re.escape(w) + ends[w] for w in sorted(words, key=len, reverse=True))


_WEIGHED, _COUNTED, _LONG = _words(("kg", "l")), _words(("piece",), _PACKS), _words(("m", "m2"))
_FIRST = re.compile(
    rf"(?<![\d.,/])(?P<count>\d{{1,4}})\s*(?:(?:{_COUNTED})\s*)?{_TIMES}\s*(?P<n>{_NUMBER})\s*-?\s*(?P<u>{_UNIT})",
    re.IGNORECASE,
)
_LAST = re.compile(
    rf"(?P<n>{_NUMBER})\s*-?\s*(?P<u>{_UNIT})\s*(?:/\s*[\u4e00-\u9fff]\s*)?{_TIMES}\s*(?P<count>\d{{1,4}})(?![\d.,]|\s*(?:{_WEIGHED}))",
    re.IGNORECASE,
)
# Two or three lengths are dimensions, not a multiple: 12 x12 in, 30×40×50 cm.
_DIMENSIONS = re.compile(
    rf"{_NUMBER}\s*(?:{_LONG})?\s*{_TIMES}\s*{_NUMBER}\s*(?:{_TIMES}\s*{_NUMBER}\s*)?(?:{_LONG})",
    re.IGNORECASE,
)
_OF = re.compile(r"\b(?:pack|case|box|set)\s+of\s+(?P<count>\d{1,4})\b", re.IGNORECASE)
_DIVIDED = re.compile(
    rf"(?<![\d.,/])(?P<count>\d{{1,3}})\s*[/-]\s*(?P<n>\d*\.\d+|\d+)\s*(?P<u>{_UNIT})", re.IGNORECASE
)
_ALONE = re.compile(r"^(?P<u>gal|ga|qt|pt|l|lb|dz|doz|dozen|half gal|half gallon|半斤)$", re.IGNORECASE)
_FRACTIONS = {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "⅛": " 1/8"}
_DIGITS = {
    "一": "1",
    "二": "2",
    "两": "2",
    "三": "3",
    "四": "4",
    "五": "5",
    "六": "6",
    "七": "7",
    "八": "8",
    "九": "9",
    "十": "10",
    "半": "0.5",
}
_CHINESE_NUMBER = re.compile(
    r"([一二两三四五六七八九十半])(?=(?:公斤|千克|斤|两|升|米|打|瓶|盒|袋|罐|支|片|包|件|双|个|只|卷))"
)
_MOST, _MOST_PIECES = _D(1_000_000), _D(50_000)
LONGEST = 300
"""Characters of a text that are looked at; a size stands near the start or the end of a title."""


@dataclass(frozen=True, slots=True)
class Pack:
    """``count`` items of ``amount`` each, in a comparable ``unit``; ``total`` of it in all."""

    count: int
    amount: Decimal
    unit: str
    total: Decimal


def _number(text: str) -> Decimal | None:
    text = text.strip()
    if "/" in text:
        whole, _, fraction = text.replace("-", " ").rpartition(" ")
        over, under = fraction.split("/")
        if int(under) == 0:
            return None
        return (_D(whole) if whole else _D(0)) + _D(over) / _D(under)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return _D(text.replace(",", "."))
    except InvalidOperation:
        return None


def _unit(word: str) -> str:
    return re.sub(r"\s+", " ", word.lower())


def _pack(count: int, number: str, word: str, *, shared: bool = False) -> Pack | None:
    """`count` times an amount; with `shared`, the amount is that of all pieces together."""
    known = _UNITS.get(_unit(word))
    value = _number(number)
    if known is None or value is None or not 0 < value < _MOST or not 0 < count < 10_000:
        return None
    unit, factor = known
    amount = value * factor
    total = amount if shared else amount * count
    # Six digits before "pk" or "ct" are an article number.
    if total >= _MOST or (unit == "piece" and total >= _MOST_PIECES):
        return None
    return Pack(count, _trim(total / count), unit, _trim(total))


def _trim(value: Decimal) -> Decimal:
    return value.quantize(_D("0.000001"))


@lru_cache(65_536)
def parse_pack(text: str) -> Pack | None:
    """The pack that a text names, or None. The first of several wins, except that a multiple beats a plain amount.

    >>> parse_pack("2x500ml")
    Pack(count=2, amount=Decimal('0.500000'), unit='l', total=Decimal('1.000000'))
    """
    if len(text) > 2 * LONGEST:
        text = text[:LONGEST] + " " + text[-LONGEST:]
    for sign, words in _FRACTIONS.items():
        text = text.replace(sign, words)
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/").strip().lower()
    text = _CHINESE_NUMBER.sub(lambda found: _DIGITS[found[1]], text)
    text = re.sub(r"\bhalf[\s-]+(?=gal)", "1/2 ", text)
    text = _DIMENSIONS.sub(" ", text)
    return _multiple(text) or _pair(text) or _plain(text)


def _multiple(text: str) -> Pack | None:
    for pattern in (_LAST, _FIRST):
        for found in pattern.finditer(text):
            if pattern is _LAST and _counts_last(found, text):
                continue
            if _unit(found["u"]) not in _PACKS.split():
                pack = _pack(int(found["count"]), found["n"], found["u"])
                if pack is not None:
                    return pack
    return None


def _counts_last(found: re.Match[str], text: str) -> bool:
    """Whether ``4包x110抽`` names packs first: the pieces then come last, where others write the packs."""
    if _UNITS.get(_unit(found["u"]), ("piece",))[0] != "piece":
        return False
    after = re.match(rf"\s*({_COUNTED})", text[found.end() :], re.IGNORECASE)
    return _unit(found["u"]) in _MULTIPLIERS or after is None or _unit(after[1]) not in _MULTIPLIERS


def _pair(text: str) -> Pack | None:
    """Two amounts, one of which counts: ``12 pk/12 oz``, ``12 oz/12 pk``, ``10 ct 17 oz``, ``6/12 oz``."""
    found = list(_AMOUNT.finditer(text))
    counts = [m for m in found if _is_count(m)]
    amounts = [m for m in found if _is_amount(m)]
    of = _OF.search(text)
    if of and amounts:
        return _pack(int(of["count"]), amounts[0]["n"], amounts[0]["u"])
    if counts and amounts:
        number = _number(counts[0]["n"])
        if number is not None and number == int(number) and 0 < number < 10_000:
            shared = _unit(counts[0]["u"]) not in _MULTIPLIERS
            pack = _pack(int(number), amounts[0]["n"], amounts[0]["u"], shared=shared)
            return Pack(1, pack.total, pack.unit, pack.total) if pack and shared else pack
    divided = _DIVIDED.search(text)
    if divided and _UNITS.get(_unit(divided["u"]), ("",))[0] in ("kg", "l"):
        left, right = _D(divided["count"]), _D(divided["n"])
        # 1/2 gal and 3/4 oz are fractions; 6/12 oz and 10/6.75 oz are six of twelve ounces and ten of 6.75.
        fraction = "/" in divided[0] and right == int(right) and (left < right) and right in (2, 3, 4, 8, 16)
        span = "-" in divided[0] and left < right and right == int(right) and right < 3 * left
        if not fraction and not span and left > 1:
            return _pack(int(left), divided["n"], divided["u"])
    return None


def _is_count(found: re.Match[str]) -> bool:
    word = _unit(found["u"])
    return word in _PACKS.split() or _UNITS.get(word, ("",))[0] == "piece"


def _is_amount(found: re.Match[str]) -> bool:
    return _UNITS.get(_unit(found["u"]), ("",))[0] in ("kg", "l")


def _plain(text: str) -> Pack | None:
    of = _OF.search(text)
    if of:
        return _pack(1, of["count"], "ct")
    best: Pack | None = None
    for found in _AMOUNT.finditer(text):
        word = _unit(found["u"])
        if word in _PACKS.split():
            number = _number(found["n"])
            pack = _pack(1, found["n"], "ct") if number is not None and number == int(number) else None
        else:
            pack = _pack(1, found["n"], found["u"])
        if pack is None:
            continue
        if pack.unit in ("kg", "l"):
            return pack
        best = best or pack
    if best is not None:
        return best
    alone = _ALONE.match(text)
    return _pack(1, "1", alone["u"]) if alone else None
