"""Values far from their group: robust z-scores of logarithms, from a histogram that is small however long the table is.

Iglewicz and Hoaglin (1993), *How to detect and handle outliers*: |0.6745 (x - median) / MAD| above 3.5.
"""

from __future__ import annotations

from typing import Any

from wares.data.engine import BooleanValue, Engine, Table, literal, window

BINS = 256
"""Bins for each unit of the natural logarithm: a bin is 0.4% wide."""
_FLOOR = 0.05 * BINS
"""Least MAD: where most prices of a group are equal, differences under 26% (at z 3.5) are no outliers."""


def _bin(value: Any) -> Any:
    return (value.cast("float64").ln() * BINS).round().cast("int64")


def limits(engine: Engine, table: Table, column: str, by: str, z: float, least: int) -> Table:
    """(``_group``, ``_low``, ``_high``): the bins between which values of a group are usual."""
    good = table.filter(table[column] > 0)
    group = good[by].fill_null("") if by else literal("")
    cells = good.select(_group=group, _bin=_bin(good[column]))
    histogram = engine.keep(cells.group_by(["_group", "_bin"]).aggregate(_n=cells.count()))
    median = _middle(histogram, "_bin")
    off = histogram.join(median, "_group")
    spread = off.mutate(_off=(off["_bin"] - off["_middle"]).abs())
    spread = spread.group_by(["_group", "_off"]).aggregate(_n=spread["_n"].sum())
    mad = _middle(spread, "_off").select("_group", _mad="_middle")
    both = median.join(mad, "_group")
    both = both.filter(both["_total"] >= least)
    # Portable maximum of two numbers: greatest() treats nulls differently across engines, and here are none.
    floor = (both["_mad"] < _FLOOR).ifelse(literal(_FLOOR), both["_mad"].cast("float64"))
    reach = floor * (z / 0.6745)
    return engine.keep(both.select("_group", _low=both["_middle"] - reach, _high=both["_middle"] + reach))


def _middle(histogram: Table, value: str) -> Table:
    """(``_group``, ``_middle``, ``_total``): the lower median of a histogram."""
    running = (
        histogram["_n"].sum().over(window(group_by="_group", order_by=value, preceding=None, following=0))
    )
    total = histogram["_n"].sum().over(window(group_by="_group"))
    counted = histogram.mutate(_running=running, _all=total)
    half = counted.filter(counted["_running"] * 2 >= counted["_all"])
    return half.group_by("_group").aggregate(_middle=half[value].min(), _total=half["_all"].max())


def mark(table: Table, column: str, by: str, bounds: Table) -> tuple[Table, str]:
    """`table` with a boolean column that is true for outliers, and its name."""
    name = f"_outlier_{column}"
    table = table.mutate(_of_group=table[by].fill_null("") if by else literal(""))
    joined = table.left_join(bounds, table["_of_group"] == bounds["_group"])
    at = _bin((joined[column] > 0).ifelse(joined[column], literal(None, str(joined[column].type()))))
    far: BooleanValue = ((at < joined["_low"]) | (at > joined["_high"])).fill_null(False)
    return joined.mutate(**{name: far}).drop("_of_group", "_group", "_low", "_high"), name
