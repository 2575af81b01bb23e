"""Each part alone, then blends, with and without text, graph and sequence: tuned on validation, tested once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import MANIFEST, load_array, open_artifact, save_arrays, seal
from wares.core.files import digest, folder_atomic, read_json, write_json
from wares.evaluate.metrics import per_user
from wares.models.recommend.blend import Blend, learn, ndcg
from wares.models.recommend.draft import Draft
from wares.models.recommend.ensemble import Params, fit_part, judge, kind_of, tune_part
from wares.models.recommend.parts import Part, Side

Lists = list[NDArray[np.int32]]
RANDOM = ("sequence", "ials")
STOP_USERS = 2000
TAILS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
TAIL_KEEPS = 0.98
SHARES = {
    "knn": 1.0,
    "ease": 3.0,
    "next": 5.0,
    "ials": 1.5,
    "near": 1.0,
    "shared": 1.0,
    "given": 1.0,
    "carried": 1.0,
    "own": 0.3,
}


@dataclass(frozen=True)
class Quad:
    """Sequences by user and what each took up next: to tune on (``fit`` → ``valid``), to test on (``whole`` → ``test``)."""

    fit: Lists
    valid: Lists
    whole: Lists
    test: Lists


@dataclass(frozen=True)
class LabPlan:
    """``names`` of parts; ``leaky`` of them hold what may come from after the split and are blended apart only.

    ``cold`` says that only items without any behaviour are wanted: then no model may see counts, which would tell them.
    """

    names: tuple[str, ...]
    seeds: tuple[int, ...] = (7,)
    minutes: float = 40.0
    exclude: bool = True
    refit: bool = True
    leaky: tuple[str, ...] = ()
    k: int = 20
    epochs: int = 30
    params: dict[str, Params] = field(default_factory=dict[str, Params])
    repeat_share: float = 0.0
    cache: Path | None = None
    data: str = ""
    logs: Path | None = None
    cold: bool = False


@dataclass
class LabResult:
    """``rows`` for the report; ``lists (n_users, k)`` and ``blend`` of the first seed's headline; ``asked`` their users."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    asked: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lists: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    blend: Blend | None = None
    tuned: dict[str, Params] = field(default_factory=dict)
    weights: dict[str, list[float]] = field(default_factory=dict)
    tail: list[dict[str, float]] = field(default_factory=list)


class Lab:
    """One evaluation: fits parts, keeps only what they draft, and learns blends from it."""

    def __init__(
        self,
        quad: Quad,
        n_items: int,
        side: Side,
        plan: LabPlan,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.quad, self.n, self.side, self.plan, self.progress = quad, n_items, side, plan, progress
        self.valid = np.array([u for u, t in enumerate(quad.valid) if len(t)], np.int64)
        self.test = np.array([u for u, t in enumerate(quad.test) if len(t)], np.int64)
        self.tuned: dict[str, Params] = {n: dict(p) for n, p in plan.params.items() if n in plan.names}
        self.alone: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.drafts: dict[tuple[str, str, int], Draft] = {}
        counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *quad.fit]), minlength=n_items)
        self.facts = {"fit": _facts(counts)}
        counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *quad.whole]), minlength=n_items)
        self.facts["whole"] = _facts(counts)
        self.bottom = np.zeros(n_items, bool)
        self.bottom[np.lexsort((np.arange(n_items), -counts))[max(1, round(0.2 * n_items)) :]] = True
        self.begun = time.perf_counter()

    def run(self) -> LabResult:
        """All of it."""
        plan = self.plan
        self.tune()
        for at, seed in enumerate(plan.seeds):
            for name in plan.names:
                if at == 0 or kind_of(name) in RANDOM:
                    self._fit(name, at, seed)
        return self._blend()

    def tune(self) -> None:
        """Find the parameters of every part that has none yet, but the sequence models' (they stop by validation)."""
        quick = [n for n in self.plan.names if kind_of(n) != "sequence" and n not in self.tuned]
        total = sum(SHARES.get(kind_of(n), 0.2) for n in quick)
        share = 0.35 if len(quick) < len(self.plan.names) else 0.7
        for name in quick:
            known = self._tuned_at(name)
            if known is not None and known.is_file():
                self.tuned[name], self.alone[name] = (held := read_json(known))["params"], held["value"]
                continue
            begin = self.tuned.get(name.rstrip("+")) if name.endswith("+") else None
            begun = time.perf_counter()
            self.tuned[name], self.alone[name] = tune_part(
                name, self.quad.fit, self.quad.valid, self.n, self.side, begin=begin, seed=self.plan.seeds[0],
                seconds=self.plan.minutes * 60 * share * SHARES.get(kind_of(name), 0.2) / total, progress=self.progress,
            )  # fmt: skip
            self.seconds[f"tune {name}"] = time.perf_counter() - begun
            if known is not None:
                known.parent.mkdir(parents=True, exist_ok=True)
                write_json(known, {"params": self.tuned[name], "value": self.alone[name]})

    def _tuned_at(self, name: str) -> Path | None:
        if self.plan.cache is None:
            return None
        return self.plan.cache / f"tuned-{digest([self.plan.data, name, self.plan.seeds[0]])}.json"

    def _fit(self, name: str, at: int, seed: int) -> None:
        quad = self.quad
        # Each seed of a sequence model finds its own number of epochs.
        tuned = dict((self.plan.params if kind_of(name) == "sequence" else self.tuned).get(name, {}))
        phases = ["fit", "whole"] if self.plan.refit else ["fit"]
        begin = dict(tuned)
        tuned = self._load(name, at, seed, begin)
        phases = [phase for phase in phases if (name, phase, at) not in self.drafts]
        histories = [quad.whole[u] for u in self.test]
        begun = time.perf_counter()
        if "fit" in phases:
            validate, seconds = None, None
            if kind_of(name) == "sequence":
                tuned.setdefault("epochs", self.plan.epochs)
                validate, seconds = self._stopper(seed), self._sequence_seconds()
            part = fit_part(
                name,
                quad.fit,
                self.n,
                self.side,
                tuned,
                seed=seed,
                seconds=seconds,
                validate=validate,
                logs=self._logs(name, "fit", seed),
                progress=self.progress,
            )
            self.seconds.setdefault(f"fit {name}", time.perf_counter() - begun)
            if kind_of(name) == "sequence":
                # Trained again on more, for as many epochs as were best.
                tuned["epochs"] = int(part.config["epochs"])  # type: ignore[attr-defined]
                self.tuned.setdefault(name, tuned)
            self.progress(f"draft {name}")
            self.drafts[name, "valid", at] = self._draft(part, [quad.fit[u] for u in self.valid])
            self.drafts[name, "fit", at] = self._draft(part, histories)
            self._keep(name, at, seed, begin, tuned, ("valid", "fit"))
            del part
        if "whole" in phases:
            self.progress(f"fit {name} with validation")
            part = fit_part(
                name, quad.whole, self.n, self.side, tuned, seed=seed, logs=self._logs(name, "whole", seed), progress=self.progress,
            )  # fmt: skip
            self.drafts[name, "whole", at] = self._draft(part, histories)
            self._keep(name, at, seed, begin, tuned, ("whole",))

    def _logs(self, name: str, phase: str, seed: int) -> Path | None:
        return None if self.plan.logs is None else self.plan.logs / f"{name}-{phase}-{seed}"

    def _kept(self, name: str, params: Params, seed: int, phase: str) -> Path | None:
        """Where the drafts of a part lie: named by all that they come from."""
        if self.plan.cache is None:
            return None
        apart = (seed, self.plan.epochs) if kind_of(name) in RANDOM else ()
        return self.plan.cache / f"{kind_of(name)}-{phase}-{digest([self.plan.data, name, params, apart])}"

    def _keep(
        self, name: str, at: int, seed: int, begin: Params, tuned: Params, phases: tuple[str, ...]
    ) -> None:
        kept = self._kept(name, begin, seed, phases[-1])
        if kept is None:
            return
        arrays = {f"{p}_ids": self.drafts[name, p, at].ids for p in phases}
        arrays |= {f"{p}_scores": self.drafts[name, p, at].scores for p in phases}
        with folder_atomic(kept) as work:
            save_arrays(work, **arrays)
            seal(work, "drafts", tuned=tuned, seconds=self.seconds.get(f"fit {name}", 0.0))

    def _load(self, name: str, at: int, seed: int, params: Params) -> Params:
        """Take what an earlier run kept; the parameters that it ended with."""
        found = dict(params)
        for phase, held in (("fit", ("valid", "fit")), ("whole", ("whole",))):
            kept = self._kept(name, params, seed, phase)
            if kept is None or not (kept / MANIFEST).is_file():
                continue
            manifest = open_artifact(kept, "drafts")
            for one in held:
                self.drafts[name, one, at] = Draft(
                    load_array(kept, f"{one}_ids"), load_array(kept, f"{one}_scores")
                )
            found = dict(manifest["tuned"])
            self.tuned.setdefault(name, found)
            self.seconds.setdefault(f"fit {name}", manifest["seconds"])
        return found

    def _draft(self, part: Part, histories: Lists) -> Draft:
        return Draft.of(part, histories, self.n, exclude=self.plan.exclude)

    def _sequence_seconds(self) -> float:
        fits = [n for n in self.plan.names if kind_of(n) == "sequence"]
        number = len(fits) * len(self.plan.seeds) * (2 if self.plan.refit else 1)
        return self.plan.minutes * 60 * 0.55 / max(number, 1)

    def _stopper(self, seed: int) -> Callable[[Any], float]:
        rng = np.random.default_rng(seed)
        some = self.valid
        if len(some) > STOP_USERS:
            some = np.sort(rng.choice(some, STOP_USERS, replace=False))
        histories, wanted = [self.quad.fit[u] for u in some], [self.quad.valid[u] for u in some]
        return lambda model: judge(model, histories, wanted, self.n)

    def _pick(self, names: Sequence[str], phase: str, at: int) -> dict[str, Draft]:
        found = {}
        for name in names:
            draft = self.drafts.get((name, phase, at), self.drafts.get((name, phase, 0)))
            if draft is not None:
                found[name] = draft
        return found

    def _blend(self) -> LabResult:
        plan, quad = self.plan, self.quad
        result = LabResult(asked=self.test, tuned=self.tuned)
        truth = [quad.test[u] for u in self.test]
        histories = [quad.whole[u] for u in self.test]
        phases = ["fit", "whole"] if plan.refit else ["fit"]
        for name in plan.names:
            for phase in phases:
                values = [
                    self._quality(self.drafts[name, phase, at].ids[:, : plan.k], truth)
                    for at in range(len(plan.seeds))
                    if (name, phase, at) in self.drafts
                ]
                if values:
                    result.rows.append(self._row(name, phase, values, self.seconds.get(f"fit {name}", 0.0)))
        for label, names in self._blends().items():
            values: dict[str, list[dict[str, float]]] = {phase: [] for phase in phases}
            # What is left out is told by one seed; the headline by all.
            for at, seed in enumerate(plan.seeds if label == "blend" else plan.seeds[:1]):
                drafts = self._pick(names, "valid", at)
                blend = learn(
                    drafts, [quad.fit[u] for u in self.valid], [quad.valid[u] for u in self.valid], self.facts["fit"],
                    seed=seed, trees=label == "blend" and not plan.cold, progress=self.progress,
                )  # fmt: skip
                for phase in phases:
                    found = self._pick(names, phase, at)
                    if len(found) < len(names):
                        continue
                    lists = blend.rank(found, histories, self.facts[phase], plan.k)
                    values[phase].append(self._quality(lists, truth))
                    if at == 0 and label == "blend":
                        result.lists[phase], result.blend = lists, blend
                        result.weights, result.drafts = blend.weights(), found
                        if phase == phases[-1]:
                            result.tail = self._tail(blend, drafts, found, phase, truth, histories)
            for phase in phases:
                if values[phase]:
                    result.rows.append(self._row(label, phase, values[phase], 0.0))
        for name in ("popular", "knn"):
            if name in plan.names:
                result.lists[name] = self.drafts[name, phases[-1], 0].ids[:, : plan.k]
        return result

    def _tail(
        self,
        blend: Blend,
        valid: dict[str, Draft],
        test: dict[str, Draft],
        phase: str,
        truth: Lists,
        histories: Lists,
    ) -> list[dict[str, float]]:
        """The accuracy–tail curve on the test, and the point that validation chose: the furthest that keeps 98%."""
        past, wanted = [self.quad.fit[u] for u in self.valid], [self.quad.valid[u] for u in self.valid]
        kept = [ndcg(lists, wanted) for lists in blend.along(valid, past, self.facts["fit"], 10, TAILS)]
        chosen = max(t for t, value in zip(TAILS, kept, strict=True) if value >= TAIL_KEEPS * kept[0])
        out = []
        ranked = blend.along(test, histories, self.facts[phase], self.plan.k, TAILS)
        for tail, lists in zip(TAILS, ranked, strict=True):
            point = self._quality(lists, truth)
            shown = np.bincount(lists[:, :10][lists[:, :10] >= 0], minlength=self.n)
            out.append(
                {
                    "tail": tail, "chosen": float(tail == chosen), **point, "coverage@10": float((shown > 0).mean()),
                    "tail_share@10": float(shown[self.bottom].sum() / max(shown.sum(), 1)),
                }
            )  # fmt: skip
        return out

    def _blends(self) -> dict[str, list[str]]:
        """Label → parts. Without text leaves out every part that learns from side information that is not the graph."""
        sound = [n for n in self.plan.names if n not in self.plan.leaky]
        graph = [n for n in sound if "graph" in n]
        out = {"blend": sound}
        for label, names in (
            ("blend without sequence", [n for n in sound if kind_of(n) != "sequence"]),
            (
                "blend without text",
                [n for n in sound if not n.endswith("+") and (not _is_side(n) or n in graph)],
            ),
            ("blend without graph", [n for n in sound if n not in graph]),
            ("blend of behaviour alone", [n for n in sound if not n.endswith("+") and not _is_side(n)]),
            ("blend with what may leak", list(self.plan.names)),
        ):
            if names and names not in out.values():
                out[label] = names
        return out

    def _row(self, name: str, phase: str, values: list[dict[str, float]], seconds: float) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": name, "trained_on": "all before validation" if phase == "fit" else "all before the test",
            "seeds": len(values), "seconds": round(seconds, 1),
        }  # fmt: skip
        for metric in values[0]:
            numbers = np.array([v[metric] for v in values])
            row[metric] = float(numbers.mean())
            row[f"{metric}_sd"] = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
        if name in self.alone:
            row["validation_ndcg@10"] = self.alone[name]
        return row

    def _quality(self, lists: NDArray[np.int32], truth: Lists) -> dict[str, float]:
        """HR and NDCG, and recall@20 of wanted items among the 80% of items that are met least."""
        lists = np.asarray(lists)
        if lists.shape[1] < 20:
            lists = np.pad(lists, ((0, 0), (0, 20 - lists.shape[1])), constant_values=-1)
        values = per_user(lists, truth, [5, 10, 20])
        out = {f"{m}@{k}": float(np.nanmean(values[f"{m}@{k}"])) for k in (5, 10, 20) for m in ("hr", "ndcg")}
        rare = per_user(lists, [t[self.bottom[t]] for t in truth], [20])["recall@20"]
        out["bottom80_recall@20"] = float(np.nanmean(rare)) if not np.isnan(rare).all() else 0.0
        return out


def _is_side(name: str) -> bool:
    return kind_of(name) in ("near", "shared", "given", "carried")


def _facts(counts: NDArray[Any]) -> NDArray[np.float32]:
    return np.log1p(counts.astype(np.float32))[:, None]
