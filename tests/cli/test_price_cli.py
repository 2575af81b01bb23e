from __future__ import annotations

import json

import pytest
from tests.conftest import copy_workspace
from typer.testing import CliRunner

from wares.cli import main
from wares.core.errors import NotFound, QueryError

for name in main.GROUPS:
    __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)


@pytest.fixture(scope="module")
def root(built, tmp_path_factory):
    return copy_workspace(built.root, tmp_path_factory.mktemp("price") / "shop")


def run(root, *words):
    return CliRunner().invoke(main.app, [*words, "--shop", str(root)])


def test_anomalies_and_what_is_expected(root):
    found = json.loads(run(root, "price", "anomalies", "--k", "5", "--history", "--json").stdout)
    assert found["currency"] == "EUR"
    assert found["prices"] >= found["priced_products"] == 96
    assert len(found["anomalies"]) <= 5
    said = run(root, "price", "anomalies")
    assert said.exit_code == 0
    assert "96 products" in said.stdout
    one = json.loads(run(root, "price", "show", "p0003", "--json").stdout)
    assert one["expected"]["low"] <= one["expected"]["high"]
    assert one["comparable"]
    assert "expected" in run(root, "price", "show", "p0003").stdout
    assert isinstance(run(root, "price", "show", "ghost").exception, NotFound)


def test_alerts_are_listed_and_decided(root):
    assert json.loads(run(root, "price", "watch", "--json").stdout)["new"] == []
    assert run(root, "price", "alerts", "--all").exit_code == 0
    assert isinstance(run(root, "price", "ack", "ghost").exception, NotFound)
    assert isinstance(run(root, "price", "mute", "ghost").exception, NotFound)


def test_what_rises(root):
    found = json.loads(run(root, "emerging", "--json").stdout)
    assert found["false_rate"] == 0.1
    assert run(root, "emerging", "--category", "Lamps").exit_code == 0


def test_an_audience_needs_consent_and_a_file(root, tmp_path):
    assert isinstance(run(root, "audience", "--product", "p0000").exception, QueryError)
    assert "consent" in str(
        run(root, "audience", "--product", "p0000", "--size", "5", "--out", str(tmp_path / "a")).exception
    )
    consent = tmp_path / "consent.csv"
    consent.write_text("user_id,consent\n" + "".join(f"u{n:03d},yes\n" for n in range(60)))
    words = ("audience", "--category", "Lamps", "--size", "20", "--owners", "keep", "--consent", str(consent))
    made = run(root, *words, "--holdout", "0.5", "--out", str(tmp_path / "a.csv"), "--json")
    assert json.loads(made.stdout)["holdout"] == 10
    outcome = tmp_path / "o.csv"
    outcome.write_text("user_id\nu000\n")
    found = run(root, "audience", "uplift", str(tmp_path / "a.csv"), "--outcome", str(outcome))
    assert found.exit_code == 0
    assert "10 and 10 people" in found.stdout


def test_evaluations_report_figures(root, tmp_path):
    found = run(root, "evaluate", "prices", "--planted", "12", "--seeds", "1", "--views", "alone", "--json")
    figures = json.loads(found.stdout)["views"]["alone"]
    assert 0 <= figures["precision"] <= 1
    assert "z_category_precision" in figures
    assert (
        run(root, "evaluate", "prices", "--planted", "12", "--seeds", "1", "--views", "alone").exit_code == 0
    )
    trial = run(root, "evaluate", "audiences", "--days", "21", "--targets", "5", "--share", "0.2", "--json")
    assert json.loads(trial.stdout)["audiences"]
    assert isinstance(run(root, "evaluate", "audiences", "--split", "never").exception, QueryError)
    assert isinstance(run(root, "evaluate", "audiences", "--split", "2031-01-01").exception, QueryError)
    coupons = tmp_path / "coupons.csv"
    coupons.write_text("coupon,product_id\n" + "".join(f"c1,p{n:04d}\n" for n in range(24)))
    redeemed = tmp_path / "redeemed.csv"
    redeemed.write_text(
        "user_id,coupon,date\n" + "".join(f"u{n:03d},c1,2025-06-10\n" for n in range(0, 80, 4))
    )
    more = run(
        root, "evaluate", "audiences", "--days", "21", "--split", "2025-06-01", "--targets", "5", "--coupons", str(coupons),
        "--redemptions", str(redeemed), "--json",
    )  # fmt: skip
    assert more.exception is None
    found = json.loads(more.stdout)["audiences"]
    # Those who redeemed have the taste of the coupon's category.
    assert found["redemptions"]["all"]["wares"]["lift"] > 2
