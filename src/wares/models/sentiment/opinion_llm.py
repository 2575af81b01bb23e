"""Opinions about aspects that a language model reads out of texts, by any OpenAI-compatible endpoint that is named.

It asks as the graph's reader does (`wares.graph.asking`): in batches, within a budget, every answer kept on disk. What quotes no words
of its text is not used: an aspect that nothing in the text shows is an invention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wares.core.files import digest
from wares.graph.asking import Asker, LlmReport, Question, listed
from wares.models.sentiment.aspect_labelled import place_of
from wares.models.sentiment.opinion_text import aligned, sentences
from wares.models.sentiment.opinion_words import TERMS
from wares.models.sentiment.opinions import Opinion

PROMPT_VERSION = "1"
POLARITIES = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
MOST_OPINIONS = 12
MOST_TEXT = 2000
ANSWER_TOKENS = 300
Said = tuple[str, str, str, str, float]
"""Aspect, words that name it (empty where it is implied), words of the opinion, polarity, confidence."""
Audit = Callable[[str, str, dict[str, Any]], None]
"""(action, what, facts) into a log; facts hold no text."""


@dataclass(frozen=True)
class LlmEndpoint:
    """Where to ask. `key_env` names the environment variable of the key; empty sends none."""

    base_url: str
    model: str
    key_env: str = ""
    batch: int = 10
    max_tokens: int = 500_000
    timeout_seconds: float = 60.0


def prompt_of(aspects: Sequence[str]) -> str:
    """What the model is told."""
    return (
        "You read reviews of a shop. For each numbered text list what it says of which aspect of the product or the shop. Answer with one "
        "JSON object and nothing else:\n"
        '{"opinions": [{"text": 1, "aspect": "price", "term": "", "opinion": "too expensive", "polarity": "negative", "confidence": 0.9}]}\n'
        f"aspect is one of {', '.join(aspects)}. term are the words that name the aspect, copied from the text, or empty where it is only "
        "implied. opinion are the words that judge it, copied from the text. polarity is negative, neutral or positive. confidence is "
        "between 0 and 1. One entry for each aspect and polarity; none where the text says none."
    )


class LlmAspects:
    """Reads opinions by a language model.

    Raises:
        ConfigError: when no endpoint or model is named, or the environment lacks the key.
    """

    trained = False

    def __init__(
        self,
        endpoint: LlmEndpoint,
        cache: Path,
        aspects: Sequence[str] = tuple(TERMS),
        audit: Audit | None = None,
    ) -> None:
        self.aspects, self.endpoint, self.audit = tuple(aspects), endpoint, audit
        prompt = prompt_of(self.aspects)
        home = cache / digest([PROMPT_VERSION, prompt, endpoint.model])[:16]
        question = Question(prompt, self._parse, _restored, "texts", "aspects.llm", MOST_TEXT, ANSWER_TOKENS)
        self.asker = Asker(endpoint, home, question)

    def read(
        self, texts: Sequence[str], tick: Callable[[int, int], None] = lambda _done, _all: None
    ) -> tuple[list[list[Opinion]], LlmReport]:
        """Opinions of each text in the order in which they stand there, and what asking came to.

        Texts must be free of personal data: they leave the machine where the endpoint is elsewhere.
        """
        found, report = self.asker.read(texts, tick)
        out: list[list[Opinion]] = []
        for text, said in zip(texts, found, strict=True):
            opinions = [one for one in (self._opinion(text, *each) for each in said) if one is not None]
            report.refused += len(said) - len(opinions)
            out.append(sorted(opinions, key=lambda o: (o.start, max(o.term_start, o.opinion_start))))
        if self.audit is not None:
            facts = {**asdict(self.endpoint), "prompt": PROMPT_VERSION, "texts": len(texts)}
            facts.update(
                asked=report.asked,
                cached=report.cached,
                refused=report.refused,
                tokens=report.tokens,
                failed=len(report.failed),
            )
            self.audit("aspects.llm", f"llm:{self.endpoint.model}", facts)
        return out, report

    def _parse(self, content: Any, n: int) -> tuple[list[list[Said]], int]:
        found: list[list[Said]] = [[] for _ in range(n)]
        refused = 0
        for item in listed(content, "opinions"):
            one = self._said(item, n)
            if one is None or len(found[one[0]]) >= MOST_OPINIONS:
                refused += 1
            elif one[1] not in found[one[0]]:
                found[one[0]].append(one[1])
        return found, refused

    def _said(self, item: Any, n: int) -> tuple[int, Said] | None:
        if not isinstance(item, dict):
            return None
        number, aspect, polarity, sure = (item.get(k) for k in ("text", "aspect", "polarity", "confidence"))
        term, opinion = item.get("term") or "", item.get("opinion") or ""
        if (
            type(number) is not int
            or not 1 <= number <= n
            or aspect not in self.aspects
            or polarity not in POLARITIES
        ):
            return None
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 < sure <= 1:
            return None
        if not isinstance(term, str) or not isinstance(opinion, str) or not (term.strip() or opinion.strip()):
            return None
        return number - 1, (str(aspect), term.strip(), opinion.strip(), str(polarity), float(sure))

    @staticmethod
    def _opinion(
        text: str, aspect: str, term: str, opinion: str, polarity: str, sure: float
    ) -> Opinion | None:
        places = [place_of(text, words) if words else (-1, -1) for words in (term, opinion)]
        if any(place is None for place in places):
            return None
        (a, b), (c, d) = (place or (-1, -1) for place in places)
        at = max(a, c)
        start, end = next(((s, e) for s, e in sentences(aligned(text)) if s <= at < e), (at, max(b, d)))
        return Opinion(aspect, POLARITIES[polarity], start, end, a, b, c, d, sure)


def _restored(kept: Any) -> Said:
    aspect, term, opinion, polarity, sure = kept
    return str(aspect), str(term), str(opinion), str(polarity), float(sure)
