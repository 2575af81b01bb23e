"""How a shop reads texts: its classifier and its aspects, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wares.core.arrays import open_artifact
from wares.models.sentiment.aspect_catalogue import EVERYWHERE, AspectCatalogue
from wares.models.sentiment.infer import Sentiment, Verdict
from wares.models.sentiment.lexicon import Lexicon
from wares.models.sentiment.opinions import AspectReader

KIND = "shop-sentiment"
MODEL, ASPECTS, TERMS = "model", "aspects", "terms.json"
"""In the artefact: the classifier, the trained reader of aspects, and the confirmed terms; each where there is one."""
GIVEN, STARS, LEXICON = "model", "stars", "lexicon"
"""Where the classifier came from: named in the configuration, learned from the shop's own stars, or a list of words."""


class Reader:
    """What a build made or took. `trained` is False where moods are told by a list of words that nobody measured here."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.source = str(self.manifest["source"])
        self.trained = self.source != LEXICON
        self.model = Sentiment(folder / MODEL, threads) if self.trained else None
        self.words = Lexicon()
        self._aspects = folder / ASPECTS if (folder / ASPECTS).is_dir() else None
        self._terms = (
            AspectCatalogue.load(folder / TERMS) if (folder / TERMS).is_file() else AspectCatalogue()
        )
        self._threads = threads
        self._readers: dict[str, AspectReader] = {}

    def read(self, texts: Sequence[str], groups: Sequence[str] | None = None) -> list[Verdict]:
        """A verdict for each text, in their order; `groups` are categories of products, where thresholds were chosen for them."""
        return self.words.read(texts) if self.model is None else self.model.read(texts, groups)

    def why(self, text: str) -> list[tuple[str, float]]:
        """The words of a text with what each adds to its verdict."""
        return self.words.why(text) if self.model is None else self.model.why(text)

    def aspects(self, category: str = EVERYWHERE) -> AspectReader:
        """What reads opinions about products of a category: the trained model, or the built-in catalogue with confirmed terms."""
        if self._aspects is not None:
            category = EVERYWHERE
        if category not in self._readers:
            more = self._terms.terms(category)
            known = next((r for c, r in self._readers.items() if self._terms.terms(c) == more), None)
            self._readers[category] = known or AspectReader(self._aspects, more=more, threads=self._threads)
        return self._readers[category]
