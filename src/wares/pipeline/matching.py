"""``wares match``: which records of two files are one thing, or whether two products are; with a trained matcher or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.config import FILE, Config
from wares.core.errors import ConfigError, QueryError
from wares.core.identifiers import clean_identifier
from wares.data.fusion.blocking import Pairs
from wares.data.fusion.evidence import Evidence
from wares.data.fusion.matcher import Settings, candidates, match_offers
from wares.data.fusion.offers import Offers, coded
from wares.evaluate.dedupe import read_table
from wares.features.pair_evidence import PairReader, Sheet
from wares.features.pair_fields import Fields, Record, clean, number
from wares.features.pair_words import Reason, reasons
from wares.models.similar.match_infer import Matcher

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

NEAR = 10
IDS = ("product_id", "id", "sku", "offer_id", "asin")
UNSUPERVISED = (
    "unsupervised: Fellegi–Sunter, fitted to these records without labels; read its probabilities as an order"
)
NOTHING = "no probability: there is no trained matcher, and two records alone teach no judge"
CHUNK = 200_000


@dataclass(frozen=True)
class Found:
    """One pair: rows in the two files, probability (None: nothing to judge by), whether it reaches the threshold, why."""

    left: int
    right: int
    probability: float | None
    same: bool
    why: tuple[Reason, ...]


@dataclass(frozen=True)
class Answer:
    """All pairs found, most probable first; `judge` says who judged, `threshold` from where on pairs are the same."""

    left: list[Record]
    right: list[Record]
    pairs: list[Found]
    candidates: int
    judge: str
    threshold: float

    def rows(self) -> Iterator[dict[str, Any]]:
        """The pairs as flat rows for a file."""
        for pair in self.pairs:
            a, b = self.left[pair.left], self.right[pair.right]
            yield {
                "left_id": _id(a, pair.left), "right_id": _id(b, pair.right), "left": shown(a), "right": shown(b),
                "probability": None if pair.probability is None else round(pair.probability, 4), "same": pair.same,
                "for": "; ".join(r.text for r in pair.why if r.side == "for"),
                "against": "; ".join(r.text for r in pair.why if r.side == "against"),
            }  # fmt: skip


def read_records(path: Path, renamed: Mapping[str, str]) -> list[Record]:
    """The rows of a product file as records; columns are `renamed` to what the matcher calls them.

    Raises:
        QueryError: when a renamed column is not there, or the file has no rows.
        SourceError: when nothing can be read.
    """
    table = read_table(path)
    names = {name: renamed.get(name, name) for name in table}
    if len(set(names.values())) < len(names):
        raise QueryError(
            f"two columns of {path.name} would have one name", mend="Rename them apart", parameter="rename"
        )
    rows = len(next(iter(table.values())))
    return [{names[name]: clean(values[at]) for name, values in table.items()} for at in range(rows)]


def match_records(
    left: Sequence[Record], right: Sequence[Record], matcher: Matcher | None, *, threshold: float | None = None,
    one_to_one: bool = False, near: int = NEAR, seed: int = 7, progress: Callable[[str], None] = lambda _: None,
) -> Answer:  # fmt: skip
    """Pairs of two lists of products that are one thing.

    Each record meets its `near` nearest of the other list by words and by character pieces, those with the same text and
    those with the same identifier; the matcher judges these. With `one_to_one` the most probable pair is taken first, and
    its two records are in no other pair.
    """
    records = [*left, *right]
    fields = matcher.reader.fields if matcher is not None else _fields(records)
    side = ["left"] * len(left) + ["right"] * len(right)
    offers = offers_of(records, fields, side)
    progress("block")
    if matcher is None:
        matching = match_offers(offers, None, Settings(near=near, one_per_source=one_to_one, across=True, seed=seed), progress)  # fmt: skip
        pairs, probability, limit, judge = (
            matching.pairs,
            matching.probability,
            matching.threshold,
            UNSUPERVISED,
        )
        sheet = PairReader.of(records, fields).read(records)
    else:
        pairs = candidates(Evidence(offers), near, coded(side))
        progress("read")
        sheet = matcher.read(records)
        matcher = matcher.among_records(left, right)
        parts = []
        for start in range(0, len(pairs), CHUNK):
            progress(f"judge {start:,} of {len(pairs):,}")
            parts.append(matcher.judge(sheet, pairs[start : start + CHUNK], progress).probability)
        probability = np.concatenate(parts) if parts else np.zeros(0)
        limit, judge = matcher.threshold, "trained matcher"
    limit = limit if threshold is None else threshold
    kept = np.flatnonzero(probability >= limit)
    kept = kept[np.lexsort((pairs[kept, 1], pairs[kept, 0], -probability[kept]))]
    if one_to_one:
        kept = _one_to_one(pairs, kept)
    found = [
        Found(int(a), int(b) - len(left), float(p), True, tuple(reasons(sheet, int(a), int(b))))
        for (a, b), p in zip(pairs[kept].tolist(), probability[kept].tolist(), strict=True)
    ]
    return Answer(list(left), list(right), found, len(pairs), judge, limit)


def match_two(left: Record, right: Record, matcher: Matcher | None, threshold: float | None = None) -> Answer:
    """Whether two records are one thing; without a matcher only the evidence in words.

    Raises:
        QueryError: when either says nothing.
    """
    for record in (left, right):
        if not any(record.values()):
            raise QueryError(
                "one of the two says nothing",
                mend="Give a text, a file or the id of a product",
                parameter="A",
            )
    sheet: Sheet
    if matcher is None:
        records = [left, right]
        sheet = PairReader.of(records, _fields(records)).read(records)
        found = Found(0, 0, None, False, tuple(reasons(sheet, 0, 1)))
        return Answer([left], [right], [found], 1, NOTHING, threshold or 0.5)
    sheet = matcher.read([left, right])
    probability = float(matcher.judge(sheet, np.asarray([[0, 1]])).probability[0])
    limit = matcher.threshold if threshold is None else threshold
    found = Found(0, 0, probability, probability >= limit, tuple(matcher.why(sheet, 0, 1)))
    return Answer([left], [right], [found], 1, "trained matcher", limit)


def match_in_shop(shop: Workspace, left: str, right: str) -> Answer | None:
    """Two products of a shop by the unsupervised judge of fusion, fitted to all its products; None when one is unknown."""
    from wares.data.fusion.run import offers_from

    if not shop.store.exists(c.PRODUCTS):
        return None
    _, _, rows = shop.fuser.products()
    at = {str(row[c.PRODUCT_ID]): place for place, row in enumerate(rows)}
    if left not in at or right not in at:
        return None
    asked = np.asarray([sorted((at[left], at[right]))], np.int64)
    if left == right:
        raise QueryError("both are the same product", mend="Name two", parameter="B")
    matching = match_offers(offers_from(rows, shop.config.fusion.source), None, Settings(seed=shop.config.shop.seed), ask=asked)  # fmt: skip
    place = np.flatnonzero((matching.pairs == asked[0]).all(axis=1))
    # A pair inside one source that lists a thing once is judged by no one.
    probability = float(matching.probability[place[0]]) if len(place) else 0.0
    records = [product_record(rows[at[name]]) for name in (left, right)]
    sheet = PairReader.of(records, _fields(records)).read(records)
    found = Found(0, 0, probability, probability >= matching.threshold, tuple(reasons(sheet, 0, 1)))
    return Answer([records[0]], [records[1]], [found], 1, UNSUPERVISED, matching.threshold)


def product_record(row: Mapping[str, Any]) -> Record:
    """A row of the products table as a record; size stands with the title, as fusion reads it."""
    title = " ".join(str(row[name]) for name in (c.TITLE, c.SIZE) if row.get(name))
    out = {c.TITLE: clean(title)}
    for name in (c.DESCRIPTION, c.BRAND, c.CATEGORY, c.PRICE):
        value = row.get(name)
        out[name] = clean("" if value is None else str(value))
    return out


def as_matcher_reads(record: Record, matcher: Matcher, named: Mapping[str, str]) -> Record:
    """A product under the fields of a matcher; `named` gives those that have another name in products."""
    fields = matcher.reader.fields
    out = {name: record.get(named.get(name, name), "") for name in fields.names}
    return {**out, fields.title: out[fields.title] or record.get(c.TITLE, "")}


def open_matcher(path: Path | None, shop: Path) -> Matcher | None:
    """The matcher that was named, else the one of the shop's configuration, else None.

    Raises:
        IncompatibleArtifact: when the folder holds no matcher.
    """
    from wares.core.config import load_config

    if path is None and (shop / FILE).is_file():
        folder = matcher_folder(load_config(shop / FILE), shop)
        return Matcher(folder) if folder is not None else None
    return Matcher(path) if path is not None else None


def matcher_folder(config: Config, root: Path) -> Path | None:
    """The folder of the matcher that the configuration names, or None when it names none.

    Raises:
        ConfigError: when it names one that is not there.
    """
    if not config.fusion.matcher:
        return None
    folder = (root / config.fusion.matcher).resolve()
    if not folder.is_dir():
        raise ConfigError(
            f"there is no matcher in {folder}",
            mend="Train one: wares tune match --train FILE --out FOLDER",
            key="fusion.matcher",
            source=FILE,
        )
    return folder


class FusionJudge:
    """A trained matcher as fusion asks it: offers and pairs of them in, probabilities out; `threshold` is its own."""

    def __init__(self, folder: Path, fields: Mapping[str, str]) -> None:
        self.matcher = Matcher(folder)
        self.threshold = self.matcher.threshold
        unknown = sorted(set(fields) - set(self.matcher.reader.fields.names))
        if unknown:
            raise ConfigError(
                f"the matcher has no field {', '.join(unknown)}; it has {', '.join(self.matcher.reader.fields.names)}",
                mend="Write the matcher's field before the product's column",
                key="fusion.matcher_fields",
                source=FILE,
            )
        self._fields = {name: fields.get(name, name) for name in self.matcher.reader.fields.names}
        if c.TITLE not in self._fields.values():
            title = self.matcher.reader.fields.title
            self._fields[title] = fields.get(title, c.TITLE)

    def __call__(
        self, offers: Offers, pairs: Pairs, progress: Callable[[str], None] = lambda _: None
    ) -> NDArray[np.float64]:
        """Probability ``(len(pairs),)`` of each pair of rows."""
        sheet = self.matcher.read(list(self.records(offers)))
        parts = [np.zeros(0)]
        for start in range(0, len(pairs), CHUNK):
            progress(f"matcher {start:,} of {len(pairs):,}")
            parts.append(self.matcher.judge(sheet, pairs[start : start + CHUNK], progress).probability)
        return np.concatenate(parts)

    def records(self, offers: Offers) -> Iterator[Record]:
        """The offers under the names that the matcher knows; what they lack is empty."""
        columns: dict[str, Sequence[str]] = {c.TITLE: offers.title, **offers.texts, **offers.labels}
        columns |= {
            name: ["" if np.isnan(v) else f"{v:g}" for v in values] for name, values in offers.numbers.items()
        }
        columns |= {
            name: [v.partition(":")[2] for v in values] for name, values in offers.identifiers.items()
        }
        for at in range(len(offers)):
            yield {
                name: columns[column][at] if column in columns else ""
                for name, column in self._fields.items()
            }


def fusion_judge(config: Config, root: Path) -> FusionJudge | None:
    """The judge that the configuration names, or None.

    Raises:
        ConfigError: when it names one that is not there, or fields that it has not.
    """
    folder = matcher_folder(config, root)
    return None if folder is None else FusionJudge(folder, config.fusion.matcher_fields)


def _fields(records: Sequence[Record]) -> Fields:
    try:
        return Fields.of(records)
    except ValueError:
        raise QueryError(
            "no record says anything", mend="Check the columns of the files", parameter="A"
        ) from None


def offers_of(records: Sequence[Record], fields: Fields, side: list[str]) -> Offers:
    """Records as fusion blocks and compares them; the title is everything that reads when fields are few."""
    texts = {name: [record.get(name, "") for record in records] for name in fields.texts}
    titles = [record.get(fields.title, "") for record in records]
    # Values slip columns: a record without a title is blocked by whatever else it says.
    titles = [title or fields.whole(record) for title, record in zip(titles, records, strict=True)]
    numbers = {
        name: np.asarray([np.nan if (v := number(r.get(name, ""))) is None else v for r in records]) for name in fields.numbers
    }  # fmt: skip
    labels = {name: [record.get(name, "").casefold() for record in records] for name in fields.labels}
    identifiers = {name: [clean_identifier(r.get(name, "")) for r in records] for name in fields.identifiers}
    return Offers(titles, texts, labels, numbers, identifiers, side)


def _one_to_one(pairs: Pairs, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    taken: set[int] = set()
    out = []
    for at in kept.tolist():
        a, b = pairs[at].tolist()
        if a not in taken and b not in taken:
            taken |= {a, b}
            out.append(at)
    return np.asarray(out, np.int64)


def _id(record: Record, row: int) -> str:
    return next((value for name in IDS if (value := record.get(name, ""))), str(row + 1))


def shown(record: Record) -> str:
    """What names a record, for tables."""
    for name in ("title", "name"):
        if record.get(name):
            return record[name]
    return max(record.values(), key=len, default="")
