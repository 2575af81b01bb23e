from __future__ import annotations

import json
import math

import numpy as np
import pytest

from wares.core.errors import SourceError
from wares.evaluate.files import Task, evaluate_file, prepare
from wares.evaluate.metrics import bootstrap, gini, list_metrics, per_user, popularity_groups
from wares.evaluate.own_graph import own_graph
from wares.evaluate.page import page
from wares.evaluate.readers import read_vectors
from wares.evaluate.report import Report, lorenz, recall_by_decile


def lists(*rows):
    return np.array(rows, np.int32)


def test_ranking_metrics_by_hand():
    out = per_user(
        lists([5, 1, 2], [7, 8, -1], [0, 0, 0]), [np.array([1, 2]), np.array([9]), np.array([], int)], [2, 3]
    )
    assert out["hr@2"][:2].tolist() == [1, 0]
    assert out["recall@2"][0] == 0.5
    assert out["recall@3"][0] == 1
    assert out["mrr@3"][:2].tolist() == [0.5, 0]
    ideal = 1 + 1 / math.log2(3)
    assert out["ndcg@3"][0] == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / ideal)
    assert np.isnan(out["ndcg@3"][2])


def test_padding_never_hits():
    assert per_user(lists([-1, -1]), [np.array([-1])], [2])["hr@2"][0] == 0


def test_list_metrics_by_hand():
    out = list_metrics(
        lists([0, 1], [0, 2]),
        [2],
        4,
        np.array([0, 1, 2, 2], np.int8),
        np.array([0, 0, 1, 1]),
        np.array([3, 1, 0, 0]),
        3,
    )
    assert out["coverage@2"] == 0.75
    assert out["tail_share@2"] == 0.25
    assert out["diversity@2"] == 0.5
    assert out["novelty@2"] == pytest.approx(-np.log2([1, 0.5, 1, 0.25]).mean())


def test_gini_and_lorenz():
    assert gini(np.array([1, 1, 1, 1])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(0.75)
    assert lorenz(lists([0], [1]), 2, 1) == [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)]


def test_head_middle_tail():
    assert popularity_groups(np.array([50, 30, 15, 5, 0]), 0.5, 0.2).tolist() == [0, 1, 2, 2, 2]
    assert recall_by_decile(lists([0]), [np.array([0, 1])], np.arange(20, 0, -1), 1)[0] == 0.5


def test_bootstrap_covers_the_mean():
    values = np.random.default_rng(0).normal(5, 1, 400)
    low, high = bootstrap(values, 500, 1)
    assert low < values.mean() < high
    assert (low, high) == bootstrap(values, 500, 1)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def write_events(path, header="user_id,item_id"):
    rng = np.random.default_rng(5)
    rows = [header]
    for user in range(80):
        group = user % 4
        for step, item in enumerate(rng.choice(12, 7, replace=False)):
            rows.append(
                f"u{user},i{group * 12 + item}" + (f",2025-01-{step + 1:02d}" if "at" in header else "")
            )
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("protocol", ["leave-last", "time", "given"])
def test_files_by_each_protocol(tmp_path, protocol):
    header = "user_id,item_id,at" if protocol == "time" else "user_id,item_id"
    events = write_events(tmp_path / "e.csv", header)
    test = None
    if protocol == "given":
        test = tmp_path / "t.csv"
        test.write_text("user_id,item_id\nu0,i1\nu0,i2\nu1,i13\nnew,i1\n")
    report = evaluate_file(
        Task(events, protocol=protocol, test=test, bootstrap=100, minutes=0.05, epochs=2),
        "wares evaluate recommend",
    ).to_json()
    json.dumps(report)
    for name in (
        "hr@10",
        "recall@20",
        "ndcg@10",
        "mrr@10",
        "coverage@10",
        "tail_recall@20",
        "novelty@5",
        "gini@10",
    ):
        assert report["metrics"][name] >= 0
    assert set(report["baselines"]) == {"popularity", "item-knn"}
    assert report["seed"] == 7
    assert report["peak_rss_mb"] > 0
    if protocol != "given":
        # Users buy within groups of twelve: anything that learned this beats the best-sellers.
        assert report["metrics"]["ndcg@10"] > 1.5 * report["baselines"]["popularity"]["ndcg@10"]
        low, high = report["intervals"]["ndcg@10"]
        assert low <= report["metrics"]["ndcg@10"] <= high


def test_products_and_graph_reach_cold_items(tmp_path):
    events = write_events(tmp_path / "e.csv")
    products = tmp_path / "p.csv"
    words = ("red lamp", "kitchen knife", "garden hose", "tea pot")
    products.write_text("item_id,title\n" + "".join(f"i{i},{words[i // 12]} {i}\n" for i in range(48)))
    graph = tmp_path / "g.csv"
    graph.write_text("head,relation,tail\n" + "".join(f"i{i},kind,{words[i // 12]}\n" for i in range(48)))
    parts = ("popular", "knn", "near:text", "shared:graph", "next+", "sequence+")
    report = evaluate_file(
        Task(events, products, graph, bootstrap=100, minutes=0.05, epochs=3, parts=parts), "x"
    )
    assert {*parts, "blend", "blend without graph", "blend without text"} <= {
        row["name"] for row in report.parts
    }
    assert report.metrics["hr@10"] > 0.5


def test_bad_files_name_the_line(tmp_path):
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="user_id and item_id"):
        evaluate_file(Task(tmp_path / "e.csv"), "x")
    (tmp_path / "e.csv").write_text("user_id,item_id\n1,2\n1\n")
    with pytest.raises(SourceError, match="line 3"):
        evaluate_file(Task(tmp_path / "e.csv"), "x")
    (tmp_path / "e.csv").write_text("user_id,item_id,at\n1,2,soon\n")
    with pytest.raises(SourceError, match="row 2: soon is no time"):
        evaluate_file(Task(tmp_path / "e.csv"), "x")


def test_page_is_self_contained(tmp_path):
    report = evaluate_file(
        Task(write_events(tmp_path / "e.csv"), bootstrap=100, minutes=0.05, parts=("popular", "knn", "next")),
        "wares <x>",
    )
    text = page(Report.from_json(report.to_json()))
    assert text.count("<svg") == 3
    assert "&lt;x&gt;" in text
    # Nothing is loaded: the only addresses are XML name spaces.
    assert "src=" not in text
    assert "@import" not in text


def test_vectors_of_items_from_a_file(tmp_path):
    items = {"a": 0, "b": 1, "c": 2}
    good = tmp_path / "image.npz"
    np.savez(good, ids=np.array(["c", "a", "stranger"]), vectors=np.array([[1, 2], [3, 4], [5, 6]]))
    assert read_vectors(good, items).tolist() == [[3, 4], [0, 0], [1, 2]]
    odd = tmp_path / "odd.npz"
    for arrays, said in (
        ({"ids": np.array(["a"])}, "is no"),
        ({"ids": np.array(["a", "b"]), "vectors": np.zeros((1, 2))}, "one row of|`vectors`"),
        (
            {"ids": np.array(["a", "b"]), "vectors": np.array([[0, 1], [0, np.nan]])},
            "the vector of b holds NaN",
        ),
    ):
        np.savez(odd, **arrays)
        with pytest.raises(SourceError, match=said):
            read_vectors(odd, items)
    odd.write_bytes(good.read_bytes()[:40])
    with pytest.raises(SourceError, match="is no"):
        read_vectors(odd, items)


def test_samples_of_a_next_item_file_become_sequences_again(tmp_path):
    (tmp_path / "valid.csv").write_text(
        "user_id,history_item_id,item_id\nu1,a b,c\nu1,a b c,d\nu2,x,y\nu1,b c d,e\n"
    )
    (tmp_path / "test.csv").write_text("user_id,history_item_id,item_id\nu1,d e,f\nu3,a,b\nu2,q,r\n")
    task, quad, _, _, _ = prepare(Task(tmp_path, parts=("popular",)))
    assert [p.name for p in (task.events, *task.more)] == ["valid.csv", "test.csv"]
    names = ["a", "b", "c", "d", "x", "y", "e", "f", "q", "r"]
    whole = [[names[i] for i in [*w, *t]] for w, t in zip(quad.whole, quad.test, strict=True)]
    assert whole == [["a", "b", "c", "d", "e", "f"], ["x", "y", "q", "r"], ["a", "b"]]


def test_a_products_file_is_a_graph_of_its_own():
    cells = {
        "title": ["Acme steel pump X200", "Acme pump", None, "Zed hose for X200"],
        "brand": ["Acme", "ACME ", "", "Zed"],
        "category": ["Pumps > Water", "Pumps > Air", "Pumps", None],
    }
    found = own_graph(cells, [3, 1, 0, 2], 5).toarray()
    # Lines 0, 1, 2 are items 3, 1, 0: a brand and a category step are shared.
    assert found.shape[0] == 5
    shared = {tuple(np.flatnonzero(column).tolist()) for column in found.T}
    assert {(1, 3), (0, 1, 3)} <= shared
    assert not found[4].any()
    assert own_graph({}, [0, 1], 2).shape == (2, 0)
