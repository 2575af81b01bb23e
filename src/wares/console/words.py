"""The console's texts in English and Chinese."""

from __future__ import annotations

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
