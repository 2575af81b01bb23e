"""Any changed, dropped, inserted, duplicated, swapped or cut entry of the audit log is detected."""

from __future__ import annotations

import random
import shutil

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wares.core.audit import Audit, Entry, audit_log
from wares.core.state import State

N = 24


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    state = State.at(folder)
    audit = Audit(state, folder)
    entries = [
        Entry(f"who{i % 3}", "read", f"table{i % 2}", {"version": i, "rows": i % 2}, "analyst")
        for i in range(N)
    ]
    audit.record_many(entries[: N // 2])
    for entry in entries[N // 2 :]:
        audit.record_many([entry])
    rows = list(audit.stream())
    anchor = (folder / "audit.head").read_bytes()
    yield audit, rows, anchor
    state.close()


TEXTS = ("at", "who", "role", "action", "what", "detail", "previous", "hash")
numbers = st.integers(0, N - 1)
attacks = st.one_of(
    st.tuples(st.just("change"), numbers, st.sampled_from(TEXTS), st.integers(0, 10**6)),
    st.tuples(st.just("number"), numbers, st.integers(-5, 3 * N), st.just(0)),
    st.tuples(st.just("drop"), numbers, st.just(0), st.just(0)),
    st.tuples(st.just("drop and close up"), st.integers(0, N - 2), st.just(0), st.just(0)),
    st.tuples(st.just("swap"), numbers, numbers, st.just(0)),
    st.tuples(st.just("duplicate"), numbers, st.integers(-3, 2 * N), st.just(0)),
    st.tuples(st.just("cut"), numbers, st.just(0), st.just(0)),
    st.tuples(st.just("shuffle"), st.just(0), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("insert"), st.integers(1, N), st.just(0), st.just(0)),
)


def attacked(rows, attack):
    """The rows after an attack, with sequence numbers that the database accepts."""
    kind, place, other, salt = attack
    rows = [dict(row) for row in rows]
    if kind == "change":
        old = rows[place][other]
        rows[place][other] = old[:-1] + chr(33 + salt % 90) if old else "x"
    elif kind == "number":
        rows[place]["seq"] = other
    elif kind == "drop":
        del rows[place]
    elif kind == "drop and close up":
        del rows[place]
        for number, row in enumerate(rows, 1):
            row["seq"] = number
    elif kind == "swap":
        rows[place], rows[other] = {**rows[other], "seq": place + 1}, {**rows[place], "seq": other + 1}
        if place != other:
            rows[place]["seq"], rows[other]["seq"] = place + 1, other + 1
    elif kind == "duplicate":
        rows.append({**rows[place], "seq": other})
    elif kind == "cut":
        del rows[place:]
    elif kind == "shuffle":
        order = list(range(N))
        random.Random(other).shuffle(order)
        rows = [{**rows[i], "seq": n + 1} for n, i in enumerate(order)]
    elif kind == "insert":
        for row in rows[place:]:
            row["seq"] += 1
        rows.insert(
            place,
            {**rows[place - 1], "seq": place + 1, "previous": rows[place - 1]["hash"], "hash": "f" * 64},
        )
    return rows


def put(audit, rows):
    with audit.state.engine.begin() as connection:
        connection.execute(audit_log.delete())
        if rows:
            connection.execute(audit_log.insert(), rows)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attack=attacks)
def test_any_attack_on_the_entries_is_detected(original, attack):
    audit, rows, anchor = original
    spoilt = attacked(rows, attack)
    numbers_used = [row["seq"] for row in spoilt]
    if len(set(numbers_used)) < len(numbers_used):
        return  # the database itself refuses two entries of one number
    audit.anchor_path.write_bytes(anchor)
    put(audit, spoilt)
    same = sorted(spoilt, key=lambda row: row["seq"]) == rows
    assert audit.verify().whole is same


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, N - 1), more=st.integers(1, 3))
def test_a_cut_stays_visible_after_the_log_went_on(original, cut, more):
    audit, rows, anchor = original
    audit.anchor_path.write_bytes(anchor)
    put(audit, rows[:cut])
    for _ in range(more):
        audit.record("ann", "read", "events")
    report = audit.verify()
    assert not report.whole
    assert any(entry["action"] == "audit.broken" for entry in audit.entries())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_anchor_is_detected(original, place, byte):
    audit, rows, anchor = original
    put(audit, rows)
    spoilt = bytearray(anchor)
    spoilt[place % len(spoilt)] = byte
    audit.anchor_path.write_bytes(bytes(spoilt))
    # White space between the values says nothing; every other byte does.
    assert audit.verify().whole is (b"".join(bytes(spoilt).split()) == b"".join(anchor.split()))
    audit.anchor_path.write_bytes(anchor)
    assert audit.verify().whole


def test_a_missing_anchor_is_detected_also_after_the_log_went_on(original):
    audit, rows, anchor = original
    put(audit, rows)
    audit.anchor_path.unlink()
    assert not audit.verify().whole
    audit.record("ann", "read", "events")
    assert not audit.verify().whole
    audit.anchor_path.write_bytes(anchor)


def test_whoever_has_database_key_and_folder_is_found_out_by_a_noted_head(original, tmp_path):
    audit, rows, anchor = original
    put(audit, rows)
    audit.anchor_path.write_bytes(anchor)
    head = audit.verify().head
    assert audit.verify(head).whole
    # The whole log written anew with the right key: only what was noted elsewhere tells.
    shutil.copy(audit.key_path, tmp_path / "audit.key")
    state = State.at(tmp_path)
    forged = Audit(state, tmp_path)
    forged.record_many([Entry("nobody", "read", "products")] * N)
    assert forged.verify().whole
    assert not forged.verify(head).whole
    state.close()


def test_an_entry_written_by_hand_without_the_key_is_detected(original):
    audit, rows, anchor = original
    put(audit, rows)
    audit.anchor_path.write_bytes(anchor)
    with audit.state.engine.begin() as connection:
        connection.execute(
            sa.insert(audit_log),
            {**rows[-1], "seq": N + 1, "previous": rows[-1]["hash"], "hash": "0" * 64},
        )
    assert not audit.verify().whole
