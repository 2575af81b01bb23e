from __future__ import annotations

import threading
import time

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from tests.conftest import running_server

from wares.core.config import Serve
from wares.core.state import State
from wares.serve.app import create_app
from wares.serve.auth import create_key, is_loopback


@pytest.fixture
def client(copy_of_built):
    with TestClient(create_app(copy_of_built.root)) as found:
        yield found


def test_reading(client):
    page = client.get("/v1/search", params={"q": "red desk lamp", "k": 3}).json()
    assert page["hits"][0]["product"]["title"] == "red desk lamp"
    assert page["hits"][0]["why"]
    assert page["facets"]["category"]
    found = client.get("/v1/suggest", params={"q": "desk", "user": "u001"}).json()
    assert "desk lamp" in found["suggestions"]
    one = next(item for item in found["items"] if item["text"] == "desk lamp")
    assert one == {"text": "desk lamp", "kind": "phrase", "category": "Lamps", "highlight": [[0, 4]]}
    inside = client.get("/v1/suggest", params={"q": "p", "category": "Garden"}).json()["items"]
    assert {item["category"] for item in inside} == {"Garden"}
    assert client.get("/v1/suggest", params={"q": "\x00' OR 1=1 --"}).json()["items"] == []
    assert len(client.get("/v1/recommend", params={"user": "u001", "k": 5}).json()["hits"]) == 5
    assert client.get("/v1/similar/p0000", params={"weights": "text:1,behaviour:2"}).json()["hits"]
    product = client.get("/v1/products/p0000").json()
    assert product["price"] == "5.5"
    assert product["price_history"] == []
    assert client.get("/readyz").json()["status"] == "ready"
    assert "wares_requests_total" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/similar/ghost", 404, "PUT"),
        ("/v1/products/ghost", 404, "no product"),
        ("/v1/search?k=0", 422, "query.k"),
        ("/v1/search?q=" + "x" * 2000, 422, "query.q"),
        ("/v1/search?price_min=9&price_max=1", 400, "Swap"),
        ("/v1/search?price_min=nan", 422, "price_min"),
        ("/v1/recommend?tail=7", 422, "tail"),
        ("/v1/similar/p0000?weights=text", 400, "text:1"),
        ("/v1/similar/p0000?weights=smell:1", 400, "Known"),
        ("/v1/similar/p0000?weights=text:-1", 400, "negative"),
        ("/v1/nothing", 404, "/docs"),
    ],
)
def test_errors_are_problem_documents(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert words in answer.text


def test_an_event_changes_the_next_recommendation(client):
    def categories(user):
        hits = client.get("/v1/recommend", params={"user": user, "k": 8, "repeats": False}).json()["hits"]
        return [h["product"].get("category") for h in hits]

    before = categories("web-visitor")
    body = {
        "events": [
            {"event_id": f"x{n}", "user_id": "web-visitor", "product_id": f"p{n:04d}", "kind": "purchase"}
            for n in (48, 49, 50)
        ]
    }
    first = client.post("/v1/events", json=body)
    assert (first.status_code, first.json()["accepted"]) == (202, 3)
    assert client.post("/v1/events", json=body).json() == {
        "accepted": 0,
        "duplicates": 3,
        "erased": 0,
        "unknown_products": [],
    }
    after = categories("web-visitor")
    assert after.count("Garden") > before.count("Garden")
    assert client.post(
        "/v1/events", json={"events": [{"user_id": "a", "product_id": "ghost", "kind": "view"}]}
    ).json()["unknown_products"] == ["ghost"]


def test_a_new_product_is_searchable_similar_and_recommendable_within_a_second(client):
    begun = time.perf_counter()
    body = {
        "title": "magenta desk lamp with wireless charger",
        "category": "Lamps",
        "brand": "Brand1",
        "price": "19.90",
    }
    assert client.put("/v1/products/brand-new", json=body).json() == {
        "product_id": "brand-new",
        "searchable": True,
    }
    assert (
        client.get("/v1/search", params={"q": "magenta wireless charger", "k": 3}).json()["hits"][0][
            "product"
        ]["product_id"]
        == "brand-new"
    )
    assert client.get("/v1/similar/brand-new").json()["hits"][0]["product"]["category"] == "Lamps"
    near = [
        h["product"]["product_id"]
        for h in client.get("/v1/similar/p0000", params={"k": 50, "weights": "text:1"}).json()["hits"]
    ]
    assert "brand-new" in near
    for _ in range(2):
        hits = client.get("/v1/recommend", params={"user": "u000", "k": 12}).json()["hits"]
    assert "brand-new" in [h["product"]["product_id"] for h in hits]
    assert client.get("/v1/products/brand-new").json()["currency"] == "EUR"
    client.put("/v1/products/a%2Fb c", json={"title": "slashed id"})
    assert client.get("/v1/products/a%2Fb c").json()["product_id"] == "a/b c"
    assert time.perf_counter() - begun < 60
    body["available"] = False
    client.put("/v1/products/brand-new", json=body)
    assert "brand-new" not in client.get("/v1/recommend", params={"user": "u000", "k": 12}).text


def test_a_known_product_takes_its_new_form(client):
    client.put("/v1/products/p0000", json={"title": "lamp renamed zyx", "price": 3})
    assert client.get("/v1/search", params={"q": "zyx"}).json()["hits"][0]["product"]["price"] == "3"
    found = [
        h["product"]["title"]
        for h in client.get("/v1/search", params={"q": "red desk lamp", "k": 50}).json()["hits"]
    ]
    assert sum(t == "lamp renamed zyx" for t in found) <= 1


@pytest.mark.parametrize(
    "body",
    [
        {"events": []},
        {"events": [{"user_id": "", "product_id": "p", "kind": "view"}]},
        {"events": [{"user_id": "u", "product_id": "p", "kind": "teleport"}]},
        {"events": [{"user_id": "u", "product_id": "p", "kind": "view", "quantity": "NaN"}]},
        {"events": [{"user_id": "u\x00", "product_id": "p", "kind": "view"}]},
        {"events": [{"user_id": "u", "product_id": "p", "kind": "view", "at": "2025-01-01T00:00:00"}]},
        {"event": 1},
    ],
)
def test_bad_events_are_refused_whole(client, body):
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_keys_and_scopes(copy_of_built):
    state = State.at(copy_of_built.root / "state")
    read, write = (create_key(state, "t", [scope]) for scope in ("read", "write"))
    assert read not in str(state.keys())
    with TestClient(create_app(copy_of_built.root, require_keys=True)) as client:
        event = {"events": [{"user_id": "u", "product_id": "p0000", "kind": "view"}]}

        def ask(key, method="GET", path="/v1/recommend", **more):
            return client.request(
                method, path, headers={"Authorization": f"Bearer {key}"} if key else {}, **more
            )

        assert ask("").status_code == 401
        assert ask("").headers["www-authenticate"] == "Bearer"
        assert ask("wk_0_nonsense").status_code == 401
        assert ask(read).status_code == 200
        assert ask(read, "POST", "/v1/events", json=event).status_code == 403
        assert ask(write, "POST", "/v1/events", json=event).status_code == 202
        assert client.get("/healthz").status_code == 200
        state.revoke_key(read.split("_")[1])
        client.app.state.gate._read = -1e9
        assert ask(read).status_code == 401
    assert is_loopback("127.0.0.1")
    assert not is_loopback("0.0.0.0")


def test_large_requests_and_overload(copy_of_built):
    tight = Serve.model_validate({"max_concurrent": 1, "queue_seconds": 0.05, "max_body_kb": 16})
    with TestClient(create_app(copy_of_built.root, settings=tight)) as client:
        big = {"events": [{"user_id": "u" * 100, "product_id": "p", "kind": "view"}] * 500}
        assert client.post("/v1/events", json=big).status_code == 413
        gate = threading.Event()
        shelf = client.app.state.shelf
        slow = shelf.ranker.search

        def held(*args, **named):
            gate.wait(5)
            return slow(*args, **named)

        shelf.ranker.search = held
        waiting = threading.Thread(target=lambda: client.get("/v1/search?q=a"))
        waiting.start()
        time.sleep(0.3)
        answer = client.get("/v1/recommend")
        gate.set()
        waiting.join()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_a_fault_is_no_500(copy_of_built, monkeypatch):
    with TestClient(create_app(copy_of_built.root), raise_server_exceptions=False) as client:
        monkeypatch.setattr(client.app.state.shelf.ranker, "recommend", lambda *a, **k: 1 / 0)
        assert client.get("/v1/recommend").status_code == 503


def test_a_new_bundle_is_taken_up_without_a_dropped_request(copy_of_built):
    import http.client

    with running_server(copy_of_built.root) as (_, port):
        seen, wrong, stop = set(), [], threading.Event()

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            while not stop.is_set():
                for path in ("/readyz", "/v1/recommend?user=u001", "/v1/search?q=lamp"):
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 200:
                        wrong.append((path, answer.status))
                    if path == "/readyz":
                        seen.add(body)
            connection.close()

        thread = threading.Thread(target=ask)
        thread.start()
        config = copy_of_built.root / "wares.toml"
        config.write_text(config.read_text() + "[search]\nvector_weight = 0.2\n")
        from wares.pipeline.workspace import open_workspace

        shop = open_workspace(copy_of_built.root)
        shop.build()
        name = shop.publish().name
        for _ in range(100):
            if any(name.encode() in body for body in seen):
                break
            time.sleep(0.1)
        stop.set()
        thread.join()
    assert wrong == []
    assert len(seen) == 2


def test_any_request_that_the_schema_allows_or_forbids(copy_of_built):
    """Schemathesis throws valid and invalid requests at every route: never a 500, always the documented form."""
    with running_server(copy_of_built.root) as (_, port):
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        ran = 0
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                database=None,
            )
            @given(case=operation.as_strategy())
            def one(case):
                answer = case.call()
                assert answer.status_code < 500 or answer.status_code == 503, (
                    case.path,
                    answer.status_code,
                    answer.text[:300],
                )
                if answer.status_code >= 400:
                    assert "problem+json" in str(answer.headers["content-type"])

            one()
            ran += 1
    assert ran >= 9
