"""The shop's own aspects, by product category: what people confirmed of what was proposed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wares.core.errors import IncompatibleArtifact
from wares.core.files import read_json, write_json
from wares.models.sentiment.opinion_words import TERMS

FORMAT = 1
EVERYWHERE = ""
"""The category of an aspect that all products have."""


@dataclass(frozen=True)
class Entry:
    """An aspect's terms in one category of products."""

    aspect: str
    terms: tuple[str, ...]
    category: str = EVERYWHERE


class AspectCatalogue:
    """Confirmed aspects. They extend the built-in ones; a confirmed term of a built-in aspect is one more term of it."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = list(entries)

    @classmethod
    def load(cls, path: Path) -> AspectCatalogue:
        """Read a catalogue.

        Raises:
            IncompatibleArtifact: when the file is none.
        """
        try:
            held: Any = read_json(path)
            if held["format"] != FORMAT:
                raise ValueError(f"format {held['format']}")
            return cls(
                Entry(str(e["aspect"]), tuple(map(str, e["terms"])), str(e["category"]))
                for e in held["aspects"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IncompatibleArtifact(
                f"{path} is no catalogue of aspects: {error}",
                mend="Make it with `wares label confirm-aspects`",
                path=str(path),
            ) from error

    def save(self, path: Path) -> None:
        """Write the catalogue as JSON."""
        write_json(path, {"format": FORMAT, "aspects": [asdict(entry) for entry in self.entries]})

    def terms(self, category: str = EVERYWHERE) -> dict[str, tuple[str, ...]]:
        """Terms of each aspect of a category of products, with those that all products have."""
        out: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.category in (EVERYWHERE, category):
                mine = out.setdefault(entry.aspect, [])
                mine.extend(term for term in entry.terms if term not in mine)
        return {aspect: tuple(terms) for aspect, terms in out.items()}

    def add(self, aspect: str, terms: Sequence[str], category: str = EVERYWHERE) -> int:
        """Put confirmed terms in; returns how many are new."""
        known = set(self.terms(category).get(aspect, ())) | set(TERMS.get(aspect, ()))
        new = tuple(dict.fromkeys(term for term in terms if term not in known))
        if not new:
            return 0
        for i, entry in enumerate(self.entries):
            if (entry.aspect, entry.category) == (aspect, category):
                self.entries[i] = Entry(aspect, (*entry.terms, *new), category)
                break
        else:
            self.entries.append(Entry(aspect, new, category))
        return len(new)
