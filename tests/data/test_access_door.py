from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.conftest import copy_workspace
from typer.testing import CliRunner

import wares
from wares.core.clock import FixedClock
from wares.core.errors import (
    AccessDenied,
    ConfigError,
    DataError,
    IncompatibleArtifact,
    QueryError,
    Unavailable,
    WaresError,
)
from wares.core.masks import Mask, Masker
from wares.data.contract import contract_for
from wares.pipeline.workspace import init_workspace, open_workspace

ROLES = ("owner", "steward", "analyst", "marketer", "service", "partner", "public", "tester")
CONFIG = """
[shop]
name = "Masks"
[access.roles.tester]
tables = ["products", "events", "prices", "quarantine"]
purposes = ["quality"]
threshold = 3
masks = { "events.price" = "noise:0.2", "events.at" = "noise", "quantity" = "partial", "products.description" = "partial:3", "products.brand" = "hash", "prices.price" = "null" }
rows = { events = "kind != 'return'" }
"""
AT = datetime(2025, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
N = 40


def rows_of(table):
    """Rows whose every personal cell holds a word that stands nowhere else."""
    many = range(N)
    if table == "products":
        return [
            {"product_id": f"p{i}", "title": f"lamp {i}", "description": f"warm-descr-{i}", "brand": f"brandsecret{i}",
             "category": "Home", "price": Decimal(10 + i), "currency": "EUR", "available": True} for i in many
        ]  # fmt: skip
    if table == "events":
        return [
            {"event_id": f"secretevent{i}", "user_id": f"secretuser{i % 13}", "session_id": f"secretsession{i}",
             "product_id": f"p{i % 7}", "kind": "return" if i % 10 == 0 else "purchase", "at": AT + timedelta(days=i, seconds=7 * i),
             "quantity": Decimal(37 + i), "price": Decimal("4711.1375") + i, "currency": "EUR", "store": f"store{i % 3}"} for i in many
        ]  # fmt: skip
    if table == "reviews":
        return [
            {"review_id": f"secretreview{i}", "product_id": f"p{i % 7}", "user_id": f"secretuser{i % 13}", "rating": Decimal(4),
             "title": f"secrettitle{i}", "text": f"I am secretname{i}", "at": AT} for i in many
        ]  # fmt: skip
    if table == "texts":
        return [
            {"text_id": f"secrettext{i}", "kind": "question", "text": f"I am secretname{i}", "at": AT, "product_id": f"p{i % 7}",
             "user_id": f"secretuser{i % 13}", "brand": "acme", "seller": "s1", "query": f"secretwords{i}"} for i in many
        ]  # fmt: skip
    if table == "queries":
        return [
            {"query_id": f"secretquery{i}", "text": f"secretwords{i}", "user_id": f"secretuser{i % 13}", "session_id": f"secretsession{i}",
             "product_id": f"p{i % 7}", "at": AT} for i in many
        ]  # fmt: skip
    return [
        {
            "product_id": f"p{i}",
            "at": AT + timedelta(days=i),
            "price": Decimal("8151.2") + i,
            "currency": "EUR",
        }
        for i in many
    ]


def fill(shop):
    from wares.data.quarantine import QUARANTINE_SCHEMA

    for table in ("products", "events", "reviews", "texts", "queries", "prices"):
        schema = contract_for(table, shop.root).arrow_schema()
        shop.store.append(
            table, pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows_of(table)], schema)
        )
    bad = {"id": "1", "table": "events", "source": "e.csv", "line": 3, "rule": "type", "column": "at", "value": "secretvalue",
           "row": '{"user_id": "secretuser1"}', "mend": "Write a date", "at": AT}  # fmt: skip
    shop.store.append("quarantine", pa.Table.from_pylist([bad], QUARANTINE_SCHEMA))
    # A table that nobody declared: shut for all but the owner.
    shop.store.append("stray", pa.table({"user_id": ["secretuser1"], "note": ["secretnote"]}))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    workspace = init_workspace(tmp_path_factory.mktemp("masks") / "shop", CONFIG)
    fill(workspace)
    return workspace


@pytest.fixture
def copy(shop, tmp_path):
    return open_workspace(copy_workspace(shop.root, tmp_path / "shop"))


# The whole matrix by hand: v visible, h hash, 0 null, p partial, n noise, . denied, - no such table for the role.
PLAIN = dict.fromkeys(
    [
        "product_id",
        "title",
        "description",
        "brand",
        "category",
        "size",
        "price",
        "currency",
        "image",
        "url",
        "available",
        "attributes",
    ],
    "v",
)
MATRIX = {
    "products": dict.fromkeys(ROLES, PLAIN) | {"tester": {**PLAIN, "description": "p", "brand": "h"}},
    "events": {
        "owner": "v v v v v v v v v v", "steward": "h h h v v v v v v v", "analyst": "h h h v v v v v v v", "marketer": "h h h v v v v v v v",
        "service": "h h h v v v v v v v", "partner": "h h h v v v v v v v", "public": "-", "tester": "h h h v v n p n v v",
    },
    "reviews": {
        "owner": "v v v v v v v v", "steward": "h v h v 0 0 v v", "analyst": "h v h v 0 0 v v", "marketer": "h v h v 0 0 v v",
        "service": "h v h v 0 0 v v", "partner": "-", "public": "-", "tester": "-",
    },
    "texts": {
        "owner": "v v v v v v v v v", "steward": "h v 0 v v h v v 0", "analyst": "h v 0 v v h v v 0", "marketer": "h v 0 v v h v v 0",
        "service": "h v 0 v v h v v 0", "partner": "-", "public": "-", "tester": "-",
    },
    "queries": {
        "owner": "v v v v v v v v", "steward": "h 0 h h v v v v", "analyst": "h 0 h h v v v v", "marketer": "h 0 h h v v v v",
        "service": "h 0 h h v v v v", "partner": "-", "public": "-", "tester": "-",
    },
    "prices": dict.fromkeys(ROLES, "v v v v v") | {"tester": "v v 0 v v"},
    "quarantine": dict.fromkeys(ROLES, "-") | {"owner": "v v v v v v v v v v", "steward": "v v v v v v 0 0 v v"},
    "stray": dict.fromkeys(ROLES, ".") | {"owner": "v v", "marketer": "-", "partner": "-", "public": "-", "tester": "-"},
}  # fmt: skip
LETTERS = {"v": "visible", "h": "hash", "0": "null", "p": "partial", "n": "noise", ".": "deny"}
GROUPS_ONLY = {
    ("marketer", "events"),
    ("marketer", "reviews"),
    ("marketer", "texts"),
    ("marketer", "queries"),
}


def expected(shop, table, role):
    """Column to mask kind, or None when the role has no such table."""
    row = MATRIX[table][role]
    if row == "-":
        return None
    names = [column.name for column in shop.door.policy().tables[table].columns]
    if isinstance(row, dict):
        return {name: LETTERS[row[name]] for name in names}
    letters = row.split() if row != "." else ["."] * len(names)
    assert len(letters) == len(names), (table, names)
    return {name: LETTERS[letter] for name, letter in zip(names, letters, strict=True)}


def by_python(shop, table, role, tmp_path):
    return shop.asset(table, role).to_arrow().to_pylist()


def by_batches(shop, table, role, tmp_path):
    return [row for batch in shop.asset(table, role).batches(7) for row in batch.to_pylist()]


def by_cli(shop, table, role, tmp_path):
    return cli(shop, "asset", "read", table, "--role", role, "--limit", "1000", "--json")["rows"]


def by_api(shop, table, role, tmp_path):
    answer = client(shop, role).get(f"/v1/assets/{table}/rows", params={"limit": 1000})
    if answer.status_code == 403:
        raise AccessDenied(answer.json()["detail"])
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def by_console(shop, table, role, tmp_path):
    from wares.console.roles import sample

    return sample(shop, table, role, limit=1000)


def by_share(shop, table, role, tmp_path):
    folder = tmp_path / f"share-{role}-{table}"
    purpose = shop.door.policy().purpose(shop.door.policy().role(role), None) or "sharing"
    shop.shares.create(
        table, folder, role=role, receiver="ACME", expires=date(2999, 1, 1), terms="Terms", purpose=purpose
    )
    return wares.read_share(folder).to_arrow().to_pylist()


DOORS = (by_python, by_batches, by_cli, by_api, by_console, by_share)


def cli(shop, *words):
    from wares.cli import access, tools
    from wares.cli.main import app

    tools.register(app)
    access.register(app)
    done = CliRunner().invoke(app, [*words, "--shop", str(shop.root)])
    if isinstance(done.exception, WaresError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def client(shop, role):
    from wares.console.assets_api import mount_assets
    from wares.serve import problems
    from wares.serve.auth import Gate, create_key

    app = FastAPI()
    problems.install(app)
    mount_assets(app, shop, Gate(shop.state, required=True))
    token = create_key(shop.state, role, ["read"], role)
    return TestClient(app, headers={"Authorization": f"Bearer {token}"})


def key_of(table):
    return {"products": "product_id", "prices": "at"}.get(table, "product_id")


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_column_and_door_shows_what_the_matrix_says(shop, role, door, tmp_path):
    for table in MATRIX:
        want = expected(shop, table, role)
        shut = want is None or (role, table) in GROUPS_ONLY or set(want.values()) == {"deny"}
        if door is by_share and role == "owner":
            with pytest.raises(ConfigError, match="owner's role"):
                door(shop, table, role, tmp_path)
            continue
        if shut:
            with pytest.raises(AccessDenied):
                door(shop, table, role, tmp_path)
            continue
        found = door(shop, table, role, tmp_path)
        raw = raw_of(shop, table, "kind != 'return'" if (role, table) == ("tester", "events") else None)
        assert len(found) == raw.num_rows
        assert list(found[0]) == [name for name, how in want.items() if how != "deny"]
        for name, how in want.items():
            if how != "deny":
                check_column(how, [row[name] for row in found], raw[name].to_pylist())


_RAW = {}


def raw_of(shop, table, where):
    if (table, where) not in _RAW:
        _RAW[table, where] = shop.asset(table, "owner", where=where).to_arrow()
    return _RAW[table, where]


def check_column(how, seen, raw):
    raw_texts = {text(value) for value in raw if value is not None}
    seen_texts = {text(value) for value in seen if value is not None}
    if how == "visible":
        assert seen_texts <= raw_texts
    elif how == "null":
        assert seen_texts == set()
    else:
        assert not seen_texts & raw_texts
        assert all(value is not None for value in seen) or None in raw
    if how == "hash" and raw_texts:
        assert len(seen_texts) == len({text(v) for v in raw})
        assert all(len(s) == 32 for s in seen_texts)


def text(value):
    """One form of a value, whatever door it came through."""
    if isinstance(value, str):
        try:
            return (
                str(datetime.fromisoformat(value).astimezone(UTC)) if "T" in value or " " in value else value
            )
        except ValueError:
            return value
    return str(value.astimezone(UTC)) if isinstance(value, datetime) else str(value)


@pytest.mark.parametrize(
    ("mask", "column"),
    [("hash", "s"), ("hash", "n"), ("hash", "i"), ("hash", "at"), ("partial:2", "s"), ("partial", "n"), ("partial", "i"),
     ("partial", "at"), ("noise:0.3", "n"), ("noise:0.3", "i"), ("noise", "at"), ("null", "s"), ("null", "at")],
)  # fmt: skip
def test_expressions_and_single_values_mask_alike(mask, column):
    from wares.core.access import Decision
    from wares.data.access.masks import masked
    from wares.data.engine import Engine

    table = pa.table(
        {
            "s": ["", "a", "abcdefg", "abcdefgh", "日本語のテキストです", "naïve — ünïcode", None],
            "n": pa.array(
                [Decimal(v) for v in ("0", "0.5", "1", "9.9999", "-42.5", "123456789.25")] + [None],
                pa.decimal128(18, 4),
            ),
            "i": [0, 1, 9, 10, -42, 10**12, None],
            "at": pa.array(
                [AT + timedelta(days=97 * i, microseconds=i) for i in range(6)] + [None],
                pa.timestamp("us", "UTC"),
            ),
        }
    )
    rule, masker = Mask.parse(mask), Masker("k" * 64)
    want = [masker.apply(rule, "f", value) for value in table[column].to_pylist()]
    with Engine(0.5) as engine:
        rows = engine.rows(table)
        found = engine.arrow(
            rows.select(x=masked(rows[column], Decision(column, "", rule, "f", ""), masker))
        )["x"].to_pylist()
    assert sorted(map(str, found)) == sorted(map(str, want))


def test_a_hash_joins_tables_within_a_role_and_not_across_roles_or_receivers(shop, tmp_path):
    def users(role, table):
        return set(shop.asset(table, role, columns=["user_id"]).to_arrow()["user_id"].to_pylist())

    assert users("analyst", "events") == users("analyst", "reviews") == users("analyst", "queries")
    assert not users("analyst", "events") & users("service", "events")
    parts = []
    for receiver in ("ACME", "Globex", "ACME"):
        folder = tmp_path / f"{receiver}{len(parts)}"
        shop.shares.create(
            "events", folder, role="partner", receiver=receiver, expires=date(2999, 1, 1), terms="T"
        )
        parts.append(set(wares.read_share(folder).to_arrow()["user_id"].to_pylist()))
    assert parts[0] == parts[2]
    assert not parts[0] & parts[1]


def test_a_filter_on_a_masked_column_sees_masked_values_only(shop):
    reading = shop.asset("events", "analyst", where="user_id = 'secretuser1'")
    assert (reading.count(), reading.suppressed) == (None, True)
    hashed = shop.asset("events", "analyst", columns=["user_id"]).to_arrow()["user_id"][0].as_py()
    # The masked value can be asked for, and then it is one person.
    assert shop.asset("events", "analyst", where=f"user_id = '{hashed}'").count() is None
    assert shop.asset("events", "analyst", where=f"user_id != '{hashed}'").count() < N
    assert shop.asset("reviews", "analyst", where="text like '%secretname1%'").count() is None
    assert shop.asset("products", "tester", where="description like 'war%'").count() == N
    assert shop.asset("products", "tester", where="description like 'warm%'").count() == 0


def test_small_selections_and_none_at_all_look_alike(shop):
    some = shop.asset("events", "analyst", where="at < '2025-03-17'")
    none = shop.asset("events", "analyst", where="at < '1999-01-01'")
    for reading in (some, none):
        assert reading.count() is None
        assert reading.to_arrow().num_rows == 0
        assert reading.suppressed
    assert shop.asset("events", "owner", where="at < '2025-03-17'").count() == 3


def test_groups_of_too_few_people_are_left_out_and_cannot_be_had_by_subtraction(shop):
    groups = shop.asset("events", "marketer").aggregate(["product_id"], n="count", people="people")
    assert groups.num_rows == 0
    for role, k in (("analyst", 5), ("partner", 10)):
        found = shop.asset("events", role).aggregate(["kind"], n="count", people="people").to_pylist()
        assert all(row["people"] >= k for row in found)
    # 'return' has 4 events of 4 people: with it the whole of 'purchase' goes as well, or a total would tell it.
    assert shop.asset("events", "analyst").aggregate(["kind"], n="count").num_rows == 0
    assert shop.asset("events", "analyst").aggregate(n="count", s="sum:quantity").to_pylist()[0]["n"] == N


def test_who_reads_no_single_rows_reads_no_extremes_either(shop):
    with pytest.raises(AccessDenied, match="extremes"):
        shop.asset("events", "marketer").aggregate(["kind"], x="max:price")


@pytest.mark.parametrize(
    "where",
    ["1 = 1; drop table x", "user_id in (select 1)", "lower(kind) = 'x'", "cast(kind as int) = 1", "kind > 3", "quantity = 'secret'",
     "events.kind = 'x'", "kind = 'x' -- secret", "at > 'secret'", "", " ", "kind", "(" * 500 + "kind = 'a'" + ")" * 500, "kind = 'a'\x00"],
)  # fmt: skip
def test_a_condition_outside_the_grammar_is_refused_without_repeating_its_values(shop, where):
    if not where:
        assert shop.asset("events", "analyst", where=where).count() == N
        return
    with pytest.raises(QueryError) as caught:
        shop.asset("events", "analyst", where=where).count()
    assert "secret" not in str(caught.value)


def test_the_grammar_selects_what_it_says(shop):
    def n(where):
        return shop.asset("events", "owner", where=where).count()

    assert n("kind = 'return'") == 4
    assert n("not kind = 'return'") == n("kind <> 'return'") == n("kind not in ('return', 'view')") == N - 4
    assert n("quantity between 37 and 39 or quantity = 41.0") == 4
    assert n("-1 < quantity and product_id like 'p_' and session_id is not null") == N
    assert n("at >= '2025-03-15' and at < '2025-03-17T00:00:00+00:00'") == 2
    assert n("user_id = session_id") == 0
    assert shop.asset("products", "owner", where="available and not title ilike 'LAMP 1%'").count() == N - 11


def test_every_reading_and_refusal_is_in_the_audit_log_without_cells(shop):
    before = shop.audit.count()
    shop.asset(
        "events", "analyst", version=0, purpose="research", columns=["kind"], where="user_id = 'secretuser1'"
    ).count()
    with pytest.raises(AccessDenied):
        shop.asset("events", "public")
    denied, read = shop.audit.entries(limit=2)
    assert shop.audit.count() == before + 2
    assert (denied["action"], denied["role"], denied["what"]) == ("denied", "public", "events")
    assert (read["action"], read["role"]) == ("count", "analyst")
    assert read["detail"]["purpose"] == "research"
    assert read["detail"]["version"] == 0
    assert read["detail"]["rows"] is None
    assert "user_id" in read["detail"]["where"]
    assert "secret" not in json.dumps(read)


def test_a_reading_that_cannot_be_logged_does_not_happen(copy):
    (copy.root / "state" / "audit.key").unlink()
    workspace = open_workspace(copy.root)
    with pytest.raises(ConfigError, match="key of the audit log is gone"):
        workspace.asset("events", "analyst").to_arrow()


def test_a_fault_of_the_engine_shows_no_cell(shop, monkeypatch):
    from wares.data.engine import Engine

    def fail(*_):
        raise DataError("Conversion Error: could not convert 'secretuser1'")

    monkeypatch.setattr(Engine, "arrow", fail)
    monkeypatch.setattr(Engine, "batches", fail)
    for role, read in (("analyst", lambda r: r.to_arrow()), ("service", lambda r: list(r.batches()))):
        with pytest.raises(DataError, match="could not be read as") as caught:
            read(shop.asset("events", role))
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None
    with pytest.raises(DataError, match="secretuser1"):
        shop.asset("events", "owner").to_arrow()


def test_the_order_of_rows_does_not_tell_the_order_of_masked_values(shop):
    users = shop.asset("events", "analyst", columns=["user_id"]).to_arrow()["user_id"].to_pylist()
    assert users == sorted(users)


def test_a_column_that_nobody_declared_is_open_only_after_somebody_looked(copy):
    from wares.data.privacy.tags import set_tag

    assert copy.door.policy().decide("analyst", "stray").allowed == ()
    set_tag(copy.state, "stray", "note", "no", source="person")
    assert copy.door.policy().decide("analyst", "stray").allowed == ("note",)


def test_contracts_say_roles_rows_classes_and_masks(copy):
    path = copy.root / "contracts" / "events.odcs.yaml"
    body = path.read_text()
    body = body.replace("{name: price,", "{name: price, classification: confidential,")
    body = body.replace(
        "{name: currency,", "{name: currency, customProperties: [{property: mask, value: {analyst: 'null'}}],"
    )
    body += "roles:\n  - {role: analyst, access: read, customProperties: [{property: rowFilter, value: \"kind = 'return'\"}]}\n  - {role: partner, access: read}\n"
    path.write_text(body)
    policy = copy.door.policy()
    assert [role for role in policy.roles if policy.may_read(role, "events")] == [
        "owner",
        "analyst",
        "partner",
    ]
    assert policy.decide("partner", "events").columns["price"].how == "denied"
    assert policy.decide("analyst", "events").columns["currency"].mask == Mask("null")
    assert copy.asset("events", "owner").count() == N
    assert copy.asset("events", "analyst").count() is None  # the four returns are of four people
    path.write_text(
        path.read_text().replace("rowFilter, value: \"kind = 'return'\"", 'rowFilter, value: "drop table"')
    )
    with pytest.raises(ConfigError, match="condition"):
        copy.door.policy()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('[access.roles.owner]\nthreshold = 9', "owner sees everything"),
        ('[access]\ndefault_role = "nobody"', "no role 'nobody'"),
        ('[access.roles.x]\nmasks = { event_id = "null" }', "cannot stand on"),
        ('[access.roles.x]\nmasks = { product_id = "partial" }', "cannot stand on"),
        ('[access.roles.x]\nmasks = { user = "null" }', "no 'user' to mask"),
        ('[access.roles.x]\nmasks = { title = "noise" }', "cannot stand on"),
        ('[access.roles.x]\nmasks = { "events.product_id" = "hash" }', "could not be joined"),
        ('[access.roles.x]\npurposes = ["fun"]', "unknown purpose"),
        ('[access.roles.x]\nrows = { events = "select 1" }', "condition"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_with_their_mend(tmp_path, line, message):
    shop = init_workspace(tmp_path / "shop", line)
    with pytest.raises(ConfigError, match=message) as caught:
        shop.door.policy()
    assert caught.value.mend


def test_the_policy_file_decides_like_the_policy(shop):
    from wares.core.policy_file import POLICY_FILE, load_policy

    policy, read = shop.door.policy(), load_policy(shop.root / "state" / POLICY_FILE)
    assert "secret" not in (shop.root / "state" / POLICY_FILE).read_text().replace("secret=", "")
    for role in policy.roles:
        assert read.readable(role) == policy.readable(role)
        for table in policy.readable(role):
            assert read.decide(role, table).columns == policy.decide(role, table).columns


# -- shares -----------------------------------------------------------------------------------------------------


def share(shop, folder, **more):
    wanted = {
        "role": "partner",
        "receiver": "ACME",
        "expires": date(2999, 1, 1),
        "terms": "Delete it after use",
        **more,
    }
    return shop.shares.create("events", folder, **wanted)


def test_a_share_is_whole_registered_revocable_and_expires(copy, tmp_path):
    folder = tmp_path / "out" / "acme"
    made = share(copy, folder, columns=["user_id", "kind", "at"], where="kind = 'purchase'")
    opened = wares.read_share(folder)
    assert (opened.to_arrow().num_rows, opened.terms) == (N - 4, "Delete it after use")
    assert opened.to_arrow().column_names == ["user_id", "kind", "at"]
    listed = copy.shares.list()[:1]
    assert [(r["id"], r["receiver"], r["status"]) for r in listed] == [(made["id"], "ACME", "live")]
    assert contract_for_share(folder)["roles"][0]["role"] == "partner"
    from wares.data.access.share import read_share

    with pytest.raises(AccessDenied, match="expired on 2999-01-01"):
        read_share(folder, clock=FixedClock(datetime(2999, 1, 2, tzinfo=UTC)))
    assert read_share(folder, clock=FixedClock(datetime(2999, 1, 1, 23, tzinfo=UTC)))
    assert copy.shares.revoke(made["id"])["removed"]
    assert not folder.exists()
    assert copy.shares.list()[0]["status"] == "revoked"
    assert [e["action"] for e in copy.audit.entries(action="share.", limit=2)] == [
        "share.revoke",
        "share.create",
    ]


def contract_for_share(folder):
    import yaml

    return yaml.safe_load((folder / "contract.odcs.yaml").read_text())


@pytest.mark.parametrize("part", ["data.parquet", "contract.odcs.yaml", "TERMS.txt"])
def test_a_share_with_a_changed_file_is_refused(shop, tmp_path, part):
    share(shop, tmp_path / "s")
    with (tmp_path / "s" / part).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(IncompatibleArtifact, match="was changed"):
        wares.read_share(tmp_path / "s")


@pytest.mark.parametrize(
    "wrong", [{"terms": " "}, {"receiver": ""}, {"expires": date(2001, 1, 1)}, {"role": "owner"}, {"where": "drop"}, {"purpose": "marketing"},
              {"columns": ["nothing"]}, {"where": "at < '2025-03-17'"}, {"role": "public"}],
)  # fmt: skip
def test_a_share_that_may_not_be_leaves_nothing(copy, tmp_path, wrong):
    before = copy.shares.list()
    with pytest.raises((ConfigError, AccessDenied, QueryError)):
        share(copy, tmp_path / "s", **wrong)
    assert list(tmp_path.glob("*s*")) == [tmp_path / "shop"]
    assert copy.shares.list() == before


def test_a_share_never_replaces_a_folder(shop, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match="exists"):
        share(shop, tmp_path / "mine")


def test_a_full_disk_leaves_nothing_half_written(copy, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", full)
    from wares.data.access.files import write_rows

    before = copy.shares.list()
    for export in (
        lambda: share(copy, tmp_path / "s"),
        lambda: write_rows(copy.asset("events", "analyst"), tmp_path / "x.parquet"),
    ):
        with pytest.raises(Unavailable, match="disk is full"):
            export()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shop"]
    assert copy.shares.list() == before


def test_rows_are_written_whole(shop, tmp_path):
    from wares.data.access.files import write_rows

    for name in ("x.parquet", "x.csv"):
        assert write_rows(shop.asset("events", "analyst"), tmp_path / name) == N
    assert write_rows(shop.asset("events", "analyst", where="at < '2025-03-17'"), tmp_path / "x.csv") == 0
    with pytest.raises(QueryError, match="kind of file"):
        write_rows(shop.asset("events", "analyst"), tmp_path / "x.doc")


# -- keys and the API ------------------------------------------------------------------------------------------


def test_a_key_has_the_role_it_was_made_with(shop):
    from wares.serve.auth import Gate, create_key

    gate = Gate(shop.state, required=False)
    token = create_key(shop.state, "web", ["read"], "analyst")
    plain = create_key(shop.state, "old", ["read"])
    assert gate.role(f"Bearer {token}", "public")[1] == "analyst"
    assert gate.role(f"Bearer {plain}", "public")[1] == "public"
    assert gate.role(None, "public") == ("", "public")
    with pytest.raises(AccessDenied):
        gate.role("Bearer wk_x_y", "public")
    with pytest.raises(AccessDenied):
        Gate(shop.state, required=True).role(None, "public")


def test_the_console_gives_a_stranger_the_least_role(shop):
    from wares.console.roles import role_of
    from wares.serve.auth import Gate, create_key

    policy, settings = shop.door.policy(), shop.config.access
    here, beyond = Gate(shop.state, required=False), Gate(shop.state, required=True)
    assert role_of(here, settings, policy, {})[1] == "owner"
    assert role_of(here, settings, policy, {"role": "analyst"})[1] == "analyst"
    assert role_of(beyond, settings, policy, {"role": "owner"})[1] == "public"
    token = create_key(shop.state, "ann", ["read"], "steward")
    assert role_of(beyond, settings, policy, {"api_key": token})[1] == "steward"


def test_counts_and_groups_over_http(shop):
    api = client(shop, "analyst")
    assert api.get("/v1/assets/events/count").json()["rows"] == N
    few = api.get("/v1/assets/events/count", params={"where": "at < '2025-03-17'"}).json()
    assert (few["rows"], few["suppressed"]) == (None, True)
    found = api.get(
        "/v1/assets/events/groups", params={"by": "currency", "measure": ["count", "mean:price"]}
    ).json()
    assert [(r["currency"], r["count"]) for r in found["rows"]] == [("EUR", N)]
    assert api.get("/v1/assets/events/rows", params={"where": "drop table"}).status_code == 400
    assert api.get("/v1/assets/events/rows", params={"version": 99}).status_code == 404
    assert client(shop, "public").get("/v1/assets/events/rows").status_code == 403


def test_a_file_names_no_column_that_the_role_does_not_have(copy, tmp_path):
    (copy.root / "wares.toml").write_text(
        CONFIG
        + '[access.roles.cut]\nmasks = { kind = "deny", "events.at" = "deny" }\nrows = { events = "kind != \'return\'" }\n'
    )
    shop = open_workspace(copy.root)
    assert shop.asset("events", "cut").to_parquet(tmp_path / "x.parquet") == N - 4
    told = str(pq.read_metadata(tmp_path / "x.parquet").to_dict()) + str(
        pq.read_schema(tmp_path / "x.parquet").metadata
    )
    assert "kind" not in told
    with pytest.raises(AccessDenied, match="no column 'kind'"):
        shop.asset("events", "cut", where="kind = 'return'")
