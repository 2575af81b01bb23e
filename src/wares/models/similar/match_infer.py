"""Whether two product records are one thing, when it serves: numpy, RapidFuzz and ONNX Runtime; no torch, no pickle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import open_artifact
from wares.core.errors import IncompatibleArtifact, QueryError
from wares.core.files import read_json
from wares.features.pair_evidence import PairReader, Sheet
from wares.features.pair_fields import Record, clean
from wares.features.pair_rivals import Known
from wares.features.pair_words import Reason, reasons
from wares.features.trees import Trees
from wares.models.similar.match_calibration import sigmoid
from wares.models.similar.match_text_infer import TextJudge, compact

KIND = "matcher"
READER, KNOWN, FOREST, TEXT = "reader.json", "known.json", "forest.onnx", "text"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """`probability (m,)` of being one thing, and what it was made of: log-odds of the evidence and of the text."""

    probability: Floats
    evidence: Floats
    text: Floats


class Matcher:
    """A trained matcher: see `wares.models.similar.match_train`."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Open the artefact.

        Raises:
            IncompatibleArtifact: when the folder holds no matcher, or a damaged one.
        """
        self.manifest = open_artifact(folder, KIND)
        try:
            self.reader = PairReader.from_json(read_json(folder / READER))
            known = read_json(folder / KNOWN) if (folder / KNOWN).is_file() else None
            self.known = Known.from_json(self.reader, known) if known is not None else None
        except (KeyError, ValueError, TypeError) as error:
            raise IncompatibleArtifact(
                f"the matcher in {folder} is damaged: {error}", mend="Train it again", path=str(folder)
            ) from error
        self.trees = Trees(folder / FOREST)
        self.threshold = float(self.manifest["threshold"])
        self._weights = np.asarray(self.manifest["weights"], np.float64)
        self._open = float(self.manifest["open_from"])
        self._texts = [TextJudge(path, threads) for path in sorted(folder.glob(f"{TEXT}-*")) if path.is_dir()]

    def read(self, records: Sequence[Record]) -> Sheet:
        """Read records for `judge`; values are cleaned, and fields that the matcher does not know are left out.

        Raises:
            QueryError: when no record has any field that the matcher knows.
        """
        names = self.reader.fields.names
        kept = [{name: clean(record.get(name)) for name in names} for record in records]
        if records and not any(name in record for record in records for name in names):
            raise QueryError(
                f"no record has a field that the matcher knows ({', '.join(names)})",
                mend=f"Give at least {names[0]!r}",
                parameter="fields",
            )
        return self.reader.read(kept)

    def features(self, sheet: Sheet, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """The evidence ``(m, features)`` of pairs (left row, right row) of the sheet."""
        return evidence_of(self.reader, self.known, sheet, pairs)[0]

    def judge(
        self, sheet: Sheet, pairs: NDArray[np.int64], progress: Callable[[str], None] = lambda _: None
    ) -> Judgement:
        """Judge pairs ``(m, 2)`` of rows (left, right) of a sheet; each alone, whatever other pairs are asked for.

        A pair in which either record says nothing at all has nothing to judge by: probability 0.
        """
        if not len(pairs):
            none = np.zeros(0)
            return Judgement(none, none, none)
        evidence = self.trees.scores(self.features(sheet, pairs)).astype(np.float64)
        text = np.zeros(len(pairs))
        rows = np.flatnonzero(evidence >= self._open)
        if self._texts and len(rows):
            texts = self.texts(sheet)
            asked = [(texts[a], texts[b]) for a, b in pairs[rows].tolist()]
            for number, one in enumerate(self._texts, 1):
                progress(f"text {number} of {len(self._texts)}: {len(asked):,} of {len(pairs):,} pairs")
                text[rows] += one.scores(asked) / len(self._texts)
        probability = sigmoid(np.column_stack([evidence, text]) @ self._weights[:-1] + self._weights[-1])
        empty = np.asarray([not reading.words for reading in sheet.whole.readings], bool)
        probability[empty[pairs].any(axis=1)] = 0.0
        return Judgement(probability, evidence, text)

    def texts(self, sheet: Sheet) -> list[str]:
        """The records as the language model reads them."""
        return texts_of(self.reader, sheet.records)

    def why(self, sheet: Sheet, left: int, right: int) -> list[Reason]:
        """The evidence of one pair in words."""
        return reasons(sheet, left, right)


def texts_of(reader: PairReader, records: Sequence[Record]) -> list[str]:
    """Records as short texts for the language model."""
    known = reader.known.get("whole", reader.known["title"])
    return [compact(record, reader.fields, known.counts["word"], known.n) for record in records]


def evidence_of(
    reader: PairReader, known: Known | None, sheet: Sheet, pairs: NDArray[np.int64]
) -> tuple[NDArray[np.float32], list[str]]:
    """The evidence of pairs, with what is known of rivals where that is evidence, and the columns' names."""
    features, names = reader.compare(sheet, pairs)
    if known is None:
        return features, names
    more, more_names = known.compare(sheet, pairs)
    return np.column_stack([features, more]), [*names, *more_names]


def facts_of(judgement: Judgement, at: int) -> dict[str, Any]:
    """One judgement for programs."""
    return {
        "probability": round(float(judgement.probability[at]), 4),
        "evidence_log_odds": round(float(judgement.evidence[at]), 3),
        "text_log_odds": round(float(judgement.text[at]), 3),
    }
