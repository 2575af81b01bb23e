from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import Depends, FastAPI, Header
from fastapi.testclient import TestClient

from wares.core.arrays import seal
from wares.core.mood_alerts import MoodAlerts
from wares.core.nouns import Product
from wares.core.state import State
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.moods import Moods
from wares.models.sentiment.moods_build import Rule, build_moods
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.reader import KIND as READER
from wares.models.sentiment.reader import MODEL, STARS, Reader
from wares.models.sentiment.train import train_sentiment
from wares.pipeline.mood_watch import current
from wares.serve import moods as routes_of_moods
from wares.serve import problems
from wares.serve.auth import Gate, create_key
from wares.testing.moods import NOW, catalog, readings

WORDS = {
    "negative": ["awful", "broken", "bad", "差", "坏了"],
    "positive": ["lovely", "great", "good", "好", "喜欢"],
}


class _Catalogue:
    """Products p0..p5 of the planted texts, and p6 that nobody speaks of."""

    def __init__(self) -> None:
        self.ids = [f"p{i}" for i in range(6)]

    def row(self, product_id: str) -> int:
        return self.ids.index(product_id) if product_id in self.ids else -1

    def product(self, row: int) -> Product:
        return Product(self.ids[row], f"Lamp {row}", category="Lamps")


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mood-api")
    (folder / "moods").mkdir()
    build_moods(readings(), catalog(), NOW, folder / "moods", Rule(histories=100, years=40))
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    texts = [
        " ".join(rng.choice(list(WORDS.values())[i], 3)) + f" item {n % 7}" for n, i in enumerate(labels)
    ]
    rows = LabelledTexts(texts, labels, tuple(WORDS))
    (folder / "reader" / MODEL).mkdir(parents=True)
    train_sentiment(rows.some(np.arange(200)), rows.some(np.arange(200, 300)), folder / "reader" / MODEL)
    seal(folder / "reader", READER, source=STARS)
    return SimpleNamespace(
        moods=Moods.load(folder / "moods"), reader=Reader(folder / "reader"), aspects=AspectReader(), catalogue=_Catalogue()
    )  # fmt: skip


@pytest.fixture
def served(tmp_path, ranker):
    state = State.at(tmp_path)
    alerts = MoodAlerts(state)
    alerts.watch(current(ranker.moods, 10_000), datetime(2026, 1, 1, tzinfo=UTC))
    yield SimpleNamespace(state=state, alerts=alerts, client=_client(ranker, state, False), ranker=ranker)
    state.close()


def _client(ranker, state, require_keys: bool) -> TestClient:
    app, gate = FastAPI(), Gate(state, required=require_keys)
    problems.install(app)

    def may(scope: str):
        def check(authorization: str | None = Header(None)) -> None:
            gate.check(authorization, scope)

        return Depends(check)

    routes_of_moods.routes(app, lambda: ranker, state, gate, may, {}, {})
    return TestClient(app, raise_server_exceptions=False)


def test_a_batch_is_read(served):
    answer = served.client.post(
        "/v1/sentiment", json={"texts": ["lovely great", "坏了 差 awful"], "why": True}
    ).json()
    assert answer["trained"]
    good, bad = answer["answers"]
    assert (good["label"], bad["label"]) == ("positive", "negative")
    assert good["mood"] > 0 > bad["mood"]
    assert sum(good["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert {one["word"] for one in good["why"]} == {"lovely", "great"}


def test_opinions_stand_at_their_place(served):
    text = "The battery died after a week, but the screen is great."
    (found,) = served.client.post("/v1/sentiment", json={"texts": [text]}).json()["answers"]
    by = {one["aspect"]: one for one in found["opinions"]}
    assert by["battery"]["polarity"] < 0 < by["screen"]["polarity"]
    assert text[by["battery"]["start"] : by["battery"]["end"]] == by["battery"]["evidence"]


def test_one_bad_row_leaves_the_others_answered(served):
    texts = [
        "great",
        7,
        None,
        ["great"],
        {"a": 1},
        "x" * 100_001,
        "",
        "  \n",
        "\u0000\u0007",
        "👍",
        "\ud800 great",
        "<b>good</b>" * 50,
        "很好 great",
    ]
    answers = served.client.post(
        "/v1/sentiment",
        content=_json({"texts": texts, "why": True}),
        headers={"Content-Type": "application/json"},
    ).json()["answers"]
    assert len(answers) == len(texts)
    assert [("error" in one) for one in answers] == [False, True, True, True, True, True, *[False] * 7]
    assert answers[5]["error"]["mend"] == "Give at most 100,000"
    for blank in answers[6:9]:
        assert blank["blank"]
        assert not blank["sure"]
    alone = served.client.post("/v1/sentiment", json={"texts": ["great"], "why": True}).json()["answers"][0]
    assert alone == answers[0]


def _json(value) -> bytes:
    import json

    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "body", [{}, {"texts": []}, {"texts": "great"}, {"texts": ["a"] * 257}, {"texts": ["a"], "more": 1}, {"texts": ["a"], "why": "maybe"}, []]
)  # fmt: skip
def test_a_malformed_question_is_refused(served, body):
    assert served.client.post("/v1/sentiment", json=body).status_code == 422


def test_without_a_classifier_or_moods_the_mend_is_said(served, ranker):
    client = _client(
        SimpleNamespace(moods=None, reader=None, aspects=None, catalogue=ranker.catalogue),
        served.state,
        False,
    )
    for answer in (client.post("/v1/sentiment", json={"texts": ["a"]}), client.get("/v1/products/p0/mood")):
        assert answer.status_code == 404
        assert "Build and publish" in answer.text
    assert client.get("/v1/alerts").status_code == 200


def test_the_mood_of_a_product(served):
    found = served.client.get("/v1/products/p0/mood").json()
    assert found["title"] == "Lamp 0"
    assert found["interval"][0] < found["mood"] < found["interval"][1]
    assert found["course"][-1]["mood"] < 0 < found["course"][0]["mood"]
    assert found["trend"]["lately"]["mood"] < found["trend"]["before"]["mood"]
    aspect = found["aspects"][0]
    assert aspect["aspect"] == "quality"
    assert aspect["complaints"] > 50
    assert aspect["quotes"][0]["says"]
    assert any(alarm["kind"] == "fell" and alarm["evidence"] for alarm in found["alarms"])
    words = served.client.get("/v1/products/p0/mood?language=zh").json()
    assert any("仅凭偶然" in alarm["words"] for alarm in words["alarms"])
    assert served.client.get("/v1/products/none/mood").status_code == 404
    assert served.client.get("/v1/products/p0/mood?language=fr").status_code == 422


def test_alerts_are_listed_with_evidence_and_decided_on(served):
    rows = served.client.get("/v1/alerts").json()["alerts"]
    assert rows
    row = next(row for row in rows if row["evidence"])
    assert row["evidence"][0]["text"]
    assert "By chance" in row["words"]
    answer = served.client.post(f"/v1/alerts/{row['id']}", json={"state": "acknowledged", "note": "seen"})
    assert answer.json()["state"] == "acknowledged"
    assert [one["event"] for one in answer.json()["history"]] == ["noticed", "acknowledged"]
    assert row["id"] not in [one["id"] for one in served.client.get("/v1/alerts").json()["alerts"]]
    assert row["id"] in [
        one["id"] for one in served.client.get("/v1/alerts?state=acknowledged").json()["alerts"]
    ]
    assert served.client.post("/v1/alerts/nothing", json={"state": "muted"}).status_code == 404
    for body in (
        {"state": "resolved"},
        {"state": "open", "note": "x" * 1001},
        {"state": "open", "note": "a\u0000"},
        {},
    ):
        assert served.client.post(f"/v1/alerts/{row['id']}", json=body).status_code == 422
    assert served.client.get("/v1/alerts?state=odd").status_code == 422


def test_what_was_erased_is_quoted_no_more(served):
    row = served.alerts.all()[0]
    gone = SimpleNamespace(**{**vars(served.ranker), "moods": None})
    rows = _client(gone, served.state, False).get("/v1/alerts").json()["alerts"]
    assert next(one for one in rows if one["id"] == row["id"])["evidence"] == []


def test_keys_are_asked_for_and_kept_in_the_history(served):
    client = _client(served.ranker, served.state, True)
    row = served.alerts.all()[0]
    assert client.get("/v1/alerts").status_code == 401
    read, write = (create_key(served.state, name, [name]) for name in ("read", "write"))
    assert client.get("/v1/alerts", headers={"Authorization": f"Bearer {read}"}).status_code == 200
    place, body = f"/v1/alerts/{row['id']}", {"state": "muted"}
    assert client.post(place, json=body, headers={"Authorization": f"Bearer {read}"}).status_code == 403
    answer = client.post(place, json=body, headers={"Authorization": f"Bearer {write}"})
    assert answer.json()["history"][-1]["who"].startswith("key ")


def test_the_whole_application_knows_the_routes(built):
    from wares.serve.app import create_app

    with TestClient(create_app(built.root)) as client:
        product = client.get("/v1/search?k=1").json()["hits"][0]["product"]["product_id"]
        found = client.get(f"/v1/products/{product}/mood")
        assert found.status_code == 200
        # The synthetic shop has no reviews.
        assert found.json()["texts"] == 0
        assert found.json()["course"] == []
        assert client.get(f"/v1/products/{product}").json()["product_id"] == product
        assert client.get("/v1/products/no/such/mood").status_code == 404
        assert client.get("/v1/alerts").json()["alerts"] == []
        assert client.post("/v1/sentiment", json={"texts": ["good"]}).status_code in (200, 404)
