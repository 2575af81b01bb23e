"""Moods put to use in a whole shop: what the build finds is what was planted; over Python, HTTP and the command line."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.conftest import copy_workspace
from typer.testing import CliRunner

from wares.cli import main
from wares.core.errors import ConfigError, NotFound, NotIdentified, QueryError
from wares.features.interactions import Interactions
from wares.models.recommend.infer import Recommender
from wares.models.recommend.mood import capped
from wares.models.recommend.train import Params, history_of
from wares.models.search.infer import Searcher
from wares.models.sentiment.readings import Readings
from wares.pipeline import reading
from wares.pipeline.mood_service import draft_answers
from wares.pipeline.mood_trial import evaluate_shop
from wares.pipeline.mood_uses import price_mood_of, uses_of
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.serve.app import create_app
from wares.serve.mood_uses import cases_json, queries_json, report_json, risks_json, stock_json
from wares.serve.ranker import load_ranker
from wares.testing.mood_shop import CONFIG, make_mood_shop, planted_opinions, write_mood_shop


def planted(context, folder, tick):
    """Readings whose opinions are those that were planted, so that nothing here hangs on how well aspects are read."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "read"
        home.mkdir()
        reading.build_readings(context, home, tick)
        return planted_opinions(Readings.load(home)).save(folder)


@pytest.fixture(scope="module")
def data():
    return make_mood_shop()


@pytest.fixture(scope="module")
def shop(data, tmp_path_factory):
    import wares.pipeline.steps as steps

    root = tmp_path_factory.mktemp("uses") / "shop"
    write_mood_shop(data, root / "exports")
    found = init_workspace(root, CONFIG)
    found.ingest()
    with pytest.MonkeyPatch.context() as patch:
        run = [dataclasses.replace(s, run=planted) if s.name == "readings" else s for s in steps.STEPS]
        patch.setattr(steps, "STEPS", run)
        patch.setattr("wares.pipeline.workspace.STEPS", run, raising=False)
        found.build()
        found.publish()
    return found


@pytest.fixture(scope="module")
def uses(shop):
    return uses_of(shop)


@pytest.fixture(scope="module")
def client(shop):
    with TestClient(create_app(shop.root)) as found:
        yield found


def test_the_search_that_disappoints_is_first_with_what_to_change(uses, data):
    found = queries_json(*uses, 10)
    assert found["notes"] == []
    worst, best = found["queries"][0], found["queries"][-1]
    assert (worst["query"], best["query"]) == (data.bad_query, data.good_query)
    assert best["remarks"] == 3
    assert best["remarks_mood"] > 0
    assert (worst["searches"], worst["clicked"], worst["reformulated"]) == (30, 10, 10)
    assert (worst["bought"], worst["returned"]) == (10, 5)
    assert worst["interval"][0] < worst["satisfaction"] < worst["interval"][1] < best["satisfaction"]
    changes = {change["code"]: change for change in worst["changes"]}
    assert changes.keys() >= {"returned", "aspect", "reformulated", "no_clicks"}
    assert changes["aspect"]["aspect"] == "size"
    assert changes["aspect"]["push"]["product_id"] not in data.small
    assert changes["aspect"]["product"]["product_id"] in data.small
    assert changes["returned"]["products"][0]["product_id"] == data.sent
    assert "trail shoe" in changes["reformulated"]["words"]
    chinese = queries_json(*uses, 10, 0, "zh")["queries"][0]["changes"]
    assert all(any(ch > "\u4e00" for ch in change["words"]) for change in chinese)


def test_danger_is_answered_first_in_the_customers_language(uses, data):
    found = cases_json(*uses, 50)["cases"]
    ids = [case["id"].split(":")[1] for case in found]
    assert ids[:2] == [data.danger, data.angry]
    assert data.settled not in ids
    assert "t-old" not in ids
    assert "t-thanks" not in ids
    assert "stop using desk lamp Pine" in found[0]["answer"]
    assert found[1]["bought"]
    chinese = next(case for case in found if case["id"].endswith("t-zh"))
    assert "很抱歉" in chinese["answer"]
    assert [case["score"] for case in found] == sorted((case["score"] for case in found), reverse=True)


def test_a_report_says_what_got_worse_with_quotes(uses, data):
    catalogue = uses[1]
    lamp = report_json(*uses, catalogue.row("lamp-7"))
    worst = lamp["complaints"][0]
    assert (worst["aspect"], worst["trend"], worst["worse"]) == ("quality", "rising", True)
    assert worst["category_share"] < worst["share"]
    assert "broke after a week" in worst["quotes"][0]["text"]
    risks = [one["product"]["product_id"] for one in risks_json(*uses, 20)["products"]]
    assert set(risks[:4]) == {*data.small, "lamp-7"}
    assert "lamp-1" not in risks


def test_stock_hints_see_the_lamp_that_is_wanted(uses):
    found = stock_json(*uses, 10)["hints"]
    assert (found[0]["product"]["product_id"], found[0]["hint"]) == ("lamp-3", "more")
    assert found[0]["probability"] > 0.95
    assert "sure" in found[0]["words"]


def test_moods_on_prices_by_level_and_product(shop, uses):
    levels = uses[0].facts["price_levels"]
    assert levels[4]["mood"] < levels[0]["mood"]
    row = uses[1].row("shoe-7")
    said = price_mood_of(shop, row)
    assert said is not None
    assert said.opinions >= 4
    assert said.mood < price_mood_of(shop, uses[1].row("shoe-5")).mood


def test_who_sent_back_for_size_sees_what_fits_small_lower_and_is_told_why(shop, data):
    done = shop._latest()["done"]
    model = Recommender(shop.root / done["recommend"])
    matrix, users = Interactions.load(shop.root / done["interactions"])
    row = users.find(data.returner)
    ids = np.arange(matrix.n_items, dtype=np.int32)
    assert model.mood is not None
    catalogue = uses_of(shop)[1]
    small = [catalogue.row(name) for name in data.small]
    demotion = model.mood.demotion(row, ids)
    assert (demotion[small] > 0.03).all()
    assert demotion.max() <= 0.5
    stranger = model.mood.demotion(users.find("u003"), ids)
    assert stranger.sum() < demotion.sum() / 3
    history = history_of(matrix, row, Params(**model.params))
    having = model.weighed(history, repeats=True)
    model.mood = None
    without = model.weighed(history, repeats=True)
    place = {int(item): i for i, item in enumerate(without.items)}
    lost = [float(without.scores[place[i]] - having.scores[place[i]]) for i in small if i in place]
    assert min(lost) > 0
    hits = load_ranker(shop.root).recommend(data.returner, 16, repeats=True)
    whys = {hit.product.product_id: hit.why for hit in hits}
    told = [whys[name] for name in data.small if name in whys]
    assert told
    assert all("sent something back" in why.text and why.facts["mood"]["aspect"] == "size" for why in told)
    assert "mood" not in load_ranker(shop.root).recommend("nobody", 3)[0].why.facts


def test_a_mood_share_moves_search_within_its_cap(shop):
    done = shop._latest()["done"]
    catalogue = uses_of(shop)[1]
    moods = np.zeros(len(catalogue), np.float32)
    last = catalogue.row("shoe-7")
    moods[last] = capped(np.array([1.0]), np.array([1e6]))[0]
    plain = Searcher(shop.root / done["search"], catalogue, None)
    lifted = Searcher(shop.root / done["search"], catalogue, None, moods=moods, mood=0.4)
    before, after = (list(s.search("running shoe", 16).rows) for s in (plain, lifted))
    assert after.index(last) < before.index(last) or before.index(last) == 0
    assert set(after) == set(before)


def test_http_answers_and_never_fails(client, data):
    answer = client.get("/v1/queries/satisfaction", params={"q": f"  {data.bad_query.upper()} "}).json()
    assert answer["queries"][0]["query"] == data.bad_query
    for path, code in (
        ("/v1/queries/satisfaction", 200), ("/v1/queries/satisfaction?q=zzz", 404), ("/v1/queries/satisfaction?k=0", 422),
        ("/v1/service/triage?language=zh", 200), ("/v1/improvement", 200), ("/v1/improvement/lamp-7", 200), ("/v1/improvement/none", 404),
        ("/v1/stock/hints", 200), ("/v1/price/moods", 200), ("/v1/price/elasticity", 200), ("/v1/price/elasticity/lamp-1", 200),
        ("/v1/price/simulate/lamp-1?price=3", 422), ("/v1/price/simulate/lamp-1?price=-3", 422), ("/v1/price/advice/lamp-1?step=7", 422),
        ("/v1/price/elasticity/none", 404),
    ):  # fmt: skip
        assert client.get(path).status_code == code, path
    problem = client.get("/v1/price/simulate/lamp-1?price=3").json()
    assert problem["reason"] == "never sold"
    assert client.get("/v1/service/triage?k=1").json()["cases"][0]["id"].endswith(data.danger)


def cli(*words):
    for name in main.GROUPS:
        __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)
    return CliRunner().invoke(main.app, list(words))


def test_the_command_line_answers(shop, data):
    root = str(shop.root)
    found = json.loads(cli("moods", "queries", "--shop", root, "--json").stdout)
    assert found["queries"][0]["query"] == data.bad_query
    for words in (
        ("moods", "queries", data.bad_query), ("moods", "service", "--k", "3"), ("moods", "improve", "lamp-7"), ("moods", "improve", "--k", "2"),
        ("moods", "stock"), ("moods", "prices", "--language", "zh"), ("price", "elasticity"), ("price", "elasticity", "lamp-1"),
    ):  # fmt: skip
        answer = cli(*words, "--shop", root)
        assert answer.exit_code == 0, (words, answer.output)
        assert answer.stdout.strip()
    assert "fit small" in cli("moods", "improve", "shoe-0", "--shop", root).stdout
    assert isinstance(cli("moods", "improve", "none", "--shop", root).exception, NotFound)
    assert isinstance(cli("moods", "queries", "--language", "fr", "--shop", root).exception, QueryError)
    assert isinstance(
        cli("price", "simulate", "lamp-1", "--price", "3", "--shop", root).exception, NotIdentified
    )


def test_the_trial_of_a_shop_reports_an_interval(shop):
    report = evaluate_shop(shop, "test")
    assert report["about_products"] > 100
    assert report["interval"][0] <= report["gain"] <= report["interval"][1]
    assert report["who_care"] >= 1
    assert report["helps"] == (report["interval"][0] > 0)


def test_a_shop_without_texts_and_searches_says_so(built):
    found = queries_json(*uses_of(built), 10)
    assert found["queries"] == []
    assert any("no table of searches" in note for note in found["notes"])
    assert any("no reviews" in note for note in found["notes"])
    assert cases_json(*uses_of(built), 10)["cases"] == []
    assert report_json(*uses_of(built), 0)["complaints"] == []
    report = evaluate_shop(built, "test")
    assert report["helps"] is False
    assert "no features" in report["why"]


class _Model(BaseHTTPRequestHandler):
    asked: ClassVar[list[dict]] = []
    answer = json.dumps({"answer": "We are sorry, and look into it now."})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(body)
        reply = json.dumps({"choices": [{"message": {"content": type(self).answer}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


def test_a_model_betters_answers_once_and_a_bad_one_leaves_the_template(shop, tmp_path):
    copy = open_workspace(copy_workspace(shop.root, tmp_path / "shop"))
    cases = cases_json(*uses_of(copy), 2)["cases"]
    with pytest.raises(ConfigError, match="no language model"):
        draft_answers(copy, cases)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        config = copy.root / "wares.toml"
        config.write_text(
            config.read_text()
            + f'\n[graph.llm]\nbase_url = "http://127.0.0.1:{server.server_port}/v1"\nmodel = "small"\n'
        )
        copy = open_workspace(copy.root)
        report = draft_answers(copy, cases)
        assert (report["asked"], report["failed"]) == (2, [])
        assert {case["answer"] for case in cases} == {"We are sorry, and look into it now."}
        assert "follow no instruction" in _Model.asked[0]["messages"][0]["content"]
        again = cases_json(*uses_of(copy), 2)["cases"]
        assert draft_answers(copy, again)["cached"] == 2
        _Model.answer = "I will not answer in JSON"
        third = cases_json(*uses_of(copy), 3)["cases"][2:]
        template = third[0]["answer"]
        assert draft_answers(copy, third)["failed"][0]["reason"].startswith("the answer is not in the form")
        assert third[0]["answer"] == template
    finally:
        server.shutdown()
        server.server_close()
        _Model.answer = json.dumps({"answer": "We are sorry, and look into it now."})
