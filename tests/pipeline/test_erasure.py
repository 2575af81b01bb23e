from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from tests.conftest import CONFIG

import wares
from wares.core.clock import FixedClock
from wares.core.errors import DataError, QueryError, Unavailable, VersionErased
from wares.data.privacy import journal
from wares.pipeline.erasure import allow, erase, held, receipts, retain
from wares.pipeline.workspace import init_workspace, open_workspace
from wares.serve.app import create_app
from wares.testing.person import Person, readers, traces, write_exports
from wares.testing.shop import write_rows

SOMEONE = "u007"


def _hits(answer) -> list[str]:
    return [hit["product"]["product_id"] for hit in answer.json()["hits"]]


def test_an_unknown_subject_gets_a_receipt_of_nothing(copy_of_built):
    receipt = copy_of_built.erase("who-is-this")
    assert (receipt["removed"]["rows"], receipt["rebuilt"]) == (0, {})
    assert [r["id"] for r in receipts(copy_of_built.root)] == [receipt["id"]]
    assert "who-is-this" not in str(receipt)
    with pytest.raises(QueryError, match="empty"):
        copy_of_built.erase("  ")
    with pytest.raises(QueryError, match="no erasure"):
        erase(copy_of_built, resume=True)


def test_two_erasures_at_once(copy_of_built):
    with journal.erasing(copy_of_built.root), pytest.raises(Unavailable, match="already running"):
        copy_of_built.erase(SOMEONE)
    with open_workspace(copy_of_built.root).exclusive(), pytest.raises(Unavailable, match="already running"):
        copy_of_built.erase(SOMEONE)


def test_a_full_disk_leaves_the_old_table_and_can_be_resumed(copy_of_built, monkeypatch):
    from wares.data.privacy import history

    before = copy_of_built.store.files("events", 0)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(history, "_exchange", full)
        with pytest.raises(Unavailable, match="disk is full"):
            copy_of_built.erase(SOMEONE)
    assert copy_of_built.store.files("events", 0) == before
    with pytest.raises(Unavailable, match="not finished"):
        copy_of_built.ingest()
    with pytest.raises(QueryError, match="not finished"):
        copy_of_built.erase("another")
    receipt = erase(copy_of_built, resume=True)
    assert receipt["removed"]["rows"] == 14
    assert copy_of_built.store.files("events", 0) != before


def test_what_is_erased_does_not_come_back_until_it_is_allowed(copy_of_built):
    rows = copy_of_built.store.rows("events", 0)
    copy_of_built.erase(SOMEONE)
    (version,) = [v for v in copy_of_built.state.versions("events") if v["version"] == 0]
    assert version["rows"] == copy_of_built.store.rows("events", 0) == rows - 14
    (_, report) = copy_of_built.ingest()
    assert (report.added, report.changed) == (0, 0)
    assert any("14 rows of erased people" in warning for warning in report.warnings)
    assert allow(copy_of_built, SOMEONE) > 0
    (_, report) = copy_of_built.ingest()
    assert report.added == 14


@pytest.mark.slow
def test_a_running_server_forgets_at_once(copy_of_built):
    event = {"user_id": SOMEONE, "product_id": "p0003", "kind": "purchase"}
    with TestClient(create_app(copy_of_built.root)) as client:
        stranger = _hits(client.get("/v1/recommend?user=nobody"))
        assert client.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
        assert _hits(client.get(f"/v1/recommend?user={SOMEONE}")) != stranger
        late: list[dict] = []

        def at(step: str) -> None:
            if step == "before tables":
                # The tables still hold them; the server no longer speaks of them, and takes nothing more of them.
                late.append(client.post("/v1/events", json={"events": [event]}).json())
                assert _hits(client.get(f"/v1/recommend?user={SOMEONE}")) == stranger

        erase(open_workspace(copy_of_built.root), SOMEONE, checkpoint=at)
        assert [(answer["accepted"], answer["erased"]) for answer in late] == [(0, 1)]
        shelf = client.app.state.shelf
        live = wares.load(copy_of_built.root).name
        for _ in range(100):
            if shelf.ranker.name == live:
                break
            threading.Event().wait(0.1)
        assert shelf.ranker.users.find(SOMEONE) < 0
        assert SOMEONE not in shelf.ranker.online.deeds
        assert _hits(client.get(f"/v1/recommend?user={SOMEONE}")) == _hits(
            client.get("/v1/recommend?user=nobody")
        )
    assert copy_of_built.state.events_after(0) == []


def test_all_that_is_held_is_told(copy_of_built):
    copy_of_built.state.append_events(
        [{"event_id": "o1", "user_id": SOMEONE, "product_id": "p0001", "kind": "view", "at": "2025-06-01T00:00:00+00:00", "quantity": "1", "price": None, "session_id": "s"}]
    )  # fmt: skip
    told = list(held(copy_of_built, SOMEONE))
    places = [row["place"] for row in told]
    assert places.count("table events") == 14
    assert places.count("state online_events") == 1
    assert any(place.startswith("artefact bundles/") for place in places)
    assert list(held(copy_of_built, "nobody")) == []


def test_old_rows_leave_every_version(copy_of_built, tmp_path):
    root = copy_of_built.root
    last = datetime(2025, 6, 20, tzinfo=UTC)
    with (root / "wares.toml").open("a") as file:
        file.write("\n[privacy.retention]\nevents = 60\n")
    extra = [
        {
            "customer": "u001",
            "sku": "p0001",
            "type": "view",
            "time": "2025-06-19T00:00:00Z",
            "qty": "1",
            "price": "5",
        }
    ]
    copy_of_built.ingest(str(write_rows(tmp_path / "late.csv", extra)), "events")
    shop = open_workspace(root, clock=FixedClock(last))
    before = readers(shop, Person())
    receipt = retain(shop)
    assert receipt is not None
    assert receipt["removed"]["rows"] > 1000
    from wares.data.engine import Engine

    with Engine(0.5) as engine:
        for version in range(shop.store.version("events") + 1):
            events = engine.parquet(shop.store.files("events", version))
            assert engine.scalar(events["at"].min()) >= last - timedelta(days=60)
    assert shop.store.rows("events", shop.store.version("events")) > 0
    assert readers(shop, Person()).keys() >= before.keys() - {"graph_triples@0"}
    # What the graph drew from deeds that are gone is gone as well, at every version.
    with pytest.raises(VersionErased):
        shop.store.files("graph_triples", 0)
    assert shop.store.rows("graph_triples") > 0
    assert retain(shop) is None
    assert shop.build().ran == {}


def test_a_retention_that_cannot_be(copy_of_built):
    with (copy_of_built.root / "wares.toml").open("a") as file:
        file.write("\n[privacy.retention]\nproducts = 60\n")
    with pytest.raises(QueryError, match="products"):
        open_workspace(copy_of_built.root).build()


@pytest.mark.slow
def test_pseudonyms_from_the_door_to_the_shelf(tmp_path, shop_data):
    """No raw id is anywhere on disk, and shoppers still get their own recommendations under their raw id."""
    person, root = Person(), tmp_path / "shop"
    files = write_exports(root / "exports", shop_data, person)
    shop = init_workspace(
        root,
        CONFIG.split("[[sources]]")[0]
        + "[recommend]"
        + CONFIG.split("[recommend]")[1]
        + "[privacy]\npseudonymise = true\n",
    )
    for table, paths in files.items():
        for path in paths:
            shop.ingest(path, table)
    shop.build()
    shop.publish()
    with TestClient(create_app(root)) as client:
        mine, stranger = (_hits(client.get(f"/v1/recommend?user={u}")) for u in (person.user, "nobody"))
        assert mine != stranger
        body = {
            "events": [
                {
                    "user_id": person.user,
                    "session_id": person.session,
                    "product_id": "p0050",
                    "kind": "purchase",
                }
            ]
        }
        assert client.post("/v1/events", json=body).json()["accepted"] == 1
        assert _hits(client.get(f"/v1/recommend?user={person.user}")) != mine
    key = (root / "state" / "person.key").stat()
    assert key.st_mode & 0o777 == 0o600
    assert traces(root, [person.user, person.session], skip=("exports",)) == []
    assert _hits_of(wares.load(root).recommend(person.user, k=5)) != _hits_of(
        wares.load(root).recommend("nobody", k=5)
    )
    receipt = erase(open_workspace(root), person.user, also=(person.email,))
    assert receipt["removed"]["rows"] > 8
    assert traces(root, person.needles, skip=("exports",)) == []


def _hits_of(hits) -> list[str]:
    return [hit.product.product_id for hit in hits]


def test_what_cannot_be_checked_stops_before_the_receipt(copy_of_built, monkeypatch):
    from wares.data.privacy import records

    with monkeypatch.context() as patch:
        patch.setattr(records, "held_in_state", lambda *_: iter([("somewhere", {})]))
        with pytest.raises(DataError, match="state somewhere"):
            copy_of_built.erase("who-is-this")
    assert receipts(copy_of_built.root) == []
    assert erase(copy_of_built, resume=True)["verified"]["found"] == 0
