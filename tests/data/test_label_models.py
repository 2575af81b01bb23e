from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import DataError, QueryError
from wares.core.state import State
from wares.data.labels import LabelBook, Queue
from wares.data.labels.active import choose, suggest
from wares.data.labels.doubt import doubtful, find_doubts, fold_of
from wares.data.labels.files import add_rows
from wares.data.labels.views import Views
from wares.evaluate.active import evaluate_active
from wares.evaluate.label_errors import evaluate_label_errors, plant, repeats, scores

GOOD = ("很好用", "喜欢", "great", "love it", "perfect", "满意", "works well", "质量不错")
BAD = ("太差了", "失望", "broken", "refund", "useless", "退货", "stopped working", "质量很差")
THINGS = ("lamp", "台灯", "shoe", "phone", "手机", "book", "kettle", "水壶", "desk", "cable")


def reviews(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    texts = [
        f"{rng.choice(THINGS)} {' '.join(rng.choice((BAD, GOOD)[k], 2))} {rng.choice(THINGS)} {rng.integers(1000)}"
        for k in y
    ]
    return texts, y.astype(np.int64)


def test_planted_errors_are_found_and_clean_labels_left_alone():
    texts, y = reviews(200)
    given, planted = plant(y, 0.05, np.random.default_rng(1))
    assert (given != y).sum() == planted.sum() == 10
    found = find_doubts(texts, given)
    report = scores(planted, found.found, found.score)
    assert report["recall"] >= 0.8
    assert report["precision"] >= 0.8
    assert set(found.order[:5]) <= set(np.nonzero(planted)[0])
    assert (found.suggested[planted] == y[planted]).mean() > 0.9


def test_a_small_class_is_not_judged_and_too_little_is_said():
    texts, y = reviews(60)
    labels = y.copy()
    labels[:3] = 7
    found = find_doubts(texts, labels)
    assert np.isnan(found.score[:3]).all()
    assert not found.found[:3].any()
    np.testing.assert_array_equal(found.score, find_doubts(texts, labels).score)
    with pytest.raises(DataError, match="at least two"):
        find_doubts(texts[:5], np.zeros(5, np.int64))


def test_three_labels_vectors_and_equal_texts_in_one_fold():
    texts, y = reviews(150)
    labels = np.where(np.arange(150) % 3 == 0, 2, y)
    texts = [f"{text} 一般般 average" if k == 2 else text for text, k in zip(texts, labels, strict=True)]
    given, planted = plant(labels, 0.06, np.random.default_rng(0))
    vectors = np.random.default_rng(0).normal(size=(150, 8)).astype(np.float32)
    found = find_doubts(texts, given, vectors=vectors)
    assert found.probabilities.shape == (150, 3)
    assert scores(planted, found.found, found.score)["recall"] > 0.5
    folds = fold_of([*texts, texts[0].upper()], np.append(given, given[0]), 7)
    assert folds[-1] == folds[0]
    assert set(folds) == set(range(10))


def test_views_of_nothing_much():
    views = Views.of(["", "👍", "a" * 100_000, "<b></b>"])
    assert views.latent.shape[0] == views.chars.shape[0] == views.words.shape[0] == 4
    assert len(views.texts[2]) == 5_000


@pytest.mark.parametrize("strategy", ["diverse", "margin", "density", "gradient", "random"])
def test_a_choice_is_open_rows_once_each(strategy):
    texts, y = reviews(120)
    views = Views.of(texts)
    labelled = np.arange(30)
    rows = choose(views, labelled, y[:30], np.arange(30, 120), 12, strategy=strategy)
    assert len(set(rows.tolist())) == 12
    assert rows.min() >= 30
    np.testing.assert_array_equal(
        rows, choose(views, labelled, y[:30], np.arange(30, 120), 12, strategy=strategy)
    )
    start = choose(views, labelled[:0], y[:0], np.arange(5), 9, strategy=strategy)
    assert sorted(start.tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(QueryError):
        choose(views, labelled, y[:30], np.arange(30, 120), 5, strategy="gut")


def test_doubt_and_suggest_move_the_queue(tmp_path):
    state = State.at(tmp_path)
    book = LabelBook(state)
    project = book.create("mood", "sentiment", options=["negative", "positive"])
    texts, y = reviews(130)
    add_rows(book, project, [{"id": n, "text": text} for n, text in enumerate(texts)], key="id")
    queue = Queue(book, project)
    wrong = {3, 50, 77}
    queue.put_many(
        [{"key": str(n), "value": project.options[int(y[n]) ^ (n in wrong)]} for n in range(100)],
        annotator="an",
    )
    found = doubtful(book, project, again=True)
    assert {d.key for d in found} == {str(n) for n in wrong}
    assert all("reads like" in d.reason for d in found)
    assert [item["key"] for item in queue.next("bo", 3)] == [d.key for d in found]
    keys = suggest(book, project, 5)
    assert all(int(key) >= 100 for key in keys)
    assert [item["key"] for item in queue.next("cy", 5)] == keys
    state.close()


def test_reports_have_spread_and_say_what_the_file_is_like():
    texts, y = reviews(240)
    labels = [str(k) for k in y]
    texts, labels = [*texts, texts[0], ""], [*labels, "1" if labels[0] == "0" else "0", "1"]
    assert repeats(texts, labels) == {"repeated": 1, "conflicting": 1}
    report = evaluate_label_errors(texts, labels, n=110, seeds=2)
    assert report["file"] == {"usable": 241, "repeated": 1, "conflicting": 1}
    assert len(report["found"]["precision"]["each"]) == 2
    assert report["found"]["recall"]["mean"] > 0.5
    curve = evaluate_active(texts, labels, budget=60, seeds=2, test=80)
    assert [point["labels"] for point in curve["curve"]] == [50, 60]
    low, high = curve["gain"]["interval95"]
    assert low <= curve["gain"]["mean"] <= high
    with pytest.raises(DataError):
        evaluate_active(texts[:50], labels[:50], budget=60)
    with pytest.raises(DataError):
        evaluate_label_errors(texts[:50], labels[:50])
