from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from wares.core.errors import (
    CommitConflict,
    DataError,
    QueryError,
    Unavailable,
    VersionErased,
    VersionNotFound,
)
from wares.data.registry.differences import difference, psi
from wares.data.store import Store

WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from wares.data.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    version = store.append("t", pa.table({"id": [f"{sys.argv[2]}-{n}"]}))
    print(f"{sys.argv[2]}-{n} {version}", flush=True)
"""


def write_at_once(root, writers, times):
    """What each of several processes was told: row → version."""
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), f"w{i}", str(times)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for i in range(writers)
    ]  # fmt: skip
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = {}
    for process in processes:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        told |= dict(line.split() for line in out.splitlines())
    return {row: int(version) for row, version in told.items()}


def check_told(root, told):
    store = Store(root)
    import deltalake

    rows = deltalake.DeltaTable(str(root / "t")).to_pyarrow_table()["id"].to_pylist()
    assert sorted(rows) == sorted(told)
    # Every writer was told the version that holds its row for the first time.
    assert sorted(told.values()) == list(range(len(told)))
    row, version = next((r, v) for r, v in told.items() if v)
    assert row in set(
        deltalake.DeltaTable(str(root / "t"), version=version).to_pyarrow_table()["id"].to_pylist()
    )
    assert row not in set(
        deltalake.DeltaTable(str(root / "t"), version=version - 1).to_pyarrow_table()["id"].to_pylist()
    )
    assert [e["version"] for e in store.history("t")] == list(range(len(told)))[::-1]


def test_first_writers_at_once_lose_nothing(tmp_path):
    check_told(tmp_path, write_at_once(tmp_path, 3, 5))


@pytest.mark.slow
def test_two_processes_append_200_times_each(tmp_path):
    told = write_at_once(tmp_path, 2, 200)
    assert len(told) == 400
    check_told(tmp_path, told)


def test_restore_is_a_new_version_and_vacuum_keeps_what_it_must(tmp_path):
    store = Store(tmp_path)
    for n in range(4):
        store.replace("t", pa.table({"id": [n], "x": [n * 10]}))
    assert store.restore("t", 1) == 4
    assert store.rows("t", 4) == 1
    assert store.restore("t", 4) == 4
    assert len(store.vacuum("t", [1], dry_run=True)) == 3
    assert len(store.files("t", 3)) == 1
    store.vacuum("t", [1, 3])
    assert len(store.files("t", 3)) == len(store.files("t", 1)) == 1
    with pytest.raises(VersionErased) as caught:
        store.files("t", 2)
    assert caught.value.fields == {"asset": "t", "version": 2}
    with pytest.raises(VersionErased):
        store.restore("t", 0)
    with pytest.raises(VersionNotFound, match="no version 99"):
        store.restore("t", 99)


def test_restore_while_another_write_comes_in_is_a_conflict(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for n in range(3):
        store.append("t", pa.table({"id": [n]}))
    opened = store._open

    def late(name, version=None):
        table = opened(name, version)
        if version is None and monkeypatch_on["now"]:
            monkeypatch_on["now"] = False
            Store(tmp_path).append("t", pa.table({"id": [99]}))
        return table

    monkeypatch_on = {"now": False}
    monkeypatch.setattr(store, "_open", late)
    files = store.files

    def then_write(name, version=None):
        found = files(name, version)
        monkeypatch_on["now"] = version == 0
        return found

    monkeypatch.setattr(store, "files", then_write)
    monkeypatch.setattr(store, "version", lambda name: int(opened(name).version()))
    with pytest.raises(CommitConflict, match="another writer"):
        store.restore("t", 0)
    assert Store(tmp_path).rows("t") == 4


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OSError(28, "No space left on device"), Unavailable), (OSError(13, "Permission denied"), DataError)],
)
def test_a_full_disk_is_said_and_the_version_before_stays(tmp_path, monkeypatch, error, kind):
    store = Store(tmp_path)
    store.append("t", pa.table({"id": [1]}))

    def full(*_, **__):
        raise error

    monkeypatch.setattr("wares.data.store.write_deltalake", full)
    with pytest.raises(kind, match="previous version is untouched"):
        store.append("t", pa.table({"id": [2]}))
    assert store.rows("t") == 1


def test_difference_counts_what_changed(tmp_path):
    store = Store(tmp_path)
    store.append(
        "t",
        pa.table(
            {
                "id": ["a", "b", "c", "d"],
                "x": [1.0, 2.0, None, 4.0],
                "s": ["u", "v", "w", "w"],
                "gone": [1, 1, 1, 1],
            }
        ),
    )
    store.replace(
        "t",
        pa.table(
            {
                "id": ["b", "c", "d", "e"],
                "x": [2.0, 3.0, 5.0, 6.0],
                "s": ["v", "w", "w", "z"],
                "new": [1, 1, 1, 1],
            }
        ),
    )
    found = difference(store, "t", 0, 1, ("id",), memory_gb=0.5, scratch=tmp_path)
    assert (found.added, found.removed, found.changed, found.same) == (1, 1, 2, 1)
    assert found.changed_cells == {"x": 2}
    assert (found.columns_added, found.columns_removed) == (["new"], ["gone"])
    assert found.rows == (4, 4)
    x = next(s for s in found.shifts if s.column == "x")
    assert x.nulls == (0.25, 0.0)
    assert x.distinct == (3, 4)
    with pytest.raises(QueryError, match="same on both sides"):
        difference(store, "t", 1, 1, ("id",))


def test_shift_against_scipy(tmp_path):
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, 800).round(1), rng.normal(0.7, 1.3, 600).round(1)
    store = Store(tmp_path)
    store.append("t", pa.table({"id": np.arange(800), "v": a}))
    store.replace("t", pa.table({"id": np.arange(600), "v": b}))
    shift = next(
        s
        for s in difference(store, "t", 0, 1, ("id",), memory_gb=0.5, scratch=tmp_path).shifts
        if s.column == "v"
    )
    assert shift.ks == pytest.approx(ks_2samp(a, b).statistic)
    assert shift.psi > 0.25
    assert psi(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert psi(np.array([0.9, 0.1]), np.array([0.1, 0.9])) == pytest.approx(2 * 0.8 * np.log(9))
