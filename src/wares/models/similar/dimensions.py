"""The dimensions in which products are alike, each a kernel over pairs with a mask. numpy only, memory-mapped.

A dimension says of a product and others how alike they are in its own units (`raw`), and of whom it knows nothing
(`has`). Four forms cover all: vectors of length one (text, reviews, image, graph, scene), weighted sets (attributes),
lists of neighbours (behaviour, views, baskets), and prices per comparable unit with pack sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, save_arrays
from wares.core.errors import DataError

ORDER = (
    "text", "attributes", "reviews", "image", "behaviour", "view", "basket", "sequence", "graph", "price", "scene",
)  # fmt: skip
"""All dimensions that there are, in the order in which they are shown."""
PRICE_SCALE = 0.5
PACK_SCALE = 1.0
Rows = NDArray[Any]


class Dimension(Protocol):
    """How alike products are in one respect."""

    name: str
    has: NDArray[np.bool_]

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """Likeness of row `item` to rows `others` ``(len(others),)``, in this dimension's units; where either is not
        known, the value means nothing."""
        ...

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """At most `k` rows that are most alike, where the dimension keeps such a list; may be empty."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `load` needs, by name."""
        ...


class VectorDimension:
    """``vectors (m, d) float16`` of length one; ``row_of (n,) int32`` the vector of each product, -1 for none.

    Products with the same text share a vector. Rows that are zero count as missing: a silent zero vector would be
    like everything.

    Raises:
        DataError: when a vector holds NaN or infinity.
    """

    form = "vectors"

    def __init__(
        self, name: str, vectors: NDArray[Any], row_of: NDArray[Any], *, checked: bool = False
    ) -> None:
        self.name, self.vectors, self.row_of = name, vectors, row_of
        if not checked:
            self.vectors, self.row_of = _unit(name, vectors, row_of)
        self.has: NDArray[np.bool_] = np.asarray(self.row_of) >= 0

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """Cosines."""
        if not self.has[item]:
            return np.zeros(len(others), np.float32)
        return self.to(self.vectors[int(self.row_of[item])], others)

    def to(self, vector: NDArray[Any], others: Rows) -> NDArray[np.float32]:
        """Cosines of any vector of length one to products; 0 for those without."""
        rows = self.row_of[others]
        if len(rows) > len(self.vectors):
            every = np.asarray(self.vectors, np.float32) @ np.asarray(vector, np.float32)
            return np.where(rows >= 0, every[rows], 0).astype(np.float32)
        some = np.asarray(self.vectors[np.maximum(rows, 0)], np.float32)
        return np.where(rows >= 0, some @ np.asarray(vector, np.float32), 0).astype(np.float32)

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """None: the index finds them."""
        return np.zeros(0, np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The vectors and whose they are."""
        return {"vectors": np.asarray(self.vectors, np.float16), "row_of": np.asarray(self.row_of, np.int32)}


class CentredDimension(VectorDimension):
    """Vectors whose cosines are judged by their surroundings: cos(a, b) - (r(a) + r(b)) / 2, where r is how near the
    nearest half percent of products are. In a crowd more nearness is needed to mean as much (CSLS: Conneau et al. 2018,
    https://arxiv.org/abs/1710.04087). ``centre (m,) float16`` is r of each vector."""

    form = "centred"

    def __init__(
        self,
        name: str,
        vectors: NDArray[Any],
        row_of: NDArray[Any],
        centre: NDArray[Any],
        *,
        checked: bool = False,
    ) -> None:
        super().__init__(name, vectors, row_of, checked=checked)
        self.centre = centre

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """Cosines less the mean crowding of both."""
        if not self.has[item]:
            return np.zeros(len(others), np.float32)
        rows = np.maximum(self.row_of[others], 0)
        crowd = (np.asarray(self.centre[rows], np.float32) + float(self.centre[int(self.row_of[item])])) / 2
        return (super().raw(item, others) - crowd).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The vectors, whose they are, and their crowding."""
        return {**super().arrays(), "centre": np.asarray(self.centre, np.float16)}


def _unit(
    name: str, vectors: NDArray[Any], row_of: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    full = np.asarray(vectors, np.float32)
    if full.ndim != 2:
        raise DataError(f"vectors of {name} have the shape {full.shape}", mend="Give (n, dim)", column=name)
    broken = np.flatnonzero(~np.isfinite(full).all(1))
    if len(broken):
        raise DataError(
            f"the vector of {name} in row {broken[0]} holds NaN or infinity ({len(broken)} such)",
            mend="Encode these products again, or leave them out",
            column=name,
            rows=broken[:20].tolist(),
        )
    norm = np.linalg.norm(full, axis=1)
    rows = np.asarray(row_of, np.int32)
    empty = norm < 1e-6
    known = (
        np.where(rows >= 0, ~empty[np.maximum(rows, 0)], False) if len(full) else np.zeros(len(rows), bool)
    )
    return full / np.maximum(norm, 1e-6)[:, None], np.where(known, rows, -1).astype(np.int32)


class SetDimension:
    """Weighted sets: ``ptr (n + 1,)``, ``members`` ascending within a row, ``weights`` so that each row has length one."""

    form = "sets"

    def __init__(self, name: str, ptr: NDArray[Any], members: NDArray[Any], weights: NDArray[Any]) -> None:
        self.name, self.ptr, self.members, self.weights = name, ptr, members, weights
        self._last = -1
        self.has: NDArray[np.bool_] = np.diff(ptr) > 0

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """Cosines of the weighted sets."""
        mine = slice(int(self.ptr[item]), int(self.ptr[item + 1]))
        wanted, weight = np.asarray(self.members[mine]), np.asarray(self.weights[mine], np.float32)
        if not len(wanted) or not len(others):
            return np.zeros(len(others), np.float32)
        if len(others) == len(self.has) and len(others) > 4096:
            # Against the whole catalogue, as evaluations ask: a table by member and differences of one running sum.
            table = np.zeros(max(int(wanted[-1]), self._most()) + 1, np.float32)
            table[wanted] = weight
            run = np.concatenate([[0.0], np.cumsum(table[self.members] * self.weights, dtype=np.float64)])
            return (run[self.ptr[1:]] - run[self.ptr[:-1]]).astype(np.float32)[others]
        sizes = self.ptr[others + 1] - self.ptr[others]
        line = np.repeat(np.arange(len(others)), sizes)
        at = np.repeat(self.ptr[others] - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
        theirs = self.members[at]
        place = np.minimum(np.searchsorted(wanted, theirs), len(wanted) - 1)
        value = np.where(wanted[place] == theirs, weight[place] * np.asarray(self.weights[at], np.float32), 0)
        return np.bincount(line, value, len(others)).astype(np.float32)

    def _most(self) -> int:
        if self._last < 0:
            self._last = int(np.max(self.members, initial=0))
        return self._last

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """None: the index finds them."""
        return np.zeros(0, np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The sets."""
        return {
            "ptr": np.asarray(self.ptr, np.int64),
            "members": np.asarray(self.members, np.int32),
            "weights": np.asarray(self.weights, np.float16),
        }


class HoodDimension(SetDimension):
    """Neighbourhoods: the set of a product holds what it is taken with, and itself. Two products are alike when one is in
    the other's neighbourhood, and when they are taken with the same things. Members are rows of products, or anything
    else from n on. ``counts`` says beside each member how often both were taken together."""

    form = "hoods"

    def __init__(
        self, name: str, ptr: NDArray[Any], members: NDArray[Any], weights: NDArray[Any], counts: NDArray[Any]
    ) -> None:
        super().__init__(name, ptr, members, weights)
        self.counts = counts

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """The members with the greatest weight that are products, without itself."""
        mine = slice(int(self.ptr[item]), int(self.ptr[item + 1]))
        rows, weights = np.asarray(self.members[mine]), np.asarray(self.weights[mine], np.float32)
        kept = (rows < len(self.has)) & (rows != item)
        rows, weights = rows[kept], weights[kept]
        return rows[np.argsort(-weights, kind="stable")[:k]].astype(np.int32)

    def shared(self, item: int, others: Rows) -> NDArray[np.int64]:
        """How often each of `others` was taken together with a product; 0 for those outside its neighbourhood."""
        mine = slice(int(self.ptr[item]), int(self.ptr[item + 1]))
        rows, counts = np.asarray(self.members[mine]), np.asarray(self.counts[mine])
        if not len(rows):
            return np.zeros(len(others), np.int64)
        at = np.minimum(np.searchsorted(rows, others), len(rows) - 1)
        return np.where((rows[at] == others) & (others != item), counts[at], 0).astype(np.int64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The neighbourhoods."""
        return {**super().arrays(), "counts": np.asarray(self.counts, np.uint16)}


class ListDimension:
    """Nearest neighbours only: ``ids (m, k) int32`` (-1 pads) with ``values (m, k)``; ``row_of (n,)`` the list of each
    product, -1 for none. Who is not in a product's list is unlike it: the value is 0."""

    form = "lists"

    def __init__(
        self, name: str, ids: NDArray[Any], values: NDArray[Any], row_of: NDArray[Any], counts: NDArray[Any]
    ) -> None:
        self.name, self.ids, self.values, self.row_of, self.counts = name, ids, values, row_of, counts
        self.has: NDArray[np.bool_] = np.asarray(row_of) >= 0

    def _line(self, item: int) -> int:
        return int(self.row_of[item])

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """The value of each in the product's list."""
        return self._of(item, others, self.values)

    def shared(self, item: int, others: Rows) -> NDArray[np.int64]:
        """How many shoppers have both; 0 for those beyond the list."""
        return self._of(item, others, self.counts).astype(np.int64)

    def _of(self, item: int, others: Rows, values: NDArray[Any]) -> NDArray[np.float32]:
        row = self._line(item)
        out = np.zeros(len(others), np.float32)
        if row < 0 or not len(others) or not self.ids.shape[1]:
            return out
        ids, value = np.asarray(self.ids[row]), np.asarray(values[row], np.float32)
        order = np.argsort(ids, kind="stable")
        ids, value = ids[order], value[order]
        at = np.minimum(np.searchsorted(ids, others), len(ids) - 1)
        return np.where(ids[at] == others, value[at], 0).astype(np.float32)

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """The head of the list."""
        row = self._line(item)
        ids = np.asarray(self.ids[row][:k], np.int32) if row >= 0 else np.zeros(0, np.int32)
        return ids[ids >= 0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The lists."""
        return {
            "ids": np.asarray(self.ids, np.int32), "values": np.asarray(self.values, np.float16),
            "row_of": np.asarray(self.row_of, np.int32), "counts": np.asarray(self.counts, np.uint16),
        }  # fmt: skip


class PriceDimension:
    """``exp(-distance)`` of prices and packs on a logarithmic scale.

    ``log_price (n,)`` is the logarithm of the price for a comparable unit (a kilogram, a litre, a piece; else the price
    as it stands), NaN for none; ``log_pack (n,)`` that of the pack in such units, NaN for none; ``unit (n,) int8`` says
    which unit, -1 where the price stands for the whole. Prices of different units are compared for the whole.
    """

    form = "price"

    def __init__(
        self, name: str, log_price: NDArray[Any], log_pack: NDArray[Any], unit: NDArray[Any]
    ) -> None:
        self.name, self.log_price, self.log_pack, self.unit = name, log_price, log_pack, unit
        self.has: NDArray[np.bool_] = np.isfinite(np.asarray(log_price))

    def raw(self, item: int, others: Rows) -> NDArray[np.float32]:
        """1 for the same price for the same pack, falling with the distance of both."""
        price, pack, unit = float(self.log_price[item]), float(self.log_pack[item]), int(self.unit[item])
        there = np.asarray(self.log_price[others], np.float32)
        packs = np.asarray(self.log_pack[others], np.float32)
        same = (self.unit[others] == unit) & (unit >= 0)
        whole = np.nan_to_num(there + np.where(self.unit[others] >= 0, np.nan_to_num(packs), 0))
        mine = price + (pack if unit >= 0 and np.isfinite(pack) else 0.0)
        apart = np.where(same, there - price, whole - mine) / PRICE_SCALE
        bigger = np.where(same, np.nan_to_num(packs - pack), 0) / PACK_SCALE
        return np.nan_to_num(np.exp(-np.sqrt(apart**2 + bigger**2))).astype(np.float32)

    def near(self, item: int, k: int) -> NDArray[np.int32]:
        """None: by price alone nearly everything is near."""
        return np.zeros(0, np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The logarithms and units."""
        return {
            "log_price": np.asarray(self.log_price, np.float32), "log_pack": np.asarray(self.log_pack, np.float32),
            "unit": np.asarray(self.unit, np.int8),
        }  # fmt: skip


_FORMS: dict[str, Any] = {
    "vectors": (VectorDimension, ("vectors", "row_of")),
    "centred": (CentredDimension, ("vectors", "row_of", "centre")),
    "hoods": (HoodDimension, ("ptr", "members", "weights", "counts")),
    "sets": (SetDimension, ("ptr", "members", "weights")),
    "lists": (ListDimension, ("ids", "values", "row_of", "counts")),
    "price": (PriceDimension, ("log_price", "log_pack", "unit")),
}


def save_dimensions(folder: Path, dimensions: Sequence[Any]) -> list[dict[str, str]]:
    """Write the arrays as ``<dimension>_<array>.npy``; returns what `load_dimensions` reads them by."""
    for dimension in dimensions:
        save_arrays(folder, **{f"{dimension.name}_{key}": array for key, array in dimension.arrays().items()})
    return [{"name": d.name, "form": d.form} for d in dimensions]


def load_dimensions(folder: Path, facts: Sequence[dict[str, str]]) -> list[Any]:
    """Read what `save_dimensions` wrote, memory-mapped."""
    out: list[Any] = []
    for fact in facts:
        kind, names = _FORMS[fact["form"]]
        arrays = [load_array(folder, f"{fact['name']}_{key}") for key in names]
        more = {"checked": True} if issubclass(kind, VectorDimension) else {}
        out.append(kind(fact["name"], *arrays, **more))
    return out
