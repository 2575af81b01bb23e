"""Suggested answers bettered by a chat model, where the configuration names one: cached, audited, never required."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.config import GraphLlm
from wares.core.errors import ConfigError
from wares.core.files import digest, read_json, write_json
from wares.data.access.door import user
from wares.graph.asking import GIVE_UP, Chat, Refused
from wares.models.sentiment.triage import prompt_of

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

VERSION = "1"
MOST_LETTERS = 1200
TOKENS = 250


class Drafter:
    """Asks the endpoint of ``[graph.llm]`` to better suggested answers. Every answer is kept under the prompt's version, the
    model and what was asked, so that a case is paid for once.

    Raises:
        ConfigError: where no endpoint or model is named, or its key is missing.
    """

    def __init__(self, config: GraphLlm, cache: Path) -> None:
        if not (config.base_url and config.model):
            raise ConfigError("no language model is named", mend="Set base_url and model in [graph.llm]", key="graph.llm", source="wares.toml")  # fmt: skip
        self.chat, self.model, self.cache = Chat(config, "graph.llm"), config.model, cache

    def draft(self, text: str, template: str, facts: Sequence[str]) -> tuple[str, bool]:
        """(a better answer, whether it was asked for now and not known already).

        Raises:
            Refused: when none came, or none in the form asked for.
        """
        messages = prompt_of(text, template, facts)
        path = self.cache / f"{digest([VERSION, self.model, messages])}.json"
        if path.is_file():
            return str(read_json(path)["answer"]), False
        answer = self._ask(messages)
        write_json(path, {"answer": answer})
        return answer, True

    def _ask(self, messages: list[dict[str, str]]) -> str:
        content, _ = self.chat.answer(messages, TOKENS)
        try:
            answer = json.loads(content)["answer"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused(f"the answer is not in the form asked for: {error}") from error
        if not isinstance(answer, str) or not answer.strip() or len(answer) > MOST_LETTERS:
            raise Refused("the answer is no short text")
        return answer.strip()


def draft_answers(
    shop: Workspace, cases: list[dict[str, Any]], progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Better the ``answer`` of cases in place; where the model fails, the template stays. Returns what asking came to, which is
    also written to the audit log (counts only: texts are personal)."""
    config = shop.config.graph.llm
    drafter = Drafter(config, shop.root / "cache" / "service_llm")
    report: dict[str, Any] = {"model": config.model, "asked": 0, "cached": 0, "failed": []}
    failures = 0
    for number, case in enumerate(cases):
        if failures == GIVE_UP:
            report["failed"].append(
                {"id": case["id"], "reason": f"left: {GIVE_UP} failed one after the other"}
            )
            continue
        progress(f"answer {number + 1} of {len(cases)}")
        facts = [f"about: {case['about']}"]
        facts += [f"product: {case['product']['title']}"] if case["product"] else []
        facts += [f"bought: {case['bought']}"] if case["bought"] else []
        try:
            case["answer"], fresh = drafter.draft(case["text"], case["answer"], facts)
            report["asked" if fresh else "cached"] += 1
            case["drafted_by"], failures = config.model, 0
        except Refused as error:
            report["failed"].append({"id": case["id"], "reason": str(error)[:300]})
            failures += 1
    counts = {
        "asked": report["asked"],
        "cached": report["cached"],
        "failed": len(report["failed"]),
        "model": config.model,
    }
    shop.audit.record(user(), "service.draft", "texts", counts)
    return report
