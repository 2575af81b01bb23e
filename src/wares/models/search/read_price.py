"""Limits of price in a query: "under 80", "between 20 and 30", "200元以内", "100-200元". "cheap" is no limit.

Amounts are taken in the shop's currency, whatever sign stands beside them: a query names no day for a rate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wares.models.search.units import NUMBER, number

NEAR = 0.2
""""around 100" is 80 to 120, as is an amount with a currency and nothing else."""
_SIGN = r"(?:us\$|[$€£¥])"
_AFTER = (
    r"(?:€|£|\$|¥|(?:usd|eur|gbp|cny|rmb|dollars?|euros?|pounds?|bucks|yuan)(?![a-z])|元钱?|块钱?|人民币)"
)
# What is counted after the number makes it no price.
_END = r"(?![\d%]|[.,]\d|[a-z]|-[a-z0-9]| ?(?:people|persons?|players?|days?|hours?|minutes?|times|weeks?|st|nd|rd|th|in 1|in one|层|个|天|小时|分钟|人|次|岁|月|年|级|码))"


def _amount(name: str) -> str:
    return rf"(?P<s{name}>{_SIGN} ?)?(?P<n{name}>{NUMBER})(?P<k{name}>k(?![a-z0-9]))?(?: ?(?P<c{name}>{_AFTER}))?"


_ONE, _TWO = _amount("a"), _amount("b")
_DASH = r" ?(?:-|–|—|~|to|and|到|至) ?"
_BELOW = r"(?:(?<![a-z0-9])(?:(?:not more|no more|less|cheaper|lower) than|(?:under|below|up to|at most|(?<!air )(?<!pro )(?<!ultra )(?<!mini )max(?:imum)?\.?|within|budget)(?: of)?)|<=?|≤|不超过|不高于|不大于|低于|少于|小于|最多|不到|便宜于|预算)"
_ABOVE = r"(?:(?<![a-z0-9])(?:(?:not less|no less|more|higher) than|over|above|at least|min(?:imum)?\.?|starting (?:at|from)|from)|>=?|≥|不低于|不小于|不少于|高于|大于|超过|多于|至少|最少)"
_ABOUT = r"(?:around|about|approx(?:imately)?\.?|roughly|大约|大概|约)"
_EDGE = r"(?<![a-z0-9])"
_START = r"(?<![a-z0-9.,/\-])"

_BETWEEN = re.compile(
    rf"{_EDGE}(?:(?P<cue>between|from|价格|预算)[: ]?)?{_START}{_ONE}{_DASH}{_TWO}{_END}(?P<tail>之间|左右|的?价位)?"
)
_MAX = re.compile(rf"{_BELOW} ?{_ONE}{_END}")
_MIN = re.compile(rf"{_ABOVE} ?{_ONE}{_END}")
_MAX_ZH = re.compile(rf"{_START}{_ONE} ?(?:以内|之内|以下|之下|以里|封顶)")
_MAX_IN = re.compile(rf"{_START}{_ONE}内")
_MIN_ZH = re.compile(rf"{_START}{_ONE} ?(?:以上|之上|往上|起步|起(?![a-z一-鿿])|\+)")
_NEAR_ZH = re.compile(rf"(?:预算|价格)?[: ]?{_START}{_ONE} ?(?:左右|上下)")
_NEAR_EN = re.compile(rf"{_EDGE}{_ABOUT} ?{_ONE}{_END}")
_ALONE = re.compile(rf"{_START}{_ONE}{_END}")
_NUMBERS = re.compile(r"[\d零〇一二两三四五六七八九十百千万]|hundred|thousand|teen|ty\b|\b(?:five|six|ten)\b")


@dataclass(frozen=True, slots=True)
class PriceSpan:
    """A limit and where it stands; None for an open end."""

    start: int
    end: int
    low: float | None
    high: float | None


def price_spans(text: str) -> list[PriceSpan]:
    """The limits of price that a lower-case text names, in order. Other structure is masked with ``\\x01`` before."""
    if not _NUMBERS.search(text):
        return []
    spans: list[PriceSpan] = []
    for pattern, read in _RULES:
        for match in pattern.finditer(text):
            span = read(match)
            if span is not None:
                spans.append(span)
                text = text[: span.start] + "\x01" * (span.end - span.start) + text[span.end :]
    return sorted(spans, key=lambda span: span.start)


def _value(match: re.Match[str], name: str) -> float | None:
    value = number(match[f"n{name}"])
    if value is None:
        return None
    if match[f"k{name}"]:
        value *= 1000
    return round(value, 4) if 0 <= value < 1e10 else None


def _money(match: re.Match[str], name: str) -> bool:
    return bool(match[f"s{name}"] or match[f"c{name}"])


def _between(match: re.Match[str]) -> PriceSpan | None:
    low, high = _value(match, "a"), _value(match, "b")
    if low is None or high is None:
        return None
    money = _money(match, "a") or _money(match, "b")
    # "3-5千" and "1-2万": the power counts for both.
    power = match["nb"][-1:]
    if power in "百千万" and match["na"][-1:] not in "百千万" and low < high:
        low *= {"百": 100, "千": 1000, "万": 10_000}[power]
    if low > high:
        low, high = high, low
    sure = money or match["cue"] or match["tail"]
    if not sure and not (50 <= low < high <= 20 * low):
        return None
    return PriceSpan(match.start(), match.end(), low, high)


def _below(match: re.Match[str]) -> PriceSpan | None:
    value = _value(match, "a")
    return None if value is None else PriceSpan(match.start(), match.end(), None, value)


def _below_money(match: re.Match[str]) -> PriceSpan | None:
    return _below(match) if _money(match, "a") else None


def _above(match: re.Match[str]) -> PriceSpan | None:
    value = _value(match, "a")
    return None if value is None else PriceSpan(match.start(), match.end(), value, None)


def _near(match: re.Match[str]) -> PriceSpan | None:
    value = _value(match, "a")
    if value is None:
        return None
    low, high = round(value * (1 - NEAR), 4), round(value * (1 + NEAR), 4)
    return PriceSpan(match.start(), match.end(), low, high)


def _near_money(match: re.Match[str]) -> PriceSpan | None:
    # 三元 and 一元 begin names of things (三元催化器); who means money writes digits or more of it.
    named = not match["na"][:1].isascii() and (_value(match, "a") or 0) < 10
    return _near(match) if _money(match, "a") and not named else None


_RULES = (
    (_BETWEEN, _between), (_NEAR_ZH, _near), (_MAX, _below), (_MAX_ZH, _below), (_MAX_IN, _below_money), (_MIN_ZH, _above), (_MIN, _above),
    (_NEAR_EN, _near), (_ALONE, _near_money),
)  # fmt: skip
