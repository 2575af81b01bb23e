"""What merchandisers want of search: products pinned, buried, boosted or banned, for a query or a category, from one day to another.

Rules lie in the state database, so that they count at once and without a build; a rule that was removed stays in the history.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from wares.core.audit import Audit
from wares.core.errors import NotFound, QueryError
from wares.core.lately import Lately
from wares.core.state import State, stamp

PIN, BURY, BOOST, BAN = "pin", "bury", "boost", "ban"
ACTIONS = (PIN, BURY, BOOST, BAN)
TARGETS = ("product", "brand", "category", "word")
EXACT, CONTAINS = "exact", "contains"
MATCHES = (EXACT, CONTAINS)
LARGEST_PLACE, LARGEST_FACTOR = 100, 100.0
LONGEST = 200
MOST = 5000
"""Rules that may stand at once; each is looked at for every search."""
_PLAIN = ("action", "target", "value", "query", "match", "category", "amount", "note", "who", "created")
_DAYS = ("starts", "ends")

_metadata = sa.MetaData()
search_rules = sa.Table(
    "search_rules",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("target", sa.String(20), nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("match", sa.String(20), nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("amount", sa.Float, nullable=False),
    sa.Column("starts", sa.String(10), nullable=False),
    sa.Column("ends", sa.String(10), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    # A number is never given again: the history speaks of it.
    sqlite_autoincrement=True,
)
search_rule_history = sa.Table(
    "search_rule_history",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("rule", sa.Integer, nullable=False, index=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)


def normal_query(text: str) -> str:
    """A query as rules compare it: full-width forms narrowed, without case and extra spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Products of `target` and `value` are pinned to place `amount` (1 first), boosted by the factor `amount`, buried or
    banned; for `query` (all when empty), which is asked "exact" or in so many words among others ("contains"), within
    `category` and below it (everywhere when empty), from the day `starts` to the day `ends`, both included, in UTC.
    """

    action: str
    target: str
    value: str
    query: str = ""
    match: str = EXACT
    category: str = ""
    amount: float = 0.0
    starts: date | None = None
    ends: date | None = None
    note: str = ""
    id: int = 0
    who: str = ""
    created: str = ""

    def active(self, day: date) -> bool:
        """Whether it counts on a day."""
        return (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)

    def state(self, day: date) -> str:
        """``active``, ``waiting`` or ``over``."""
        if self.active(day):
            return "active"
        return "waiting" if self.starts is not None and day < self.starts else "over"

    def words(self) -> str:
        """What it says, for people and the audit."""
        what = f"{self.target} {self.value}"
        deed = {
            PIN: f"pin {what} to place {int(self.amount)}",
            BURY: f"bury {what}",
            BOOST: f"boost {what} by {self.amount:g}",
            BAN: f"ban {what}",
        }[self.action]
        where = (
            f' for "{self.query}"' if self.query and self.match == EXACT
            else f' for queries with "{self.query}"' if self.query else ""
        )  # fmt: skip
        days = f" from {self.starts}" if self.starts else ""
        return (
            deed
            + where
            + (f" in {self.category}" if self.category else "")
            + days
            + (f" until {self.ends}" if self.ends else "")
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        days = {name: None if (day := getattr(self, name)) is None else str(day) for name in _DAYS}
        return {name: getattr(self, name) for name in ("id", *_PLAIN)} | days | {"words": self.words()}


def parse_day(text: str, parameter: str) -> date | None:
    """A day as ISO date; None for an empty text.

    Raises:
        QueryError: for anything else.
    """
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise QueryError(
            f"{text[:40]!r} is no day", mend="Write it as 2026-11-27", parameter=parameter
        ) from None


def checked(rule: Rule) -> Rule:
    """The rule in its one form: the query normalised, the amount as its action wants it.

    Raises:
        QueryError: naming what is wrong and its mend.
    """

    def wrong(message: str, mend: str, parameter: str) -> QueryError:
        return QueryError(message, mend=mend, parameter=parameter)

    for name, known in (("action", ACTIONS), ("target", TARGETS), ("match", MATCHES)):
        if getattr(rule, name) not in known:
            raise wrong(f"{name} {getattr(rule, name)[:40]!r}", f"Use {', '.join(known)}", name)
    value, query = " ".join(rule.value.split()), normal_query(rule.query)
    category = " ".join(rule.category.split())
    if not value:
        raise wrong(
            "a rule needs a value", "Name the product, brand, category or word that it is about", "value"
        )
    for name, text in (("value", value), ("query", query), ("category", category), ("note", rule.note)):
        if len(text) > LONGEST or any(not ch.isprintable() for ch in text):
            raise wrong(
                f"{name} is too long or holds control characters",
                f"Use up to {LONGEST} printable characters",
                name,
            )
    if rule.action == PIN and rule.target != "product":
        raise wrong("only products can be pinned", "Boost a brand, a category or a word instead", "target")
    if rule.action == PIN and not query and not category:
        raise wrong("a pin needs a query or a category", "Name the query for which it is pinned", "query")
    amount = rule.amount
    if rule.action == PIN:
        amount = amount or 1.0
        if not (1 <= amount <= LARGEST_PLACE and amount == int(amount)):
            raise wrong(f"place {amount:g}", f"Use a whole number from 1 to {LARGEST_PLACE}", "amount")
    elif rule.action == BOOST:
        amount = amount or 2.0
        if not 0 < amount <= LARGEST_FACTOR:
            raise wrong(
                f"factor {amount:g}",
                f"Use a number above 0, at most {LARGEST_FACTOR:g}; below 1 it lowers",
                "amount",
            )
    else:
        amount = 0.0
    if rule.starts is not None and rule.ends is not None and rule.ends < rule.starts:
        raise wrong(
            f"the rule ends on {rule.ends}, before it starts on {rule.starts}",
            "Swap the days, or leave one out",
            "ends",
        )
    return replace(rule, value=value, query=query, category=category, amount=float(amount))


class RuleBook:
    """The rules of a workspace's state; with an `audit`, every change is logged there too."""

    def __init__(self, state: State, audit: Audit | None = None) -> None:
        self.state, self.audit = state, audit
        state.ensure(search_rules, search_rule_history)
        self._lately = Lately(lambda: tuple(self.all()))

    def all(self) -> list[Rule]:
        """Every rule that stands, oldest first, those of other days too."""
        with self.state.engine.connect() as connection:
            rows = connection.execute(sa.select(search_rules).order_by(search_rules.c.id)).mappings()
            return [_rule(dict(row)) for row in rows]

    def active(self, now: datetime) -> tuple[Rule, ...]:
        """The rules that count now, oldest first; read from the database at most every half second."""
        day = now.date()
        return tuple(rule for rule in self._lately.get() if rule.active(day))

    def add(self, rule: Rule, who: str, now: datetime) -> Rule:
        """Put a rule down, on disk when it returns.

        Raises:
            QueryError: when it is wrong, or stands already, or there are too many.
        """
        rule = replace(checked(rule), who=who[:LONGEST], created=stamp(now))
        values = _row(rule)
        t = search_rules.c
        same = [t[name] == values[name] for name in (*_PLAIN, *_DAYS) if name not in ("note", "who", "created")]  # fmt: skip
        with self.state.engine.begin() as connection:
            found = connection.execute(sa.select(t.id).where(*same)).scalar()
            if found is not None:
                raise QueryError(
                    f"rule {found} says the same",
                    mend=f"Remove it first with `wares rules remove {found}`",
                    parameter="value",
                )
            if (connection.execute(sa.select(sa.func.count()).select_from(search_rules)).scalar() or 0) >= MOST:  # fmt: skip
                raise QueryError(
                    f"there are {MOST} rules already", mend="Remove some that are over", parameter="rules"
                )
            done = connection.execute(search_rules.insert(), values)
            key = done.inserted_primary_key
            rule = replace(rule, id=int(key[0]) if key is not None else 0)
            self._note(connection, rule, "added", who, rule.note, now)
        self._told(rule, "add", who)
        return rule

    def remove(self, rule_id: int, who: str, now: datetime, note: str = "") -> Rule:
        """Take a rule away; its history stays.

        Raises:
            NotFound: when there is none of this number.
        """
        with self.state.engine.begin() as connection:
            row = connection.execute(sa.select(search_rules).where(search_rules.c.id == rule_id)).mappings().first()  # fmt: skip
            if row is None:
                raise NotFound(
                    f"there is no rule {rule_id}",
                    mend="List them with `wares rules list`",
                    id=str(rule_id),
                )
            rule = _rule(dict(row))
            connection.execute(search_rules.delete().where(search_rules.c.id == rule_id))
            self._note(connection, rule, "removed", who, note, now)
        self._told(rule, "remove", who)
        return rule

    def history(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Who added and removed what, newest first."""
        query = sa.select(search_rule_history).order_by(search_rule_history.c.seq.desc()).limit(limit)
        names = ("rule", "at", "event", "who", "words", "note")
        with self.state.engine.connect() as connection:
            return [{name: row[name] for name in names} for row in connection.execute(query).mappings()]

    def _note(
        self, connection: sa.Connection, rule: Rule, event: str, who: str, note: str, now: datetime
    ) -> None:
        values = {"rule": rule.id, "at": stamp(now), "event": event, "who": who[:LONGEST], "words": rule.words(), "note": note[:LONGEST]}  # fmt: skip
        connection.execute(search_rule_history.insert(), values)

    def _told(self, rule: Rule, deed: str, who: str) -> None:
        self._lately.forget()
        if self.audit is not None:
            self.audit.record(who, f"search_rule.{deed}", f"rule {rule.id}", {"words": rule.words()})


def _row(rule: Rule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in _PLAIN} | {
        name: "" if (day := getattr(rule, name)) is None else day.isoformat() for name in _DAYS
    }


def _rule(row: dict[str, Any]) -> Rule:
    values = dict(row)
    for name in _DAYS:
        values[name] = date.fromisoformat(row[name]) if row[name] else None
    return Rule(**values)
