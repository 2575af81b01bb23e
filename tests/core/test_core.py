from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wares
from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.bundles import pointer, set_live, step_back
from wares.core.config import Config, load_config, parse_config, reference
from wares.core.errors import ConfigError, IncompatibleArtifact, NotFitted, Unavailable, WaresError
from wares.core.files import folder_atomic, locked, sweep
from wares.core.strings import StringTable
from wares.core.text import fill, plain, template_parts

ROOT = Path(__file__).parents[2]


def test_public_names():
    assert wares.__all__ == ["WaresError", "__version__", "init", "load", "open", "read_share"]
    assert all(hasattr(wares, name) for name in wares.__all__)


def test_import_loads_nothing_heavy():
    code = "import sys, wares; print(sorted(m for m in ('numpy','pydantic','torch','duckdb','fastapi') if m in sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_serving_loads_no_training_part():
    code = (
        "import sys, wares.serve.app; "
        "print([m for m in ('torch','transformers','duckdb','ibis','deltalake','pyarrow','scipy','wares.evaluate') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_missing_extra_names_the_pip_command():
    from wares.core.extras import missing_extra

    assert "pip install 'wares[data]'" in str(missing_extra(ModuleNotFoundError("x", name="deltalake.table")))
    assert missing_extra(ModuleNotFoundError("x", name="nothing_of_ours")) is None


def test_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown key `recommend.neighbors`.*`neighbours`") as caught:
        parse_config({"recommend": {"neighbors": 3}})
    assert caught.value.fields["key"] == "recommend.neighbors"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "wares init"),
        ("[shop", "not valid TOML"),
        ("[shop]\ncurrency = 'euro'", "shop.currency"),
        ("[build]\nmemory_gb = 'x'", "build.memory_gb"),
    ],
)
def test_bad_config_names_place_and_mend(tmp_path, text, words):
    path = tmp_path / "wares.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        load_config(path)


def test_config_reference_is_in_the_docs():
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == reference()
    assert set(Config.model_fields) <= {
        line[4:-1].strip("[]") for line in reference().splitlines() if line.startswith("## ")
    }


@given(st.lists(st.text(max_size=20)))
def test_string_table_gives_back_what_went_in(strings):
    table = StringTable.of(strings)
    assert list(table) == strings == [table[i] for i in range(len(table))]
    for text in strings:
        assert table[table.find(text)] == text
    assert table.find("absent" * 9) == -1


def test_artifact_is_verified(tmp_path):
    save_arrays(tmp_path / "a", x=np.arange(5))
    seal(tmp_path / "a", "demo", note=1)
    assert open_artifact(tmp_path / "a", "demo", verify=True)["note"] == 1
    with pytest.raises(IncompatibleArtifact, match="is a 'demo'"):
        open_artifact(tmp_path / "a", "other")
    save_arrays(tmp_path / "a", x=np.arange(6))
    with pytest.raises(IncompatibleArtifact, match="changed after"):
        open_artifact(tmp_path / "a", "demo", verify=True)


def test_no_pickle_is_ever_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(IncompatibleArtifact):
        load_array(tmp_path, "x")


def test_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_atomic(tmp_path / "out") as work:
        (work / "half").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".tmp-left").mkdir()
    assert sweep(tmp_path) == 1


def test_full_disk_names_place_and_mend(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    from wares.core.files import write_atomic

    (tmp_path / "f").write_text("before")
    with pytest.raises(Unavailable, match=r"disk is full.*Free some space"):
        write_atomic(tmp_path / "f", "after")
    assert (tmp_path / "f").read_text() == "before"


def test_second_lock_is_refused(tmp_path):
    with (
        locked(tmp_path / "l", "a build", wait=False),
        pytest.raises(Unavailable, match="already running"),
        locked(tmp_path / "l", "a build", wait=False),
    ):
        pass


def test_live_pointer_steps_back(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
        set_live(tmp_path, name)
    assert step_back(tmp_path) == "a"
    assert pointer(tmp_path) == {"live": "a", "before": []}
    with pytest.raises(NotFitted):
        step_back(tmp_path)


def test_errors_say_the_mend():
    error = ConfigError("bad", mend="do this", key="k", source="s")
    assert str(error) == "bad. do this"
    assert isinstance(error, WaresError)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("values", "text"),
    [({"a": "x", "b": "y"}, "x, y"), ({"a": "", "b": "y"}, "y"), ({"a": "x", "b": None}, "x"), ({}, "")],
)
def test_template_drops_missing_parts(values, text):
    assert fill(template_parts("{a}, {b}"), values) == text


def test_plain_strips_html_and_control():
    assert plain("<b>Tea&nbsp;pot</b>\x00\n 壶 &amp; 😀 \u202eabc") == "Tea pot 壶 & 😀 \u202eabc"
