"""``wares bench recommend``: seconds and memory of a fit, and requests a second, beside other libraries in the same run.

Every model of every size is fitted in a process of its own, in turns, on the same generated shop: customers who buy
from one of many circles of products, popular ones more often. A peer that is not installed is left out and named.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.errors import ModelError, QueryError
from wares.core.machine import peak_rss

CIRCLE = 40
LENGTH = 8
ASKED = 200
PATIENCE = 20.0
"""Seconds after which no further list is asked for."""
OURS = ("popular", "knn", "ease", "next", "ials")
PEERS = {"implicit cosine": "implicit", "implicit als": "implicit", "rectools ease": "rectools"}
DENSE = 20_000
LOWRANK = 300_000
"""Above it the factorised form would need more than about 3 GB."""


def shop(n_items: int, n_users: int, seed: int) -> list[NDArray[np.int32]]:
    """Sequences of about eight items: a walk with leaps within a circle of 40, by popularity within the circle."""
    rng = np.random.default_rng(seed)
    circles = max(1, n_items // CIRCLE)
    lengths = 3 + rng.poisson(LENGTH - 3, n_users)
    total = int(lengths.sum())
    place = np.minimum(rng.zipf(1.4, total) - 1, CIRCLE - 1)
    circle = np.repeat(rng.permutation(n_users) % circles, lengths)
    stray = rng.random(total) < 0.1
    circle[stray] = rng.integers(0, circles, int(stray.sum()))
    items = np.minimum(circle * CIRCLE + place, n_items - 1).astype(np.int32)
    return np.split(items, np.cumsum(lengths)[:-1])


def measure(model: str, n_items: int, n_users: int, seed: int) -> dict[str, Any]:
    """Fit one model here and now: seconds, peak memory in MB over what the data took, and lists of 20 a second.

    ``requests_per_s`` asks for one list after another, as a page does; ``batch_per_s`` for all at once, as a mailing does.
    """
    sequences = shop(n_items, n_users, seed)
    before = peak_rss() / 2**20
    begun = time.perf_counter()
    ask = _fit(model, sequences, n_items, seed)
    fitted = time.perf_counter() - begun
    peak = peak_rss() / 2**20
    some = [np.unique(s)[-LENGTH:].astype(np.int32) for s in sequences[:ASKED]]
    ask(some[:1])
    begun = time.perf_counter()
    asked = 0
    for at in range(len(some)):
        ask(some[at : at + 1])
        asked += 1
        if time.perf_counter() - begun > PATIENCE:
            break
    spent = time.perf_counter() - begun
    begun = time.perf_counter()
    ask(some)
    batch = time.perf_counter() - begun
    return {
        "model": model, "items": n_items, "users": n_users, "fit_s": round(fitted, 2), "peak_mb": round(peak, 1),
        "data_mb": round(before, 1), "requests_per_s": round(asked / spent, 1), "batch_per_s": round(len(some) / batch, 1),
    }  # fmt: skip


def _fit(
    model: str, sequences: list[NDArray[np.int32]], n_items: int, seed: int
) -> Callable[[Sequence[NDArray[np.int32]]], Any]:
    """What ranks some of the first histories of the sequences."""
    from wares.models.recommend.draft import Draft
    from wares.models.recommend.ensemble import fit_part
    from wares.models.recommend.parts import query_matrix

    if model not in (*OURS, *PEERS):
        raise QueryError(
            f"there is no model {model!r}", mend=f"Choose of {', '.join((*OURS, *PEERS))}", parameter="model"
        )
    if model in OURS:
        part = fit_part(model, sequences, n_items, seed=seed)
        return lambda histories: Draft.of(part, histories, n_items, c=20)
    if model == "rectools ease":
        return _rectools(sequences)
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import CosineRecommender

    matrix: Any = query_matrix(sequences, n_items, 1.0, longest=10**6)
    # implicit warns of its own conversion of a matrix, and of BLAS threads inside its own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer: Any = CosineRecommender(K=200)
        if model == "implicit als":
            peer = AlternatingLeastSquares(factors=128, iterations=12, random_state=seed)
        peer.fit(matrix, show_progress=False)
    fold = model == "implicit als"

    def ask(histories: Sequence[NDArray[np.int32]]) -> Any:
        ptr = np.concatenate([[0], np.cumsum([len(h) for h in histories])])
        items = np.concatenate(histories)
        rows = sp.csr_matrix((np.ones(len(items), np.float32), items, ptr), shape=(len(histories), n_items))
        return peer.recommend(np.arange(len(histories)), rows, N=20, recalculate_user=fold)

    return ask


def _rectools(sequences: list[NDArray[np.int32]]) -> Callable[[Sequence[NDArray[np.int32]]], Any]:
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    users = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    frame = pd.DataFrame(
        {
            Columns.User: users,
            Columns.Item: np.concatenate(sequences),
            Columns.Weight: 1.0,
            Columns.Datetime: "2025-01-01",
        }
    )
    data = Dataset.construct(frame.drop_duplicates([Columns.User, Columns.Item]))
    model = EASEModel(regularization=100.0)
    model.fit(data)

    # It knows users by their number only, so the first ones are asked for: as many, with histories as long.
    def ask(histories: Sequence[NDArray[np.int32]]) -> Any:
        return model.recommend(users=list(range(len(histories))), dataset=data, k=20, filter_viewed=True)

    return ask


def plan(sizes: Sequence[int]) -> list[tuple[str, int]]:
    """(model, items) in the order of the runs; what a size is too large for is left out."""
    out = []
    for size in sizes:
        models = [m for m in OURS if m != "ease" or size <= LOWRANK]
        models += [
            p
            for p, module in PEERS.items()
            if importlib.util.find_spec(module) and (p != "rectools ease" or size <= DENSE)
        ]
        out += [(m, size) for m in models]
    return out


def cost(
    sizes: Sequence[int],
    users: float,
    rounds: int,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    *,
    limit_s: float = 1200.0,
    seen: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """All models of all sizes, `rounds` times in turns; ``rows`` hold medians, ``ratios`` each peer's to ours.

    A run that fails or takes longer than `limit_s` stands in ``failed`` with its reason and the others go on; `seen` is
    told each run as it ends.

    Raises:
        ModelError: when no run at all succeeds; it says why the first did not.
    """
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    failed: dict[tuple[str, int], dict[str, Any]] = {}
    for turn in range(rounds):
        for model, size in plan(sizes):
            if (model, size) in failed:
                continue
            progress(f"{model} with {size:,} items, round {turn + 1}")
            run, fault = _apart(model, size, max(50, int(size * users)), seed, limit_s)
            if run is None:
                failed[model, size] = {"model": model, "items": size, "reason": fault}
                seen(failed[model, size])
                continue
            seen(run)
            runs.setdefault((model, size), []).append(run)
    if failed and not runs:
        first = next(iter(failed.values()))
        raise ModelError(
            f"{first['model']} with {first['items']:,} items: {first['reason']}",
            mend="Leave the size out, or free memory",
        )
    rows = []
    for held in runs.values():
        row = dict(held[0])
        for name in ("fit_s", "peak_mb", "requests_per_s", "batch_per_s"):
            values = [h[name] for h in held]
            row[name] = float(np.median(values))
            row[f"{name}_range"] = [min(values), max(values)]
        rows.append(row)
    return {
        "rows": rows, "ratios": _ratios(rows), "failed": list(failed.values()), "rounds": rounds, "seed": seed,
        "left_out": sorted({m for m in PEERS.values() if importlib.util.find_spec(m) is None}),
    }  # fmt: skip


def _apart(model: str, size: int, users: int, seed: int, limit_s: float) -> tuple[dict[str, Any] | None, str]:
    """One measurement in a process of its own, or why there is none."""
    call = f"import json; from wares.evaluate.cost import measure; print(json.dumps(measure({model!r}, {size}, {users}, {seed})))"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", call], capture_output=True, text=True, check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"took longer than {limit_s:,.0f} s"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["killed, probably for want of memory"])[-1]
    return json.loads(done.stdout.strip().splitlines()[-1]), ""


def _ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peer's seconds and memory over ours, and our lists a second over the peer's, for models of one kind."""
    held = {(r["model"], r["items"]): r for r in rows}
    pairs = (("knn", "implicit cosine"), ("ials", "implicit als"), ("ease", "rectools ease"))
    out = []
    for ours, peer in pairs:
        for (model, size), row in held.items():
            if model == ours and (peer, size) in held:
                other = held[peer, size]
                out.append(
                    {
                        "ours": ours, "peer": peer, "items": size,
                        "fit": round(other["fit_s"] / max(row["fit_s"], 1e-9), 2),
                        "requests": round(row["requests_per_s"] / max(other["requests_per_s"], 1e-9), 2),
                        "batch": round(row["batch_per_s"] / max(other["batch_per_s"], 1e-9), 2),
                        "memory": round(other["peak_mb"] / max(row["peak_mb"], 1e-9), 2),
                    }
                )  # fmt: skip
    return out
