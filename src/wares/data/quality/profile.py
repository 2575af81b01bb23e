"""A profile: what a version of a table looks like, in some kilobytes of counts, made of one grouped pass a column.

Every column is first reduced to its distinct values with their counts; all that is asked of a column (nulls, repeats,
ranges, patterns, lengths, histograms) is then asked of that small table. Histograms of numbers have fixed logarithmic
bins (twelve a decade), so profiles of any two versions can be compared, also after the older one was removed by
vacuum. Values of personal columns are never kept: no minimum, no frequent values, only counts.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from wares.core import columns as c
from wares.data.contract import Contract
from wares.data.engine import Engine, Table, cases, literal
from wares.data.types import NUMBER, STRING, TIMESTAMP

PROFILE_VERSION = 1
PER_DECADE = 12
TOP = 60
_LOWEST = -6
_MOST_BINS = 18 * PER_DECADE
_LONG = 5_000

MOJIBAKE = r"\x{FFFD}|Ã[¡-¿ƒ‚„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[¡-¿]|â€[™œ“”˜¦¢\x{9D}]|ï»¿|ï¿½|锟斤拷|å[¤-¿][¡-¿§©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾]|Ð[°-¿].?Ð"
CLASSES = {
    "mojibake": MOJIBAKE,
    "blank": r"^\s*$",
    "edge_space": r"^\s+\S|\S\s+$",
    "markup": r"</?[A-Za-z][^>]{0,80}>|&(amp|lt|gt|quot|nbsp|#[0-9]+);",
    "control": r"[\x00-\x08\x0B\x0C\x0E-\x1F]",
    "digits": r"^[0-9]+$",
    "has_digit": r"[0-9]",
    "non_ascii": r"[^\x00-\x7F]",
    "capitals": r"^[^a-z]*[A-Z][^a-z]*$",
    "has_space": r"\S\s+\S",
}
_PLAIN = r"^[A-Za-z0-9_.:-]+$"
_IN_PLAIN = ("digits", "has_digit", "capitals")
"""Classes that a plain word may have; the others need only be looked for in the rest, which saves most of the time on ids."""
FORBIDDEN = {
    "mojibake": "were read in a wrong encoding",
    "blank": "are blank, not empty",
    "control": "hold control characters",
}
"""Classes that no table of a shop should hold at all."""
FAULTY = frozenset({*FORBIDDEN, "edge_space", "markup"})
"""Classes that hardly ever belong into a text; of the others only a change of their share is worth a word."""


@dataclass
class ColumnProfile:
    """One column: counts, and for columns that are not personal the range and the frequent values."""

    kind: str
    rows: int = 0
    nulls: int = 0
    distinct: int | None = None
    repeats: int | None = None
    singles: int = 0
    low: float | str | None = None
    high: float | str | None = None
    mean: float | None = None
    bins: dict[int, int] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    top: list[tuple[str, int]] = field(default_factory=list)
    weeks: dict[str, int] = field(default_factory=dict)
    personal: bool = False

    @property
    def present(self) -> int:
        """Cells that are not null."""
        return self.rows - self.nulls


@dataclass
class Profile:
    """A table: its rows, its columns, and shares (how many of how many) that have a meaning across columns or tables."""

    table: str
    rows: int
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    shares: dict[str, tuple[int, int]] = field(default_factory=dict)
    version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON-like values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Profile:
        """Back from JSON, whose keys are text."""
        columns = {}
        for name, column in value["columns"].items():
            numbers = {key: {int(k): v for k, v in column[key].items()} for key in ("bins", "lengths")}
            columns[name] = ColumnProfile(
                **{**column, **numbers, "top": [(str(v), int(n)) for v, n in column["top"]]}
            )
        shares = {name: (int(a), int(b)) for name, (a, b) in value["shares"].items()}
        return cls(value["table"], value["rows"], columns, shares, value["version"])


def logical(dtype: Any) -> str:
    """The contract's word for an engine type."""
    if dtype.is_string():
        return STRING
    if dtype.is_decimal() or dtype.is_floating():
        return NUMBER
    if dtype.is_integer():
        return "integer"
    if dtype.is_timestamp() or dtype.is_date():
        return TIMESTAMP
    return "boolean" if dtype.is_boolean() else str(dtype)


def values_of(engine: Engine, contract: Contract, table: Table) -> dict[str, Table]:
    """For each column a table of its values and ``_n``, how often each comes; long free text keeps one row a cell."""
    longest = {column.name: column.max_length for column in contract.columns}
    unbounded = {
        column.name for column in contract.columns if column.kind == STRING and not column.max_length
    }
    out: dict[str, Table] = {}
    for name in table.columns:
        if (longest.get(name) or 0) > _LONG or (name in unbounded and name not in (c.KIND, c.CURRENCY)):
            out[name] = table.select(name).mutate(_n=literal(1, "int64"), _whole=literal(False))
        else:
            grouped = table.group_by(name).aggregate(_n=table.count())
            out[name] = engine.keep(grouped.mutate(_whole=literal(True)))
    return out


def profile(
    engine: Engine, contract: Contract, table: Table, values: Mapping[str, Table], personal: Container[str]
) -> Profile:
    """Profile a table whose columns were reduced by `values_of`; of `personal` columns no value is kept."""
    types = {name: logical(dtype) for name, dtype in table.schema().items()}
    out = Profile(contract.table, engine.count(table))
    for name, reduced in values.items():
        out.columns[name] = _column(
            engine, reduced, name, types[name], personal=name in personal, key=contract.key == (name,)
        )
    return out


def _column(
    engine: Engine, values: Table, name: str, kind: str, *, personal: bool, key: bool
) -> ColumnProfile:
    value: Any = values[name]
    n = values["_n"]
    wanted: dict[str, Any] = {
        "rows": n.sum(), "nulls": n.sum(where=value.isnull()), "groups": value.count(),
        "singles": (n == 1).sum(where=value.notnull()), "whole": values["_whole"].all(),
    }  # fmt: skip
    number = value.cast("float64") if kind in (NUMBER, "integer") else None
    if number is not None:
        wanted |= {"low": number.min(), "high": number.max(), "mean": (number * n).sum()}
    if kind == TIMESTAMP:
        wanted |= {"low": value.min(), "high": value.max()}
    if kind == STRING:
        wanted |= {f"class_{key}": n.sum(where=value.re_search(CLASSES[key])) for key in _IN_PLAIN}
    facts = engine.arrow(values.aggregate(**wanted)).to_pylist()[0]
    grouped = bool(facts["whole"]) or facts["whole"] is None
    found = ColumnProfile(kind, int(facts["rows"] or 0), int(facts["nulls"] or 0), personal=personal)
    if grouped:
        found.distinct = int(facts["groups"])
        found.repeats = found.present - found.distinct
        found.singles = int(facts["singles"] or 0)
    for part in ("low", "high"):
        end = facts.get(part)
        setattr(found, part, end.isoformat() if isinstance(end, datetime) else end)
    if number is not None and found.present:
        found.mean = float(facts["mean"]) / found.present
        found.bins = _counts(engine, values, _bin(number), name)
    if kind == TIMESTAMP:
        found.weeks = {
            str(k)[:10]: v
            for k, v in _counts(engine, values, value.truncate("W").cast("string"), name).items()
        }
    if kind == STRING:
        rest = values.filter(~value.re_search(_PLAIN))
        others = {
            key: rest["_n"].sum(where=rest[name].re_search(text))
            for key, text in CLASSES.items()
            if key not in _IN_PLAIN
        }
        facts |= {
            f"class_{key}": n for key, n in engine.arrow(rest.aggregate(**others)).to_pylist()[0].items()
        }
        found.classes = {key: int(facts[f"class_{key}"] or 0) for key in CLASSES}
        found.lengths = _counts(engine, values, _length_bin(value.length()), name)
    if kind in (STRING, "boolean") and grouped and not personal and not key and found.distinct:
        common = values.filter(value.notnull()).order_by([n.desc(), name]).limit(TOP)
        found.top = [(str(row[name])[:200], int(row["_n"])) for row in engine.arrow(common).to_pylist()]
    return found


def _counts(engine: Engine, values: Table, bins: Any, name: str) -> dict[Any, int]:
    binned = values.filter(values[name].notnull()).mutate(_bin=bins)
    rows = engine.arrow(binned.group_by("_bin").aggregate(_n=binned["_n"].sum()).order_by("_bin"))
    return {row["_bin"]: int(row["_n"]) for row in rows.to_pylist()}


def _bin(number: Any) -> Any:
    # The tiny addition keeps exact powers of ten in one bin on every engine.
    size = ((number.abs().log10() - _LOWEST) * PER_DECADE + 1e-9).floor().cast("int64")
    size = size.clip(lower=0, upper=_MOST_BINS) + 1
    return cases((number > 0, size), (number < 0, -size), else_=literal(0, "int64"))


def edge(number: int) -> float:
    """The lower end of a bin's magnitude, with the sign of the bin."""
    if number == 0:
        return 0.0
    size = 10.0 ** ((abs(number) - 1) / PER_DECADE + _LOWEST)
    return size if number > 0 else -size


def _length_bin(length: Any) -> Any:
    # One bin a character up to forty, then twelve a decade.
    wide = (length.cast("float64").log10() * PER_DECADE).floor().cast("int64") + 30
    return cases((length <= 40, length.cast("int64")), else_=wide)
