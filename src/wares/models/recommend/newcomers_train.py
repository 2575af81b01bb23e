"""Weights for shoppers of whom little is known.

What was tuned on regulars trusts the history; one deed is no history. So first visits are played: some products that a
validation shopper took up are told, as if by a newcomer, the rest is wanted, and the signals are weighed anew for each
number of deeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wares.features.interactions import Interactions
from wares.models.recommend.history import History
from wares.models.recommend.infer import SIGNALS, THIN, Recommender
from wares.models.recommend.table import Table, named
from wares.models.recommend.train import Params

FEWEST = 50
MOST = 400
"""Shoppers asked for each number of deeds: more would cost the build time and change the weights little."""


def choose_thin(
    model: Recommender, data: Interactions, truth: Sequence[NDArray[np.int32]], decay: float, params: Params, seed: int
) -> None:  # fmt: skip
    """Weights after each of `THIN` numbers of deeds, into `params.blend_thin`, where `FEWEST` shoppers can tell; `truth`
    are the products that each took up."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(t) for t in truth]
    start = np.array([params.blend_new[name] for name in SIGNALS], np.float32)
    for deeds in THIN:
        some = [t for t in shuffled if len(t) > deeds][:MOST]
        if len(some) < FEWEST:
            continue
        histories = (History.of_visit(t[:deeds], decay, data.as_of, data.decayed.shape[1]) for t in some)
        table = Table(model, histories, [t[deeds:] for t in some], repeats=False)
        tries = [table.ascend(first, frozen=(3,)) for first in (start, np.array([0, 0, 1, 0], np.float32))]
        weights, value = max(tries, key=lambda found: found[1])
        params.blend_thin[str(deeds)] = named(weights)
        params.validation[f"after{deeds}_ndcg@10"] = round(value, 5)
