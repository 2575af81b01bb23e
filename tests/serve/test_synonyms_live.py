"""Synonyms and the reader over a built shop: in the bundle, in the API, on the command line, without a rebuild."""

from __future__ import annotations

import json
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from wares.cli import main as cli_main
from wares.cli import synonyms as cli_synonyms
from wares.core.bundles import live_bundle
from wares.core.errors import NotFitted, NotFound, QueryError
from wares.core.files import write_json
from wares.core.synonyms import SynonymBook
from wares.pipeline.workspace import init_workspace, open_workspace, starter_config
from wares.serve import problems
from wares.serve.auth import Gate, create_key
from wares.serve.reading import PART, open_reader
from wares.serve.synonyms import PROPOSALS, listed, routes


def test_the_bundle_has_a_reader_and_synonyms_count_at_once(copy_of_built):
    shop = open_workspace(copy_of_built.root)
    bundle = live_bundle(shop.root)
    book = SynonymBook(shop.state, shop.audit)
    reader = open_reader(bundle, book.curated)
    assert reader is not None
    asked = reader.read("desk lamp under 20")
    assert asked.price_max == 20
    assert reader.lexicon.count("lamp") > 0
    assert "luminaire" not in reader.read("lamp").also.get("lamp", ())
    book.add("lamp", "luminaire", "ann", shop.clock.now())
    assert "luminaire" in reader.read("lamp").also["lamp"]
    assert open_reader(bundle.parent / "none") is None
    assert set(listed(bundle, book, 10, 10)) == {"synonyms", "learned", "proposed", "history"}


@pytest.fixture
def workspace(tmp_path):
    shop = init_workspace(tmp_path / "shop", starter_config("Lamps", "EUR", ()))
    yield shop
    shop.state.close()


def client_of(shop, *, keys: bool = False) -> TestClient:
    """The routes alone: they need no bundle that can be ranked."""
    app, gate = FastAPI(), Gate(shop.state, required=keys)
    problems.install(app)

    def may(scope):
        def check(authorization: Annotated[str | None, Header()] = None) -> None:
            gate.check(authorization, scope)

        return Depends(check)

    bundle = shop.root / "bundles" / "one"
    routes(app, SynonymBook(shop.state, shop.audit), lambda: bundle, gate, may, {}, {})
    return TestClient(app)


def test_the_api_curates_synonyms(workspace):
    folder = workspace.root / "bundles" / "one" / PART
    folder.mkdir(parents=True)
    pair = {"clicks": -1.0, "meaning": 0.9, "context": 0.0}
    found = [
        {"one": "rug", "other": "carpet", "proven": True, **pair},
        {"one": "salt", "other": "pepper", "proven": False, **pair},
    ]
    write_json(folder / PROPOSALS, found)
    with client_of(workspace) as client:
        first = client.get("/v1/synonyms", params={"proposals": 5}).json()
        assert first["synonyms"] == []
        assert [(p["one"], p["other"]) for p in first["learned"]] == [("rug", "carpet")]
        assert [(p["one"], p["other"]) for p in first["proposed"]] == [("salt", "pepper")]
        body = {"phrase": "couch", "also": "sofa"}
        made = client.post("/v1/synonyms", json=body)
        assert made.status_code == 201
        assert [s["phrase"] for s in made.json()["synonyms"]] == ["couch", "sofa"]
        for wrong, status in (
            ({"phrase": "couch"}, 422),
            ({**body, "also": "couch"}, 400),
            ({**body, "also": "!!"}, 400),
            ({**body, "also": "x" * 81}, 422),
            ({**body, "also": "\x00"}, 422),
            ({**body, "state": "maybe"}, 422),
        ):
            answer = client.post("/v1/synonyms", json=wrong)
            assert answer.status_code == status, wrong
            assert answer.headers["content-type"] == "application/problem+json"
        refused = client.post(
            "/v1/synonyms", json={"phrase": "salt", "also": "pepper", "state": "refused", "both": False}
        )
        assert [s["state"] for s in refused.json()["synonyms"]] == ["refused"]
        found = client.get("/v1/synonyms", params={"history": 5, "proposals": 5}).json()
        assert len(found["synonyms"]) == 3
        assert found["history"][0]["event"] == "refused"
        assert found["proposed"] == []
        client.post("/v1/synonyms", json={"phrase": "carpet", "also": "rug", "state": "refused"})
        assert client.get("/v1/synonyms").json()["learned"] == []
        gone = client.delete("/v1/synonyms", params=body)
        assert len(gone.json()["removed"]) == 2
        assert client.delete("/v1/synonyms", params=body).status_code == 404
    read, curate = (create_key(workspace.state, scope, [scope]) for scope in ("read", "curate"))
    with client_of(workspace, keys=True) as client:
        statuses = [
            client.get("/v1/synonyms", headers={"authorization": f"Bearer {key}"}).status_code
            for key in (read, curate)
        ]
        assert statuses == [403, 200]


def test_the_command_line_curates_synonyms(workspace):
    cli_synonyms.register(cli_main.app)

    def cli(*words):
        return CliRunner().invoke(cli_main.app, ["synonyms", *words, "--shop", str(workspace.root)])

    made = cli("add", "couch", "sofa", "--one-way", "--json")
    assert [(s["phrase"], s["also"]) for s in json.loads(made.stdout)] == [("couch", "sofa")]
    assert "refused: salt" in cli("refuse", "salt", "pepper").stdout
    assert "kept: couch" in "".join(cli("list", "--history").stdout)
    assert isinstance(cli("propose").exception, NotFitted)
    assert isinstance(cli("add", "couch", "couch").exception, QueryError)
    assert cli("remove", "couch", "sofa").exit_code == 0
    assert isinstance(cli("remove", "couch", "sofa").exception, NotFound)
    assert len(json.loads(cli("list", "--json").stdout)["synonyms"]) == 2
