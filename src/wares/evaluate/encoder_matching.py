"""``wares evaluate encoder --matching``: pairs labelled as belonging together or not, by likeness and a threshold."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.core.files import digest, read_json, write_json
from wares.evaluate.dedupe import read_table
from wares.evaluate.words import Words
from wares.features.pairs import TEST, TRAIN, Builder, PairSet

YES = frozenset({"1", "1.0", "true", "same", "match", "yes", "相同", "匹配"})
NO = frozenset({"0", "0.0", "false", "not same", "not match", "no", "不相同", "不匹配"})
_TASK = re.compile(r"^(?:Item 1|Query):\s*(?P<left>.*?),?\s*\n(?:Item 2|Doc):\s*(?P<right>.*)$", re.S)
_MARK = re.compile(r"#:#|#;#|#")
HELD = 0.25
"""Share of the training pairs that only the thresholds are chosen on."""


@dataclass(frozen=True)
class Labelled:
    """``left``, ``right`` texts and ``same (n,) bool``; ``asked``: the left is a query rather than a product."""

    left: list[str]
    right: list[str]
    same: NDArray[np.bool_]
    asked: bool

    def __len__(self) -> int:
        return len(self.left)


def read_labelled(path: Path) -> Labelled:
    """Columns left, right and label; or the tasks of EcomInstruct (``Item 1: … Item 2: …``, ``Query: … Doc: …``).

    Raises:
        QueryError: when a column or label is not understood, or all labels are the same.
    """
    table = read_table(path)
    if {"left", "right", "label"} <= table.keys():
        left, right, said = table["left"], table["right"], table["label"]
        asked = False
    elif {"sentences", "labels"} <= table.keys():
        found = [_TASK.match(text) for text in table["sentences"]]
        if not all(found):
            raise QueryError(
                "a task is not a pair of texts", mend="Give left, right and label", parameter="matching"
            )
        left = [_MARK.sub(" ", m.group("left")) for m in found if m]
        right = [_MARK.sub(" ", m.group("right")) for m in found if m]
        said = [_english(label) for label in table["labels"]]
        asked = table["sentences"][0].startswith("Query")
    else:
        raise QueryError(
            f"{path.name} has {', '.join(table)}",
            mend="Give the columns left, right and label",
            parameter="matching",
        )
    words = [label.strip().casefold() for label in said]
    strange = sorted({w for w in words if w not in YES | NO})
    if strange:
        raise QueryError(f"labels {', '.join(strange[:5])}", mend="Use 1 and 0", parameter="label")
    same = np.array([w in YES for w in words], bool)
    if same.all() or not same.any():
        raise QueryError(
            f"all {len(same)} labels are the same, so there is nothing to tell apart",
            mend="Bring pairs of both kinds",
            parameter="label",
        )
    return Labelled(left, right, same, asked)


def _english(label: str) -> str:
    found = re.search(r"""["']en["']:\s*\[["'](?P<name>[^"']+)["']""", label)
    return found.group("name") if found else label


def _nodes(data: Labelled) -> tuple[PairSet, NDArray[np.int64]]:
    """All texts as nodes with no edges yet, and the two nodes of each pair ``(n, 2)``."""
    builder = Builder()
    ends = [
        (builder.node(a, query=data.asked), builder.node(b))
        for a, b in zip(data.left, data.right, strict=True)
    ]
    return builder.done(), np.array(ends, np.int64)


def folds_of(ends: NDArray[np.int64], k: int, seed: int) -> NDArray[np.int64]:
    """A fold for each pair ``(n,)``: pairs that share their left or right text stay together.

    Where chains of shared texts join more than half of the pairs, only pairs of one left text stay together.
    """
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    n = int(ends.max()) + 1
    graph = sp.csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (n, n))
    _, part = connected_components(graph, directed=False)
    unit = part[ends[:, 0]]
    if np.bincount(unit).max() > len(ends) / 2:
        unit = ends[:, 0]
    names, at, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    load, fold = np.zeros(k), np.zeros(len(names), np.int64)
    order = np.random.default_rng(seed).permutation(len(names))
    for i in order[np.argsort(-sizes[order], kind="stable")]:
        fold[i] = int(load.argmin())
        load[fold[i]] += sizes[i]
    return fold[at]


def best_threshold(score: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The cut with the highest accuracy on these pairs, half way between two scores; of equal ones the middle one."""
    values = np.unique(score[np.isfinite(score)])
    cuts = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    right = np.array([((score > cut) == same).mean() for cut in cuts])
    good = np.flatnonzero(right == right.max())
    return float(cuts[good[len(good) // 2]])


def evaluate_matching(
    path: Path,
    recipe: Any,
    methods: tuple[str, ...],
    folds: int,
    seeds: tuple[int, ...],
    work: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Cross-validated accuracy of the untuned and adapted encoder and of BM25, each with a threshold of its own.

    In each fold three quarters of the training pairs adapt the encoder (those that belong together are positives, the
    others known negatives), and the last quarter chooses all thresholds. Nothing of the fold's own pairs is seen.

    Raises:
        QueryError: when the file is not understood, or has fewer than 40 pairs.
    """
    data = read_labelled(path)
    if len(data) < 40:
        raise QueryError(f"{len(data)} labelled pairs", mend="Bring at least 40", parameter="matching")
    begun = time.perf_counter()
    nodes, ends = _nodes(data)
    right: dict[str, list[NDArray[np.bool_]]] = {}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="wares-encoder-") as scratch:
        home = Path(scratch) if work is None else work
        home.mkdir(parents=True, exist_ok=True)
        words = _words_scores(nodes, ends)
        plain = _plain_scores(nodes, ends, recipe)
        for seed in seeds:
            fold = folds_of(ends, folds, seed)
            found = {name: np.zeros(len(data), bool) for name in ("bm25", "untuned", *methods)}
            for k in range(folds):
                test = fold == k
                rng = np.random.default_rng([seed, k])
                training = rng.permutation(np.flatnonzero(~test))
                held, learn = training[: round(HELD * len(training))], training[round(HELD * len(training)) :]
                scores = {"bm25": words, "untuned": plain}
                for method in methods:
                    say(f"seed {seed}, fold {k + 1} of {folds}: {method}")
                    scores[method], facts[method] = _adapted_scores(
                        nodes,
                        ends,
                        data.same,
                        learn,
                        recipe,
                        method,
                        seed,
                        home
                        / f"{path.stem}-{method}-{digest([asdict(recipe), data.left, data.right])}-{seed}-{k}",
                    )
                for name, score in scores.items():
                    cut = best_threshold(score[held], data.same[held])
                    found[name][test] = (score[test] > cut) == data.same[test]
            for name, values in found.items():
                right.setdefault(name, []).append(values)
    accuracy = {}
    for name, rows in right.items():
        each = [float(r.mean()) for r in rows]
        accuracy[name] = {
            "accuracy": round(float(np.mean(each)), 4),
            "sd": round(float(np.std(each)), 4),
            **facts.get(name, {}),
        }
    return {
        "data": path.name, "model": recipe.build.model, "pairs": len(data), "same": int(data.same.sum()),
        "majority": round(float(max(data.same.mean(), 1 - data.same.mean())), 4), "folds": folds, "seeds": list(seeds),
        "systems": accuracy, "differences": _differences(right, ends[:, 0]), "seconds": round(time.perf_counter() - begun, 1),
    }  # fmt: skip


def _differences(right: dict[str, list[NDArray[np.bool_]]], unit: NDArray[np.int64]) -> dict[str, Any]:
    from wares.features.retrieval import paired

    mean = {name: np.mean(rows, axis=0) for name, rows in right.items()}
    return {
        f"{name} - {other}": paired(mean[name], mean[other], unit, 7)
        for name in mean
        for other in ("untuned", "bm25")
        if name not in ("untuned", "bm25") or (name, other) == ("untuned", "bm25")
    }


def _words_scores(nodes: PairSet, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """BM25 of the right text for the left one, as a share of what the left would get itself."""
    whole = Words(nodes, np.arange(len(nodes)))
    out = np.zeros(len(ends))
    for i, (left, right) in enumerate(ends.tolist()):
        row = whole.scores(np.array([left]))[0]
        own = row[left]
        out[i] = row[right] / own if np.isfinite(row[right]) and own > 0 else 0.0
    return out


def _cosines(vectors: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.einsum("ij,ij->i", vectors[ends[:, 0]], vectors[ends[:, 1]]).astype(np.float64)


def _plain_scores(nodes: PairSet, ends: NDArray[np.int64], recipe: Any) -> NDArray[np.float64]:
    from wares.features.adapt_body_train import Body

    body = Body.load(replace(recipe.build, split_digits=False), plain=True)
    return _cosines(body.encode(body.tokens(nodes.texts, nodes.query), chunk=32), ends)


def _adapted_scores(
    nodes: PairSet, ends: NDArray[np.int64], same: NDArray[np.bool_], learn: NDArray[np.int64], recipe: Any, method: str, seed: int, folder: Path
) -> tuple[NDArray[np.float64], dict[str, Any]]:  # fmt: skip
    from wares.features.adapt_train import Run

    done = folder / "scores.json"
    if done.is_file():
        known = read_json(done)
        return np.array(known["scores"]), known["facts"]
    folder.mkdir(parents=True, exist_ok=True)
    yes, no = ends[learn[same[learn]]], ends[learn[~same[learn]]]
    pairs = replace(
        nodes, edges=np.sort(yes, axis=1).astype(np.int32), weight=np.ones(len(yes), np.float32),
        source=np.zeros(len(yes), np.int8), sources=("same",),
        # Each end of a pair that does not belong together is a hard negative of the other.
        negatives=np.concatenate([no, no[:, ::-1]]).astype(np.int32),
    )  # fmt: skip
    part = np.full(len(nodes), TEST, np.int8)
    part[np.unique(ends[learn])] = TRAIN
    settings = replace(recipe, build=replace(recipe.build, method=method, seed=seed), seed=seed, checks=0)
    outcome = Run(pairs, part, settings, folder, say=lambda _: None).all()
    body = outcome.body
    scores = _cosines(body.encode(body.tokens(nodes.texts, nodes.query), chunk=32), ends)
    facts = {name: outcome.facts[name] for name in ("share_trained", "minutes_training", "steps")}
    write_json(done, {"scores": scores.tolist(), "facts": facts})
    return scores, facts
