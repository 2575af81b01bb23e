"""No masked value leaves in any form: values, errors, counts, groups, logs, lineage, files and their statistics.

Every personal or masked cell of the planted shop is a random word or number that stands nowhere else. Hypothesis draws readings,
also malformed and hostile ones that guess a secret; everything that comes out of any door is searched for every secret.
"""

from __future__ import annotations

import io
import json
import logging
import traceback
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.test_access_door import cli, client

from wares.core.errors import WaresError
from wares.data.contract import contract_for
from wares.pipeline.workspace import init_workspace

CONFIG = """
[access.roles.blind]
purposes = ["quality"]
threshold = 2
masks = { "events.price" = "noise:0.05", "quantity" = "partial", "events.at" = "noise", "products.title" = "partial:2", "products.brand" = "null", "products.url" = "hash" }
"""
ROLES = ("analyst", "steward", "marketer", "partner", "service", "public", "blind")
N = 60
START = datetime(2025, 1, 1, tzinfo=UTC)


class Planted:
    """The shop and, for each role, the secrets that must never come out."""

    def __init__(self, folder: Path) -> None:
        self.rng = np.random.default_rng(11)
        self.taken: set[str] = set()
        self.shop = init_workspace(folder, CONFIG)
        words = {name: [self.word() for _ in range(n)] for name, n in
                 (("user", 12), ("session", N), ("text", N), ("title", N), ("brand", N), ("url", N), ("id", N), ("loose", N))}  # fmt: skip
        prices, amounts = ([self.number() for _ in range(N)] for _ in range(2))
        times = [
            START + timedelta(seconds=int(s), microseconds=int(m))
            for s, m in self.rng.integers(0, 10**6, (N, 2))
        ]
        self.put("products", [{"product_id": f"p{i}", "title": words["title"][i], "brand": words["brand"][i], "url": words["url"][i],
                               "price": Decimal(5), "currency": "EUR"} for i in range(N)])  # fmt: skip
        self.put("events", [{"event_id": words["id"][i], "user_id": words["user"][i % 12 if i < 50 else 0], "session_id": words["session"][i],
                             "product_id": f"p{i % 4}", "kind": "cart" if i < 2 else "purchase", "at": times[i], "quantity": amounts[i],
                             "price": prices[i], "currency": "EUR"} for i in range(N)])  # fmt: skip
        self.put("reviews", [{"review_id": words["id"][i], "product_id": f"p{i % 4}", "user_id": words["user"][i % 12], "rating": Decimal(3),
                              "title": words["text"][i], "text": f"by {words['loose'][i]} tel", "at": START} for i in range(N)])  # fmt: skip
        self.put("queries", [{"query_id": words["id"][i], "text": words["loose"][i], "user_id": words["user"][i % 12],
                              "session_id": words["session"][i], "at": START} for i in range(N)])  # fmt: skip
        self.shop.audit.record("test", "begin", "shop")
        people = [*words["user"], *words["session"], *words["id"], *words["text"], *words["loose"]]
        self.secrets = {role: list(people) for role in ROLES}
        self.secrets["blind"] += [*words["title"], *words["brand"], *words["url"]]
        self.secrets["blind"] += [str(int(x)) for x in (*prices, *amounts)] + [
            f"{t:%H:%M:%S.%f}" for t in times
        ]
        keys = [self.shop.door.policy().masker(realm).key for realm in (*ROLES, "share:R")]
        keys += [(self.shop.root / "state" / name).read_text() for name in ("access.key", "audit.key")]
        for role in ROLES:
            # With a mask's key, guesses could be tried out.
            self.secrets[role] += keys
        self.guesses = people[::7] + words["title"][:5]
        self.clients = {role: client(self.shop, role) for role in ROLES}

    def word(self) -> str:
        letters = "".join(self.rng.choice(list("bcdfghjklmnpqrstvwxz"), 12))
        return letters if letters not in self.taken and not self.taken.add(letters) else self.word()

    def number(self) -> Decimal:
        return Decimal(int(self.rng.integers(2_000_000, 9_999_999))) + Decimal("0.1375")

    def put(self, table, rows):
        schema = contract_for(table, self.shop.root).arrow_schema()
        self.shop.store.append(
            table, pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)
        )


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("leaks") / "shop")


def conditions(guesses):
    guess = st.sampled_from(guesses)
    column = st.sampled_from(
        [
            "user_id",
            "session_id",
            "text",
            "title",
            "brand",
            "kind",
            "price",
            "quantity",
            "at",
            "product_id",
            "_person",
            "nope",
        ]
    )
    value = st.one_of(
        guess.map(lambda g: f"'{g}'"),
        guess.map(lambda g: f"'%{g[:9]}%'"),
        st.integers(-9, 10**7).map(str),
        st.just("'2025-01-05'"),
        st.just("null"),
    )
    comparison = st.builds(
        lambda c, o, v: f"{c} {o} {v}",
        column,
        st.sampled_from(["=", "!=", "<", ">=", "like", "in", "is"]),
        value,
    )
    hostile = st.sampled_from(
        ["cast(user_id as int) = 1", "user_id::int > 0", "error(user_id)", "1/0 = 1", "user_id in (select user_id from t1)",
         "read_text('/etc/passwd') = 'x'", "length(user_id) = 12", "kind = 'x' union select * from t1", "text ~ '.*'", "struct_pack(a := user_id) is null"]
    )  # fmt: skip
    joined = st.builds(
        lambda a, o, b: f"({a}) {o} not ({b})", comparison, st.sampled_from(["and", "or"]), comparison
    )
    return st.one_of(st.none(), comparison, joined, hostile)


def collect(work, log):
    """All that `work` gives or says: its result, output, error with its whole chain, and log lines."""
    out = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    found = ""
    try:
        with redirect_stdout(out), redirect_stderr(out):
            found = repr(work())
    except (WaresError, SystemExit) as error:
        found = "".join(traceback.format_exception(error, chain=True)[-1:])
        seen: BaseException | None = error
        while seen is not None:
            found += (
                repr(seen) + str(seen) + str(getattr(seen, "fields", "")) + str(getattr(seen, "mend", ""))
            )
            seen = seen.__context__ or seen.__cause__
    finally:
        logging.getLogger().removeHandler(handler)
    return found + out.getvalue() + log.getvalue()


def everything_of_a_file(path: Path) -> str:
    """Values, schema, metadata, statistics and the raw bytes of every page of a Parquet file."""
    file = pq.ParquetFile(path)
    out = [str(file.metadata.to_dict()), str(file.schema_arrow), str(file.schema_arrow.metadata)]
    # Written again without compression, so that dictionary pages can be searched as bytes.
    plain = io.BytesIO()
    pq.write_table(file.read(), plain, compression="none")
    return (
        "".join(out)
        + str(file.read().to_pylist())
        + plain.getvalue().decode("latin-1")
        + path.read_bytes().decode("latin-1")
    )


def no_secret(planted, role, text):
    found = [secret for secret in planted.secrets[role] if secret in text]
    assert found == []


def test_the_search_finds_what_an_owner_sees(planted, tmp_path):
    """The net has no hole: in the owner's hands every door gives the secrets, and the search finds them."""
    from wares.data.access.files import write_rows

    write_rows(planted.shop.asset("events", "owner"), tmp_path / "x.parquet")
    for text in (
        collect(lambda: planted.shop.asset("events", "owner").to_arrow().to_pylist(), io.StringIO()),
        everything_of_a_file(tmp_path / "x.parquet"),
    ):
        assert sum(secret in text for secret in planted.secrets["blind"]) > 3 * N


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_reading_through_any_door_lets_a_masked_value_out(planted, data):
    role = data.draw(st.sampled_from(ROLES))
    table = data.draw(st.sampled_from(["events", "reviews", "queries", "products"]))
    where = data.draw(conditions(planted.guesses))
    columns = data.draw(
        st.one_of(
            st.none(),
            st.lists(
                st.sampled_from(["user_id", "text", "kind", "price", "at", "title", "nope"]),
                min_size=1,
                max_size=3,
            ),
        )
    )
    by = data.draw(
        st.lists(
            st.sampled_from(["user_id", "product_id", "kind", "title", "rating"]), max_size=2, unique=True
        )
    )
    measure = data.draw(
        st.sampled_from(
            [
                "count",
                "people",
                "sum:price",
                "mean:quantity",
                "min:price",
                "max:text",
                "max:at",
                "min:user_id",
                "sum:text",
            ]
        )
    )
    shop, log = planted.shop, io.StringIO()
    before = shop.audit.count()

    def reading():
        return shop.asset(table, role, columns=columns, where=where)

    doors = {
        "rows": lambda: reading().to_arrow().to_pylist(),
        "stream": lambda: [b.to_pylist() for b in reading().batches(10)],
        "count": lambda: reading().count(),
        "groups": lambda: shop.asset(table, role, where=where).aggregate(by, m=measure).to_pylist(),
        "lineage": lambda: [
            (b.schema.metadata, b.schema.field(0).metadata, shop.store.history(table), repr(b.schema)) for b in reading().batches(10)
        ],
        "schema": lambda: (reading().schema, repr(reading()), repr(shop.door.policy())),
        "http": lambda: planted.clients[role].get(
            f"/v1/assets/{table}/rows", params={"where": where or "", "columns": ",".join(columns or [])}
        ).text,
        "http groups": lambda: planted.clients[role].get(
            f"/v1/assets/{table}/groups", params={"where": where or "", "by": ",".join(by), "measure": measure}
        ).text,
    }  # fmt: skip
    door = data.draw(st.sampled_from(sorted(doors)))
    said = collect(doors[door], log)
    no_secret(planted, role, said)
    no_secret(planted, role, json.dumps(shop.audit.entries(after=before), default=str))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", ["events", "reviews", "queries", "products"])
def test_no_file_lets_a_masked_value_out(planted, role, table, tmp_path):
    from wares.data.access.files import write_rows

    shop = planted.shop
    if (
        not shop.door.policy().may_read(role, table)
        or not shop.door.policy().decide(role, table).rows_allowed
    ):
        return
    write_rows(shop.asset(table, role), tmp_path / "x.parquet")
    no_secret(planted, role, everything_of_a_file(tmp_path / "x.parquet"))
    write_rows(shop.asset(table, role), tmp_path / "x.csv")
    no_secret(planted, role, (tmp_path / "x.csv").read_text())
    purpose = (
        shop.door.policy().role(role).purposes[0] if shop.door.policy().role(role).purposes else "sharing"
    )
    shop.shares.create(
        table, tmp_path / "s", role=role, receiver="R", expires=date(2999, 1, 1), terms="T", purpose=purpose
    )
    for part in (tmp_path / "s").iterdir():
        read = everything_of_a_file(part) if part.suffix == ".parquet" else part.read_text()
        no_secret(planted, role, read)
    no_secret(planted, role, str(shop.shares.list()))


@pytest.mark.parametrize("role", ROLES)
def test_no_command_lets_a_masked_value_out(planted, role):
    for table in ("events", "reviews"):
        for more in (
            [],
            ["--count"],
            ["--by", "kind", "--measure", "mean:price"],
            ["--where", f"user_id = '{planted.guesses[0]}'"],
        ):
            said = collect(
                lambda t=table, m=more: cli(planted.shop, "asset", "read", t, "--role", role, "--json", *m),
                io.StringIO(),
            )
            no_secret(planted, role, said)
    said = collect(lambda: cli(planted.shop, "audit", "list", "--limit", "500", "--json"), io.StringIO())
    no_secret(planted, role, said)


def test_the_policy_and_its_files_hold_no_cell(planted):
    state = planted.shop.root / "state"
    for path in (state / "policy.json", state / "audit.head"):
        no_secret(planted, "blind", path.read_text())
    # The audit log itself, as it lies in the database, rows and all.
    no_secret(planted, "blind", json.dumps(list(planted.shop.audit.stream())))


def test_counting_with_every_guess_tells_nothing(planted):
    """The count of one: a condition that guesses right and one that guesses wrong give the same answers."""
    shop = planted.shop
    right, wrong = planted.guesses[0], "zzzzzzzzzzzz"
    for where in ("user_id = '{}'", "user_id like '{}'", "session_id in ('{}')", "not (user_id != '{}')"):
        answers = [
            shop.asset("events", "analyst", where=where.format(guess)).count() for guess in (right, wrong)
        ]
        assert answers == [None, None]
    for where in ("user_id != '{}'", "text is null or user_id = '{}'"):
        table = "events" if "text" not in where else "reviews"
        answers = [
            shop.asset(table, "analyst", where=where.format(guess)).count() for guess in (right, wrong)
        ]
        assert answers[0] == answers[1] == N
