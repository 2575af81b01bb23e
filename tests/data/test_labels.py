from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from wares.core.clock import FixedClock
from wares.core.errors import NotFound, QueryError
from wares.core.state import State
from wares.data.labels import (
    LabelBook,
    Queue,
    Rule,
    adjudicate,
    adjudicate_all,
    disputes,
    labels,
    measure,
    star_rules,
    weak_labels,
)
from wares.data.labels.files import add_rows, put_file, write_tasks
from wares.data.labels.resolve import adjudications
from wares.data.labels.studio import config_xml, export_tasks, import_tasks, read_config


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 11, 22, 9, tzinfo=UTC))


@pytest.fixture
def book(tmp_path, clock):
    state = State.at(tmp_path / "state")
    yield LabelBook(state, clock)
    state.close()


def mood(book, n=6, overlap=1, name="mood"):
    project = book.create(name, "sentiment", overlap=overlap, lease_s=60, by="lead")
    rows = [
        {"id": f"r{k}", "text": f"text {k} 很好 👍", "rating": k % 5 + 1, "user_id": f"u{k}"}
        for k in range(n)
    ]
    report = add_rows(book, project, rows, key="id", asset="reviews", version=3)
    assert report.landed == n
    return project, Queue(book, project)


def keys(items):
    return [item["key"] for item in items]


def test_two_annotators_never_get_the_same_item(book):
    _, queue = mood(book)
    first, second = keys(queue.next("an", 4)), keys(queue.next("bo", 4))
    assert first == ["r0", "r1", "r2", "r3"]
    assert second == ["r4", "r5"]
    assert keys(queue.next("an", 2)) == ["r0", "r1"], "what one holds comes first"


def test_overlap_gives_an_item_to_so_many(book):
    _, queue = mood(book, n=1, overlap=2)
    assert [len(queue.next(who)) for who in ("an", "bo", "cy")] == [1, 1, 0]
    queue.put("an", "r0", "positive")
    assert queue.next("an") == []
    assert queue.next("cy") == []


def test_a_lease_runs_out(book, clock):
    _, queue = mood(book, n=1)
    assert keys(queue.next("an")) == ["r0"]
    clock.at += timedelta(seconds=61)
    assert keys(queue.next("bo")) == ["r0"]
    assert queue.next("an") == []


def test_every_answer_carries_who_when_and_from_which_version(book, clock):
    project, queue = mood(book)
    queue.next("an")
    queue.put("an", "r0", "positive", seconds=2.5, comment="clear", source="console")
    (row,) = book.answers(project)
    assert (row["annotator"], row["value"], row["asset_version"], row["source"], row["seconds"]) == (
        "an", "positive", 3, "console", 2.5,
    )  # fmt: skip
    assert row["at"] == clock.at.isoformat()
    (label,) = labels(book, project).to_pylist()
    assert (label["asset"], label["version"], label["subject"], label["annotators"]) == (
        "reviews",
        3,
        "u0",
        ["an"],
    )


def test_a_changed_answer_replaces_and_stays_on_record(book):
    project, queue = mood(book)
    assert queue.put("an", "r0", "positive")
    assert not queue.put("an", "r0", "positive")
    assert queue.put("an", "r0", "negative")
    assert [row["value"] for row in book.answers(project)] == ["negative"]
    assert [row["value"] for row in book.answers(project, live=False)] == ["positive", "negative"]
    assert book.progress(project)["done"] == 1
    assert queue.undo("an")["key"] == "r0"
    assert [row["value"] for row in book.answers(project)] == ["positive"]
    assert book.progress(project)["done"] == 1
    queue.undo("an")
    assert book.progress(project)["done"] == 0
    assert queue.undo("an") is None


def test_skip_and_its_undo(book, clock):
    _, queue = mood(book, n=2)
    queue.next("an")
    queue.skip("an", "r0")
    assert keys(queue.next("an")) == ["r1"]
    clock.at += timedelta(seconds=1)
    assert keys(queue.next("bo")) == ["r0"]
    assert queue.undo("an")["key"] == "r0"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"key": "r0", "value": "splendid"}, "no answer"),
        ({"key": "ghost", "value": "positive"}, "no item"),
        ({"key": "r0"}, "needs key and value"),
        ({"key": "r0", "value": "positive", "annotator": "machine:x"}, "annotator"),
        ({"key": "r0", "value": "positive", "seconds": "fast"}, "numbers"),
        ({"key": "r0", "value": "positive", "at": "yesterday"}, "no moment"),
    ],
)
def test_a_bad_answer_is_named_and_the_good_ones_land(book, answer, problem):
    project, queue = mood(book)
    report = queue.put_many([{"key": "r1", "value": "neutral"}, answer], annotator="an")
    assert report.landed == 1
    assert [row["line"] for row in report.refused] == [2]
    assert problem in report.refused[0]["message"]
    assert report.refused[0]["mend"]
    assert len(book.answers(project)) == 1
    with pytest.raises(QueryError):
        queue.put_many([answer], annotator="an", strict=True)


def test_answers_by_file(book, tmp_path):
    project, queue = mood(book)
    path = tmp_path / "tasks.jsonl"
    write_tasks(project, queue.next("bot", 3), path)
    tasks = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert tasks[0]["options"] == ["negative", "neutral", "positive"]
    answers = tmp_path / "answers.jsonl"
    lines = [json.dumps({"key": task["key"], "value": "positive"}) for task in tasks]
    answers.write_text("\n".join([lines[0], "{broken", "[1]", "", *lines[1:]]), "utf-8")
    report = put_file(book, project, answers, annotator="bot")
    assert (report.landed, [row["line"] for row in report.refused]) == (3, [2, 3])


def test_long_texts_and_emoji(book):
    project = book.create("long", "choice", options=["a", "b"])
    long = "很好用👩‍👩‍👧" * 20_000
    report = book.add(
        project, [{"key": "1", "payload": {"text": long}}, {"key": "2", "payload": {"text": "x" * 2_000_000}}]
    )
    assert (report.landed, len(report.refused)) == (1, 1)
    assert Queue(book, project).next("an")[0]["payload"]["text"] == long


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b", "kind": "sentiment"},
        {"name": "x", "kind": "moods"},
        {"name": "x", "kind": "category"},
        {"name": "x", "kind": "choice", "options": ["a", "a"]},
        {"name": "x", "kind": "choice", "options": ["a", "b"], "level": "interval"},
        {"name": "x", "kind": "sentiment", "overlap": 0},
    ],
)
def test_projects_that_cannot_be(book, wrong):
    with pytest.raises(QueryError):
        book.create(**wrong)
    assert book.projects() == []


def test_a_project_keeps_its_name(book):
    mood(book)
    with pytest.raises(QueryError, match="already"):
        book.create("mood", "sentiment")
    with pytest.raises(NotFound):
        book.project("ghost")


def crowd(book, n=40):
    """Three careful annotators and one who says the opposite."""
    project, queue = mood(book, n=n, overlap=4)
    truth = {f"r{k}": ("positive", "negative", "neutral")[k % 3] for k in range(n)}
    flip = {"positive": "negative", "negative": "positive", "neutral": "positive"}
    for who, wrong in (("an", 0), ("bo", 5), ("cy", 7)):
        queue.put_many(
            [{"key": k, "value": flip[v] if wrong and n % (wrong + 4) == 0 else v, "seconds": 3} for n, (k, v) in enumerate(truth.items())],
            annotator=who,
        )  # fmt: skip
    queue.put_many([{"key": k, "value": flip[v]} for k, v in truth.items()], annotator="mad")
    return project, queue, truth


def test_an_annotator_who_disagrees_with_everyone_is_named_and_can_be_left_out(book):
    project, queue, truth = crowd(book)
    before = measure(book, project)
    assert before.odd == ("mad",)
    accuracy = {a.name: a.accuracy for a in before.annotators}
    assert accuracy["an"] > 0.9 > accuracy["bo"] > 0.6 > accuracy["mad"]
    book.exclude(project, "mad", reason="opposite", by="lead")
    after = measure(book, project)
    assert after.alpha > 0.6 > 0.2 > before.alpha
    assert after.excluded == ("mad",)
    assert {
        row["key"]: row["label"] for row in labels(book, project).to_pylist() if row["confidence"] == 1
    } == {k: v for n, (k, v) in enumerate(truth.items()) if n % 9 and n % 11}
    with pytest.raises(QueryError, match="excluded"):
        queue.next("mad")
    assert book.progress(project)["done"] == 0, "their items need an answer again"
    book.include(project, "mad")
    assert book.progress(project)["done"] == 40


def test_alpha_is_the_published_one():
    """Krippendorff's own example (Computing Krippendorff's alpha-reliability, 2011, section C)."""
    import numpy as np

    from wares.data.labels.agreement import alpha

    nan = np.nan
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )  # fmt: skip
    assert alpha(data - 1, 5, "nominal") == pytest.approx(0.743, abs=1e-3)
    assert alpha(data - 1, 5, "ordinal") == pytest.approx(0.815, abs=1e-3)
    assert alpha(data, 5, "interval") == pytest.approx(0.849, abs=1e-3)
    assert alpha(data[:1], 5, "nominal") is None
    assert alpha(np.ones((2, 3)), 5, "nominal") == 1.0


def test_disputes_are_settled_by_hand_or_by_trust(book):
    project, _, truth = crowd(book)
    open_before = {d["key"] for d in disputes(book, project)}
    assert open_before == set(truth)
    adjudicate(book, project, "r1", "neutral", by="lead", comment="sarcasm")
    adjudicate(book, project, "r1", "negative", by="lead")
    assert [row["live"] for row in adjudications(book, project, live=False)] == [False, True]
    with pytest.raises(QueryError):
        adjudicate(book, project, "r1", "awful", by="lead")
    with pytest.raises(NotFound):
        adjudicate(book, project, "ghost", "negative", by="lead")
    assert adjudicate_all(book, project, "weighted", by="lead") == 39
    assert disputes(book, project) == []
    settled = {row["key"]: row["label"] for row in labels(book, project).to_pylist()}
    assert settled == truth
    with pytest.raises(QueryError):
        labels(book, project, method="loudest")


def test_what_is_doubted_comes_back_in_front(book):
    project, queue = mood(book)
    queue.put_many([{"key": f"r{k}", "value": "positive"} for k in range(6)], annotator="an")
    assert queue.next("an") == []
    assert queue.again(["r4", "r2", "ghost"], reason="doubtful") == 2
    assert book.progress(project)["again"] == 2
    assert keys(queue.next("an", 9)) == ["r4", "r2"]
    queue.put("an", "r4", "negative")
    assert {row["key"]: row["value"] for row in book.answers(project)}["r4"] == "negative"
    assert len(book.answers(project)) == 6


def test_weak_labels_have_coverage_and_accuracy_and_stay_apart(book):
    project, queue = mood(book, n=50)
    queue.put_many(
        [{"key": f"r{k}", "value": ("negative", "negative", "neutral", "positive", "positive")[k % 5]} for k in range(0, 50, 2)],
        annotator="an",
    )  # fmt: skip
    report = weak_labels(
        book, project, [*star_rules(project), Rule("emoji", "positive", words=("👍",)), Rule("odd", "negative", pattern=r"text \d*7")]
    )  # fmt: skip
    by_name = {rule.name: rule for rule in report.rules}
    assert by_name["rating at least 4"].coverage == pytest.approx(0.4)
    assert by_name["rating at least 4"].accuracy == 1.0
    assert by_name["rating at least 4"].estimated_from == "labels"
    assert by_name["emoji"].accuracy == pytest.approx(0.4)
    assert by_name["emoji"].conflicts > 20
    assert by_name["odd"].judged < 5
    assert report.labelled == report.stored == 50
    assert report.accuracy > 0.9
    assert labels(book, project).num_rows == 25
    everything = labels(book, project, machine=True).to_pylist()
    assert sum(row["method"] == "machine" for row in everything) == 25
    assert measure(book, project).pairs == 0, "a machine's answers are not a person's"
    assert weak_labels(book, project, star_rules(project)).stored == 0, "the same again changes nothing"


@pytest.mark.parametrize(
    "rule",
    [
        Rule("x", "positive"),
        Rule("x", "positive", words=("a",), pattern="b"),
        Rule("x", "positive", pattern="("),
        Rule("x", "positive", when="rating over 4"),
        Rule("x", "positive", when="rating > many"),
        Rule("x", "splendid", words=("a",)),
    ],
)
def test_a_rule_that_cannot_be_read(book, rule):
    project, _ = mood(book)
    with pytest.raises(QueryError):
        weak_labels(book, project, [rule])


def test_label_studio_round_trip(book, tmp_path, clock):
    project, queue = mood(book)
    queue.put_many(
        [
            {"key": "r0", "value": "positive", "seconds": 4, "comment": "ok"},
            {"key": "r1", "value": "neutral"},
        ],
        annotator="an@x",
    )
    queue.put("bo@x", "r0", "negative")
    weak_labels(book, project, star_rules(project))
    adjudicate(book, project, "r0", "positive", by="lead", comment="twice read")
    sent = json.dumps(export_tasks(book, project), ensure_ascii=False)
    xml = config_xml(project)
    question, fields, options = read_config(xml)
    assert (question, fields, options) == (project.question, project.fields, project.options)
    state = State.at(tmp_path / "other")
    other = LabelBook(state, clock)
    copy = other.create("mood", "sentiment")
    assert import_tasks(other, copy, sent).refused == []
    again = import_tasks(other, copy, sent)
    assert again.landed == 0
    strip = ("id",)

    def plain(tasks):
        text = json.loads(json.dumps(tasks))
        for task in text:
            for row in [task, *task["annotations"], *task["predictions"]]:
                for name in strip:
                    row.pop(name)
                for result in row.get("result", []):
                    result.pop("id")
        return text

    assert plain(export_tasks(other, copy)) == plain(export_tasks(book, project))
    state.close()


def test_foreign_label_studio_file(book):
    project = book.create("ls", "sentiment")
    tasks = [
        {"id": 7, "data": {"text": "good"}, "annotations": [{"completed_by": 3, "result": [{"value": {"choices": ["positive"]}}]}]},
        {"id": 8, "data": {"words": "no text"}},
        "rubbish",
        {"id": 9, "data": {"text": "bad"}, "annotations": [{"completed_by": {"email": "e@x"}, "result": [{"value": {"choices": ["meh"]}}]}, {"was_cancelled": True, "completed_by": 4, "result": []}]},
    ]  # fmt: skip
    report = import_tasks(book, project, json.dumps(tasks))
    assert [row["line"] for row in report.refused] == [2, 3, 4]
    assert [(row["annotator"], row["value"]) for row in book.answers(project)] == [("user 3", "positive")]
    with pytest.raises(QueryError):
        import_tasks(book, project, "{")
    with pytest.raises(QueryError, match="document type"):
        read_config('<!DOCTYPE x [<!ENTITY a "b">]><View/>')


def test_one_contrary_annotator_does_not_make_the_others_odd(book):
    project, queue = mood(book, n=30, overlap=3)
    for who, value in (("an", "positive"), ("bo", "positive"), ("mad", "negative")):
        queue.put_many(
            [{"key": f"r{k}", "value": value if k % 2 else "neutral"} for k in range(30)], annotator=who
        )
    queue.put_many([{"key": f"r{k}", "value": "positive"} for k in range(0, 30, 2)], annotator="mad")
    report = measure(book, project)
    assert report.odd == ("mad",)
    assert {a.name: a.alpha for a in report.annotators}["an"] == 1.0


def test_gold_answers_tell_who_of_two_is_wrong(book):
    project = book.create("gold", "choice", options=["a", "b"], overlap=2)
    book.add(project, [{"key": str(k), "payload": {"text": f"t{k}"}, "gold": "ab"[k % 2]} for k in range(12)])
    queue = Queue(book, project)
    for who, shift in (("an", 0), ("bo", 1)):
        queue.put_many([{"key": str(k), "value": "ab"[(k + shift) % 2]} for k in range(12)], annotator=who)
    report = measure(book, project)
    assert report.odd == ("bo",)
