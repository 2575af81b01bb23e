"""``wares evaluate cold-users`` and ``wares evaluate again``: a workspace's services on its own last weeks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.errors import NotFitted, QueryError
from wares.core.machine import peak_rss
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.evaluate import again as rebuying
from wares.evaluate import cold_users as cold
from wares.features.interactions_build import DAY, EventLog
from wares.models.recommend import train as recommend
from wares.models.recommend.infer import Recommender
from wares.models.recommend.segments_train import taken
from wares.pipeline.last import context_of
from wares.pipeline.mood_side import mood_side
from wares.pipeline.plan import Context
from wares.pipeline.steps import alike_of, catalog_of, event_log, graph_of, split_times, tuned_params

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

Say = Callable[[str], None]


def _context(shop: Workspace) -> tuple[Context, EventLog, tuple[int, int, int], dict[str, Any]]:
    context = context_of(shop)
    log = event_log(context)
    times = split_times(log, shop.config.evaluate.test_days) if log is not None else None
    if log is None or times is None:
        raise NotFitted(
            "there are no events over time to evaluate on",
            mend="Load some with `wares ingest PATH --as events`",
        )
    facts = {
        "shop": shop.config.shop.name,
        "versions": {t: context.versions.get(t) for t in (c.PRODUCTS, c.EVENTS)},
    }
    return context, log, times, facts


def _report(
    command: str, facts: dict[str, Any], seed: int, metrics: dict[str, float], begun: float
) -> dict[str, Any]:
    return {
        "command": command, **facts, "seed": seed,
        "metrics": {name: round(value, 5) for name, value in metrics.items()},
        "seconds": round(time.perf_counter() - begun, 2), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip


def evaluate_again(shop: Workspace, days: tuple[int, ...], command: str, say: Say) -> dict[str, Any]:
    """How well "buy again" does in the last days: learned before them, measured on them once.

    Raises:
        QueryError: for horizons that are not there.
    """
    begun = time.perf_counter()
    if not days or min(days) < 1 or max(days) > 90:
        raise QueryError("days must be from 1 to 90", mend="Write 7,14", parameter="days")
    context, log, _, facts = _context(shop)
    start, end = rebuying.windows(log.span(), max(days))
    category_of = np.asarray(load_array(context.done["catalogue"], "category_of"))
    say("learn and rank")
    metrics = rebuying.again(log, category_of, start, end, days, shop.config.shop.seed)
    return _report(
        command, {**facts, "split": f"the last {max(days)} days"}, shop.config.shop.seed, metrics, begun
    )


def evaluate_cold_users(shop: Workspace, command: str, say: Say, seeds: int = 1) -> dict[str, Any]:
    """Newcomers after 0, 1, 2, 3 and 5 first deeds and picks; the weight of segments is chosen on the window before."""
    begun = time.perf_counter()
    context, log, (validation, test, end), facts = _context(shop)
    decay, first = shop.config.recommend.session_decay, shop.config.shop.seed
    found: list[dict[str, float]] = []
    tried: dict[str, float] = {}
    chosen = 0.0
    for seed in range(first, first + seeds):
        if seed == first:
            say("validation")
            known, newcomers = _newcomers(context, log, validation, test, seed, say)
            chosen, tried = cold.choose_prior(known, newcomers, decay)
        known, newcomers = _newcomers(context, log, test, end, seed, say)
        found.append(cold.figures(known, newcomers, chosen, decay, progress=say))
    metrics = {name: float(np.mean([f[name] for f in found if name in f])) for name in found[0]}
    if seeds > 1:
        metrics |= {
            f"{name}_sd": float(np.std([f[name] for f in found if name in f], ddof=1)) for name in found[0]
        }
    more = {
        "split": f"the last {(end - test) / DAY:.0f} days", "seeds": seeds, "prior_deeds": chosen,
        "validation_ndcg@10": {k: round(v, 5) for k, v in tried.items()},
    }  # fmt: skip
    return _report(command, {**facts, **more}, first, metrics, begun)


def _newcomers(
    context: Context, log: EventLog, start: int, end: int, seed: int, say: Say
) -> tuple[cold.Known, cold.Newcomers]:
    """A model of the shop before `start` without a share of its shoppers, and what those did in [start, end)."""
    config = context.config
    say("read")
    data, users = log.interactions(start)
    hidden = cold.unseen(users, seed)
    table = StringTable.of(users)
    rows, items = taken(log, start - int(config.recommend.popular_days * DAY), start, table)
    others = (rows < 0) | ~hidden[np.maximum(rows, 0)] if len(hidden) else np.ones(len(rows), bool)
    # A visit without a row is a shopper of their own, as good as any other.
    recent = rows[others], items[others]
    popular = np.bincount(recent[1], minlength=data.n_items).astype(np.float32)
    params = tuned_params(context)
    catalog = replace(
        catalog_of(context),
        graph=graph_of(context, params, start),
        alike=alike_of(context, params, start),
        mood=mood_side(context, users, start, log),
    )
    kept = data.without(hidden)
    say("fit")
    with tempfile.TemporaryDirectory(dir=context.scratch) as scratch:
        recommend.fit(
            kept, popular, catalog.text, catalog.category_of, params, config.recommend, Path(scratch),
            memory_gb=config.build.memory_gb, seed=seed, products=catalog.products, trees=context.done["tune"], graph=catalog.graph,
            alike=catalog.alike, mood=catalog.mood,
        )  # fmt: skip
        model = Recommender(Path(scratch))
        vectors = np.asarray(load_array(context.done["vectors"], "vectors"))
        text_of = np.asarray(load_array(context.done["catalogue"], "text_of"))
        some = vectors[text_of] if len(vectors) else np.zeros((data.n_items, 0), np.float32)
        categories = list(StringTable.load(context.done["catalogue"], c.CATEGORY))
        known = cold.knowledge(model, kept, recent, categories, some)
    names = [users[u] for u in np.flatnonzero(hidden)]
    sequences = _firsts(log, start, end, names)
    earlier = [data.items[data.of(int(u))] for u in np.flatnonzero(hidden)]
    return known, cold.Newcomers(sequences, earlier)


def _firsts(log: EventLog, start: int, end: int, names: list[str]) -> list[NDArray[np.int32]]:
    """Distinct products of each shopper within [start, end), by the first moment."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = [kind for kind, weight in log.config.kinds.items() if weight > 0]
    with Engine(log.memory_gb, scratch=log.scratch) as engine:
        lines = log.moments(engine, kinds, start, end)
        wanted = engine.rows(pa.table({"name": pa.array(names, pa.string())}))
        lines = lines.semi_join(wanted, [lines["user"] == wanted["name"]])
        first = lines.group_by(["user", "item"]).aggregate(at=lines["at"].min())
        table = engine.arrow(first.order_by(["user", "at", "item"]))
    rows = pc.fill_null(pc.index_in(table["item"], value_set=log.item_ids), -1).to_numpy()
    who = pc.index_in(table["user"], value_set=pa.array(names, pa.string())).to_numpy()
    bounds = np.searchsorted(np.sort(who), np.arange(len(names) + 1))
    order = np.argsort(who, kind="stable")
    parts = [rows[order][bounds[i] : bounds[i + 1]] for i in range(len(names))]
    return [part[part >= 0].astype(np.int32) for part in parts]
