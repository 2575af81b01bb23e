"""Strings to types, column by column, with a fault for every cell that is not what its column says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dateutil import parser as dateparser

from wares.data.mapping import text_of

STRING, NUMBER, INTEGER, TIMESTAMP, BOOLEAN = "string", "number", "integer", "timestamp", "boolean"
ARROW = {
    STRING: pa.string(),
    NUMBER: pa.decimal128(18, 4),
    INTEGER: pa.int64(),
    TIMESTAMP: pa.timestamp("us", "UTC"),
    BOOLEAN: pa.bool_(),
}
_LIMIT = 10**13
_TRUE, _FALSE = {"true", "t", "yes", "y", "1", "是", "有货"}, {"false", "f", "no", "n", "0", "否", "缺货"}
_YMD = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y年%m月%d日",
)
_DMY = (
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d-%m-%Y",
)
_MDY = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m-%d-%Y")
_SLASHED = re.compile(r"^\s*(\d{1,2})[/.\-](\d{1,2})[/.\-]\d{4}")


@dataclass(frozen=True, slots=True)
class Typed:
    """A typed column and, for each bad cell, its row and the rule it broke."""

    values: pa.Array
    bad: list[int]
    rule: str
    mend: str


def _blank_to_null(column: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(pc.replace_substring(column, "\x00", ""))
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def _bad_rows(before: pa.Array, after: pa.Array) -> list[int]:
    wrong = pc.and_(pc.is_valid(before), pc.is_null(after))
    return pc.indices_nonzero(wrong).to_pylist()


def to_type(
    column: pa.ChunkedArray | pa.Array, kind: str, *, date_order: str = "auto", zone: str = "UTC"
) -> Typed:
    """Type a column. Bad cells become null and are listed; blank cells are null and fine."""
    array = _array(column)
    if kind == STRING:
        return Typed(_blank_to_null(_array(text_of(array)).cast(pa.string())), [], "", "")
    if kind == NUMBER:
        return _number(array)
    if kind == INTEGER:
        typed = _number(array)
        whole = pc.cast(pc.round(typed.values, 0), pa.int64())
        return Typed(whole, typed.bad, typed.rule, typed.mend)
    if kind == BOOLEAN:
        return _boolean(array)
    return _timestamp(array, date_order, zone)


def _number(array: pa.Array) -> Typed:
    mend = "Write a finite number such as 1234.50"
    if (
        pa.types.is_decimal(array.type)
        or pa.types.is_integer(array.type)
        or pa.types.is_floating(array.type)
        or pa.types.is_boolean(array.type)
    ):
        # In typed files NaN is how pandas writes "missing"; infinity is always a mistake.
        floats = array.cast(pa.float64(), safe=False)
        source = pc.if_else(pc.is_nan(floats), None, floats)
    else:
        source = _blank_to_null(_array(text_of(array)))
        floats = _text_floats(source)
    fine = pc.and_(pc.is_finite(floats), pc.less(pc.abs(floats), _LIMIT))
    kept = pc.if_else(pc.fill_null(fine, False), floats, None)
    decimals = pc.cast(pc.round(kept, 4), ARROW[NUMBER], safe=False)
    return Typed(decimals, _bad_rows(source, decimals), "type", mend)


def _text_floats(text: pa.Array) -> pa.Array:
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        pass
    # Currency signs and letters, thousands separators, decimal commas: one pass each over the whole column.
    bare = pc.replace_substring_regex(text, r"^\s*([+-]?)\s*(?:[A-Z]{3}|\p{Sc}|元|¥)\s*", r"\1")
    bare = pc.replace_substring_regex(bare, r"\s*(?:[A-Z]{3}|\p{Sc}|元)\s*$", "")
    bare = pc.replace_substring_regex(bare, r"^\((.+)\)$", r"-\1")
    grouped = pc.fill_null(
        pc.match_substring_regex(bare, r"^[+-]?\d{1,3}(?:[,\s' ]\d{3})+(?:\.\d+)?$"), False
    )
    bare = pc.if_else(grouped, pc.replace_substring_regex(bare, r"[,\s' ]", ""), bare)
    european = pc.fill_null(pc.match_substring_regex(bare, r"^[+-]?\d{1,3}(?:\.\d{3})*,\d{1,4}$"), False)
    bare = pc.if_else(european, pc.replace_substring(pc.replace_substring(bare, ".", ""), ",", "."), bare)
    numeric = pc.fill_null(
        pc.match_substring_regex(bare, r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"), False
    )
    return pc.if_else(numeric, bare, None).cast(pa.float64())


def _boolean(array: pa.Array) -> Typed:
    if pa.types.is_boolean(array.type):
        return Typed(array, [], "", "")
    text = _blank_to_null(_array(text_of(array)))
    lower = pc.utf8_lower(text)
    yes, no = (pc.is_in(lower, value_set=pa.array(sorted(words))) for words in (_TRUE, _FALSE))
    out = pc.if_else(yes, True, pc.if_else(no, False, pa.scalar(None, pa.bool_())))
    return Typed(out, _bad_rows(text, out), "type", "Write true or false")


def guess_date_order(text: pa.Array) -> str:
    """``dmy`` or ``mdy``, by the cells that only one of them can read; ``mdy`` when nothing tells."""
    first = second = 0
    for value in pc.unique(text.slice(0, 20_000)).to_pylist():
        if value and (match := _SLASHED.match(value)):
            first += int(match[1]) > 12
            second += int(match[2]) > 12
    return "dmy" if first > second else "mdy"


def _timestamp(array: pa.Array, order: str, zone: str) -> Typed:
    mend = "Write a date such as 2025-03-04 or 2025-03-04T15:30:00Z; set `date_order` for 03/04/2025"
    kind = ARROW[TIMESTAMP]
    if pa.types.is_timestamp(array.type):
        naive = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        aware = (
            naive
            if array.type.tz
            else pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest")
        )
        return Typed(aware.cast(kind), [], "", "")
    if pa.types.is_date(array.type):
        return _timestamp(array.cast(pa.timestamp("us")), order, zone)
    text = _blank_to_null(_array(text_of(array)))
    naive = pa.nulls(len(text), pa.timestamp("us"))
    chosen = guess_date_order(text) if order == "auto" else order
    # With "auto" a cell that the chosen order cannot read may still be plain in the other one (25/12 is no month).
    formats = {"ymd": _YMD, "dmy": _YMD + _DMY, "mdy": _YMD + _MDY}[chosen] + (
        (_DMY if chosen == "mdy" else _MDY) if order == "auto" else ()
    )
    for form in formats:
        left = pc.and_(pc.is_null(naive), pc.is_valid(text))
        if not pc.any(left).as_py():
            break
        read = pc.strptime(pc.if_else(left, text, None), form, "us", error_is_null=True)
        naive = pc.coalesce(naive, read)
    aware = pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest").cast(kind)
    left = pc.indices_nonzero(pc.and_(pc.is_null(aware), pc.is_valid(text))).to_pylist()
    if left:
        cells = text.to_pylist()
        known: dict[str, datetime | None] = {}
        values = aware.to_pylist()
        for row in left:
            cell = cells[row]
            if cell not in known:
                known[cell] = _one_time(cell, chosen, zone)
            values[row] = known[cell]
        aware = pa.array(values, kind)
    return Typed(aware, _bad_rows(text, aware), "type", mend)


def _one_time(cell: str, order: str, zone: str) -> datetime | None:
    from zoneinfo import ZoneInfo

    try:
        if re.fullmatch(r"\d{10}(\.\d+)?", cell):
            return datetime.fromtimestamp(float(cell), UTC)
        if re.fullmatch(r"\d{13}", cell):
            return datetime.fromtimestamp(int(cell) / 1000, UTC)
        if not re.search(r"\d{4}|\d[/.\-]\d", cell) or len(cell) > 60:
            return None
        # Two different defaults betray a cell that names no full date: dateutil would fill it in silently.
        one, two = (
            dateparser.parse(
                cell, dayfirst=order == "dmy", yearfirst=order == "ymd", default=datetime(year, month, day)
            )
            for year, month, day in ((2000, 1, 1), (2001, 2, 2))
        )
        if one != two:
            return None
        return (one if one.tzinfo else one.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def to_json(row: dict[str, Any]) -> str:
    """A row as JSON for people and for quarantine; absent cells are left out."""
    import json

    return json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False, default=str)
