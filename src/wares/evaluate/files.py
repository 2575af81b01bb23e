"""``wares evaluate recommend``: the same evaluation on any file of user, item and, if there is one, time."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.config import Encoder, Evaluate, SourceConfig
from wares.core.errors import SourceError
from wares.core.files import digest, file_digest
from wares.core.machine import peak_rss
from wares.core.text import fill, plain, template_parts
from wares.data.mapping import guess, text_of
from wares.data.sources import read_file
from wares.evaluate.lab import Lab, LabPlan, LabResult, Quad
from wares.evaluate.metrics import popularity_groups
from wares.evaluate.own_graph import own_graph
from wares.evaluate.readers import Rows, overlap, read_attributes, read_events, read_graph, read_vectors
from wares.evaluate.report import Report, Setting, lorenz, measure, recall_by_decile
from wares.models.recommend.ensemble import names_for, names_for_cold
from wares.models.recommend.parts import Side

PROTOCOLS = ("leave-last", "time", "given", "cold-items")
REPEAT_SHARE = 0.1
COLD_SHARE = 0.1
BASELINES = {"popular": "popularity", "knn": "item-knn", "own": "own history"}


@dataclass(frozen=True)
class Task:
    """What to evaluate on. `test` goes with the protocol ``given``; empty `parts` means all that fit."""

    events: Path
    products: Path | None = None
    graph: Path | None = None
    test: Path | None = None
    protocol: str = "leave-last"
    ks: tuple[int, ...] = (5, 10, 20)
    repeat: str = "exclude"
    seed: int = 7
    bootstrap: int = 1000
    attributes: Path | None = None
    parts: tuple[str, ...] = ()
    seeds: int = 1
    minutes: float = 30.0
    refit: bool = True
    epochs: int = 30
    params: Path | None = None
    cache: Path | None = None
    logs: Path | None = None
    vectors: tuple[tuple[str, Path], ...] = ()
    more: tuple[Path, ...] = ()


def folder_task(folder: Path, task: Task) -> Task:
    """The task with every file that a folder of this layout has and the task does not name.

    ``sequences.txt`` or ``events.csv``, ``items.csv`` or ``products.csv``, ``item2attributes.json``, ``kg_triples.csv``,
    each plain or with ``.gz``; next-item samples in ``train.csv``, ``valid.csv``, ``test.csv`` are joined in this order
    and split anew by the protocol.

    Raises:
        SourceError: when the folder has no events.
    """

    def first(*names: str) -> Path | None:
        found = [
            folder / f"{n}{end}"
            for n in names
            for end in ("", ".gz", ".zst")
            if (folder / f"{n}{end}").is_file()
        ]
        return found[0] if found else None

    events = first("sequences.txt", "sequences.csv", "events.csv", "interactions.csv")
    more = task.more
    if events is None:
        events, *rest = [
            path for name in ("train.csv", "valid.csv", "test.csv") if (path := first(name))
        ] or [None]
        more += tuple(rest)
    if events is None:
        raise SourceError(
            f"{folder} holds no sequences.txt or events.csv", mend="Name the file itself", source=str(folder)
        )
    return replace(
        task, events=events, more=more, products=task.products or first("items.csv", "products.csv"),
        attributes=task.attributes or first("item2attributes.json"), graph=task.graph or first("kg_triples.csv", "graph.csv"),
    )  # fmt: skip


def evaluate_file(task: Task, command: str, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Tune every part and the blend on validation, fit again with validation included, and touch the test once.

    - ``leave-last``: a user's last item is the test, the one before it validation;
    - ``time``: the last tenth of the events is the test, the tenth before it validation;
    - ``given``: the test is a file; the last item of each training user is validation;
    - ``cold-items``: leave-last, where a tenth of the items, by seed, is in no training sequence at all and only they
      are wanted; another tenth is hidden for validation.
    """
    begun = time.perf_counter()
    task, quad, side, plan, category = prepare(task, progress)
    n = len(category)
    result = Lab(quad, n, side, plan, progress).run()
    facts = {
        "file": task.events.name, "sha256": file_digest(task.events), "protocol": task.protocol, "ranking": "full catalogue",
        "repeat_share": plan.repeat_share,
    }  # fmt: skip
    report = Report(command, facts, task.seed)
    _fill(
        report,
        result,
        quad,
        n,
        category,
        plan,
        Evaluate.model_validate({"k": list(task.ks), "bootstrap": task.bootstrap}),
    )
    report.seconds = time.perf_counter() - begun
    report.peak_rss_mb = peak_rss() / 2**20
    return report


def prepare(
    task: Task, progress: Callable[[str], None] = lambda _: None
) -> tuple[Task, Quad, Side, LabPlan, NDArray[np.int32]]:
    """Read the files of a task: the whole task, its split, side information, what to fit, ``category_of (n_items,)``.

    Raises:
        SourceError: when nobody has anything left to test on.
    """
    progress("read")
    if task.events.is_dir():
        task = folder_task(task.events, task)
    items: dict[str, int] = {}
    users: dict[str, int] = {}
    rows = read_events(task.events, items, users)
    for path in task.more:
        _append(rows, read_events(path, items, users))
    test_rows = read_events(task.test, items, users) if task.test is not None else []
    rows += [[] for _ in range(len(users) - len(rows))]
    side, category, leaky = _side(task, items, progress)
    n = len(items)
    quad = split(task.protocol, rows, test_rows)
    if task.protocol == "cold-items":
        quad = hide_items(quad, n, COLD_SHARE, task.seed)
    if not any(len(t) for t in quad.test):
        raise SourceError(
            f"{task.events.name}: nobody has anything left to test on",
            mend="Users need two items or more; by time, events before and after the split",
            source=str(task.events),
        )
    share = repeat_share(quad)
    exclude = task.repeat == "exclude" or (task.repeat == "auto" and share < REPEAT_SHARE)
    if exclude:
        quad = Quad(quad.fit, _fresh(quad.valid, quad.fit), quad.whole, _fresh(quad.test, quad.whole))
    cold = task.protocol == "cold-items"
    names = task.parts or tuple(
        names_for_cold(side, n) if cold else names_for(side, n) + ([] if exclude else ["own"])
    )
    plan = LabPlan(
        names, tuple(task.seed + i for i in range(task.seeds)), task.minutes, exclude,
        task.refit and not cold, tuple(x for x in names if x.partition(":")[2] in leaky),
        max(*task.ks, 20), task.epochs, read_params(task.params) if task.params else {}, share, task.cache,
        digest([task.protocol, exclude, *(file_digest(p) for p in (task.events, task.products, task.attributes, task.graph, task.test, *task.more, *dict(task.vectors).values()) if p)]),
        task.logs, cold,
    )  # fmt: skip
    return task, quad, side, plan, category


def _append(rows: Rows, later: Rows) -> None:
    """Put what each user did later behind what came before; what both end and begin with is there once."""
    rows += [[] for _ in range(len(later) - len(rows))]
    for row, new in zip(rows, later, strict=False):
        items, fresh = [item for _, item in row], [item for _, item in new]
        begin = row[-1][0] + 1 if row else 0.0
        row += [(begin + step, item) for step, item in enumerate(fresh[overlap(items, fresh) :])]


def read_params(path: Path) -> dict[str, dict[str, Any]]:
    """Parameters by part, as ``wares tune recommend`` writes them, or out of an earlier report.

    Raises:
        SourceError: when the file is neither.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
        found = held.get("parts") if isinstance(held.get("parts"), dict) else held["model"]["tuned"]
        return {str(name): dict(values) for name, values in found.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SourceError(
            f"{path} holds no parameters of parts",
            mend="Make it with `wares tune recommend`",
            source=str(path),
        ) from error


def _fresh(truth: list[NDArray[np.int32]], known: list[NDArray[np.int32]]) -> list[NDArray[np.int32]]:
    return [np.setdiff1d(t, k).astype(np.int32) for t, k in zip(truth, known, strict=True)]


def repeat_share(quad: Quad) -> float:
    """Share of what was taken up in validation that the user had already."""
    wanted = sum(map(len, quad.valid))
    again = sum(int(np.isin(t, k).sum()) for t, k in zip(quad.valid, quad.fit, strict=True))
    return again / max(wanted, 1)


def _fill(
    report: Report,
    result: LabResult,
    quad: Quad,
    n: int,
    category: NDArray[np.int32],
    plan: LabPlan,
    rules: Evaluate,
) -> None:
    phase = "whole" if "whole" in result.lists else "fit"
    ours, truth = result.lists[phase], [quad.test[u] for u in result.asked]
    flat = np.concatenate([np.zeros(0, np.int64), *quad.whole])
    counts = np.bincount(flat, minlength=n)
    group = popularity_groups(counts, rules.head, rules.tail)
    setting = Setting(
        rules.k, n, len(quad.whole), group, counts == 0, category, counts, rules.bootstrap, report.seed
    )
    report.metrics, report.intervals = measure(ours, truth, setting)
    lists = {BASELINES[name]: result.lists[name] for name in BASELINES if name in result.lists}
    for name, one in lists.items():
        report.baselines[name], report.baseline_intervals[name] = measure(one, truth, setting)
    report.parts = result.rows
    report.curves = {
        "tail": result.tail,
        "lorenz": {name: lorenz(one, n, 10) for name, one in {"wares": ours, **lists}.items()},
        "deciles": {
            name: recall_by_decile(one, truth, counts, 20) for name, one in {"wares": ours, **lists}.items()
        },
    }
    blend = result.blend
    report.model = {
        "tuned": result.tuned, "weights": result.weights, "blend": blend.model.name if blend else "", "lean": blend.lean if blend else 0.0,
        "validation": blend.validation if blend else {},
    }  # fmt: skip
    report.data |= {
        "users": len(result.asked), "items": n, "pairs": len(flat), "wanted": int(sum(map(len, truth))),
        "wanted_cold": int(sum(int((counts[t] == 0).sum()) for t in truth)), "repeats": not plan.exclude,
        "seeds": list(plan.seeds), "tail_items": int((group == 2).sum()), "head_items": int((group == 0).sum()),
    }  # fmt: skip


def split(protocol: str, rows: Rows, test_rows: Rows) -> Quad:
    """Sequences and item lists by user."""

    def line(pairs: list[tuple[float, int]]) -> NDArray[np.int32]:
        return np.array([item for _, item in pairs], np.int32)

    if protocol == "time":
        ats = np.sort(np.concatenate([[at for at, _ in row] for row in rows if row] or [[0.0]]))
        one, two = (float(ats[int(len(ats) * share)]) for share in (0.8, 0.9))
        fitted = [line([p for p in row if p[0] < one]) for row in rows]
        valid = [np.unique(line([p for p in row if one <= p[0] < two])) for row in rows]
        whole = [line([p for p in row if p[0] < two]) for row in rows]
        test = [np.unique(line([p for p in row if p[0] >= two])) for row in rows]
        # Users without any history are strangers; they are not ranked here.
        valid = [v if len(f) else v[:0] for v, f in zip(valid, fitted, strict=True)]
        test = [t if len(d) else t[:0] for t, d in zip(test, whole, strict=True)]
        return Quad(fitted, valid, whole, test)
    if protocol == "given":
        whole = [line(row) for row in rows]
        fitted = [s[:-1] if len(s) > 1 else s for s in whole]
        valid = [s[-1:] if len(s) > 1 else s[:0] for s in whole]
        test = [np.unique(line(row)) for row in test_rows] + [np.zeros(0, np.int32)] * (
            len(rows) - len(test_rows)
        )
        test = [t if len(d) else t[:0] for t, d in zip(test, whole, strict=True)]
        return Quad(fitted, valid, whole, test)
    every = [line(row) for row in rows]
    fitted = [s[:-2] if len(s) > 2 else s[:-1] for s in every]
    valid = [s[-2:-1] if len(s) > 2 else s[:0] for s in every]
    return Quad(fitted, valid, [s[:-1] for s in every], [s[-1:] if len(s) > 1 else s[:0] for s in every])


def hide_items(quad: Quad, n_items: int, share: float, seed: int) -> Quad:
    """Take two draws of items out of every training sequence; want one in validation and the other in the test."""
    order = np.random.default_rng(seed).permutation(n_items)
    size = max(1, round(share * n_items))
    test, valid = np.zeros(n_items, bool), np.zeros(n_items, bool)
    test[order[:size]], valid[order[size : 2 * size]] = True, True
    hidden = test | valid
    fit = [s[~hidden[s]] for s in quad.fit]
    # The model is fitted once, on what neither draw touches; the test's histories hold no hidden item either.
    whole = [s[~hidden[s]] for s in quad.whole]
    wanted = [t[valid[t]] if len(f) else t[:0] for t, f in zip(quad.valid, fit, strict=True)]
    asked = [t[test[t]] if len(f) else t[:0] for t, f in zip(quad.test, whole, strict=True)]
    return Quad(fit, wanted, whole, asked)


def _side(
    task: Task, items: dict[str, int], progress: Callable[[str], None]
) -> tuple[Side, NDArray[np.int32], tuple[str, ...]]:
    """Side information, ``category_of (n_items,)`` and the names of what may leak; new items join the catalogue."""
    texts, categories, other, own = (
        read_products(task.products, items) if task.products is not None else ([], [], {}, None)
    )
    n = len(items)
    vectors, features = {}, {}
    if any(texts):
        vectors["text"] = encode_texts(texts + [""] * (n - len(texts)), task.cache, progress)
    for name, path in task.vectors:
        vectors[name] = read_vectors(path, items)
    if task.attributes is not None:
        features["attributes"] = read_attributes(task.attributes, items)
    leaky = []
    if task.graph is None and own is not None and own.shape[1]:
        features["graph"] = sp.vstack(
            [own, sp.csr_matrix((n - own.shape[0], own.shape[1]), dtype=np.float32)]
        ).tocsr()
    if task.graph is not None:
        progress("graph")
        sound, doubtful = read_graph(task.graph, items, other)
        if sound.shape[1]:
            features["graph"] = sound
        if doubtful.shape[1]:
            features["graph of deeds"] = doubtful
            leaky.append("graph of deeds")
    from wares.features.catalogue import codes

    category = codes(categories)[0] if categories else np.full(n, -1, np.int32)
    return Side(vectors, features, apart=frozenset(features) - {"attributes"}), category, tuple(leaky)


def read_texts(path: Path, items: dict[str, int]) -> tuple[list[str], list[str], dict[str, str]]:
    """The first three of `read_products`."""
    return read_products(path, items)[:3]


def read_products(
    path: Path, items: dict[str, int]
) -> tuple[list[str], list[str], dict[str, str], sp.csr_matrix | None]:
    """(text, category) by item; for graphs that use them, other ids of a product → its item id; the file's own graph.

    The own graph is None where the file has none of the usual columns to make one from.
    """
    config = SourceConfig.model_validate({"as": "products", "path": str(path)})
    table = pa.concat_tables([c.table for c in read_file(path, config) if c.table.num_columns])
    names = table.column_names
    key = "item_id" if "item_id" in names else guess(names, "products").get("product_id", names[0])
    mapping = guess([n for n in names if n != key], "products")
    ids = text_of(table[key]).to_pylist()
    other: dict[str, str] = {}
    for name in names:
        if name != key and name.lower() in ("asin", "sku", "product_id"):
            other.update(zip(text_of(table[name]).to_pylist(), ids, strict=True))
    for item in ids:
        items.setdefault(item, len(items))
    chosen = {
        ours: mapping[ours] for ours in ("title", "brand", "category", "description") if ours in mapping
    }
    usual = bool(chosen)
    if not usual:
        chosen = {n: n for n in names if n != key and n not in ("asin", "sku", "product_id")}
    cells = {ours: text_of(table[theirs]).to_pylist() for ours, theirs in chosen.items()}
    parts = template_parts(". ".join(f"{{{name}}}" for name in chosen))
    texts, categories = [""] * len(items), [""] * len(items)
    for row, item in enumerate(ids):
        texts[items[item]] = plain(fill(parts, {name: column[row] for name, column in cells.items()}))[:2000]
        if "category" in cells:
            categories[items[item]] = cells["category"][row] or ""
    own = own_graph(cells, [items[item] for item in ids], len(items)) if usual else None
    return texts, categories, other, own


def encode_texts(
    texts: list[str], cache: Path | None, progress: Callable[[str], None]
) -> NDArray[np.float32]:
    """Sentence vectors, zeros where there is no text; kept in `cache` by the texts' hash."""
    kept = None if cache is None else cache / f"text-{digest(texts)}.npy"
    if kept is not None and kept.is_file():
        return np.load(kept, allow_pickle=False)
    from wares.features.encoder import TextEncoder
    from wares.features.encoder_train import export_encoder

    unique = sorted(set(texts) - {""})
    progress("encode")
    with tempfile.TemporaryDirectory() as scratch:
        export_encoder(Encoder.model_validate({}), Path(scratch))
        encoder = TextEncoder(Path(scratch))
        vectors = encoder.encode(unique, progress=lambda done: progress(f"encode {done}/{len(unique)}"))
    place = {text: i for i, text in enumerate(unique)}
    out = np.zeros((len(texts), vectors.shape[1]), np.float32)
    there = np.array([bool(t) for t in texts])
    out[there] = vectors[[place[t] for t in texts if t]]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, out, allow_pickle=False)
    return out


def scaled(sims: NDArray[Any]) -> NDArray[np.float16]:
    """Cosines as evidence: what unrelated texts have (0.3) counts nothing."""
    return np.clip((np.asarray(sims, np.float32) - 0.3) / 0.7, 0, 1).astype(np.float16)
