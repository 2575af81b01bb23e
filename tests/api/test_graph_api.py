"""The graph over HTTP and on the command line, of a published shop."""

from __future__ import annotations

import csv
import gzip
import json
import urllib.request

import pytest
from fastapi.testclient import TestClient
from tests.conftest import running_server
from typer.testing import CliRunner

from wares.cli import graph as graph_cli
from wares.cli import tools
from wares.cli.main import app as cli
from wares.core.errors import NotFound, QueryError, SourceError
from wares.serve.app import create_app

RUN = CliRunner()
tools.register(cli)
graph_cli.register(cli)


@pytest.fixture(scope="module")
def client(built):
    with TestClient(create_app(built.root)) as found:
        yield found


def said(shop, *arguments):
    done = RUN.invoke(cli, ["graph", *map(str, arguments), "--shop", str(shop.root), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_what_the_graph_says_of_a_product(client):
    found = client.get("/v1/graph/p0000", params={"limit": 200}).json()
    assert found["title"] == "red desk lamp"
    edges = {(e["relation"], e["entity"]["kind"], e["entity"]["value"]) for e in found["edges"]}
    assert {("has_brand", "brand", "brand0"), ("in_category", "category", "lamps")} <= edges
    assert found["relations"]["has_brand"] == 1
    one = client.get("/v1/graph/p0000", params={"relation": "has_brand"}).json()["edges"]
    assert [e["relation"] for e in one] == ["has_brand"]
    assert one[0]["source"] == "columns"
    assert one[0]["since"] is None


def test_how_two_products_hang_together(client):
    found = client.get("/v1/graph/path", params={"from": "p0000", "to": "p0007"}).json()
    assert "same maker as red desk lamp: brand0" in found["why"]
    assert all(path[-1]["entity"]["value"] == "p0007" for path in found["paths"])
    chinese = client.get("/v1/graph/path", params={"from": "p0000", "to": "p0007", "language": "zh"}).json()
    assert "同品牌" in chinese["why"]
    same = client.get("/v1/graph/path", params={"from": "p0000", "to": "p0000"}).json()
    assert same["paths"] == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/graph/ghost", 404, "no product"),
        ("/v1/graph/p0000?relation=likes", 404, "has_brand"),
        ("/v1/graph/p0000?limit=0", 422, "limit"),
        ("/v1/graph/path?from=p0000&to=ghost", 404, "no product"),
        ("/v1/graph/path?from=p0000", 422, "to"),
        ("/v1/graph/path?from=p0000&to=p0001&hops=9", 422, "hops"),
        ("/v1/graph/%20", 400, "blank"),
    ],
)
def test_what_is_unknown_is_answered_with_a_mend(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text


def test_a_recommendation_that_nothing_else_explains_is_explained_by_the_graph(client):
    ranker = client.app.state.shelf.ranker
    history = ranker.history("u001")
    row = ranker.catalogue.row("p0001")
    why = ranker._by_graph(row, history, "en")
    assert why.code == "graph"
    assert "that you had" in why.text
    hits = ranker.recommend("u001", 20)
    assert all(hit.why.text for hit in hits)


def test_what_the_product_page_of_the_console_shows(client):
    from wares.console.knowledge import facts_of

    ranker = client.app.state.shelf.ranker
    facts = dict(facts_of(ranker, "p0000"))
    assert facts["kg_brand"] == [("brand0", "")]
    assert "desk lamp" in {text for text, _ in facts["kg_terms"]}
    assert facts_of(ranker, "ghost") == []


def test_the_page_holds_the_block(built):
    with (
        running_server(built.root, "--console") as (_, port),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/product/p0000", timeout=60) as page,
    ):
        text = page.read().decode()
    assert "Knows about this product" in text
    assert "brand0" in text


def test_a_product_that_came_in_online_has_no_edges_yet(copy_of_built):
    with TestClient(create_app(copy_of_built.root)) as client:
        client.put("/v1/products/fresh", json={"title": "blue desk lamp"})
        found = client.get("/v1/graph/fresh").json()
        assert (found["title"], found["edges"]) == ("blue desk lamp", [])
        assert client.get("/v1/graph/path", params={"from": "fresh", "to": "p0000"}).json()["paths"] == []


def test_the_commands(copy_of_built, tmp_path):
    shop = copy_of_built
    found = said(shop, "show", "p0000")
    assert found["entity"] == {"kind": "product", "value": "p0000"}
    brand = said(shop, "show", "--entity", "brand:brand0", "--relation", "has_brand")
    assert {e["entity"]["kind"] for e in brand["edges"]} == {"product"}
    assert "brand0" in said(shop, "path", "p0000", "p0007")["why"]
    out = tmp_path / "triples.csv.gz"
    made = said(shop, "triples", "--out", out)
    with gzip.open(out, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == made["triples"] == shop.store.rows("graph_triples")
    assert rows[0].keys() == {"head", "relation", "tail", "weight", "source", "day"}
    fits = tmp_path / "fits.csv"
    fits.write_text("head,relation,tail\np0001,fits,socket e27\nghost,fits,p0001\n")
    added = said(shop, "add", fits)
    assert (added["triples"], added["of_products"]) == (2, 1)
    assert (shop.root / "graph" / "fits.csv").read_text() == fits.read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["show"], QueryError, "name a product"),
        (["show", "ghost"], NotFound, "ghost"),
        (["show", "--entity", "brand:none"], NotFound, "none"),
        (["show", "p0000", "--relation", "likes"], NotFound, "likes"),
        (["path", "p0000", "ghost"], NotFound, "ghost"),
        (["triples", "--out", "x.docx"], QueryError, "x.docx"),
        (["add", "ghost.csv"], QueryError, "ghost.csv"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(built, arguments, error, words):
    with pytest.raises(error, match=words):
        said(built, *arguments)


def test_a_broken_file_is_not_taken(built, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_text("head,relation,tail,weight\np0001,fits,x,much\n")
    with pytest.raises(SourceError, match="row 2"):
        said(built, "add", broken)
    assert not (built.root / "graph").exists()
