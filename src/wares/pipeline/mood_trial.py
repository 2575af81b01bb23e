"""``wares evaluate moods`` on a workspace: NDCG@10 of its last days with moods and without, by the same shoppers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core import columns as c
from wares.core.arrays import open_artifact
from wares.core.errors import NotFitted
from wares.core.machine import peak_rss
from wares.evaluate.metrics import bootstrap
from wares.models.recommend import train as recommend
from wares.models.recommend.infer import Recommender
from wares.models.recommend.train import history_of
from wares.models.search.tuned import KIND as SEARCH_TUNED
from wares.models.sentiment.readings import Readings
from wares.pipeline.last import context_of
from wares.pipeline.mood_side import READINGS, mood_side
from wares.pipeline.steps import alike_of, catalog_of, event_log, graph_of, split_times, tuned_params

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

K = 10
MOST = 2000


def evaluate_shop(
    shop: Workspace, command: str, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """What moods add to the recommendations of the last days: fitted before them with moods and without, ranked for the same
    shoppers, the gain paired by shopper with its 95 % interval (bootstrap). Also what validation said of them in the ranker
    and in search.

    Raises:
        NotFitted: when nothing is built, or there are no events over time.
    """
    begun = time.perf_counter()
    context = context_of(shop)
    done = context.done
    if READINGS not in done:
        raise NotFitted("the last build knows nothing of moods", mend="Run `wares build`")
    log = event_log(context)
    times = split_times(log, shop.config.evaluate.test_days) if log is not None else None
    if log is None or times is None:
        raise NotFitted("there are no events over time to evaluate on", mend="Load some with `wares ingest PATH --as events`")  # fmt: skip
    readings = Readings.load(done[READINGS])
    params = tuned_params(context)
    report: dict[str, Any] = {
        "command": command, "shop": shop.config.shop.name, "texts": len(readings), "about_products": int(((readings.product >= 0) & readings.counted).sum()),
        "trained": readings.trained, "ranker": params.learned.get("mood", {"kept": False, "why": "nothing was learned"}),
        "search": open_artifact(done["search_tuned"], SEARCH_TUNED)["tuned"].get("mood", {}),
    }  # fmt: skip
    _, start, end = times
    progress("read")
    data, users = log.interactions(start)
    side = mood_side(context, users, start, log)
    if side is None:
        return report | {
            "helps": False, "why": "no text about a product was written before the test: there are no features, and with and without them is the same",
            "seconds": round(time.perf_counter() - begun, 1),
        }  # fmt: skip
    truth, _ = log.window(start, end, users)
    popular = log.popularity(start, shop.config.recommend.popular_days)
    catalog = catalog_of(context)
    graph, alike = graph_of(context, params, start), alike_of(context, params, start)
    active = np.array(
        [u for u in range(data.n_users) if len(truth[u]) and len(data.items[data.of(u)])], np.int64
    )
    rng = np.random.default_rng(shop.config.shop.seed)
    if len(active) > MOST:
        active = np.sort(rng.choice(active, MOST, replace=False))
    values: dict[bool, np.ndarray[Any, Any]] = {}
    concerned = np.diff(side.concerns.ptr)[active] > 0
    for use in (False, True):
        progress("with moods" if use else "without moods")
        with tempfile.TemporaryDirectory(dir=context.scratch) as scratch:
            recommend.fit(
                data, popular, catalog.text, catalog.category_of, params, shop.config.recommend, Path(scratch) / "m",
                memory_gb=shop.config.build.memory_gb, seed=shop.config.shop.seed, products=catalog.products, trees=done["tune"], reasons=False,
                graph=graph, alike=alike, mood=side if use else None,
            )  # fmt: skip
            model = Recommender(Path(scratch) / "m")
            found: list[float] = []
            for user in active.tolist():
                history = history_of(data, user, params)
                wanted = truth[user] if model.repeats else np.setdiff1d(truth[user], history.items)
                found.append(_ndcg(model.rank(history, K).items, wanted))
            values[use] = np.array(found)
    told = np.isfinite(values[True]) & np.isfinite(values[False])
    gain = (values[True] - values[False])[told]
    low, high = bootstrap(gain, 2000, shop.config.shop.seed) if len(gain) else (0.0, 0.0)
    return report | {
        "split": f"the last {(end - start) / 86_400:.0f} days", "shoppers": int(told.sum()), "who_care": int(concerned[told].sum()),
        "ndcg@10 without": round(float(values[False][told].mean()), 5) if len(gain) else None,
        "ndcg@10 with": round(float(values[True][told].mean()), 5) if len(gain) else None,
        "gain": round(float(gain.mean()), 5) if len(gain) else None, "interval": [round(low, 5), round(high, 5)], "helps": bool(low > 0),
        "versions": {t: context.versions.get(t) for t in (c.PRODUCTS, c.EVENTS, c.REVIEWS)},
        "seconds": round(time.perf_counter() - begun, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip


def _ndcg(found: Any, wanted: Any) -> float:
    """NDCG@10 of a list; NaN for a shopper who wanted nothing."""
    if not len(wanted):
        return float("nan")
    discount = 1 / np.log2(np.arange(2, K + 2))
    hits = np.isin(found[:K], wanted)
    return float((hits * discount[: len(hits)]).sum() / discount[: min(len(wanted), K)].sum())
