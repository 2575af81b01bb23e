from __future__ import annotations

import importlib
import json

import pytest
from typer.testing import CliRunner

from wares.cli import main


@pytest.fixture
def wares(copy_of_built):
    for group in main.GROUPS:
        importlib.import_module(f"wares.cli.{group}").register(main.app)

    def run(*arguments: str):
        return CliRunner().invoke(main.app, [*arguments, "--shop", str(copy_of_built.root)])

    return run


def test_commands_answer_in_json(wares, tmp_path):
    found = json.loads(wares("privacy", "scan", "events", "--rows", "200", "--json").stdout)
    assert {(f["column"], f["kind"]) for f in found} == {("user_id", "user id")}
    assert found[0]["rows"] < found[0]["rows_in_all"]
    said = wares("privacy", "tags", "events", "price", "--personal", "yes", "--json")
    tags = {t["column"]: t for t in json.loads(said.stdout)}
    assert (tags["price"]["personal"], tags["price"]["by"]) == ("yes", "person")
    assert tags["user_id"]["personal"] == "yes"
    out = tmp_path / "u007.jsonl"
    assert (
        json.loads(wares("privacy", "export", "--subject", "u007", "--out", str(out), "--json").stdout)[
            "rows"
        ]
        > 14
    )
    assert out.stat().st_mode & 0o777 == 0o600
    assert all(json.loads(line)["place"] for line in out.read_text().splitlines())
    assert json.loads(wares("privacy", "retain", "--json").stdout)["removed"]["rows"] == 0


def test_an_unknown_subject_is_no_fault(wares):
    answer = wares("asset", "erase", "--subject", "who-is-this")
    assert answer.exit_code == 0
    assert "Nothing of this subject" in answer.stdout
    (receipt,) = json.loads(wares("privacy", "receipts", "--json").stdout)
    assert receipt["removed"]["rows"] == 0
    assert json.loads(wares("privacy", "allow", "--subject", "who-is-this", "--json").stdout)["allowed"] == 2
    assert wares("asset", "erase").exception.fields["parameter"] == "subject"
