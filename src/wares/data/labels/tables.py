"""State tables of the labelling room. History is never overwritten: a newer answer makes the older one not ``live``."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
_ID = sa.Integer().with_variant(sa.BigInteger, "postgresql")

projects = sa.Table(
    "label_projects",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("level", sa.String(10), nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("overlap", sa.Integer, nullable=False),
    sa.Column("lease_s", sa.Integer, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
)

items = sa.Table(
    "label_items",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("project", sa.Integer, sa.ForeignKey("label_projects.id"), nullable=False),
    sa.Column("key", sa.String(300), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    # The person the payload is about, so that an erasure finds them.
    sa.Column("subject", sa.Text, nullable=True, index=True),
    sa.Column("asset", sa.String(300), nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("priority", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("gold", sa.String(200), nullable=True),
    sa.Column("need", sa.Integer, nullable=False),
    sa.Column("given", sa.Integer, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.UniqueConstraint("project", "key"),
    sa.Index("label_items_queue", "project", "priority", "id"),
)

annotations = sa.Table(
    "label_annotations",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("project", sa.Integer, nullable=False, index=True),
    sa.Column("item", _ID, sa.ForeignKey("label_items.id"), nullable=False, index=True),
    sa.Column("annotator", sa.String(100), nullable=False, index=True),
    sa.Column("machine", sa.Boolean, nullable=False),
    sa.Column("value", sa.String(200), nullable=False),
    sa.Column("confidence", sa.Float, nullable=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("asset_version", sa.Integer, nullable=True),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("seconds", sa.Float, nullable=True),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("replaces", _ID, nullable=True),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("ended", sa.String(40), nullable=True),
)

leases = sa.Table(
    "label_leases",
    metadata,
    sa.Column("item", _ID, sa.ForeignKey("label_items.id"), primary_key=True),
    sa.Column("annotator", sa.String(100), primary_key=True),
    sa.Column("project", sa.Integer, nullable=False, index=True),
    sa.Column("until", sa.Float, nullable=False),
)

skips = sa.Table(
    "label_skips",
    metadata,
    sa.Column("item", _ID, sa.ForeignKey("label_items.id"), primary_key=True),
    sa.Column("annotator", sa.String(100), primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("project", sa.Integer, nullable=False, index=True),
    sa.Column("at", sa.String(40), nullable=False),
)

adjudications = sa.Table(
    "label_adjudications",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("project", sa.Integer, nullable=False, index=True),
    sa.Column("item", _ID, sa.ForeignKey("label_items.id"), nullable=False, index=True),
    sa.Column("value", sa.String(200), nullable=False),
    sa.Column("method", sa.String(20), nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
)

exclusions = sa.Table(
    "label_exclusions",
    metadata,
    sa.Column("project", sa.Integer, primary_key=True),
    sa.Column("annotator", sa.String(100), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
)

TABLES = (projects, items, annotations, leases, skips, adjudications, exclusions)
