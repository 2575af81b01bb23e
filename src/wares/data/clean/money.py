"""Prices in one currency, by dated rates that lie in the workspace; never from the network."""

from __future__ import annotations

import csv
import re
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from wares.core.errors import ConfigError
from wares.data.engine import BooleanValue, Engine, Table, cases, literal
from wares.data.types import Typed

RATE = pa.decimal128(18, 8)
_CODE = re.compile(r"[A-Z]{3}")


def read_rates(path: Path) -> list[tuple[date, str, str, Decimal]]:
    """Rows ``date,from,to,rate`` of a CSV file: one unit of `from` is `rate` units of `to` from that date on.

    Raises:
        ConfigError: naming the line and the mend.
    """
    rates: list[tuple[date, str, str, Decimal]] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        missing = {"date", "from", "to", "rate"} - set(rows.fieldnames or ())
        if missing:
            raise _wrong(path, 1, f"has no column {sorted(missing)[0]!r}", "Head it date,from,to,rate")
        for number, row in enumerate(rows, 2):
            try:
                day = date.fromisoformat((row["date"] or "").strip())
                rate = Decimal((row["rate"] or "").strip())
            except (ValueError, InvalidOperation):
                raise _wrong(
                    path, number, f"cannot be read: {row}", "Write 2026-11-02,USD,EUR,0.92"
                ) from None
            pair = ((row["from"] or "").strip(), (row["to"] or "").strip())
            if not rate.is_finite() or rate <= 0 or not all(_CODE.fullmatch(code) for code in pair):
                raise _wrong(path, number, f"cannot be read: {row}", "A rate is above 0; codes are as USD")
            rates.append((day, *pair, rate))
    return rates


def _wrong(path: Path, line: int, what: str, mend: str) -> ConfigError:
    return ConfigError(f"{path.name}, line {line}, {what}", mend=mend, key="rates", source=str(path))


def daily_rates(
    rates: list[tuple[date, str, str, Decimal]], to: str, max_age_days: float
) -> tuple[pa.Table, pa.Table]:
    """(currency, day, rate) for every day on which a rate is at most so old, and (currency, rate) of the newest.

    A rate from `to` into another currency serves the other way round where there is no direct one of that day.
    """
    direct = {(day, source): rate for day, source, target, rate in rates if target == to}
    inverse = {(day, target): (1 / rate) for day, source, target, rate in rates if source == to and rate > 0}
    by_currency: dict[str, dict[date, Decimal]] = {}
    for (day, currency), rate in (inverse | direct).items():
        by_currency.setdefault(currency, {})[day] = rate
    currencies, days, values = [], [], []
    newest: dict[str, Decimal] = {}
    for currency, known in by_currency.items():
        order = sorted(known)
        newest[currency] = known[order[-1]]
        for begin, following in zip(order, [*order[1:], date.max], strict=True):
            valid = min((following - begin).days, int(max_age_days) + 1)
            currencies += [currency] * valid
            days += [begin + timedelta(days=n) for n in range(valid)]
            values += [known[begin]] * valid
    return (
        pa.table({"_currency": pa.array(currencies, pa.string()), "_day": pa.array(days, pa.date32()), "_rate": _decimals(values)}),
        pa.table({"_currency": pa.array(list(newest), pa.string()), "_rate": _decimals(list(newest.values()))}),
    )  # fmt: skip


def _decimals(values: list[Decimal]) -> pa.Array:
    return pa.array([value.quantize(Decimal("0.00000001")) for value in values], RATE)


def convert(
    engine: Engine,
    table: Table,
    column: str,
    currency: str,
    to: str,
    rates: tuple[pa.Table, pa.Table],
    at: str,
) -> tuple[Table, BooleanValue]:
    """`table` with `column` in the currency `to`, the originals beside, and the rows that found no rate.

    With a time column `at` the rate is that of the day (UTC), without one the newest. A row without rate keeps
    its value and currency.
    """
    dated, newest = rates
    table = table.mutate(**{f"{column}_original": table[column], "currency_original": table[currency]})
    foreign = table[column].notnull() & table[currency].notnull() & (table[currency] != to)
    if not newest.num_rows:
        return table, foreign
    if at:
        known = engine.rows(dated)
        table = table.mutate(_at_day=table[at].cast("timestamp('UTC')").date())
        joined = table.left_join(
            known, [table[currency] == known["_currency"], table["_at_day"] == known["_day"]]
        ).drop("_at_day", "_day")
    else:
        known = engine.rows(newest)
        joined = table.left_join(known, table[currency] == known["_currency"])
    foreign = joined[column].notnull() & joined[currency].notnull() & (joined[currency] != to)
    has = foreign & joined["_rate"].notnull()
    kind = joined[column].type()
    changed = joined.mutate(
        **{
            column: cases(
                (has, (joined[column] * joined["_rate"]).round(4).cast(kind)), else_=joined[column]
            ),
            currency: cases((has, literal(to)), else_=joined[currency]),
        }
    ).drop("_currency", "_rate")
    left = changed[column].notnull() & changed[currency].notnull() & (changed[currency] != to)
    return changed, left


_SIGNS = {"€": "EUR", "$": "USD", "US$": "USD", "£": "GBP", "元": "CNY", "RMB": "CNY", "zł": "PLN", "₹": "INR", "₩": "KRW", "₽": "RUB", "kr": "", "¥": "", "￥": "CNY"}  # fmt: skip

_BESIDE = re.compile(
    r"(?:US\$|[$€£¥￥₹₩₽]|\b(?:EUR|USD|GBP|CNY|RMB|JPY|CHF|PLN)\b)\s?\d[\d.,' ]*\d|(?:US\$|[$€£¥￥₹₩₽])\s?\d|\d[\d.,']*\s?(?:[€£¥￥₹₩₽元]|zł|\b(?:EUR|USD|GBP|CNY|RMB|JPY|CHF|PLN)\b)"
)


@lru_cache(50_000)
def price_of(text: str) -> tuple[Decimal | None, str]:
    """The price in a text and its ISO 4217 code, as far as its sign is unambiguous; (None, "") when there is none."""
    from price_parser import Price

    # price-parser takes the first number it sees, were it 10W; the one beside a currency is the price.
    beside = _BESIDE.search(text[:500])
    found: Any = Price.fromstring(beside[0] if beside else text[:500])
    amount = found.amount
    if amount is None or not amount.is_finite() or not 0 <= amount < Decimal(10) ** 13:
        return None, ""
    sign = (found.currency or "").strip()
    code = sign if _CODE.fullmatch(sign) else _SIGNS.get(sign, "")
    return Decimal(amount), code


_CENT = Decimal("0.0001")


def read_prices(column: pa.ChunkedArray | pa.Array, typed: Typed) -> tuple[Typed, dict[int, str]]:
    """Bad cells of a typed price column that hold a price inside words, read; and row → currency where a sign says it."""
    values, signs, bad = typed.values.to_pylist(), dict[int, str](), list[int]()
    for row in typed.bad:
        amount, code = price_of(str(column[row].as_py()))
        if amount is None:
            bad.append(row)
            continue
        values[row] = amount.quantize(_CENT)
        if code:
            signs[row] = code
    return Typed(pa.array(values, typed.values.type), bad, typed.rule, typed.mend), signs


def with_signs(currency: pa.Array | None, signs: dict[int, str], n: int, shop: str) -> pa.Array:
    """The currency column, filled from the signs where a row names none; the shop's where there is no column."""
    cells = [shop] * n if currency is None else currency.to_pylist()
    return pa.array(
        [signs.get(row, cell) if currency is None or not cell else cell for row, cell in enumerate(cells)],
        pa.string(),
    )


def fill_prices(values: pa.Array, texts: pa.Array) -> tuple[pa.Array, list[int]]:
    """Empty prices read from another column's text, where that names a currency; and the rows that were filled."""
    empty = values.is_null().to_pylist()
    cells, filled = values.to_pylist(), list[int]()
    for row, text in enumerate(texts.to_pylist()):
        if empty[row] and text:
            amount, code = price_of(text)
            # A title is full of numbers; only one beside a currency is a price.
            if amount is not None and code:
                cells[row] = amount.quantize(_CENT)
                filled.append(row)
    return pa.array(cells, values.type), filled
