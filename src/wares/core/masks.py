"""Masks: what a role sees in place of a cell. Pure Python; ``data/access/masks.py`` says the same as expressions.

Every mask is a function of the secret, the realm (a role or a receiver), the column's family and the value, and of
nothing else. So the same cell reads the same at every time and version, and averaging repeated reads tells nothing;
equal values of one family (all ``user_id`` columns, or a reference and its target) hash to equal texts, so joins
keep working; and two realms cannot be joined with one another. Null stays null.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from wares.core.errors import ConfigError

VISIBLE, HASH, PARTIAL, NULL, NOISE, DENY = "visible", "hash", "partial", "null", "noise", "deny"
KINDS = (VISIBLE, HASH, PARTIAL, NULL, NOISE, DENY)
STARS = "***"
HASH_DIGITS = 32
STEPS = 65536
DECADES = 14
"""Partial numbers show the power of ten they lie in, up to 10^13."""

EPOCH, BLOCK = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=30)

_DEFAULTS = {PARTIAL: 2.0, NOISE: 0.1}
_BOUNDS = {PARTIAL: (1.0, 16.0), NOISE: (0.01, 1.0)}
_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Mask:
    """One way to hide a column.

    ``hash``: 32 hex digits of a keyed digest. ``partial``: the first `amount` characters of a text that is at least
    four times as long, and stars; the power of ten of a number; the block of thirty days that a time lies in. ``null``: nothing. ``noise``: a
    number moved by a quarter to the whole of `amount` times its size (at least of 1), a time by up to `amount` times
    thirty days. ``deny``: the column does not exist for the role. ``visible``: no mask.
    """

    kind: str = VISIBLE
    amount: float = 0.0

    @classmethod
    def parse(cls, text: str, source: str = "") -> Mask:
        """Read ``hash``, ``partial:3``, ``noise:0.2``, ….

        Raises:
            ConfigError: for anything else.
        """
        kind, _, amount = str(text).strip().lower().partition(":")
        try:
            number = float(amount) if amount else _DEFAULTS.get(kind, 0.0)
        except ValueError:
            number = math.nan
        low, high = _BOUNDS.get(kind, (0.0, 0.0))
        if kind not in KINDS or not low <= number <= high or (kind == PARTIAL and number % 1):
            raise ConfigError(
                f"{text!r} is no mask",
                mend="Use hash, partial, partial:CHARACTERS (1 to 16), null, noise, noise:SHARE (0.01 to 1), deny or visible",
                key="mask",
                source=source,
            )
        return cls(kind, number)

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:g}" if self.kind in _DEFAULTS else self.kind

    def check(self, column: str, kind: str, *, key: bool, source: str) -> None:
        """Refuse a mask that a column cannot bear.

        Args:
            column: its name, for the error.
            kind: string, number, integer, timestamp or boolean.
            key: whether rows are found or joined by it.
            source: where the mask is written.

        Raises:
            ConfigError: partial, null or noise on a key; noise on text; anything but null on a boolean.
        """
        mend = ""
        if key and self.kind in (PARTIAL, NULL, NOISE):
            mend = f"Use hash, which keeps it unique and joinable, or deny: {column} is a key, and {self.kind} would make its values equal"
        elif self.kind == NOISE and kind not in ("number", "integer", "timestamp"):
            mend = "Use hash, partial or null: noise is for numbers and times"
        elif kind == "other" and self.kind in (PARTIAL, HASH):
            mend = "Use null or deny: lists and structures cannot be hashed or cut"
        elif kind == "boolean" and self.kind in (PARTIAL, HASH):
            mend = "Use null or deny: two values cannot be hidden among each other"
        if mend:
            raise ConfigError(
                f"the mask {self} cannot stand on the {kind} column {column}",
                mend=mend,
                key=column,
                source=source,
            )

    @property
    def hides(self) -> bool:
        """Whether something else than the cell is seen."""
        return self.kind != VISIBLE


def realm_key(secret: bytes, realm: str) -> str:
    """The key of one realm as hex; realms cannot be joined with one another."""
    return hmac.new(secret, b"mask\x00" + realm.encode(), hashlib.sha256).hexdigest()


def value_text(value: Any) -> str:
    """A value as its digest sees it; times by their second, as every engine counts them."""
    if isinstance(value, datetime):
        return str(int(value.timestamp() // 1))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass(frozen=True, slots=True)
class Masker:
    """Applies masks to single values with the key of one realm."""

    key: str

    def digest(self, family: str, value: Any, use: str = HASH) -> str:
        """SHA-256 of key, use, family and value, as 64 hex digits; half of it is never shown, so it cannot be extended."""
        return hashlib.sha256(
            f"{self.key}:{use}:{family}:{value_text(value)}".encode("utf-8", "replace")
        ).hexdigest()

    def apply(self, mask: Mask, family: str, value: Any) -> Any:
        """The cell as the role sees it."""
        if value is None or mask.kind == VISIBLE:
            return value
        if mask.kind in (NULL, DENY):
            return None
        if mask.kind == HASH:
            return self.digest(family, value)[:HASH_DIGITS]
        return _partial(mask, value) if mask.kind == PARTIAL else self._noise(mask, family, value)

    def _noise(self, mask: Mask, family: str, value: Any) -> Any:
        digits = self.digest(family, value, NOISE)
        size = mask.amount * (0.25 + 0.75 * (int(digits[:4], 16) / STEPS))
        up = int(digits[4], 16) < 8
        if isinstance(value, datetime):
            seconds = math.ceil(size * 30 * 86400)
            # The part below a second would tell one time from all others.
            return value.replace(microsecond=0) + timedelta(seconds=seconds if up else -seconds)
        move = size * max(abs(float(value)), 1.0)
        if isinstance(value, int):
            moved = value + (math.ceil(move) if up else -math.ceil(move))
        elif isinstance(value, Decimal):
            moved = value + Decimal(move if up else -move).quantize(_STEP, ROUND_HALF_EVEN)
        else:
            moved = float(value) + (move if up else -move)
        return abs(moved) if value >= 0 else moved


def _partial(mask: Mask, value: Any) -> Any:
    if isinstance(value, str):
        shown = int(mask.amount)
        return (value[:shown] if len(value) >= 4 * shown else "") + STARS
    if isinstance(value, datetime):
        return EPOCH + (value - EPOCH) // BLOCK * BLOCK
    if isinstance(value, bool):
        return None
    size = abs(value)
    floor = 0
    for decade in range(DECADES):
        if size >= 10**decade:
            floor = 10**decade
    signed = floor if value >= 0 else -floor
    return Decimal(signed).quantize(_STEP) if isinstance(value, Decimal) else type(value)(signed)
