from __future__ import annotations

import json
import sys

import pytest

from wares.cli import main
from wares.cli.bench_similar import bench


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["wares", *words])
    with pytest.raises(SystemExit) as done:
        main.run()
    found = capsys.readouterr()
    return done.value.code, found.out, found.err


def test_similar_prints_what_each_dimension_adds(built, monkeypatch, capsys):
    shop = ["--shop", str(built.root)]
    code, out, _ = run(monkeypatch, capsys, "similar", "p0000", "--kind", "substitute", "--json", *shop)
    assert code == 0
    found = json.loads(out)
    assert "substitute" in found["kinds"]
    assert all(sum(h["parts"].values()) == pytest.approx(h["score"], abs=2e-5) for h in found["hits"])
    code, out, _ = run(monkeypatch, capsys, "similar", "p0000", "--weights", "text:1,price:1", *shop)
    assert code == 0
    assert "price" in out
    assert "Kinds of this shop" in out
    code, out, _ = run(monkeypatch, capsys, "similar", "--groups", "--json", *shop)
    assert code == 0
    assert json.loads(out) == {"groups": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name one of"),
        (("p0000", "--words", "lamp"), "name one of"),
        (("p0000", "--weights", "text"), "cannot read weights"),
        (("p0000", "--kind", "style"), "no signals"),
        (("--words", "lamp"), "too few pictures"),
        (("--image", "missing.png"), "no pictures"),
    ],
)
def test_wrong_questions_say_the_mend(built, monkeypatch, capsys, words, said):
    code, _, err = run(monkeypatch, capsys, "similar", *words, "--shop", str(built.root))
    assert code == 2
    assert said in " ".join(err.split())


def test_the_bench_measures_a_small_index():
    found = bench(2000, 16, 20, 50, 7, lambda _: None)
    assert found["recall@10"] == 1.0
    assert found["filtered_0.01_recall@10"] == 1.0
    assert found["inserted_found"] == 1.0
