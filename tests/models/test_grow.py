from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from wares.cli import grow as command
from wares.cli.main import app
from wares.core.errors import QueryError
from wares.models.recommend.grow import SEGMENTS, Growing


def deeds(
    users: int, seed: int, steps: int = 5, rings: int = 3, backwards: bool = False
) -> dict[str, list[str]]:
    """Customers who walk around a ring of eight products."""
    rng = np.random.default_rng(seed)
    out = {}
    for user in range(users):
        start, ring = int(rng.integers(8)), user % rings
        walk = [f"i{(start + i) % 8 + 8 * ring}" for i in range(steps)]
        out[f"s{seed}u{user}"] = walk[::-1] if backwards else walk
    return out


@pytest.mark.parametrize("dense", [100, 4])
def test_growing_is_the_same_as_fitting_everything(dense):
    first, second = deeds(80, 1), deeds(80, 2, rings=4)
    later = {name: walk[3:] for name, walk in first.items()}
    steps, whole = Growing(dense=dense), Growing(dense=dense)
    steps.grow({name: walk[:3] for name, walk in first.items()})
    steps.grow(later, tolerance=1.0)
    assert steps.grow(second, tolerance=1.0).items == 8
    whole.grow({**first, **second})
    histories = [np.array([1, 2, 3], np.int32), np.array([9], np.int32)]
    names = [whole.items[name] for name in steps.items]
    translated = [np.array([names[i] for i in h], np.int32) for h in histories]
    assert np.allclose(steps.model.scores(histories), whole.model.scores(translated)[:, names], atol=1e-4)


def test_a_change_that_serves_old_customers_worse_is_refused():
    model = Growing()
    model.grow(deeds(900, 1))
    before = model.model.scores([np.array([1], np.int32)])
    growth = model.grow(deeds(9000, 5, backwards=True), tolerance=0.05)
    assert not growth.taken
    assert growth.worse
    assert set(growth.worse) <= set(growth.before) <= set(SEGMENTS)
    assert np.array_equal(model.model.scores([np.array([1], np.int32)]), before)
    assert len(model.users) == 900
    assert model.grow(deeds(900, 6), tolerance=0.05).taken


def test_held_out_customers_are_not_learned_from():
    model = Growing()
    walks = deeds(300, 1)
    model.grow(walks)
    held = model.held()
    assert 0.01 < held.mean() < 0.12
    total = sum(len(w) - 1 for w, h in zip(walks.values(), held, strict=True) if not h)
    assert model.following.sum() == pytest.approx(
        sum(0.7**lag * (4 - lag) for lag in range(4)) * total / 4, rel=1e-4
    )


def test_a_folder_keeps_it(tmp_path):
    model = Growing()
    model.grow(deeds(60, 1))
    model.save(tmp_path / "m")
    again = Growing.load(tmp_path / "m")
    history = [np.array([0, 1], np.int32)]
    assert np.allclose(again.model.scores(history), model.model.scores(history), atol=1e-5)
    assert again.grow(deeds(30, 2)).taken


def test_odd_input():
    model = Growing()
    assert model.grow({}).taken
    assert model.grow({"one": ["a"]}).events == 1
    with pytest.raises(QueryError, match="tolerance"):
        model.grow({}, tolerance=2.0)
    with pytest.raises(QueryError, match="decay"):
        Growing(decay=0.0)


def test_the_command_takes_and_refuses(tmp_path):
    command.register(app)
    for name, walks in (("a", deeds(900, 1)), ("b", deeds(60, 2)), ("c", deeds(9000, 5, backwards=True))):
        (tmp_path / f"{name}.txt").write_text("".join(f"{u} {' '.join(w)}\n" for u, w in walks.items()))
    folder = str(tmp_path / "model")

    def run(name: str) -> int:
        return (
            CliRunner()
            .invoke(app, ["grow", "--model", folder, "--events", str(tmp_path / f"{name}.txt"), "--json"])
            .exit_code
        )

    assert [run(n) for n in "abc"] == [0, 0, 1]
    assert len(Growing.load(tmp_path / "model").users) == 960
