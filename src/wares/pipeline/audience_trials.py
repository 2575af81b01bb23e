"""``wares evaluate audiences``: audiences for products, categories and coupons, chosen before a split and judged after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.errors import NotFitted, QueryError
from wares.core.machine import peak_rss
from wares.data.types import TIMESTAMP, to_type
from wares.evaluate.audiences import Trial, measure
from wares.features.catalogue import Catalogue
from wares.features.interactions_build import DAY
from wares.models.price.audience import Shoppers
from wares.pipeline.audience import cells, context_of, log_of, neighbours_of, taught

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

FEWEST_TAKERS = 10


def evaluate_audiences(
    shop: Workspace, command: str, *, days: float = 28.0, targets: int = 100, share: float = 0.05, split: str = "", coupons: Path | None = None,
    redemptions: Path | None = None, seed: int = 7, progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Choose audiences by what was known at a split (`days` before the end, or the day `split`), judge by the `days` after it.

    Products and categories are drawn among those with takers after the split; coupons, where their products (columns
    ``coupon_upc`` or ``coupon``, ``product_id``) and redemptions (``household_id`` or ``user_id``, the coupon, and a date) are given.

    Raises:
        NotFitted: without events.
        QueryError: when a file or the split makes no sense.
    """
    begun = time.perf_counter()
    context = context_of(shop)
    log = log_of(context)
    first, last = log.span()
    start = _moment(split) if split else last + 1 - int(days * DAY)
    end = start + int(days * DAY)
    if not first + 2 * days * DAY < start < last:
        raise QueryError(
            f"a split on {datetime.fromtimestamp(start, UTC).date()} leaves too little before or after it",
            mend=f"Events run from {datetime.fromtimestamp(first, UTC).date()} to {datetime.fromtimestamp(last, UTC).date()}", parameter="split",
        )  # fmt: skip
    progress("read")
    data, users = log.interactions(start)
    bought, _ = log.window(start, end, users)
    bought = bought[: data.n_users]
    progress("likeness")
    neighbours = neighbours_of(context, data)
    progress("learn")
    weights = taught(log, neighbours, start, seed, days)
    shoppers = Shoppers(data)
    catalogue = Catalogue(context.done["catalogue"])
    found: dict[str, Any] = {}
    rng = np.random.default_rng(seed)
    trials = {
        "products": _products(data.n_items, bought, targets, rng),
        "categories": _categories(catalogue, bought, targets, rng),
    }
    if coupons is not None:
        trials["coupons"] = _coupons(catalogue, coupons, bought)
        if redemptions is not None:
            trials["redemptions"] = _redeemed(catalogue, coupons, redemptions, users, start, end)
    for name, some in trials.items():
        progress(name)
        if some:
            found[name] = measure(some, shoppers, neighbours, weights, share, seed)
    if not found:
        raise NotFitted("too little was bought after the split to judge by", mend="Give more --days")
    return {
        "command": command, "shop": shop.config.shop.name, "split": datetime.fromtimestamp(start, UTC).date().isoformat(), "days": days,
        "shoppers": data.n_users, "seed": seed, "taught_by": weights.taught_by,
        "weights": weights.to_json(), "audiences": found,
        "seconds": round(time.perf_counter() - begun, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }  # fmt: skip


def _moment(text: str) -> int:
    import pyarrow as pa

    typed = to_type(pa.array([text]), TIMESTAMP)
    if typed.bad or not typed.values[0].is_valid:
        raise QueryError(f"{text!r} is no day", mend="Write 2017-10-30", parameter="split")
    return int(typed.values[0].as_py().timestamp())


def _took(bought: list[NDArray[np.int32]], items: NDArray[np.int64], n_items: int) -> NDArray[np.bool_]:
    mark = np.zeros(n_items, bool)
    mark[items] = True
    return np.array([bool(mark[rows].any()) for rows in bought], bool)


def _products(
    n_items: int, bought: list[NDArray[np.int32]], many: int, rng: np.random.Generator
) -> list[Trial]:
    sold = np.bincount(np.concatenate(bought), minlength=n_items)
    pool = np.flatnonzero(sold >= FEWEST_TAKERS)
    drawn = rng.choice(pool, min(many, len(pool)), replace=False) if len(pool) else []
    return [
        Trial(str(int(item)), np.array([item]), _took(bought, np.array([item]), n_items)) for item in drawn
    ]


def _categories(
    catalogue: Catalogue, bought: list[NDArray[np.int32]], many: int, rng: np.random.Generator
) -> list[Trial]:
    of = np.asarray(catalogue.category_of)
    found: list[Trial] = []
    for kind in rng.permutation(int(of.max(initial=-1)) + 1).tolist():
        items = np.flatnonzero(of == kind)
        took = _took(bought, items, len(of))
        # Where half of all shoppers take it up anyway, nobody needs an audience.
        if FEWEST_TAKERS <= took.sum() <= len(bought) / 2:
            found.append(Trial(str(kind), items, took))
        if len(found) == many:
            break
    return found


def _sets(catalogue: Catalogue, path: Path) -> dict[str, NDArray[np.int64]]:
    name = _first_of(path, ("coupon_upc", "coupon"))
    sets: dict[str, set[int]] = {}
    for coupon, product in cells(path, (name, c.PRODUCT_ID)):
        row = catalogue.row(product)
        if row >= 0:
            sets.setdefault(coupon, set()).add(row)
    return {coupon: np.array(sorted(rows), np.int64) for coupon, rows in sets.items()}


def _first_of(path: Path, names: tuple[str, ...]) -> str:
    from wares.data.sources import read_whole

    there = next(iter(read_whole(path))).column_names
    found = next((name for name in names if name in there), None)
    if found is None:
        raise QueryError(
            f"{path.name} has no column {names[0]}",
            mend=f"It has {', '.join(there[:10])}",
            parameter=names[0],
        )
    return found


def _coupons(catalogue: Catalogue, path: Path, bought: list[NDArray[np.int32]]) -> list[Trial]:
    seen: dict[bytes, Trial] = {}
    for coupon, items in sorted(_sets(catalogue, path).items()):
        took = _took(bought, items, len(catalogue))
        # Many coupons are for the same products.
        if FEWEST_TAKERS <= took.sum() <= len(bought) / 2:
            seen.setdefault(items.tobytes(), Trial(coupon, items, took))
    return list(seen.values())


def _redeemed(
    catalogue: Catalogue, coupons: Path, path: Path, users: list[str], start: int, end: int
) -> list[Trial]:
    import pyarrow as pa

    who, coupon, at = (
        _first_of(path, names)
        for names in (
            ("user_id", "household_id"),
            ("coupon_upc", "coupon"),
            ("redemption_date", "at", "date"),
        )
    )
    rows = cells(path, (who, coupon, at))
    moments = to_type(pa.array([row[2] for row in rows]), TIMESTAMP).values.cast(pa.int64()).to_pylist()
    place = {user: i for i, user in enumerate(users)}
    takers: dict[str, set[int]] = {}
    for (user, code, _), moment in zip(rows, moments, strict=True):
        if moment is not None and start <= moment // 1_000_000 < end and user in place:
            takers.setdefault(code, set()).add(place[user])
    sets = _sets(catalogue, coupons)
    found: list[Trial] = []
    for code, people in sorted(takers.items()):
        if len(people) >= FEWEST_TAKERS and code in sets:
            took = np.zeros(len(users), bool)
            took[list(people)] = True
            found.append(Trial(code, sets[code], took))
    return found
