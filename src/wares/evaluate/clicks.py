"""Click models and learning to rank on session logs: of a file, and of logs in which the truth is planted.

Of a file: what each click model says of held-out sessions; how well an order by each agrees with the other half of the sessions;
and LambdaMART over texts and meaning, learned from most queries and asked about the others, and the reverse. The gold of NDCG are
the SDBN grades of sessions that nothing was learned from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.evaluate.click_features import Corpus, features, names
from wares.evaluate.click_files import FIELDS, ClickFile, read_fields, read_sessions
from wares.evaluate.files import encode_texts
from wares.evaluate.metrics import bootstrap
from wares.models.search.clicks import MODELS, Clicks, Sessions, likelihood, sdbn, weighed
from wares.models.search.order_train import Lists, Shape, grow, ndcg, quality

if TYPE_CHECKING:
    from wares.testing.click_log import ClickLog

RESAMPLES = 2000
SMALL = Shape(rounds=60, leaves=4, rate=0.1, least=10, columns=0.5)
"""Some hundred rows bear small trees alone."""
TEST_QUERIES = 2
MODELS_AVERAGED = 5


def _rank_correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    first, second = np.argsort(np.argsort(one)), np.argsort(np.argsort(other))
    return float(np.corrcoef(first, second)[0, 1])


def _planted(log: ClickLog, seed: int, kind: str) -> dict[str, Any]:
    """How near each model comes to the truth of one log."""
    truth = log.worth if kind == "places" else log.worth * log.satisfies
    held = np.random.default_rng(seed).random(len(log.sessions)) < 0.2
    taught, other = log.sessions.take(~held), log.sessions.take(held)
    out: dict[str, Any] = {"seed": seed, "kind": kind, "models": {}}
    for name, fit in MODELS.items():
        model = fit(taught)
        query, item = model.looks.query, model.looks.item
        within = [
            (
                _rank_correlation(model.value[query == q], truth[q, item[query == q]]),
                ndcg(model.value[query == q], truth[q, item[query == q]]),
            )
            for q in range(len(truth))
            if (query == q).sum() > 2
        ]
        out["models"][name] = {
            "rank_correlation": round(float(np.mean([w[0] for w in within])), 4),
            "ndcg@10": round(float(np.mean([w[1] for w in within])), 4),
            "error": round(float(np.abs(model.value - truth[query, item]).mean()), 4),
            "log_likelihood": round(likelihood(model, other), 4),
        }
        if name == "pbm":
            n = len(model.examined)
            out["examined"] = [round(float(v), 3) for v in model.examined]
            out["examined_error"] = round(float(np.abs(model.examined - log.examined[:n]).mean()), 4)
    told = {n: m["log_likelihood"] for n, m in out["models"].items()}
    out["told_best"] = max(told, key=lambda name: told[name])
    return out


def evaluate_planted(
    logs: Iterable[tuple[int, str, ClickLog]], say: Callable[[str], None] = lambda _: None
) -> list[dict[str, Any]]:
    """Position bias planted and recovered, on logs as (seed, kind, log): see `wares.testing.click_log.make_click_log`."""
    out: list[dict[str, Any]] = []
    for seed, kind, log in logs:
        say(f"planted {kind} {seed}")
        out.append(_planted(log, seed, kind))
    return out


def evaluate_sessions(
    products: Path,
    sessions: Path,
    seeds: Sequence[int],
    cache: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Everything that a file of sessions tells; see the module.

    Raises:
        QueryError: when a column is missing, or there are fewer than four queries.
    """
    began = time.perf_counter()
    say("read sessions")
    found = read_sessions(sessions)
    if len(found.queries) < 2 * TEST_QUERIES:
        raise QueryError(
            f"{sessions.name} has {len(found.queries)} queries; at least {2 * TEST_QUERIES} are needed",
            mend="Bring more queries",
            parameter="sessions",
        )
    say("click models")
    models = _models(found, seeds)
    gold = sdbn(found.sessions).grades()
    say("features")
    lists = _lists(found, products, gold, cache, say)
    say("learn to rank")
    return {
        "queries": len(found.queries), "sessions": len(found.sessions), "lines": len(found.sessions.item), "clicks": int(found.sessions.clicked.sum()),
        "seeds": list(seeds), "models": models, "ranking": _ranking(found.queries, lists, seeds),
        "gold": "SDBN grades of held-out sessions", "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _models(found: ClickFile, seeds: Sequence[int]) -> dict[str, Any]:
    """Fitted on half of the sessions, held against the other half, by seed."""
    likely: dict[str, list[float]] = {name: [] for name in MODELS}
    agree: dict[str, dict[str, list[float]]] = {}
    examined: list[NDArray[np.float64]] = []
    for seed in seeds:
        half = np.random.default_rng(seed).random(len(found.sessions)) < 0.5
        one, other = found.sessions.take(half), found.sessions.take(~half)
        fitted = {name: fit(one) for name, fit in MODELS.items()}
        fitted["weighed"] = weighed(one, fitted["pbm"].examined)
        golds = {"sdbn": sdbn(other).grades(), "pbm": MODELS["pbm"](other).grades()}
        examined.append(fitted["pbm"].examined[:10])
        for name, model in fitted.items():
            if name in likely:
                likely[name].append(likelihood(model, other))
            for gold, grades in golds.items():
                agree.setdefault(name, {}).setdefault(gold, []).append(_agreement(model, grades))
        shown = _first_shown(one)
        for gold, grades in golds.items():
            agree.setdefault("as shown", {}).setdefault(gold, []).append(
                float(np.mean([_ndcg_of(shown[q], grades[q]) for q in grades]))
            )
    return {
        "log_likelihood": {name: _spread(values) for name, values in likely.items()},
        "ndcg@10_against": {
            name: {gold: _spread(values) for gold, values in by.items()} for name, by in agree.items()
        },
        "examined": [round(float(v), 3) for v in np.mean(examined, 0)],
        "examined_spread": [round(float(v), 4) for v in np.std(examined, 0)],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 4), "sd": round(float(np.std(values)), 4)}


def _first_shown(sessions: Sessions) -> dict[int, dict[int, float]]:
    """Minus the mean place of each product, by query: the order in which a shop showed them."""
    out: dict[int, dict[int, list[int]]] = {}
    query, place = sessions.query[sessions.session].tolist(), sessions.place.tolist()
    for q, item, at in zip(query, sessions.item.tolist(), place, strict=True):
        out.setdefault(q, {}).setdefault(item, []).append(at)
    return {q: {i: -float(np.mean(at)) for i, at in by.items()} for q, by in out.items()}


def _ndcg_of(scores: Mapping[int, float], grades: Mapping[int, float]) -> float:
    items = sorted(grades)
    return ndcg(
        np.array([scores.get(item, -1e9) for item in items]), np.array([grades[item] for item in items])
    )


def _agreement(model: Clicks, grades: Mapping[int, Mapping[int, float]]) -> float:
    mine = model.grades()
    return float(np.nanmean([_ndcg_of(mine.get(query, {}), by) for query, by in grades.items()]))


def _lists(
    found: ClickFile,
    products: Path,
    gold: Mapping[int, Mapping[int, float]],
    cache: Path | None,
    say: Callable[[str], None],
) -> list[Lists]:
    """The products that each query's sessions showed, with features of words and meaning; BM25 is the order before."""
    cells, whole = read_fields(products, found.products)
    corpora = {field: Corpus(texts) for field, texts in whole.items()}
    texts = [". ".join(filter(None, (cells[f][i] for f in FIELDS)))[:500] for i in range(len(found.products))]
    vectors = encode_texts([*found.queries, *texts], cache, say)
    n = len(found.queries)
    out: list[Lists] = []
    for query in sorted(gold):
        items = sorted(gold[query])
        rows = features(
            found.queries[query], {f: [cells[f][item] for item in items] for f in FIELDS}, corpora
        )
        meaning = vectors[[n + item for item in items]] @ vectors[query]
        table = np.column_stack([rows, meaning]).astype(np.float32)
        grades = np.array([gold[query][item] for item in items])
        out.append(
            Lists(
                table, grades / max(float(grades.max()), 1e-9), np.array([len(items)]), table[:, 0].copy(), np.array([query]),
            )
        )  # fmt: skip
    return out


def _ranking(queries: Sequence[str], lists: Sequence[Lists], seeds: Sequence[int]) -> dict[str, Any]:
    """NDCG@10 of words, of meaning and of LambdaMART on queries it did not see: learned from all but two, and from two alone."""
    n = len(lists)
    base = np.array([quality(one, one.base)[0] for one in lists])
    meant = np.array([quality(one, one.features[:, -1])[0] for one in lists])
    learned = {"8 to 2": np.full((len(seeds), n), np.nan), "2 to 8": np.full((len(seeds), n), np.nan)}
    for number, seed in enumerate(seeds):
        order = np.random.default_rng(seed).permutation(n)
        folds = [order[at : at + TEST_QUERIES] for at in range(0, n - n % TEST_QUERIES, TEST_QUERIES)]
        back: dict[int, list[float]] = {}
        for fold in folds:
            few = set(fold.tolist())
            rest = [q for q in range(n) if q not in few]
            for query, value in _learn([lists[q] for q in rest], lists, fold.tolist(), seed).items():
                learned["8 to 2"][number, query] = value
            for query, value in _learn([lists[q] for q in fold], lists, rest, seed).items():
                back.setdefault(query, []).append(value)
        for query, values in back.items():
            learned["2 to 8"][number, query] = float(np.mean(values))
    out: dict[str, Any] = {
        "features": [*names(FIELDS), "meaning"],
        "bm25": round(float(base.mean()), 4),
        "meaning": round(float(meant.mean()), 4),
    }
    for name, table in learned.items():
        by_query = np.nanmean(table, 0)
        out[name.replace("8", str(n - TEST_QUERIES))] = {
            "ndcg@10": round(float(by_query.mean()), 4),
            "over_bm25": round(float((by_query - base).mean()), 4),
            "interval": [round(v, 4) for v in bootstrap(by_query - base, RESAMPLES, seeds[0])],
            "seed_sd": round(float(np.nanmean(table, 1).std()), 4),
            "by_query": {
                queries[int(one.query[0])]: {"bm25": round(float(base[i]), 4), "learned": round(float(by_query[i]), 4)}
                for i, one in enumerate(lists)
            },
        }  # fmt: skip
    return out


def _learn(
    taught: Sequence[Lists], lists: Sequence[Lists], asked: Sequence[int], seed: int
) -> dict[int, float]:
    whole = Lists.joined(taught)
    trees = [grow(whole, seed * 100 + i, 1, SMALL) for i in range(MODELS_AVERAGED)]
    return {
        query: float(quality(lists[query], np.mean([t.predict(lists[query].features) for t in trees], 0))[0])
        for query in asked
    }
