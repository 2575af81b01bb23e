"""Why a product stands in a list, in words of both languages."""

from __future__ import annotations

from typing import Any

from wares.core.nouns import Product, Reason

TEXTS: dict[str, dict[str, str]] = {
    "bought_with": {
        "en": "bought with {title} by {shoppers} shoppers",
        "zh": "{shoppers} 位顾客同时购买了 {title}",
    },
    "taste": {"en": "fits what you usually buy, such as {title}", "zh": "符合您的购买习惯，例如 {title}"},
    "again": {
        "en": "you bought this {times} times, last on {date}",
        "zh": "您买过 {times} 次，最近一次 {date}",
    },
    "again_once": {"en": "you bought this on {date}", "zh": "您于 {date} 买过"},
    "like": {"en": "like {title}: {same}", "zh": "与 {title} 相似：{same}"},
    "popular": {"en": "bought by many shoppers lately", "zh": "近期热销"},
    "new_like": {"en": "new, and like {title} that you had", "zh": "新品，与您买过的 {title} 相似"},
    "new": {"en": "new in the shop", "zh": "新品上架"},
    "words": {"en": "has {words}", "zh": "包含 {words}"},
    "around": {"en": "like the best matches", "zh": "与最匹配的商品相似"},
    "meaning": {"en": "close in meaning", "zh": "语义相近"},
    "code": {"en": "its product number", "zh": "商品编号匹配"},
    "browse": {"en": "best-seller here", "zh": "热销商品"},
    "together": {"en": "{shoppers} shoppers have both", "zh": "{shoppers} 位顾客两者都买"},
    "basket": {"en": "in {count} baskets with {title}", "zh": "{count} 个购物篮中与 {title} 一起购买"},
    "goes_with": {
        "en": "goes with {title}: bought with it {count} times",
        "zh": "搭配 {title}：一起购买 {count} 次",
    },
    "instead": {
        "en": "instead of {title}: {count} shoppers considered both",
        "zh": "可替代 {title}：{count} 位顾客在两者间选择",
    },
    "like_instead": {"en": "could be taken instead: {same}", "zh": "可以替代：{same}"},
    "instead_had": {
        "en": "could be taken instead of {title} that you had",
        "zh": "可替代您买过的 {title}",
    },
    "goes_with_had": {"en": "goes with {title} that you had", "zh": "可搭配您买过的 {title}"},
    "due": {
        "en": "you buy this about every {every} days, last on {last}; due about {due}",
        "zh": "您约每 {every} 天购买一次，上次 {last}；预计 {due} 需要",
    },
    "overdue": {
        "en": "you buy this about every {every} days, last on {last}; was due about {due}",
        "zh": "您约每 {every} 天购买一次，上次 {last}；本应于 {due} 购买",
    },
    "rising": {
        "en": "{rise} times as many shoppers as usual in {hours} hours: {shoppers}",
        "zh": "{hours} 小时内顾客数为平时的 {rise} 倍：{shoppers} 位",
    },
    "looks": {"en": "looks like the picture", "zh": "与图片外观相似"},
    "words_of_image": {"en": "described like what the picture shows", "zh": "描述与图片内容相近"},
    "shows": {"en": "its picture fits “{words}”", "zh": "图片符合“{words}”"},
    "well_known": {"en": "many shoppers know this", "zh": "许多顾客熟悉的商品"},
}
_DIMENSIONS = {
    "en": {
        "text": "similar description", "reviews": "shoppers write alike about it", "image": "looks alike",
        "behaviour": "{n} shoppers have both", "view": "looked at together {n} times", "basket": "in {n} baskets together",
        "sequence": "taken one after the other", "graph": "much in common with the same things",
        "price": "similar price for a like pack", "scene": "bought at the same times by the same people",
    },
    "zh": {
        "text": "描述相近", "reviews": "评价内容相近", "image": "外观相似", "behaviour": "{n} 位顾客两者都买", "view": "{n} 次被一起浏览",
        "basket": "{n} 个购物篮中一起购买", "sequence": "常先后购买", "graph": "与相同事物关联密切", "price": "价格与规格相近",
        "scene": "购买时间与人群相近",
    },
}  # fmt: skip
_SAME = {
    "en": {
        "category": "same category",
        "brand": "same brand",
        "size": "same size",
        "text": "similar description",
    },
    "zh": {"category": "同类目", "brand": "同品牌", "size": "同规格", "text": "描述相近"},
}


def reason(code: str, language: str = "en", **facts: Any) -> Reason:
    """A reason with its text filled in."""
    return Reason(code, TEXTS[code][language].format(**facts), facts)


def contribution_words(dimension: str, shared: str, count: int, language: str) -> str:
    """What a dimension of likeness says in words; `shared` is what `same` says of both, `count` how many have both."""
    if dimension == "attributes":
        return shared
    return _DIMENSIONS[language][dimension].format(n=count)


def same(one: Product, other: Product, language: str) -> str:
    """What two products share, in words: ``same category, brand and size``."""
    shared = [
        name
        for name in ("category", "brand", "size")
        if getattr(one, name) and getattr(one, name) == getattr(other, name)
    ]
    words = _SAME[language]
    if not shared:
        return words["text"]
    if language == "en" and len(shared) > 1:
        return "same " + ", ".join(shared[:-1]) + " and " + shared[-1]
    return "、".join(words[name] for name in shared) if language == "zh" else words[shared[0]]
