"""The whole of matching: block, compare, judge, join; twice. With labels where there are some, without where there are none."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.data.fusion.blocking import Pairs, neighbours, ordered_pairs, same_key, union
from wares.data.fusion.cluster import average_linkage, confidence
from wares.data.fusion.evidence import Evidence, Features, rivals
from wares.data.fusion.fellegi import fellegi_sunter, levels
from wares.data.fusion.learn import FOLDS, Labels, learned
from wares.data.fusion.offers import Offers, coded
from wares.data.fusion.rounds import Units, units_of
from wares.data.fusion.standing import habits, source_lead, support

NEAR = 25
SURE = 0.5
ABSENT = 0.05
EDGE = 1e-4
ROUNDS = 60
"""Trees of the judge that sees the first answers only."""
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)
RARELY = 0.005
"""A labelled set with fewer matches than this inside one source makes sources exclusive."""


@dataclass(frozen=True)
class Truth:
    """What is known beforehand: the group of each row (-1 unknown), pairs labelled to learn from, pairs that a person decided.

    `pairs` (m, 2) and `same` (m,) teach only; `must` and `cannot` bind.
    """

    group: NDArray[np.int64] | None = None
    pairs: Pairs | None = None
    same: NDArray[np.bool_] | None = None
    must: Sequence[tuple[int, int]] = ()
    cannot: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Settings:
    """How to match. `one_per_source` None: from the labels, else whenever there is more than one source.

    `across` compares rows of different sources only, also where a cluster may hold several rows of one source.
    """

    near: int = NEAR
    one_per_source: bool | None = None
    threshold: float | None = None
    across: bool = False
    second_round: bool = True
    seed: int = 7
    threads: int = 0


class Judge(Protocol):
    """A matcher trained elsewhere: calibrated probabilities for pairs of rows, and the threshold that goes with them."""

    threshold: float

    def __call__(
        self, offers: Offers, pairs: Pairs, progress: Callable[[str], None] = ...
    ) -> NDArray[np.float64]:
        """Probability ``(len(pairs),)`` that the two rows are one thing."""
        ...


@dataclass
class Matching:
    """The answer: `pairs` with `probability` (first round), `cluster` and `confidence` of each row, `doubtful` pairs.

    `cluster` holds the smallest row of each cluster. `doubtful` are row pairs (one for each two units) with the
    probability of the last round, most uncertain first. `learned` says what the model learned; `seconds` by step.
    """

    pairs: Pairs
    probability: NDArray[np.float64]
    cluster: NDArray[np.int64]
    confidence: NDArray[np.float32]
    doubtful: list[tuple[int, int, float]]
    threshold: float
    supervised: bool
    exclusive: bool
    learned: dict[str, Any]
    evidence: Evidence
    features: Features
    names: list[str]
    seconds: dict[str, float] = field(default_factory=dict)

    def why(self, left: int, right: int) -> dict[str, Any]:
        """The evidence of one pair in words that a person can check."""
        a, b = self.evidence.readings[left], self.evidence.readings[right]
        values, names = self.evidence.compare(np.asarray([[left, right]]))
        shown = dict(zip(names, values[0].tolist(), strict=True))
        return {
            "shared": [w for w in a.words if w in set(b.words)],
            "only_left": [w for w in a.words if w not in set(b.words)],
            "only_right": [w for w in b.words if w not in set(a.words)],
            "codes": sorted(a.codes & b.codes),
            "likeness": round(float(shown["gram_cosine"]), 3),
        }


def match_offers(
    offers: Offers,
    truth: Truth | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] = lambda _: None,
    ask: Pairs | None = None,
    prepared: Matching | None = None,
    judge: Judge | None = None,
) -> Matching:
    """Which rows are one thing. `ask` are pairs to judge whether or not blocking proposes them.

    `prepared` is an earlier matching of the same offers; what it read and compared is used again.

    With enough labels in `truth` the judge is learned, cross-fitted by group; else it is the Fellegi–Sunter model by
    expectation maximisation. A trained `judge` takes the place of that model, and with labels its log-odds are one more
    column of evidence. Decided pairs are kept whatever the judge says.
    """
    truth, settings = truth or Truth(), settings or Settings()
    n, seconds, begun = len(offers), {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        seconds[name] = round(seconds.get(name, 0.0) + time.perf_counter() - begun, 2)
        begun = time.perf_counter()
        progress(name)

    source = coded(offers.source) if offers.source is not None else None
    exclusive = source is not None and _one_per_source(source, truth, settings)
    held = [{int(s)} if s >= 0 else set[int]() for s in source] if exclusive and source is not None else None
    if prepared is not None and prepared.exclusive == exclusive and ask is None and truth.pairs is None:
        evidence, pairs = prepared.evidence, prepared.pairs
        features, names = prepared.features, prepared.names
    else:
        evidence = Evidence(offers)
        lap("read")
        pairs = candidates(evidence, settings.near, source if exclusive or settings.across else None)
        pairs = union(pairs, *(p for p in (ask, truth.pairs) if p is not None))
        lap("block")
        features, names = compared(evidence, pairs)
        lap("compare")
    labels = _labels(pairs, truth)
    supervised = labels is not None and labels.enough()
    learned_facts: dict[str, Any] = {}
    told = judge(offers, pairs, progress) if judge is not None else None
    if told is not None:
        learned_facts = {"judge": "trained matcher"}
        lap("matcher")
    if supervised and labels is not None:
        if told is not None:
            clipped = np.clip(told, EDGE, 1 - EDGE)
            features = np.column_stack([features, np.log(clipped / (1 - clipped)).astype(np.float32)])
            names = [*names, "matcher"]
        probability = learned(features, pairs, evidence.words, labels, settings.seed, settings.threads)
        # Once more, knowing the first answers: who the rivals are, and which third rows match both.
        stand = support(pairs, probability, n, source if exclusive else None)
        probability = learned(
            np.column_stack(list(stand.values())),
            pairs,
            None,
            labels,
            settings.seed,
            settings.threads,
            ROUNDS,
        )
    elif told is not None:
        probability = told
    else:
        probability, learned_facts = _unsupervised(features, names, pairs, n, settings)
    probability = _decided(pairs, probability, truth)
    lap("judge")
    sure_from = judge.threshold if judge is not None and not supervised else SURE
    threshold = settings.threshold if settings.threshold is not None else sure_from

    def joined(value: float) -> NDArray[np.int64]:
        return average_linkage(n, pairs, probability, value, ABSENT, held, truth.must, truth.cannot)

    # Without labels nothing tells how far the words of a whole cluster may be trusted: it joined lamps of all colours.
    again = settings.second_round and supervised and len(pairs) > 0
    cluster = joined(max(threshold, SURE) if again else threshold)
    lap("join")
    units: Units | None = None
    judged = probability
    if again:
        units = units_of(evidence, cluster, pairs, probability, held)
        lap("compare")
        unit_truth = _unit_truth(units, truth)
        unit_labels = _labels(units.pairs, unit_truth)
        if supervised and unit_labels is not None and unit_labels.enough():
            judged = learned(
                units.features,
                units.pairs,
                units.evidence.words,
                unit_labels,
                settings.seed,
                settings.threads,
            )
        else:
            judged = units.features[:, units.names.index("between_mean")].astype(np.float64)
        judged = _decided(units.pairs, judged, unit_truth)
        lap("judge")

        def joined(value: float) -> NDArray[np.int64]:
            found = average_linkage(
                len(units.members),
                units.pairs,
                judged,
                value,
                ABSENT,
                units.sources,
                unit_truth.must,
                unit_truth.cannot,
            )
            first = np.fromiter((min(rows) for rows in units.members), np.int64, len(units.members))
            return _smallest(first[found][units.unit])

    if supervised and settings.threshold is None and truth.group is not None:
        known = truth.group >= 0
        tried = {value: pairwise(joined(value)[known], truth.group[known])[2] for value in THRESHOLDS}
        threshold = max(tried, key=lambda value: (tried[value], -abs(value - SURE)))
    cluster = joined(threshold)
    sure = confidence(cluster, pairs, probability, ABSENT)
    doubtful = _doubtful(units, pairs, judged, threshold)
    lap("join")
    return Matching(
        pairs, probability, cluster, sure, doubtful, threshold, supervised, exclusive, learned_facts, evidence, features, names, seconds
    )  # fmt: skip


def candidates(evidence: Evidence, near: int = NEAR, source: NDArray[np.int32] | None = None) -> Pairs:
    """Pairs worth comparing: neighbours by words and by character pieces, same texts, same identifiers."""
    keys = [[r.text for r in evidence.readings], *evidence.offers.identifiers.values()]
    pairs = union(
        neighbours(evidence.word_unit, near, side=source),
        neighbours(evidence.gram_unit, near, side=source),
        *(same_key([str(key or "") for key in column]) for column in keys),
    )
    return (
        pairs
        if source is None
        else pairs[(source[pairs[:, 0]] != source[pairs[:, 1]]) | (source[pairs[:, 0]] < 0)]
    )


def compared(evidence: Evidence, pairs: Pairs) -> tuple[Features, list[str]]:
    """The evidence of pairs, with how each stands among its rivals."""
    features, names = evidence.compare(pairs)
    extra: dict[str, NDArray[np.float32]] = {}
    for name in ("word_cosine", "gram_cosine"):
        found = rivals(pairs, features[:, names.index(name)], len(evidence.offers))
        extra |= {f"{name.split('_')[0]}_{key}": values for key, values in found.items()}
    if evidence.offers.source is not None:
        source = coded(evidence.offers.source)
        for name in ("word_cosine", "gram_cosine", "word_inside"):
            found = source_lead(pairs, features[:, names.index(name)], source)
            extra |= {f"{name}_{key}": values for key, values in found.items()}
        codes = np.fromiter((bool(code) for code in evidence.main_code), bool, len(evidence.main_code))
        extra |= habits(pairs, source, evidence.idf_sum, codes)
    return np.column_stack([features, *extra.values()]), [*names, *extra]


def pairwise(found: NDArray[np.int64], truth: NDArray[np.int64]) -> tuple[float, float, float]:
    """Precision, recall and F1 over the pairs of rows that share a cluster, in the answer and in the truth."""

    def count(*columns: NDArray[np.int64]) -> int:
        sizes = np.unique(np.column_stack(columns), axis=0, return_counts=True)[1].astype(np.int64)
        return int((sizes * (sizes - 1) // 2).sum())

    if not len(found):
        return 0.0, 0.0, 0.0
    right, said, there = count(found, truth), count(found), count(truth)
    return right / max(said, 1), right / max(there, 1), 2 * right / max(said + there, 1)


def fold_of(group: Any) -> int:
    """The fold of a group, from its name alone."""
    return zlib.crc32(f"fold:{group}".encode()) % FOLDS


def _one_per_source(source: NDArray[np.int32], truth: Truth, settings: Settings) -> bool:
    if settings.one_per_source is not None:
        return settings.one_per_source
    if truth.group is not None and (truth.group >= 0).sum() > 200:
        known = (truth.group >= 0) & (source >= 0)
        within, _, _ = pairwise(truth.group[known], source[known].astype(np.int64))
        return within < RARELY
    return len(np.unique(source[source >= 0])) > 1


def _labels(pairs: Pairs, truth: Truth) -> Labels | None:
    if truth.group is None:
        return _pair_labels(pairs, truth)
    left, right = truth.group[pairs[:, 0]], truth.group[pairs[:, 1]]
    names, at = np.unique(truth.group, return_inverse=True)
    folds = np.fromiter((fold_of(int(name)) if name >= 0 else -1 for name in names), np.int8, len(names))
    fold = folds[at]
    return Labels(
        (left >= 0) & (right >= 0), (left == right) & (left >= 0), np.column_stack([fold[pairs[:, 0]], fold[pairs[:, 1]]])
    )  # fmt: skip


def _pair_labels(pairs: Pairs, truth: Truth) -> Labels | None:
    if truth.pairs is None or truth.same is None or not len(truth.pairs) or not len(pairs):
        return None
    n = int(max(pairs.max(), truth.pairs.max())) + 1
    low, high = truth.pairs.min(axis=1), truth.pairs.max(axis=1)
    told = dict(zip((low * n + high).tolist(), truth.same.tolist(), strict=True))
    known, same = np.zeros(len(pairs), bool), np.zeros(len(pairs), bool)
    fold = np.full((len(pairs), 2), -1, np.int8)
    for at, key in enumerate((pairs[:, 0] * n + pairs[:, 1]).tolist()):
        if key in told:
            known[at], same[at] = True, told[key]
            fold[at] = fold_of(key // n)
    return Labels(known, same, fold)


def _unit_truth(units: Units, truth: Truth) -> Truth:
    group = None
    if truth.group is not None:
        group = np.full(len(units.members), -1, np.int64)
        for at, rows in enumerate(units.members):
            values, counts = np.unique(truth.group[rows], return_counts=True)
            # A unit that mixes folds, or known and unknown rows, has no honest label.
            if len({fold_of(int(v)) if v >= 0 else -1 for v in values}) == 1 and values[0] >= 0:
                group[at] = values[counts.argmax()]
    unit = units.unit

    def carried(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(int(unit[a]), int(unit[b])) for a, b in pairs if unit[a] != unit[b]]

    pairs = same = None
    if truth.pairs is not None and truth.same is not None:
        pairs = unit[truth.pairs]
        apart = pairs[:, 0] != pairs[:, 1]
        pairs, same = pairs[apart], truth.same[apart]
    return Truth(group, pairs, same, carried(truth.must), carried(truth.cannot))


def _unsupervised(
    features: Features, names: list[str], pairs: Pairs, n: int, settings: Settings
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    found, counts = levels(features, names, n)
    return fellegi_sunter(pairs, found, counts, n, settings.threads, seed=settings.seed)


def _decided(pairs: Pairs, probability: NDArray[np.float64], truth: Truth) -> NDArray[np.float64]:
    if not len(pairs) or not (truth.must or truth.cannot):
        return probability
    out = probability.copy()
    n = int(pairs.max()) + 1
    key = pairs[:, 0] * n + pairs[:, 1]
    for decided, value in ((truth.must, 1.0), (truth.cannot, 0.0)):
        chosen = ordered_pairs(np.asarray(list(decided), np.int64).reshape(-1, 2))
        chosen = chosen[(chosen < n).all(axis=1)]
        out[np.isin(key, chosen[:, 0] * n + chosen[:, 1])] = value
    return out


def _smallest(cluster: NDArray[np.int64]) -> NDArray[np.int64]:
    names, at = np.unique(cluster, return_inverse=True)
    first = np.full(len(names), len(cluster), np.int64)
    np.minimum.at(first, at, np.arange(len(cluster)))
    return first[at]


def _doubtful(
    units: Units | None, pairs: Pairs, judged: NDArray[np.float64], threshold: float, width: float = 0.3
) -> list[tuple[int, int, float]]:
    between = pairs if units is None else units.pairs
    off = np.abs(judged - threshold)
    chosen = np.flatnonzero((off < width) & (judged < 1) & (judged > 0))
    chosen = chosen[np.argsort(off[chosen], kind="stable")]
    out: list[tuple[int, int, float]] = []
    for at in chosen.tolist():
        a, b = between[at].tolist()
        if units is not None:
            a, b = min(units.members[a]), min(units.members[b])
        out.append((min(a, b), max(a, b), float(judged[at])))
    return out
