"""Triples on their way into a graph: what says what about what, how sure, from where and since when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.strings import StringTable
from wares.graph.infer import ALWAYS, KIND, PRODUCT

TRIPLE_SCHEMA = pa.schema(
    [
        pa.field("head", pa.string()),
        pa.field("relation", pa.string()),
        pa.field("tail", pa.string()),
        pa.field("weight", pa.float32()),
        pa.field("source", pa.string()),
        pa.field("day", pa.int32()),
    ]
)


@dataclass
class Triples:
    """Collects triples by chunks of equal relation and source; products are the entities 0 … n_products - 1."""

    product_ids: Sequence[str]
    entities: dict[str, int] = field(default_factory=dict)
    chunks: list[tuple[NDArray[Any], str, NDArray[Any], NDArray[Any], str, NDArray[Any]]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        for row, product in enumerate(self.product_ids):
            self.entities[f"{PRODUCT}:{product}"] = row
        self._names = list(self.entities)

    @property
    def n_products(self) -> int:
        """How many entities are products."""
        return len(self.product_ids)

    def entity(self, kind: str, value: str) -> int:
        """The row of an entity, made when it is new."""
        name = f"{kind}:{value}"
        row = self.entities.setdefault(name, len(self._names))
        if row == len(self._names):
            self._names.append(name)
        return row

    def add(
        self,
        heads: Sequence[int] | NDArray[Any],
        relation: str,
        tails: Sequence[int] | NDArray[Any],
        source: str,
        weights: Any = 1.0,
        days: Any = ALWAYS,
    ) -> None:
        """Add triples of one relation and source; `weights` in 0..1 and `days` are arrays or one value for all.

        A triple from an entity to itself says nothing and is left out.
        """
        head, tail = np.array(heads, np.int32, ndmin=1), np.array(tails, np.int32, ndmin=1)
        weight = np.broadcast_to(np.asarray(weights, np.float32), head.shape)
        day = np.broadcast_to(np.asarray(days, np.int32), head.shape)
        fine = (head != tail) & np.isfinite(weight) & (weight > 0)
        if fine.any():
            self.chunks.append(
                (
                    head[fine],
                    relation,
                    tail[fine],
                    np.minimum(weight[fine], 1).astype(np.float32),
                    source,
                    day[fine],
                )
            )

    def leave_out(self, relations: Collection[str]) -> None:
        """Forget all triples of these relations."""
        self.chunks = [chunk for chunk in self.chunks if chunk[1] not in relations]

    def __len__(self) -> int:
        return sum(len(chunk[0]) for chunk in self.chunks)

    def to_arrow(self) -> pa.Table:
        """All triples as rows of `TRIPLE_SCHEMA`, in the order of arrival."""
        names = pa.array(self._names, pa.string())
        tables = [
            pa.table(
                [
                    names.take(pa.array(head)),
                    pa.repeat(pa.scalar(relation), len(head)),
                    names.take(pa.array(tail)),
                    pa.array(weight),
                    pa.repeat(pa.scalar(source), len(head)),
                    pa.array(day),
                ],
                schema=TRIPLE_SCHEMA,
            )
            for head, relation, tail, weight, source, day in self.chunks
        ]
        return pa.concat_tables(tables) if tables else TRIPLE_SCHEMA.empty_table()

    def save(self, folder: Path, **facts: Any) -> dict[str, Any]:
        """Write the graph artefact. Of equal triples the surest stays, with the earliest day."""
        relations = sorted({chunk[1] for chunk in self.chunks})
        sources = sorted({chunk[4] for chunk in self.chunks})
        kinds = sorted({name.partition(":")[0] for name in self._names} | {PRODUCT})
        kind_code = {kind: i for i, kind in enumerate(kinds)}
        head, relation, tail, weight, source, day = self._columns(relations, sources)
        n = len(relations)
        heads = np.concatenate([head, tail])
        relation_of = np.concatenate([relation, relation + n]).astype(np.int16)
        tails = np.concatenate([tail, head])
        order = np.lexsort((tails, relation_of, heads))
        counts = np.bincount(heads, minlength=len(self._names))
        StringTable.of(self._names).save(folder, "names")
        save_arrays(
            folder,
            kind_of=np.array([kind_code[name.partition(":")[0]] for name in self._names], np.int16),
            ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            tails=tails[order].astype(np.int32),
            relation_of=relation_of[order],
            weights=np.tile(weight, 2)[order].astype(np.float32),
            days=np.tile(day, 2)[order].astype(np.int32),
            source_of=np.tile(source, 2)[order].astype(np.int16),
        )
        return seal(
            folder, KIND, n_products=self.n_products, entities=len(self._names), triples=len(head),
            relations=relations, sources=sources, kinds=kinds,
            by_relation={name: int((relation == code).sum()) for code, name in enumerate(relations)}, **facts,
        )  # fmt: skip

    def _columns(self, relations: list[str], sources: list[str]) -> tuple[NDArray[Any], ...]:
        if not self.chunks:
            none = np.zeros(0, np.int32)
            return none, none, none, none.astype(np.float32), none, none
        head = np.concatenate([c[0] for c in self.chunks])
        relation = np.concatenate([np.full(len(c[0]), relations.index(c[1]), np.int32) for c in self.chunks])
        tail = np.concatenate([c[2] for c in self.chunks])
        weight = np.concatenate([c[3] for c in self.chunks])
        source = np.concatenate([np.full(len(c[0]), sources.index(c[4]), np.int32) for c in self.chunks])
        day = np.concatenate([c[5] for c in self.chunks])
        order = np.lexsort((-weight, tail, relation, head))
        head, relation, tail, weight, source, day = (
            a[order] for a in (head, relation, tail, weight, source, day)
        )
        first = np.ones(len(head), bool)
        first[1:] = (head[1:] != head[:-1]) | (relation[1:] != relation[:-1]) | (tail[1:] != tail[:-1])
        group = np.cumsum(first) - 1
        earliest = np.full(int(first.sum()), np.iinfo(np.int32).max, np.int32)
        np.minimum.at(earliest, group, day)
        return head[first], relation[first], tail[first], weight[first], source[first], earliest
