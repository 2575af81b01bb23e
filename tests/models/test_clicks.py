"""Click models on logs whose truth is planted, and on cases small enough to count by hand."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from wares.cli import clicks as cli_clicks
from wares.cli import main as cli_main
from wares.cli import tools
from wares.core.errors import QueryError
from wares.evaluate.click_files import read_sessions
from wares.evaluate.clicks import evaluate_planted
from wares.models.search.clicks import (
    MODELS,
    PRIOR,
    Sessions,
    best_model,
    cascade,
    inverse_weights,
    likelihood,
    pbm,
    plain_rate,
    sdbn,
    weighed,
)
from wares.testing.click_log import make_click_log


def test_sessions_part_and_count():
    found = Sessions.of([(0, [5, 6], [1]), (1, [], []), (0, [6], [])])
    assert found.place.tolist() == [0, 1, 0]
    assert found.session.tolist() == [0, 0, 2]
    assert found.take(np.array([True, False, False])).item.tolist() == [5, 6]
    for fit in MODELS.values():
        assert len(fit(Sessions.of([])).value) == 0


def test_sdbn_counts_down_to_the_last_click():
    found = Sessions.of([(0, [1, 2, 3], [0, 1])] * 100 + [(0, [1, 2, 3], [])] * 50)
    model = sdbn(found)
    assert model.seen.tolist() == [100, 100, 0]
    assert model.attractive[0] == pytest.approx((100 + PRIOR * model.attractive[2]) / (100 + PRIOR))
    assert model.satisfies[0] < 0.05 < model.satisfies[1]
    assert model.value[1] > model.value[2] > model.value[0]


def test_the_cascade_stops_at_the_first_click():
    model = cascade(Sessions.of([(0, [1, 2, 3], [0, 2])] * 200))
    assert model.seen.tolist() == [200, 0, 0]
    assert model.value[0] > 0.95


def test_a_planted_habit_of_looking_is_recovered():
    for seed in (1, 2):
        log = make_click_log(seed, searches=8000)
        model = pbm(log.sessions)
        assert model.examined[0] == 1
        assert np.abs(model.examined - log.examined).mean() < 0.05
        truth = log.worth[model.looks.query, model.looks.item]
        plain = plain_rate(log.sessions)
        assert np.corrcoef(model.value, truth)[0, 1] > 0.85
        assert np.corrcoef(model.value, truth)[0, 1] > np.corrcoef(plain.value, truth)[0, 1] + 0.15
        corrected = weighed(log.sessions, log.examined)
        assert np.corrcoef(corrected.value, truth)[0, 1] > 0.85
        weights = inverse_weights(log.sessions, log.examined, most=5)
        assert weights.max() == 5
        assert (weights[~log.sessions.clicked] == 0).all()


def test_the_model_that_made_the_log_tells_it_best():
    assert best_model(make_click_log(3, searches=6000).sessions, 7)[0] == "pbm"
    name, told = best_model(make_click_log(3, kind="reading", searches=6000).sessions, 7)
    assert name == "sdbn"
    assert told["sdbn"] > told["cascade"]


def test_unknown_pairs_stand_at_the_mean():
    log = make_click_log(3, searches=500)
    other = Sessions.of([(77, [900, 901], [0])])
    for fit in MODELS.values():
        assert np.isfinite(likelihood(fit(log.sessions), other))


def test_the_same_log_gives_the_same_values():
    one, two = (pbm(make_click_log(5, searches=400).sessions).value for _ in range(2))
    assert (one == two).all()


def test_planted_figures_by_seed():
    kinds = ("places", "reading")
    rows = evaluate_planted((1, kind, make_click_log(1, kind=kind, searches=8000)) for kind in kinds)
    assert [row["told_best"] for row in rows] == ["pbm", "sdbn"]
    places = rows[0]["models"]
    assert places["pbm"]["ndcg@10"] > places["rate"]["ndcg@10"]


def write_sessions(path, queries=4):
    rng = np.random.default_rng(1)
    lines = ["sess_id,query,rank,doc_upc,clicked"]
    for session in range(60 * queries):
        query = session % queries
        for place, item in enumerate(rng.permutation(6).tolist()):
            clicked = int(rng.random() < (0.7 if item == 0 else 0.1) / (place + 1))
            lines.append(f"{session},thing {query},{place},{query}-{item},{clicked}")
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_a_file_is_evaluated_by_the_command(tmp_path):
    write_sessions(tmp_path / "sessions.csv.gz")
    rows = [f"{q}-{i},{'thing ' + str(q) if not i else 'other'} piece {i}," for q in range(4) for i in range(6)]  # fmt: skip
    (tmp_path / "products.csv").write_text("\n".join(["upc,name,manufacturer", *rows]))
    for module in (tools, cli_clicks):
        module.register(cli_main.app)

    def cli(*words):
        return CliRunner().invoke(cli_main.app, ["evaluate", "clicks", *map(str, words)])

    named = ("--products", tmp_path / "products.csv", "--sessions", tmp_path / "sessions.csv.gz", "--seeds", 1)  # fmt: skip
    found = json.loads(cli(*named, "--json").stdout)
    assert (found["queries"], found["sessions"], found["lines"]) == (4, 240, 1440)
    assert found["ranking"]["2 to 2"]["ndcg@10"] > 0
    assert set(found["models"]["ndcg@10_against"]) == {"rate", "cascade", "sdbn", "pbm", "weighed", "as shown"}  # fmt: skip
    assert "NDCG@10" in cli(*named).stdout
    assert isinstance(cli("--sessions", tmp_path / "sessions.csv.gz").exception, QueryError)
    assert cli("--sessions", tmp_path / "none.csv", "--products", tmp_path / "products.csv").exit_code != 0


def test_wrong_files_say_what_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text("session,query,product_id,clicked\n1,a,p,1\n")
    with pytest.raises(QueryError, match="place"):
        read_sessions(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("session,query,rank,product_id,clicked\n1,a,first,p,1\n")
    with pytest.raises(QueryError, match="no number"):
        read_sessions(tmp_path / "b.csv")
