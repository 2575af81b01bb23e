"""A shop whose shoppers want the cheap ones, and whose lists show anything first: searches teach the order."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from wares.core.files import read_json
from wares.features.catalogue import Catalogue
from wares.models.search.asked import Asked
from wares.models.search.candidates import Candidates
from wares.models.search.judge import COUNTS, Rates, choose_model, common_texts, judge
from wares.models.search.order_infer import Order
from wares.pipeline.ordering import examples_of, read_judgements
from wares.pipeline.plan import Context
from wares.pipeline.search_log import Search, ids_in, searches, sessions_of, windows
from wares.pipeline.workspace import init_workspace
from wares.testing.click_log import make_click_shop

CONFIG = """
[shop]
name = "Clicks"
currency = "EUR"
[[sources]]
as = "products"
path = "exports/products.csv"
[[sources]]
as = "queries"
path = "exports/queries.csv"
"""


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def shop_of(root, data):
    write(root / "exports" / "products.csv", data.products)
    write(root / "exports" / "queries.csv", data.queries)
    shop = init_workspace(root, CONFIG)
    shop.ingest(root / "exports")
    shop.build()
    return shop


def context_of(shop):
    latest = read_json(shop.root / "build" / "latest.json")
    done = {name: shop.root / path for name, path in latest["done"].items()}
    return Context(shop.root, shop.config, shop.store, latest["versions"], done)


def step(shop, name):
    return shop.root / read_json(shop.root / "build" / "latest.json")["done"][name]


@pytest.fixture(scope="module")
def data():
    return make_click_shop(3)


@pytest.fixture(scope="module")
def clicked(tmp_path_factory, data):
    return shop_of(tmp_path_factory.mktemp("clicked") / "shop", data)


def test_clicks_become_judgements_without_the_place(clicked, data):
    judged = read_judgements(step(clicked, "search_judgements"))
    assert judged.facts["model"] == "pbm"
    assert np.abs(judged.examined - data.examined).mean() < 0.1
    catalogue = Catalogue(step(clicked, "catalogue"))
    grades = judged.grades[data.words[0]]
    ids = [str(catalogue.ids[row]) for row in grades]
    found, truth = np.array(list(grades.values())), np.array([data.worth[i] for i in ids])
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert all(0 < grade <= 1 for by in judged.grades.values() for grade in by.values())


def test_the_order_is_learned_proven_and_served(clicked, data):
    catalogue = Catalogue(step(clicked, "catalogue"))
    order = Order(step(clicked, "search_order"), catalogue)
    proof = order.facts["gate"]
    assert order.kept
    assert order.works
    assert proof["interval"][0] > 0
    assert proof["with_it"] > proof["without"] + 0.05
    # A text that nobody searched: only what holds of products at large can help.
    rows = np.array([catalogue.row(f"s089-{i}") for i in range(8)], np.int32)
    same = np.ones(8, np.float32)
    scores = order(Asked(data.words[89], (data.words[89],)), Candidates(rows, {"score": same, "words": same}))
    truth = np.array([data.worth[f"s089-{i}"] for i in range(8)])
    assert scores.shape == (8,)
    assert np.isfinite(scores).all()
    assert np.corrcoef(scores, truth)[0, 1] > 0.6
    assert len(order(Asked("", ()), Candidates(rows[:0], {}))) == 0


def test_a_shoppers_liking_moves_products(clicked, data):
    catalogue = Catalogue(step(clicked, "catalogue"))
    order = Order(step(clicked, "search_order"), catalogue)
    rows = np.array([catalogue.row(f"s000-{i}") for i in range(8)], np.int32)
    score, liked = np.linspace(1, 0.5, 8).astype(np.float32), np.zeros(8, np.float32)
    asked = Asked(data.words[0], (data.words[0],))
    before = order(asked, Candidates(rows, {"score": score}))
    liked[7] = 1
    after = order(asked, Candidates(rows, {"score": score + 0.15 * liked, "affinity": liked}))
    assert after[7] > before[7]
    assert np.allclose(after[:7], before[:7], atol=1e-4)


def test_tuning_gets_its_examples(clicked):
    assert len(examples_of(context_of(clicked))) > 20


def test_without_lists_clicks_are_counted_and_that_is_said(clicked):
    found = searches(context_of(clicked), Catalogue(step(clicked, "catalogue")))
    for one in found:
        one.shown = []
    texts = common_texts(found)
    number = {text: at for at, text in enumerate(texts)}
    sessions = sessions_of(found, lambda text: number.get(text, -1))
    model, told = choose_model(sessions, 7)
    assert (model, told, len(sessions)) == (COUNTS, {}, 0)
    judged = judge(found, sessions, texts, model)
    assert judged.facts["model"] == COUNTS
    assert not len(judged.examined)
    assert max(judged.grades[texts[0]].values()) == 1


def test_a_shop_without_searches_has_no_order_of_its_own(built):
    found = Order(step(built, "search_order"), Catalogue(step(built, "catalogue")))
    assert not found.works
    assert found.facts["gate"]["reason"] == "no searches"
    assert read_judgements(step(built, "search_judgements")).grades == {}


def test_lists_in_cells():
    assert ids_in('["a", 7, null, {"x": 1}]') == ["a", "7"]
    assert ids_in("a| b ||c") == ["a", "b", "c"]
    assert ids_in("[broken") == []
    assert ids_in(None) == ids_in(" ") == []


def test_windows_go_by_time_and_rare_texts_stay_out():
    found = [Search("u1", "b", 30), Search("u2", "a", 10), Search("u3", "a", -1), Search("u1", "a", 20)]
    assert [[one.at for one in part] for part in windows(found, (0.5, 0.25, 0.25))] == [[-1, 10], [20], [30]]
    assert common_texts(found, people=3) == ["a"]
    assert common_texts(found * 5, people=4) == []
    rates = Rates.of([], _none(), [], np.zeros(0), 4)
    assert np.isnan(rates.look_up("a", np.array([1, 2], np.int32))[:, :4]).all()


def _none():
    from wares.models.search.clicks import Sessions

    return Sessions.of([])


def test_every_search_is_read_with_its_list(clicked, data):
    found = searches(context_of(clicked), Catalogue(step(clicked, "catalogue")))
    assert len(found) == len(data.queries)
    assert all(len(one.shown) == 8 for one in found)
    assert sum(len(one.clicked) for one in found) == sum(len(ids_in(q["clicks"])) for q in data.queries)
