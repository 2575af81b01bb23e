from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wares.core.errors import ConfigError
from wares.data.contract import contract_for, parse_contract
from wares.data.engine import Engine
from wares.data.quality import sqltext
from wares.data.quality.changes import changes, find_contract
from wares.data.quality.rules import Limits

HEAD = """apiVersion: v3.1.0
kind: DataContract
id: t
version: '2'
status: active
description: {purpose: Why it is there.}
team: {name: crew, members: [{username: anna, role: owner}, {username: ben}]}
roles: [{role: analyst, access: read}]
slaProperties: [{property: freshness, value: 36, unit: h}, {property: availability, value: 99, unit: percent}]
schema:
  - name: products
    quality: [%s]
    properties:
      - {name: product_id, logicalType: string, primaryKey: true, required: true}
      - {name: price, logicalType: number, classification: personal, quality: [%s]}
"""


def contract(table="", price=""):
    return parse_contract(HEAD % (table, price), "products", "c.yaml")


def test_the_standards_own_fields_are_read():
    found = contract()
    assert (found.owner, found.team, found.purpose) == ("anna", ("anna", "ben"), "Why it is there.")
    assert found.roles == (("analyst", "read"),)
    assert found.freshness_days == pytest.approx(1.5)
    assert found.sla == (("freshness", "36 h"), ("availability", "99 percent"))
    assert found.personal == {"price"}


def test_rules_of_all_kinds():
    found = contract(
        "{id: a, type: sql, query: SELECT 1}, {id: b, metric: rowCount, mustBeGreaterThan: 5}, {id: n, type: text, description: for people}",
        "{metric: nullValues, unit: percent, mustBeLessThan: 3, severity: warning}, {id: d, type: custom, engine: wares, severity: critical, implementation: {drift: psi, against: 0}}, "
        "{id: e, type: custom, implementation: price > 0, customProperties: [{property: blocking, value: true}]}",
    )
    rules = {rule.name: rule for rule in found.quality}
    assert found.faults == ()
    assert set(rules) == {"a", "b", "price-1", "d", "e"}
    assert rules["price-1"].limits == Limits(high=3, open_high=True, percent=True)
    assert (rules["d"].against, rules["d"].blocking) == (0, True)
    assert (rules["e"].blocking, rules["e"].column, rules["e"].severity) == (True, "price", "error")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{metric: nonsense}", "metric 'nonsense'"),
        ("{metric: nullValues, severity: bad, mustBe: 0}", "severity 'bad'"),
        ("{type: sql}", "no query"),
        ("{type: custom}", "no implementation"),
        ("{type: custom, engine: soda, implementation: x}", "engine 'soda'"),
        ("{type: custom, implementation: {drift: wasserstein}}", "drift 'wasserstein'"),
        ("{type: custom, implementation: {drift: psi, against: yesterday}}", "against 'yesterday'"),
        ("{metric: nullValues, mustBe: few}", "no number"),
        ("{type: telepathy}", "type 'telepathy'"),
    ],
)
def test_a_rule_that_cannot_be_read_leaves_the_others(rule, words):
    found = contract("{id: fine, metric: rowCount, mustBeGreaterThan: 0}", rule)
    assert [r.name for r in found.quality] == ["fine"]
    assert words in found.faults[0].message
    assert "c.yaml" in found.faults[0].message
    assert found.faults[0].mend


def test_limits():
    assert Limits(low=1, high=2).holds(1)
    assert not Limits(low=1, high=2, open_low=True).holds(1)
    assert Limits(low=1, high=2, outside=True).holds(3)
    assert str(Limits(high=3, open_high=True, percent=True)) == "below 3 %"


@pytest.fixture(scope="module")
def table():
    import pyarrow as pa

    with Engine(0.5) as engine:
        rows = {"price": [1.0, -2.0, None], "title": ["a", "long title", None], "n": [1, 200, 3]}
        yield engine, engine.rows(pa.table(rows))


def resolve(table):
    def column(other, name):
        if other or name not in table.columns:
            raise KeyError(f"the missing column {name!r}")
        return table[name]

    return column


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("price > 0", [True, False, None]),
        ("price > 0 and n <= 100", [True, False, None]),
        ("n between 1 and 3 or title = 'long title'", [True, True, True]),
        ("price is not null", [True, True, False]),
        ("length(title) >= 2", [False, True, None]),
        ("regexp_like(title, '^l')", [False, True, None]),
        ("title in ('a', 'b')", [True, False, None]),
        ("not (coalesce(price, 0) < 0)", [True, False, True]),
        ("title not like '%title'", [True, False, None]),
        ("now() >= timestamp '2020-01-01'", [True, True, True]),
    ],
)
def test_expressions(table, text, good):
    engine, rows = table
    found = sqltext.expression(text, resolve(rows), "rule x", datetime.now(UTC))
    assert engine.arrow(rows.mutate(good=found).order_by("n").select("n", "good"))["good"].to_pylist() == [
        good[0],
        good[2],
        good[1],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "price >", "__import__('os').system('x')", "read_text('/etc/passwd') = 'a'", "(select 1) > 0", "ghost > 1",
        "title > 5", "price::int > 1", "getenv('HOME') = ''", "other.price > 1", "n[1] > 0", "lambda x: x",
    ],
)  # fmt: skip
def test_expressions_that_are_refused(table, text):
    with pytest.raises(ConfigError, match="rule x") as caught:
        sqltext.expression(text, resolve(table[1]), "rule x", datetime.now(UTC))
    assert caught.value.mend


@pytest.mark.parametrize(
    "text",
    [
        "drop table events", "copy events to 'x.csv'", "select * from 'x.csv'", "select * from read_csv('x')",
        "select * from events; delete from events", "select getenv('HOME') from events", "select * from main.events",
        "select * from glob('*'), events", "attach 'x.db'", "pragma database_list", "select 1", "select * from information_schema.tables",
        "select (select content from read_text('/etc/passwd')) from events", "insert into events values (1)", "select * into x from events",
        'with "/etc/x.parquet" as (select * from events) select * from "/etc/x.parquet"', "select read_blob('x') from events",
        "select * from query('select 1'), events", "create table x as select * from events", "selec", "install httpfs", "set memory_limit='1'",
    ],
)  # fmt: skip
def test_queries_that_write_or_read_files_are_refused(text):
    with pytest.raises(ConfigError, match="rule x"):
        sqltext.query(text, ["events", "products"], "rule x")


def test_queries_that_only_select():
    text = "with cheap as (select * from products where price < 1) select e.* from events e join cheap using (product_id)"
    assert sqltext.query(text, ["events", "products"], "x")[1] == ["events", "products"]


def test_breaking_changes_are_told_from_others(tmp_path):
    old = contract_for("events")
    text = old.text.replace("{value: rate}", "{value: rate}, {value: gift}").replace(
        "{name: currency, logicalType: string,", "{name: coin, logicalType: string, required: true,"
    )
    text = text.replace('purpose: "What shoppers did', 'purpose: "All that shoppers did')
    path = tmp_path / "new.yaml"
    path.write_text(text)
    found = changes(old, find_contract(str(path), "", tmp_path, None))
    by_place = {(c.where, c.breaking): c.what for c in found}
    assert by_place["currency", True] == "the column is gone"
    assert "required" in by_place["coin", True]
    assert by_place["kind", True] == "values with gift"
    assert ("purpose", False) in by_place
    assert changes(old, old) == []
    assert [c.breaking for c in found] == sorted((c.breaking for c in found), reverse=True)
