"""``wares tune search``: the settings of retrieval that the shop's own judgements like best, proven on texts that did not choose them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import ModelError
from wares.models.search.order_train import FEWEST, interval
from wares.models.search.tuned import ndcg
from wares.pipeline.last import context_of
from wares.pipeline.ordering import Retrieval, examples_of, open_catalogue
from wares.pipeline.workspace import Workspace

MOST = 300
"""Texts in each half."""
DEPTH = 10
SPREAD = {"vector_weight": (0.0, 0.95), "min_cosine": (0.0, 0.6)}
BOOSTS = (0.1, 8.0)


class Trial:
    """Quality of a setting on some texts. `spread` are the settings beside the fields' weights, with their bounds: not the share of
    meaning where the fusion was learned, which then says it."""

    def __init__(self, retrieval: Retrieval, grades: Mapping[str, Mapping[int, float]]) -> None:
        self.searcher, self.grades = retrieval.searcher, grades
        # Neither trees nor rules: it is retrieval that is tuned.
        self.searcher.order = None
        learned = self.searcher.learned is not None
        self.spread = {n: bounds for n, bounds in SPREAD.items() if not (learned and n == "vector_weight")}
        self.first: dict[str, Any] = deepcopy({n: self.searcher.config[n] for n in (*self.spread, "boosts")})

    def _set(self, setting: Mapping[str, Any]) -> None:
        self.searcher.config.update({name: setting[name] for name in self.spread})
        self.searcher.queries.boosts.update(setting["boosts"])

    def quality(self, setting: Mapping[str, Any], texts: list[str]) -> NDArray[np.float64]:
        """NDCG@10 of each text ``(t,)``."""
        self._set(setting)
        try:
            return np.array([ndcg(self.searcher.search(t, DEPTH).rows, self.grades[t]) for t in texts])
        finally:
            self._set(self.first)


def tune_search(
    shop: Workspace, seconds: float, seed: int, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Tune the weights of fields and the share of meaning by TPE (Bergstra et al., NeurIPS 2011) within a budget of time.

    Half of the judged texts choose, the other half proves: ``better`` is whether the 95 % interval of the paired difference in NDCG@10
    lies above zero.

    Raises:
        NotFitted: when nothing is built.
        ModelError: when too few texts are judged.
    """
    import optuna

    context = context_of(shop)
    grades = examples_of(context)
    names = sorted(grades)
    order = np.random.default_rng(seed).permutation(len(names))
    halves = [[names[i] for i in order[at::2]][:MOST] for at in (0, 1)]
    if len(halves[1]) < FEWEST:
        raise ModelError(
            f"only {len(names)} searched texts have judgements; {2 * FEWEST} are needed to choose and to prove",
            mend="Load more searches with clicks: `wares ingest PATH --as queries`, then `wares build`",
        )
    trial = Trial(Retrieval(context, open_catalogue(context)), grades)
    began = time.monotonic()
    first = float(trial.quality(trial.first, halves[0]).mean())
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    start = {name: float(trial.first[name]) for name in trial.spread}
    start |= {f"boost_{name}": float(value) for name, value in trial.first["boosts"].items()}
    study.enqueue_trial({n: float(np.clip(v, *SPREAD.get(n, BOOSTS))) for n, v in start.items()})

    def judged(one: optuna.Trial) -> float:
        setting: dict[str, Any] = {
            name: one.suggest_float(name, *bounds) for name, bounds in trial.spread.items()
        }
        setting["boosts"] = {
            name: one.suggest_float(f"boost_{name}", *BOOSTS, log=True) for name in trial.first["boosts"]
        }
        progress(f"trial {one.number + 1}")
        return float(trial.quality(setting, halves[0]).mean())

    study.optimize(judged, timeout=max(seconds - (time.monotonic() - began), 0.1))
    best = {name: round(float(study.best_params[name]), 3) for name in trial.spread}
    boosts = {name: round(float(study.best_params[f"boost_{name}"]), 3) for name in trial.first["boosts"]}
    progress("prove")
    before = trial.quality(trial.first, halves[1])
    after = trial.quality({**best, "boosts": boosts}, halves[1])
    low, high = interval(after - before, np.arange(len(before)), seed)
    return {
        "setting": {**best, "boosts": boosts}, "trials": len(study.trials), "seed": seed, "texts": [len(half) for half in halves],
        "chosen_ndcg@10": {"before": round(first, 4), "after": round(float(study.best_value), 4)},
        "proven_ndcg@10": {"before": round(float(before.mean()), 4), "after": round(float(after.mean()), 4)},
        "difference": round(float((after - before).mean()), 4), "interval": [round(low, 4), round(high, 4)], "better": low > 0,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def as_toml(setting: Mapping[str, Any]) -> str:
    """A setting as it stands in ``wares.toml``."""
    boosts = ", ".join(f"{name} = {value}" for name, value in setting["boosts"].items())
    return "\n".join(["[search]", *(f"{name} = {setting[name]}" for name in SPREAD if name in setting), f"boosts = {{ {boosts} }}"])  # fmt: skip
