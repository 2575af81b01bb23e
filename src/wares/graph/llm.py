"""Triples that a language model reads out of product texts, by any OpenAI-compatible endpoint that the config names.

Products are asked about in batches. Every answer is kept on disk under the prompt's version, the model and the text, so
that a text is paid for once. What is not exactly in the form asked for is not used; a batch that fails is reported and
asked again by the next build. Nothing is contacted unless `[graph.llm]` names an endpoint and a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wares.core.config import GraphLlm
from wares.core.files import digest
from wares.graph.asking import Asker, Question, listed
from wares.graph.columns import normal
from wares.graph.triples import Triples

PROMPT_VERSION = "1"
RELATIONS = ("material", "colour", "use", "audience", "style", "flavour", "feature", "compatible_with")
"""What may be said; ``compatible_with`` becomes the relation ``fits``, the others attributes."""
PROMPT = (
    "You read product texts of a shop. For each numbered product name facts that its text states or that its kind implies "
    "beyond doubt. Answer with one JSON object and nothing else:\n"
    '{"triples": [{"product": 1, "relation": "material", "value": "stainless steel", "confidence": 0.9}]}\n'
    f"relation is one of {', '.join(RELATIONS)}. value is one to four words, in the language of the text, in lower case. "
    "confidence is between 0 and 1. At most eight facts a product; none where the text says none."
)
MOST_VALUE = 60
MOST_FACTS = 8
MOST_TEXT = 1000
ANSWER_TOKENS = 120
"""Tokens allowed for the answer about one product."""
Fact = tuple[str, str, float]


def source_of(config: GraphLlm) -> str:
    """The source that each such triple carries."""
    return f"llm:{config.model}@{PROMPT_VERSION}"


def cache_folder(root: Path, config: GraphLlm) -> Path:
    """Where the answers of this model to this prompt are."""
    return root / "cache" / "graph_llm" / digest([PROMPT_VERSION, PROMPT, config.model])[:16]


class Reader(Asker[Fact]):
    """Asks one endpoint about products, within a budget of tokens: facts (relation, value, confidence) of each text."""

    def __init__(self, config: GraphLlm, cache: Path) -> None:
        super().__init__(
            config,
            cache,
            Question(PROMPT, parse, _restored, "products", "graph.llm", MOST_TEXT, ANSWER_TOKENS),
        )


def _restored(kept: Any) -> Fact:
    relation, value, sure = kept
    return str(relation), str(value), float(sure)


def parse(content: Any, n: int) -> tuple[list[list[Fact]], int]:
    """Facts of each of `n` products out of an answer, and how many were not in the form asked for.

    Raises:
        Refused: when it is no JSON object with a list ``triples``.
    """
    found: list[list[Fact]] = [[] for _ in range(n)]
    refused = 0
    for item in listed(content, "triples"):
        fact = _fact(item, n)
        if fact is None or len(found[fact[0]]) >= MOST_FACTS:
            refused += 1
        elif fact[1] not in found[fact[0]]:
            found[fact[0]].append(fact[1])
    return found, refused


def _fact(item: Any, n: int) -> tuple[int, Fact] | None:
    if not isinstance(item, dict) or set(item) != {"product", "relation", "value", "confidence"}:
        return None
    product, relation, value, sure = (item[k] for k in ("product", "relation", "value", "confidence"))
    if type(product) is not int or not 1 <= product <= n or relation not in RELATIONS:
        return None
    if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 < sure <= 1:
        return None
    text = normal(value) if isinstance(value, str) else ""
    return (product - 1, (relation, text, float(sure))) if 0 < len(text) <= MOST_VALUE else None


def add_facts(triples: Triples, rows: Sequence[int], facts: Sequence[Sequence[Fact]], source: str) -> int:
    """Add what was read of the products in `rows`; returns how many triples."""
    flat = [(row, fact) for row, mine in zip(rows, facts, strict=True) for fact in mine]
    for relation in RELATIONS:
        some = [(row, value, sure) for row, (name, value, sure) in flat if name == relation]
        fits = relation == "compatible_with"
        triples.add(
            [row for row, _, _ in some],
            "fits" if fits else "has_attribute",
            [
                triples.entity("term", value) if fits else triples.entity("attribute", f"{relation}={value}")
                for _, value, _ in some
            ],
            source,
            [sure for _, _, sure in some],
        )
    return len(flat)
