"""Moods and alerts in words, in English and Chinese: for pages, messages and reports."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

ASPECTS_ZH = {
    "quality": "质量", "size": "尺寸", "comfort": "舒适度", "material": "材质", "durability": "耐用性", "appearance": "外观",
    "performance": "性能", "battery": "电池", "screen": "屏幕", "sound": "声音", "features": "功能", "connection": "网络连接",
    "ease_of_use": "易用性", "price": "价格", "delivery": "物流", "packaging": "包装", "service": "服务", "authenticity": "真伪",
    "taste": "口味", "smell": "气味", "freshness": "新鲜度", "portion": "分量", "cleanliness": "卫生", "weight": "重量",
    "content": "内容", "facilities": "设施",
}  # fmt: skip
SCOPES = {
    "shop": ("the shop", "全店"), "category": ("category", "类目"), "brand": ("brand", "品牌"), "product": ("product", "商品"), "language": ("language", "语言"),
    "seller": ("seller", "卖家"), "query": ("search", "搜索词"), "kind": ("texts of sort", "文本类型"), "aspect": ("aspect", "方面"),
}  # fmt: skip
MEASURES = {
    "languages": ("the mix of languages", "语言构成"), "length": ("the length of texts", "文本长度"), "wording": ("the wording", "用词"),
    "blank": ("the share of blank texts", "空白文本占比"), "confidence": ("the classifier's confidence", "分类器置信度"),
    "sure": ("the share of sure verdicts", "确定结论占比"), "agreement with stars": ("agreement with stars", "与星级的一致率"),
}  # fmt: skip


def date_of(day: int) -> str:
    """A day since 1970 as an ISO date; empty for none."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat() if day >= 0 else ""


def aspect_name(aspect: str, language: str = "en") -> str:
    """An aspect's key as a word."""
    return ASPECTS_ZH.get(aspect, aspect) if language == "zh" else aspect.replace("_", " ")


def mood_word(mood: float, language: str = "en") -> str:
    """A mood of -1..1 as a word."""
    words = (
        ("very bad", "很差"),
        ("bad", "较差"),
        ("mixed", "一般"),
        ("good", "较好"),
        ("very good", "很好"),
    )
    place = 0 if mood < -0.5 else 1 if mood < -0.1 else 2 if mood < 0.2 else 3 if mood < 0.6 else 4
    return words[place][language == "zh"]


def series_words(scope: str, key: str, aspect: str, language: str = "en", title: str = "") -> str:
    """What an alert is of: "battery of Lamp X", "category Phones", "the shop"."""
    zh = language == "zh"
    base = scope.removesuffix("_aspect")
    if base in ("shop", "aspect") and not key:
        name = SCOPES["shop"][zh]
    else:
        name = title or (key if base in ("product", "category") else f"{SCOPES[base][zh]} {key}")
    if not aspect:
        return name
    said = aspect_name(aspect, language)
    return f"{name}的{said}" if zh else f"{said} of {name}"


def alert_title(kind: str, scope: str, key: str, aspect: str, language: str = "en", title: str = "") -> str:
    """What happened, in a line."""
    of, zh = series_words(scope, key, aspect, language, title), language == "zh"
    if kind == "fell":
        return f"{of}：评价变差" if zh else f"Mood fell: {of}"
    if kind == "rose":
        return f"{of}：评价变好" if zh else f"Mood rose: {of}"
    if kind == "complaints":
        return f"{of}：差评突增" if zh else f"Burst of complaints: {of}"
    if kind == "spam":
        return f"{of}：刷评或重复评价" if zh else f"Wave of copied or spam texts: {of}"
    name = {"en": "English", "zh": "Chinese"}.get(key, key)
    where = (f"（{key}）" if zh else f" in {name} texts") if key else ""
    if kind == "confidence":
        return (
            f"分类器不再可靠{where}：需要标注"
            if zh
            else f"The classifier is less sure{where}: labels are needed"
        )
    return f"文本与以往不同{where}" if zh else f"Texts are not what they were{where}"


def alert_words(kind: str, numbers: dict[str, Any], since: str, day: str, language: str = "en") -> str:
    """The figures of an alert, in a sentence or two."""
    zh = language == "zh"
    if kind in ("fell", "rose"):
        b, a = (numbers[name] for name in ("before", "after"))
        return (
            f"自 {since} 起情绪由 {_span(b)} 变为 {_span(a)}（此前 {numbers['texts_before']:g} 条，此后 {numbers['texts_after']:g} 条），{day} 发现。{_rate(numbers, zh)}"
            if zh
            else f"Since {since} the mood is {_span(a)}, before it was {_span(b)} ({numbers['texts_after']:g} texts against {numbers['texts_before']:g}); noticed on {day}. {_rate(numbers, zh)}"
        )
    if kind in ("complaints", "spam"):
        expected = numbers["before"]
        when = (
            (f"{since} 当天" if zh else f"on {day}")
            if since == day
            else (f"{since} 至 {day}" if zh else f"from {since} to {day}")
        )
        what = ("差评", "complaints") if kind == "complaints" else ("重复或广告文本", "copies or spam texts")
        return (
            f"{when}有 {numbers['texts_after']:g} 条{what[0]}，预计 {_count(expected)} 条。{_rate(numbers, zh)}"
            if zh
            else f"{numbers['texts_after']:g} {what[1]} {when} where {_count(expected)} were expected. {_rate(numbers, zh)}"
        )
    parts = [_measure(m, zh) for m in numbers["measures"]]
    texts = f"{numbers['recent_texts']} / {numbers['reference_texts']}"
    return (
        f"{since} 至 {day} 与此前一年相比：{'；'.join(parts)}（{texts} 条文本）。"
        if zh
        else f"{since} to {day} against the year before: {'; '.join(parts)} ({texts} texts)."
    )


def _span(level: list[float] | tuple[float, ...]) -> str:
    return f"{level[0]:+.2f} ({level[1]:+.2f} to {level[2]:+.2f})"


def _count(level: list[float] | tuple[float, ...]) -> str:
    return f"{level[0]:.1f} ({level[1]:.1f} to {level[2]:.1f})"


def _rate(numbers: dict[str, Any], zh: bool) -> str:
    rate = float(numbers["rate"])
    if rate <= 0 or not math.isfinite(rate):
        return ""
    years = 1 / rate
    said = f"{years:,.0f}" if years >= 10 else f"{years:.1f}"
    return (
        f"仅凭偶然，此序列约每 {said} 年才会出现一次。"
        if zh
        else f"By chance such a series shows this once in {said} years."
    )


def _measure(measure: dict[str, Any], zh: bool) -> str:
    name = MEASURES[measure["name"]][zh]
    before, now = measure.get("before"), measure.get("now")
    if before is None or now is None:
        return (
            f"{name}变化 {measure['size']:.2f}（界限 {measure['threshold']:g}）"
            if zh
            else f"{name} moved by {measure['size']:.2f} (limit {measure['threshold']:g})"
        )
    return f"{name}由 {before:.1%} 变为 {now:.1%}" if zh else f"{name} went from {before:.1%} to {now:.1%}"
