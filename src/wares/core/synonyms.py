"""What people say of synonyms in search: which phrases say the same, and which learned ones do not.

They lie in the state database, so that they count at once and without a build; every change is kept in a history.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wares.core.audit import Audit
from wares.core.errors import NotFound, QueryError
from wares.core.lately import Lately
from wares.core.state import State, stamp

KEPT, REFUSED = "kept", "refused"
LONGEST = 80
MOST = 20_000
A_PHRASE = 20
"""So many other phrases may say the same as one: each is looked for in every search."""

_metadata = sa.MetaData()
search_synonyms = sa.Table(
    "search_synonyms",
    _metadata,
    sa.Column("phrase", sa.String(LONGEST), primary_key=True),
    sa.Column("also", sa.String(LONGEST), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("changed", sa.String(40), nullable=False),
)
search_synonym_history = sa.Table(
    "search_synonym_history",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("phrase", sa.String(LONGEST), nullable=False),
    sa.Column("also", sa.String(LONGEST), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Who searches for `phrase` also means `also`; `state` is ``kept``, or ``refused`` for a learned one that is wrong."""

    phrase: str
    also: str
    state: str
    who: str
    changed: str

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Curated:
    """All that people said: phrase → what also counts, and phrase → what does not."""

    kept: dict[str, tuple[str, ...]]
    refused: dict[str, tuple[str, ...]]


def phrase_of(text: str, parameter: str) -> str:
    """A phrase in its one form: lower case, full-width forms narrowed, single spaces.

    Raises:
        QueryError: when it is empty, too long or holds control characters.
    """
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode("utf-8"))
    text = " ".join(text.lower().split())
    if not any(ch.isalnum() for ch in text):
        raise QueryError(
            "a synonym needs a word on both sides", mend="Write two words or phrases", parameter=parameter
        )
    if len(text) > LONGEST or not text.isprintable():
        raise QueryError(
            f"{parameter} is too long or holds control characters",
            mend=f"Use up to {LONGEST} printable characters",
            parameter=parameter,
        )
    return text


class SynonymBook:
    """The synonyms of a workspace's state; with an `audit`, every change is logged there too."""

    def __init__(self, state: State, audit: Audit | None = None) -> None:
        self.state, self.audit = state, audit
        state.ensure(search_synonyms, search_synonym_history)
        self._lately = Lately(self._curated)

    def all(self) -> list[Synonym]:
        """Everything that stands, by phrase."""
        t = search_synonyms.c
        with self.state.engine.connect() as connection:
            rows = connection.execute(sa.select(search_synonyms).order_by(t.phrase, t.also)).mappings()
            return [_synonym(row) for row in rows]

    def curated(self) -> Curated:
        """What counts now; read from the database at most every half second."""
        return self._lately.get()

    def _curated(self) -> Curated:
        sides: dict[str, dict[str, tuple[str, ...]]] = {KEPT: {}, REFUSED: {}}
        for one in self.all():
            side = sides.setdefault(one.state, {})
            side[one.phrase] = (*side.get(one.phrase, ()), one.also)
        return Curated(sides[KEPT], sides[REFUSED])

    def add(self, phrase: str, also: str, who: str, now: datetime, *, both: bool = True) -> list[Synonym]:
        """Let two phrases say the same, the first in place of the second too unless `both` is false. On disk when it returns.

        Raises:
            QueryError: when a side is no phrase, both are one, or there are too many.
        """
        return self._put(phrase, also, KEPT, who, now, both=both)

    def refuse(self, phrase: str, also: str, who: str, now: datetime, *, both: bool = True) -> list[Synonym]:
        """Say that two phrases are not the same, so that what was learned no longer counts.

        Raises:
            QueryError: as `add`.
        """
        return self._put(phrase, also, REFUSED, who, now, both=both)

    def remove(self, phrase: str, also: str, who: str, now: datetime) -> list[Synonym]:
        """Take back what people said of two phrases, in both directions; what was learned counts again.

        Raises:
            NotFound: when nothing was said of them.
        """
        one, other = phrase_of(phrase, "phrase"), phrase_of(also, "also")
        t = search_synonyms.c
        here = sa.or_(sa.and_(t.phrase == one, t.also == other), sa.and_(t.phrase == other, t.also == one))
        with self.state.engine.begin() as connection:
            gone = [
                _synonym(row) for row in connection.execute(sa.select(search_synonyms).where(here)).mappings()
            ]
            if gone:
                connection.execute(search_synonyms.delete().where(here))
                for each in gone:
                    self._note(connection, "removed", each, who, now)
        if not gone:
            raise NotFound(
                f"nobody said that {one!r} and {other!r} are the same",
                mend="List them with `wares synonyms list`; refuse a learned one with `wares synonyms refuse`",
                id=f"{one}, {other}",
            )
        self._told("remove", gone, who)
        return gone

    def history(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Who said and took back what, newest first."""
        t = search_synonym_history
        with self.state.engine.connect() as connection:
            # The names that SQLAlchemy gives are no plain strings.
            return [
                {str(name): value for name, value in row.items()}
                for row in connection.execute(sa.select(t).order_by(t.c.seq.desc()).limit(limit)).mappings()
            ]

    def _put(
        self, phrase: str, also: str, state: str, who: str, now: datetime, *, both: bool
    ) -> list[Synonym]:
        one, other = phrase_of(phrase, "phrase"), phrase_of(also, "also")
        if one == other:
            raise QueryError(
                f"{one!r} is the same phrase twice", mend="Write two different ones", parameter="also"
            )
        pairs = [(one, other), (other, one)] if both else [(one, other)]
        made = [Synonym(a, b, state, who[:200], stamp(now)) for a, b in pairs]
        t = search_synonyms.c
        with self.state.engine.begin() as connection:
            total = int(
                connection.execute(sa.select(sa.func.count()).select_from(search_synonyms)).scalar() or 0
            )
            for each in made:
                connection.execute(
                    search_synonyms.delete().where(t.phrase == each.phrase, t.also == each.also)
                )
                has = connection.execute(
                    sa.select(sa.func.count()).select_from(search_synonyms).where(t.phrase == each.phrase)
                ).scalar()
                if int(has or 0) >= A_PHRASE or total >= MOST:
                    raise QueryError(
                        f"{each.phrase!r} has {A_PHRASE} synonyms already"
                        if total < MOST
                        else f"there are {MOST} synonyms already",
                        mend="Remove some first with `wares synonyms remove`",
                        parameter="phrase",
                    )
                connection.execute(search_synonyms.insert(), each.to_json())
                self._note(connection, state, each, who, now)
        self._told("add" if state == KEPT else "refuse", made, who)
        return made

    @staticmethod
    def _note(connection: sa.Connection, event: str, one: Synonym, who: str, now: datetime) -> None:
        values = {"at": stamp(now), "event": event, "phrase": one.phrase, "also": one.also, "who": who[:200]}
        connection.execute(search_synonym_history.insert(), values)

    def _told(self, deed: str, made: list[Synonym], who: str) -> None:
        self._lately.forget()
        if self.audit is not None:
            self.audit.record(
                who, f"search_synonym.{deed}", made[0].phrase, {"pairs": [[s.phrase, s.also] for s in made]}
            )


def _synonym(row: Mapping[Any, Any]) -> Synonym:
    return Synonym(**{str(name): value for name, value in row.items()})
