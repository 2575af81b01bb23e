from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.features.test_adapt import offers, recipe, tiny  # noqa: F401

from wares.core.errors import QueryError
from wares.evaluate.encoder import EncoderTask, evaluate_encoder
from wares.evaluate.encoder_matching import best_threshold, evaluate_matching, folds_of, read_labelled
from wares.evaluate.words import Words
from wares.features.pairs import TEST, from_groups
from wares.features.retrieval import Retrieval, means


def test_words_part_letters_from_digits_and_cut_chinese():
    pairs = from_groups(
        [
            "acme 64gb phone",
            "phone by acme, 64 gb",
            "acme 32gb phone",
            "护眼台灯 学生",
            "学生用 护眼 台灯",
            "汽车 坐垫",
            "",
        ],
        ["a", "a", "b", "c", "c", "d", "e"],
    )
    task = Retrieval.of(pairs, np.full(7, TEST, np.int8), TEST)
    words = Words(pairs, task.candidates)
    assert means(task.measure(words.scores))["recall@1"] == 1
    scores = words.scores(np.array([0, 6]))
    assert scores[0, 1] > scores[0, 2] > 0
    assert not np.isfinite(scores[0, 3])
    assert not np.isfinite(scores[1]).any()


def test_the_evaluation_compares_all_and_goes_on_where_it_stopped(tiny, tmp_path):  # noqa: F811
    settings = recipe(tiny, steps=16)
    said = []
    task = EncoderTask(offers(), "offers", settings, ("full", "lora"), (7,))
    report = evaluate_encoder(task, tmp_path, said.append)
    systems = report["systems"]
    assert {"bm25", "untuned", "full", "lora", "adapted + words + codes"} <= systems.keys()
    assert systems["full"]["share_trained"] == 1 > systems["lora"]["share_trained"]
    assert systems["full"]["mrr"]["mean"] > systems["untuned"]["mrr"]["mean"]
    assert report["by_seed"][0]["differences"]["full - untuned"]["mrr"]["interval"][0] > 0
    again = []
    second = evaluate_encoder(task, tmp_path, again.append)
    assert second["systems"] == systems
    assert not [line for line in again if "step" in line]
    assert [line for line in said if "step" in line]


def _written(tmp_path, rows):
    path = tmp_path / "pairs.csv"
    path.write_text("left,right,label\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows))
    return path


def test_matching_is_cross_validated(tiny, tmp_path):  # noqa: F811
    texts = offers(groups=90, k=2).texts
    rows = [(texts[2 * i], texts[2 * i + 1], 1) for i in range(90)]
    rows += [(texts[2 * i], texts[(2 * i + 7) % 180], 0) for i in range(90)]
    found = evaluate_matching(
        _written(tmp_path, rows),
        recipe(tiny, steps=8, batch=16),
        ("full",),
        2,
        (1,),
        tmp_path / "w",
        lambda _: None,
    )
    assert found["pairs"] == 180
    assert found["majority"] == 0.5
    assert found["systems"]["bm25"]["accuracy"] > 0.9
    assert 0.4 <= found["systems"]["full"]["accuracy"] <= 1
    assert "full - untuned" in found["differences"]


def test_files_of_labelled_pairs(tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text(
        '{"sentences": "Query: 大落地窗\\nDoc: 铝合金落地窗", "labels": {"en": ["match"], "zh": ["匹配"]}}\n'
        '{"sentences": "Query: 大落地窗\\nDoc: 手机支架", "labels": {"en": ["not match"], "zh": ["不匹配"]}}\n'
    )
    data = read_labelled(path)
    assert data.asked
    assert data.same.tolist() == [True, False]
    assert data.right == ["铝合金落地窗", "手机支架"]
    with pytest.raises(QueryError, match="all 2 labels"):
        read_labelled(_written(tmp_path, [("a", "b", 1), ("c", "d", 1)]))
    with pytest.raises(QueryError, match="labels maybe"):
        read_labelled(_written(tmp_path, [("a", "b", 1), ("c", "d", "maybe")]))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(QueryError, match="a, b"):
        read_labelled(tmp_path / "other.csv")


def test_folds_keep_pairs_of_one_text_together_and_thresholds_are_the_best():
    ends = np.array([[0, 1], [0, 2], [3, 4], [5, 4], [6, 7], [8, 9]])
    fold = folds_of(ends, 2, 1)
    assert fold[0] == fold[1]
    assert fold[2] == fold[3]
    assert abs((fold == 0).sum() - (fold == 1).sum()) <= 2
    score, same = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    assert 0.2 < best_threshold(score, same) < 0.8
    assert best_threshold(score, np.ones(4, bool)) < 0.1


def test_recipes_of_other_settings_are_other_runs(tiny, tmp_path):  # noqa: F811
    task = EncoderTask(offers(), "offers", recipe(tiny, steps=4), ("full",), (7,), blend=False)
    first = evaluate_encoder(task, tmp_path)
    second = evaluate_encoder(replace(task, recipe=replace(task.recipe, steps=6)), tmp_path)
    assert first["systems"]["full"]["steps"] == 4
    assert second["systems"]["full"]["steps"] == 6
