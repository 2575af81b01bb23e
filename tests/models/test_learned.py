from __future__ import annotations

import numpy as np
import pytest

from wares.core.config import Recommend
from wares.core.errors import IncompatibleArtifact, ModelError
from wares.features.interactions import Interactions
from wares.features.trees import Trees
from wares.features.trees_build import raw_scores, save_trees
from wares.models.recommend import learn as learning
from wares.models.recommend.facts import Products, drawn, facts_of, prices_at
from wares.models.recommend.forest_train import Examples, grow
from wares.models.recommend.history import History
from wares.models.recommend.infer import Recommender
from wares.models.recommend.moments import (
    DAY,
    FACTS,
    LEADS,
    Items,
    Shopper,
    explore_features,
    names_explore,
    names_repeat,
    repeat_features,
)
from wares.models.recommend.near_train import near_shoppers
from wares.models.recommend.train import GraphSide, TextSide, fit, history_of
from wares.models.recommend.tune import Window, tune

DECAYS = (10.0, 1000.0)


def seen(events: list[tuple[int, int, float]], n_users: int, n_items: int, now: float) -> Interactions:
    """Interactions of (user, item, day) before the day `now`."""
    rows: dict[tuple[int, int], list[float]] = {}
    days: dict[int, set[int]] = {u: set() for u in range(n_users)}
    for user, item, day in events:
        if day < now:
            rows.setdefault((user, item), []).append(day)
            days[user].add(int(day))
    pairs = sorted(rows)
    sizes = np.bincount([u for u, _ in pairs], minlength=n_users)
    when = [np.array(rows[p]) for p in pairs]
    visits = [sorted(days[u]) for u in range(n_users)]
    return Interactions(
        n_items,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([i for _, i in pairs], np.int32),
        np.array([len(w) for w in when], np.float32),
        np.array([len(w) for w in when], np.int32),
        np.array([w.max() * DAY for w in when]).astype(np.int64),
        np.array([[(0.5 ** ((now - w) / d)).sum() for d in DECAYS] for w in when], np.float32).reshape(-1, 2),
        DECAYS,
        int(now * DAY),
        False,
        np.array([w.min() * DAY for w in when]).astype(np.int64),
        np.concatenate([[0], np.cumsum([len(v) for v in visits])]).astype(np.int64),
        np.array([d for v in visits for d in v], np.int32),
    )


N = 180


def rhythm(users: int = 150, days: int = 140, seed: int = 5) -> list[tuple[int, int, float]]:
    """Shoppers of three tastes of 60 products; each buys six of a taste every 12 to 48 days, and now and then another."""
    rng = np.random.default_rng(seed)
    events: list[tuple[int, int, float]] = []
    for user in range(users):
        own = rng.choice(60, 6, replace=False) + 60 * (user % 3)
        for item, every in zip(own.tolist(), (12, 18, 24, 30, 36, 48), strict=True):
            day = float(rng.uniform(0, every))
            while day < days:
                events.append((user, item, day))
                day += every * float(rng.uniform(0.9, 1.1))
        for day in rng.uniform(0, days, 30):
            events.append((user, int(60 * rng.random() ** 2) + 60 * (user % 3), float(day)))
    return events


def truth_of(events, n_users: int, since: float, until: float) -> list[np.ndarray]:
    return [
        np.unique([i for u, i, d in events if u == user and since <= d < until]).astype(np.int32)
        for user in range(n_users)
    ]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Parameters, trees and data of the rhythmical shop, tuned on the window before day 130."""
    events, folder = rhythm(), tmp_path_factory.mktemp("tuned")
    category = (np.arange(N) // 60).astype(np.int32)
    windows = []
    for now in (120.0, 110.0, 100.0):
        data = seen(events, 150, N, now)
        windows.append(
            Window(data, truth_of(events, 150, now, now + 10), data.item_counts().astype(np.float32))
        )
    patch = pytest.MonkeyPatch()
    patch.setattr(learning, "LEAST_BOUGHT", 100)
    config = Recommend.model_validate({"regularisation": [10.0], "min_support": 1, "model": "ease"})
    now, *earlier = windows
    params = tune(
        now.data,
        now.truth,
        now.popular,
        TextSide.none(N),
        category,
        config,
        earlier=earlier,
        folder=folder,
        threads=1,
    )
    patch.undo()
    return params, folder, events, config, category


@pytest.fixture(scope="module")
def model(tuned, tmp_path_factory):
    params, folder, events, config, category = tuned
    data = seen(events, 150, N, 130.0)
    place = tmp_path_factory.mktemp("model")
    fit(
        data,
        data.item_counts().astype(np.float32),
        TextSide.none(N),
        category,
        params,
        config,
        place,
        trees=folder,
    )
    return Recommender(place), data, params, place


def test_what_is_learned_is_better_than_the_blend(tuned):
    found = tuned[0].learned["validation"]
    assert tuned[0].learned["repeat"]["kind"] == "trees"
    assert found["ndcg@10"] > found["plain_ndcg@10"] + 0.02
    assert 0.7 < found["expected"]["repeat"] < 1.4


def test_lists_know_when_something_is_due(model, tuned):
    ranker, data, params, _ = model
    wanted = truth_of(tuned[2], 150, 130, 140)
    own, ours = [], []
    for user in range(150):
        history = history_of(data, user, params)
        if len(wanted[user]):
            best = history.items[np.argsort(-history.repeat, kind="stable")[:3]]
            own.append(np.isin(best, wanted[user]).mean())
            ours.append(np.isin(ranker.rank(history, 3).items, wanted[user]).mean())
    assert np.mean(ours) > np.mean(own)


def test_repeats_and_new_products_apart(model):
    ranker, data, params, _ = model
    history = history_of(data, 3, params)
    assert not set(ranker.rank(history, 20, repeats=False).items) & set(history.items)
    both = ranker.rank(history, N)
    assert set(history.items) <= set(both.items)
    assert len(both.items) == len(set(both.items.tolist()))
    assert (np.diff(ranker.rank(history, 20, diversity=0.0, tail=0.0).scores) <= 1e-6).all()


def test_what_is_not_looked_at_closely_follows(model, monkeypatch):
    ranker, data, params, _ = model
    history = history_of(data, 3, params)
    monkeypatch.setattr("wares.models.recommend.learned.WIDTH", {"repeat": 3, "explore": 5})
    found = ranker.candidates(history)
    scores, cheap = ranker.scored(history, found), ranker.cheap(history, found)
    assert np.isfinite(scores).all()
    for mine, width in ((found.own >= 0, 3), (found.own < 0, 5)):
        order = np.argsort(-cheap[mine], kind="stable")
        assert scores[mine][order[width:]].max() < scores[mine][order[:width]].min()


def test_strangers_and_hidden_products(model):
    ranker, data, params, _ = model
    assert len(ranker.rank(History.empty(), 5).items) == 5
    history = history_of(data, 0, params)
    allowed = np.ones(N, bool)
    allowed[ranker.rank(history, 5).items] = False
    assert allowed[ranker.rank(history, 5, allowed=allowed).items].all()


def test_repeats_can_be_asked_of_a_shop_that_learned_none(model, tmp_path):
    import json
    import shutil

    shutil.copytree(model[3], tmp_path / "new")
    path = tmp_path / "new" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["learned"]["repeat"]
    path.write_text(json.dumps(manifest))
    ranker, history = Recommender(tmp_path / "new"), history_of(model[1], 3, model[2])
    assert set(ranker.rank(history, N, repeats=True).items) & set(history.items)
    assert not set(ranker.rank(history, 10, repeats=False).items) & set(history.items)


def test_the_tail_slider_moves_learned_lists_too(model):
    ranker, data, params, _ = model
    sold = data.item_counts()
    mean = [
        np.mean([sold[ranker.rank(history_of(data, u, params), 5, tail=t).items].mean() for u in range(40)])
        for t in (0.0, 1.0)
    ]
    assert mean[1] < mean[0]


def test_the_same_examples_give_the_same_artifact(tuned, model, tmp_path):
    params, folder, events, config, category = tuned
    data = seen(events, 150, N, 130.0)
    made = fit(
        data,
        data.item_counts().astype(np.float32),
        TextSide.none(N),
        category,
        params,
        config,
        tmp_path,
        trees=folder,
    )
    assert made["hash"] == model[0].manifest["hash"]


def test_an_older_form_is_refused_with_the_mend(model, tmp_path):
    import json
    import shutil

    shutil.copytree(model[3], tmp_path / "old")
    path = tmp_path / "old" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["form"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(IncompatibleArtifact, match="Build and publish again"):
        Recommender(tmp_path / "old")


def test_too_little_to_learn_from_leaves_the_blend(tmp_path):
    events = rhythm(users=30)
    windows = [
        Window(seen(events, 30, N, now), truth_of(events, 30, now, now + 10), np.ones(N, np.float32))
        for now in (120.0, 110.0)
    ]
    config = Recommend.model_validate({"regularisation": [10.0], "min_support": 1, "model": "ease"})
    params = tune(
        windows[0].data, windows[0].truth, windows[0].popular, TextSide.none(N), np.zeros(N, np.int32), config,
        earlier=windows[1:], folder=tmp_path,
    )  # fmt: skip
    assert params.learned == {}


def with_graph(tmp_path, sims: np.ndarray) -> tuple:
    """Parameters tuned with a graph in which products are joined as `sims (N, N)` says."""
    events = rhythm()
    windows = []
    for now in (120.0, 110.0, 100.0):
        data = seen(events, 150, N, now)
        windows.append(
            Window(data, truth_of(events, 150, now, now + 10), data.item_counts().astype(np.float32))
        )
    config = Recommend.model_validate({"regularisation": [10.0], "min_support": 1, "model": "ease"})
    ids = np.argsort(-sims, axis=1)[:, :20].astype(np.int32)
    graph = GraphSide(ids, np.take_along_axis(sims, ids, 1).astype(np.float16))
    category = np.zeros(N, np.int32)
    now, *earlier = windows
    params = tune(
        now.data,
        now.truth,
        now.popular,
        TextSide.none(N),
        category,
        config,
        earlier=earlier,
        folder=tmp_path,
        graph=graph,
    )
    return params, graph, now.data, config, category


def test_the_graph_stays_only_where_it_helps(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "LEAST_BOUGHT", 100)
    params, graph, data, config, category = with_graph(tmp_path, np.random.default_rng(3).random((N, N)))
    gate = params.learned["graph"]
    assert gate["kept"] == (gate["explore_ndcg@10 with"] > gate["explore_ndcg@10 without"])
    place = tmp_path / "model"
    fit(
        data, data.item_counts().astype(np.float32), TextSide.none(N), category, params, config, place, trees=tmp_path,
        graph=graph,
    )  # fmt: skip
    ranker = Recommender(place)
    history = history_of(data, 3, params)
    found = ranker.candidates(history)
    at = LEADS.index("graph")
    assert np.nanmax(found.leads[found.own < 0, at]) == pytest.approx(1, abs=1e-3)
    assert len(ranker.rank(history, 5).items) == 5


def test_without_a_graph_the_gate_says_so(tuned):
    assert tuned[0].learned["graph"] == {"kept": False, "why": "there is none"}


# -- trees ---------------------------------------------------------------------------------------------------------


def some_examples(n: int = 3000) -> Examples:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 5)).astype(np.float32)
    features[rng.random((n, 5)) < 0.2] = np.nan
    chance = 1 / (1 + np.exp(-2 * np.nan_to_num(features[:, 0]) + np.isnan(features[:, 1])))
    bought = rng.random(n) < chance
    sizes = np.full(n // 30, 30, np.int64)
    return Examples(features, bought, sizes, features[:, 0], bought.reshape(-1, 30).sum(1))


@pytest.mark.parametrize("kind", ["log-loss", "lambdamart"])
def test_onnx_gives_what_lightgbm_gives(tmp_path, kind):
    examples = some_examples()
    trees = grow(examples, kind, 3, 1, rounds=20)
    save_trees(trees, 5, tmp_path / "t.onnx", examples.features)
    odd = np.array([[0, 0, 0, 0, 0], [np.nan] * 5, [1e30] * 5, [-1e30] * 5], np.float32)
    assert np.allclose(Trees(tmp_path / "t.onnx").scores(odd), raw_scores(trees, odd), atol=1e-4)


def test_trees_that_differ_are_not_kept(tmp_path, monkeypatch):
    examples = some_examples()
    trees = grow(examples, "log-loss", 3, 1, rounds=5)
    monkeypatch.setattr("wares.features.trees_build._below", lambda threshold: threshold + 1.0)
    with pytest.raises(ModelError, match="differ"):
        save_trees(trees, 5, tmp_path / "t.onnx", examples.features)


def test_a_damaged_file_of_trees_is_refused(tmp_path):
    (tmp_path / "t.onnx").write_bytes(b"no trees")
    with pytest.raises(IncompatibleArtifact, match="Build and publish again"):
        Trees(tmp_path / "t.onnx")


def test_calibration_makes_log_odds():
    rng = np.random.default_rng(1)
    raw = rng.normal(size=20_000).astype(np.float32)
    bought = rng.random(20_000) < 1 / (1 + np.exp(-(2.0 * raw - 1.5)))
    slope, offset = learning.platt(raw, bought)
    assert slope == pytest.approx(2.0, abs=0.1)
    assert offset == pytest.approx(-1.5, abs=0.1)
    assert learning.platt(-raw, bought)[0] > 0


def test_ndcg_of_padded_lists():
    scores = np.array([[3.0, 2.0, -np.inf], [1.0, 2.0, 3.0]], np.float32)
    bought = np.array([[0, 1, 0], [0, 0, 0]], np.float32)
    assert learning.ndcg(scores, bought, np.array([1, 0])) == pytest.approx(1 / np.log2(3))
    assert learning.ndcg(scores, bought, np.array([0, 0])) == 0


# -- features ------------------------------------------------------------------------------------------------------


def plain_items(n: int, category: list[int]) -> Items:
    codes = np.array(category, np.int32)
    return Items.of(
        np.zeros((n, len(FACTS)), np.float32), codes, np.full(n, -1, np.int32), np.arange(n, dtype=np.int32)
    )


def test_features_of_what_was_had():
    # Product 1 on days 10, 20 and 30, product 2 on day 30, and a visit on day 35 for product 0.
    data = seen([(0, 1, 10.0), (0, 1, 20.0), (0, 1, 30.0), (0, 2, 30.0), (0, 0, 35.0)], 1, 4, 40.0)
    history = History(
        data.items, data.decayed[:, 0], data.decayed[:, 0], data.times, data.last, data.first, data.decayed, data.visits(0),
        data.as_of,
    )  # fmt: skip
    shopper = Shopper(history, plain_items(4, [0, 0, 1, 1]))
    names = names_repeat(2)
    found = repeat_features(shopper, np.arange(3), np.zeros((3, len(LEADS)), np.float32))
    assert found.shape == (3, len(names))
    one = dict(zip(names, found[1].tolist(), strict=True))
    assert (one["times"], one["since"], one["since_visits"], one["since_first"]) == (3, 10, 1, 30)
    assert (one["gap"], one["due"], one["rate"]) == (10, 1, 0.75)
    assert one["since_category"] == 5
    assert np.isnan(dict(zip(names, found[2].tolist(), strict=True))["gap"])


def test_features_of_what_is_new():
    data = seen([(0, 1, 10.0), (0, 1, 20.0), (0, 2, 30.0)], 1, 4, 40.0)
    history = History(
        data.items, data.decayed[:, 0], data.decayed[:, 0], data.times, data.last, data.first, data.decayed, data.visits(0),
        data.as_of,
    )  # fmt: skip
    names = names_explore(2)
    shopper = Shopper(history, plain_items(4, [0, 0, 1, -1]))
    found = explore_features(shopper, np.array([0, 3], np.int32), np.zeros((2, len(LEADS)), np.float32))
    assert found.shape == (2, len(names))
    kin, none = (dict(zip(names, row.tolist(), strict=True)) for row in found)
    assert kin["since_category"] == 20
    assert kin["n_category"] == 1
    assert kin["category_new"] == 0.5
    assert kin["category_1"] == pytest.approx(data.decayed[0, 1])
    assert np.isnan(none["since_category"])
    assert none["category_1"] == none["n_category"] == 0


def test_facts_know_only_what_was_before():
    events = [(u, i, float(d)) for u in range(4) for i, d in ((0, 1), (0, 8), (1, 2))]
    later = [*events, (0, 1, 50.0), (1, 2, 60.0)]
    nothing = np.full(3, np.nan, np.float32)
    category = np.zeros(3, np.int32)
    before = facts_of(seen(events, 4, 3, 40.0), category, nothing, nothing)
    assert np.array_equal(
        facts_of(seen(later, 4, 3, 40.0), category, nothing, nothing), before, equal_nan=True
    )
    named = dict(zip(FACTS, before[0].tolist(), strict=True))
    assert np.exp(named["log_gap"]) == pytest.approx(7)
    assert named["buyers"] == pytest.approx(np.log1p(4))
    assert before[0, FACTS.index("repurchase")] > before[1, FACTS.index("repurchase")]


def test_prices_at_a_moment():
    ptr, at = np.array([0, 2, 3, 3]), np.array([10, 20, 30])
    price, usual = prices_at(25, ptr, at, np.array([100, 200, 300]), np.array([7, 7, 7]))
    assert price[0] == 200
    assert usual[0] == 150
    assert np.isnan(price[1])
    assert price[2] == 7


def test_rates_of_the_seldom_bought_are_drawn_to_their_kind():
    rate = drawn(np.array([90.0, 0.0, 5.0]), np.array([100.0, 1.0, 100.0]), np.array([0, 0, 1], np.int32))
    assert rate[1] > 0.5
    assert rate[2] < 0.2


def test_shoppers_alike_have_the_same_taste():
    data = seen(rhythm(users=60), 60, N, 140.0)
    near = near_shoppers(data, 1, 0)
    best = near.ids[np.arange(60), near.sims.argmax(1)]
    assert (best % 3 == np.arange(60) % 3).all()
    assert not (near.ids == np.arange(60)[:, None]).any()
    assert near_shoppers(seen([(0, 1, 1.0)], 1, 3, 2.0), 1, 0).ids.tolist() == [[-1]]


def test_products_without_prices():
    products = Products.plain(np.zeros(N, np.int32))
    found = products.facts(seen(rhythm(users=5), 5, N, 140.0))
    assert np.isnan(found[:, FACTS.index("log_price")]).all()
