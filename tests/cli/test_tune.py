from __future__ import annotations

import json

import numpy as np
from typer.testing import CliRunner

from wares.cli import tools, tune
from wares.cli.main import app

RUN = CliRunner()
tools.register(app)
tune.register(app)


def test_tuned_parameters_feed_the_evaluation_and_a_cache_keeps_the_drafts(tmp_path):
    rng = np.random.default_rng(1)
    lines = []
    for user in range(60):
        start, ring = rng.integers(8), user % 3
        lines.append(f"u{user} " + " ".join(f"i{(start + i) % 8 + 8 * ring}" for i in range(5)))
    events, out, cache = tmp_path / "sequences.txt", tmp_path / "parts.json", tmp_path / "cache"
    events.write_text("\n".join(lines) + "\n")
    made = RUN.invoke(
        app, ["tune", "recommend", "--events", str(tmp_path), "--parts", "knn,next", "--minutes", "0.05", "--out", str(out), "--json"]
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    held = json.loads(out.read_text())
    assert set(held["parts"]) == {"knn", "next"}
    assert held["validation_ndcg@10"]["next"] > 0.5
    command = ["evaluate", "recommend", "--events", str(events), "--parts", "knn,next", "--params", str(out)]
    command += ["--cache", str(cache), "--bootstrap", "100", "--json"]
    first = json.loads(RUN.invoke(app, command).output)
    # Each part as fitted before validation, and as fitted with it.
    drafted = {path.name.rsplit("-", 1)[0] for path in cache.iterdir()}
    assert drafted == {"knn-fit", "knn-whole", "next-fit", "next-whole"}
    assert set(first["model"]["tuned"]) == set(held["parts"])
    again = json.loads(RUN.invoke(app, command).output)
    assert again["metrics"] == first["metrics"]
    names = {row["name"] for row in first["parts"]}
    assert {"knn", "next", "blend"} <= names


def test_vectors_join_and_training_curves_are_kept(tmp_path):
    events, vectors, logs = tmp_path / "sequences.txt", tmp_path / "image.npz", tmp_path / "logs"
    events.write_text(
        "".join(f"u{u} " + " ".join(f"i{(u + i) % 9}" for i in range(5)) + "\n" for u in range(40))
    )
    np.savez(vectors, ids=np.array([f"i{i}" for i in range(9)]), vectors=np.eye(9, dtype=np.float32))
    command = [
        "evaluate",
        "recommend",
        "--events",
        str(events),
        "--parts",
        "near:image,sequence+",
        "--epochs",
        "2",
    ]
    command += ["--minutes", "0.1", "--bootstrap", "100", "--json"]
    done = RUN.invoke(app, [*command, "--vectors", f"image={vectors}", "--logs", str(logs)])
    assert done.exit_code == 0, done.output
    assert {"near:image", "sequence+"} <= {row["name"] for row in json.loads(done.output)["parts"]}
    assert {path.parent.name for path in logs.rglob("events.out.tfevents*")} == {
        "sequence+-fit-7",
        "sequence+-whole-7",
    }
    for bad, said in (
        ("image", "NAME=FILE"),
        (f"text={vectors}", "other than text"),
        ("image=nowhere", "no file"),
    ):
        found = RUN.invoke(app, [*command, "--vectors", bad])
        assert said in str(found.exception) + found.output


def test_what_cannot_be_tuned_is_said(tmp_path):
    (tmp_path / "parts.json").write_text('{"other": 1}')
    (tmp_path / "e.csv").write_text("user_id,item_id\n" + "".join(f"u{i % 9},i{i % 7}\n" for i in range(60)))
    command = [
        "evaluate",
        "recommend",
        "--events",
        str(tmp_path / "e.csv"),
        "--params",
        str(tmp_path / "parts.json"),
    ]
    found = RUN.invoke(app, command)
    assert found.exit_code != 0
    assert "holds no parameters" in str(found.exception)
    assert RUN.invoke(app, ["tune", "recommend", "--events", "nowhere", "--out", "x.json"]).exit_code != 0
