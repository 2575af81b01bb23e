"""``wares audience``: an audience from the workspace's shoppers, written to a file with a hold-out group; and its uplift."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.arrays import load_array
from wares.core.errors import ConfigError, NotFitted, NotFound, QueryError
from wares.core.files import write_atomic, write_json
from wares.core.people import People
from wares.data.sources import read_whole
from wares.data.types import STRING, to_type
from wares.features.catalogue import Catalogue, below
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog
from wares.models.price.audience import DURABLE, Neighbours, Shoppers, Weights, learn, reasons
from wares.models.recommend.closed_form import Columns, ItemKnn, to_matrix
from wares.pipeline.graphing import event_log
from wares.pipeline.last import context_of
from wares.pipeline.plan import Context

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

TAUGHT_DAYS = 28.0
TEXTS, LIKE = 20, 100
TARGET, HOLDOUT = "target", "holdout"
YES = {"1", "true", "yes", "y", "granted", "opt-in", "optin", "是", "同意"}


@dataclass(frozen=True)
class Wanted:
    """What an audience is for: products by id, a category and what lies below it, or a coupon's file of product ids."""

    product: str = ""
    category: str = ""
    coupon: Path | None = None


def log_of(context: Context) -> EventLog:
    """The events of a build.

    Raises:
        NotFitted: when there are none.
    """
    log = event_log(context)
    if log is None or not log.span()[1]:
        raise NotFitted(
            "there are no events to know shoppers by", mend="Load some with `wares ingest PATH --as events`"
        )
    return log


def neighbours_of(context: Context, data: Interactions) -> Neighbours:
    """Likeness by text as built, and by behaviour as `data` shows it."""
    text_of, category_of = (
        np.asarray(load_array(context.done["catalogue"], name)) for name in ("text_of", "category_of")
    )
    ids, sims = (np.asarray(load_array(context.done["text_neighbours"], name)) for name in ("ids", "sims"))
    text_ids, text_values = _texts_to_items(text_of, ids, sims, data.item_counts())
    columns = Columns.supported(data, max(context.config.recommend.min_support, 2))
    behaviour_ids = np.full((data.n_items, 1), -1, np.int32)
    behaviour_values = np.zeros((data.n_items, 1), np.float32)
    if len(columns.items):
        knn = ItemKnn(to_matrix(data, columns), k=LIKE)
        behaviour_ids = np.full((data.n_items, knn.ids.shape[1]), -1, np.int32)
        behaviour_values = np.zeros(behaviour_ids.shape, np.float32)
        behaviour_ids[columns.items] = np.where(knn.ids >= 0, columns.items[np.maximum(knn.ids, 0)], -1)
        behaviour_values[columns.items] = np.sqrt(np.clip(knn.values, 0, 1))
    return Neighbours(text_ids, text_values, behaviour_ids, behaviour_values, category_of)


def _texts_to_items(
    text_of: NDArray[Any], ids: NDArray[Any], sims: NDArray[Any], sold: NDArray[Any]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """For each product the best-sold products of the texts most like its own, two of each ``(n_items, 2 · TEXTS)``."""
    n_texts = len(ids)
    order = np.lexsort((np.arange(len(text_of)), -sold, text_of))
    ptr = np.concatenate([[0], np.cumsum(np.bincount(text_of, minlength=n_texts))])
    best = np.full((n_texts, 2), -1, np.int32)
    for place in range(2):
        there = np.diff(ptr) > place
        best[there, place] = order[ptr[:-1][there] + place]
    near = ids[:, :TEXTS]
    members = np.where(near[:, :, None] >= 0, best[np.maximum(near, 0)], -1).reshape(n_texts, -1)
    values = np.repeat(sims[:, :TEXTS].astype(np.float32), 2, axis=1)
    return members[text_of], values[text_of]


def items_of(catalogue: Catalogue, wanted: Wanted) -> NDArray[np.int64]:
    """Rows of the products that an audience is for.

    Raises:
        QueryError, NotFound: when nothing or too much is named, or nothing of it is known.
    """
    given = [name for name in ("product", "category", "coupon") if getattr(wanted, name)]
    if len(given) != 1:
        raise QueryError(
            "an audience is for one thing",
            mend="Give one of --product, --category and --coupon",
            parameter="product",
        )
    if wanted.category:
        names = list(catalogue.columns[c.CATEGORY])
        rows = [i for i, name in enumerate(names) if below(name, wanted.category)]
        if not rows:
            raise NotFound(
                f"there is no category {wanted.category!r}",
                mend="Write it as the catalogue does",
                id=wanted.category,
            )
        return np.array(rows, np.int64)
    ids = (
        [part.strip() for part in wanted.product.split(",") if part.strip()]
        if wanted.product
        else _column(wanted.coupon, (c.PRODUCT_ID,))
    )
    rows = [row for row in (catalogue.row(name) for name in ids) if row >= 0]
    if not rows:
        raise NotFound(
            f"none of {len(ids):,} products is in the catalogue", mend="Check the ids", id=(ids or [""])[0]
        )
    return np.unique(np.array(rows, np.int64))


def _column(path: Path | None, names: tuple[str, ...]) -> list[str]:
    assert path is not None
    return [row[0] for row in cells(path, names)]


def cells(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Cells of some columns of a file, as text; missing optional columns are empty.

    Raises:
        QueryError: naming the column that is missing.
    """
    out: list[tuple[str, ...]] = []
    for table in read_whole(path):
        for name in names:
            if name not in table.column_names:
                raise QueryError(
                    f"{path.name} has no column {name!r}",
                    mend=f"It has {', '.join(table.column_names[:10])}",
                    parameter=name,
                )
        parts = [
            to_type(table[name], STRING).values.to_pylist()
            if name in table.column_names
            else [""] * table.num_rows
            for name in (*names, *optional)
        ]
        out += [tuple(cell or "" for cell in row) for row in zip(*parts, strict=True)]
    return out


def consenting(path: Path | None, people: People) -> set[str]:
    """Ids, as tables hold them, of those who agreed to be written to. Who is not in the file did not.

    Raises:
        ConfigError: without a file: an audience is never made of people whose consent is not known.
    """
    if path is None:
        raise ConfigError(
            "whose consent to marketing is given?",
            mend="Name a file with columns user_id and consent: --consent FILE",
            key="consent",
            source="audience",
        )
    # Who is named twice, with yes and no, said no.
    yes, no = set[str](), set[str]()
    for user, answer in cells(path, (c.USER_ID, "consent")):
        (yes if answer.strip().casefold() in YES else no).add(people.known_as(user))
    return yes - no


def make_audience(
    shop: Workspace, wanted: Wanted, size: int, out: Path, *, consent: Path | None, holdout: float = 0.1, owners: str = "auto", seed: int | None = None, who: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Choose the shoppers likeliest to want something, set a random part aside, and write both to `out` (CSV).

    Columns: ``user_id``, ``group`` (target or holdout), ``score``, ``reason``. Beside it ``<out>.json`` says what for, as of when, and the
    products, for `uplift`. Erased people and people without consent are never in it; who has it already is not either,
    unless it is bought again (`owners`: auto, keep or exclude).

    Raises:
        QueryError: for a size or share that makes no sense, or a file that exists.
        ConfigError: without consent.
    """
    if size < 1 or not 0 <= holdout < 1 or owners not in ("auto", "keep", "exclude"):
        raise QueryError(
            f"size {size}, hold-out {holdout:g}, owners {owners!r} make no audience",
            mend="A size from 1, a hold-out from 0 to below 1, owners auto, keep or exclude",
            parameter="size",
        )
    if out.exists():
        raise QueryError(
            f"{out} exists",
            mend="Choose another file: an audience that was used is not overwritten",
            parameter="out",
        )
    people = People(shop.root, shop.state, pseudonymise=shop.config.privacy.pseudonymise)
    allowed = consenting(consent, people)
    context = context_of(shop)
    log = log_of(context)
    catalogue = Catalogue(context.done["catalogue"])
    items = items_of(catalogue, wanted)
    data, users = log.interactions()
    neighbours = neighbours_of(context, data)
    target = neighbours.target(items)
    seed = shop.config.shop.seed if seed is None else seed
    weights = taught(log, neighbours, log.span()[1] + 1, seed)
    shoppers = Shoppers(data)
    features = shoppers.describe(target)
    score = weights.score(features)
    durable = shoppers.rebought(items) < DURABLE
    left_out = owners == "exclude" or (owners == "auto" and durable)
    # A visit without a shopper has nobody to write to.
    kept = np.array([not u.startswith("~") and u in allowed and not people.is_erased(u) for u in users], bool)
    had = shoppers.owners(items)
    fits = kept & ~(had & left_out)
    order = np.flatnonzero(fits)
    order = order[np.lexsort((order, -score[order]))][:size]
    if not len(order):
        raise QueryError(
            "nobody is left to write to", mend="See who has consent, and --owners keep", parameter="consent"
        )
    rng = np.random.default_rng([seed, len(order), *(int(i) % 2**31 for i in items[:8])])
    apart = np.zeros(len(order), bool)
    apart[rng.permutation(len(order))[: round(holdout * len(order))]] = True
    said = reasons(features[order], weights)
    rows = [
        (users[u], HOLDOUT if a else TARGET, f"{score[u]:.6f}", why)
        for u, a, why in zip(order.tolist(), apart.tolist(), said, strict=True)
    ]
    _write(out, rows)
    facts = {
        "shop": shop.config.shop.name, "wanted": {"product": wanted.product, "category": wanted.category, "coupon": str(wanted.coupon or "")},
        "products": [str(catalogue.ids[int(i)]) for i in items], "as_of": data.as_of, "made": shop.clock.now().isoformat(), "seed": seed,
        "size": len(order), TARGET: int((~apart).sum()), HOLDOUT: int(apart.sum()), "shoppers": len(users), "with_consent": int(kept.sum()),
        "owners": "left out" if left_out else "kept", "bought_again": round(shoppers.rebought(items), 4), "taught_by": weights.taught_by,
        "weights": weights.to_json(),
    }  # fmt: skip
    write_json(sidecar(out), facts)
    shop.audit.record(
        who or "wares",
        "audience",
        c.EVENTS,
        {"for": facts["wanted"], "people": len(order), "holdout": facts[HOLDOUT]},
    )
    return facts


def sidecar(out: Path) -> Path:
    """The file beside an audience that says what it is for."""
    return out.with_name(f"{out.name}.json")


def taught(log: EventLog, neighbours: Neighbours, end: int, seed: int, days: float = TAUGHT_DAYS) -> Weights:
    """Weights learned on the `days` before `end`: what was known before them, and what was bought in them."""
    first, _ = log.span()
    start = end - int(min(days, (end - first) / DAY / 3) * DAY)
    before, users = log.interactions(start)
    bought, _ = log.window(start, end, users)
    return learn(before, bought[: before.n_users], neighbours, seed)


def _write(out: Path, rows: Iterable[tuple[str, ...]]) -> None:
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([c.USER_ID, "group", "score", "reason"])
    writer.writerows(rows)
    write_atomic(out, text.getvalue())
