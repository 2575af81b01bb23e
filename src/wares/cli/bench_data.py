"""``wares bench data``: generated events through ingestion, check, cleaning and versioning, out of core."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from wares.core import columns as c
from wares.core.machine import peak_rss
from wares.data.contract import SUFFIX
from wares.pipeline.workspace import Workspace, init_workspace

PORTION = 1_000_000
PRODUCTS = 50_000
SPOILT, TWICE, UNTIDY = 0.0005, 0.001, 0.02
"""Shares of generated events that name no product, come twice, and need cleaning."""

RULES = {
    c.USER_ID: ["width", "control", "whitespace"],
    c.SESSION_ID: ["whitespace"],
    c.CURRENCY: ["whitespace", {"case": {"form": "upper"}}],
    c.PRICE: [{"outliers": {"by": c.PRODUCT_ID}}],
}
"""What the benchmark declares for events: text rules on ids, a code, and outliers of prices by product."""


def generate(path: Path, rows: int, seed: int, first: int = 0) -> dict[str, int]:
    """Write `rows` events to a Parquet file, a million at a time; returns what was planted."""
    rng = np.random.default_rng(seed)
    shoppers, begin = max(rows // 25, 100), int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
    base = np.exp(rng.normal(2.3, 0.8, PRODUCTS)).round(2) + 0.05
    kinds = pa.array(["view", "click", "cart", "purchase"])
    planted = {"unknown_product": 0, "twice": 0, "untidy_user": 0, "outlier_price": 0}
    writer: pq.ParquetWriter | None = None
    try:
        for start in range(0, rows, PORTION):
            n = min(PORTION, rows - start)
            product = (PRODUCTS * rng.random(n) ** 3).astype(np.int64)
            price = (base[product] * (1 + 0.1 * rng.standard_normal(n).clip(-2, 2))).round(2)
            odd = rng.random(n) < SPOILT
            price[odd] *= 1000
            unknown = rng.random(n) < SPOILT
            user = rng.integers(shoppers, size=n)
            untidy = rng.random(n) < UNTIDY
            ids = np.arange(first + start, first + start + n)
            again = np.flatnonzero(rng.random(n) < TWICE)
            again = again[(again > 0)]
            names = pc.binary_join_element_wise("u", pa.array(user).cast(pa.string()), "")
            names = pc.if_else(
                pa.array(untidy),
                pc.binary_join_element_wise("Ｕ", pa.array(user).cast(pa.string()), "\u200b", ""),
                names,
            )
            products = pc.binary_join_element_wise(
                pa.array(np.where(unknown, "x", "p")), pa.array(product).cast(pa.string()), ""
            )
            table = pa.table(
                {
                    c.EVENT_ID: pc.binary_join_element_wise("e", pa.array(ids).cast(pa.string()), ""),
                    c.USER_ID: names,
                    c.SESSION_ID: pc.binary_join_element_wise("s", pa.array(ids // 7).cast(pa.string()), ""),
                    c.PRODUCT_ID: products,
                    c.KIND: kinds.take(pa.array(np.minimum(rng.geometric(0.6, n) - 1, 3))),
                    c.AT: pa.array((begin + (ids - first) * 31_536_000 // max(rows, 1)) * 1_000_000, pa.timestamp("us", "UTC")),
                    c.QUANTITY: pa.array(np.ones(n)),
                    c.PRICE: pa.array(price),
                    c.CURRENCY: pa.array(np.where(rng.random(n) < 0.01, "eur", "EUR")).cast(pa.string()),
                }
            )  # fmt: skip
            # The very same row once more: an export that was sent twice.
            table = pa.concat_tables([table, table.take(pa.array(again))])
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=131_072)
            planted["unknown_product"] += int(unknown.sum() + unknown[again].sum())
            planted["twice"] += len(again)
            planted["untidy_user"] += int((untidy & ~unknown).sum())
            planted["outlier_price"] += int((odd & ~unknown).sum())
    finally:
        if writer is not None:
            writer.close()
    return planted


def _workspace(folder: Path, memory_gb: float) -> Workspace:
    """A workspace under a memory limit, whose events contract declares `RULES`; codes may come in lower case."""
    shop = init_workspace(
        folder,
        f'[shop]\nname = "bench"\ncurrency = "EUR"\n[build]\nmemory_gb = {memory_gb * ENGINE_SHARE:.2f}\n',
    )
    path = shop.root / "contracts" / f"{c.EVENTS}{SUFFIX}"
    document = yaml.safe_load(path.read_text("utf-8"))
    for prop in document["schema"][0]["properties"]:
        if prop["name"] in RULES:
            prop["customProperties"] = [{"property": "clean", "value": RULES[prop["name"]]}]
        if prop["name"] == c.CURRENCY:
            prop["logicalTypeOptions"] = {"pattern": "^[A-Za-z]{3}$"}
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    products = {
        "product_id": [f"p{n}" for n in range(PRODUCTS)],
        "title": [f"Thing {n}" for n in range(PRODUCTS)],
        "category": [f"Group {n % 40}" for n in range(PRODUCTS)],
    }
    pq.write_table(pa.table(products), folder / "products.parquet")
    shop.ingest(str(folder / "products.parquet"), c.PRODUCTS)
    return shop


ENGINE_SHARE = 0.6
"""Share of the memory that the workspace is told of; the engine takes half of that, Arrow and writers the rest."""


def bench(
    rows: int, memory_gb: float, scratch: Path, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds, rows a second and the peak memory of this process after each phase."""
    phases: list[dict[str, Any]] = []

    def timed(name: str, work: Callable[[], Any], size: int = rows) -> Any:
        progress(name)
        begun = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - begun
        phases.append(
            {
                "phase": name,
                "seconds": round(seconds, 1),
                "rows_per_s": round(size / seconds),
                "peak_rss_gb": peak_gb(),
            }
        )
        return result

    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="bench-data-") as folder:
        root = Path(folder)
        export, later = root / "events.parquet", root / "later.parquet"
        planted = timed("generate", lambda: generate(export, rows, seed))
        shop = _workspace(root / "shop", memory_gb)
        (landed,) = timed("ingest and check", lambda: shop.ingest(str(export), c.EVENTS))
        export.unlink()
        cleaned = timed("clean", lambda: shop.cleaner.clean(c.EVENTS))
        timed("check again", lambda: shop.check(c.EVENTS))
        more = max(rows // 100, 10)
        generate(later, more, seed + 1, first=rows - more // 2)
        (second,) = timed("second version", lambda: shop.ingest(str(later), c.EVENTS), more)
        timed("clean second version", lambda: shop.cleaner.clean(c.EVENTS))
        cells = {f"{change.rule}:{change.column}": change.cells for change in cleaned.changes}
        versions = [row["rows"] for row in reversed(shop.state.versions(c.EVENTS))]
        store_gb = sum(p.stat().st_size for p in (root / "shop" / "tables").rglob("*.parquet")) / 1e9
    work = [p for p in phases if p["phase"] != "generate"]
    return {
        "rows": rows, "memory_gb": memory_gb, "seed": seed, "phases": phases, "planted": planted,
        "found": {"quarantined": landed.quarantined, "repeats": landed.same, **cells},
        "second": {"added": second.added, "changed": second.changed, "same": second.same},
        "versions_rows": versions, "store_gb": round(store_gb, 2),
        "minutes": round(sum(p["seconds"] for p in work) / 60, 2), "peak_rss_gb": peak_gb(), "within": peak_gb() <= memory_gb,
    }  # fmt: skip


def peak_gb() -> float:
    """Highest resident memory of this process so far, in GB (10⁹ bytes)."""
    return round(peak_rss() / 1e9, 3)


def pandas_peak(rows: int, scratch: Path, seed: int) -> dict[str, Any]:
    """The same deeds in pandas, held in memory, in a process of its own: seconds and peak memory."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="bench-pandas-") as folder:
        path = Path(folder) / "events.parquet"
        generate(path, rows, seed)
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from wares.cli.bench_data import _pandas; _pandas(sys.argv[1])", str(path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    seconds, peak = done.stdout.split()
    return {"rows": rows, "seconds": float(seconds), "peak_rss_gb": float(peak)}


def _pandas(path: str) -> None:
    import pandas as pd

    begun = time.perf_counter()
    events = pd.read_parquet(path)
    events = events.drop_duplicates()
    events = events[events[c.PRODUCT_ID].isin({f"p{n}" for n in range(PRODUCTS)})].copy()
    events[c.USER_ID] = events[c.USER_ID].str.normalize("NFKC").str.replace("\u200b", "").str.strip()
    events[c.CURRENCY] = events[c.CURRENCY].str.upper()
    log = np.log(events[c.PRICE])
    median = log.groupby(events[c.PRODUCT_ID]).transform("median")
    mad = (log - median).abs().groupby(events[c.PRODUCT_ID]).transform("median")
    events["outlier"] = 0.6745 * (log - median).abs() / mad.clip(lower=0.05) > 3.5
    events.to_parquet(path + ".clean", compression="zstd")
    sys.stdout.write(f"{time.perf_counter() - begun:.1f} {peak_gb()}")
