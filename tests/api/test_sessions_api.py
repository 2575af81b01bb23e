from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from wares.serve.app import create_app


@pytest.fixture(scope="module")
def client(built, tmp_path_factory):
    from tests.conftest import copy_workspace

    root = copy_workspace(built.root, tmp_path_factory.mktemp("api") / "shop")
    with TestClient(create_app(root)) as found:
        yield found


def ids(answer):
    return [h["product"]["product_id"] for h in answer.json()["hits"]]


def test_a_visit_from_its_first_view_to_its_login(client):
    stranger = ids(client.get("/v1/recommend", params={"k": 8}))
    events = [{"session_id": "v1", "product_id": f"p{n:04d}", "kind": "view"} for n in (48, 49, 50)]
    assert client.post("/v1/events", json={"events": events}).json()["accepted"] == 3
    visit = ids(client.get("/v1/recommend", params={"session": "v1", "k": 8}))
    assert visit != stranger
    assert client.get("/v1/recommend", params={"user": "ann", "k": 8}).status_code == 200
    done = client.post("/v1/sessions/v1/login", json={"user_id": "ann"})
    assert done.json() == {"session_id": "v1", "user_id": "ann", "merged": 3, "erased": False}
    assert ids(client.get("/v1/recommend", params={"user": "ann", "k": 8})) == visit
    # An event that names both does the same.
    client.post("/v1/events", json={"events": [{**events[0], "session_id": "v2"}]})
    client.post("/v1/events", json={"events": [{**events[1], "session_id": "v2", "user_id": "bob"}]})
    ranker = client.app.state.shelf.ranker
    assert len(ranker.history("bob").items) == 2


def test_picks_of_a_stranger(client):
    stranger = ids(client.get("/v1/recommend", params={"k": 8}))
    found = client.get("/v1/recommend", params={"likes": "p0048,p0049,ghost", "k": 8})
    assert found.json()["unknown_products"] == ["ghost"]
    assert ids(found) != stranger
    assert not {"p0048", "p0049"} & set(ids(found))
    categories = [h["product"]["category"] for h in found.json()["hits"]]
    assert categories.count("Garden") >= 4
    same = client.get("/v1/recommend", params={"likes": ["p0048", "p0049"], "k": 8})
    assert ids(same) == ids(found)
    assert ids(client.get("/v1/recommend", params={"likes": "ghost", "k": 8})) == stranger


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/recommend?likes=" + ",".join(f"p{n}" for n in range(5000)), 400, "Give the 100"),
        ("/v1/recommend?basket=" + ",".join(f"p{n}" for n in range(300)), 400, "more than 200"),
        ("/v1/recommend?session=" + "s" * 300, 422, "session"),
    ],
)
def test_too_much_is_refused_with_a_mend(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "session_id for a visitor"),
        ({"session_id": "  "}, "session_id for a visitor"),
        ({"user_id": "u", "quantity": -2}, "greater than or equal to 0"),
        ({"user_id": "u", "at": (datetime.now(UTC) + timedelta(days=400)).isoformat()}, "future"),
    ],
)
def test_bad_events_are_named(client, event, words):
    answer = client.post("/v1/events", json={"events": [{"product_id": "p0001", "kind": "view", **event}]})
    assert answer.status_code == 422
    assert words in answer.text


def test_a_login_needs_somebody(client):
    assert client.post("/v1/sessions/v9/login", json={"user_id": " "}).status_code == 422
    assert client.post("/v1/sessions/%20/login", json={"user_id": "ann"}).status_code == 400
    assert client.post("/v1/sessions/never-seen/login", json={"user_id": "ann"}).json()["merged"] == 0
