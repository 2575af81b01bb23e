from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from wares.core.config import Config
from wares.core.errors import VersionErased
from wares.core.state import State
from wares.data.privacy import history, records
from wares.data.privacy.places import clean_file
from wares.data.privacy.sieve import Count
from wares.data.privacy.subject import Subject, checked_alias, distinctive
from wares.data.privacy.trace import follow, id_names, sieve_for
from wares.data.store import Store

ME = Subject(frozenset({"shopper-7731"}), frozenset({"Mira@example.net"}), given=frozenset({"shopper-7731"}))


def events(users: list[str], sessions: list[str] | None = None, price: float = 1.0) -> pa.Table:
    n = len(users)
    return pa.table(
        {"event_id": [f"{users[i]}-{i}-{price}" for i in range(n)], "user_id": users, "session_id": sessions or [None] * n, "price": [price] * n},
        pa.schema([("event_id", pa.string()), ("user_id", pa.string()), ("session_id", pa.string()), ("price", pa.float64())]),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "tables")


def take_out(store: Store, subject: Subject = ME, asset: str = "events"):
    names = [f.name for f in DeltaTable(store.path(asset)).to_pyarrow_table().schema]
    with store.lock(asset), store.steady(asset, alone=True):
        return history.rewrite(store, asset, lambda: sieve_for(asset, names, subject, None))


def rows(store: Store, version: int, asset: str = "events") -> list[str]:
    return sorted(DeltaTable(store.path(asset), version=version).to_pyarrow_table()["user_id"].to_pylist())


def log_text(store: Store) -> str:
    return "".join(p.read_text() for p in (store.path("events") / "_delta_log").glob("*.json"))


def test_versions_dates_and_statistics_stay_true(store):
    store.append("events", events(["a", "shopper-7731", "b"], price=5.0), {"source": "from Mira@example.net"})
    store.append("events", events(["shopper-7731", "c"], price=987.25))
    store.replace("events", events(["zz"]))
    at = [entry["timestamp"] for entry in store.history("events")]
    outcome = take_out(store)
    assert (outcome.count.rows, len(outcome.files)) == (2, 2)
    assert [rows(store, v) for v in range(3)] == [["a", "b"], ["a", "b", "c"], ["zz"]]
    assert [store.rows("events", v) for v in range(3)] == [2, 3, 1]
    assert [entry["timestamp"] for entry in store.history("events")] == at
    assert "7731" not in log_text(store)
    assert "Mira" not in log_text(store)
    assert not list(store.root.rglob("*.erasing*"))
    assert take_out(store).count == Count()
    # Writers go on where they were.
    assert store.append("events", events(["d"])) == 3
    assert rows(store, 3) == ["d", "zz"]


def test_a_checkpoint_without_its_log_is_rewritten(store):
    store.append("events", events(["a", "shopper-7731"]))
    store.append("events", events(["shopper-7731"]))
    DeltaTable(store.path("events")).create_checkpoint()
    (store.path("events") / "_delta_log" / f"{0:020}.json").unlink()
    take_out(store)
    assert rows(store, 1) == ["a"]
    checkpoint = next((store.path("events") / "_delta_log").glob("*.checkpoint.parquet"))
    import pyarrow.parquet as pq

    assert "7731" not in json.dumps(pq.read_table(checkpoint).to_pylist(), default=str)


def test_a_file_of_nobody_else_stays_as_an_empty_one(store):
    store.append("events", events(["shopper-7731"]))
    take_out(store)
    assert rows(store, 0) == []
    assert len(store.files("events", 0)) == 1
    from wares.data.engine import Engine

    with Engine(0.5) as engine:
        assert engine.count(engine.parquet(store.files("events", 0))) == 0


def test_bounds_in_the_log_of_a_vacuumed_version_go(store):
    store.append("events", events(["shopper-7731"]))
    store.replace("events", events(["a"]))
    store.vacuum("events", [1])
    store.append("events", events(["shopper-7731"]))
    take_out(store)
    assert "7731" not in log_text(store)
    assert rows(store, 2) == ["a"]
    with pytest.raises(VersionErased):
        store.files("events", 0)


def test_killed_in_any_place_the_table_is_old_or_new(store, tmp_path):
    store.append("events", events(["a", "shopper-7731"]))

    class Killed(BaseException):
        pass

    seen = []
    for at in ("found", "written", "checked", "exchanged"):
        copy = Store(tmp_path / at)
        shutil.copytree(store.root, copy.root)

        def step(name, at=at):
            if name.endswith(at):
                raise Killed

        with pytest.raises(Killed):
            history.rewrite(copy, "events", lambda: sieve_for("events", ["user_id"], ME, None), step=step)
        seen.append(rows(copy, 0))
        assert history.sweep_side(copy) <= 1
        take_out(copy)
        assert rows(copy, 0) == ["a"]
        assert not (copy.root / history.SIDE).exists()
    assert seen == [["a", "shopper-7731"]] * 3 + [["a"]]


def test_visits_of_one_person_only(store, tmp_path):
    state = State.at(tmp_path / "state")
    store.append(
        "events",
        events(["shopper-7731", "shopper-7731", "b", None, None], ["mine-1", "all", "all", "mine-1", "all"]),
    )
    found = follow(store, state, ME)
    assert found.ids == {"shopper-7731", "mine-1"}
    take_out(store, found)
    assert DeltaTable(store.path("events")).to_pyarrow_table()["session_id"].to_pylist() == ["all", "all"]
    state.close()


def test_a_short_number_counts_only_where_it_is_an_id(store):
    nine = Subject(frozenset({"900"}), names=frozenset({"household_id"}))
    assert not distinctive("900")
    table = pa.table(
        {"id": list("abcde"), "table": ["events"] * 5, "value": ["900", "x", "", "", ""],
         "row": ['{"quantity": "900", "household_id": "7"}', '{"household_id": "900"}', '{"user_id": 900}', "7;p1;purchase;900", '{"quantity": 900']},
    )  # fmt: skip
    store.append("quarantine", table)
    names = table.schema.names
    history.rewrite(store, "quarantine", lambda: sieve_for("quarantine", names, nine, None))
    # The first is another's; in text that cannot be parsed, a cell that equals the id is enough.
    assert DeltaTable(store.path("quarantine")).to_pyarrow_table()["id"].to_pylist() == ["a", "e"]


def test_mentions_in_json_and_text():
    subject = replace(ME, keys=frozenset({"r1"}))
    document = json.dumps(
        {
            "rows": [{"user_id": "shopper-7731", "n": 1}, {"user_id": "u2"}, {"review_id": "r1"}],
            "note": "of mira@example.net.",
        }
    )
    assert json.loads(subject.clean_text(document)[0]) == {
        "rows": [{"user_id": "u2"}],
        "note": "of [erased].",
    }
    assert subject.clean_text("xshopper-77312 stays") == ("xshopper-77312 stays", 0)
    assert subject.clean_text("找shopper-7731吧")[0] == "找[erased]吧"
    assert subject.clean_text('{"customer": "shopper-7731"}')[0] is None
    with pytest.raises(ValueError, match="too short"):
        checked_alias("Bo")


def test_rows_of_state_by_key_and_mention(tmp_path):
    import sqlalchemy as sa

    state = State.at(tmp_path)
    meta = sa.MetaData()
    tasks = sa.Table("tasks", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("asset", sa.Text), sa.Column("key", sa.Text), sa.Column("doc", sa.Text))  # fmt: skip
    votes = sa.Table(
        "votes",
        meta,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("task", sa.ForeignKey("tasks.id")),
    )
    state.ensure(tasks, votes)
    with state.engine.begin() as connection:
        connection.execute(tasks.insert(), [
            {"id": 1, "asset": "reviews", "key": "12", "doc": "{}"}, {"id": 2, "asset": "products", "key": "12", "doc": "{}"},
            {"id": 3, "asset": "reviews", "key": "13", "doc": json.dumps({"text": "ask Mira@example.net"})},
        ])  # fmt: skip
        connection.execute(votes.insert(), [{"id": n, "task": n} for n in (1, 2, 3)])
    subject = replace(ME, keys=frozenset({"12"}))
    assert {k: (c.rows, c.cells) for k, c in records.clean_state(state.engine, subject).items()} == {
        "tasks": (1, 1)
    }
    with state.engine.connect() as connection:
        assert connection.execute(sa.select(tasks.c.id, tasks.c.doc).order_by(tasks.c.id)).all() == [
            (2, "{}"),
            (3, '{"text": "ask [erased]"}'),
        ]
        assert connection.execute(sa.select(votes.c.id)).scalars().all() == [2, 3]
    records.compact(state)
    state.close()
    assert b"Mira" not in (tmp_path / "state.db").read_bytes()


def test_files_by_kind(tmp_path):
    csv = tmp_path / "orders.csv"
    csv.write_bytes(
        'household_id;note\r\nshopper-7731;"two\nlines"\r\nu2;"by Mira@example.net"\r\nu3;ü\r\n'.encode()
    )
    subject = replace(
        ME,
        names=id_names(
            Config.model_validate(
                {"sources": [{"as": "events", "path": "x", "map": {"user_id": "household_id"}}]}
            )
        ),
    )
    count = clean_file(csv, subject, None)
    assert (count.rows, count.cells) == (1, 1)
    assert csv.read_bytes() == 'household_id;note\r\nu2;"by [erased]"\r\nu3;ü\r\n'.encode()
    assert clean_file(csv, subject, None) == Count()
    blob = tmp_path / "x.bin"
    blob.write_bytes(b"\x00shopper-7731\x01")
    assert clean_file(blob, subject, None, dry=True).rows == 1
    clean_file(blob, subject, None)
    assert not blob.exists()
