"""Moods put to use, in words of both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wares.core.nouns import Reason
from wares.models.recommend.mood import Said
from wares.models.sentiment.mood_words import aspect_name
from wares.models.sentiment.triage import TEMPLATES

CHANGES: dict[str, tuple[str, str]] = {
    "nothing": ("It finds nothing: add what is meant, or words that lead to it", "没有结果：请补充商品或同义词"),
    "nothing_into": ("It finds nothing: shoppers then try “{into}”; let both lead to the same", "没有结果：顾客随后搜索“{into}”，请让两者指向相同商品"),
    "returned": ("{returned} of {bought} things bought so were sent back, most of all {product}: put others first", "经此购买的 {bought} 件中有 {returned} 件退货，最多的是 {product}：请调整排序"),
    "aspect": ("What is shown is bad at {aspect}, most of all {product} ({opinions} opinions)", "展示商品的{aspect}口碑差，最差的是 {product}（{opinions} 条意见）"),
    "aspect_push": ("What is shown is bad at {aspect}, most of all {product} ({opinions} opinions): push {push}, which is praised for it", "展示商品的{aspect}口碑差，最差的是 {product}（{opinions} 条意见）：建议提升 {push}"),
    "push": ("Shoppers do not like what is shown: push {push}, which is better spoken of", "顾客对展示商品评价不高：建议提升口碑更好的 {push}"),
    "reformulated": ("{share} go on to another search at once, mostly “{into}”: let this one lead there", "{share} 的顾客随即改搜，多为“{into}”：请让本词指向相同结果"),
    "no_clicks": ("{share} click nothing: look at titles, pictures and prices of what is shown", "{share} 的搜索没有点击：请检查标题、图片与价格"),
}  # fmt: skip
SIGNS: dict[str, tuple[str, str]] = {
    "safety": ("safety", "安全"), "urgent": ("urgent", "紧急"), "money": ("money", "涉及款项"), "broken": ("broken or wrong", "损坏或错发"),
    "shouting": ("shouting", "情绪激烈"), "question": ("asks", "提问"), "anger": ("angry", "愤怒"), "waiting": ("waiting", "等待中"),
}  # fmt: skip
KINDS: dict[str, tuple[str, str]] = {
    "review": ("review", "评论"), "question": ("question", "提问"), "chat": ("chat", "客服会话"), "feedback": ("feedback", "搜索反馈"),
    "news": ("news", "新闻"), "other": ("other", "其他"),
}  # fmt: skip
TRENDS: dict[str, tuple[str, str]] = {
    "rising": ("rising", "上升"), "falling": ("falling", "下降"), "steady": ("steady", "平稳"), "unknown": ("too few dated texts to tell", "带日期的文本太少"),
}  # fmt: skip
HINTS: dict[str, tuple[str, str]] = {
    "more": (
        "{shoppers} shoppers in {recent} weeks where {expected} were expected: {ratio} times ({low}–{high}); {sure} sure that demand rises",
        "近 {recent} 周 {shoppers} 人次，预期 {expected}：{ratio} 倍（{low}–{high}）；需求上升的把握 {sure}",
    ),
    "less": (
        "{shoppers} shoppers in {recent} weeks where {expected} were expected: {ratio} times ({low}–{high}); {sure} sure that demand falls",
        "近 {recent} 周 {shoppers} 人次，预期 {expected}：{ratio} 倍（{low}–{high}）；需求下降的把握 {sure}",
    ),
    "careful": ("; the mood falls as well, so returns may follow: order with care", "；同时口碑下滑，可能引发退货，请谨慎备货"),
    "mood_up": ("; the mood rises", "；口碑上升"),
    "mood_down": ("; the mood falls", "；口碑下滑"),
}  # fmt: skip
NOTHING: dict[str, tuple[str, str]] = {
    "queries": ("The shop has no table of searches, so nothing can be told of them. Load one with `wares ingest PATH --as queries`.", "店铺没有搜索记录，无法判断。请用 `wares ingest PATH --as queries` 载入。"),
    "clicks": ("The searches record no clicks: satisfaction is the mood of what is shown alone.", "搜索记录没有点击：满意度仅来自展示商品的口碑。"),
    "linked": ("The searches name no visitors: a next search and returns cannot be told.", "搜索记录没有访客标识：无法判断改搜与退货。"),
    "texts": ("The shop has no reviews or other texts, so nothing is known of moods.", "店铺没有评论或其他文本，无法判断口碑。"),
    "cases": ("Nobody waits for an answer.", "没有待回复的内容。"),
    "stock": ("No product's interest moves beyond chance, or there are too few weeks of events to tell.", "没有商品的关注度出现超出偶然的变化，或事件周数太少。"),
    "reports": ("No product has complaints beyond its category's.", "没有商品的投诉明显多于同类。"),
    "untrained": ("Moods come of a word list: nothing was learned from this shop yet.", "口碑来自词典：尚未从本店数据学习。"),
}  # fmt: skip


AGAINST: dict[str, tuple[str, str]] = {
    "returned": (
        "stands lower: shoppers find its {aspect} bad, and you sent something back for that",
        "排序靠后：顾客反映其{aspect}不佳，而您曾因类似问题退货",
    ),
    "said": (
        "stands lower: shoppers find its {aspect} bad, which matters to you",
        "排序靠后：顾客反映其{aspect}不佳，而您在意这一点",
    ),
    "suits": ("well spoken of for its {aspect}, which matters to you", "{aspect}口碑好，符合您在意的方面"),
}
"""Why a product stands lower, or suits, by what its shopper cares about."""


def with_mood(why: Reason, found: Said | None, aspects: Sequence[str], language: str) -> Reason:
    """A reason with what the mood of an aspect adds to it; the reason as it is where nothing does."""
    if found is None or not 0 <= found.aspect < len(aspects):
        return why
    name = "suits" if found.mood > 0 else "returned" if found.returned else "said"
    aspect = aspects[found.aspect]
    words = said(AGAINST[name], language, aspect=aspect_name(aspect, language))
    joint = "；" if language == "zh" else "; "
    facts = {
        **why.facts,
        "mood": {
            "aspect": aspect,
            "mood": round(found.mood, 3),
            "cares": round(found.weight, 3),
            "why": name,
        },
    }
    return Reason(why.code, f"{why.text}{joint}{words}" if why.text else words, facts)


def said(texts: tuple[str, str], language: str, **facts: Any) -> str:
    """One of a pair of texts, with its facts filled in."""
    text = texts[language == "zh"]
    return text.format(**facts) if facts else text


def change_words(change: Mapping[str, Any], titles: Mapping[int, str], language: str) -> str:
    """What to change about a query, in words; `titles` by row of the products that are named."""
    code, facts = str(change["code"]), dict(change)
    if code == "nothing" and facts.get("into"):
        code = "nothing_into"
    if code == "aspect" and facts.get("push") is not None:
        code = "aspect_push"
    if code == "returned":
        rows = facts.get("products") or []
        facts["product"] = titles.get(rows[0], "") if rows else "–"
    elif "product" in facts:
        facts["product"] = titles.get(facts["product"], "")
    if facts.get("push") is not None:
        facts["push"] = titles.get(facts["push"], "")
    if "aspect" in facts:
        facts["aspect"] = aspect_name(str(facts["aspect"]), language)
    if "share" in facts:
        facts["share"] = f"{float(facts['share']):.0%}"
    return CHANGES[code][language == "zh"].format(**facts)


def hint_words(hint: Mapping[str, Any], language: str) -> str:
    """A stock hint in words."""
    side = language == "zh"
    text = HINTS[str(hint["hint"])][side].format(
        shoppers=f"{hint['shoppers']:,}", recent=f"{hint['weeks'][0]:.0f}", expected=f"{hint['expected']:,.0f}", ratio=f"{hint['ratio']:.1f}",
        low=f"{hint['interval'][0]:.1f}", high=f"{hint['interval'][1]:.1f}", sure=f"{hint['probability']:.0%}",
    )  # fmt: skip
    if hint["careful"]:
        return text + HINTS["careful"][side]
    if hint["mood_fell"] >= 0.8:
        return text + HINTS["mood_down"][side]
    return text + (HINTS["mood_up"][side] if hint["mood_fell"] <= 0.2 else "")


def answer_words(case: Mapping[str, Any], language: str = "") -> str:
    """The suggested answer to a case, in the customer's language where none is named."""
    chinese = (language or str(case["language"])) == "zh"
    order = ""
    if case["bought"]:
        order = f"（{case['bought']} 购买）" if chinese else f" (bought on {case['bought']})"
    product = str(case["title"]) or ("您的订单" if chinese else "your order")
    aspect = aspect_name(str(case["aspect"]), "zh" if chinese else "en")
    return TEMPLATES[str(case["about"])][chinese].format(product=product, order=order, aspect=aspect)
