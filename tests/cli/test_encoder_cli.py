from __future__ import annotations

import json

import pytest
from tests.cli.test_cli import wares
from tests.features.test_adapt import FILL, HEADS, offers
from tests.features.tiny import tiny_encoder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    tiny_encoder(folder / "tiny", HEADS + FILL)
    pairs = offers()
    rows = "".join(f"{t},{g}\n" for t, g in zip(pairs.texts, pairs.group, strict=True))
    (folder / "offers.csv").write_text("title,thing\n" + rows)
    return folder


def test_a_file_of_groups_makes_a_folder_that_can_be_named(files):
    given = (
        "--groups",
        files / "offers.csv",
        "--text",
        "title",
        "--group",
        "thing",
        "--model",
        files / "tiny",
    )
    done = wares(
        "tune", "encoder", *given, "--steps", 30, "--out", files / "out", "--logs", files / "logs", "--json"
    )
    facts = json.loads(done.stdout)
    assert done.returncode == (0 if facts["published"] else 1)
    # The default learning rate is for trained encoders; a random one learns slowly in 30 steps, and parting digits helps.
    assert facts["steps"] == 30
    assert list((files / "logs").iterdir())
    assert not (files / "out.work").exists()
    assert facts["published"] == (files / "out" / "model.safetensors").is_file()


def test_what_is_wrong_is_said_with_a_mend(files, tmp_path):
    none = wares("tune", "encoder", "--groups", files / "offers.csv", "--text", "title", "--group", "thing")
    assert none.returncode == 2
    assert "--out" in none.stderr
    assert wares("evaluate", "encoder", "--groups", files / "offers.csv").returncode == 2
    assert (
        wares(
            "evaluate", "encoder", "--groups", tmp_path / "no.csv", "--text", "a", "--group", "b"
        ).returncode
        == 2
    )
    assert "lora" in wares("evaluate", "encoder", "--methods", "magic", "--shop", tmp_path).stderr
    (tmp_path / "few.csv").write_text("anchor,positive\na b,b a\n")
    few = wares(
        "tune",
        "encoder",
        "--pairs",
        tmp_path / "few.csv",
        "--model",
        files / "tiny",
        "--out",
        tmp_path / "o",
        "--json",
    )
    assert few.returncode == 1
    assert json.loads(few.stderr)["error"] == "DataError"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    kept = wares(
        "tune",
        "encoder",
        "--pairs",
        tmp_path / "few.csv",
        "--model",
        files / "tiny",
        "--out",
        tmp_path / "full",
    )
    assert kept.returncode == 2
    assert (tmp_path / "full" / "precious.txt").read_text() == "mine"


def test_settings_for_one_run(files):
    given = (
        "--groups",
        files / "offers.csv",
        "--text",
        "title",
        "--group",
        "thing",
        "--model",
        files / "tiny",
    )
    done = wares(
        "evaluate", "encoder", *given, "--steps", 3, "--methods", "prefix", "--no-blend", "--json",
        "--set", "rank=4", "--set", "max_tokens=32", "--set", "augment=order,typos", "--set", "learning_rate=0.02",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one = json.loads(done.stdout)["by_seed"][0]["systems"]["prefix"]
    assert one["augmented"] == {"share": 0.5, "kinds": ["order", "typos"]}
    assert 0 < one["share_trained"] < 0.1
    for wrong, word in (
        ("rang=4", "Use NAME=VALUE"),
        ("rank", "NAME=VALUE"),
        ("rank=many", "rank"),
        ("augment=x", "augment"),
    ):
        failed = wares("evaluate", "encoder", *given, "--set", wrong)
        assert failed.returncode == 2
        assert word in failed.stderr


def test_help_has_examples():
    for group in ("tune", "evaluate"):
        assert "Example" in wares(group, "encoder", "--help").stdout
