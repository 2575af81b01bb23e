"""The build steps that learn from searches: judgements out of clicks, and the order of search by LambdaMART behind a gate.

Time parts the log: rates of behaviour come from before what is graded, and what judges the trees comes after both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.errors import ModelError
from wares.core.search_rules import normal_query
from wares.core.strings import StringTable
from wares.features.catalogue import Catalogue
from wares.features.interactions import KIND as INTERACTIONS
from wares.features.interactions import Interactions
from wares.features.trees_build import save_trees
from wares.models.search.asked import Asked
from wares.models.search.asked_log import write_asked
from wares.models.search.candidates import Candidates
from wares.models.search.found import Found
from wares.models.search.infer import Searcher
from wares.models.search.judge import (
    FEWEST_SHOWN,
    Judgements,
    Rates,
    choose_model,
    common_texts,
    examined_of,
    judge,
)
from wares.models.search.order_infer import KIND as ORDER
from wares.models.search.order_infer import PERSONAL, Features, impersonal
from wares.models.search.order_train import FEWEST, Gate, Lists, gate, grow
from wares.models.search.read_infer import Reader
from wares.models.search.tuned import Shares
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.satisfaction import product_moods
from wares.models.similar.around import Surroundings
from wares.models.similar.infer import Similar
from wares.pipeline.graphing import event_log
from wares.pipeline.plan import Context, Tick
from wares.pipeline.reading import READINGS
from wares.pipeline.search_log import Search, searches, sessions_of, windows
from wares.pipeline.search_reading import SEARCH_READER
from wares.pipeline.searching import query_encoder

JUDGEMENTS = "search_judgements"
SHARES = (0.5, 0.25, 0.25)
"""Of the searches by time: for rates alone, to learn from, to judge by."""
MOST = 600
"""Texts of a part that are asked, those searched most often."""
ASKED = 1000
"""Texts that are told to people who look after search."""
DEEP = 100
"""Candidates of a text that are learned from, best first."""
DAY = 86_400
POPULAR_DAYS = 28.0
TAIL = 0.2
FACTS = ("log_taken", "days_known", "mood", "texts_said")
ORDER_MODULES = (
    "wares.models.search.judge", "wares.models.search.clicks", "wares.models.search.order_train", "wares.models.search.order_infer",
    "wares.models.search.spread", "wares.models.search.asked_log", "wares.models.search.infer", "wares.models.search.fuse", "wares.models.search.read_infer", "wares.models.similar.around", "wares.features.trees", "wares.features.trees_build",
    "wares.models.sentiment.satisfaction", "wares.models.search.tuned", "wares.features.retrieval", "wares.pipeline.search_log",
    "wares.pipeline.ordering",
)  # fmt: skip
JUDGE_MODULES = ("wares.models.search.judge", "wares.models.search.clicks", "wares.pipeline.search_log", "wares.pipeline.ordering")  # fmt: skip


def build_judgements(context: Context, folder: Path, tick: Tick) -> Any:
    """Judgements of all texts that enough visitors typed, from the whole log; empty where there are no searches."""
    catalogue = open_catalogue(context)
    found = searches(context, catalogue)
    texts = common_texts(found)
    number = {text: i for i, text in enumerate(texts)}
    sessions = sessions_of(found, lambda text: number.get(text, -1))
    model, told = choose_model(sessions, context.config.shop.seed)
    judged = judge(found, sessions, texts, model, told)
    graded = sorted(judged.grades)
    sizes = [len(judged.grades[text]) for text in graded]
    StringTable.of(graded).save(folder, "texts")
    pairs = [pair for text in graded for pair in judged.grades[text].items()]
    save_arrays(
        folder, ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), rows=np.array([p for p, _ in pairs], np.int32),
        grades=np.array([g for _, g in pairs], np.float32), examined=judged.examined.astype(np.float32),
    )  # fmt: skip
    return seal(folder, JUDGEMENTS, facts=judged.facts)


def read_judgements(folder: Path) -> Judgements:
    """The judgements of a build: rows are those of its catalogue."""
    facts = open_artifact(folder, JUDGEMENTS)["facts"]
    ptr, rows, grades = (load_array(folder, name) for name in ("ptr", "rows", "grades"))
    found = {
        text: dict(zip(rows[ptr[i] : ptr[i + 1]].tolist(), grades[ptr[i] : ptr[i + 1]].tolist(), strict=True))
        for i, text in enumerate(StringTable.load(folder, "texts"))
    }
    return Judgements(found, dict(facts), np.asarray(load_array(folder, "examined"), np.float64))


def open_catalogue(context: Context) -> Catalogue:
    """The catalogue of a build."""
    return Catalogue(context.done["catalogue"])


class Retrieval:
    """Candidates of texts, as the search of this build finds them for a stranger: read, with the fusion and likeness that were tuned."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        done = context.done
        tuned = Shares.read(done["search_tuned"])
        self.searcher = Searcher(
            done["search"], catalogue, query_encoder(context, 2 * MOST), Surroundings(Similar(done["similar"])), tuned.alike,
            tuned.moods, tuned.mood, read=Reader(done[SEARCH_READER]).read, learned=tuned.learned, order=self._keep,
        )  # fmt: skip
        self._seen: list[tuple[Asked, Candidates]] = []
        self.answer = lru_cache(maxsize=4 * MOST)(self._answer)

    def _keep(self, asked: Asked, candidates: Candidates, _: Any = None) -> NDArray[np.float32]:
        self._seen.append((asked, candidates))
        return impersonal(candidates)

    def of(self, text: str) -> tuple[Asked, Candidates] | None:
        """The query as it was read, with its candidates; None where there are none."""
        return self.answer(text)[1]

    def _answer(self, text: str) -> tuple[Found, tuple[Asked, Candidates] | None]:
        self._seen.clear()
        found = self.searcher.search(text, 1)
        return found, self._seen[-1] if self._seen else None


class Facts:
    """What is known of products at a moment: how many took them up, how long they are known, and their mood."""

    def __init__(self, context: Context, catalogue: Catalogue) -> None:
        self.log, self.n = event_log(context), len(catalogue)
        self.readings = Readings.load(context.done[READINGS])
        self.now = int(open_artifact(context.done["interactions"], INTERACTIONS)["as_of"])
        starts = np.asarray(catalogue.price_ptr)
        has = np.diff(starts) > 0
        self.since = np.full(self.n, np.nan)
        self.since[has] = np.asarray(catalogue.price_at)[starts[:-1][has]]

    def before(self, until: int) -> NDArray[np.float32]:
        """Facts ``(n_items, 4)``, of before `until` (Unix seconds); all there is where it is below 0."""
        at = until if until >= 0 else self.now + 1
        taken = np.zeros(self.n, np.float32) if self.log is None else self.log.popularity(at, POPULAR_DAYS)
        days = np.where(self.since < at, (at - self.since) / DAY, np.nan)
        moods = product_moods(self.readings, self.n, at * 1_000_000 if until >= 0 else None)
        mood = np.where(moods.volume > 0, moods.mood, np.nan)
        return np.column_stack([np.log1p(taken), np.log1p(days), mood, np.log1p(moods.volume)]).astype(
            np.float32
        )


def _lists(
    number: Mapping[str, int], judged: Judgements, retrieval: Retrieval, features: Features
) -> Lists | None:
    """The best candidates of graded texts with their grades, texts named by `number`; None where none of what is graded was found."""
    table, grades, sizes, base, query = [], [], list[int](), [], list[int]()
    for text in [text for text in number if text in judged.grades][:MOST]:
        found = retrieval.of(text)
        if found is None:
            continue
        asked, candidates = found
        wanted = judged.grades[text]
        graded = np.array([wanted.get(int(row), 0.0) for row in candidates.rows[:DEEP]])
        if not graded.any():
            continue
        # Of all candidates and then cut, so that they are what serving sees.
        table.append(features.of(asked, candidates)[:DEEP])
        grades.append(graded)
        base.append(impersonal(candidates)[:DEEP])
        sizes.append(len(graded))
        query.append(number[text])
    if not sizes:
        return None
    return Lists(
        np.vstack(table), np.concatenate(grades), np.array(sizes, np.int64), np.concatenate(base), np.array(query, np.int64),
    )  # fmt: skip


def build_order(context: Context, folder: Path, tick: Tick) -> Any:
    """Learn the order from the searches of the past, and keep it where it puts later searches into a better order."""
    catalogue, config = open_catalogue(context), context.config
    n, seed = len(catalogue), config.shop.seed
    data, _ = Interactions.load(context.done["interactions"])
    save_arrays(folder, tail=_tail(data.item_counts()))
    plain: dict[str, Any] = {"diversity": config.search.diversity, "tail_share": config.search.tail_share}
    found = searches(context, catalogue)
    past, taught, later = windows(found, SHARES)
    texts = common_texts(found)
    if not taught or not later:
        write_asked(folder, [], [])
        return _sealed(folder, Gate(False, "no searches"), plain)
    tick(1, 10)
    number = {text: i for i, text in enumerate(texts)}
    model, told = choose_model(sessions_of([*past, *taught], lambda text: number.get(text, -1)), seed)
    retrieval, facts = Retrieval(context, catalogue), Facts(context, catalogue)
    write_asked(folder, *_asked(found, texts[:ASKED], retrieval))
    tick(2, 10)
    names = _part_names(retrieval, texts)

    def features(seen: Sequence[Search], until: int) -> Features:
        sessions = sessions_of(seen, lambda text: number.get(text, -1))
        rates = Rates.of(seen, sessions, texts, examined_of(sessions), n)
        return Features(catalogue, names, facts.before(until), FACTS, rates)

    def lists(part: Sequence[Search], known: Features) -> Lists | None:
        sessions = sessions_of(part, lambda text: number.get(text, -1))
        return _lists(number, judge(part, sessions, texts, model), retrieval, known)

    learn = lists(taught, features(past, taught[0].at))
    tick(4, 10)
    held = lists(later, features([*past, *taught], later[0].at))
    tick(7, 10)
    facts_of = plain | {
        "model": model, "log_likelihood": {name: round(value, 4) for name, value in told.items()}, "searches": len(found), "texts": len(texts),
        "debiased": model != "counts", "fewest_lists_shown": FEWEST_SHOWN,
    }  # fmt: skip
    if learn is None or held is None or len(learn) < FEWEST:
        few = 0 if learn is None else len(learn)
        return _sealed(
            folder, Gate(False, f"only {few} searched texts to learn from; {FEWEST} are needed"), facts_of
        )
    first = grow(learn, seed, config.build.threads or 1)
    verdict = gate(held, first.predict(held.features), seed)
    facts_of["unseen"] = _unseen(held, learn, first, seed)
    if not verdict.kept:
        return _sealed(folder, verdict, facts_of)
    whole = Lists.joined([learn, held])
    trees = grow(whole, seed, config.build.threads or 1)
    known = features(found, -1)
    save_trees(trees, len(known.names), folder / "order.onnx", whole.features[:2000])
    save_arrays(folder, facts=known.facts)
    known.rates.save(folder)
    gains = np.asarray(trees.feature_importance("gain"), np.float64)
    share = gains / max(float(gains.sum()), 1e-9)
    best = sorted(zip(known.names, share.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))[:12]
    return _sealed(
        folder, verdict, facts_of | {"parts": list(names), "fact_names": list(FACTS), "gains": {name: round(value, 4) for name, value in best}}
    )  # fmt: skip


def _asked(
    found: Sequence[Search], texts: Sequence[str], retrieval: Retrieval
) -> tuple[list[str], list[list[int]]]:
    """The texts with what became of them: searches, those with a click, those whose recorded list was empty, and how many products
    this build finds, 0 where only some of the words led there."""
    number = {text: i for i, text in enumerate(texts)}
    counts = [[0, 0, 0, 0] for _ in texts]
    for one in found:
        if (at := number.get(one.text, -1)) >= 0:
            counts[at][0] += 1
            counts[at][1] += bool(one.clicked)
            counts[at][2] += one.nothing
    for text, row in zip(texts, counts, strict=True):
        answer, _ = retrieval.answer(text)
        row[3] = 0 if answer.relaxed else min(int(answer.total), 2**31 - 1)
    return list(texts), counts


def _part_names(retrieval: Retrieval, texts: Sequence[str]) -> tuple[str, ...]:
    """The parts that retrieval says of candidates, whoever asks."""
    for text in texts:
        if (found := retrieval.of(text)) is not None:
            return tuple(sorted({*found[1].parts, "score"} - {PERSONAL}))
    return ("score",)


def _unseen(held: Lists, learn: Lists, trees: Any, seed: int) -> dict[str, Any]:
    """The gate on texts that the trees did not learn from: numbers only, nothing hangs on it."""
    fresh = ~np.isin(held.query, learn.query)
    part = held.take(fresh)
    if not len(part):
        return {}
    return gate(part, trees.predict(part.features), seed).facts()


def _tail(deeds: NDArray[Any]) -> NDArray[np.bool_]:
    """The products that make the last fifth of the deeds, and those without any ``(n_items,)``."""
    counts = np.asarray(deeds, np.float64)
    if not counts.any():
        return np.zeros(len(counts), bool)
    order = np.lexsort((np.arange(len(counts)), -counts))
    before = np.concatenate([[0.0], np.cumsum(counts[order])[:-1] / counts.sum()])
    tail = np.zeros(len(counts), bool)
    tail[order[before >= 1 - TAIL]] = True
    return tail | (counts <= 0)


def _sealed(folder: Path, verdict: Gate, facts: dict[str, Any]) -> Any:
    return seal(folder, ORDER, facts=facts | {"gate": verdict.facts()})


def examples_of(context: Context) -> dict[str, dict[int, float]]:
    """Graded texts of the build's judgements, most graded products first: for tuning.

    Raises:
        ModelError: when the shop has no searches with clicks.
    """
    found = read_judgements(context.done[JUDGEMENTS]).grades
    if not found:
        raise ModelError(
            "there are no judgements",
            mend="Load searches with clicks: `wares ingest PATH --as queries`, then `wares build`",
        )
    return {normal_query(text): by for text, by in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))}  # fmt: skip
