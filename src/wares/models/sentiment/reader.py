"""How a shop reads texts: its classifier, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wares.core.arrays import open_artifact
from wares.models.sentiment.infer import Sentiment, Verdict

KIND = "shop-sentiment"
MODEL = "model"
GIVEN, STARS, NONE = "model", "stars", "none"
"""Where the classifier came from: named in the configuration, learned from the shop's own stars, or there is none."""


class Reader:
    """The classifier that a build made or took; `trained` is False where there is none yet."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.manifest: dict[str, Any] = open_artifact(folder, KIND)
        self.source = str(self.manifest["source"])
        self.trained = self.source != NONE
        self.model = Sentiment(folder / MODEL, threads) if self.trained else None

    def read(self, texts: Sequence[str]) -> list[Verdict]:
        """A verdict for each text, in their order; none at all where the reader is not `trained`."""
        return [] if self.model is None else self.model.read(texts)
