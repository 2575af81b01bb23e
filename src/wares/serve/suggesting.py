"""Proposals while typing: what the build knows, and at once the products that came after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wares.core.errors import QueryError
from wares.features.catalogue import below
from wares.models.search.analysis import lower
from wares.models.search.suggest import Suggester, Suggestion
from wares.models.search.suggest_phrases import name_of
from wares.models.search.suggest_text import parts, sound_of, typed_form
from wares.serve.online import NewProduct

NEW_PLACES = 2
"""So many new products may push phrases of the build out of a full list."""
_Starts = list[tuple[str, tuple[int, ...], str]]


class Suggesting:
    """Follows a ranker's new products. Thread-safe."""

    def __init__(self, bundle: Path) -> None:
        folder = bundle / "suggest"
        # A bundle of an earlier version has none.
        self.suggester = Suggester(folder) if folder.is_dir() else None
        self._fresh: tuple[int, _Starts] = (-1, [])

    def suggest(
        self,
        text: str,
        k: int,
        affinity: Mapping[int, float],
        category: str,
        new: Mapping[str, NewProduct],
        version: int,
    ) -> list[Suggestion]:
        """At most `k` proposals, best first; `new` products are those of the state's `version`."""
        out = self.suggester.suggest(text, k, affinity, category) if self.suggester is not None else []
        if not new:
            return out
        there = {lower(one.text) for one in out}
        fresh = [one for one in self._new(typed_form(text), category, new, version) if lower(one.text) not in there]  # fmt: skip
        places = max(k - len(out), min(NEW_PLACES, k))
        return [*out[: k - min(places, len(fresh))], *fresh[:places]]

    def _new(
        self, typed: str, category: str, new: Mapping[str, NewProduct], version: int
    ) -> list[Suggestion]:
        """Names of new products that begin, or have a word that begins, as typed or so sounds; newest first."""
        if not typed:
            return []
        if self._fresh[0] != version:
            self._fresh = (version, [_entry(n) for n in list(new.values())[::-1] if n.product.available])
        found: list[Suggestion] = []
        sound = sound_of(typed)
        for text, places, path in self._fresh[1]:
            if category and not below(path, category):
                continue
            low = lower(text)
            at = next((at for at in places if low.startswith(typed, at)), -1)
            if at >= 0:
                found.append(Suggestion(text, "product", path, ((at, at + len(typed)),)))
            elif self.suggester is not None and len(sound) > 1 and sound.isascii():
                spans = [self.suggester.reading.span(text, at, sound) for at in places]
                if span := next((s for s in spans if s[1] > s[0]), None):
                    found.append(Suggestion(text, "product", path, (span,)))
        return found


def _entry(new: NewProduct) -> tuple[str, tuple[int, ...], str]:
    text = name_of("product", new.product.title)
    return text, tuple(at for _, at in parts(lower(text))), new.product.category


def check_text(text: str, most: int = 1000) -> None:
    """Refuse what nobody types.

    Raises:
        QueryError: for a longer text.
    """
    if len(text) > most:
        raise QueryError(
            f"the text has more than {most} characters",
            mend="Send what stands in the search box",
            parameter="q",
        )


def suggestion_json(one: Suggestion) -> dict[str, Any]:
    """A proposal for programs."""
    out: dict[str, Any] = {
        "text": one.text,
        "kind": one.kind,
        "highlight": [list(span) for span in one.highlight],
    }
    if one.category:
        out["category"] = one.category
    if one.corrected:
        out["corrected"] = True
    return out
