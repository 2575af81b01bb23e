"""``wares fuse``: the shop's products become clusters (``product_clusters``) and golden records (``products_fused``)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wares.core import columns as c
from wares.core.audit import Audit
from wares.core.clock import SYSTEM, Clock
from wares.core.config import Config
from wares.core.errors import ConfigError, DataError, NotFound
from wares.core.files import digest
from wares.core.identifiers import clean_identifier, is_identifier_name
from wares.core.state import State, stamp
from wares.data.engine import Engine
from wares.data.fusion.book import DIFFERENT, SAME, FusionBook
from wares.data.fusion.matcher import Judge, Matching, Settings, Truth, match_offers
from wares.data.fusion.offers import Offers
from wares.data.fusion.survive import lineage, rules_for, survive
from wares.data.lineage.origin import from_rules
from wares.data.store import Store

CLUSTERS, FUSED = c.PRODUCT_CLUSTERS, c.PRODUCTS_FUSED
CLUSTER_SCHEMA = pa.schema(
    [
        pa.field(c.PRODUCT_ID, pa.string()), pa.field("cluster_id", pa.string()), pa.field("source", pa.string()),
        pa.field("confidence", pa.float32()), pa.field("size", pa.int32()), pa.field("evidence", pa.string()),
    ]
)  # fmt: skip
QUEUE = 2000


@dataclass
class FuseReport:
    """What fusion did."""

    products: int = 0
    clusters: int = 0
    joined: int = 0
    waiting: int = 0
    decided: int = 0
    made: int = 0
    merged: int = 0
    split: int = 0
    source_table: str = ""
    source_version: int = 0
    clusters_version: int = 0
    fused_version: int = 0
    supervised: bool = False
    seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


class Fuser:
    """Fusion of one workspace."""

    def __init__(
        self,
        root: Path,
        config: Config,
        store: Store,
        state: State,
        audit: Audit | None = None,
        clock: Clock = SYSTEM,
        judge: Callable[[], Judge | None] = lambda: None,
    ) -> None:
        """`judge` opens the trained matcher that the configuration names; it is asked for once a run."""
        self.judge = judge
        self.root, self.config, self.store, self.state, self.audit, self.clock = (
            root,
            config,
            store,
            state,
            audit,
            clock,
        )
        self.book = FusionBook(state, clock, audit)

    def fuse(self, who: str = "wares", progress: Callable[[str], None] = lambda _: None) -> FuseReport:
        """Match all products, keep cluster ids stable, write both tables, and fill the review queue.

        Raises:
            ConfigError: when fusion is off, or a rule is wrong.
            DataError: when there are no products.
        """
        if not self.config.fusion.enabled:
            raise ConfigError(
                "fusion is off",
                mend="Write `[fusion]` and `enabled = true` into wares.toml",
                key="fusion.enabled",
                source="wares.toml",
            )
        begun = time.perf_counter()
        table, version, rows = self.products()
        report = FuseReport(products=len(rows), source_table=table, source_version=version)
        rules = rules_for([name for name in rows[0] if name != c.PRODUCT_ID], self.config.fusion.rules)
        ids = [str(row[c.PRODUCT_ID]) for row in rows]
        offers = offers_from(rows, self.config.fusion.source)
        truth, decided = self._truth(ids)
        report.decided = decided
        one = {"auto": None, "yes": True, "no": False}[self.config.fusion.one_per_source]
        judge = self.judge()
        # A trained matcher brings its own threshold; what wares.toml says goes before it.
        chosen = "threshold" in self.config.fusion.model_fields_set
        settings = Settings(
            one_per_source=one,
            threshold=None if judge is not None and not chosen else self.config.fusion.threshold,
            seed=self.config.shop.seed,
            threads=self.config.build.threads,
        )
        matching = match_offers(offers, truth, settings, progress, judge=judge)
        report.supervised, report.steps, report.learned = (
            matching.supervised,
            matching.seconds,
            matching.learned,
        )
        with self.store.lock(CLUSTERS):
            names = self._named(ids, matching.cluster.tolist(), who, report)
            self._write(
                rows,
                ids,
                names,
                matching.confidence.tolist(),
                _evidence(matching, ids),
                offers,
                rules,
                report,
                who,
            )
        self.book.fill(self._queue(matching, ids, version))
        report.waiting = self.book.left()
        report.seconds = round(time.perf_counter() - begun, 2)
        return report

    def table(self) -> str:
        """The cleaned products while they are made from the newest products, else the products."""
        clean = c.clean_name(c.PRODUCTS)
        if not self.store.exists(clean) or not self.store.exists(c.PRODUCTS):
            return c.PRODUCTS
        made = self.state.versions(clean)
        fresh = made and made[0]["source"] == f"{c.PRODUCTS}@{self.store.version(c.PRODUCTS)}"
        return clean if fresh else c.PRODUCTS

    def products(self) -> tuple[str, int, list[dict[str, Any]]]:
        """The table to fuse (the cleaned one when it is there), its version and rows.

        Raises:
            DataError: when there are none.
        """
        table = self.table()
        if not self.store.exists(table):
            raise DataError("there are no products", mend="wares ingest PATH --as products", table=table)
        version = self.store.version(table)
        with Engine(self.config.build.memory_gb / 2, self.config.build.threads) as engine:
            rows = engine.arrow(
                engine.parquet(self.store.files(table, version)).order_by(c.PRODUCT_ID)
            ).to_pylist()
        if not rows:
            raise DataError("there are no products", mend="wares ingest PATH --as products", table=table)
        raw = [name for name in rows[0] if name.endswith("_raw") or name.startswith("_")]
        return table, version, [{k: v for k, v in row.items() if k not in raw} for row in rows]

    def clusters(self) -> dict[str, str]:
        """The cluster of each product, as of the newest run; empty before the first."""
        if not self.store.exists(CLUSTERS):
            return {}
        with Engine(0.5) as engine:
            found = engine.arrow(
                engine.parquet(self.store.files(CLUSTERS)).select(c.PRODUCT_ID, "cluster_id")
            )
        return dict(zip(found[c.PRODUCT_ID].to_pylist(), found["cluster_id"].to_pylist(), strict=True))

    def members(self, cluster: str) -> list[str]:
        """Products of a cluster.

        Raises:
            NotFound: when there is no such cluster now.
        """
        found = sorted(product for product, name in self.clusters().items() if name == cluster)
        if not found:
            raise NotFound(f"there is no cluster {cluster!r}", mend="See `wares fusion list`", id=cluster)
        return found

    def titles(self, wanted: set[str]) -> dict[str, str]:
        """Titles of products."""
        return {row[c.PRODUCT_ID]: row.get(c.TITLE) or "" for row in self.records(wanted)}

    def records(self, wanted: set[str]) -> list[dict[str, Any]]:
        """Products by their ids, as fusion reads them; those that are gone are left out."""
        if not wanted:
            return []
        table = self.table()
        with Engine(0.5) as engine:
            rows = engine.parquet(self.store.files(table))
            return engine.arrow(rows.filter(rows[c.PRODUCT_ID].isin(sorted(wanted)))).to_pylist()

    def listing(self, limit: int = 20, *, doubtful: bool = False) -> list[dict[str, Any]]:
        """Clusters of several products: largest, or least sure, first."""
        if not self.store.exists(FUSED):
            return []
        with Engine(0.5) as engine:
            rows = engine.arrow(engine.parquet(self.store.files(FUSED))).to_pylist()
        rows = [{**row, "size": len(row["members"])} for row in rows if len(row["members"]) > 1]
        rows.sort(
            key=lambda r: (r["confidence"], r["cluster_id"]) if doubtful else (-r["size"], r["cluster_id"])
        )
        shown = ("cluster_id", "size", "confidence", c.TITLE, "members", "sources", "provenance")
        return [{name: row[name] for name in shown} for row in rows[:limit]]

    def unmerge(self, cluster: str, apart: Sequence[str] = (), who: str = "wares") -> dict[str, list[str]]:
        """Take a cluster apart and keep it apart: `apart` from the rest, or, without `apart`, as it was before its last merge.

        A cluster that was never merged from others falls into single products. The decisions are kept, so the next
        run does not join the parts again; `wares fusion undo` takes them back. Returns the new clusters.

        Raises:
            NotFound: when there is no such cluster, or a product is not in it.
            DataError: when it has one product only.
        """
        members = self.members(cluster)
        if len(members) < 2:
            raise DataError(
                f"{cluster} has one product only", mend="There is nothing to take apart", cluster=cluster
            )
        for product in apart:
            if product not in members:
                raise NotFound(
                    f"{product!r} is not in {cluster}", mend=f"It has {', '.join(members)}", id=product
                )
        if apart and len(set(apart)) == len(members):
            raise DataError("all of its products are named", mend="Name those that leave", cluster=cluster)
        parts = (
            [sorted(set(apart)), [m for m in members if m not in set(apart)]]
            if apart
            else self._before(cluster, members)
        )
        between = [
            (a, b) for at, part in enumerate(parts) for other in parts[at + 1 :] for a in part for b in other
        ]
        self.book.decide_many(between, DIFFERENT, who, f"unmerge {cluster}")
        new = self._regroup({m: number for number, part in enumerate(parts) for m in part}, who)
        made: dict[str, list[str]] = {}
        for member in members:
            made.setdefault(new[member], []).append(member)
        return made

    def merge(self, left: str, right: str, who: str = "wares") -> str:
        """Join two clusters for good; returns the id that stays.

        Raises:
            NotFound: when one of them does not exist.
        """
        a, b = self.members(left), self.members(right)
        if left == right:
            return left
        self.book.decide(a[0], b[0], SAME, who, f"merge {left} {right}")
        return self._regroup(dict.fromkeys([*a, *b], 0), who)[a[0]]

    def _before(self, cluster: str, members: list[str]) -> list[list[str]]:
        for event in self.book.history(cluster, 200):
            if event["kind"] != "merged":
                continue
            parts = [sorted(set(part) & set(members)) for part in event["detail"]["parts"].values()]
            late = sorted(set(members) - {m for part in parts for m in part})
            parts = [part for part in parts if part]
            if len(parts) > 1:
                parts[0] = sorted([*parts[0], *late])
                return parts
        return [[member] for member in members]

    def _regroup(self, groups: Mapping[str, int], who: str) -> dict[str, str]:
        """Write both tables with these products regrouped and all others as they are; returns the new cluster of each."""
        table, version, rows = self.products()
        report = FuseReport(products=len(rows), source_table=table, source_version=version)
        with self.store.lock(CLUSTERS):
            old = self.clusters()
            with Engine(0.5) as engine:
                kept = engine.arrow(engine.parquet(self.store.files(CLUSTERS))).to_pylist()
            before = {row[c.PRODUCT_ID]: row for row in kept}
            ids = [str(row[c.PRODUCT_ID]) for row in rows]
            keys = [f"g{groups[i]}" if i in groups else f"o{old.get(i, i)}" for i in ids]
            number = {key: at for at, key in enumerate(dict.fromkeys(keys))}
            names = self._named(ids, [number[key] for key in keys], who, report)
            sure = [
                1.0 if i in groups else float(before[i]["confidence"]) if i in before else 1.0 for i in ids
            ]
            evidence = [
                json.dumps({"decided_by": who})
                if i in groups
                else before[i]["evidence"]
                if i in before
                else "{}"
                for i in ids
            ]
            rules = rules_for([name for name in rows[0] if name != c.PRODUCT_ID], self.config.fusion.rules)
            self._write(
                rows,
                ids,
                names,
                sure,
                evidence,
                offers_from(rows, self.config.fusion.source),
                rules,
                report,
                who,
            )
        return dict(zip(ids, names, strict=True))

    def _truth(self, ids: list[str]) -> tuple[Truth, int]:
        at = {product: row for row, product in enumerate(ids)}
        must: list[tuple[int, int]] = []
        cannot: list[tuple[int, int]] = []
        for row in self.book.decided():
            if row["left_id"] in at and row["right_id"] in at and row["verdict"] in (SAME, DIFFERENT):
                (must if row["verdict"] == SAME else cannot).append((at[row["left_id"]], at[row["right_id"]]))
        told = np.asarray([*must, *cannot], np.int64).reshape(-1, 2)
        same = np.asarray([True] * len(must) + [False] * len(cannot), bool)
        return Truth(None, told, same, must, cannot), len(told)

    def _named(self, ids: list[str], groups: list[int], who: str, report: FuseReport) -> list[str]:
        """Stable names: a cluster keeps the id of the old cluster that most of its members come from."""
        old = self.clusters()
        members: dict[int, list[str]] = {}
        for product, group in zip(ids, groups, strict=True):
            members.setdefault(group, []).append(product)
        claims: list[tuple[int, str, str, int]] = []
        for group, products in members.items():
            counts: dict[str, int] = {}
            for product in products:
                if product in old:
                    counts[old[product]] = counts.get(old[product], 0) + 1
            claims += [(-count, name, min(products), group) for name, count in counts.items()]
        name_of: dict[int, str] = {}
        taken: set[str] = set()
        for _, name, _, group in sorted(claims):
            if group not in name_of and name not in taken:
                name_of[group] = name
                taken.add(name)
        used = taken | set(old.values())
        for group, products in members.items():
            if group not in name_of:
                salt = 0
                while (name := "c" + digest([min(products), salt])[:12]) in used:
                    salt += 1
                name_of[group] = name
                used.add(name)
        report.clusters = len(members)
        report.joined = sum(len(products) for products in members.values() if len(products) > 1)
        self._note_changes(old, members, name_of, who, report)
        return [name_of[group] for group in groups]

    def _note_changes(
        self,
        old: dict[str, str],
        members: dict[int, list[str]],
        name_of: dict[int, str],
        who: str,
        report: FuseReport,
    ) -> None:
        notes: list[tuple[str, str, dict[str, Any]]] = []
        went: dict[str, set[str]] = {}
        for group, products in members.items():
            parts: dict[str, list[str]] = {}
            for product in products:
                parts.setdefault(old.get(product, ""), []).append(product)
                if product in old:
                    went.setdefault(old[product], set()).add(name_of[group])
            if name_of[group] not in set(old.values()) and set(parts) == {""}:
                report.made += 1
            if len(parts) > 1:
                report.merged += 1
                shown = {name or "new": sorted(rows) for name, rows in parts.items()}
                notes.append(("merged", name_of[group], {"parts": shown}))
        for name, into in went.items():
            if len(into) > 1:
                report.split += 1
                notes.append(("split", name, {"into": sorted(into)}))
        self.book.note(notes, who)

    def _write(
        self, rows: list[dict[str, Any]], ids: list[str], names: list[str], sure: list[float], evidence: list[str], offers: Offers,
        rules: dict[str, str], report: FuseReport, who: str,
    ) -> None:  # fmt: skip
        source = [str(s) for s in offers.source] if offers.source is not None else [""] * len(ids)
        sizes: dict[str, int] = {}
        for name in names:
            sizes[name] = sizes.get(name, 0) + 1
        table = pa.table(
            {
                c.PRODUCT_ID: ids, "cluster_id": names, "source": source, "confidence": pa.array(sure, pa.float32()),
                "size": pa.array([sizes[name] for name in names], pa.int32()), "evidence": evidence,
            },
            schema=CLUSTER_SCHEMA,
        )  # fmt: skip
        note = {"source": f"{report.source_table}@{report.source_version}"}
        edges = lineage(rules, report.source_table)
        origins = from_rules(
            [(name, inputs, rule) for name, inputs, rule in edges if name in (c.PRODUCT_ID, "cluster_id")]
        )
        report.clusters_version = self.store.replace(CLUSTERS, table, note, origins)
        rank = {name: at for at, name in enumerate(self.config.fusion.trust)}
        newest = [_value(row, self.config.fusion.newest) for row in rows]
        groups: dict[str, list[int]] = {}
        for at, name in enumerate(names):
            groups.setdefault(name, []).append(at)
        fused: list[dict[str, Any]] = []
        for name, group in groups.items():
            lead = min(group, key=lambda i: (rank.get(source[i], len(rank)), ids[i]))
            record, origin = survive(
                [rows[i] for i in group], rules, rank, [source[i] for i in group], [newest[i] for i in group]
            )
            fused.append(
                {
                    c.PRODUCT_ID: ids[lead], **record, "cluster_id": name, "members": [ids[i] for i in group],
                    "sources": sorted({source[i] for i in group}), "confidence": float(min(sure[i] for i in group)),
                    "provenance": json.dumps(origin, ensure_ascii=False, sort_keys=True),
                }
            )  # fmt: skip
        schema = self._fused_schema(report.source_table, list(rules))
        report.fused_version = self.store.replace(
            FUSED, pa.Table.from_pylist(fused, schema), note, from_rules(edges)
        )
        self._register(CLUSTERS, report.clusters_version, len(ids), note["source"], table.schema, report)
        self._register(FUSED, report.fused_version, len(fused), note["source"], schema, report)
        if self.audit is not None:
            detail = {
                "products": len(ids),
                "clusters": len(fused),
                "versions": [report.clusters_version, report.fused_version],
            }
            self.audit.record(who, "fusion.write", f"{CLUSTERS}, {FUSED}", detail)

    def _fused_schema(self, table: str, columns: list[str]) -> pa.Schema:
        with Engine(0.5) as engine:
            known = engine.arrow(engine.parquet(self.store.files(table)).limit(0)).schema
        kept = [known.field(name) for name in (c.PRODUCT_ID, *columns)]
        return pa.schema(
            [
                *kept, pa.field("cluster_id", pa.string()), pa.field("members", pa.list_(pa.string())),
                pa.field("sources", pa.list_(pa.string())), pa.field("confidence", pa.float32()), pa.field("provenance", pa.string()),
            ]
        )  # fmt: skip

    def _register(
        self, asset: str, version: int, rows: int, source: str, schema: pa.Schema, report: FuseReport
    ) -> None:
        quality = {
            "rules": {},
            "read": report.products,
            "same": 0,
            "warnings": [],
            "fusion": report.to_json(),
        }
        self.state.record_version(
            {
                "asset": asset, "version": version, "at": stamp(self.clock.now()), "rows": rows, "added": 0, "changed": rows,
                "quarantined": 0, "source": source, "columns": json.dumps([[f.name, str(f.type), ""] for f in schema]),
                "quality": json.dumps(quality),
            }
        )  # fmt: skip

    def _queue(self, matching: Matching, ids: list[str], version: int) -> list[dict[str, Any]]:
        width = self.config.fusion.doubt
        rows = [(a, b, p) for a, b, p in matching.doubtful if abs(p - matching.threshold) <= width][:QUEUE]
        return [
            {
                "left_id": ids[a], "right_id": ids[b], "probability": round(p, 4), "version": version,
                "evidence": {**matching.why(a, b), "joined": bool(matching.cluster[a] == matching.cluster[b])},
            }
            for a, b, p in rows
        ]  # fmt: skip


def _value(row: Mapping[str, Any], name: str) -> str:
    if not name:
        return ""
    if name.startswith("attributes."):
        return str(_attributes(row).get(name.removeprefix("attributes."), "") or "")
    value = row.get(name)
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    text = row.get("attributes") or "{}"
    try:
        value = json.loads(text) if isinstance(text, str) else dict(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def offers_from(rows: Sequence[Mapping[str, Any]], source: str) -> Offers:
    """Products as fusion compares them; identifiers are found among columns and attributes by their names."""
    attributes = [_attributes(row) for row in rows]
    named = sorted(
        {key for row in attributes for key in row if is_identifier_name(key)}
        | {k for k in rows[0] if is_identifier_name(k)}
    )
    identifiers = {
        name: [
            clean_identifier(str(row.get(name) or more.get(name) or ""))
            for row, more in zip(rows, attributes, strict=True)
        ]
        for name in named
    }
    sources = [_value(row, source) for row in rows]

    def text(name: str) -> list[str]:
        return [str(row.get(name) or "") for row in rows]

    labels = {name: [v.casefold().strip() for v in text(name)] for name in (c.BRAND, c.CATEGORY)}
    texts = {c.DESCRIPTION: text(c.DESCRIPTION)}
    return Offers(
        title=[
            " ".join(filter(None, (title, size)))
            for title, size in zip(text(c.TITLE), text(c.SIZE), strict=True)
        ],
        texts={name: column for name, column in texts.items() if any(column)},
        labels={name: column for name, column in labels.items() if any(column)},
        numbers={
            c.PRICE: np.asarray([np.nan if row.get(c.PRICE) is None else float(row[c.PRICE]) for row in rows])
        },
        identifiers={name: column for name, column in identifiers.items() if any(column)},
        source=sources if any(sources) else None,
    )


def _evidence(matching: Matching, ids: list[str]) -> list[str]:
    best: dict[int, tuple[float, int]] = {}
    inside = matching.cluster[matching.pairs[:, 0]] == matching.cluster[matching.pairs[:, 1]]
    for (a, b), p in zip(matching.pairs[inside].tolist(), matching.probability[inside].tolist(), strict=True):
        for row, other in ((a, b), (b, a)):
            if (p, -other) > best.get(row, (-1.0, 0)):
                best[row] = (p, -other)
    out = []
    for row in range(len(ids)):
        if row not in best:
            out.append("{}")
            continue
        p, other = best[row]
        mine, theirs = matching.evidence.readings[row], matching.evidence.readings[-other]
        facts = {
            "with": ids[-other], "probability": round(p, 4), "shared": [w for w in mine.words if w in theirs.words][:8],
            "codes": sorted(mine.codes & theirs.codes)[:4],
        }  # fmt: skip
        out.append(json.dumps(facts, ensure_ascii=False))
    return out
