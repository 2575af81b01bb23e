"""The learned ranker when it serves: two sets of trees, one for what the shopper had and one for what is new to them.

Each gives a log-odds of being bought, calibrated on validation, so that repeat and explore meet in one list and the
share of each follows. numpy and ONNX Runtime only; the trees are one ``TreeEnsembleRegressor`` each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array
from wares.features.trees import Trees
from wares.models.recommend.history import History
from wares.models.recommend.moments import Items, Shopper, explore_features, repeat_features

HEADS = ("repeat", "explore")
WIDTH = {"repeat": 96, "explore": 128}
"""How many candidates of a shopper are looked at closely; the others follow them in the order of the cheap score."""
FACT_ARRAYS = ("facts", "brand_of")


class Learned:
    """Both heads, and the facts of products that they look at."""

    def __init__(
        self, folder: Path, about: dict[str, Any], category_of: NDArray[Any], text_of: NDArray[Any]
    ) -> None:
        self.about = about
        facts, brand_of = (load_array(folder, name) for name in FACT_ARRAYS)
        self.items = Items.of(facts, category_of, brand_of, text_of)
        self.trees = {
            head: Trees(folder / f"{head}.onnx")
            for head in HEADS
            if about.get(head, {}).get("kind") == "trees"
        }

    def covers(self, own: NDArray[np.int64]) -> bool:
        """Whether there is a head for each kind of candidate: a shop where nothing is bought again has one for new
        products only, and may still be asked for repeats."""
        return "repeat" in self.about or not (own >= 0).any()

    def features(
        self,
        head: str,
        shopper: Shopper,
        ids: NDArray[np.int32],
        own: NDArray[np.int64],
        leads: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Features of some candidates; `own` is the place of each in the history, where the head is ``repeat``."""
        if head == "repeat":
            return repeat_features(shopper, own, leads)
        return explore_features(shopper, ids, leads)

    def log_odds(
        self,
        history: History,
        ids: NDArray[np.int32],
        own: NDArray[np.int64],
        leads: NDArray[np.float32],
        cheap: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Calibrated log-odds ``(n,)`` that each candidate is bought in the coming days.

        `own (n,)` is the place of a candidate in the history or -1, `leads (n, len(LEADS))` its scores from elsewhere,
        `cheap (n,)` a score that is only compared within a head.
        """
        out = np.zeros(len(ids), np.float32)
        shopper = Shopper(history, self.items)
        for head in HEADS:
            mine = np.flatnonzero(own >= 0 if head == "repeat" else own < 0)
            if not len(mine):
                continue
            close = mine[best_places(cheap[mine], WIDTH[head])]
            about = self.about[head]
            if head in self.trees:
                raw = self.trees[head].scores(
                    self.features(head, shopper, ids[close], own[close], leads[close])
                )
            else:
                raw = cheap[close]
            out[close] = np.float32(about["slope"]) * raw + np.float32(about["offset"])
            _follow(out, cheap, close, mine)
        return out


def best_places(cheap: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    """Places of the best `width`, ascending."""
    if len(cheap) <= width:
        return np.arange(len(cheap))
    return np.sort(np.argpartition(-cheap, width)[:width])


def _follow(
    out: NDArray[np.float32], cheap: NDArray[np.float32], close: NDArray[np.int64], mine: NDArray[np.int64]
) -> None:
    """Line up what was not looked at closely behind what was, in the order and on the scale of the cheap score."""
    if len(close) == len(mine):
        return
    waiting = np.zeros(len(out), bool)
    waiting[mine], waiting[close] = True, False
    rest = np.flatnonzero(waiting)
    low, span = float(out[close].min()), float(np.ptp(out[close]))
    edge = float(cheap[close].min())
    step = span / max(float(cheap[close].max()) - edge, 1e-6)
    out[rest] = low - 0.01 + step * (cheap[rest] - edge)
