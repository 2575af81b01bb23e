"""Damage a share of the rows of an event export in ten ways, and remember which."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

COLUMNS = ("user_id", "session_id", "product_id", "kind", "at", "quantity", "price")
Row = list[str]


def _cell(column: str, value: str) -> Callable[[Row], bytes]:
    def damage(row: Row) -> bytes:
        return line([value if name == column else cell for name, cell in zip(COLUMNS, row, strict=True)])

    return damage


def _nobody(row: Row) -> bytes:
    return line(
        [v if name not in ("user_id", "session_id") else "" for name, v in zip(COLUMNS, row, strict=True)]
    )


def line(row: Row) -> bytes:
    """A row as bytes of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue().encode()


DAMAGE: dict[str, tuple[Callable[[Row], bytes], str]] = {
    "unknown product": (_cell("product_id", "no-such-product"), "reference:product_id"),
    "missing product": (_cell("product_id", ""), "required:product_id"),
    "nobody": (_nobody, "required:user_id"),
    "wrong kind": (_cell("kind", "teleported"), "enumeration:kind"),
    "no date": (_cell("at", "the day after tomorrow"), "type:at"),
    "far future": (_cell("at", "2199-01-01T00:00:00"), "range:at"),
    "price in words": (_cell("price", "cheap"), "type:price"),
    "infinite price": (_cell("price", "inf"), "type:price"),
    "negative price": (_cell("price", "-4.20"), "range:price"),
    "cut row": (lambda row: line(row[:4]), "fields"),
}
"""Kind of damage → (how, the rule that must catch it)."""


def spoil(rows: Iterable[Row], path: Path, share: float = 0.02, seed: int = 7) -> tuple[Counter[str], int]:
    """Write `rows` (in the order of ``COLUMNS``) with a share of them damaged, the ten ways in turn.

    Returns rows by the rule that must catch them, and how many rows were left good.
    """
    rng = np.random.default_rng(seed)
    ways = list(DAMAGE.values())
    expected: Counter[str] = Counter()
    good = 0
    with path.open("wb") as stream:
        stream.write(line(list(COLUMNS)))
        for row in rows:
            if rng.random() < share:
                damage, rule = ways[sum(expected.values()) % len(ways)]
                expected[rule] += 1
                stream.write(damage(row))
            else:
                good += 1
                stream.write(line(row))
    return expected, good


def export_rows(events: Path, products: Path) -> Iterator[Row]:
    """The rows of the demo's ``transactions.parquet`` that name a product of ``products.parquet``, as text."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    known = pq.read_table(products, columns=["product_id"])["product_id"].combine_chunks()
    for batch in pq.ParquetFile(events).iter_batches(batch_size=100_000):
        batch = batch.filter(pc.is_in(batch["product_id"], value_set=known.cast(batch["product_id"].type)))
        columns = [
            batch["household_id"].to_pylist(), batch["basket_id"].to_pylist(), batch["product_id"].to_pylist(), ["purchase"] * batch.num_rows,
            pc.strftime(batch["transaction_timestamp"], "%Y-%m-%d %H:%M:%S").to_pylist(), batch["quantity"].to_pylist(), batch["unit_price"].to_pylist(),
        ]  # fmt: skip
        for cells in zip(*columns, strict=True):
            yield ["" if cell is None else str(cell) for cell in cells]
