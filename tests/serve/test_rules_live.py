"""Merchandising rules: kept, checked, audited, live."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from wares.cli import main as cli_main
from wares.cli import rules as cli_rules
from wares.core.clock import FixedClock
from wares.core.errors import NotFound, QueryError
from wares.core.search_rules import MOST, Rule, RuleBook, checked, parse_day
from wares.core.state import State
from wares.pipeline.workspace import open_workspace
from wares.serve.app import create_app
from wares.serve.auth import create_key
from wares.serve.ranker import load_ranker
from wares.serve.rules import Merchandiser

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def book(tmp_path):
    state = State.at(tmp_path)
    yield RuleBook(state)
    state.close()


def test_a_rule_is_kept_told_and_taken_away(book):
    made = book.add(Rule("pin", "product", "p1", " Desk  LAMP ", amount=2, note="new"), "mei", NOW)
    assert (made.id, made.query, made.who) == (1, "desk lamp", "mei")
    assert made.words() == 'pin product p1 to place 2 for "desk lamp"'
    assert book.active(NOW) == (made,)
    with pytest.raises(QueryError, match="rule 1 says the same"):
        book.add(Rule("pin", "product", "p1", "desk lamp", amount=2), "bo", NOW)
    assert book.remove(1, "bo", NOW, "sold out") == made
    assert book.all() == []
    assert [(row["event"], row["who"], row["note"]) for row in book.history()] == [
        ("removed", "bo", "sold out"),
        ("added", "mei", "new"),
    ]
    with pytest.raises(NotFound, match="no rule 1"):
        book.remove(1, "bo", NOW)
    assert book.add(Rule("ban", "word", "gun"), "mei", NOW).id == 2


def test_rules_count_between_their_days_in_utc(book):
    rule = book.add(
        Rule("bury", "brand", "Acme", starts=date(2026, 11, 27), ends=date(2026, 11, 28)), "mei", NOW
    )
    states = {day: rule.state(date(2026, 11, day)) for day in (26, 27, 28, 29)}
    assert states == {26: "waiting", 27: "active", 28: "active", 29: "over"}
    assert book.active(datetime(2026, 11, 26, 23, 59, tzinfo=UTC)) == ()
    assert book.active(datetime(2026, 11, 28, 23, 59, tzinfo=UTC)) == (rule,)
    assert rule.words() == "bury brand Acme from 2026-11-27 until 2026-11-28"


@pytest.mark.parametrize(
    ("rule", "parameter"),
    [
        (Rule("hide", "product", "p1"), "action"),
        (Rule("ban", "colour", "red"), "target"),
        (Rule("ban", "word", "gun", match="like"), "match"),
        (Rule("ban", "word", "  "), "value"),
        (Rule("ban", "word", "x" * 201), "value"),
        (Rule("ban", "word", "a\x00b"), "value"),
        (Rule("ban", "word", "gun", "q\u0007"), "query"),
        (Rule("pin", "brand", "Acme", "q"), "target"),
        (Rule("pin", "product", "p1"), "query"),
        (Rule("pin", "product", "p1", "q", amount=1.5), "amount"),
        (Rule("pin", "product", "p1", "q", amount=101), "amount"),
        (Rule("boost", "brand", "Acme", amount=-1), "amount"),
        (Rule("boost", "brand", "Acme", amount=float("nan")), "amount"),
        (Rule("ban", "word", "gun", starts=date(2026, 2, 2), ends=date(2026, 2, 1)), "ends"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_mend(rule, parameter):
    with pytest.raises(QueryError) as caught:
        checked(rule)
    assert caught.value.fields["parameter"] == parameter
    assert caught.value.mend


def test_odd_days_and_too_many_rules(book, monkeypatch):
    assert parse_day(" ", "from") is None
    with pytest.raises(QueryError, match="is no day"):
        parse_day("tomorrow", "from")
    monkeypatch.setattr("wares.core.search_rules.MOST", 1)
    book.add(Rule("ban", "word", "gun"), "mei", NOW)
    with pytest.raises(QueryError, match="1 rules already"):
        book.add(Rule("ban", "word", "knife"), "mei", NOW)
    assert MOST > 1000


def test_a_rule_counts_at_once_over_a_bundle(copy_of_built):
    shop = open_workspace(copy_of_built.root)
    ranker = load_ranker(shop.root, shop.state)
    found = ranker.searcher.search("desk lamp", 10)
    book = RuleBook(shop.state, shop.audit)
    rules = Merchandiser(book, ranker.catalogue, FixedClock(NOW))
    assert rules("desk lamp", (), found.rows, found.scores).rows.tolist() == found.rows.tolist()
    last = str(ranker.catalogue.ids[int(found.rows[-1])])
    book.add(Rule("pin", "product", last, "desk lamp"), "mei", NOW)
    ruled = rules("Desk lamp", (), found.rows, found.scores)
    assert ruled.rows[0] == found.rows[-1]
    assert sorted(ruled.rows) == sorted(found.rows)
    assert np.isfinite(ruled.scores).all()
    assert shop.audit.verify().whole
    assert any(row["action"] == "search_rule.add" for row in shop.audit.stream())


def test_the_api_curates(copy_of_built):
    shop = open_workspace(copy_of_built.root)
    with TestClient(create_app(shop.root)) as client:
        assert client.get("/v1/rules").json() == {"rules": [], "history": []}
        body = {"action": "pin", "value": "p0001", "query": "desk lamp", "starts": "2026-01-01", "note": "a"}
        made = client.post("/v1/rules", json=body)
        assert made.status_code == 201
        assert made.json()["amount"] == 1.0
        assert client.post("/v1/rules", json=body).status_code == 400
        for wrong, status in (
            ({**body, "action": "hide"}, 422),
            ({**body, "target": "brand"}, 400),
            ({**body, "starts": "soon"}, 422),
            ({**body, "ends": "2025-01-01"}, 400),
            ({**body, "value": "\x00"}, 422),
            ({**body, "more": 1}, 422),
        ):
            answer = client.post("/v1/rules", json=wrong)
            assert answer.status_code == status, wrong
            assert answer.headers["content-type"] == "application/problem+json"
        listed = client.get("/v1/rules", params={"history": 5}).json()
        assert [rule["state"] for rule in listed["rules"]] == ["active"]
        assert listed["history"][0]["event"] == "added"
        assert client.delete("/v1/rules/1", params={"note": "done"}).json()["removed"]["id"] == 1
        assert client.delete("/v1/rules/1").status_code == 404
        assert client.delete("/v1/rules/0").status_code == 422
    read, curate = (create_key(shop.state, scope, [scope]) for scope in ("read", "curate"))
    with TestClient(create_app(shop.root, require_keys=True)) as client:
        statuses = [
            client.get("/v1/rules", headers={"authorization": f"Bearer {key}"}).status_code
            for key in (read, curate)
        ]
        assert statuses == [403, 200]


def test_the_command_line_curates(copy_of_built):
    cli_rules.register(cli_main.app)

    def cli(*words):
        return CliRunner().invoke(cli_main.app, ["rules", *words, "--shop", str(copy_of_built.root)])

    assert "No rules" in cli("list").stdout
    made = cli(
        "add",
        "boost",
        "Acme",
        "--target",
        "brand",
        "--factor",
        "1.5",
        "--until",
        "2099-01-01",
        "--note",
        "season",
        "--json",
    )
    assert json.loads(made.stdout)["words"] == "boost brand Acme by 1.5 until 2099-01-01"
    ghost = cli("add", "pin", "ghost", "--query", "lamp")
    assert "waits for it" in ghost.output
    assert isinstance(cli("add", "ban", "x", "--factor", "2").exception, QueryError)
    assert isinstance(cli("add", "pin", "x").exception, QueryError)
    assert "boost brand Acme" in cli("list", "--history").stdout
    assert cli("remove", "1").exit_code == 0
    assert isinstance(cli("remove", "1").exception, NotFound)
