from __future__ import annotations

import csv

import numpy as np
import pytest

from wares.core.errors import QueryError, SourceError
from wares.evaluate.search_mistakes import KINDS, mistaken_queries, typo
from wares.evaluate.search_queries import evaluate_queries, read_file
from wares.evaluate.search_robust import evaluate_robust, names_of, read_goods
from wares.models.search.synonyms_train import learn_synonyms, proven

BRANDS = ("Lumora", "Vantek", "Soleno", "Brimax")
THINGS = (
    "wireless headphones",
    "desk lamp",
    "phone cover",
    "steel bottle 500 ml",
    "running shoes men",
    "television 40 inch",
)
COLOURS = ("black", "white", "silver", "crimson", "turquoise")


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    path = tmp_path_factory.mktemp("robust") / "products.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["product_id", "title", "brand", "category"])
        number = 0
        for brand in BRANDS:
            for thing in THINGS:
                for colour in COLOURS:
                    number += 1
                    writer.writerow(
                        [number, f"{brand} {thing} {colour} xk{number}z", brand, thing.split()[-1]]
                    )
    return path


def test_mistakes_are_found_and_no_name_is_corrected(products):
    found = evaluate_robust(products, total=160, seed=3)
    assert found["products"] == len(BRANDS) * len(THINGS) * len(COLOURS)
    assert set(found["kinds"]) == {*KINDS, ""}
    for kind in ("typo", "two typos", "joined words"):
        assert found["kinds"][kind]["read"] >= found["kinds"][kind]["words"]
    assert found["names"]["known"]["names"] > 100
    assert found["names"]["known"]["miscorrected"] == 0


def test_the_same_seed_makes_the_same_mistakes(products):
    titles = read_goods(products).shelf.titles
    one = mistaken_queries(titles, 80, 5)
    assert one == mistaken_queries(titles, 80, 5)
    assert one != mistaken_queries(titles, 80, 6)
    assert {query.kind for query in one} == set(KINDS)
    rng = np.random.default_rng(0)
    assert all(abs(len(typo("turquoise", rng)) - 9) <= 1 for _ in range(50))


def test_names_are_brands_and_model_numbers(products):
    names = names_of(read_goods(products), 40, 0)
    assert {"lumora", "vantek", "soleno", "brimax"} <= set(names)
    assert sum(name.startswith("xk") for name in names) == 20


def test_bad_files_say_the_mend(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("sku,price\n1,2\n", encoding="utf-8")
    with pytest.raises(QueryError, match="no column of titles"):
        read_goods(bad)
    few = tmp_path / "few.csv"
    few.write_text("title\nlamp\n", encoding="utf-8")
    with pytest.raises(QueryError, match="1 titles"):
        read_goods(few)


@pytest.mark.parametrize(
    "line", ["{", '{"text": "lamp"}', '{"query": "lamp", "right": {"colour": "red"}}', "[1]"]
)
def test_a_bad_line_of_queries_is_named(tmp_path, line):
    path = tmp_path / "queries.jsonl"
    path.write_text('{"query": "lamp", "right": {"words": "lamp"}}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(SourceError, match="line 2"):
        read_file(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(SourceError, match="no queries"):
        read_file(path)


def test_faults_are_told(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text(
        '{"query": "lamp under 20", "language": "en", "right": {"words": "lamp", "price_max": 30}}\n',
        encoding="utf-8",
    )
    found = evaluate_queries(path)
    assert found["exact"] == 0
    assert found["faults"][0]["right"] == {"price_max": 30}


def test_what_leads_to_the_same_products_says_the_same():
    clicks = {
        "couch": dict.fromkeys((0, 1, 2, 3, 4, 5), 1.0),
        "sofa": dict.fromkeys((0, 1, 2, 3, 4, 6), 1.0),
        "lamp": {7: 1.0, 8: 1.0, 9: 1.0},
        "acme": {0: 1.0, 1: 1.0, 2: 1.0},
    }
    pairs = learn_synonyms([], clicks, names=frozenset(["acme"]))
    assert set(proven(pairs)) == {("couch", "sofa"), ("sofa", "couch")}


def test_near_words_need_a_proof():
    near = {"couch": 0, "sofa": 0, "salt": 1, "pepper": 1}

    def encode(words):
        vectors = np.zeros((len(words), 40), np.float32)
        for i, word in enumerate(words):
            vectors[i, near.get(word, 2 + sum(map(ord, word)) % 38)] = 1
        return vectors

    titles = ["oak couch large grey", "oak sofa large grey"] * 5 + ["salt and pepper mill"] * 6
    found = {(p.one, p.other): p for p in learn_synonyms(titles, {}, encode)}
    assert found[("couch", "sofa")].proven
    # They stand in one title: two things.
    assert ("pepper", "salt") not in found
