"""Triples that a language model reads out of product texts, by any OpenAI-compatible endpoint that the config names.

Products are asked about in batches. Every answer is kept on disk under the prompt's version, the model and the text, so
that a text is paid for once. What is not exactly in the form asked for is not used; a batch that fails is reported and
asked again by the next build. Nothing is contacted unless `[graph.llm]` names an endpoint and a model.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wares.core.config import GraphLlm
from wares.core.errors import ConfigError
from wares.core.files import digest, read_json, write_json
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
GIVE_UP = 3
"""Batches that may fail one after the other before the rest is left for the next build."""
ANSWER_TOKENS = 120
"""Tokens allowed for the answer about one product."""
MOST_ANSWER = 4_000_000
Fact = tuple[str, str, float]


@dataclass
class LlmReport:
    """What asking came to. `failed` has the first product and the reason of each batch; `left` were not asked."""

    asked: int = 0
    cached: int = 0
    facts: int = 0
    refused: int = 0
    tokens: int = 0
    left: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    stopped: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dict(self.__dict__)


def source_of(config: GraphLlm) -> str:
    """The source that each such triple carries."""
    return f"llm:{config.model}@{PROMPT_VERSION}"


def cache_folder(root: Path, config: GraphLlm) -> Path:
    """Where the answers of this model to this prompt are."""
    return root / "cache" / "graph_llm" / digest([PROMPT_VERSION, PROMPT, config.model])[:16]


class _Refused(Exception):
    """A batch that came to nothing, and why."""


class Reader:
    """Asks one endpoint about texts, within a budget of tokens."""

    def __init__(self, config: GraphLlm, cache: Path) -> None:
        if not (config.base_url and config.model):
            raise ConfigError(
                "graph.llm names no endpoint or no model",
                mend="Set base_url and model in [graph.llm], or leave both out",
                key="graph.llm",
                source="wares.toml",
            )
        self.config, self.cache = config, cache
        self.key = os.environ.get(config.key_env, "") if config.key_env else ""
        if config.key_env and not self.key:
            raise ConfigError(
                f"the environment has no {config.key_env}", mend="Set it before the build", key="graph.llm.key_env", source="wares.toml"
            )  # fmt: skip

    def read(
        self, texts: Sequence[str], tick: Callable[[int, int], None] = lambda *_: None
    ) -> tuple[list[list[Fact]], LlmReport]:
        """Facts (relation, value, confidence) of each text, in order; empty where nothing is known."""
        report = LlmReport()
        found: list[list[Fact]] = [[] for _ in texts]
        missing: list[int] = []
        for i, text in enumerate(texts):
            path = self._path(text)
            if path.is_file():
                found[i] = [(str(r), str(v), float(c)) for r, v, c in read_json(path)]
                report.cached += 1
            elif text.strip():
                missing.append(i)
        failures = 0
        for batch in _batches(missing, self.config.batch):
            if report.stopped:
                report.left += len(batch)
                continue
            some = [texts[i][:MOST_TEXT] for i in batch]
            if report.tokens + _guess(some) > self.config.max_tokens:
                report.stopped = f"the budget of {self.config.max_tokens:,} tokens"
                report.left += len(batch)
                continue
            try:
                facts = self._ask(some, report)
                failures = 0
            except _Refused as error:
                report.failed.append(
                    {"text": some[0][:80], "products": str(len(batch)), "reason": str(error)[:300]}
                )
                failures += 1
                if failures == GIVE_UP:
                    report.stopped = f"{GIVE_UP} batches failed one after the other"
                continue
            for i, mine in zip(batch, facts, strict=True):
                found[i] = mine
                write_json(self._path(texts[i]), mine)
            report.asked += len(batch)
            tick(report.asked, len(missing))
        report.facts = sum(map(len, found))
        return found, report

    def _path(self, text: str) -> Path:
        return self.cache / f"{digest(text)}.json"

    def _ask(self, texts: Sequence[str], report: LlmReport) -> list[list[Fact]]:
        numbered = "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
        body = {
            "model": self.config.model,
            "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": numbered}],
            "temperature": 0,
            "max_tokens": ANSWER_TOKENS * len(texts),
            "response_format": {"type": "json_object"},
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(
            self.config.base_url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self.config.timeout_seconds) as answer:
                raw = answer.read(MOST_ANSWER)
            held = json.loads(raw)
            content = held["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise _Refused(f"HTTP {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Refused(f"no answer: {error}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise _Refused(f"the answer is no chat completion: {error}") from error
        usage = held.get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        report.tokens += total if isinstance(total, int) and total >= 0 else _guess(texts)
        facts, refused = parse(content, len(texts))
        report.refused += refused
        return facts


def _batches(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _guess(texts: Sequence[str]) -> int:
    """Tokens of a request and its answer, when nobody counted: four letters a token, one where they are Chinese."""
    letters = sum(1 if ord(ch) > 0x2E7F else 0.25 for text in texts for ch in text)
    return int(len(PROMPT) / 4 + letters) + ANSWER_TOKENS * len(texts)


def parse(content: Any, n: int) -> tuple[list[list[Fact]], int]:
    """Facts of each of `n` products out of an answer, and how many were not in the form asked for.

    Raises:
        _Refused: when it is no JSON object with a list ``triples``.
    """
    try:
        held = json.loads(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise _Refused(f"the answer is no JSON: {error}") from error
    if not isinstance(held, dict) or not isinstance(held.get("triples"), list):
        raise _Refused("the answer is no object with a list `triples`")
    found: list[list[Fact]] = [[] for _ in range(n)]
    refused = 0
    for item in held["triples"]:
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
