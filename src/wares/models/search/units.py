"""Numbers and quantities in what people write: ``2 l``, ``两升``, ``half kilo``, ``6 x 330 ml``, ``24盒``.

Every quantity is told in a base unit, so that two ways to write it compare: ``g`` of mass, ``ml`` of volume, ``mm`` of length,
``inch`` of screens, ``piece`` of packs, ``byte`` of storage (decimal: a GB is 10^9), ``year`` of age, ``w``, ``v``, ``mah``,
``hz``, ``lm``, ``rpm``, ``mp``, ``hp``. Factors are those of the international yard and pound agreement and of US measures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from wares.models.search.asked import Size

_WORDS: dict[str, tuple[str, float]] = {}


def _put(base: str, factors: dict[str, float]) -> None:
    for words, factor in factors.items():
        for word in words.split():
            _WORDS[word] = (base, factor)


_put("g", {"g gr gram grams": 1, "kg kgs kilo kilos kilogram kilograms": 1000, "mg": 0.001, "lb lbs pound pounds": 453.59237, "oz ounce ounces": 28.349523125,
           "克": 1, "公斤 千克": 1000, "斤": 500, "毫克": 0.001})  # fmt: skip
_put("ml", {"ml milliliter milliliters millilitre millilitres": 1, "cl": 10, "dl": 100, "l lt ltr liter liters litre litres": 1000,
            "gal gallon gallons": 3785.411784, "qt quart quarts": 946.352946, "pint pints": 473.176473, "毫升": 1, "升": 1000})  # fmt: skip
_put("mm", {"mm millimeter millimeters": 1, "cm centimeter centimeters centimetre centimetres": 10, "m meter meters metre metres": 1000,
            "ft foot feet": 304.8, "yd yard yards": 914.4, "毫米": 1, "厘米 公分": 10, "米": 1000})  # fmt: skip
_put("inch", {"inch inches in": 1, "英寸 寸 吋": 1})
_put("byte", {"kb": 1e3, "mb": 1e6, "gb gigabyte gigabytes": 1e9, "tb terabyte terabytes t": 1e12})
_put("piece", {"pack packs pk pcs pc piece pieces ct count bottles cans rolls pairs tablets capsules sachets sheets pods": 1,
               "片 包 瓶 袋 盒 支 只 个 件 卷 抽 双 粒 罐 条 张 枚": 1})  # fmt: skip
_put("year", {"year years yr yrs": 1, "month months": 1 / 12, "岁": 1, "个月": 1 / 12})
_put("w", {"w watt watts": 1, "kw": 1000, "瓦 瓦特": 1})
_put("v", {"v volt volts": 1, "伏": 1})
_put("mah", {"mah": 1, "毫安时 毫安": 1})
_put("hz", {"hz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9, "赫兹": 1})
_put("lm", {"lm lumen lumens": 1, "流明": 1})
_put("rpm", {"rpm": 1})
_put("mp", {"mp megapixel megapixels": 1})
_put("hp", {"hp": 1, "匹": 1})

_ATTACHED = frozenset({"in", "t", "gr"})
"""Units only where written onto the number: "4 in 1" is none."""
_SMALL = {"half": 0.5, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
          "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
          "eighty": 80, "ninety": 90}  # fmt: skip
_ZH_DIGIT = {ch: i for i, ch in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_ZH_POWER = {"十": 10, "百": 100, "千": 1000, "万": 10_000}

DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?|\d{1,12}(?:[.,]\d{1,9})?)"
ZH_NUMBER = r"(?:\d{1,9}(?:\.\d{1,6})?[百千万]|[零〇一二两三四五六七八九十百千万半]{1,9})"
WORD_NUMBER = rf"(?:(?:{'|'.join(_SMALL)})(?:[ -](?:hundred|thousand|one|two|three|four|five|six|seven|eight|nine))?|(?:a )?hundred|(?:a )?thousand)"
NUMBER = rf"(?:{ZH_NUMBER}|{DIGITS}|\b{WORD_NUMBER}\b)"
"""A number in any form that `number` reads."""

_LATIN = "|".join(sorted((w for w in _WORDS if w.isascii()), key=lambda w: (-len(w), w)))
_HAN = "|".join(sorted((w for w in _WORDS if not w.isascii()), key=lambda w: (-len(w), w)))
_PLAIN = re.compile(
    rf"(?<![a-z0-9.,/\-到至~])(?P<n>{NUMBER})(?:"
    rf"(?P<gap>[ -]?)(?P<floz>fl\.? ?oz)(?![a-z0-9])|"
    rf"(?P<gap2>[ -]?)(?P<unit>{_LATIN})(?:[ -]?olds?)?(?![a-z0-9])|"
    rf" ?(?P<quote>[\"”])|"
    rf" ?(?P<han>{_HAN})(?!套|性|头)(?P<each>装)?)"
)
_TIMES_AFTER = re.compile(
    rf" ?[x×*] ?(?P<n>\d{{1,4}})(?: ?(?P<unit>{_HAN}|packs?|pcs|pieces|bottles|cans))?装?(?![a-z0-9.])"
)
_TIMES_BEFORE = re.compile(r"(?<![a-z0-9.,/\-])(?P<n>\d{1,4}) ?[x×*] ?$")
_PACK_OF = re.compile(
    r"(?<![a-z0-9])(?:pack|set|box|case|bag|lot)s? of (?P<n>\d{1,4}|" + "|".join(_SMALL) + r")(?![a-z0-9])"
)
_CARRIES = frozenset({"g", "ml", "piece"})
"""Bases of which several make a pack: "10 x 20 cm" is a shape."""


def number(text: str) -> float | None:
    """The value of a number: ``1,200``, ``25,50``, ``1.5万``, ``两百``, ``半``, ``twenty five``; None for anything else."""
    text = text.strip()
    if text[:1].isdigit() and text[-1:].isascii():
        head, comma, tail = text.rpartition(",")
        if comma and not (len(tail.split(".")[0]) == 3 and head):
            text = f"{head}.{tail}"
        try:
            return float(text.replace(",", ""))
        except ValueError:
            return None
    if text[:1].isascii() and not text[:1].isdigit():
        return _english(text)
    return _chinese(text)


def _english(text: str) -> float | None:
    total: float | None = None
    for word in re.split("[ -]", text):
        if word == "a":
            continue
        if word in ("hundred", "thousand"):
            total = (1 if total is None else total) * (100 if word == "hundred" else 1000)
        elif word in _SMALL:
            total = (total or 0) + _SMALL[word]
        else:
            return None
    return total


def _chinese(text: str) -> float | None:
    if text == "半":
        return 0.5
    if text[:1].isdigit():
        digits, power = text[:-1], text[-1]
        return float(digits) * _ZH_POWER[power] if power in _ZH_POWER else None
    total, part, last = 0.0, 0.0, 0.0
    power = 1
    for ch in text:
        if ch in _ZH_DIGIT:
            part = part * 10 + _ZH_DIGIT[ch] if last == -1 else float(_ZH_DIGIT[ch])
            last = -1
        elif ch in _ZH_POWER:
            power, last = _ZH_POWER[ch], 0
            if power == 10_000:
                total, part = (total + part or 1) * power, 0.0
            else:
                total, part = total + (part or 1) * power, 0.0
        else:
            return None
    # "一千二" is 1200: a digit after a power counts the next lower one.
    return total + part * (power / 10 if part and power > 10 and text[-2:-1] in _ZH_POWER else 1)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A size and where it stands in the text, from `start` to `end`."""

    start: int
    end: int
    size: Size


def quantities(text: str, known: Callable[[Size], bool] | None = None) -> list[Quantity]:
    """The sizes in a lower-case text, in order, not overlapping.

    `known` tells whether the catalogue has such a size: it decides between 256 grams and 256 GB in ``256g``, and whether ``5g``
    is a mass at all (without it neither is one).
    """
    found: list[Quantity] = []
    end = 0
    for match in _PACK_OF.finditer(text):
        amount = number(match["n"])
        if amount is not None:
            found.append(Quantity(match.start(), match.end(), Size(amount, "piece")))
    for match in _PLAIN.finditer(text):
        if match.start() < end:
            continue
        size = _size(match, text, known)
        if size is None:
            continue
        start, end = match.span()
        before = _TIMES_BEFORE.search(text[max(0, start - 12) : start])
        if before is not None and size.unit not in _CARRIES:
            continue
        if before is not None:
            at = start - (len(before.group()))
            found.append(Quantity(at, start, Size(float(before["n"]), "piece")))
        found.append(Quantity(start, end, size))
        after = _TIMES_AFTER.match(text, end)
        if after is not None and size.unit in _CARRIES and size.unit != "piece":
            found.append(Quantity(end, after.end(), Size(float(after["n"]), "piece")))
            end = after.end()
    found.sort(key=lambda q: (q.start, -q.end))
    return [
        q
        for i, q in enumerate(found)
        if not any(q.start < other.end and other is not q for other in found[:i])
    ]


def sizes_in(text: str, known: Callable[[Size], bool] | None = None) -> tuple[Size, ...]:
    """The sizes that a product's text or a query names, each once."""
    return tuple(dict.fromkeys(q.size for q in quantities(text.lower(), known)))


def _size(match: re.Match[str], text: str, known: Callable[[Size], bool] | None) -> Size | None:
    amount = number(match["n"])
    if amount is None or not 0 < amount < 1e13:
        return None
    if match["floz"]:
        return Size(round(amount * 29.5735295625, 3), "ml")
    if match["quote"]:
        # The quote that closes a quoted phrase is no inch sign.
        return Size(amount, "inch") if text[: match.start("quote")].count('"') % 2 == 0 else None
    word = match["unit"] or match["han"]
    if match["unit"] and word in _ATTACHED and match["gap2"]:
        return None
    if match["han"] and word in ("个", "件", "条", "只", "张", "双") and amount == 1 and not match["each"]:
        return None
    base, factor = _WORDS[word]
    size = Size(round(amount * factor, 6), base)
    if word == "g" and not match["gap2"]:
        stored = Size(amount * 1e9, "byte")
        if known is not None and known(stored) and not known(size):
            return stored
        if 2 <= amount <= 6 and (known is None or not known(size)):
            return None
    # Few disks are larger; "6600t" is a model.
    if word == "t" and (amount > 100 or known is None or not known(size)):
        return None
    return size
