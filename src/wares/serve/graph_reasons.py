"""Why the graph holds two products to belong together, in words of both languages."""

from __future__ import annotations

from typing import Any

from wares.core.nouns import Reason
from wares.graph.infer import PRODUCT, Edge, Graph

DIRECT: dict[tuple[str, bool], dict[str, str]] = {
    ("bought_with", True): {"en": "often bought with {title}", "zh": "常与{title}一起购买"},
    ("viewed_with", True): {"en": "often looked at with {title}", "zh": "常与{title}一起浏览"},
    ("substitute_of", True): {"en": "can take the place of {title}", "zh": "可替代{title}"},
    ("accessory_of", True): {"en": "can be used with {title}", "zh": "可搭配{title}"},
    ("accessory_of", False): {"en": "made to go with {title}", "zh": "是{title}的配件"},
}
"""By relation, and whether the edge leads from the one that the shopper had to the other."""
SHARED: dict[str, dict[str, str]] = {
    "has_model": {"en": "same model {value} as {title}", "zh": "与{title}同型号：{value}"},
    "fits": {"en": "fits {value}, like {title}", "zh": "与{title}一样适用于{value}"},
    "has_brand": {"en": "same maker as {title}: {value}", "zh": "与{title}同品牌：{value}"},
    "mentions": {"en": "{value}, like {title}", "zh": "与{title}同为{value}"},
    "has_attribute": {"en": "same {name} as {title}: {value}", "zh": "与{title}的{name}相同：{value}"},
    "in_category": {"en": "same category as {title}", "zh": "与{title}同类目"},
    "has_size": {"en": "same size as {title}: {value}", "zh": "与{title}同规格：{value}"},
    "in_season": {"en": "for {value}, like {title}", "zh": "与{title}同为{value}商品"},
    "liked_by": {"en": "liked by the same shoppers as {title}", "zh": "与{title}受同一类顾客喜爱"},
    "in_price_band": {"en": "priced like {title}", "zh": "与{title}价位相近"},
}
"""Relations by which two products lead to one entity, the most telling first."""
FITS = {"en": "fits {title}", "zh": "适用于{title}"}
FITTED = {"en": "{title} fits it", "zh": "{title}适用于它"}
OTHER = {
    "shared": {"en": "same {relation} as {title}: {value}", "zh": "与{title}的{relation}相同：{value}"},
    "direct": {"en": "linked with {title} ({relation})", "zh": "与{title}相关（{relation}）"},
    "through": {"en": "goes with what goes with {title}", "zh": "与{title}的相关商品有关"},
}
HAD = {"en": "{title} that you had", "zh": "您买过的 {title}"}
_SEASONS = {"winter": "冬季", "spring": "春季", "summer": "夏季", "autumn": "秋季"}
_MADE_FOR = ("has_model", "has_brand")
_FIRST = ("accessory_of", "substitute_of", "fits", "bought_with", "has_model", "viewed_with")
_MOST = 2


def graph_reason(
    graph: Graph, ways: list[list[Edge]], title: str, language: str = "en", *, own: bool = True
) -> Reason | None:
    """Why a product comes to somebody who has the product called `title`, by the ways from one to the other
    (``graph.between``); None when there are none.

    At most two ways are told, the most telling ones; ``facts`` holds them as steps. With `own` the title is said to be the
    shopper's.
    """
    told: list[tuple[float, str, list[Edge]]] = []
    name = HAD[language].format(title=title) if own else title if language == "en" else f" {title} "
    for path in ways:
        rank, text = _words(graph, path, name, language)
        told.append((rank, text, path))
    if not told:
        return None
    told.sort(key=lambda one: one[0])
    texts: dict[str, list[Edge]] = {}
    for _, text, path in told:
        texts.setdefault(text, path)
    chosen = list(texts)[:_MOST]
    # The second way need not name the product again.
    again = [t.replace(name, {"en": "it", "zh": "其"}[language]) for t in chosen[1:]]
    said = ("，" if language == "zh" else ", ").join([chosen[0], *again])
    return Reason("graph", said, {"title": title, "paths": [steps_json(graph, texts[t]) for t in chosen]})


def telling(graph: Graph, ways: list[list[Edge]]) -> float:
    """How much the ways between two products have to say: 0 for nothing, up to 1."""
    ranks = [_words(graph, path, "", "en")[0] for path in ways]
    return 1.0 / (1.0 + min(ranks)) if ranks else 0.0


def _words(graph: Graph, path: list[Edge], title: str, language: str) -> tuple[float, str]:
    """(rank, text); a lower rank tells more."""
    first, last = path[0], path[-1]
    if len(path) == 1:
        two_way = first.relation in ("bought_with", "viewed_with", "substitute_of")
        words = DIRECT.get((first.relation, True if two_way else first.forward))
        rank = _rank(first.relation)
        if words is None:
            return rank, OTHER["direct"][language].format(title=title, relation=_plain(first.relation))
        return rank, words[language].format(title=title)
    kind, value = graph.label(first.tail)
    if kind == PRODUCT:
        return 30.0, OTHER["through"][language].format(title=title)
    # Read backwards, the last step says what the hit itself leads to.
    one, other = first.relation, last.relation
    if other == "fits" and one in _MADE_FOR:
        return _rank("fits"), FITS[language].format(title=title)
    if one == "fits" and other in _MADE_FOR:
        return _rank("fits"), FITTED[language].format(title=title)
    if one != other:
        return 40.0, OTHER["through"][language].format(title=title)
    words = SHARED.get(one)
    if kind == "attribute":
        name, _, value = value.partition("=")
    else:
        name = _plain(one)
    value = value.rpartition(" > ")[2]
    value = _SEASONS.get(value, value) if language == "zh" and kind == "season" else value
    if words is None:
        return 20.0, OTHER["shared"][language].format(title=title, relation=_plain(one), value=value)
    return _rank(one), words[language].format(title=title, value=value, name=name)


def _rank(relation: str) -> float:
    if relation in _FIRST:
        return float(_FIRST.index(relation))
    order = list(SHARED)
    return 8.0 + order.index(relation) if relation in order else 25.0


def _plain(relation: str) -> str:
    return relation.rpartition(".")[2].replace("_", " ").removeprefix("has ")


def edge_json(graph: Graph, edge: Edge) -> dict[str, Any]:
    """One step as plain values; ``forward`` is False when it is read against its direction."""
    kind, value = graph.label(edge.tail)
    return {
        "relation": edge.relation, "forward": edge.forward, "entity": {"kind": kind, "value": value},
        "weight": round(edge.weight, 4), "source": edge.source, "since": _since(edge.day),
    }  # fmt: skip


def _since(day: int) -> str | None:
    if day < 0:
        return None
    from datetime import UTC, datetime

    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def steps_json(graph: Graph, path: list[Edge]) -> list[dict[str, Any]]:
    """A path as plain values."""
    return [edge_json(graph, edge) for edge in path]
