"""Which columns are personal: defaults from names and kinds, then what a scan found, then what a person said.

Access masks a column that is ``personal`` or ``maybe`` for every role but the owner; erasure matches the subject
against the identifier columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wares.core import columns as c
from wares.core.errors import QueryError
from wares.core.state import State, stamp
from wares.data.mapping import SYNONYMS

metadata = sa.MetaData()

column_tags = sa.Table(
    "column_tags",
    metadata,
    sa.Column("asset", sa.String(100), primary_key=True),
    sa.Column("column", sa.String(200), primary_key=True),
    sa.Column("personal", sa.String(10), nullable=False),
    sa.Column("kinds", sa.Text, nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("source", sa.String(10), nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("at", sa.String(40), nullable=False),
)

YES, MAYBE, NO = "yes", "maybe", "no"
ID_KINDS = ("user id", "session id")

_FREE = {
    c.REVIEWS: (c.TITLE, c.TEXT),
    c.TEXTS: (c.TEXT, c.QUERY),
    c.QUERIES: (c.TEXT,),
    c.PRODUCTS: (),
}
# Column names that tell of a person, wherever they stand; compared without case, spaces and underscores.
_NAMED: dict[str, tuple[str, ...]] = {
    "user id": (*SYNONYMS[c.EVENTS][c.USER_ID], "buyerid", "accountid", "pseudonym", "subject"),
    "session id": ("sessionid", "session", "basketid", "visitid", "会话"),
    "email": ("email", "mail", "emailaddress", "邮箱", "电子邮件"),
    "phone": ("phone", "phonenumber", "telephone", "tel", "mobile", "fax", "手机", "手机号", "电话"),
    "name": ("firstname", "lastname", "fullname", "surname", "givenname", "username", "customername", "reviewername", "nickname", "姓名", "收货人", "昵称"),
    "address": ("address", "street", "streetaddress", "postcode", "zip", "zipcode", "postalcode", "地址", "收货地址", "邮编"),
    "identity number": ("ssn", "passport", "nationalid", "idcard", "idnumber", "taxid", "身份证", "身份证号"),
    "birthday": ("birthday", "birthdate", "dateofbirth", "dob", "生日", "出生日期"),
    "ip address": ("ip", "ipaddress", "clientip", "remoteaddr"),
    "payment": ("iban", "cardnumber", "creditcard", "pan", "accountnumber", "银行卡号"),
    "location": ("latitude", "longitude", "geolocation"),
    "device": ("deviceid", "imei", "macaddress", "cookie", "cookieid", "advertisingid", "idfa"),
}  # fmt: skip
_BY_NAME = {word: kind for kind, words in _NAMED.items() for word in words}


@dataclass(frozen=True, slots=True)
class Tag:
    """What is known of a column: ``personal`` is yes, maybe or no; ``share`` is the part of sampled cells with a finding."""

    asset: str
    column: str
    personal: str
    kinds: tuple[str, ...] = ()
    share: float = 0.0
    source: str = "default"
    version: int | None = None

    @property
    def hidden(self) -> bool:
        """Whether roles other than the owner see it masked by default."""
        return self.personal != NO

    @property
    def identifies(self) -> bool:
        """Whether its values are ids of people or of their visits."""
        return any(kind in ID_KINDS for kind in self.kinds)


def plain(name: str) -> str:
    """A column name without case, spaces and signs."""
    return "".join(ch for ch in name.casefold() if ch.isalnum())


def kind_of_name(name: str) -> str:
    """What a column's name says of it, as ``email``; empty when nothing."""
    return _BY_NAME.get(plain(name), "")


def default_tag(asset: str, column: str) -> Tag:
    """What holds before anything was scanned: ids and telling names are personal, free text may be."""
    base = asset.removesuffix("_clean")
    if base == c.QUARANTINE and column in ("row", "value"):
        return Tag(asset, column, YES, ("raw row",))
    kind = kind_of_name(column)
    if kind and not (base in (c.PRODUCTS, c.PRICES) and kind not in ("email", "phone")):
        return Tag(asset, column, YES, (kind,))
    free = _FREE.get(base)
    if free is None:
        free = (c.TEXT, "comment", "message", "note", "notes", "body")
    if column in free or any(column == f"{name}{end}" for name in free for end in ("_raw", "_clean")):
        return Tag(asset, column, MAYBE, ("free text",))
    return Tag(asset, column, NO)


def tags_of(state: State | None, asset: str, columns: Iterable[str]) -> dict[str, Tag]:
    """The tag of every column: what a person said, or else a scan, or else the default.

    A scan can raise the default but not lower it: an id column stays personal though nothing was found in it.
    """
    out = {name: default_tag(asset, name) for name in columns}
    if state is None:
        return out
    state.ensure(column_tags)
    with state.engine.connect() as connection:
        for row in connection.execute(sa.select(column_tags).where(column_tags.c.asset == asset)).mappings():
            tag = _tag(row)
            old = out.get(tag.column)
            if old is not None and (tag.source != "scan" or old.personal != YES):
                kinds = tag.kinds if tag.kinds or tag.personal == NO else old.kinds
                out[tag.column] = Tag(
                    asset, tag.column, tag.personal, kinds, tag.share, tag.source, tag.version
                )
            elif old is not None and tag.kinds:
                kinds = tuple(dict.fromkeys((*old.kinds, *tag.kinds)))
                out[tag.column] = Tag(asset, tag.column, YES, kinds, tag.share, "scan", tag.version)
    return out


def set_tag(
    state: State,
    asset: str,
    column: str,
    personal: str,
    kinds: Iterable[str] = (),
    *,
    share: float = 0.0,
    source: str = "person",
    version: int | None = None,
) -> None:
    """Store what a scan found or a person said; a scan does not overwrite what a person said.

    Raises:
        QueryError: when `personal` is not yes, maybe or no.
    """
    if personal not in (YES, MAYBE, NO):
        raise QueryError(f"personal: {personal!r}", mend="Use yes, maybe or no", parameter="personal")
    state.ensure(column_tags)
    here = (column_tags.c.asset == asset) & (column_tags.c.column == column)
    row: dict[str, Any] = {
        "asset": asset, "column": column, "personal": personal, "kinds": json.dumps(list(kinds), ensure_ascii=False),
        "share": float(share), "source": source, "version": version, "at": stamp(),
    }  # fmt: skip
    with state.engine.begin() as connection:
        said = connection.execute(sa.select(column_tags.c.source).where(here)).scalar_one_or_none()
        if said == "person" and source == "scan":
            return
        connection.execute(column_tags.delete().where(here))
        connection.execute(column_tags.insert(), row)


def all_tags(state: State) -> list[Tag]:
    """Every stored tag, by asset and column; defaults are not stored."""
    state.ensure(column_tags)
    with state.engine.connect() as connection:
        query = sa.select(column_tags).order_by(column_tags.c.asset, column_tags.c.column)
        return [_tag(row) for row in connection.execute(query).mappings()]


def _tag(row: Any) -> Tag:
    return Tag(
        row["asset"], row["column"], row["personal"], tuple(json.loads(row["kinds"])), row["share"], row["source"], row["version"]
    )  # fmt: skip
