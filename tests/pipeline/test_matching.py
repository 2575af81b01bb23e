"""A trained matcher at work: in fusion, among the products of a shop, and over HTTP."""

from __future__ import annotations

import json

import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import copy_workspace
from tests.data.test_fusion_run import CONFIG, write_products

from wares.core import bundles
from wares.core.errors import ConfigError, IncompatibleArtifact, QueryError
from wares.data.fusion.matcher import Settings, Truth, match_offers
from wares.data.fusion.offers import Offers
from wares.models.similar import match_forest_train
from wares.models.similar.match_train import LabelledPairs, MatchOptions, train_matcher
from wares.pipeline.matching import FusionJudge, match_in_shop, match_records, open_matcher, product_record
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.serve.app import create_app


def shop_pairs(folder, n=400):
    """Labelled pairs of products as `write_products` writes them, of other things than the shop's."""
    truth = write_products(folder, things=60, seed=11)
    rows = [json.loads(line) for line in (folder / "exports" / "products.jsonl").read_text().splitlines()]
    rng, left, right, same = np.random.default_rng(1), [], [], []
    by_thing: dict[int, list[dict]] = {}
    for row in rows:
        by_thing.setdefault(truth[row["product_id"]], []).append(row)
    several = [group for group in by_thing.values() if len(group) > 1]
    for at in range(n):
        a, b = several[at % len(several)][:2] if at % 3 == 0 else rng.choice(len(rows), 2, replace=False)
        a, b = (row if isinstance(row, dict) else rows[int(row)] for row in (a, b))
        for row, out in ((a, left), (b, right)):
            out.append({"title": row["title"], "maker": row["brand"] or "", "price": str(row["price"])})
        same.append(truth[a["product_id"]] == truth[b["product_id"]])
    return LabelledPairs(left, right, np.array(same))


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matching")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match_forest_train, "REPEATS", 1)
        pairs = shop_pairs(folder)
        train_matcher(pairs, shop_pairs(folder, 120), folder / "matcher", MatchOptions(model="", threads=1))
    return folder / "matcher"


@pytest.fixture
def shop(tmp_path, matcher):
    truth = write_products(tmp_path)
    copy_workspace(matcher, tmp_path / "matcher")
    made = init_workspace(
        tmp_path,
        CONFIG.replace(
            "enabled = true", 'enabled = true\nmatcher = "matcher"\nmatcher_fields = { maker = "brand" }'
        ),
    )
    made.ingest()
    return made, truth


def test_fusion_asks_the_matcher(shop):
    made, truth = shop
    report = made.fuser.fuse()
    assert report.learned == {"judge": "trained matcher"}
    assert not report.supervised
    clusters = made.fuser.clusters()
    pairs = [(a, b) for a in truth for b in truth if a < b]
    right = sum(truth[a] == truth[b] and clusters[a] == clusters[b] for a, b in pairs)
    assert right / sum(clusters[a] == clusters[b] for a, b in pairs) > 0.9
    assert right / sum(truth[a] == truth[b] for a, b in pairs) > 0.8


def test_a_matcher_trained_anew_makes_fusion_stale(shop, matcher):
    from wares.pipeline.fusing import refresh

    made, _ = shop
    assert refresh(made, lambda _: None)
    assert not refresh(made, lambda _: None)
    manifest = made.root / "matcher" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "hash": "another"}))
    assert refresh(made, lambda _: None)


def test_with_labels_the_matcher_is_one_more_column():
    rng = np.random.default_rng(0)
    titles = [f"thing {n // 2} {'ab'[n % 2]}" for n in range(600)]
    offers = Offers(titles, source=[["x", "y"][n % 2] for n in range(600)])
    group = np.arange(600) // 2
    asked = []

    class Judge:
        threshold = 0.3

        def __call__(self, offers, pairs, progress=lambda _: None):
            asked.append(len(pairs))
            return np.where(group[pairs[:, 0]] == group[pairs[:, 1]], 0.9, 0.1) + rng.normal(
                0, 0.01, len(pairs)
            )

    found = match_offers(offers, Truth(group=group), Settings(threads=1, second_round=False), judge=Judge())
    assert found.supervised
    assert found.names[-1] == "matcher"
    assert found.features.shape[1] == len(found.names)
    assert asked == [len(found.pairs)]
    alone = match_offers(offers, None, Settings(threads=1), judge=Judge())
    assert alone.threshold == 0.3
    assert (alone.probability > 0.5).sum() == 300


def test_a_matcher_that_is_not_there_or_knows_no_such_field(shop, matcher, tmp_path):
    made, _ = shop
    config = made.config.model_copy(
        update={"fusion": made.config.fusion.model_copy(update={"matcher": "gone"})}
    )
    with pytest.raises(ConfigError, match="no matcher in"):
        type(made)(made.root, config).fuser.fuse()
    with pytest.raises(ConfigError, match="has no field colour"):
        FusionJudge(matcher, {"colour": "brand"})
    with pytest.raises(IncompatibleArtifact):
        open_matcher(made.root / "exports", made.root)
    assert open_matcher(None, made.root).threshold == open_matcher(matcher, made.root).threshold
    (tmp_path / "empty").mkdir()
    assert open_matcher(None, tmp_path / "empty") is None


def test_fields_of_other_names_are_read(matcher):
    judge = FusionJudge(matcher, {"maker": "brand"})
    offers = Offers(
        ["Acme drill AX1037", "drill AX 1037"],
        labels={"brand": ["acme", "acme"]},
        numbers={"price": np.array([9.0, np.nan])},
    )
    assert list(judge.records(offers)) == [
        {"title": "Acme drill AX1037", "maker": "acme", "price": "9"}, {"title": "drill AX 1037", "maker": "acme", "price": ""},
    ]  # fmt: skip
    assert judge(offers, np.array([[0, 1]])).shape == (1,)


def test_two_products_of_a_shop(shop):
    made, truth = shop
    a, b = next((a, b) for a in truth for b in truth if a < b and truth[a] == truth[b])
    answer = match_in_shop(made, a, b)
    assert answer.pairs[0].probability > 0.5
    assert "unsupervised" in answer.judge
    assert match_in_shop(made, a, "ghost") is None
    with pytest.raises(QueryError, match="same product"):
        match_in_shop(made, a, a)
    row = made.fuser.records({a})[0]
    assert product_record(row)["price"] == str(row["price"])


def test_nothing_to_match(matcher):
    judge = open_matcher(matcher, matcher)
    answer = match_records([{"title": "Acme drill AX1037"}], [{"title": "Luma toaster BY2000"}], judge)
    assert all(not p.same for p in answer.pairs) or answer.pairs == []
    with pytest.raises(QueryError, match="no record says anything"):
        match_records([{"title": ""}], [{"title": ""}], None)


# -- over HTTP ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(built, matcher, tmp_path_factory):
    root = copy_workspace(built.root, tmp_path_factory.mktemp("served") / "shop")
    copy_workspace(matcher, root / "matcher")
    toml = root / "wares.toml"
    toml.write_text(
        toml.read_text() + '\n[fusion]\nmatcher = "matcher"\nmatcher_fields = { maker = "brand" }\n'
    )
    before = bundles.pointer(root)["live"]
    open_workspace(root).publish()
    assert bundles.pointer(root)["live"] != before
    assert open_workspace(root).publish().name == bundles.pointer(root)["live"]
    with TestClient(create_app(root)) as found:
        yield found


def ask(client, *pairs):
    return client.post("/v1/match", json={"pairs": [{"left": a, "right": b} for a, b in pairs]})


def test_pairs_are_judged_over_http(client):
    fields = {"title": "Acme drill AX1037 2 l", "maker": "acme", "price": "47.1"}
    other = {"title": "drill Acme AX 1037 500 ml", "maker": "acme", "price": "47.3"}
    answer = ask(
        client, ({"fields": fields}, {"fields": other}), ({"product_id": "p0000"}, {"product_id": "p0001"})
    )
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["pairs"]
    assert "model number agrees: ax1037" in [r["text"] for r in first["speaks_for"]]
    assert "volumes disagree: 2 l against 500 ml" in [r["text"] for r in first["speaks_against"]]
    assert 0 <= second["probability"] <= 1
    assert first["same"] == (first["probability"] >= answer.json()["threshold"])
    swapped = ask(client, ({"fields": other}, {"fields": fields})).json()["pairs"][0]
    assert swapped["probability"] == first["probability"]


@pytest.mark.parametrize(
    ("left", "status", "words"),
    [
        ({"product_id": "ghost"}, 404, "no product"),
        ({}, 422, "give product_id"),
        ({"product_id": "p0000", "fields": {"title": "a"}}, 422, "give product_id"),
        ({"fields": {"title": "a" * 20_001}}, 422, "20000"),
        ({"fields": {"title": 5}}, 422, "string"),
        ({"fields": {f"f{n}": "a" for n in range(51)}}, 422, "50"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_bad_questions(client, left, status, words):
    answer = ask(client, (left, {"fields": {"title": "a"}}))
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_fields_that_the_matcher_does_not_know(client):
    assert ask(client, ({"fields": {"colour": "red"}}, {"fields": {"colour": "red"}})).status_code == 400
    assert ask(client).status_code == 422
    empty = ask(client, ({"fields": {"title": ""}}, {"fields": {"title": ""}})).json()["pairs"][0]
    assert empty["probability"] == 0.0
    long = ask(client, ({"fields": {"title": "ax1037 " * 2000}}, {"fields": {"title": "ax1037"}}))
    assert long.status_code == 200


def test_whatever_is_asked_no_fault(client):
    schema = schemathesis.openapi.from_dict(client.app.openapi())

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=schema["/v1/match"]["POST"].as_strategy())
    def one(case):
        body = case.body if isinstance(case.body, dict | list | str | int | float | None) else None
        answer = client.post("/v1/match", json=body)
        assert answer.status_code in (200, 400, 404, 422), answer.text[:300]

    one()


@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
@given(titles=st.lists(st.text(max_size=200), min_size=2, max_size=2), price=st.text(max_size=12))
def test_any_texts_get_a_probability(client, titles, price):
    sides = [{"fields": {"title": title, "price": price}} for title in titles]
    answer = ask(client, tuple(sides))
    assert answer.status_code in (200, 422), answer.text[:300]
    if answer.status_code == 200:
        assert 0 <= answer.json()["pairs"][0]["probability"] <= 1


def test_a_bundle_without_a_matcher_says_so(built):
    with TestClient(create_app(built.root)) as plain:
        answer = ask(plain, ({"fields": {"title": "a"}}, {"fields": {"title": "b"}}))
    assert answer.status_code == 404
    assert "wares tune match" in answer.json()["mend"]
