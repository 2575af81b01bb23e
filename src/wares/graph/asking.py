"""Ask any OpenAI-compatible endpoint about texts: in batches, within a budget of tokens, every answer kept on disk.

Whoever asks brings a `Question`: the prompt, and how an answer is read. A text is paid for once: its answer is kept under what the
caller named the cache by (the prompt's version and the model). A batch that fails is reported and asked again next time.
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
from typing import Any, Generic, Protocol, TypeVar

from wares.core.errors import ConfigError
from wares.core.files import digest, read_json, write_json

GIVE_UP = 3
"""Batches that may fail one after the other before the rest is left for the next time."""
MOST_ANSWER = 4_000_000
F = TypeVar("F")


def _silent(_done: int, _all: int) -> None:
    """Say nothing."""


class Endpoint(Protocol):
    """Where to ask, and within which bounds; `wares.core.config.GraphLlm` is one."""

    @property
    def base_url(self) -> str:
        """Of an OpenAI-compatible endpoint."""
        ...

    @property
    def model(self) -> str:
        """Its name of the model."""
        ...

    @property
    def key_env(self) -> str:
        """The environment variable that holds the key; empty for none."""
        ...

    @property
    def batch(self) -> int:
        """Texts in one request."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that may be used, asked and answered."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """How long to wait for an answer."""
        ...


@dataclass
class LlmReport:
    """What asking came to. `failed` has the first text and the reason of each batch; `left` were not asked."""

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


class Refused(Exception):
    """A request that came to nothing, and why."""


@dataclass(frozen=True)
class Question(Generic[F]):
    """What is asked about every text. `parse` reads the answer about so many numbered texts as what it says of each and how much was
    not in the form asked for, or raises `Refused`; `restore` reads one kept answer. `things` is what the texts are, `key` the
    setting that names the endpoint, `most_text` how much of each is sent, `answer_tokens` what may be said of each."""

    prompt: str
    parse: Callable[[Any, int], tuple[list[list[F]], int]]
    restore: Callable[[Any], F]
    things: str = "texts"
    key: str = "llm"
    most_text: int = 1000
    answer_tokens: int = 120


class Chat:
    """One endpoint that answers messages; `key` is the setting that names it.

    Raises:
        ConfigError: when no endpoint or model is named, or the environment lacks the key.
    """

    def __init__(self, config: Endpoint, key: str) -> None:
        if not (config.base_url and config.model):
            raise ConfigError(
                f"{key} names no endpoint or no model", mend=f"Set base_url and model in [{key}], or leave both out", key=key,
                source="wares.toml",
            )  # fmt: skip
        self.config = config
        self.secret = os.environ.get(config.key_env, "") if config.key_env else ""
        if config.key_env and not self.secret:
            raise ConfigError(
                f"the environment has no {config.key_env}", mend="Set it before the build", key=f"{key}.key_env", source="wares.toml"
            )  # fmt: skip

    def answer(self, messages: list[dict[str, str]], most_tokens: int) -> tuple[Any, int | None]:
        """(what it says, tokens that it counted or None), asked for a JSON object.

        Raises:
            Refused: when no chat completion came.
        """
        body = {
            "model": self.config.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": most_tokens,
            "response_format": {"type": "json_object"},
        }
        headers = {"Content-Type": "application/json"}
        if self.secret:
            headers["Authorization"] = f"Bearer {self.secret}"
        request = urllib.request.Request(
            self.config.base_url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self.config.timeout_seconds) as answer:
                raw = answer.read(MOST_ANSWER)
            held = json.loads(raw)
            content = held["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise Refused(f"HTTP {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"no answer: {error}") from error
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise Refused(f"the answer is no chat completion: {error}") from error
        usage = held.get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        return content, total if isinstance(total, int) and total >= 0 else None


class Asker(Generic[F]):
    """Asks one endpoint one question about texts.

    Raises:
        ConfigError: when no endpoint or model is named, or the environment lacks the key.
    """

    def __init__(self, config: Endpoint, cache: Path, question: Question[F]) -> None:
        self.chat = Chat(config, question.key)
        self.config, self.cache, self.question = config, cache, question

    def read(
        self, texts: Sequence[str], tick: Callable[[int, int], None] = _silent
    ) -> tuple[list[list[F]], LlmReport]:
        """What is said of each text, in order; empty where nothing is known."""
        report = LlmReport()
        found: list[list[F]] = [[] for _ in texts]
        missing: list[int] = []
        for i, text in enumerate(texts):
            path = self._path(text)
            if path.is_file():
                found[i] = [self.question.restore(one) for one in read_json(path)]
                report.cached += 1
            elif text.strip():
                missing.append(i)
        failures = 0
        for batch in _batches(missing, self.config.batch):
            if report.stopped:
                report.left += len(batch)
                continue
            some = [texts[i][: self.question.most_text] for i in batch]
            if report.tokens + self._guess(some) > self.config.max_tokens:
                report.stopped = f"the budget of {self.config.max_tokens:,} tokens"
                report.left += len(batch)
                continue
            try:
                facts = self._ask(some, report)
                failures = 0
            except Refused as error:
                report.failed.append(
                    {"text": some[0][:80], self.question.things: str(len(batch)), "reason": str(error)[:300]}
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

    def _ask(self, texts: Sequence[str], report: LlmReport) -> list[list[F]]:
        numbered = "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
        messages = [
            {"role": "system", "content": self.question.prompt},
            {"role": "user", "content": numbered},
        ]
        content, total = self.chat.answer(messages, self.question.answer_tokens * len(texts))
        report.tokens += self._guess(texts) if total is None else total
        facts, refused = self.question.parse(content, len(texts))
        report.refused += refused
        return facts

    def _guess(self, texts: Sequence[str]) -> int:
        """Tokens of a request and its answer, when nobody counted: four letters a token, one where they are Chinese."""
        letters = sum(1 if ord(ch) > 0x2E7F else 0.25 for text in texts for ch in text)
        return int(len(self.question.prompt) / 4 + letters) + self.question.answer_tokens * len(texts)


def _batches(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def listed(content: Any, name: str) -> list[Any]:
    """The list of that name in an answer that is a JSON object.

    Raises:
        Refused: when it is none.
    """
    try:
        held = json.loads(content)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"the answer is no JSON: {error}") from error
    if not isinstance(held, dict) or not isinstance(held.get(name), list):
        raise Refused(f"the answer is no object with a list `{name}`")
    return list(held[name])
