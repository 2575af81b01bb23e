"""Whom to remove, and how to recognise them: in id columns, raw rows, JSON and free text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wares.core.errors import QueryError
from wares.data.privacy.tags import ID_KINDS, kind_of_name

GONE = "[erased]"
_SHORT_TEXT = 20
_CELLS = re.compile(r"[,;|\t\"'\r\n]")


@dataclass(frozen=True)
class Subject:
    """A person, or several.

    ``ids`` are user and session ids, raw and as pseudonyms: they count in id columns and in raw rows, and in free
    text when they cannot be mistaken for something else. ``also`` (e-mail, telephone, name) counts anywhere.
    ``keys`` are the keys of rows that were removed and ``texts`` what stood in them: they count where copies may be.
    ``given`` are the values that the erasure was asked for, with their pseudonyms.
    ``names`` are the names of id columns in the shop's own exports.
    """

    ids: frozenset[str]
    also: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    @cached_property
    def tokens(self) -> frozenset[str]:
        """What is looked for in free text, as whole words."""
        return self.also | frozenset(v for v in self.ids if distinctive(v)) | self.texts

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The tokens as one expression; letters and digits beside a token make it another word."""
        if not self.tokens:
            return None
        words = "|".join(re.escape(t) for t in sorted(self.tokens, key=lambda t: (-len(t), t)))
        return re.compile(rf"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])", re.IGNORECASE)

    @cached_property
    def coarse(self) -> str:
        """An RE2 expression that finds every cell that `pattern` may find, and some more; empty for no tokens."""
        return "(?i)" + "|".join(sorted(re.escape(t) for t in self.tokens)) if self.tokens else ""

    def mentioned(self, text: str) -> bool:
        """Whether a token stands in the text."""
        return self.pattern is not None and self.pattern.search(text) is not None

    def without(self, text: str) -> str:
        """The text with every token replaced."""
        return text if self.pattern is None else self.pattern.sub(GONE, text)

    def is_id_name(self, name: str) -> bool:
        """Whether a key of a raw row names an id column."""
        return name in self.names or kind_of_name(name) in ID_KINDS

    def owns(self, cells: dict[Any, Any]) -> bool:
        """Whether a raw row or a JSON object is about the person: an id under an id's name, or the key of a removed row."""
        for name, value in cells.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                text = str(value)
                if (text in self.ids or text in self.also) and (
                    self.is_id_name(str(name)) or text in self.also
                ):
                    return True
                if text in self.keys:
                    return True
        return False

    def raw_mentions(self, text: str) -> bool:
        """Whether raw text of unknown shape, as a line that could not be read, has an id for a cell, or a token."""
        if self.mentioned(text):
            return True
        return any(cell.strip() in self.ids for cell in _CELLS.split(text))

    def clean_json(self, value: Any) -> tuple[Any, int]:
        """A JSON value without the person: objects about them leave their list, other mentions are replaced.

        Returns the value (`GONE` itself when all of it was theirs) and how many places changed.
        """
        if isinstance(value, dict):
            if self.owns(value):
                return GONE, 1
            done, count = {}, 0
            for name, inner in value.items():
                if name in self.ids and distinctive(name):
                    count += 1
                    continue
                clean, n = self.clean_json(inner)
                if n and clean == GONE and isinstance(inner, dict | list):
                    count += n
                    continue
                done[self.without(name)] = clean
                count += n + (self.without(name) != name)
            return done, count
        if isinstance(value, list):
            kept, count = [], 0
            for inner in value:
                clean, n = self.clean_json(inner)
                count += n
                if clean != GONE or inner == GONE:
                    kept.append(clean)
            return kept, count
        if isinstance(value, str):
            if value in self.keys or (value in self.ids and distinctive(value)):
                return GONE, 1
            clean = self.without(value)
            return clean, int(clean != value)
        return value, 0

    def clean_text(self, text: str) -> tuple[str | None, int]:
        """A stored document, JSON or plain, without the person; None when all of it was about them."""
        if text[:1] in "{[":
            try:
                value = json.loads(text)
            except ValueError:
                value = None
            if value is not None:
                clean, n = self.clean_json(value)
                if clean == GONE:
                    return None, n
                return (json.dumps(clean, ensure_ascii=False), n) if n else (text, 0)
        if text in self.ids or text in self.keys or text in self.also:
            return None, 1
        clean = self.without(text)
        return clean, int(clean != text)


def distinctive(value: str) -> bool:
    """Whether a value is the person wherever it stands: an address, a long number, or letters with digits; not "900"."""
    if "@" in value and len(value) >= 5:
        return True
    digits = sum(ch.isdigit() for ch in value)
    letters = sum(ch.isalpha() for ch in value)
    return (len(value) >= 4 and digits >= 1 and letters >= 1) or digits >= 8


def telling(text: str | None) -> bool:
    """Whether a removed text is long enough that a copy elsewhere is a copy of it."""
    return text is not None and len(text) >= _SHORT_TEXT


def checked(value: str) -> str:
    """A subject as given on a command line.

    Raises:
        QueryError: when it is blank, or so short that it would match everything.
    """
    value = value.strip()
    if not value or "\x00" in value:
        raise QueryError("the subject is empty", mend="Give a user id", parameter="subject")
    return value


def checked_alias(value: str) -> str:
    """A further value of the subject, which counts in free text, too.

    Raises:
        QueryError: when it is too short to be looked for in free text.
    """
    value = checked(value)
    if len(value) < 4 and value.isascii():
        raise QueryError(
            f"--also {value!r} is too short to look for in every text",
            mend="Give an e-mail address, a telephone number or a full name",
            parameter="also",
        )
    return value
