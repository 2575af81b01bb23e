"""``wares evaluate``: the workspace's recommender on its own last weeks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core import columns as c
from wares.core.errors import NotFitted
from wares.core.files import digest, read_json, write_atomic, write_json
from wares.core.machine import peak_rss
from wares.evaluate.page import page, plots
from wares.evaluate.recommend import Split, evaluate_split
from wares.evaluate.report import Report
from wares.pipeline.mood_side import mood_side
from wares.pipeline.plan import Context, code_digest
from wares.pipeline.steps import STEPS, alike_of, catalog_of, event_log, graph_of, split_times, tuned_params

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

MODULES = (
    "wares.evaluate.recommend",
    "wares.evaluate.metrics",
    "wares.evaluate.report",
    "wares.evaluate.baselines",
    "wares.evaluate.page",
    "wares.evaluate.ablate",
)


def evaluate_workspace(
    shop: Workspace, latest: dict[str, Any], progress: Callable[[str], None], parts: bool = True
) -> Report:
    """Evaluate what the last build tuned: fitted on all but the last days, tested on those once.

    With `parts`, also what each part of the learned ranker adds; an evaluation without them is not taken for one with.
    """
    from wares.pipeline import plan

    plan.STEP_KINDS.update({step.name: step.kind for step in STEPS})
    begun = time.perf_counter()
    config = shop.config
    context = Context(
        shop.root,
        config,
        shop.store,
        latest["versions"],
        {n: shop.root / p for n, p in latest["done"].items()},
    )
    inputs = {
        name: context.manifest(name)["hash"]
        for name in ("catalogue", "text_neighbours", "interactions", "tune")
    }
    asked = [inputs, config.evaluate.model_dump(), config.shop.seed, code_digest(MODULES)]
    names = [digest([*asked, whole]) for whole in (True, False)]
    home = shop.root / "evaluations"
    for known in names[:1] if parts else names:
        if (home / f"{known}.json").is_file():
            write_json(home / "latest.json", read_json(home / f"{known}.json"))
            return Report.from_json(read_json(home / f"{known}.json"))
    name = names[0 if parts else 1]
    log = event_log(context)
    times = split_times(log, config.evaluate.test_days) if log is not None else None
    if log is None or times is None:
        raise NotFitted(
            "there are no events over time to evaluate on",
            mend="Load some with `wares ingest PATH --as events`",
        )
    _, start, end = times
    progress("read")
    data, users = log.interactions(start)
    truth, newcomers = log.window(start, end, users)
    days = (end - start) / 86400
    split = Split(
        data,
        truth,
        log.popularity(start, config.recommend.popular_days),
        f"the last {days:.0f} days",
        log.first_baskets(start, end, users),
    )
    facts = {
        "shop": config.shop.name,
        "versions": {t: latest["versions"].get(t) for t in (c.PRODUCTS, c.EVENTS)},
        "newcomers": len(newcomers),
    }
    params = tuned_params(context)
    progress("graph")
    catalog = replace(
        catalog_of(context),
        graph=graph_of(context, params, start),
        alike=alike_of(context, params, start),
        mood=mood_side(context, users, start, log),
    )
    report = Report("wares evaluate", facts, config.shop.seed)
    with tempfile.TemporaryDirectory(dir=context.scratch) as scratch:
        evaluate_split(
            split, catalog, params, config.recommend, config.evaluate, report, Path(scratch) / "model",
            memory_gb=config.build.memory_gb, seed=config.shop.seed, trees=context.done["tune"], parts=parts, threads=config.build.threads, progress=progress,
        )  # fmt: skip
    report.seconds = time.perf_counter() - begun
    report.peak_rss_mb = peak_rss() / 2**20
    progress("page")
    write_atomic(home / f"{name}.html", page(report))
    write_atomic(home / "latest.html", page(report))
    for plot, svg in plots(report).items():
        write_atomic(home / f"{plot}.svg", svg)
    write_json(home / f"{name}.json", report.to_json())
    write_json(home / "latest.json", report.to_json())
    return report
