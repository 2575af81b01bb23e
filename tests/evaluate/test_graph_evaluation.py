"""`wares evaluate graph` on small files with planted truths."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from wares.cli import graph as graph_cli
from wares.cli import tools
from wares.cli.main import app
from wares.core.errors import QueryError, SourceError
from wares.evaluate.graph import sample_pairs
from wares.evaluate.graph_files import evaluate_ratings, evaluate_sequences, read_links, sequence_task
from wares.evaluate.graph_ranking import by_vectors, histories, lists, together

RUN = CliRunner()
tools.register(app)
graph_cli.register(app)
MAKERS, PER = 8, 6
N = MAKERS * PER


def write_lines(path, lines):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="") as stream:
        stream.write("".join(f"{line}\r\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """Shoppers stay with a maker; `brand` says which, `noise` says nothing, `also_bought` tells the last step."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("sequences")
    rows, last = [], []
    for user in range(220):
        maker = user % MAKERS
        mine = maker * PER + rng.permutation(PER)[:4]
        rows.append(f"u{user} " + " ".join(f"i{i}" for i in mine))
        last.append((mine[-2], mine[-1]))
    write_lines(folder / "sequences.txt.gz", rows)
    triples = ["head,relation,tail"]
    triples += [f"i{i},brand,maker{i // PER}" for i in range(N)]
    triples += [f"i{i},noise,n{rng.integers(6)}" for i in range(N)]
    triples += [f"i{a},also_bought,i{b}" for a, b in last]
    write_lines(folder / "kg_triples.csv.gz", triples)
    return folder


def row(report, name, graph):
    return next(r for r in report.parts if (r["name"], r["graph"]) == (name, graph))


def test_learned_weights_follow_the_maker_and_not_the_noise(sequences):
    report = evaluate_sequences(sequence_task(sequences, None, None, seeds=(7, 8)), "x")
    learned, equal = (row(report, f"{w} weights", "without deeds") for w in ("learned", "equal"))
    assert learned["ndcg@10"] > equal["ndcg@10"]
    assert learned["hr@10"] > 0.95
    assert learned["seeds"] == 2
    weights = report.model["weights"]["without deeds"]
    assert weights["brand"] == 1
    assert weights["noise"] < 0.1
    assert set(report.model["weights"]["whole"]) > set(weights)
    assert report.data["triples_whole"] > report.data["triples_without deeds"]
    # Six items a maker: spread vectors know the maker as well.
    assert row(report, "behaviour vectors, 2 hops", "without deeds")["hr@10"] > 0.9
    assert report.metrics["valid_ndcg@10"] == max(
        r["valid_ndcg@10"] for r in report.parts if r["graph"] == "without deeds"
    )
    held = report.to_json()
    assert held["command"] == "x"
    assert held["peak_rss_mb"] > 0


def test_ratings_by_the_protocol_of_kgcn(tmp_path):
    """Tastes are of makers: the graph knows which, so it is better than a coin, and both are no worse than behaviour."""
    rng = np.random.default_rng(5)
    lines = ["userID\tartistID\tweight"]
    for user in range(90):
        mine = (user % MAKERS) * PER + rng.permutation(PER)[:4]
        lines += [f"{user}\t{100 + i}\t{rng.integers(1, 50)}" for i in [*mine, rng.integers(N)]]
    ratings = write_lines(tmp_path / "user_artists.dat.gz", lines)
    links = write_lines(tmp_path / "links.txt.gz", [f"{100 + i}\t{i}" for i in range(N)])
    kg = write_lines(tmp_path / "kg.txt.gz", [f"{i}\tmade.by\t{500 + i // PER}" for i in range(N)])
    command = ["evaluate", "graph", "--ratings", str(ratings), "--links", str(links), "--kg", str(kg)]
    done = RUN.invoke(app, [*command, "--seeds", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["metrics"]["graph_auc"] > 0.7
    assert found["metrics"]["both_auc"] > 0.75
    assert found["baselines"]["CKAN"]["auc"] == 0.842
    assert {p["name"] for p in found["parts"]} == {"behaviour", "graph", "both"}


def test_every_positive_has_a_negative_that_the_user_never_touched():
    positives = [np.array([0, 1]), np.array([2])]
    pairs = sample_pairs(positives, 6, np.random.default_rng(0))
    assert pairs.labels.sum() == 3
    for user, mine in enumerate(positives):
        drawn = pairs.items[(pairs.users == user) & (pairs.labels == 0)]
        assert len(drawn) == len(mine)
        assert not np.isin(drawn, mine).any()


def test_lists_leave_out_what_was_seen_and_what_nothing_speaks_for():
    asked = histories([np.array([0, 1], np.int32)], 4, 0.5)
    assert asked.toarray()[0, :2] == pytest.approx([1 / 3, 2 / 3])
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.float32)
    found = lists(by_vectors(vectors), asked, [np.array([0, 1])], 4)
    assert found.tolist() == [[2, -1, -1, -1]]
    both = together(by_vectors(vectors), by_vectors(vectors), 0.5)
    assert lists(both, asked, [np.array([0])], 2).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("name", "lines", "place"),
    [
        ("links.txt", ["1\t2", "3"], "links.txt, line 2"),
        ("kg.txt", ["1\tr\t2", "1\tr"], "kg.txt, line 2"),
        ("user.dat", ["who\twhat", "1\t2"], "user_id and item_id"),
        ("user.dat", ["userID\tartistID", "1\t9"], "no item of user.dat"),
    ],
)
def test_a_broken_file_is_named_with_its_place(tmp_path, name, lines, place):
    good = {
        "links.txt": ["1\t2"], "kg.txt": ["1\tr\t2"], "user.dat": ["userID\tartistID", "1\t1"], name: lines,
    }  # fmt: skip
    paths = [write_lines(tmp_path / n, good[n]) for n in ("user.dat", "links.txt", "kg.txt")]
    with pytest.raises(SourceError, match=place):
        evaluate_ratings(*paths, "x", [7])


def test_links_may_have_commas(tmp_path):
    assert read_links(write_lines(tmp_path / "l.csv", ["a,b", "", "c,d"])) == {"a": "b", "c": "d"}


@pytest.mark.parametrize("arguments", [[], ["--kg", "ghost.txt"]])
def test_without_files_it_says_what_to_give(arguments):
    done = RUN.invoke(app, ["evaluate", "graph", *arguments])
    assert isinstance(done.exception, QueryError)


def test_sequences_without_a_graph(tmp_path):
    write_lines(tmp_path / "sequences.txt", ["u a b c"])
    with pytest.raises(SourceError, match="without triples"):
        sequence_task(tmp_path, None, None)
