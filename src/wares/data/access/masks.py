"""Masks as expressions. ``core/masks.py`` says the same for single values; a test keeps the two equal."""

from __future__ import annotations

from typing import Any

from wares.core.access import Decision
from wares.core.masks import (
    BLOCK,
    DECADES,
    HASH,
    HASH_DIGITS,
    NOISE,
    PARTIAL,
    STARS,
    STEPS,
    VISIBLE,
    Masker,
)
from wares.data.engine import Value, cases, literal

_HEX = "0123456789abcdef"
_SECOND = 1_000_000
_TYPES = {"timestamp": "timestamp('UTC', 6)", "boolean": "boolean"}


def masked(column: Value, decision: Decision, masker: Masker) -> Value:
    """The column as the role sees it; it has a new name only through ``select``."""
    value: Any = column
    mask = decision.mask
    if mask.kind == VISIBLE:
        return value
    if mask.kind == HASH:
        return _digest(value, masker, decision.family, HASH).substr(0, HASH_DIGITS)
    if mask.kind == PARTIAL:
        return _partial(value, int(mask.amount))
    if mask.kind == NOISE:
        return _noise(value, _digest(value, masker, decision.family, NOISE), mask.amount)
    # Null, and whatever else should ever come here, shows nothing.
    return literal(None, value.type())


def _digest(value: Any, masker: Masker, family: str, use: str) -> Any:
    kind = value.type()
    if kind.is_timestamp():
        text = value.epoch_seconds().floor().cast("int64").cast("string")
    else:
        text = value if kind.is_string() else value.cast("string")
    return (literal(f"{masker.key}:{use}:{family}:") + text).hexdigest("sha256")


def _partial(value: Any, shown: int) -> Any:
    kind = value.type()
    if kind.is_string():
        head = cases((value.length() >= 4 * shown, value.substr(0, shown)), else_=literal(""))
        return cases((value.notnull(), head + literal(STARS)), else_=literal(None, "string"))
    if kind.is_timestamp():
        micros = _micros(value)
        return value - (micros % (BLOCK.days * 86400 * _SECOND)).as_interval("us")
    size = value.abs()
    branches = [(size >= 10**decade, literal(10**decade, "int64")) for decade in reversed(range(DECADES))]
    floor = cases(*branches, else_=literal(0, "int64"))
    signed = cases((value >= 0, floor), else_=-floor)
    return cases((value.notnull(), signed.cast(kind)), else_=literal(None, kind))


def _micros(value: Any) -> Any:
    return (value.epoch_seconds() * float(_SECOND)).round().cast("int64")


def _noise(value: Any, digits: Any, amount: float) -> Any:
    def digit(place: int) -> Any:
        return literal(_HEX).find(digits.substr(place, 1))

    number = digit(0) * 4096 + digit(1) * 256 + digit(2) * 16 + digit(3)
    size = (number.cast("float64") / float(STEPS) * 0.75 + 0.25) * amount
    sign = cases((digit(4) < 8, 1), else_=-1)
    kind = value.type()
    if kind.is_timestamp():
        seconds = (size * float(30 * 86400)).ceil().cast("int64") * sign
        return value - (_micros(value) % _SECOND).as_interval("us") + seconds.as_interval("s")
    real = value.cast("float64").abs()
    move = size * cases((real > 1.0, real), else_=1.0)
    if kind.is_integer():
        moved = value + move.ceil().cast("int64") * sign
    elif kind.is_decimal():
        moved = (value + (move * sign).round(4).cast("decimal(18,4)")).cast(kind)
    else:
        moved = value + move * sign
    return cases((value >= 0, moved.abs()), else_=moved).cast(kind)
