from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from wares.core.config import Recommend
from wares.core.errors import DataError, NotFitted, WaresError
from wares.features.interactions import Interactions
from wares.models.recommend import learn as learning
from wares.models.recommend.alike import ASKING, LEADS, LISTS, Alike, AlikeSide
from wares.models.recommend.history import History
from wares.models.recommend.infer import Recommender
from wares.models.recommend.moments import DAY
from wares.models.recommend.moments import LEADS as ALL
from wares.models.recommend.train import TextSide, fit, history_of
from wares.models.recommend.tune import Window, tune

DECAYS = (10.0, 1000.0)
N, USERS = 200, 180


def lists(rows: list[int], ids: list[list[list[int]]], sims: list[list[list[float]]]) -> AlikeSide:
    return AlikeSide(np.array(rows, np.int32), np.array(ids, np.int32), np.array(sims, np.float16))


SMALL = lists(
    [0, 2],
    [[[1, 3], [4, -1], [-1, -1]], [[3, -1], [-1, -1], [5, 0]]],
    [[[0.8, 0.2], [0.5, 0.0], [0.0, 0.0]], [[0.4, 0.0], [0.0, 0.0], [0.6, 0.3]]],
)


def history(items: list[int], query: list[float]) -> History:
    n = len(items)
    weight, at = np.array(query, np.float32), np.full(n, 10 * DAY, np.int64)
    return History(
        np.array(items, np.int32), weight, weight, np.ones(n, np.int32), at, at, np.repeat(weight[:, None], 2, 1),
        np.array([10], np.int32), 11 * DAY,
    )  # fmt: skip


@pytest.fixture
def small(tmp_path) -> Alike:
    SMALL.save(tmp_path, 6)
    return Alike(tmp_path)


def test_lists_ask_with_the_weight_of_what_was_done(small):
    found = small.drawn(
        np.array([0, 2], np.int32), np.array([1.0, 2.0], np.float32), np.array([0, 2], np.int32)
    )
    assert found is not None
    scaled = found.sums * found.scale[:, None]
    assert found.total == pytest.approx(scaled.sum(0), abs=1e-6)
    # Product 3 by .2 · 1 + .4 · 2 = 1 is the best of its kind, product 1 has .8 of that; the pads give nothing.
    assert scaled[0] == pytest.approx([0, 0.8, 0, 1, 0, 0], abs=1e-3)
    assert scaled[1] == pytest.approx([0, 0, 0, 0, 1, 0], abs=1e-3)
    # What was had (0, by .3 · 2) sets no scale.
    assert scaled[2] == pytest.approx([0.5, 0, 0, 0, 0, 1], abs=1e-3)
    assert set(found.ids.tolist()) == {0, 1, 3, 4, 5}
    ids = np.array([0, 1, 2, 3], np.int32)
    leads = small.leads(found, ids, np.array([0, -1, 1, -1]))
    assert leads.shape == (4, len(LEADS))
    assert leads[:, 0] == pytest.approx([0.5, 0.8, 0, 1], abs=1e-3)
    assert np.isnan(leads[2, -1])
    assert leads[[3, 1, 0], -1] == pytest.approx(np.log1p([0, 1, 2]))


def test_who_did_nothing_listed_is_drawn_nothing(small):
    assert small.drawn(np.array([1, 5], np.int32), np.ones(2, np.float32), np.array([1, 5], np.int32)) is None
    nothing = np.zeros(0, np.int32)
    assert small.drawn(nothing, np.zeros(0, np.float32), nothing) is None


def test_the_thing_that_speaks_most_is_the_reason(small):
    found = small.evidence(np.array([3, 4, 5], np.int32), history([0, 2], [1.0, 2.0]))
    assert found == {3: (2, "similar"), 4: (0, "instead"), 5: (2, "goes_with")}
    assert small.evidence(np.array([3], np.int32), history([1], [1.0])) == {}
    assert small.evidence(np.zeros(0, np.int32), history([0], [1.0])) == {}
    assert small.evidence(np.array([3], np.int32), History.empty()) == {}


def test_lists_that_are_none_are_refused():
    ids, sims = SMALL.ids, SMALL.sims
    with pytest.raises(DataError, match="shapes"):
        AlikeSide(SMALL.rows, ids[:, :2], sims[:, :2])
    with pytest.raises(DataError, match="shapes"):
        AlikeSide(SMALL.rows, ids, sims[:, :, :1])
    with pytest.raises(DataError, match="NaN"):
        AlikeSide(SMALL.rows, ids, np.where(sims > 0.7, np.nan, sims))


# -- the gate ------------------------------------------------------------------------------------------------------


def partners(seed: int = 2) -> np.ndarray:
    """A product that each product leads to, the same both ways, drawn at random."""
    order = np.random.default_rng(seed).permutation(N)
    out = np.empty(N, np.int64)
    out[order[::2]], out[order[1::2]] = order[1::2], order[::2]
    return out


def told(partner: np.ndarray, seed: int = 4) -> list[tuple[int, int, int]]:
    """(user, product, day): every third day something drawn at random; now and then the partner of it 10 to 25 days on."""
    rng = np.random.default_rng(seed)
    events: list[tuple[int, int, int]] = []
    for user in range(USERS):
        for day in range(user % 3, 140, 5):
            item = int(rng.integers(N))
            events.append((user, item, day))
            if rng.random() < 0.35:
                events.append((user, int(partner[item]), day + int(rng.integers(8, 25))))
    return events


def seen(events: list[tuple[int, int, int]], now: int) -> Interactions:
    pairs: dict[tuple[int, int], list[int]] = {}
    for user, item, day in events:
        if day < now:
            pairs.setdefault((user, item), []).append(day)
    keys = sorted(pairs)
    when = [np.array(pairs[key]) for key in keys]
    days: list[set[int]] = [set() for _ in range(USERS)]
    for user, _, day in events:
        if day < now:
            days[user].add(day)
    visits = [sorted(some) for some in days]
    count = np.array([len(w) for w in when])
    return Interactions(
        N, np.r_[0, np.cumsum(np.bincount([u for u, _ in keys], minlength=USERS))].astype(np.int64),
        np.array([i for _, i in keys], np.int32), count.astype(np.float32), count.astype(np.int32),
        np.array([w.max() * DAY for w in when], np.int64),
        np.array([[(0.5 ** ((now - w) / d)).sum() for d in DECAYS] for w in when], np.float32), DECAYS, now * DAY, False,
        np.array([w.min() * DAY for w in when], np.int64), np.r_[0, np.cumsum([len(v) for v in visits])].astype(np.int64),
        np.array([d for v in visits for d in v], np.int32),
    )  # fmt: skip


def window(events: list[tuple[int, int, int]], now: int) -> Window:
    data = seen(events, now)
    after: list[list[int]] = [[] for _ in range(USERS)]
    for user, item, day in events:
        if now <= day < now + 10:
            after[user].append(item)
    truth = [np.unique(some).astype(np.int32) for some in after]
    return Window(data, truth, data.item_counts().astype(np.float32))


CONFIG = Recommend.model_validate(
    {"regularisation": [100.0], "min_support": 1, "model": "ease", "repeat": "exclude"}
)
CATEGORY = np.zeros(N, np.int32)


def side_of(partner: np.ndarray) -> AlikeSide:
    ids = np.full((N, len(LISTS), 2), -1, np.int32)
    ids[:, 2, 0] = partner
    return AlikeSide(np.arange(N, dtype=np.int32), ids, np.where(ids >= 0, 0.9, 0).astype(np.float16))


@pytest.fixture(scope="module")
def shop():
    """A shop in which everything leads to its partner, told only by few: (partner, events, windows)."""
    partner = partners()
    events = told(partner)
    return partner, events, [window(events, now) for now in (120, 110, 100)]


def tuned(shop, side: AlikeSide | None, folder, monkeypatch):
    monkeypatch.setattr(learning, "LEAST_BOUGHT", 50)
    # The plain blend is no rival here: what is asked is which candidates and features are taken.
    monkeypatch.setattr(learning, "KINDS", ("log-loss",))
    now, *earlier = shop[2]
    return tune(
        now.data, now.truth, now.popular, TextSide.none(N), CATEGORY, CONFIG, earlier=earlier, alike=side, folder=folder,
        threads=1,
    )  # fmt: skip


def test_lists_that_tell_what_comes_stay_and_serve(shop, tmp_path, monkeypatch):
    side = side_of(shop[0])
    params = tuned(shop, side, tmp_path, monkeypatch)
    gate = params.learned["alike"]
    assert gate["kept"]
    assert gate["explore_ndcg@10 with"] > gate["explore_ndcg@10 without"] + 1.9 * gate["gain_error"]
    data = seen(shop[1], 130)
    recommenders = []
    for number, given in enumerate((side, None)):
        place = tmp_path / f"model{number}"
        fit(
            data, data.item_counts().astype(np.float32), TextSide.none(N), CATEGORY, params, CONFIG, place,
            trees=tmp_path, alike=given,
        )  # fmt: skip
        recommenders.append(Recommender(place))
    ranker, without = recommenders
    assert without.alike is None
    mine = history_of(data, 3, params)
    found = ranker.candidates(mine)
    asking = mine.items[np.argsort(-mine.query, kind="stable")[: ASKING // 2]]
    drawn = np.setdiff1d(shop[0][asking], mine.items)
    assert np.isin(drawn, found.items).all()
    at = ALL.index("goes_with")
    assert (found.leads[np.isin(found.items, drawn), at] > 0).all()
    assert np.nanmax(found.leads[:, ALL.index("alike")]) == pytest.approx(1)
    assert np.isnan(without.candidates(mine).leads[:, at]).all()
    wanted = window(shop[1], 130).truth
    hits = [
        np.mean(
            [
                np.isin(model.rank(history_of(data, u, params), 10).items, wanted[u]).sum()
                for u in range(USERS)
                if len(wanted[u])
            ]
        )
        for model in recommenders
    ]
    assert hits[0] > 1.3 * hits[1]


@pytest.fixture
def gates(monkeypatch) -> list[tuple[int, dict]]:
    """From how many moments each gate learned, and what it said: also where the plain blend is kept in the end."""
    said: list[tuple[int, dict]] = []
    whole = learning._gate_alike

    def gate(trained, *rest):
        about, use, raw = whole(trained, *rest)
        said.append((len(trained), about))
        return about, use, raw

    monkeypatch.setattr(learning, "_gate_alike", gate)
    return said


def test_lists_that_tell_nothing_are_left_out(shop, tmp_path, monkeypatch, gates):
    tuned(shop, side_of(partners(seed=99)), tmp_path, monkeypatch)
    ((moments, gate),) = gates
    assert moments == 2
    assert not gate["kept"]
    assert gate["explore_ndcg@10 with"] <= gate["explore_ndcg@10 without"] + 2 * gate["gain_error"]


def test_without_lists_the_gate_says_so(shop, tmp_path, monkeypatch, gates):
    tuned(shop, None, tmp_path, monkeypatch)
    assert gates == [(2, {"kept": False, "why": "there are none"})]


# -- nobody to learn from ------------------------------------------------------------------------------------------


def test_no_rows_at_all_is_an_error_with_a_mend():
    with pytest.raises(NotFitted, match="nobody to learn") as caught:
        learning._examples([])
    assert isinstance(caught.value, WaresError)
    assert caught.value.mend


@pytest.mark.parametrize(("empty", "learned_from"), [([1], [1]), ([1, 2], [])])
def test_a_moment_at_which_nobody_did_anything_is_passed_over(
    shop, tmp_path, monkeypatch, gates, empty, learned_from
):
    windows = [
        dataclasses.replace(one, truth=[np.zeros(0, np.int32)] * USERS) if i in empty else one
        for i, one in enumerate(shop[2])
    ]
    params = tuned((shop[0], shop[1], windows), None, tmp_path, monkeypatch)
    assert [moments for moments, _ in gates] == learned_from
    assert params.validation["users"] > 0
    if not learned_from:
        assert params.learned == {}
