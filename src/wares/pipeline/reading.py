"""Steps that read a shop's texts: its classifier, and what every review, question and chat says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import keep_artifact, open_artifact, seal
from wares.core.errors import ConfigError, WaresError
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.data.privacy.masking import masked
from wares.features.catalogue import Catalogue
from wares.models.sentiment import infer, readings
from wares.models.sentiment.labelled import LabelledTexts
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.prepare import is_chinese, prepared
from wares.models.sentiment.reader import GIVEN, MODEL, NONE, STARS, Reader
from wares.models.sentiment.reader import KIND as READER
from wares.models.sentiment.train import train_sentiment
from wares.pipeline.plan import Context, Tick

SENTIMENT, READINGS = "sentiment", "readings"
TABLES = (c.REVIEWS, c.clean_name(c.REVIEWS), c.TEXTS, c.clean_name(c.TEXTS))
MODULES = tuple(
    f"wares.models.sentiment.{name}"
    for name in ("readings", "reader", "infer", "prepare", "labelled", "train", "linear_train", "linear_infer", "calibration")
)  # fmt: skip
FEWEST = 20
"""Texts of each mood without which nothing is learned from stars."""
MOST_LETTERS = 2000
CHUNK = 2000
VALID = 0.1
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Said:
    """One text of a shop before it is read."""

    kind: str
    key: str
    text: str
    product: str | None
    user: str | None
    at: datetime | None
    rating: float
    brand: str | None = None
    seller: str | None = None
    query: str | None = None

    @property
    def micros(self) -> int:
        """Microseconds since 1970 UTC; -1 for a text without a date."""
        if self.at is None:
            return readings.UNDATED
        past = self.at - EPOCH
        return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def texts_of(context: Context) -> list[Said]:
    """Reviews and other texts by time and id."""
    out = [
        Said(
            readings.REVIEW, str(row[c.REVIEW_ID]), "\n".join(part for part in (row.get(c.TITLE), row.get(c.TEXT)) if part),
            row.get(c.PRODUCT_ID), row.get(c.USER_ID), row.get(c.AT), float("nan") if row.get(c.RATING) is None else float(row[c.RATING]),
            seller=row.get(c.SELLER),
        )
        for row in _rows(context, c.REVIEWS)
    ]  # fmt: skip
    out += [
        Said(
            str(row[c.KIND] or "other"), str(row[c.TEXT_ID]), str(row[c.TEXT] or ""), row.get(c.PRODUCT_ID), row.get(c.USER_ID),
            row.get(c.AT), float("nan"), row.get(c.BRAND), row.get(c.SELLER), row.get(c.QUERY),
        )
        for row in _rows(context, c.TEXTS)
    ]  # fmt: skip
    return sorted(out, key=lambda said: (said.micros, said.kind, said.key))


def _rows(context: Context, table: str) -> list[dict[str, Any]]:
    clean = c.clean_name(table)
    source = clean if clean in context.versions else table
    if source not in context.versions:
        return []
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(context.store.files(source, context.versions[source]))
        names = (
            c.REVIEW_ID, c.TEXT_ID, c.KIND, c.PRODUCT_ID, c.USER_ID, c.RATING, c.TITLE, c.TEXT, c.AT, c.BRAND, c.SELLER, c.QUERY,
        )  # fmt: skip
        # A table written before a column was in its contract lacks it.
        return engine.arrow(rows.select(*(name for name in names if name in rows.columns))).to_pylist()


def build_sentiment(context: Context, folder: Path, tick: Tick) -> Any:
    """The shop's classifier: the one that is named, or learned from the stars of its reviews, or none.

    Raises:
        ConfigError: when the named one cannot be read.
    """
    named = named_model(context)
    if named is not None:
        keep_artifact(named, folder / MODEL, infer.KIND)
        return seal(folder, READER, source=GIVEN)
    facts = _from_stars(texts_of(context), folder, context.config.shop.seed, tick)
    return seal(folder, READER, source=NONE if facts is None else STARS, **(facts or {}))


def named_model(context: Context) -> Path | None:
    """The folder of the classifier that the configuration names.

    Raises:
        ConfigError: when there is none in it.
    """
    named = context.config.sentiment.model
    if not named:
        return None
    try:
        infer.Sentiment(context.root / named)
    except WaresError as error:
        raise ConfigError(
            f"the classifier {named!r} cannot be read: {error}",
            mend="Make one with `wares tune sentiment --out DIR`", key="sentiment.model", source="wares.toml",
        ) from error  # fmt: skip
    return context.root / named


def model_named(context: Context) -> str:
    """What the named classifier is, so that another in the same folder is seen."""
    named = named_model(context)
    return "" if named is None else str(open_artifact(named, infer.KIND)["hash"])


def _from_stars(texts: list[Said], folder: Path, seed: int, tick: Tick) -> dict[str, Any] | None:
    stars = readings.stars_of(np.array([said.rating for said in texts], float))
    there = [i for i, said in enumerate(texts) if not np.isnan(stars[i]) and prepared(said.text)]
    labels = np.array([0 if stars[i] < 2.5 else 1 if stars[i] < 3.5 else 2 for i in there], np.int64)
    if len(there) == 0 or np.bincount(labels, minlength=3).min() < FEWEST:
        return None
    rows = LabelledTexts([masked(texts[i].text) for i in there], labels, ("negative", "neutral", "positive"))
    held = np.random.default_rng(seed).random(len(rows)) < VALID
    held |= np.arange(len(rows)) == int(np.flatnonzero(~held)[-1])
    (folder / MODEL).mkdir(parents=True)
    report = train_sentiment(rows.some(~held), rows.some(held), folder / MODEL)
    return {"texts": len(rows), "valid": report["valid"]}


def build_readings(context: Context, folder: Path, tick: Tick) -> Any:
    """Read every text of the shop."""
    said = texts_of(context)
    reader = Reader(context.done[SENTIMENT], context.config.build.threads)
    catalogue = Catalogue(context.done["catalogue"])
    texts: list[str] = []
    mood, confidence, sure = (np.zeros(len(said), kind) for kind in (np.float32, np.float32, bool))
    for low in range(0, len(said), CHUNK):
        some = [masked(one.text)[:MOST_LETTERS] for one in said[low : low + CHUNK]]
        texts += some
        for i, verdict in enumerate(reader.read(some)):
            mood[low + i] = 0.0 if verdict.mood is None else verdict.mood
            confidence[low + i], sure[low + i] = verdict.probability, verdict.sure
        tick(low + len(some), len(said))
    users, author = readings.numbered([one.user for one in said])
    brands, brand = readings.numbered([one.brand for one in said])
    sellers, seller = readings.numbered([one.seller for one in said])
    queries, query = readings.numbered([one.query for one in said])
    kinds = tuple(sorted({one.kind for one in said}))
    aspects = AspectReader()
    said_of = [one for low in range(0, len(texts), CHUNK) for one in aspects.read(texts[low : low + CHUNK])]
    place = {name: i for i, name in enumerate(aspects.aspects)}
    flat = [(i, one) for i, ones in enumerate(said_of) for one in ones]

    def spans(name: str) -> NDArray[np.int32]:
        return np.array([getattr(one, name) for _, one in flat], np.int32)

    found = readings.Readings(
        ids=StringTable.of(f"{one.kind}:{one.key}" for one in said), texts=StringTable.of(texts), users=users, brands=brands,
        sellers=sellers, queries=queries, kinds=kinds, languages=readings.LANGUAGES, aspects=aspects.aspects,
        kind=np.array([kinds.index(one.kind) for one in said], np.int8),
        product=np.array([catalogue.row(one.product) if one.product else -1 for one in said], np.int32),
        author=author, brand=brand, seller=seller, query=query, at=np.array([one.micros for one in said], np.int64),
        language=np.array([_language(text) for text in texts], np.int8),
        stars=readings.stars_of(np.array([one.rating for one in said], float)),
        mood=mood, confidence=confidence, sure=sure, flags=_flags(said, texts),
        op_text=np.array([i for i, _ in flat], np.int32), op_aspect=np.array([place[one.aspect] for _, one in flat], np.int16),
        op_polarity=np.array([one.polarity for _, one in flat], np.float32), op_start=spans("start"), op_end=spans("end"),
        op_term_start=spans("term_start"), op_term_end=spans("term_end"), trained=reader.trained, source=reader.source,
    )  # fmt: skip
    return found.save(folder)


def _language(text: str) -> int:
    if is_chinese(text):
        return readings.LANGUAGES.index("zh")
    return readings.LANGUAGES.index(
        "en" if any(letter.isascii() and letter.isalpha() for letter in text) else "other"
    )


def _flags(said: Sequence[Said], texts: Sequence[str]) -> NDArray[np.uint8]:
    out, seen = np.zeros(len(said), np.uint8), set[tuple[str | None, str]]()
    for i, (one, text) in enumerate(zip(said, texts, strict=True)):
        plain = prepared(text)
        if not plain:
            out[i] |= readings.BLANK
        elif (one.product, plain) in seen:
            out[i] |= readings.DUPLICATE
        seen.add((one.product, plain))
    return out
