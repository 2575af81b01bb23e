"""What the knowledge graph says of a product, as a block on its page."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from wares.console.frame import language, t
from wares.console.words import add_words
from wares.graph.infer import Edge
from wares.serve.ranker import Ranker

SHOWN: tuple[tuple[str, bool | None, str], ...] = (
    ("has_brand", None, "kg_brand"),
    ("has_attribute", None, "kg_attributes"),
    ("mentions", None, "kg_terms"),
    ("has_model", None, "kg_model"),
    ("fits", True, "kg_fits"),
    ("in_season", None, "kg_season"),
    ("accessory_of", False, "kg_accessories"),
    ("accessory_of", True, "kg_accessory_of"),
    ("substitute_of", None, "kg_substitutes"),
    ("bought_with", None, "kg_bought_with"),
)
"""Relation, direction (None: either) and the key of its heading."""
MOST = 8

add_words(
    {
        "kg_title": ("Knows about this product", "关于此商品的知识"),
        "kg_brand": ("Brand", "品牌"),
        "kg_attributes": ("Attributes", "属性"),
        "kg_terms": ("Terms", "关键词"),
        "kg_model": ("Model", "型号"),
        "kg_fits": ("Fits", "适用于"),
        "kg_season": ("Season", "季节"),
        "kg_accessories": ("Accessories", "配件"),
        "kg_accessory_of": ("Accessory of", "是以下商品的配件"),
        "kg_substitutes": ("Substitutes", "替代品"),
        "kg_bought_with": ("Often bought with", "常一起购买"),
    }
)
_SEASONS = {"winter": "冬季", "spring": "春季", "summer": "夏季", "autumn": "秋季"}


def facts_of(ranker: Ranker, product_id: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """(key of a heading, its (text, product id or "")) of a product; empty when the graph knows nothing."""
    graph, row = ranker.graph, ranker.catalogue.row(product_id)
    if graph is None or row < 0:
        return []
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for relation, forward, key in SHOWN:
        if relation not in graph.relations:
            continue
        edges = graph.neighbours(row, relation, 4 * MOST)
        chosen = [e for e in edges if forward is None or e.forward == forward][:MOST]
        if chosen:
            found.append((key, [_named(ranker, edge) for edge in chosen]))
    return found


def _named(ranker: Ranker, edge: Edge) -> tuple[str, str]:
    graph = ranker.graph
    assert graph is not None
    kind, value = graph.label(edge.tail)
    if edge.tail < graph.n_products:
        return ranker.catalogue.product(edge.tail).title, value
    return (value.replace("=", ": ", 1) if kind == "attribute" else value), ""


def knowledge(ranker: Ranker, product_id: str) -> None:
    """Lay the block out; nothing where the graph knows nothing."""
    facts = facts_of(ranker, product_id)
    if not facts:
        return
    ui.html(f"<h2>{t('kg_title')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        for key, values in facts:
            with ui.row().classes("items-baseline").style("gap:6px 12px;flex-wrap:nowrap"):
                ui.label(t(key)).classes("note").style("flex:0 0 min(130px,32%)")
                # The values wrap among themselves, so that none stands below its heading on a telephone.
                with ui.row().style("gap:6px 12px;flex:1;min-width:0;overflow-wrap:anywhere"):
                    for text, product in values:
                        if product:
                            ui.link(text, f"/product/{quote(product, safe='')}")
                        else:
                            ui.label(_SEASONS.get(text, text) if language() == "zh" else text)
