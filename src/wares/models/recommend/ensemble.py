"""Fit and tune parts by name, on sequences and side information.

Names: ``popular``, ``knn``, ``ease``, ``next``, ``ials``, ``sequence``, ``own`` (what the user had, where things are
bought again); the sisters ``ease+``, ``next+`` and ``sequence+`` also learn from side information; ``near:NAME`` asks the vectors of that name,
``shared:NAME`` the features of that name, ``given:NAME`` the item × item likeness of that name; ``carried:NAME`` carries
behaviour over to items that nobody had by vectors or features of that name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.models.recommend import closed_form as cf
from wares.models.recommend.blend import gains
from wares.models.recommend.draft import Draft
from wares.models.recommend.next_item import DECAY, next_item_weights, sparse_next_item, transitions
from wares.models.recommend.parts import (
    Carried,
    Histories,
    LowRank,
    Near,
    Own,
    Part,
    Popular,
    Reached,
    Side,
    Weights,
    query_matrix,
    sequences_of,
    whitened,
)

MAX_DENSE = 20_000
TUNE_USERS = 3000
CARRY_REGULARISATION = 20.0
Params = dict[str, Any]
DEFAULTS: dict[str, Params] = {
    "popular": {"newest": 1.0},
    "knn": {"decay": 0.7, "shrink": 10.0},
    "ease": {"decay": 0.7, "regularisation": 100.0, "side": 10.0},
    "next": {"decay": 0.7, "fade": 0.65, "regularisation": 120.0, "side": 15.0},
    "ials": {"decay": 0.8, "factors": 128, "regularisation": 0.1, "alpha": 5.0},
    "sequence": {"dropout": 0.3, "rate": 3e-3, "epochs": 20, "dim": 64},
    "near": {"decay": 0.7, "power": 0.5},
    "shared": {"decay": 0.7},
    "given": {"decay": 0.7},
    "carried": {"decay": 0.75, "push": 1.0},
    "own": {"decay": 0.9},
}
SPACES: dict[str, dict[str, tuple[float, float, bool]]] = {
    "knn": {"decay": (0.3, 1.0, False), "shrink": (1.0, 100.0, True)},
    "ease": {"decay": (0.3, 1.0, False), "regularisation": (10.0, 1000.0, True), "side": (0.5, 100.0, True)},
    "next": {
        "decay": (0.3, 0.95, False), "fade": (0.3, 0.95, False), "regularisation": (10.0, 500.0, True), "side": (0.5, 100.0, True),
    },
    "sequence": {"dropout": (0.05, 0.6, False), "rate": (5e-4, 8e-3, True)},
    "ials": {"decay": (0.3, 1.0, False), "regularisation": (0.003, 3.0, True), "alpha": (0.5, 40.0, True)},
    "near": {"decay": (0.3, 1.0, False), "power": (0.0, 1.0, False)},
    "shared": {"decay": (0.3, 1.0, False)},
    "given": {"decay": (0.3, 1.0, False)},
    "carried": {"decay": (0.3, 1.0, False), "push": (0.1, 10.0, True)},
    "own": {"decay": (0.5, 1.0, False)},
}  # fmt: skip


def kind_of(name: str) -> str:
    """The kind of a part: its name without ``+`` and without what follows a colon."""
    return name.split(":")[0].rstrip("+")


def names_for(side: Side, n_items: int) -> list[str]:
    """All parts that this side information allows."""
    names = ["popular", "knn", "ease", "next", "ials", "sequence"]
    joint = side.joint()
    if joint.vectors or joint.features:
        names += ["ease+", "next+", "sequence+"] if n_items <= MAX_DENSE else ["sequence+"]
    names += [f"near:{n}" for n in side.vectors] + [f"shared:{n}" for n in side.features]
    return names + [f"given:{n}" for n in side.weights]


def names_for_cold(side: Side, n_items: int) -> list[str]:
    """The parts that can reach items which nobody had, and one of behaviour alone to show that it cannot."""
    names = ["ease", *(n for n in names_for(side, n_items) if n.endswith("+") or ":" in n)]
    return names + [f"carried:{n}" for n in (*side.vectors, *side.features)]


def side_rows(side: Side, columns: NDArray[np.int32] | None = None) -> list[Any]:
    """Side information as item × direction matrices whose rows have mean length one."""
    rows: list[Any] = [whitened(v) for v in side.vectors.values()]
    rows += [unit_features(m) for m in side.features.values()]
    return rows if columns is None else [r[columns] for r in rows]


def unit_features(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Memberships weighted by 1 / sqrt(size of the feature), rows of length one: a rare feature says more."""
    size = np.maximum(np.asarray((matrix != 0).sum(0)).ravel(), 1)
    scaled = sp.csr_matrix(matrix @ sp.diags((1 / np.sqrt(size)).astype(np.float32)))
    length = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1)).ravel())
    return sp.csr_matrix(sp.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ scaled)


class Shared:
    """Items that share features with what the history holds: ``features (n_items, n_features)``, scaled."""

    def __init__(self, features: sp.csr_matrix, decay: float) -> None:
        self.features, self.flipped, self.decay = features, features.T.tocsr(), decay

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """Mean cosine of features with the history."""
        return self.reached(histories).dense(self.features.shape[0])

    def reached(self, histories: Histories) -> Reached:
        """The items that share a feature with the history."""
        query = query_matrix(histories, self.features.shape[0], self.decay)
        return Reached.of(sp.csr_matrix((query @ self.features) @ self.flipped))


def fit_part(
    name: str,
    sequences: Sequence[NDArray[np.int32]],
    n_items: int,
    side: Side | None = None,
    params: Params | None = None,
    *,
    seed: int = 7,
    seconds: float | None = None,
    validate: Callable[[Part], float] | None = None,
    logs: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Part:
    """Fit one part; `params` over the defaults of its kind.

    `seconds` and `validate` (higher is better) matter to ``sequence`` only, which stops by them, and `logs`, a folder
    for its training curves as TensorBoard files.

    Raises:
        QueryError: when there is no such part, the side information does not fit, or a parameter is out of range.
    """
    side, kind = side or Side(), kind_of(name)
    if kind not in DEFAULTS:
        raise QueryError(
            f"there is no part {name!r}", mend=f"Choose of {', '.join(DEFAULTS)}", parameter="parts"
        )
    side.check(n_items)
    p = {**DEFAULTS[kind], **(params or {})}
    if not 0 < p.get("decay", 1.0) <= 1 or p.get("regularisation", 1.0) <= 0:
        raise QueryError(
            f"{name}: decay must lie in (0, 1] and regularisation above 0",
            mend="Mend the parameters",
            parameter=name,
        )
    if kind in ("near", "shared", "given"):
        return _from_side(name, side, p)
    if kind == "carried":
        weights = sparse_next_item(sequences, n_items, DECAY, CARRY_REGULARISATION)
        return Carried(_likeness(name, side, p), weights, p["decay"], p["push"])
    if kind == "popular":
        newest = [s[-max(1, round(len(s) * p["newest"])) :] for s in sequences if len(s)]
        return Popular(np.bincount(np.concatenate([np.zeros(0, np.int64), *newest]), minlength=n_items))
    if kind == "own":
        return Own(n_items, p["decay"])
    if kind == "sequence":
        from wares.models.recommend.sequence_train import SequenceConfig, fit_sequence

        config = SequenceConfig(**{k: v for k, v in p.items() if k in SequenceConfig.__dataclass_fields__})
        known = side.joint() if name.endswith("+") else Side()
        return fit_sequence(
            sequences,
            n_items,
            known,
            config,
            seed=seed,
            seconds=seconds,
            validate=validate,
            logs=logs,
            progress=progress,
        )
    if kind == "ials":
        from wares.models.recommend.ials import fit_ials

        chosen = {k: p[k] for k in ("factors", "regularisation", "alpha", "decay")}
        return fit_ials(sequences, n_items, seed=seed, **chosen)
    rows = [(r, float(p["side"])) for r in side_rows(side.joint())] if name.endswith("+") else []
    if kind == "next":
        if n_items > MAX_DENSE:
            return Weights(sparse_next_item(sequences, n_items, p["decay"], p["regularisation"]), p["fade"])
        within, following = transitions(sequences, n_items, p["decay"])
        return Weights(next_item_weights(within, following, p["regularisation"], rows), p["fade"])
    matrix = query_matrix(sequences, n_items, 1.0, longest=10**6)
    if kind == "knn":
        return Weights(cf.ItemKnn(matrix, p["shrink"], 200)._pruned, p["decay"])
    if n_items > MAX_DENSE:
        return LowRank(cf.LowRankEase(cf.Factors(matrix, 256, seed), p["regularisation"]), p["decay"])
    return Weights(cf.Ease(matrix, p["regularisation"], rows).weights, p["decay"])


def _from_side(name: str, side: Side, p: Params) -> Part:
    kind, _, key = name.partition(":")
    held: Any = {"near": side.vectors, "shared": side.features, "given": side.weights}[kind]
    if key not in held:
        raise QueryError(
            f"no side information {key!r} for {name!r}", mend="Give it, or leave the part out", parameter=name
        )
    if kind == "near":
        return Near(held[key], p["decay"], p["power"])
    return (
        Shared(unit_features(held[key]), p["decay"]) if kind == "shared" else Weights(held[key], p["decay"])
    )


def _likeness(name: str, side: Side, p: Params) -> Any:
    key = name.partition(":")[2]
    if key in side.vectors:
        return whitened(side.vectors[key], 0.0)
    if key in side.features:
        return unit_features(side.features[key])
    raise QueryError(
        f"no side information {key!r} for {name!r}", mend="Give it, or leave the part out", parameter=name
    )


def judge(
    part: Part, histories: Histories, truth: Sequence[NDArray[np.int32]], n_items: int, k: int = 10
) -> float:
    """Mean NDCG@k of a part alone, what a history holds left out."""
    draft = Draft.of(part, histories, n_items, c=k)
    values = [gains(ids, wanted) for ids, wanted in zip(draft.ids, truth, strict=True) if len(wanted)]
    return float(np.mean(values)) if values else 0.0


def tune_part(
    name: str,
    sequences: Sequence[NDArray[np.int32]],
    truth: Sequence[NDArray[np.int32]],
    n_items: int,
    side: Side,
    *,
    seconds: float,
    seed: int = 7,
    begin: Params | None = None,
    trials: int = 20,
    logs: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Params, float]:
    """Parameters with the best validation NDCG@10 of the part alone, and that value.

    `logs` takes the training curves of sequence models, a folder for each trial.

    By Optuna's TPE (Akiba et al., KDD 2019), begun at `begin` or the defaults, for about `seconds`: a trial is begun
    only while the mean trial still fits. Judged on at most 3,000 users. At least one trial is run.
    """
    import optuna

    kind = kind_of(name)
    known = {**DEFAULTS[kind], **(begin or {})}
    space = {k: v for k, v in SPACES.get(kind, {}).items() if k != "side" or name.endswith("+")}
    if kind in ("ease", "next") and begin is not None:
        # The sister with side information inherits what was found without; only the side's weight is new.
        space = {"side": space["side"], "regularisation": space["regularisation"]}
    asked = np.array([i for i, t in enumerate(truth) if len(t)], np.int64)
    rng = np.random.default_rng(seed)
    if len(asked) > TUNE_USERS:
        asked = np.sort(rng.choice(asked, TUNE_USERS, replace=False))
    histories, wanted = [sequences[i] for i in asked], [truth[i] for i in asked]
    if not space or not len(asked):
        return known, 0.0
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)
    )
    study.enqueue_trial({k: known[k] for k in space})
    begun = time.perf_counter()
    for number in range(trials):
        trial = study.ask(
            {
                k: optuna.distributions.FloatDistribution(low, high, log=log)
                for k, (low, high, log) in space.items()
            }
        )
        part = fit_part(
            name, sequences, n_items, side, {**known, **trial.params}, seed=seed, seconds=seconds / 2,
            validate=lambda fitted: judge(fitted, histories, wanted, n_items),
            logs=None if logs is None else logs / f"{name}-trial-{number + 1}",
        )  # fmt: skip
        if kind == "sequence":
            trial.set_user_attr("epochs", int(part.config["epochs"]))  # type: ignore[attr-defined]
        value = judge(part, histories, wanted, n_items)
        del part
        study.tell(trial, value)
        spent = time.perf_counter() - begun
        progress(f"tune {name} {number + 1}: {value:.4f} (best {study.best_value:.4f}), {spent:.0f} s")
        if spent * (1 + 1 / (number + 1)) > seconds:
            break
    return {**known, **study.best_params, **study.best_trial.user_attrs}, float(study.best_value)


__all__ = [
    "DEFAULTS",
    "Part",
    "Side",
    "fit_part",
    "judge",
    "kind_of",
    "names_for",
    "names_for_cold",
    "sequences_of",
    "tune_part",
]
