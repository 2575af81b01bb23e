"""What /v1/search answers beside its hits, and what it says to what it cannot do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

import wares
from wares.core.errors import QueryError
from wares.models.search.analysis import surface_words
from wares.models.search.asked import Asked
from wares.serve.app import create_app


@pytest.fixture(scope="module")
def client(built):
    with TestClient(create_app(built.root)) as found:
        yield found


def get(client, **params):
    return client.get("/v1/search", params=params)


def test_the_answer_says_what_was_read_and_what_matches(client):
    page = get(client, q="red desk lamp", k=3).json()
    assert page["asked"]["words"] == ["red", "desk", "lamp"]
    assert page["sort"] == "relevance"
    first = page["hits"][0]
    assert first["highlights"]["title"] == [[0, 3], [4, 8], [9, 13]]
    assert first["parts"]["cover"] > 0.9
    assert "ignored" not in page


def test_pages_follow_one_another_by_cursor(client):
    whole = [h["product"]["product_id"] for h in get(client, q="lamp", k=12).json()["hits"]]
    page, found = get(client, q="lamp", k=5).json(), []
    while page["hits"] and len(found) < 12:
        found += [h["product"]["product_id"] for h in page["hits"]]
        if "cursor" not in page:
            break
        page = get(client, q="lamp", k=5, cursor=page["cursor"]).json()
    assert found[:12] == whole
    assert len(set(found)) == len(found)


def test_orders(client):
    prices = [float(h["product"]["price"]) for h in get(client, q="lamp", k=20, sort="price").json()["hits"]]
    assert prices == sorted(prices)
    prices = [float(h["product"]["price"]) for h in get(client, k=20, sort="-price").json()["hits"]]
    assert prices == sorted(prices, reverse=True)


def test_what_cannot_be_done_is_said(client):
    cursor = get(client, q="lamp", k=2).json()["cursor"]
    for params, status in (
        ({"sort": "smell"}, 422),
        ({"group": "colour"}, 422),
        ({"q": "tea", "cursor": cursor}, 400),
        ({"q": "lamp", "cursor": "%%%"}, 400),
        ({"price_min": 5, "price_max": 1}, 400),
        ({"offset": 10_001}, 422),
        ({"q": "x" * 1001}, 422),
    ):
        answer = get(client, **params)
        assert answer.status_code == status, (params, answer.text)
    assert get(client, q="lamp", colour="red").json()["ignored"] == ["colour"]
    beyond = get(client, q="lamp", offset=9_000).json()
    assert beyond["hits"] == []
    assert beyond["total"] > 0


def test_a_reader_limits_and_is_told_of(built):
    ranker = wares.load(built.root)

    def read(text):
        words = tuple(w for w in surface_words(text) if w not in ("under", "20"))
        return Asked(text, words, price_max=20.0, notes=(("under 20", "price", "0-20"),))

    ranker.searcher.read = read
    page = ranker.search("lamp under 20", k=10)
    assert page.hits
    assert all(hit.product.price <= 20 for hit in page.hits)
    assert page.asked.notes[0][1] == "price"
    assert page.highlights[0]
    plain = ranker.search("lamp under 20", k=10, verbatim=True)
    assert plain.asked == replace(plain.asked, price_max=None)
    with pytest.raises(QueryError, match="order"):
        ranker.search("lamp", sort="smell")
