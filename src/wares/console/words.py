"""The console's texts in English and Chinese."""

from __future__ import annotations

import re

WORDS: dict[str, tuple[str, str]] = {
    "shop": ("Shop", "商店"),
    "for_you": ("For you", "为您推荐"),
    "workshop": ("Workshop", "工作台"),
    "overview": ("Overview", "概览"),
    "shopper": ("Shopper", "顾客"),
    "shopper_hint": ("Shopper id, e.g. {user}", "顾客编号，例如 {user}"),
    "stranger": ("No shopper chosen: this is what a stranger sees.", "未选择顾客：这是新访客看到的内容。"),
    "search": ("Search products", "搜索商品"),
    "results": ("{n} products", "{n} 件商品"),
    "none": (
        "Nothing found. Try fewer words, or take a filter away.",
        "没有找到商品。请减少关键词或取消筛选。",
    ),
    "relaxed": (
        "No product has all the words, so these have some of them.",
        "没有商品包含所有词，以下为部分匹配。",
    ),
    "corrected": ("Showing results for “{q}”", "已显示“{q}”的结果"),
    "more": ("Show more", "显示更多"),
    "filters": ("Filters", "筛选"),
    "clear": ("Clear filters", "清除筛选"),
    "brand": ("Brand", "品牌"),
    "category": ("Category", "类目"),
    "price": ("Price", "价格"),
    "similar": ("Similar products", "相似商品"),
    "together": ("Bought together", "经常一起购买"),
    "accessories": ("Goes with it", "搭配商品"),
    "substitutes": ("Instead of it", "可替代商品"),
    "buy_again": ("Buy again", "再次购买"),
    "first_picks": ("Well-known products", "热门入门商品"),
    "trending": ("Trending now", "正在上升"),
    "price_history": ("Price over time", "价格走势"),
    "no_price": ("no price", "暂无价格"),
    "unknown_product": ("There is no such product.", "没有这个商品。"),
    "slider": ("Bestsellers  ←→  discovery", "热销  ←→  发现"),
    "again": ("Include what was bought before", "包含买过的商品"),
    "assets": ("Data", "数据资产"),
    "asset": ("Table", "表"),
    "version": ("Version", "版本"),
    "rows": ("Rows", "行数"),
    "quarantined": ("In quarantine", "隔离"),
    "loaded": ("Loaded (UTC)", "载入时间"),
    "age": ("Age", "新鲜度"),
    "source": ("Source", "来源"),
    "quality": ("Good rows", "合格率"),
    "rules": ("Rules that rows broke", "违反的规则"),
    "evaluation": ("How good the recommendations are", "推荐质量"),
    "no_evaluation": (
        "Nothing was measured yet: run `wares evaluate`.",
        "尚未评估：请运行 `wares evaluate`。",
    ),
    "bundle": ("Live bundle", "在线版本"),
    "made": ("Made", "生成时间"),
    "parts": ("Parts", "组成"),
    "full_report": ("Open the full report", "打开完整报告"),
    "metric": ("Metric", "指标"),
    "open": ("View", "查看"),
    "days": ("{n} d", "{n} 天"),
    "hours": ("{n} h", "{n} 小时"),
    "facts": (
        "{users} shoppers, {items} products; tested on {split}; seed {seed}",
        "{users} 位顾客，{items} 件商品；测试：{split}；种子 {seed}",
    ),
    "skip": ("Skip to content", "跳到内容"),
    "history": ("Versions", "版本历史"),
    "new_rows": ("New", "新增"),
    "changed": ("Changed", "变更"),
}


def add_words(words: dict[str, tuple[str, str]]) -> None:
    """Add the texts of a page: key to (English, Chinese). A page keeps its own beside it.

    Raises:
        ValueError: when another page has the key with another text.
    """
    for key, texts in words.items():
        if WORDS.setdefault(key, texts) != texts:
            raise ValueError(f"the word {key!r} is taken")


def word(key: str, language: str, **facts: object) -> str:
    """A text in a language, with its facts filled in."""
    text = WORDS[key][1 if language == "zh" else 0]
    return text.format(**facts) if facts else text


SENTENCES: tuple[tuple[str, str], ...] = (
    (r"Give a shopper, or a session for anonymous ones", "请填写顾客；匿名访问请填写会话"),
    (r"Fill this cell", "请填写此单元格"),
    (r"Use one of (.+)", r"请使用以下之一：\1"),
    (r"At least (.+)", r"不得小于 \1"),
    (r"At most (.+) characters", r"不得超过 \1 个字符"),
    (r"At most (.+)", r"不得大于 \1"),
    (r"Load it into (\w+) first, then ingest this source again", r"请先将其载入 \1，再重新载入此来源"),
    (r"Write a finite number such as (.+)", r"请填写有限数值，例如 \1"),
    (r"Write a date such as (.+?)( or .+)?; set `date_order` for (.+)", r"请填写日期，例如 \1；\3 之类的写法请设置 `date_order`"),
    (r"the last (\d+) days", r"最近 \1 天"),
    (r"How does the writer feel about it\?", "作者的态度如何？"),
    (r"What does the text say about this aspect\?", "文本对这一方面的评价如何？"),
    (r"Are these two offers the same product\?", "这两条是同一件商品吗？"),
    (r"How well does the product answer the query\?", "商品与查询有多相关？"),
    (r"Which category does it belong to\?", "属于哪个类目？"),
    (r"Which answer fits\?", "哪个答案合适？"),
    (r"negative", "消极"),
    (r"neutral", "中性"),
    (r"positive", "积极"),
    (r"not mentioned", "未提及"),
    (r"same", "相同"),
    (r"different", "不同"),
    (r"unsure", "不确定"),
    (r"irrelevant", "不相关"),
    (r"complement", "互补"),
    (r"substitute", "可替代"),
    (r"exact", "完全相符"),
)  # fmt: skip
"""English sentences that the other rooms write, as patterns, with what they are in Chinese."""


def sentence(text: str, language: str) -> str:
    """A sentence of another room in a language; as it is where there is no translation."""
    if language == "zh":
        for pattern, chinese in SENTENCES:
            if found := re.fullmatch(pattern, text):
                return found.expand(chinese)
    return text
