"""What is odd about a price, in words that a shopkeeper reads: English and Chinese."""

from __future__ import annotations

import math

from wares.models.price.infer import PriceAnomaly

_KINDS = {
    "x10": ("a decimal point one place too far right", "小数点错了一位（多十倍）"),
    "/10": ("a decimal point one place too far left", "小数点错了一位（少十倍）"),
    "x100": ("cents written as whole units", "把分当成元（多一百倍）"),
    "/100": ("whole units written as cents", "把元当成分（少一百倍）"),
    "x1000": ("a decimal comma read as thousands", "小数点被读成千位分隔（多一千倍）"),
    "/1000": ("a thousands separator read as a decimal point", "千位分隔被读成小数点（少一千倍）"),
    "outlier": (
        "no common mistake fits: perhaps a truly unusual product",
        "不像常见错误：可能本来就是特殊商品",
    ),
}


def times(ratio: float, language: str = "en") -> str:
    """A ratio as people say it: 3.1 times, a third of, one percent of."""
    if language == "zh":
        return f"{ratio:.1f} 倍" if ratio >= 0.095 else f"{ratio:.1%}"
    if ratio >= 0.95:
        return f"{ratio:.0f} times" if ratio >= 9.5 else f"{ratio:.1f} times"
    return f"{ratio:.0%} of" if ratio >= 0.095 else f"{ratio:.1%} of"


def money(value: float) -> str:
    """A price with two decimals, four below a cent."""
    return f"{value:,.2f}" if value >= 0.01 else f"{value:.4f}"


def kind_words(kind: str, detail: str, language: str = "en") -> str:
    """What went wrong."""
    zh = language == "zh"
    if kind == "currency":
        return f"金额像是另一种货币（{detail}）" if zh else f"an amount in another currency ({detail})"
    if kind == "pack":
        one, size = detail.startswith("1/"), detail.removeprefix("1/")
        if one:
            return (
                f"整包（{size} 件）写了单件的价格" if zh else f"the price of one written on a pack of {size}"
            )
        return f"单件写了整包（{size} 件）的价格" if zh else f"the price of a pack of {size} written on one"
    return _KINDS[kind][zh]


def evidence_words(odd: PriceAnomaly, language: str = "en") -> str:
    """What the price was held against."""
    parts: list[str] = []
    zh = language == "zh"
    if odd.own_count and math.isfinite(odd.own_middle):
        ratio = times(odd.price / odd.own_middle, language)
        own = money(odd.own_middle)
        many = f"{odd.own_count} prices" if odd.own_count > 1 else "one price"
        parts.append(
            f"是自身其他价格（{own}，共 {odd.own_count} 个）的 {ratio}"
            if zh
            else f"{ratio} its own other price, {own} ({many})"
        )
    if math.isfinite(odd.middle):
        ratio = times(odd.price / odd.middle, language)
        span = f"{money(odd.low)}–{money(odd.high)}"
        n = odd.comparables
        set_ = f"its {n} nearest products" if n else "what is usual in the shop"
        same = _same_unit(odd.same_unit, n)
        parts.append(
            f"是同类商品预期价（{span}，{n} 个可比商品）的 {ratio}"
            if zh
            else f"{ratio} what {set_}{same} let expect ({span})"
        )
    return "；".join(parts) if zh else "; ".join(parts)


def _same_unit(same: int, n: int) -> str:
    if not same:
        return ""
    return ", all sold by the same unit," if same >= n else f", {same} of them sold by the same unit,"


def verdict_words(odd: PriceAnomaly, language: str = "en") -> str:
    """What likely happened, and which price would be right."""
    words = kind_words(odd.kind, odd.detail, language)
    if odd.kind == "outlier":
        return words
    if language == "zh":
        return f"{words}，应为约 {money(odd.right)}"
    return f"{words}: {money(odd.right)} would be right"
