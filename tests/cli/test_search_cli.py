"""``wares evaluate search`` and ``wares bench search`` from the command line."""

from __future__ import annotations

import gzip
import json
import sys

import pytest

from wares.cli import main
from wares.evaluate.search_bench import generate


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["wares", *words])
    with pytest.raises(SystemExit) as done:
        main.run()
    found = capsys.readouterr()
    return done.value.code, found.out, found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "search"), "nothing, or more than one"),
        (("evaluate", "search", "--train-queries", "q.csv", "--clusters", "c.csv"), "go together"),
        (("evaluate", "search", "--zh-tasks", "nowhere"), "query_item_matching"),
        (("bench", "search", "--others", "oracle"), "no 'oracle'"),
    ],
)
def test_wrong_words_are_refused(words, said, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, *words)
    assert code == 2
    assert said in " ".join((out + err).split())


def test_chinese_pairs(tmp_path, monkeypatch, capsys):
    with gzip.open(tmp_path / "query_item_matching.jsonl.gz", "wt", encoding="utf-8") as stream:
        for i, (query, item) in enumerate(
            (("蓝牙耳机", "无线蓝牙耳机 黑"), ("紫砂壶", "宜兴紫砂壶 手工"), ("连衣裙", "夏季连衣裙 红"))
        ):
            for other in ("牛肉干", "登山鞋"):
                for doc, label in ((f"{item} {i}{other[0]}", "match"), (f"{other}{i}", "not match")):
                    row = {"sentences": f"Query: {query}{other[0]}\nDoc: {doc}", "labels": {"en": [label]}}
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    (tmp_path / "q.txt").write_text("1\t蓝牙\n2\t😀\n3\t\n", "utf-8")
    code, out, _ = run(
        monkeypatch, capsys, "evaluate", "search", "--zh-tasks", str(tmp_path), "--zh-queries", str(tmp_path / "q.txt"), "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert found["accuracy"]["search"] >= 0.8
    assert found["real queries"]["asked"] == 3


def test_the_bench_finds_what_is_right(monkeypatch, capsys):
    assert generate(1000, 5, 1).titles == generate(1000, 5, 1).titles
    code, out, _ = run(
        monkeypatch, capsys, "bench", "search", "--items", "1000", "--queries", "50", "--no-encoder", "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert found["systems"]["wares"]["recall@10"] > 0.95
    code, out, _ = run(
        monkeypatch, capsys, "bench", "search", "--items", "1000", "--queries", "50", "--no-encoder"
    )
    assert code == 0
    assert "wares" in out
