"""Which columns are worth keeping: how many bits of shopping behaviour each one holds, what it repeats, what it gives away.

Usefulness is mutual information, in bits, between the values of two products that belong together (bought in one
visit; bought one after the other), I(V_a; V_b). As a value is a function of its product, this is a lower bound of
I(P_a; P_b) by the data-processing inequality (Cover and Thomas, 2006, 2.8): the share of the structure that the
column captures. Plug-in estimates are too high for many values, so the mean over shuffled pairs is taken off.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.errors import QueryError
from wares.data.engine import Engine
from wares.data.store import Store

VALUES = 400
"""Most frequent values that are told apart; the others are one. Numbers are cut into twentieths."""
TOPICS = 400
PAIRS = 400_000
SHUFFLES = 3
DAYS = 28.0
REDUNDANT, IMPLAUSIBLE, EMPTY = 0.95, 0.9, 0.95
"""From here on a column repeats another one; predicts first sales too well to be known before; is mostly missing."""
NEVER = (c.PRODUCT_ID, "event_id", "image", "url")
_WORD = re.compile(r"[\u3400-\u9fff]{1,2}|\w{2,}")

Codes = NDArray[np.int32]


@dataclass
class ColumnReport:
    """One column. Bits are corrected for chance and not below 0; ``leak`` is an area under the curve, 0.5 by chance."""

    column: str
    kind: str
    missing: float
    distinct: int
    entropy: float
    together: float = 0.0
    following: float = 0.0
    popularity: float = 0.0
    leak: float | None = None
    changed_later: float | None = None
    repeats: str = ""
    repeated: float = 0.0
    advice: str = "keep"
    why: list[str] = field(default_factory=list)

    @property
    def usefulness(self) -> float:
        """Bits of what is bought together and what is bought next, in the mean."""
        return (self.together + self.following) / 2

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "usefulness": round(self.usefulness, 4)}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Pairs of product rows ``(n, 2) int32`` and sales of each product before and after the cut ``(n_products,)``."""

    together: Codes
    following: Codes
    sold_before: NDArray[np.int64]
    sold_after: NDArray[np.int64]
    events: int


def evaluate_columns(
    store: Store, table: str, scratch: Path, *, memory_gb: float = 2.0, seed: int = 7, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:  # fmt: skip
    """Rank the columns of ``products`` (with what cleaning made) or ``events``.

    Raises:
        QueryError: for another table.
        VersionNotFound: when products or events are not loaded.
    """
    if table not in (c.PRODUCTS, c.EVENTS):
        raise QueryError(
            f"columns of {table!r} are not ranked",
            mend="Use --table products or --table events",
            parameter="table",
        )
    progress("read")
    rng = np.random.default_rng(seed)
    with Engine(memory_gb, scratch=scratch) as engine:
        clean = c.clean_name(c.PRODUCTS)
        source = clean if store.exists(clean) else c.PRODUCTS
        products = engine.arrow(engine.parquet(store.files(source)).order_by(c.PRODUCT_ID))
        if table == c.EVENTS:
            return _events_report(store, engine, products, rng, seed, progress)
        behaviour = _behaviour(store, engine, products[c.PRODUCT_ID], rng)
    columns = _columns_of(products)
    progress("discretise")
    coded = {name: encode(values) for name, values in columns.items()}
    reports = []
    for name, values in columns.items():
        progress(name)
        reports.append(_report(name, values, coded[name], behaviour, rng))
    changed = _changed_later(store, source)
    for report in reports:
        report.changed_later = changed.get(report.column.split(".")[0])
    progress("redundancy")
    _redundancy(reports, coded, rng)
    for report in reports:
        _advise(report)
    reports.sort(key=lambda r: (-r.usefulness, -r.popularity, r.column))
    return {
        "table": table, "source": source, "version": store.version(source), "rows": products.num_rows, "seed": seed,
        "events": behaviour.events, "pairs_together": len(behaviour.together), "pairs_following": len(behaviour.following),
        "columns": [report.to_json() for report in reports],
        "drop": sorted(r.column for r in reports if r.advice == "drop"),
    }  # fmt: skip


# -- values as codes -----------------------------------------------------------------------------------------


def _columns_of(table: pa.Table) -> dict[str, pa.Array]:
    """All columns but ids and links; the keys of ``attributes`` become columns of their own."""
    out: dict[str, pa.Array] = {}
    for name in table.column_names:
        if name in NEVER or name.startswith("_"):
            continue
        values = table[name].combine_chunks()
        if name != "attributes":
            out[name] = values
            continue
        cells = [json.loads(v) if v else {} for v in values.to_pylist()]
        often = Counter(key for cell in cells for key in cell)
        for key, n in often.most_common(20):
            if n * 100 >= len(cells):
                texts = [None if cell.get(key) is None else str(cell[key]) for cell in cells]
                out[f"attributes.{key}"] = pa.array(texts, pa.string())
    return out


def encode(values: pa.Array) -> Codes:
    """Integers ``(n,)`` for the values of a column, 0 for missing: twentieths of numbers, frequent texts, topic words."""
    if (
        pa.types.is_decimal(values.type)
        or pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
    ):
        numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        known = np.isfinite(numbers)
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, 21)[1:-1])) if known.any() else []
        return np.where(known, np.searchsorted(edges, numbers, "right") + 1, 0).astype(np.int32)
    if pa.types.is_timestamp(values.type):
        return encode(values.cast(pa.int64()))
    texts = values.cast(pa.string())
    counts = pc.value_counts(texts.drop_null()) if hasattr(texts, "drop_null") else pc.value_counts(texts)
    if len(counts) > 2000 and len(counts) * 10 > len(texts):
        return _topics(texts.to_pylist())
    order = np.argsort(-counts.field("counts").to_numpy(), kind="stable")[:VALUES]
    places = pc.index_in(texts, value_set=counts.field("values").take(pa.array(order)))
    codes = pc.fill_null(places, VALUES).to_numpy() + 1
    return np.where(pc.is_null(texts).to_numpy(zero_copy_only=False), 0, codes).astype(np.int32)


def _topics(texts: list[str | None]) -> Codes:
    """A text is coded by the rarest of its words among the most frequent ones: a rough subject."""
    words = [set(_WORD.findall(text[:2000].casefold())) if text else set() for text in texts]
    often = Counter(word for some in words for word in some)
    frequent = {w: (n, w) for w, n in often.most_common(TOPICS) if n < len(texts) / 4}
    place = {word: i + 2 for i, word in enumerate(sorted(frequent))}
    return np.array(
        [
            0 if text is None else place.get(min((w for w in some if w in frequent), key=frequent.__getitem__, default=""), 1)
            for text, some in zip(texts, words, strict=True)
        ],
        np.int32,
    )  # fmt: skip


# -- information ---------------------------------------------------------------------------------------------


def entropy(codes: Codes) -> float:
    """Bits of the empirical distribution."""
    p = np.bincount(codes) / max(len(codes), 1)
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def information(one: Codes, other: Codes) -> float:
    """Mutual information in bits, plug-in estimate."""
    if not len(one):
        return 0.0
    _, a = np.unique(one, return_inverse=True)
    _, b = np.unique(other, return_inverse=True)
    width = int(b.max()) + 1
    _, joint = np.unique(a.astype(np.int64) * width + b, return_counts=True)
    p = joint / len(one)
    both = float(-(p * np.log2(p)).sum())
    return max(0.0, entropy(a.astype(np.int32)) + entropy(b.astype(np.int32)) - both)


def corrected(one: Codes, other: Codes, rng: np.random.Generator) -> float:
    """Mutual information less its mean over shuffles of `other`, not below 0."""
    raw = information(one, other)
    if raw == 0.0:
        return 0.0
    chance = float(np.mean([information(one, rng.permutation(other)) for _ in range(SHUFFLES)]))
    return max(0.0, raw - chance)


def auc(score: NDArray[np.float64], truth: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve, ties counted half; None when only one class is there."""
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float(
        (rank[truth].sum() - positives * (positives + 1) / 2) / (positives * (len(truth) - positives))
    )


# -- behaviour -----------------------------------------------------------------------------------------------


def _behaviour(store: Store, engine: Engine, ids: pa.ChunkedArray, rng: np.random.Generator) -> Behaviour:
    events = engine.parquet(store.files(c.EVENTS))
    bought = events.filter(events[c.KIND].isin([c.PURCHASE, c.CART]) & events[c.PRODUCT_ID].notnull())
    if engine.count(bought) == 0:
        bought = events.filter(events[c.KIND] != c.RETURN)
    # Whole shoppers are drawn, so that their order stays: at most some two million events.
    total = engine.count(bought)
    share = min(1.0, 2_000_000 / max(total, 1))
    if share < 1:
        bought = bought.filter(
            (bought[c.USER_ID].coalesce(bought[c.SESSION_ID]).hash() % 1000).abs() < int(share * 1000)
        )
    chosen = bought.select(
        user=bought[c.USER_ID].coalesce(bought[c.SESSION_ID]),
        session=bought[c.SESSION_ID].coalesce(
            bought[c.USER_ID].concat(bought[c.AT].truncate("D").cast("string"))
        ),
        item=bought[c.PRODUCT_ID],
        at=bought[c.AT].truncate("s").epoch_seconds(),
    )
    table = engine.arrow(chosen.order_by(["user", "at", "session", "item"]))
    places = pc.index_in(table["item"], value_set=ids.combine_chunks())
    known = pc.is_valid(places)
    table, item = table.filter(known), pc.drop_null(places).to_numpy().astype(np.int32)
    at = table["at"].to_numpy()
    user, session = (_codes(table[name]) for name in ("user", "session"))
    cut = (at.max() - DAYS * 86_400) if len(at) else 0
    before, after = at < cut, at >= cut
    return Behaviour(
        _draw(_neighbours(session, item, same=True), rng),
        _draw(_neighbours(user, item, same=False, block=session), rng),
        np.bincount(item[before], minlength=len(ids)),
        np.bincount(item[after], minlength=len(ids)),
        len(item),
    )


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _neighbours(
    group: NDArray[np.int64], item: Codes, *, same: bool, block: NDArray[np.int64] | None = None
) -> Codes:
    """Rows that follow each other within a group: of one visit (`same`), or the first of the next visit otherwise."""
    if same:
        order = np.argsort(group, kind="stable")
        group, item = group[order], item[order]
        follows = group[1:] == group[:-1]
    else:
        assert block is not None
        follows = (group[1:] == group[:-1]) & (block[1:] != block[:-1])
    pairs = np.stack([item[:-1], item[1:]], 1)[follows]
    return pairs[pairs[:, 0] != pairs[:, 1]]


def _draw(pairs: Codes, rng: np.random.Generator) -> Codes:
    return pairs if len(pairs) <= PAIRS else pairs[np.sort(rng.choice(len(pairs), PAIRS, replace=False))]


# -- one column ----------------------------------------------------------------------------------------------


def _report(
    name: str, values: pa.Array, codes: Codes, behaviour: Behaviour, rng: np.random.Generator
) -> ColumnReport:
    report = ColumnReport(
        name, str(values.type), round(values.null_count / max(len(values), 1), 4),
        int(pc.count_distinct(values).as_py()), round(entropy(codes), 4),
    )  # fmt: skip
    if report.distinct == 0:
        return report
    for what, pairs in (("together", behaviour.together), ("following", behaviour.following)):
        setattr(report, what, round(corrected(codes[pairs[:, 0]], codes[pairs[:, 1]], rng), 4))
    sold = behaviour.sold_before
    classes = (
        np.searchsorted(np.quantile(sold[sold > 0], [0.5, 0.8, 0.95]), sold, "right") + (sold > 0)
        if sold.any()
        else sold * 0
    )
    report.popularity = round(corrected(codes, classes.astype(np.int32), rng), 4)
    report.leak = _leak(codes, behaviour, rng)
    return report


def _leak(codes: Codes, behaviour: Behaviour, rng: np.random.Generator) -> float | None:
    """How well the column alone tells which products, unsold before the cut, are sold after it (two folds).

    What is known of a product before anybody bought it says a little about that. A value that says nearly
    everything was most likely written afterwards, or made from the sales themselves.
    """
    fresh = np.flatnonzero(behaviour.sold_before == 0)
    truth = behaviour.sold_after[fresh] > 0
    if truth.sum() < 10 or (~truth).sum() < 10:
        return None
    part, own = rng.integers(2, size=len(fresh)), codes[fresh]
    score = np.zeros(len(fresh))
    base = truth.mean()
    for fold in (0, 1):
        inside = part != fold
        hits = np.bincount(own[inside], truth[inside], minlength=int(own.max()) + 1)
        seen = np.bincount(own[inside], minlength=int(own.max()) + 1)
        score[~inside] = ((hits + 5 * base) / (seen + 5))[own[~inside]]
    found = auc(score, truth)
    return None if found is None else round(found, 4)


def _changed_later(store: Store, table: str) -> dict[str, float]:
    """Share of the first version's products whose value is another one in the newest version, by column."""
    newest = store.version(table)
    if newest == 0:
        return {}
    with Engine(1.0) as engine:
        first, last = engine.parquet(store.files(table, 0)), engine.parquet(store.files(table, newest))
        names = [n for n in first.columns if n in last.columns and n != c.PRODUCT_ID]
        old = first.select(_id=first[c.PRODUCT_ID], **{f"_old_{n}": first[n] for n in names})
        both = last.join(old, last[c.PRODUCT_ID] == old["_id"])
        shares = {n: (~both[n].identical_to(both[f"_old_{n}"])).cast("float64").mean() for n in names}
        row = engine.arrow(both.aggregate(**shares)).to_pylist()[0]
    return {name: round(float(value or 0.0), 4) for name, value in row.items()}


def _redundancy(reports: list[ColumnReport], coded: dict[str, Codes], rng: np.random.Generator) -> None:
    """For each column, the more useful column that says most of it: I(X; Y) / H(X), corrected for chance."""
    n = len(next(iter(coded.values()))) if coded else 0
    rows = rng.choice(n, 100_000, replace=False) if n > 100_000 else np.arange(n)
    for one in reports:
        own = entropy(coded[one.column][rows])
        if own < 0.01:
            continue
        for other in reports:
            if other is one or (other.usefulness, other.column) <= (one.usefulness, one.column):
                continue
            said = corrected(coded[one.column][rows], coded[other.column][rows], rng) / own
            if said > one.repeated:
                one.repeated, one.repeats = round(said, 4), other.column


def _advise(report: ColumnReport) -> None:
    bits = report.together + report.following + report.popularity
    if report.distinct <= 1 and report.missing in (0.0, 1.0):
        report.advice, report.why = "drop", ["it has one value only"]
    elif report.missing > EMPTY:
        report.advice, report.why = "drop", [f"{report.missing:.0%} missing"]
    elif report.repeated >= REDUNDANT:
        report.advice, report.why = "drop", [f"{report.repeats} says {report.repeated:.0%} of it"]
    elif bits < 0.005:
        report.advice, report.why = "drop", ["it tells nothing about what is bought"]
    if report.leak is not None and report.leak >= IMPLAUSIBLE:
        report.advice = "look" if report.advice == "keep" else report.advice
        report.why.append(
            f"it tells which unsold products will sell (AUC {report.leak:.2f}): was it made from the sales, or written later?"
        )
    if (report.changed_later or 0) > 0.01:
        report.why.append(f"{report.changed_later:.0%} of its values were changed after the first version")


# -- events --------------------------------------------------------------------------------------------------


def _events_report(
    store: Store, engine: Engine, products: pa.Table, rng: np.random.Generator, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:  # fmt: skip
    """Columns of events by what they tell about the product of the same event, and of the shopper's next one."""
    clean = c.clean_name(c.EVENTS)
    source = clean if store.exists(clean) else c.EVENTS
    events = engine.parquet(store.files(source))
    share = min(1.0, 500_000 / max(engine.count(events), 1))
    if share < 1:
        who = events[c.USER_ID].coalesce(events[c.SESSION_ID])
        events = events.filter((who.hash() % 10_000).abs() < max(1, int(share * 10_000)))
    table = engine.arrow(events.order_by([c.USER_ID, c.AT, c.EVENT_ID]))
    item = encode(table[c.PRODUCT_ID].combine_chunks())
    user = _codes(table[c.USER_ID])
    follows = np.flatnonzero(user[1:] == user[:-1])
    at = table[c.AT].combine_chunks()
    columns = {n: table[n].combine_chunks() for n in table.column_names if n not in (*NEVER, c.AT)}
    columns |= {"at.hour": pc.hour(at), "at.weekday": pc.day_of_week(at), "at.month": pc.month(at)}
    reports = []
    for name, values in columns.items():
        progress(name)
        codes = encode(values)
        report = ColumnReport(
            name, str(values.type), round(values.null_count / max(len(values), 1), 4),
            int(pc.count_distinct(values).as_py()), round(entropy(codes), 4),
        )  # fmt: skip
        report.together = round(corrected(codes, item, rng), 4)
        report.following = round(corrected(codes[follows], item[follows + 1], rng), 4)
        if report.distinct <= 1:
            report.advice, report.why = "drop", ["it has one value only"]
        elif report.together + report.following < 0.005:
            report.advice, report.why = "drop", ["it tells nothing about what is bought"]
        if report.together > 4 * report.following + 0.05 and report.following > 0:
            report.why.append("it is known only with the event itself: no use before it")
            report.advice = "look" if report.advice == "keep" else report.advice
        reports.append(report)
    reports.sort(key=lambda r: (-r.following, -r.together, r.column))
    return {
        "table": c.EVENTS, "source": source, "version": store.version(source), "rows": table.num_rows, "seed": seed,
        "events": table.num_rows, "pairs_together": table.num_rows, "pairs_following": len(follows),
        "columns": [report.to_json() for report in reports],
        "drop": sorted(r.column for r in reports if r.advice == "drop"),
    }  # fmt: skip
