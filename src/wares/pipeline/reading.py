"""Steps that read a shop's texts: its classifier, and what every review, question and chat says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import keep_artifact, open_artifact, seal
from wares.core.errors import ConfigError, QueryError, WaresError
from wares.core.files import file_digest
from wares.core.strings import StringTable
from wares.data.engine import Engine
from wares.data.privacy.masking import masked
from wares.features.catalogue import Catalogue
from wares.models.sentiment import infer, readings
from wares.models.sentiment.aspect_catalogue import EVERYWHERE, AspectCatalogue
from wares.models.sentiment.languages import LANGUAGES, language_of
from wares.models.sentiment.opinions import KIND as ASPECT_MODEL
from wares.models.sentiment.opinions import AspectReader, Opinion
from wares.models.sentiment.reader import ASPECTS, GIVEN, LEXICON, MODEL, STARS, TERMS, Reader
from wares.models.sentiment.reader import KIND as READER
from wares.models.sentiment.spam import screen
from wares.models.sentiment.weak_train import train_from_stars
from wares.pipeline.plan import Context, Tick

SENTIMENT, READINGS = "sentiment", "readings"
TABLES = (c.REVIEWS, c.clean_name(c.REVIEWS), c.TEXTS, c.clean_name(c.TEXTS))
MODULES = tuple(
    f"wares.models.sentiment.{name}"
    for name in (
        "readings", "reader", "infer", "prepare", "neutral", "languages", "stars", "decision", "calibration", "linear_infer",
        "linear_train", "weak_train", "lexicon", "lexicon_words", "spam", "opinions", "opinion_seed", "opinion_text", "opinion_words",
        "aspect_catalogue",
    )
)  # fmt: skip
SETTINGS = ("sentiment.model", "sentiment.aspects", "sentiment.aspect_terms")
MOST_LETTERS = 2000
CHUNK = 2000
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
    files = context.files(table)
    if files is None:
        return []
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(files)
        names = (
            c.REVIEW_ID, c.TEXT_ID, c.KIND, c.PRODUCT_ID, c.USER_ID, c.RATING, c.TITLE, c.TEXT, c.AT, c.BRAND, c.SELLER, c.QUERY,
        )  # fmt: skip
        # A table written before a column was in its contract lacks it.
        return engine.arrow(rows.select(*(name for name in names if name in rows.columns))).to_pylist()


def build_sentiment(context: Context, folder: Path, tick: Tick) -> Any:
    """The shop's classifier: the one that is named, or learned from the stars of its reviews, or a list of words; and the
    model and the terms of aspects that are named.

    Raises:
        ConfigError: when what is named cannot be read.
    """
    model, aspects, terms = named(context)
    if aspects is not None:
        keep_artifact(aspects, folder / ASPECTS, ASPECT_MODEL)
    if terms is not None:
        AspectCatalogue.load(terms).save(folder / TERMS)
    if model is not None:
        keep_artifact(model, folder / MODEL, infer.KIND)
        return seal(folder, READER, source=GIVEN)
    said = texts_of(context)
    stars = readings.stars_of(np.array([one.rating for one in said], float))
    there = np.flatnonzero(~np.isnan(stars))
    texts = [masked(said[i].text) for i in there.tolist()]
    try:
        counted = screen(texts, [said[i].user for i in there.tolist()]).flags == 0
        (folder / MODEL).mkdir(parents=True)
        report = train_from_stars(
            texts, stars[there], folder / MODEL, counted=counted, seed=context.config.shop.seed
        )
    except QueryError as error:
        # Too few stars to learn from is the usual state of a young shop, and the manifest says it.
        (folder / MODEL).rmdir()
        return seal(folder, READER, source=LEXICON, why=str(error))
    return seal(
        folder,
        READER,
        source=STARS,
        learned={k: v for k, v in report.items() if k not in ("minutes", "seconds")},
    )


def named(context: Context) -> tuple[Path | None, Path | None, Path | None]:
    """What the configuration names: the classifier, the model of aspects, the confirmed terms of aspects.

    Raises:
        ConfigError: when one of them cannot be read.
    """
    settings, root = context.config.sentiment, context.root
    return (
        _named(root, settings.model, "model", infer.Sentiment, "wares tune sentiment --out DIR"),
        _named(root, settings.aspects, "aspects", AspectReader, "wares tune aspects --out DIR"),
        _named(
            root, settings.aspect_terms, "aspect_terms", AspectCatalogue.load, "wares label confirm-aspects"
        ),
    )


def _named(root: Path, name: str, key: str, read: Callable[[Path], object], command: str) -> Path | None:
    if not name:
        return None
    try:
        read(root / name)
    except WaresError as error:
        raise ConfigError(
            f"{name!r} cannot be read: {error}", mend=f"Make it with `{command}`", key=f"sentiment.{key}", source="wares.toml",
        ) from error  # fmt: skip
    return root / name


def content_named(context: Context) -> list[str]:
    """What the named ones are, so that others in the same place are seen."""
    model, aspects, terms = named(context)
    return [
        "" if model is None else str(open_artifact(model, infer.KIND)["hash"]),
        "" if aspects is None else str(open_artifact(aspects, ASPECT_MODEL)["hash"]),
        "" if terms is None else file_digest(terms),
    ]


def build_readings(context: Context, folder: Path, tick: Tick) -> Any:
    """Read every text of the shop: mood, language, copies and advertising, opinions."""
    said = texts_of(context)
    reader = Reader(context.done[SENTIMENT], context.config.build.threads)
    catalogue = Catalogue(context.done["catalogue"])
    product = np.array([catalogue.row(one.product) if one.product else -1 for one in said], np.int32)
    categories = catalogue.columns[c.CATEGORY]
    category = [str(categories[row]) if row >= 0 else EVERYWHERE for row in product.tolist()]
    texts: list[str] = []
    opinions: list[list[Opinion]] = []
    mood, confidence, sure = (np.zeros(len(said), kind) for kind in (np.float32, np.float32, bool))
    for low in range(0, len(said), CHUNK):
        some = [masked(one.text)[:MOST_LETTERS] for one in said[low : low + CHUNK]]
        texts += some
        for i, verdict in enumerate(reader.read(some, category[low : low + CHUNK])):
            mood[low + i] = 0.0 if verdict.mood is None else verdict.mood
            confidence[low + i], sure[low + i] = verdict.probability, verdict.sure
        opinions += _opinions(reader, some, category[low : low + CHUNK])
        tick(low + len(some), len(said))
    users, author = readings.numbered([one.user for one in said])
    brands, brand = readings.numbered([one.brand for one in said])
    sellers, seller = readings.numbered([one.seller for one in said])
    queries, query = readings.numbered([one.query for one in said])
    kinds = tuple(sorted({one.kind for one in said}))
    flat = [(i, one) for i, ones in enumerate(opinions) for one in ones]
    aspects = tuple(dict.fromkeys([*reader.aspects().aspects, *(one.aspect for _, one in flat)]))
    place = {name: i for i, name in enumerate(aspects)}

    def spans(name: str) -> NDArray[np.int32]:
        return np.array([getattr(one, name) for _, one in flat], np.int32)

    found = readings.Readings(
        ids=StringTable.of(f"{one.kind}:{one.key}" for one in said), texts=StringTable.of(texts), users=users, brands=brands,
        sellers=sellers, queries=queries, kinds=kinds, languages=LANGUAGES, aspects=aspects,
        kind=np.array([kinds.index(one.kind) for one in said], np.int8), product=product,
        author=author, brand=brand, seller=seller, query=query, at=np.array([one.micros for one in said], np.int64),
        language=np.array([LANGUAGES.index(language_of(text)) for text in texts], np.int8),
        stars=readings.stars_of(np.array([one.rating for one in said], float)),
        mood=mood, confidence=confidence, sure=sure, flags=screen(texts, [one.user for one in said]).flags,
        op_text=np.array([i for i, _ in flat], np.int32), op_aspect=np.array([place[one.aspect] for _, one in flat], np.int16),
        op_polarity=np.array([one.polarity for _, one in flat], np.float32), op_start=spans("start"), op_end=spans("end"),
        op_term_start=spans("term_start"), op_term_end=spans("term_end"), trained=reader.trained, source=reader.source,
    )  # fmt: skip
    return found.save(folder)


def _opinions(reader: Reader, texts: Sequence[str], categories: Sequence[str]) -> list[list[Opinion]]:
    """Opinions of each text by what reads its category, each kind of reader asked once."""
    out: list[list[Opinion]] = [[] for _ in texts]
    rows: dict[int, tuple[AspectReader, list[int]]] = {}
    for i, category in enumerate(categories):
        asked = reader.aspects(category)
        rows.setdefault(id(asked), (asked, []))[1].append(i)
    for asked, some in rows.values():
        for i, found in zip(some, asked.read([texts[i] for i in some]), strict=True):
            out[i] = found
    return out
