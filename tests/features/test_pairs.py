from __future__ import annotations

import numpy as np
import pytest

from wares.core.errors import DataError, QueryError
from wares.features.batches import Batches
from wares.features.pair_files import read_groups, read_pairs
from wares.features.pairs import LONGEST, TEST, TRAIN, VALID, Builder, checked, from_groups, split_nodes
from wares.features.retrieval import Retrieval, means, paired


def grouped(n=60, k=3):
    texts = [f"thing {g} seen by shop {i}" for g in range(n) for i in range(k)]
    return from_groups(texts, [str(g) for g in range(n) for _ in range(k)])


def test_a_split_parts_groups_and_never_texts_of_one_held_out_node():
    pairs = grouped()
    part = split_nodes(pairs, 3)
    assert set(part) == {TRAIN, VALID, TEST}
    for members in pairs.members.values():
        assert len(set(part[members])) == 1
    assert (split_nodes(pairs, 3) == part).all()
    assert (split_nodes(pairs, 4) != part).any()


def test_queries_are_held_out_where_there_are_queries_and_products_stay():
    builder = Builder()
    products = [builder.node(f"product {i}") for i in range(50)]
    for i in range(200):
        builder.edge(builder.node(f"query {i}", query=True), products[i % 50], "query")
    pairs = builder.done()
    part = split_nodes(pairs, 1)
    assert (part[~pairs.query] == TRAIN).all()
    assert 0.15 < (part[pairs.query] == TEST).mean() < 0.25
    task = Retrieval.of(pairs, part, TEST)
    assert pairs.query[task.queries].all()
    assert not pairs.query[task.candidates].any()


def test_batches_hold_no_false_negative():
    builder = Builder()
    rng = np.random.default_rng(0)
    nodes = [builder.node(f"w{i % 37} v{i}", group=i // 4) for i in range(160)]
    twin = builder.node("w1 v1", group=90)
    builder.node("w1 v1 again", group=90)
    for a, b in rng.integers(0, 160, (80, 2)).tolist():
        builder.edge(nodes[a], nodes[b], "together")
    builder.negative(nodes[0], nodes[100])
    pairs = builder.done()
    bank = rng.standard_normal((len(pairs), 8)).astype(np.float32)
    batches = Batches(pairs, np.zeros(len(pairs), np.int8), 32, 8, 1)
    seen = set()
    for batch in batches.a_round(0, bank):
        assert len(set(batch.nodes.tolist())) == len(batch.nodes)
        for i, a in enumerate(batch.nodes):
            seen.add(int(a))
            for j, b in enumerate(batch.nodes):
                mates = set(pairs.mates(int(a)).tolist())
                belongs = int(b) in mates or pairs.group[a] == pairs.group[b]
                if pairs.text_id[a] == pairs.text_id[b] or belongs:
                    assert not batch.negative[i, j]
                if batch.positive[i, j] > 0:
                    assert int(b) in mates
        sums = batch.positive.sum(1)
        assert np.allclose(sums[sums > 0], 1, atol=1e-5)
        assert batch.negative.any()
    assert seen == set(range(len(pairs)))
    # What belongs to a node's twin, of the same text in another group, is no negative either.
    assert pairs.text_id[twin] == pairs.text_id[nodes[1]]
    again = [b.nodes.tolist() for b in batches.a_round(0, bank)]
    assert again == [b.nodes.tolist() for b in batches.a_round(0, bank)]
    assert again != [b.nodes.tolist() for b in batches.a_round(1, bank)]


def test_known_negatives_come_into_the_batch_of_their_anchor():
    builder = Builder()
    for i in range(40):
        builder.edge(builder.node(f"a{i}"), builder.node(f"b{i}"), "file")
        builder.negative(builder.node(f"a{i}"), builder.node(f"not {i}"))
    pairs = builder.done()
    batches = Batches(pairs, np.zeros(len(pairs), np.int8), 20, 1, 1)
    for batch in batches.a_round(0, np.ones((len(pairs), 2), np.float32)):
        texts = [pairs.texts[i] for i in batch.nodes]
        extra = [t for t in texts if t.startswith("not")]
        assert extra
        for text in extra:
            assert batch.negative[texts.index(f"a{text.split()[1]}"), texts.index(text)]


def test_near_units_stand_in_one_batch():
    pairs = grouped(64, 2)
    bank = np.zeros((len(pairs), 8), np.float32)
    bank[np.arange(len(pairs)), (np.arange(len(pairs)) // 2) % 8] = 1
    batches = Batches(pairs, np.zeros(len(pairs), np.int8), 16, 8, 1)
    kinds = [len(set(((b.nodes // 2) % 8).tolist())) for b in batches.a_round(0, bank)]
    assert np.mean(kinds) == 1


def test_ranks_are_what_they_are_by_hand_and_ties_count_against():
    texts = ["a one", "a two", "b one", "b two", "c", "a one"]
    pairs = from_groups(texts, ["a", "a", "b", "b", "", "z"])
    task = Retrieval.of(pairs, np.full(6, TEST, np.int8), TEST)
    assert sorted(task.queries.tolist()) == [0, 1, 2, 3]
    scores = np.zeros((6, 6), np.float32)
    scores[0] = [9, 5, 6, 1, 2, 99]  # row 5 reads like the query and takes no part; b one is before its mate
    scores[1] = [7, 9, 1, 1, 1, 1]
    scores[2] = [1, 1, 9, 3, 2, 1]
    scores[3] = [1, 1, 4, 9, 4, 1]  # a tie
    values = task.measure(lambda rows: scores[rows])
    by_node = {int(n): i for i, n in enumerate(task.queries)}
    assert values["mrr"][by_node[0]] == 0.5
    assert values["recall@1"][by_node[0]] == 0
    assert values["mrr"][by_node[1]] == 1
    assert values["mrr"][by_node[2]] == 1
    assert values["mrr"][by_node[3]] == 0.5
    assert values["recall@10"].tolist() == [1, 1, 1, 1]


def test_vectors_of_nothing_and_vectors_like_everything_find_nothing():
    pairs = grouped(40, 2)
    task = Retrieval.of(pairs, np.full(len(pairs), TEST, np.int8), TEST)
    for vectors in (np.zeros((80, 4)), np.ones((80, 4)), np.full((80, 4), np.nan)):
        assert means(task.by_cosine(vectors))["hit@10"] == 0
    ideal = np.eye(40)[np.arange(80) // 2]
    assert means(task.by_cosine(ideal))["mrr"] == 1


def test_the_paired_interval_resamples_groups():
    rng = np.random.default_rng(0)
    ours = rng.random(400)
    theirs = ours - 0.05 + 0.2 * rng.standard_normal(400)
    alone = paired(ours, theirs, np.arange(400), 1)
    together = paired(np.repeat(ours[:40], 10), np.repeat(theirs[:40], 10), np.repeat(np.arange(40), 10), 1)
    assert alone["interval"][0] < alone["mean"] < alone["interval"][1]
    assert together["interval"][1] - together["interval"][0] > 2 * (
        alone["interval"][1] - alone["interval"][0]
    )


@pytest.mark.parametrize(
    ("texts", "groups", "said"),
    [
        (["", " ", "!!"], ["a", "a", "b"], "letter or a digit"),
        (["same"] * 90, [str(i // 3) for i in range(90)], "the same"),
        ([f"t{i}" for i in range(9)], [str(i // 3) for i in range(9)], "at least 20"),
        ([], [], "letter or a digit"),
    ],
)
def test_pairs_that_teach_nothing_are_refused(texts, groups, said):
    pairs = from_groups(texts, groups)
    with pytest.raises(DataError, match=said):
        checked(pairs, np.zeros(len(pairs), np.int8))


def test_long_and_blank_texts_are_cut_and_masked():
    pairs = from_groups(["x " * 5000, "", "y", "…"], ["a", "a", "a", "a"])
    assert len(pairs.texts[0]) <= LONGEST
    assert pairs.blank.tolist() == [False, True, False, True]
    assert pairs.mates(0).tolist() == [2]
    assert 1 not in Retrieval.of(pairs, np.full(4, TEST, np.int8), TEST).candidates


def test_files_of_pairs_and_of_groups(tmp_path):
    (tmp_path / "pairs.csv").write_text(
        "anchor,positive,negative\nred lamp,lamp red,blue lamp\n,nothing,\nblue lamp,lamp blue,\n"
    )
    pairs = read_pairs(tmp_path / "pairs.csv")
    assert pairs.facts()["edges"] == {"file": 2}
    assert [[pairs.texts[i] for i in row] for row in pairs.negatives] == [["red lamp", "blue lamp"]]
    (tmp_path / "groups.csv").write_text("title,thing\n" + "".join(f"t {i},g{i // 2}\n" for i in range(10)))
    assert len(read_groups(tmp_path / "groups.csv", "title", "thing").members) == 5
    with pytest.raises(QueryError, match="no column 'anchor'"):
        read_pairs(tmp_path / "groups.csv")
    (tmp_path / "empty.csv").write_text("anchor,positive\n")
    with pytest.raises(QueryError, match="no rows"):
        read_pairs(tmp_path / "empty.csv")
