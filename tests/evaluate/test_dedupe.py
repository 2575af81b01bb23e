import csv
import random

import numpy as np
import pytest

from wares.core.errors import QueryError
from wares.evaluate.dedupe import DedupeTask, b_cubed, evaluate_dedupe, read_table, roles_of


def write(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def offers(tmp_path_factory):
    rng, rows = random.Random(5), []
    for thing in range(260):
        brand, kind = rng.choice(["acme", "zenit", "orbi"]), rng.choice(["kettle", "drill", "toaster"])
        code, inches = f"{rng.choice('ab')}{rng.choice('xyz')}{1000 + 7 * thing}", rng.choice([20, 30, 40])
        for shop in ("s1", "s2", "s3")[: 2 + thing % 2]:
            words = [brand, kind, code, f"{inches} cm" if shop == "s1" else f"{inches}cm"]
            rng.shuffle(words)
            rows.append(
                (
                    len(rows),
                    " ".join(words),
                    shop,
                    f"T{thing}",
                    f"Thing {thing}",
                    kind,
                    rng.choice(["new", "used", ""]),
                )
            )
    return write(
        tmp_path_factory.mktemp("dedupe") / "offers.csv",
        ("row_id", "product_name", "shop", "truth", "truth_label", "kind", "state"), rows,
    )  # fmt: skip


def test_what_gives_the_truth_away_is_left_out(offers):
    roles = roles_of(read_table(offers), DedupeTask(offers, "truth"))
    assert (roles.title, roles.source, roles.labels) == ("product_name", "shop", ("state",))
    assert set(roles.excluded) == {"row_id", "truth_label", "kind"}
    forced = roles_of(read_table(offers), DedupeTask(offers, "truth", columns=("product_name", "kind")))
    assert forced.labels == ("kind",)
    assert "shop" in forced.excluded


@pytest.mark.slow
def test_held_out_clusters_are_found(offers):
    report = evaluate_dedupe(DedupeTask(offers, "truth"))
    assert report["test"]["pairwise"]["f1"] > 0.9
    assert report["unsupervised"]["test"]["pairwise"]["f1"] > 0.9
    assert report["supervised"]
    assert report["one_per_source"]
    assert report["test"]["offers"] + report["tune"]["offers"] == report["all"]["offers"] == 650
    assert report["test"]["b3"]["f1"] > 0.9


def test_odd_files_are_answered(tmp_path):
    three = write(tmp_path / "three.csv", ("title", "truth"), [("red lamp", 1), ("red lamp", 1), ("", 2)])
    assert evaluate_dedupe(DedupeTask(three, "truth"))["all"]["offers"] == 3
    same = write(
        tmp_path / "same.csv", ("title", "truth"), [("one and the same", i // 2) for i in range(400)]
    )
    assert evaluate_dedupe(DedupeTask(same, "truth", tune_share=0.0))["all"]["pairwise"]["recall"] >= 0
    odd = [
        ("📱 phone x1 " + "word " * 3000, "a", "nan"),
        ("📱 phone x1", "a", "3"),
        ("nan", "b", ""),
        ("日本語 テスト", "b", "4"),
    ]
    odd_file = write(tmp_path / "odd.csv", ("title", "truth", "price"), odd)
    assert evaluate_dedupe(DedupeTask(odd_file, "truth"))["all"]["offers"] == 4
    for task in (DedupeTask(three, "cluster"), DedupeTask(three, "truth", title="name")):
        with pytest.raises(QueryError):
            evaluate_dedupe(task)
    untitled = write(tmp_path / "untitled.csv", ("id", "truth"), [(1, 1), (2, 1), (3, 2)])
    with pytest.raises(QueryError, match="title"):
        evaluate_dedupe(DedupeTask(untitled, "truth"))


def test_b_cubed_by_hand():
    found, truth = np.array([0, 0, 0, 3]), np.array([0, 0, 1, 1])
    # Purity 2/3, 2/3, 1/3, 1; wholeness 1, 1, 1/2, 1/2.
    assert b_cubed(found, truth) == {"precision": 0.6667, "recall": 0.75, "f1": 0.7059}
