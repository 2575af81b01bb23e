from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import CONFIG, copy_workspace, new_workspace

from wares.core.errors import ConfigError, ContractViolation, QueryError, VersionErased
from wares.data.quality.history import History
from wares.data.quality.release import discard, entries, open_counts, read_changes, read_mended, release
from wares.data.quality.run import Checker
from wares.data.quality.suggest import suggest, write_rules
from wares.pipeline.workspace import open_workspace
from wares.testing.faults import FAULTS, evaluate, read

PLANTS = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, shop_data):
    shop = new_workspace(tmp_path_factory.mktemp("quality") / "shop", shop_data)
    shop.ingest()
    return shop


@pytest.fixture
def shop(loaded, tmp_path):
    return open_workspace(copy_workspace(loaded.root, tmp_path / "shop"))


def plant(shop, *names):
    for name in names:
        fault = PLANTS[name]
        shop.store.replace(fault.table, fault.plant(read(shop.store, fault.table), np.random.default_rng(1)))


def rules(shop, table, table_rules="", column="", column_rules=""):
    path = shop.root / "contracts" / f"{table}.odcs.yaml"
    text = path.read_text()
    if table_rules:
        text = text.replace(f"  - name: {table}\n", f"  - name: {table}\n    quality: [{table_rules}]\n")
    if column_rules:
        text = text.replace(f"{{name: {column},", f"{{name: {column}, quality: [{column_rules}],")
    path.write_text(text)


def labels(report):
    return {check.label for check in report.broken}


def test_clean_tables_pass_and_the_report_says_so(shop):
    report = shop.check("events")
    report.raise_for_errors()
    assert (report.state, report.score, report.blocking) == ("passed", 100.0, [])
    assert report.rows == 1680
    assert len(report.checks) > 30
    assert json.loads(json.dumps(report.to_json()))["state"] == "passed"


def test_a_few_faults_and_what_finds_them(shop):
    shop.check("events")
    plant(shop, "wrong enumeration", "event in the future", "nulls in a required column")
    report = shop.check("events")
    assert {"enumeration:kind", "future:at", "required:product_id", "new_values:kind"} <= labels(report)
    assert report.blocking == ["required:product_id"]
    assert report.against == 0
    assert report.score < 100
    with pytest.raises(ContractViolation, match="required:product_id"):
        report.raise_for_errors()
    wrong = next(check for check in report.broken if check.label == "enumeration:kind")
    assert wrong.broken == 12
    assert len(wrong.sample) == 5
    assert set(wrong.sample[0]) == {"event_id"}


def test_no_person_is_named_in_reports_profiles_and_history(shop, shop_data):
    shop.check("events")
    plant(shop, "orphan references", "swapped columns")
    shop.check("events")
    history = History(shop.state)
    text = json.dumps(
        [
            history.runs(),
            [history.checks(r["id"]) for r in history.runs()],
            history.profile("events", 0).to_json(),
        ]
    )
    assert not any(f'"{user}"' in text or f"'{user}'" in text for user in shop_data.taste)


@pytest.mark.slow
def test_every_planted_fault_is_found_and_nothing_else(loaded, tmp_path):
    result = evaluate(loaded, tmp_path)
    assert [t["fault"] for t in result["faults"] if not t["found"]] == []
    assert result["planted"] == len(FAULTS) >= 20
    assert result["false_alarms"] == []
    assert result["clean_checks"] > 500


OWN = (
    "{id: cheap, type: custom, implementation: price < 1000}, "
    "{id: fair, type: custom, severity: critical, implementation: price <= products.price * 2}, "
    "{id: rows, metric: rowCount, mustBeGreaterThan: 5000}, "
    "{id: pairs, metric: duplicateValues, arguments: {properties: [user_id, at]}, mustBe: 0}, "
    "{id: sql-rows, type: sql, query: 'SELECT event_id FROM {object} WHERE quantity > 1'}, "
    "{id: sql-number, type: sql, query: 'SELECT count(*) FROM events e LEFT JOIN products p USING (product_id) WHERE p.product_id IS NULL', mustBe: 0}"
)


def test_own_rules(shop):
    rules(
        shop,
        "events",
        OWN,
        "price",
        "{id: drift, type: custom, implementation: {drift: ks, against: 0}}, {id: full, metric: nullValues, mustBe: 0}",
    )
    report = shop.check("events")
    assert labels(report) == {"rowCount#rows"}
    assert len([check for check in report.checks if check.rule]) == 8
    plant(shop, "unit shift by 100", "out of range")
    broken = labels(shop.check("events"))
    assert {"expression#cheap", "expression#fair"} <= broken
    assert shop.check("events").blocking == ["expression#fair"]


def test_rules_that_cannot_run_are_named_and_the_others_run(shop):
    rules(
        shop,
        "events",
        "{id: files, type: sql, query: \"SELECT * FROM read_csv('/etc/passwd')\"}, {id: writes, type: sql, query: DROP TABLE events}, "
        "{id: ghost, type: custom, implementation: ghost > 1}, {id: nowhere, type: custom, implementation: stores.size > 1}, {id: bad, metric: nonsense}, "
        "{id: old, type: sql, query: 'SELECT nothing FROM events'}, {id: fine, metric: rowCount, mustBeGreaterThan: 0}",
        "price",
        "{id: vacuumed, type: custom, implementation: {drift: psi, against: 9}}",
    )
    report = shop.check("events")
    assert {check.rule for check in report.invalid} == {
        "files",
        "writes",
        "ghost",
        "nowhere",
        "bad",
        "old",
        "vacuumed",
    }
    assert all(check.message and check.mend for check in report.invalid)
    assert any(check.rule == "fine" and check.status == "passed" for check in report.checks)
    assert any(check.label == "enumeration:kind" and check.status == "passed" for check in report.checks)
    with pytest.raises(ConfigError, match="rule"):
        report.raise_for_errors()


def test_references_in_a_circle(shop):
    path = shop.root / "contracts" / "products.odcs.yaml"
    path.write_text(
        path.read_text().replace(
            "{name: brand, logicalType: string,",
            "{name: brand, logicalType: string, relationships: [{to: events.event_id}],",
        )
    )
    report = shop.check("events")
    circle = next(check for check in report.invalid if check.kind == "cycle")
    assert "events.product_id → products.brand → events" in circle.message
    assert any(check.kind == "enumeration" and check.status == "passed" for check in report.checks)


def test_a_version_that_was_erased(shop):
    shop.check("products")
    for _ in range(2):
        shop.store.replace("products", read(shop.store, "products"))
    old = set(shop.store.files("products", 0)) | set(shop.store.files("products", 1))
    for file in old - set(shop.store.files("products")):
        Path(file).unlink()
    assert shop.check("products", against=0).against == 0
    with pytest.raises(VersionErased, match="version 1"):
        shop.check("products", against=1)


def test_history_and_trends(shop):
    shop.check("events")
    plant(shop, "wrong enumeration")
    shop.check("events")
    history = History(shop.state)
    runs = history.runs("events")
    assert [run["state"] for run in runs] == ["error", "passed"]
    assert [p["broken"] for p in history.trend("events", "enumeration:kind")] == [0, 12]
    assert history.latest()["events"]["version"] == 1
    assert history.trusted("events", 5) == 0
    assert len(history.contracts("events")) == 1
    rules(shop, "events", "{id: more, metric: rowCount, mustBeGreaterThan: 0}")
    shop.check("events")
    assert len(history.contracts("events")) == 2


def test_alerts_once_by_webhook_and_command(shop, tmp_path):
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            return None

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    mail = tmp_path / "mail.txt"
    settings = f'[quality]\nwebhook = "http://127.0.0.1:{server.server_port}/"\nemail_command = ["sh", "-c", "cat >> {mail}"]\n'
    (shop.root / "wares.toml").write_text(CONFIG + settings)
    shop = open_workspace(shop.root)
    clean = read(shop.store, "events")
    shop.check("events")
    plant(shop, "wrong enumeration")
    shop.check("events")
    shop.check("events")
    assert len(got) == 1
    assert {b["label"] for b in got[0]["broken"]} == {"enumeration:kind", "new_values:kind"}
    shop.store.replace("events", clean)
    shop.check("events")
    server.shutdown()
    thread.join()
    server.server_close()
    assert set(got[1]["mended"]) == {"enumeration:kind", "new_values:kind"}
    assert mail.read_text().count("Subject: [wares] Synthetic: events") == 2
    alerts = History(shop.state).alerts("events")
    assert [a["event"] for a in alerts].count("broken") == 2
    assert json.loads(alerts[0]["sent"])["webhook"] == "204"


def test_a_channel_that_fails_disturbs_nothing(shop):
    settings = '[quality]\nwebhook = "http://127.0.0.1:9/"\nemail_command = ["/no/such/program"]\nmute = ["events:future:*"]\n'
    (shop.root / "wares.toml").write_text(CONFIG + settings)
    shop = open_workspace(shop.root)
    plant(shop, "wrong enumeration", "event in the future")
    assert "future:at" not in labels(shop.check("events"))
    sent = json.loads(History(shop.state).alerts()[0]["sent"])
    assert sent["webhook"].startswith("failed")
    assert sent["email"].startswith("failed")


def test_suggested_rules_hold_where_they_were_learned(shop):
    checker = Checker(shop.root, shop.config, shop.store, shop.state, shop.clock)
    learned = suggest(checker.profile_of("events", 0))
    assert ("currency", "learned-values") in {(column, rule["id"]) for column, rule in learned}
    assert not any(column == "user_id" and rule["id"] == "learned-values" for column, rule in learned)
    path = write_rules(shop.root, "events", learned)
    again = write_rules(shop.root, "events", learned)
    assert path.read_text() == again.read_text()
    report = shop.check("events")
    assert report.state == "passed"
    assert sum(check.rule.startswith("learned-") for check in report.checks) == len(learned)
    plant(shop, "mixed currencies")
    assert "invalidValues:currency#learned-values" in labels(shop.check("events"))


BAD = """customer,sku,type,time,qty,price
u001,p0001,purchase,2025-08-01,1,cheap
u001,ghost,purchase,2025-08-02,1,3.5
u002,p0002,teleported,2025-08-02,1,3.5
u002,p0002,purchase,2025-08-02,1,5.5
"""


@pytest.fixture
def set_aside(shop, tmp_path):
    (tmp_path / "bad.csv").write_text(BAD)
    shop.ingest(str(tmp_path / "bad.csv"), "events")
    return {row["rule"]: row["id"] for row in entries(shop.store, shop.state)}


def test_release_after_mending(shop, set_aside):
    report = release(shop, [set_aside["type"][:8]], read_changes(["price=4.20"]), by="anna")
    assert report.released == [set_aside["type"]]
    assert report.versions == {"events": shop.store.version("events")}
    assert "4.2000" in {str(v) for v in read(shop.store, "events")["price"].to_pylist()}
    assert {row["rule"] for row in open_counts(shop.store, shop.state)} == {"reference", "enumeration"}
    done = entries(shop.store, shop.state, done=True)
    assert [(row["action"], row["by"]) for row in done] == [("released", "anna")]
    with pytest.raises(QueryError, match="was released by anna"):
        release(shop, [set_aside["type"]], by="ben")


def test_rows_that_still_break_a_rule_stay(shop, set_aside, tmp_path):
    before = read(shop.store, "events").num_rows
    report = release(shop, list(set_aside.values()), {"price": "2"}, by="anna")
    assert report.released == [set_aside["type"]]
    assert {row["rule"] for row in report.broken} == {"reference:product_id", "enumeration:kind"}
    mended = tmp_path / "mended.csv"
    mended.write_text(
        f"_id,product_id,kind\n{set_aside['reference']},p0003,\n{set_aside['enumeration']},,purchase\n"
    )
    cells = {name: {k: v for k, v in row.items() if v} for name, row in read_mended(mended).items()}
    report = release(shop, list(cells), {}, cells, by="anna")
    assert len(report.released) == 2
    assert read(shop.store, "events").num_rows == before + 3
    assert shop.check("events").quarantined == 0
    assert entries(shop.store, shop.state) == []


def test_discard_and_wrong_ids(shop, set_aside):
    assert discard(shop, [set_aside["reference"]], by="anna") == [set_aside["reference"]]
    assert shop.check("events").rules == {"type:price": 1, "enumeration:kind": 1}
    for wrong, words in (("nothing", "not in quarantine"), ("", "not in quarantine")):
        with pytest.raises(QueryError, match=words):
            discard(shop, [wrong], by="anna")
    with pytest.raises(QueryError, match="no column"):
        release(shop, [set_aside["type"]], {"colour": "red"}, by="anna")
    with pytest.raises(QueryError, match="column=value"):
        read_changes(["price"])
    assert {row["action"] for row in shop.audit.entries()} >= {"quarantine.discard"}
