from __future__ import annotations

import json

import pytest
from tests.conftest import new_workspace
from typer.testing import CliRunner

from wares.cli import main

for name in main.GROUPS:
    __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)


@pytest.fixture(scope="module")
def root(tmp_path_factory, shop_data):
    shop = new_workspace(tmp_path_factory.mktemp("cli") / "shop", shop_data)
    shop.ingest()
    bad = shop.root / "bad.csv"
    bad.write_text("customer,sku,time,qty,price\nu001,ghost,2025-08-01,1,3\nu001,p0001,2025-08-01,1,dear\n")
    shop.ingest(str(bad), "events")
    return shop.root


def run(root, *words):
    return CliRunner().invoke(main.app, [*words, "--shop", str(root)])


def test_check_and_mend(root):
    first = run(root, "check", "--json")
    assert first.exit_code == 3
    report = {r["table"]: r for r in json.loads(first.stdout)}
    assert report["events"]["blocking"] == ["type:price"]
    assert report["products"]["state"] == "passed"
    rows = json.loads(run(root, "quarantine", "events", "--json").stdout)
    ids = {row["rule"]: row["id"] for row in rows}
    assert run(root, "quarantine", "release", ids["type"], "--set", "price=2", "--by", "anna").exit_code == 0
    assert run(root, "quarantine", "release", ids["reference"]).exit_code == 3
    assert run(root, "quarantine", "discard", ids["reference"]).exit_code == 0
    assert run(root, "check", "events").exit_code == 0


def test_contracts(root, tmp_path):
    assert json.loads(run(root, "contract", "show", "events", "--json").stdout)["owner"] == "analytics"
    assert run(root, "contract", "diff", "events", "events").exit_code == 0
    text = (
        (root / "contracts" / "events.odcs.yaml")
        .read_text()
        .replace("logicalType: timestamp", "logicalType: string")
    )
    (tmp_path / "new.yaml").write_text(
        text.replace("logicalTypeOptions: {minimum: 1990, maximum: 2100}, ", "")
    )
    found = run(root, "contract", "diff", "events", str(tmp_path / "new.yaml"), "--json")
    assert found.exit_code == 3
    assert {"where": "at", "what": "type timestamp → string", "breaking": True} in json.loads(found.stdout)
    assert run(root, "contract", "suggest", "products", "--json").exit_code == 0
    run(root, "check", "products")
    assert json.loads(run(root, "contract", "history", "products", "--json").stdout)[0]["asset"] == "products"
