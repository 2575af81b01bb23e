"""``wares evaluate encoder``: what adapting an encoder is worth on a file of offers whose groups are known."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.files import digest, read_json, write_json
from wares.evaluate.encoder_blend import Blend
from wares.evaluate.words import Words
from wares.features.pairs import TEST, VALID, PairSet, split_nodes
from wares.features.retrieval import NAMES, Retrieval, means, paired

Say = Callable[[str], None]
KEPT = (
    "share_trained", "minutes", "minutes_training", "steps", "best_step", "ended", "precision", "validation", "unread", "signals",
    "augmented", "pseudo",
)  # fmt: skip
UNTUNED, BM25, TOGETHER = "untuned", "bm25", "adapted + words + codes"


@dataclass(frozen=True)
class EncoderTask:
    """What to evaluate. ``recipe`` is a `wares.features.adapt_train.Recipe` without its method."""

    pairs: PairSet
    name: str
    recipe: Any
    methods: tuple[str, ...] = ("lora", "full")
    seeds: tuple[int, ...] = (7,)
    blend: bool = True
    most_queries: int = 0


def evaluate_encoder(
    task: EncoderTask, work: Path | None = None, say: Say = lambda _: None
) -> dict[str, Any]:
    """Split by group, adapt by each method on the training groups, and find the mates of every test node in the whole index.

    What a killed evaluation finished is taken from `work` when it is given. Per seed: another split, other batches.

    Raises:
        DataError: when there is too little to learn from or to test by.
    """
    home = Path(tempfile.mkdtemp(prefix="wares-encoder-")) if work is None else work
    begun = time.perf_counter()
    try:
        found = [_one_seed(task, seed, home, say) for seed in task.seeds]
    finally:
        if work is None:
            shutil.rmtree(home, ignore_errors=True)
    systems = list(found[0]["systems"])
    summary: dict[str, Any] = {}
    for system in systems:
        rows = [one["systems"][system] for one in found]
        summary[system] = {
            name: {"mean": round(float(np.mean([r[name] for r in rows])), 4), "sd": round(float(np.std([r[name] for r in rows])), 4)}
            for name in NAMES
        }  # fmt: skip
        for fact in ("share_trained", "minutes", "minutes_training", "steps"):
            if fact in rows[0]:
                summary[system][fact] = round(float(np.mean([r[fact] for r in rows])), 4)
    return {
        "data": task.name, "model": task.recipe.build.model, "nodes": task.pairs.facts(),
        "task": {
            "queries": "every held-out node that has a mate which reads differently" if not task.most_queries else f"{task.most_queries} held-out nodes drawn at random",
            "index": "all nodes, those of training among them, without those that read exactly like the query",
            "recall@1": "share of queries whose first is a mate", "recall@10": "mean share of a query's mates among the first ten",
            "split": "70 % training, 10 % validation, 20 % test: whole groups; of pairs, single queries or products with all their pairs",
        },
        "seeds": list(task.seeds), "systems": summary, "by_seed": found, "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def _one_seed(task: EncoderTask, seed: int, home: Path, say: Say) -> dict[str, Any]:
    pairs = task.pairs
    part = split_nodes(pairs, seed)
    test = Retrieval.of(pairs, part, TEST, task.most_queries, seed)
    valid = Retrieval.of(pairs, part, VALID, task.most_queries, seed)
    words = Words(pairs, test.candidates)
    say(f"seed {seed}: BM25")
    values: dict[str, dict[str, NDArray[np.float64]]] = {BM25: test.measure(words.scores)}
    facts: dict[str, dict[str, Any]] = {BM25: {}}
    tables: dict[str, NDArray[np.float32]] = {}
    for method in task.methods:
        tables[method], untuned, facts[method] = adapted_vectors(task, method, seed, part, home, say)
        values[method] = test.by_cosine(tables[method])
        if UNTUNED not in values:
            values[UNTUNED], facts[UNTUNED] = test.by_cosine(untuned), {}
            if task.blend:
                say(f"seed {seed}: untuned, words and codes")
                values["untuned + words + codes"] = _blended(valid, test, [untuned], words, seed)
                facts["untuned + words + codes"] = {}
    if task.blend:
        best = max(task.methods, key=lambda m: float(valid.by_cosine(tables[m])["mrr"].mean()))
        say(f"seed {seed}: {best}, words and codes")
        values[TOGETHER], facts[TOGETHER] = (
            _blended(valid, test, [tables[best]], words, seed),
            {"encoder": best},
        )
    against = {
        f"{name} - {other}": {m: paired(values[name][m], values[other][m], test.unit, seed) for m in NAMES}
        for name in values
        for other in (UNTUNED, BM25)
        if name not in (UNTUNED, BM25)
    }
    return {
        "seed": seed, "queries": len(test), "candidates": len(test.candidates),
        "systems": {name: {**means(v), **facts[name]} for name, v in values.items()}, "differences": against,
    }  # fmt: skip


def adapted_vectors(
    task: EncoderTask, method: str, seed: int, part: NDArray[np.int8], home: Path | None, say: Say
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Vectors ``(n, dim)`` of all nodes after and before adapting on the training nodes of `part`, and figures of the run.

    What `home` holds of the same run is taken; a killed one goes on. Without a home nothing is kept.
    """
    from wares.features.adapt_pseudo_train import adapt

    if home is None:
        with tempfile.TemporaryDirectory(prefix="wares-encoder-") as scratch:
            return adapted_vectors(task, method, seed, part, Path(scratch), say)
    pairs = task.pairs
    recipe = replace(
        task.recipe, build=replace(task.recipe.build, method=method, seed=seed), seed=seed,
        gate_queries=task.most_queries, gate_pool=0,
    )  # fmt: skip
    cache = home / f"{digest([pairs.digest, task.name])}-{seed}"
    folder = cache / f"{method}-{digest(asdict(recipe))}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "figures.json"
    if not done.is_file():
        going = any((folder / name).is_file() for name in ("run.json", "pseudo.json"))
        outcome = adapt(
            pairs,
            part,
            recipe,
            folder,
            resume=going,
            cache=cache,
            say=lambda t: say(f"seed {seed}, {method}: {t}"),
        )
        np.save(folder / "adapted.npy", outcome.vectors, allow_pickle=False)
        np.save(folder / "before.npy", outcome.untuned, allow_pickle=False)
        write_json(done, {k: outcome.facts[k] for k in KEPT if k in outcome.facts})
    adapted, before = (np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("adapted", "before"))
    return adapted, before, read_json(done)


def _blended(
    valid: Retrieval, test: Retrieval, tables: list[NDArray[np.float32]], words: Words, seed: int
) -> dict[str, NDArray[np.float64]]:
    blend = Blend(test, tables, words, seed)
    blend.learn(valid)
    return test.measure(blend.scores)
