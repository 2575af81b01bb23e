"""The words of the search page in English and Chinese."""

from __future__ import annotations

from wares.console.words import add_words

add_words(
    {
        "ideas": ("Suggestions", "搜索建议"),
        "idea_in": ("in {category}", "在“{category}”中"),
        "idea_query": ("searched often", "大家在搜"),
        "idea_category": ("category", "类目"),
        "idea_brand": ("brand", "品牌"),
        "idea_meant": ("did you mean", "您是不是要找"),
        "search_instead": ("Search instead for “{q}”", "仍然搜索“{q}”"),
        "searched_as_typed": ("Results for exactly “{q}”", "“{q}”的原词结果"),
        "understood": ("Understood as", "已识别"),
        "remove": ("Remove “{q}”", "移除“{q}”"),
        "chip_price": ("Price", "价格"),
        "chip_size": ("Size", "规格"),
        "chip_brand": ("Brand", "品牌"),
        "chip_category": ("Category", "类目"),
        "chip_attribute": ("Property", "属性"),
        "chip_not": ("Without", "不要"),
        "sort": ("Sort by", "排序"),
        "sort_relevance": ("Relevance", "相关度"),
        "sort_price": ("Price, lowest first", "价格从低到高"),
        "sort_-price": ("Price, highest first", "价格从高到低"),
        "sort_newest": ("Newest first", "最新上架"),
        "sort_popular": ("Best-selling first", "销量优先"),
        "let_go": ("Nothing fits all of it, so this was left out: {what}.", "没有完全符合的商品，已放宽：{what}。"),
        "go_attributes": ("properties", "属性"),
        "go_categories": ("category", "类目"),
        "go_brands": ("brand", "品牌"),
        "go_price": ("price", "价格"),
        "go_words": ("some of the words", "部分词语"),
        "nothing_for": ("Nothing found for “{q}”.", "没有找到与“{q}”相关的商品。"),
        "nothing_here": ("Nothing passes these filters.", "没有符合筛选条件的商品。"),
        "try_without": ("Search without “{q}”", "去掉“{q}”再搜"),
        "try_these": ("You could try", "您可以试试"),
        "size": ("Size", "规格"),
        "available": ("In stock", "有货"),
        "yes": ("Yes", "是"),
        "no": ("No", "否"),
    }
)  # fmt: skip
