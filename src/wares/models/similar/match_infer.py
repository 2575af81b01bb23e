"""Whether two product records are one thing, when it serves: numpy, RapidFuzz and ONNX Runtime; no torch, no pickle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

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
READER, KNOWN, ALONE, AMONG, TEXT = "reader.json", "known.json", "alone.onnx", "among.onnx", "text"
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
        self.alone = Trees(folder / ALONE)
        self.among = Trees(folder / AMONG) if self.known is not None else None
        self.threshold = float(self.manifest["threshold"])
        self._weights = {
            name: np.asarray(self.manifest["weights"][name], np.float64) for name in ("alone", "among")
        }
        self._open = float(self.manifest["open_from"])
        self._texts = [TextJudge(path, threads) for path in sorted(folder.glob(f"{TEXT}-*")) if path.is_dir()]

    def read(self, records: Sequence[Record]) -> Sheet:
        """Read records for `judge`; values are cleaned, and fields that the matcher does not know are left out.

        Raises:
            QueryError: when no record has any field that the matcher knows.
        """
        names = self.reader.fields.names
        if records and not any(name in record for record in records for name in names):
            raise QueryError(
                f"no record has a field that the matcher knows ({', '.join(names)})",
                mend=f"Give at least {names[0]!r}",
                parameter="fields",
            )
        return self.reader.read(self._kept(records))

    def _kept(self, records: Sequence[Record]) -> list[Record]:
        return [{name: clean(record.get(name)) for name in self.reader.fields.names} for record in records]

    def among_records(self, left: Sequence[Record], right: Sequence[Record]) -> Matcher:
        """This matcher for two whole catalogues: a pair is judged among the rivals that their other records are.

        The same matcher where it was not trained on two catalogues.
        """
        if self.known is None:
            return self
        out = copy(self)
        out.known = self.known.extended(self.reader, self._kept(left), self._kept(right))
        return out

    def judge(
        self, sheet: Sheet, pairs: NDArray[np.int64], progress: Callable[[str], None] = lambda _: None, *, rivals: bool = True
    ) -> Judgement:  # fmt: skip
        """Judge pairs ``(m, 2)`` of rows (left, right) of a sheet; each alone, whatever other pairs are asked for.

        Rivals are looked at where either record is a known one of two catalogues, unless `rivals` is False. A pair in
        which either record says nothing at all has nothing to judge by: probability 0.
        """
        if not len(pairs):
            none = np.zeros(0)
            return Judgement(none, none, none)
        features, _ = self.reader.compare(sheet, pairs)
        evidence = self.alone.scores(features).astype(np.float64)
        among = np.zeros(len(pairs), bool)
        if rivals and self.known is not None and self.among is not None:
            known = np.logical_or(*self.known.knows(sheet))
            among = known[pairs].any(axis=1)
            more, _ = self.known.compare(sheet, pairs[among])
            evidence[among] = self.among.scores(np.column_stack([features[among], more]))
        text = np.zeros(len(pairs))
        rows = np.flatnonzero(evidence >= self._open)
        if self._texts and len(rows):
            texts = self.texts(sheet)
            asked = [(texts[a], texts[b]) for a, b in pairs[rows].tolist()]
            for number, one in enumerate(self._texts, 1):
                progress(f"text {number} of {len(self._texts)}: {len(asked):,} of {len(pairs):,} pairs")
                text[rows] += one.scores(asked) / len(self._texts)
        scores = np.column_stack([evidence, text, np.ones(len(pairs))])
        probability = sigmoid(
            np.where(among, scores @ self._weights["among"], scores @ self._weights["alone"])
        )
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
