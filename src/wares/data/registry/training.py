"""Training sets: labels, and every feature as it was just before its label. Reproducible and without leakage.

A feature row counts for a label only when its time is strictly earlier than the label's, for the label's row itself
is often in the same table. The join is written with windows and ranges in place of an as-of join, which Ibis cannot
run on Apache Spark: each feature row holds from its time until the next row of its entity. No feature of a row
comes from the future of that row; the property test compares every cell with a plain reference.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from wares.core.errors import ConfigError
from wares.core.files import digest
from wares.data.engine import Engine, Table, literal, row_number, window
from wares.data.store import Store

PREFIX = "training_"
AGGREGATES = ("last", "count", "sum", "mean", "min", "max", "distinct")


@dataclass(frozen=True)
class Feature:
    """One feature: an aggregate of `column` over the rows of `table` with the label's `on` that lie before the label.

    ``last`` is the value in force; the others look back `days` (0: all the past).
    """

    name: str
    table: str
    on: tuple[str, ...]
    column: str = ""
    at: str = "at"
    aggregate: str = "last"
    days: float = 0.0
    where: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Recipe:
    """What a training set is made of. ``keep`` are label columns that are taken along; ``label`` names the target, if any."""

    name: str
    labels: str
    keep: tuple[str, ...]
    features: tuple[Feature, ...]
    at: str = "at"
    label: str = ""
    where: dict[str, str] = field(default_factory=dict[str, str])
    as_of: str = ""
    sample: float = 1.0
    seed: int = 7

    @classmethod
    def load(cls, path: Path, as_of: str = "") -> Recipe:
        """Read a recipe from TOML; `as_of` replaces the one in the file.

        Raises:
            ConfigError: when a key is missing or unknown.
        """
        try:
            values = tomllib.loads(path.read_text("utf-8"))
            features = tuple(
                Feature(**{**f, "on": (f["on"],) if isinstance(f["on"], str) else tuple(f["on"])})
                for f in values.pop("features", [])
            )
            if as_of:
                values["as_of"] = as_of
            return cls(**{**values, "keep": tuple(values["keep"]), "features": features})
        except FileNotFoundError:
            raise ConfigError(
                f"there is no recipe {path}", mend="See docs/registry.md for one", key="", source=str(path)
            ) from None
        except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{path} is no recipe: {error}",
                mend="See docs/registry.md for its keys",
                key="",
                source=str(path),
            ) from None

    def tables(self) -> list[str]:
        """All tables that are read."""
        return list(dict.fromkeys([self.labels, *(f.table for f in self.features)]))


@dataclass(frozen=True)
class TrainingSet:
    """A stored training set. ``content`` names the rows, ``recipe`` all that went in; ``new`` is False when it was there already."""

    asset: str
    version: int
    rows: int
    content: str
    recipe: str
    inputs: dict[str, int]
    new: bool


def make_training_set(
    store: Store, recipe: Recipe, versions: dict[str, int], *, memory_gb: float = 2.0, scratch: Path | None = None
) -> TrainingSet:  # fmt: skip
    """Make and store a training set from these versions of its tables.

    Raises:
        ConfigError: when the recipe names a column that is not there, or an unknown aggregate.
        VersionNotFound, VersionErased: when a table's version is not there.
    """
    files = {name: store.files(name, versions[name]) for name in recipe.tables()}
    key = digest([asdict(recipe), {n: sorted(Path(f).name for f in found) for n, found in files.items()}])
    name = PREFIX + recipe.name
    if store.exists(name):
        newest = store.history(name)[0]
        if newest.get("wares.recipe") == key:
            number = int(newest["version"])
            return TrainingSet(
                name, number, store.rows(name), str(newest["wares.content"]), key, versions, False
            )
    with Engine(memory_gb, scratch=scratch) as engine:
        tables = {n: engine.parquet(found) for n, found in files.items()}
        rows = engine.arrow(assemble(engine, recipe, tables))
    content = content_hash(rows)
    note = {"wares.recipe": key, "wares.content": content, "source": "recipe " + recipe.name}
    with store.lock(name):
        number = store.replace(name, rows, note)
    return TrainingSet(name, number, rows.num_rows, content, key, versions, True)


def content_hash(table: pa.Table) -> str:
    """Names the rows of a table: SHA-256 over types and values in their order, first 16 hex digits."""
    total = hashlib.sha256(str([(f.name, str(f.type)) for f in table.schema]).encode())
    for batch in table.combine_chunks().to_batches(65_536):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema.remove_metadata()) as writer:
            writer.write_batch(batch.replace_schema_metadata(None))
        total.update(sink.getvalue())
    return total.hexdigest()[:16]


def assemble(engine: Engine, recipe: Recipe, tables: dict[str, Table]) -> Table:
    """The expression of a training set, ordered by all kept columns."""
    source = tables[recipe.labels]
    label = (recipe.label,) if recipe.label and recipe.label not in recipe.keep else ()
    names = dict.fromkeys([*recipe.keep, recipe.at, *label, *(n for f in recipe.features for n in f.on)])
    _need(source, recipe.labels, [*names, *recipe.where])
    rows = _where(source, recipe.where).select(*names)
    rows = rows.filter(rows[recipe.at].notnull())
    if recipe.as_of:
        rows = rows.filter(rows[recipe.at] < _moment(recipe.as_of))
    if recipe.sample < 1:
        # By the hash of the row and not by chance, so that the same rows are taken on every engine and run.
        text = literal(f"{recipe.seed}")
        for name in names:
            text = text + "|" + rows[name].cast("string").fill_null("")
        rows = rows.filter(text.hash().abs() % 1_000_000 < int(recipe.sample * 1_000_000))
    rows = engine.keep(rows.mutate(_row=row_number().over(window(order_by=list(names)))))
    out = rows
    for feature in recipe.features:
        if feature.aggregate not in AGGREGATES:
            raise ConfigError(
                f"feature {feature.name}: unknown aggregate {feature.aggregate!r}", mend=f"Use one of {', '.join(AGGREGATES)}",
                key="aggregate", source=recipe.name,
            )  # fmt: skip
        found = _feature(rows, tables[feature.table], feature, recipe)
        out = out.left_join(found, out["_row"] == found["_of"]).drop("_of")
        if feature.aggregate in ("count", "distinct"):
            out = out.mutate(**{feature.name: out[feature.name].fill_null(0)})
    return out.order_by("_row").drop("_row")


def _feature(rows: Table, table: Table, feature: Feature, recipe: Recipe) -> Table:
    column = feature.column or feature.at
    _need(table, feature.table, [*feature.on, feature.at, column, *feature.where])
    events = _where(table, feature.where)
    events = events.filter(events[feature.at].notnull()).select(
        **{f"_on{i}": events[n] for i, n in enumerate(feature.on)},
        _at=events[feature.at],
        _value=events[column],
    )
    keys = [f"_on{i}" for i in range(len(feature.on))]
    if feature.aggregate == "last":
        # Of rows of one moment the largest value counts, so that the answer does not hang on the order of files.
        events = events.group_by([*keys, "_at"]).aggregate(_value=events["_value"].max())
        until = events["_at"].lead().over(window(group_by=keys, order_by="_at"))
        events = events.mutate(_until=until)
    joined = rows.select(
        _of="_row", _when=rows[recipe.at], **{f"_l{i}": rows[n] for i, n in enumerate(feature.on)}
    )
    predicates: list[Any] = [joined[f"_l{i}"] == events[k] for i, k in enumerate(keys)]
    predicates.append(events["_at"] < joined["_when"])
    if feature.aggregate == "last":
        predicates.append(events["_until"].isnull() | (events["_until"] >= joined["_when"]))
    pairs = joined.join(events, predicates)
    if feature.days:
        seconds = int(feature.days * 86_400)
        age = pairs["_when"].epoch_seconds() - pairs["_at"].epoch_seconds()
        pairs = pairs.filter(age <= seconds)
    value = pairs["_value"]
    made = {
        "last": lambda: value.max(), "count": lambda: pairs.count(), "sum": lambda: value.sum(), "mean": lambda: value.cast("float64").mean(),
        "min": lambda: value.min(), "max": lambda: value.max(), "distinct": lambda: value.nunique(),
    }[feature.aggregate]()  # fmt: skip
    return pairs.group_by("_of").aggregate(**{feature.name: made})


def _where(table: Table, where: dict[str, str]) -> Table:
    for name, value in where.items():
        table = table.filter(table[name].cast("string") == value)
    return table


def _need(table: Table, name: str, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ConfigError(
            f"{name} has no column {missing[0]!r}",
            mend=f"It has {', '.join(table.columns)}",
            key=missing[0],
            source="recipe",
        )


def _moment(text: str) -> Any:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"cannot read the day {text!r}", mend="Write 2025-06-01", key="as_of", source="recipe"
        ) from None
    return literal(at if at.tzinfo else at.replace(tzinfo=UTC))
