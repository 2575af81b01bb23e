from __future__ import annotations

import pytest

from wares.core.audit import Audit
from wares.core.errors import ConfigError, DataError
from wares.core.state import State


@pytest.fixture
def audit(tmp_path):
    state = State.at(tmp_path)
    yield Audit(state, tmp_path)
    state.close()


def test_entries_are_chained_and_found_whole(audit):
    assert [audit.record("ann", "read", "events", {"version": n}, role="analyst") for n in range(3)] == [
        1,
        2,
        3,
    ]
    report = audit.verify()
    assert (report.whole, report.entries, report.anchored) == (True, 3, 3)
    assert audit.verify(report.head).whole
    assert [e["seq"] for e in audit.entries(action="read", limit=2)] == [3, 2]
    assert audit.entries(who="bob") == []


def test_a_lost_key_stops_the_log_instead_of_beginning_a_new_one(audit, tmp_path):
    audit.record("ann", "read", "events")
    (tmp_path / "audit.key").unlink()
    again = Audit(audit.state, tmp_path)
    with pytest.raises(ConfigError, match="key of the audit log is gone"):
        again.record("ann", "read", "events")


def test_a_detail_that_is_no_json_is_refused(audit):
    with pytest.raises(DataError, match="no JSON"):
        audit.record("ann", "read", "events", {"x": object()})
    assert audit.count() == 0


def test_a_person_is_named_by_a_keyed_hash(audit):
    assert audit.subject("u7") == audit.subject("u7") != audit.subject("u8")
    assert "u7" not in audit.subject("u7")


def _append(folder, who, n):
    state = State.at(folder)
    audit = Audit(state, folder)
    for i in range(n):
        audit.record(who, "read", "events", {"i": i})
    state.close()


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    import multiprocessing

    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_append, args=(tmp_path, f"w{i}", 20)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    state = State.at(tmp_path)
    report = Audit(state, tmp_path).verify()
    assert (report.whole, report.entries, report.anchored) == (True, 60, 60)
    state.close()


def test_a_writer_killed_before_the_anchor_moved_leaves_a_whole_log(audit, monkeypatch):
    audit.record("ann", "read", "events")
    monkeypatch.setattr(Audit, "_anchor", lambda *_: None)
    audit.record("ann", "read", "events")
    monkeypatch.undo()
    report = audit.verify()
    assert (report.whole, report.entries, report.anchored) == (True, 2, 1)
    audit.record("ann", "read", "events")
    assert audit.verify().anchored == 3
