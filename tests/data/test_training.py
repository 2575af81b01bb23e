from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wares.core.errors import ConfigError
from wares.data.engine import Engine
from wares.data.registry.training import Feature, Recipe, assemble, content_hash, make_training_set
from wares.data.store import Store

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
NAMES = ("last", "count", "sum", "mean", "min", "max", "distinct")
ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.one_of(st.none(), st.integers(-3, 3))),
    max_size=14,
)


def table(rows, value="v"):
    return pa.table(
        {
            "id": pa.array(range(len(rows)), pa.int64()), "who": pa.array([r[0] for r in rows], pa.string()),
            "at": pa.array([BEGIN + timedelta(days=r[1]) for r in rows], pa.timestamp("us", "UTC")), value: pa.array([r[2] for r in rows], pa.int64()),
        }
    )  # fmt: skip


def reference(label, rows, aggregate, days):
    """The plain truth: look at every row before the label, one by one."""
    past = [r for r in rows if r[0] == label[0] and r[1] < label[1]]
    if aggregate == "last":
        newest = [r for r in past if r[1] == max(p[1] for p in past)]
        newest = [r for r in newest if not days or label[1] - r[1] <= days]
        return max((r[2] for r in newest if r[2] is not None), default=None)
    past = [r for r in past if not days or label[1] - r[1] <= days]
    values = [r[2] for r in past if r[2] is not None]
    if aggregate == "count":
        return len(past)
    if aggregate == "distinct":
        return len(set(values))
    if not values:
        return None
    return {"sum": sum(values), "mean": sum(values) / len(values), "min": min(values), "max": max(values)}[
        aggregate
    ]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with Engine(0.5, scratch=tmp_path_factory.mktemp("engine")) as found:
        yield found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    labels=ROWS.filter(bool),
    rows=ROWS.filter(bool),
    days=st.sampled_from([0.0, 3.0]),
    until=st.integers(1, 13),
)
def test_no_row_from_the_future_or_the_same_moment_is_used(engine, labels, rows, days, until):
    features = tuple(
        Feature(f"f_{name}", "facts", ("who",), "v", aggregate=name, days=days) for name in NAMES
    )
    as_of = (BEGIN + timedelta(days=until)).isoformat()
    recipe = Recipe("x", "labels", ("id", "who", "at"), features, as_of=as_of)
    made = engine.arrow(
        assemble(engine, recipe, {"labels": engine.rows(table(labels)), "facts": engine.rows(table(rows))})
    )
    found = {row["id"]: row for row in made.to_pylist()}
    assert set(found) == {i for i, label in enumerate(labels) if label[1] < until}
    for i, row in found.items():
        for name in NAMES:
            assert row[f"f_{name}"] == pytest.approx(reference(labels[i], rows, name, days)), (
                name,
                labels[i],
            )


def test_the_same_recipe_and_inputs_make_the_same_content(tmp_path):
    store = Store(tmp_path)
    store.append("labels", table([("a", 5, 1), ("b", 6, 0), ("a", 9, 1)]))
    store.append("facts", table([("a", 1, 1), ("a", 7, 2), ("b", 2, 3)]))
    recipe = Recipe(
        "repeat", "labels", ("id",), (Feature("n", "facts", ("who",), aggregate="count"),), label="v"
    )
    first = make_training_set(store, recipe, {"labels": 0, "facts": 0}, memory_gb=0.5, scratch=tmp_path)
    again = make_training_set(store, recipe, {"labels": 0, "facts": 0}, memory_gb=0.5, scratch=tmp_path)
    assert (first.new, again.new, again.version) == (True, False, 0)
    assert first.content == again.content
    store.append("facts", table([("b", 3, 3)]))
    other = make_training_set(store, recipe, {"labels": 0, "facts": 1}, memory_gb=0.5, scratch=tmp_path)
    assert other.new
    assert other.content != first.content
    back = make_training_set(store, recipe, {"labels": 0, "facts": 0}, memory_gb=0.5, scratch=tmp_path)
    assert (back.version, back.content) == (2, first.content)
    assert content_hash(pa.table({"a": [1]})) != content_hash(pa.table({"a": [1.0]}))


def test_recipes_from_files(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        'name = "r"\nlabels = "events"\nkeep = ["id"]\n[[features]]\nname = "n"\ntable = "events"\non = "who"\naggregate = "count"\n'
    )
    found = Recipe.load(path, "2025-06-01")
    assert found.features[0].on == ("who",)
    assert found.as_of == "2025-06-01"
    path.write_text("name = 1\ncolour = 2\nkeep = []\n")
    with pytest.raises(ConfigError, match="no recipe"):
        Recipe.load(path)
    with pytest.raises(ConfigError, match="no recipe"):
        Recipe.load(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("change", "says"), [({"aggregate": "best"}, "unknown aggregate"), ({"column": "ghost"}, "no column 'ghost'"), ({"at": "then"}, "no column 'then'")]
)  # fmt: skip
def test_faulty_recipes_say_the_mend(engine, change, says):
    feature = Feature(**{"name": "n", "table": "facts", "on": ("who",), "column": "v", **change})
    recipe = Recipe("x", "labels", ("id",), (feature,))
    with pytest.raises(ConfigError, match=says):
        assemble(
            engine,
            recipe,
            {"labels": engine.rows(table([("a", 1, 1)])), "facts": engine.rows(table([("a", 1, 1)]))},
        )
