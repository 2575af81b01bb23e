"""Shoppers never seen: how good are the first lists, after no deed, one, two, three, five, and after first picks?

A share of the shoppers, by hash, is taken out of training whole: out of the interactions, the popularity and the
segments. Each is then met as a newcomer at the start of the window: the first n different products of the window are
what is known, the rest is wanted. Lists come from the model that a shop serves (`Recommender`) and the history that it
makes (`History`). Beside it stands the same list with the segment of the first deeds as a prior, whose weight is chosen
on the window before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.evaluate.metrics import bootstrap, per_user
from wares.features.interactions import Interactions
from wares.models.recommend.infer import History, Recommender
from wares.models.recommend.onboarding_infer import POOL, cover
from wares.models.recommend.segments_train import popularity, segments_of, set_apart, tops_of

Lists = list[NDArray[np.int32]]
SHARE = 5
RESAMPLES = 1000
AFTER = (0, 1, 2, 3, 5)
SHOWN = 24
PRIORS = (0.0, 0.5, 2.0, 8.0)
MOST = 1000


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Users unseen: for each, distinct items of the window in order ``sequences``, and what they ever took before it
    (only to simulate picks)."""

    sequences: list[NDArray[np.int32]]
    earlier: list[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the shop knows of others: the model in `folder`, recent pairs of user and item, categories."""

    model: Recommender
    popular: NDArray[np.float32]
    segment_of: NDArray[np.int32]
    names: list[str]
    top_of: NDArray[np.int64]
    ids: NDArray[np.int32]
    shares: NDArray[np.float32]
    vectors: NDArray[np.float32]
    usual: NDArray[np.float64]
    as_of: int
    decays: int


def unseen(users: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """One in `SHARE` of the shoppers, by hash ``(n_users,)``."""
    return np.array(
        [
            hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=4).digest()[0] % SHARE == 0
            for name in users
        ],
        bool,
    )


def knowledge(
    model: Recommender,
    data: Interactions,
    recent: tuple[NDArray[np.int64], NDArray[np.int64]],
    categories: Sequence[str],
    vectors: NDArray[np.float32],
) -> Known:
    """Segments and popularity from shoppers that may be known; `recent` are rows of users and items of the last days."""
    top_of, names = tops_of(categories)
    n = len(categories)
    segment_of = segments_of(data, top_of, len(names)) if names else np.full(data.n_users, -1, np.int32)
    users, items = recent
    ids, shares = popularity(segment_of, users, items, len(names), n)
    kind = top_of[data.items]
    usual = np.bincount(kind[kind >= 0], minlength=len(names)) / max(int((kind >= 0).sum()), 1)
    popular = np.bincount(items, minlength=n).astype(np.float32)
    return Known(
        model,
        popular,
        segment_of,
        names,
        top_of,
        ids,
        shares,
        vectors,
        usual,
        data.as_of,
        data.decayed.shape[1],
    )


def first_segment(known: Known, items: NDArray[np.int32]) -> int:
    """The segment that a few deeds speak for, as in training; -1 when they speak for none."""
    kind = known.top_of[items]
    kind = kind[kind >= 0]
    if not len(kind):
        return -1
    return int(np.argmax(set_apart(np.bincount(kind, minlength=len(known.names)), known.usual)))


def ranked(known: Known, items: NDArray[np.int32], prior: float, decay: float, k: int) -> NDArray[np.int32]:
    """The list for a newcomer; with a `prior` above zero the segment of the deeds has a share prior / (prior + n)."""
    history = History.of_visit(items, decay, known.as_of, known.decays) if len(items) else History.empty()
    if prior <= 0 or not len(items) or (segment := first_segment(known, items)) < 0:
        return known.model.rank(history, k, repeats=False).items
    found = known.model.rank(history, MOST, diversity=0.0, repeats=False)
    scores = found.scores.astype(np.float64)
    scores = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-9) if len(scores) else scores
    weight = prior / (prior + len(items))
    total = np.zeros(len(known.popular))
    total[found.items] = (1 - weight) * scores
    mine = known.ids[segment]
    there = mine >= 0
    total[mine[there]] += (
        weight * known.shares[segment][there] / max(float(known.shares[segment].max()), 1e-9)
    )
    total[items] = -1
    best = np.lexsort((np.arange(len(total)), -total))[:k]
    return best[total[best] > 0].astype(np.int32)


def figures(
    known: Known,
    newcomers: Newcomers,
    prior: float,
    decay: float,
    after: Sequence[int] = AFTER,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """``after{n}_ndcg@10`` and ``after{n}_recall@20`` of what is served, ``after{n}_ahead_low`` and ``_high`` how far its
    NDCG@10 is ahead of popularity (95%, paired), ``inferred_`` with a segment inferred,
    ``popular_`` and ``segment_`` (popularity by segment), and ``picks{n}_…`` where n first picks out of `SHOWN` onboarding products are known.

    All are asked of the same shoppers: those with more than the most deeds that are revealed. What was revealed is
    neither listed nor wanted.
    """
    some = [s for s in newcomers.sequences if len(s) > max(after)]
    out: dict[str, float] = {"newcomers": float(len(some))}
    if not some:
        return out
    pop = np.lexsort((np.arange(len(known.popular)), -known.popular))[: 20 + max(after)].astype(np.int32)
    for n in after:
        progress(f"after {n}")
        seen, truth = [s[:n] for s in some], [s[n:] for s in some]
        ways = {
            "": [ranked(known, s, 0.0, decay, 20) for s in seen],
            "inferred_": [ranked(known, s, prior, decay, 20) for s in seen],
            "popular_": [without(pop, s) for s in seen],
            "segment_": [without(_by_segment(known, s, pop), s) for s in seen],
        }
        for name, lists in ways.items():
            out |= _measured(f"{name}after{n}", lists, truth)
        low, high = _apart(ways[""], ways["popular_"], truth)
        out |= {f"after{n}_ahead_low": low, f"after{n}_ahead_high": high}
    shown = onboarding(known)
    for n in (k for k in after if k):
        picked = [
            (shown[np.isin(shown, early)][:n], s)
            for early, s in zip(newcomers.earlier, newcomers.sequences, strict=True)
            if len(s) and np.isin(shown, early).sum() >= n
        ]
        if picked:
            progress(f"picks {n}")
            wanted = [s[~np.isin(s, p)] for p, s in picked]
            ours = [ranked(known, p.astype(np.int32), 0.0, 1.0, 20) for p, _ in picked]
            out |= _measured(f"picks{n}", ours, wanted)
            out |= _measured(f"popular_picks{n}", [without(pop, p) for p, _ in picked], wanted)
            out[f"picks{n}_newcomers"] = float(len(picked))
    return out


def onboarding(known: Known) -> NDArray[np.int32]:
    """The `SHOWN` products that a newcomer is asked about."""
    pool = np.lexsort((np.arange(len(known.popular)), -known.popular))[:POOL]
    pool = pool[known.popular[pool] > 0]
    order = cover(known.popular[pool], known.vectors[pool], known.top_of[pool].astype(np.int32), SHOWN)
    return pool[order].astype(np.int32)


def without(items: NDArray[np.int32], seen: NDArray[Any]) -> NDArray[np.int32]:
    """Twenty of a list, without what was seen."""
    return items[~np.isin(items, seen)][:20]


def _by_segment(known: Known, seen: NDArray[np.int32], popular: NDArray[np.int32]) -> NDArray[np.int32]:
    segment = first_segment(known, seen)
    if segment < 0:
        return popular
    ids = known.ids[segment]
    return ids[ids >= 0]


def _wide(lists: Lists) -> NDArray[np.int32]:
    """Twenty places of each list, -1 beyond."""
    wide = np.full((len(lists), 20), -1, np.int32)
    for row, found in enumerate(lists):
        wide[row, : len(found[:20])] = found[:20]
    return wide


def _measured(name: str, lists: Lists, truth: Lists) -> dict[str, float]:
    values = per_user(_wide(lists), truth, (10, 20))
    return {f"{name}_{m}": float(np.nanmean(values[m])) for m in ("ndcg@10", "recall@20", "hr@10")}


def _apart(ours: Lists, theirs: Lists, truth: Lists) -> tuple[float, float]:
    """95% interval of how far our NDCG@10 is ahead, shopper by shopper."""
    one, other = (per_user(_wide(lists), truth, (10,))["ndcg@10"] for lists in (ours, theirs))
    return bootstrap(one - other, RESAMPLES, 7)


def choose_prior(known: Known, newcomers: Newcomers, decay: float) -> tuple[float, dict[str, float]]:
    """The prior with the best mean NDCG@10 after 1, 2, 3 and 5 deeds, and what each gave; on validation."""
    tried: dict[str, float] = {}
    some = [s for s in newcomers.sequences if len(s) > max(AFTER)]
    for prior in PRIORS:
        reached = [
            _measured("", [ranked(known, s[:n], prior, decay, 20) for s in some], [s[n:] for s in some])
            for n in AFTER
            if n and some
        ]
        tried[str(prior)] = float(np.mean([one["_ndcg@10"] for one in reached])) if reached else 0.0
    best = max(PRIORS, key=lambda p: (tried[str(p)], -p))
    return best, tried
