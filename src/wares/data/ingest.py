"""Landing: source → types → contract → quarantine or table. Good rows always land; nothing is lost."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wares.core import columns as c
from wares.core.clock import SYSTEM, Clock
from wares.core.config import Config, SourceConfig
from wares.core.errors import DataError, SourceError
from wares.core.state import State, stamp
from wares.data.check import Rule, mark_broken, split_repeats
from wares.data.clean.money import read_prices, with_signs
from wares.data.contract import Contract, contract_for
from wares.data.engine import Engine, Table
from wares.data.lineage.origin import Lineage, of_mapping
from wares.data.mapping import apply_map, guess, template_fields
from wares.data.privacy.gate import Gate
from wares.data.privacy.journal import landing
from wares.data.quarantine import QUARANTINE_SCHEMA, quarantine_row, set_aside
from wares.data.sources import Chunk, Fault, read_source
from wares.data.store import Store
from wares.data.types import to_json, to_type

_KINDS = {
    "transaction": c.PURCHASE, "buy": c.PURCHASE, "order": c.PURCHASE, "purchased": c.PURCHASE, "sale": c.PURCHASE, "购买": c.PURCHASE,
    "addtocart": c.CART, "add_to_cart": c.CART, "cartadd": c.CART, "basket": c.CART, "加购": c.CART,
    "pageview": c.VIEW, "view_item": c.VIEW, "pv": c.VIEW, "detail": c.VIEW, "浏览": c.VIEW,
    "refund": c.RETURN, "cancel": c.RETURN, "退货": c.RETURN, "rating": c.RATE, "review": c.RATE, "点击": c.CLICK,
}  # fmt: skip

_TEXT_KINDS = {
    **{kind: kind for kind in c.TEXT_KINDS},
    "questions": "question", "qa": "question", "q&a": "question", "ask": "question", "提问": "question", "问题": "question", "咨询": "question",
    "chats": "chat", "message": "chat", "service": "chat", "ticket": "chat", "support": "chat", "email": "chat", "客服": "chat", "聊天": "chat",
    "search": "feedback", "survey": "feedback", "comment": "feedback", "反馈": "feedback", "article": "news", "新闻": "news",
}  # fmt: skip


@dataclass
class IngestReport:
    """What became of the rows of one source."""

    table: str
    source: str
    read: int = 0
    added: int = 0
    changed: int = 0
    same: int = 0
    quarantined: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    blocking: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    mapping: dict[str, str] = field(default_factory=dict)
    version: int | None = None

    def raise_for_errors(self) -> None:
        """Raise when a blocking rule broke."""
        from wares.core.errors import ContractViolation

        if self.blocking:
            raise ContractViolation(
                f"{self.table}: {self.quarantined} rows in quarantine; blocking: {', '.join(self.blocking)}",
                mend="See `wares quarantine`; mend the export and ingest it again",
                table=self.table, rule=self.blocking[0], rows=self.quarantined,
            )  # fmt: skip


class Ingester:
    """Lands sources in the tables of one workspace."""

    def __init__(self, root: Path, config: Config, store: Store, state: State, clock: Clock = SYSTEM) -> None:
        self.root, self.config, self.store, self.state, self.clock = root, config, store, state, clock

    def ingest(self, source: SourceConfig, progress: Callable[[int], None] = lambda _: None) -> IngestReport:
        """Read one source and land it.

        Raises:
            SourceError: when nothing can be read.
            ConfigError: when the mapping names a column that is not there.
        """
        contract = contract_for(source.table, self.root)
        report = IngestReport(source.table, source.path or f"sql:{source.query[:60]}")
        # An erasure waits for rows that are on their way, and holds new ones back.
        with landing(self.root), self._workplace() as work:
            self._gate = Gate(self.root, self.config, self.state)
            staged = self._stage(source, contract, work, report, progress)
            with (
                Engine(self.config.build.memory_gb / 2, self.config.build.threads, work) as engine,
                self.store.lock(source.table),
            ):
                self._land(source, contract, engine, staged, report)
        return report

    def judge(self, source: SourceConfig) -> dict[int, tuple[str, str, str]]:
        """What would keep rows of a source out: line → (rule, column, mend). Nothing is landed or set aside."""
        contract = contract_for(source.table, self.root)
        report = IngestReport(source.table, source.path)
        self._gate = Gate(self.root, self.config, self.state)
        with self._workplace() as work, Engine(self.config.build.memory_gb / 2, scratch=work) as engine:
            good, bad = self._stage(source, contract, work, report, lambda _: None)
            broken = {r["line"]: (r["rule"], r["column"], r["mend"]) for r in pq.read_table(bad).to_pylist()}
            marked, rules = mark_broken(
                contract,
                engine.parquet([str(good)], self._origins(contract, source, report)),
                self._targets(contract, engine, report),
            )
            for row in engine.arrow(
                marked.filter(marked._rule.notnull()).select(c.LINE, "_rule")
            ).to_pylist():
                rule = rules[row["_rule"]]
                broken[row[c.LINE]] = (rule.name, rule.column, rule.mend)
        return broken

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="ingest-", dir=folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    # -- reading ---------------------------------------------------------------------------------------------

    def _stage(
        self,
        source: SourceConfig,
        contract: Contract,
        work: Path,
        report: IngestReport,
        progress: Callable[[int], None],
    ) -> tuple[Path, Path]:
        """Stream the source into two Parquet files: typed rows, and rows that could not be typed."""
        good, bad = work / "good.parquet", work / "bad.parquet"
        schema = (
            contract.arrow_schema()
            .append(pa.field(c.LINE, pa.int64()))
            .append(pa.field(c.SOURCE, pa.string()))
        )
        mapping = dict(source.map)
        with pq.ParquetWriter(good, schema) as rows_out, pq.ParquetWriter(bad, QUARANTINE_SCHEMA) as bad_out:
            for chunk in read_source(source, self.root):
                if not mapping and chunk.table.num_columns:
                    mapping = guess(chunk.table.column_names, source.table)
                    self._require_guess(contract, mapping, chunk)
                if mapping and not report.mapping:
                    report.mapping = mapping
                typed, faults = self._typed(chunk, mapping, source, contract)
                report.read += chunk.table.num_rows + len(chunk.faults)
                if typed.num_rows:
                    rows_out.write_table(typed.cast(schema))
                faults = chunk.faults + faults
                if faults:
                    entries = [
                        quarantine_row(source.table, chunk.source, f, self.clock.now()) for f in faults
                    ]
                    # Before it touches the disk: scratch files outlive a killed process.
                    staged = pa.Table.from_pylist(entries, QUARANTINE_SCHEMA)
                    bad_out.write_table(self._gate.safe_quarantine(staged, mapping))
                progress(report.read)
        return good, bad

    def _require_guess(self, contract: Contract, mapping: dict[str, str], chunk: Chunk) -> None:
        derived = {c.EVENT_ID, c.REVIEW_ID, c.TEXT_ID, c.QUERY_ID, c.KIND, c.CURRENCY}
        for column in contract.columns:
            if (column.required or column.key) and column.name not in mapping and column.name not in derived:
                raise SourceError(
                    f"{chunk.source}: no column looks like {column.name!r} of {contract.table}; it has {', '.join(chunk.table.column_names)}",
                    mend=f"Add a [[sources]] table to wares.toml with `map.{column.name} = \"their column\"`",
                    source=chunk.source, line=1,
                )  # fmt: skip

    def _typed(
        self, chunk: Chunk, mapping: dict[str, str], source: SourceConfig, contract: Contract
    ) -> tuple[pa.Table, list[Fault]]:
        table, unused = apply_map(chunk.table, mapping, source.table, chunk.source)
        n = chunk.table.num_rows if mapping else 0
        columns: dict[str, Any] = {}
        broken: dict[int, tuple[str, str, str]] = {}
        signs: dict[int, str] = {}
        for column in contract.columns:
            if column.name not in table.column_names or n == 0:
                continue
            typed = to_type(
                table[column.name], column.kind, date_order=source.date_order, zone=source.timezone
            )
            if typed.bad and any(rule.name == "price_text" for rule in column.clean):
                typed, signs = read_prices(table[column.name], typed)
            columns[column.name] = typed.values
            for row in typed.bad:
                broken.setdefault(row, (typed.rule, column.name, typed.mend))
        if signs and c.CURRENCY in contract.arrow_schema().names:
            columns[c.CURRENCY] = with_signs(columns.get(c.CURRENCY), signs, n, self.config.shop.currency)
        self._gate.pseudonymise(columns)
        self._complete(columns, n, chunk, unused, contract)
        schema = contract.arrow_schema()
        out = pa.table(
            {name: columns.get(name, pa.nulls(n, schema.field(name).type)) for name in schema.names}
        )
        out = out.append_column(c.LINE, pa.array(chunk.lines[:n], pa.int64())).append_column(
            c.SOURCE, pa.repeat(pa.scalar(chunk.source), n)
        )
        if not broken:
            return out, []
        raw = chunk.table.take(sorted(broken)).to_pylist()
        faults = []
        for row, cells in zip(sorted(broken), raw, strict=True):
            rule, column, mend = broken[row]
            value = table[column][row].as_py()
            faults.append(
                Fault(chunk.lines[row], rule, column, str(value)[:200], to_json(cells)[:20_000], mend)
            )
        mask = pa.array([row not in broken for row in range(n)])
        return out.filter(mask), faults

    def _complete(
        self, columns: dict[str, Any], n: int, chunk: Chunk, unused: list[str], contract: Contract
    ) -> None:
        """Fill what an export leaves out: kinds, currencies, attributes, and ids made from the row's content."""
        if n == 0:
            return
        if contract.table == c.EVENTS:
            self._complete_events(columns, n)
        if c.PRICE in columns and c.CURRENCY not in columns:
            columns[c.CURRENCY] = pa.repeat(pa.scalar(self.config.shop.currency), n)
        if contract.table == c.PRODUCTS:
            if c.AVAILABLE not in columns:
                columns[c.AVAILABLE] = pa.repeat(pa.scalar(True), n)
            if unused and "attributes" not in columns:
                rows = chunk.table.select(unused).to_pylist()
                columns["attributes"] = pa.array([to_json(row) for row in rows], pa.string())
        if contract.table == c.TEXTS:
            columns[c.KIND] = _text_kinds(columns.get(c.KIND), n)
        id_column = {
            c.EVENTS: c.EVENT_ID,
            c.REVIEWS: c.REVIEW_ID,
            c.TEXTS: c.TEXT_ID,
            c.QUERIES: c.QUERY_ID,
        }.get(contract.table)
        if id_column and id_column not in columns:
            columns[id_column] = _content_ids(columns, n)

    def _complete_events(self, columns: dict[str, Any], n: int) -> None:
        if c.KIND not in columns:
            columns[c.KIND] = pa.repeat(pa.scalar(c.PURCHASE), n)
        else:
            lower = pc.utf8_lower(columns[c.KIND])
            for theirs in {v for v in pc.unique(lower).to_pylist() if v in _KINDS}:
                lower = pc.if_else(pc.equal(lower, theirs), _KINDS[theirs], lower)
            columns[c.KIND] = lower
        if c.QUANTITY not in columns:
            columns[c.QUANTITY] = pa.repeat(pa.scalar(Decimal(1), pa.decimal128(18, 4)), n)
        back = pc.fill_null(
            pc.and_(pc.less(columns[c.QUANTITY], 0), pc.equal(columns[c.KIND], c.PURCHASE)), False
        )
        columns[c.KIND] = pc.if_else(back, c.RETURN, columns[c.KIND])
        columns[c.QUANTITY] = pc.if_else(back, pc.negate(columns[c.QUANTITY]), columns[c.QUANTITY])

    # -- landing ---------------------------------------------------------------------------------------------

    def _targets(self, contract: Contract, engine: Engine, report: IngestReport) -> dict[str, Table]:
        targets: dict[str, Table] = {}
        for reference in {column.reference for column in contract.columns if column.reference}:
            other, column = reference.split(".", 1)
            if self.store.exists(other):
                table = engine.parquet(self.store.files(other))
                targets[reference] = table.select(table[column])
            else:
                report.warnings.append(
                    f"{other} is not loaded yet, so the reference to {reference} was not checked"
                )
        return targets

    def _origins(self, contract: Contract, source: SourceConfig, report: IngestReport) -> Lineage:
        """Which of their columns each of ours was mapped from."""
        place = Path(report.source)
        if (self.root / "tmp") in place.parents:
            name = "source:online"
        else:
            inside = place.is_relative_to(self.root)
            name = (
                f"source:{place.relative_to(self.root) if inside else (source.path and place.name) or 'sql'}"
            )
        names = [column.name for column in contract.columns]
        templates = {
            ours: template_fields(theirs) or [] for ours, theirs in report.mapping.items() if "{" in theirs
        }
        return of_mapping(names, report.mapping, name, templates)

    def _land(
        self,
        source: SourceConfig,
        contract: Contract,
        engine: Engine,
        staged: tuple[Path, Path],
        report: IngestReport,
    ) -> None:
        good, bad = staged
        marked, rules = mark_broken(
            contract,
            engine.parquet([str(good)], self._origins(contract, source, report)),
            self._targets(contract, engine, report),
        )
        # Not kept: to mark rows again is cheaper than to hold them, however many there are.
        broken = engine.arrow(marked.filter(marked._rule.notnull()))
        fine, contrary, repeats = split_repeats(
            engine, marked.filter(marked._rule.isnull()).drop("_rule"), contract, source.duplicates
        )
        report.same += repeats
        entries = self._contract_faults(contract, rules, broken, engine.arrow(contrary))
        quarantined = self._gate.safe_quarantine(
            pa.concat_tables([pq.read_table(bad), entries]), report.mapping
        )
        report.quarantined = quarantined.num_rows
        report.rules = dict(
            Counter(
                f"{r}:{col}" if col else r
                for r, col in zip(
                    quarantined["rule"].to_pylist(), quarantined["column"].to_pylist(), strict=True
                )
            )
        )
        report.blocking = sorted(label for label in report.rules if label.split(":")[0] in contract.blocking)
        fine, erased = self._gate.without_erased(engine, engine.stage(fine.drop(c.LINE, c.SOURCE)))
        if erased:
            report.warnings.append(f"{erased} rows of erased people were turned away")
        self._upsert(contract, engine, fine, report)
        if quarantined.num_rows:
            set_aside(self.store, engine, quarantined)
        self._freshness(contract, engine, report)
        if report.version is not None:
            self._register(contract, report)

    def _contract_faults(
        self, contract: Contract, rules: list[Rule], broken: pa.Table, contrary: pa.Table
    ) -> pa.Table:
        entries: list[dict[str, Any]] = []
        now = self.clock.now()

        def entry(row: dict[str, Any], rule: str, column: str, mend: str) -> None:
            line, origin = row.pop(c.LINE), row.pop(c.SOURCE)
            row.pop("_rule", None)
            fault = Fault(line, rule, column, str(row.get(column))[:200], to_json(row)[:20_000], mend)
            entries.append(quarantine_row(contract.table, origin, fault, now))

        for row in broken.to_pylist():
            rule = rules[row["_rule"]]
            entry(row, rule.name, rule.column, rule.mend)
        for row in contrary.to_pylist():
            entry(
                row,
                "unique",
                contract.key[0],
                "This key came before with other content; keep one, or set `duplicates` for this source",
            )
        return pa.Table.from_pylist(entries, QUARANTINE_SCHEMA)

    def _upsert(self, contract: Contract, engine: Engine, fresh: Table, report: IngestReport) -> None:
        """Insert new keys, replace changed rows, leave equal ones: the same file twice makes no new version."""
        name = contract.table
        note = {"source": report.source}
        fresh = engine.stage(fresh)
        total = engine.count(fresh)
        if not self.store.exists(name):
            if total:
                report.added, report.version = total, self.store.append(name, engine.batches(fresh), note)
            return
        old = engine.parquet(self.store.files(name))
        missing = [n for n in contract.arrow_schema().names if n not in old.columns]
        if missing:
            raise DataError(
                f"the table {name} has no column {missing[0]!r} that its contract names",
                mend="Take it out of the contract, or start the table anew",
                table=name,
            )
        names = [n for n in fresh.columns if n not in contract.key]
        # Only rows whose key comes again are compared: the hash table is over the keys of what is new.
        again = engine.stage(
            old.semi_join(fresh.select(*contract.key), list(contract.key)).select(*fresh.columns)
        )
        theirs = again.select(**{f"_old_{n}": again[n] for n in fresh.columns})
        joined = fresh.left_join(theirs, [fresh[k] == theirs[f"_old_{k}"] for k in contract.key])
        known = joined[f"_old_{contract.key[0]}"].notnull()
        differs = known & ~_all_same(joined, names)
        status = engine.stage(joined.mutate(_new=~known, _differs=differs).drop(*theirs.columns))
        report.added = engine.count(status.filter(status._new))
        report.changed = engine.count(status.filter(status._differs))
        report.same += total - report.added - report.changed
        if report.changed:
            keys = status.filter(status._differs).select(*contract.key)
            untouched = old.anti_join(keys, list(contract.key)).select(*fresh.columns)
            updated = status.filter(status._new | status._differs).select(*fresh.columns)
            report.version = self.store.replace(name, engine.batches(untouched.union(updated)), note)
        elif report.added:
            report.version = self.store.append(
                name, engine.batches(status.filter(status._new).select(*fresh.columns)), note
            )

    def _freshness(self, contract: Contract, engine: Engine, report: IngestReport) -> None:
        if contract.freshness_days is None or not self.store.exists(contract.table):
            return
        table = engine.parquet(self.store.files(contract.table))
        newest = engine.scalar(table[c.AT].max()) if c.AT in table.columns else None
        if (
            newest is not None
            and (age := (self.clock.now() - newest).total_seconds() / 86400) > contract.freshness_days
        ):
            report.warnings.append(
                f"the newest row of {contract.table} is {age:.0f} days old; its contract allows {contract.freshness_days:g}"
            )

    def _register(self, contract: Contract, report: IngestReport) -> None:
        with Engine(0.5, scratch=self.root / "tmp") as engine:
            rows = engine.count(engine.parquet(self.store.files(contract.table)))
        quality = {
            "rules": report.rules,
            "read": report.read,
            "same": report.same,
            "warnings": report.warnings,
            "contract": contract.hash,
        }
        self.state.record_version(
            {
                "asset": contract.table, "version": report.version, "at": stamp(self.clock.now()), "rows": rows, "added": report.added,
                "changed": report.changed, "quarantined": report.quarantined, "source": report.source,
                "columns": json.dumps([[column.name, column.kind, column.description] for column in contract.columns]),
                "quality": json.dumps(quality),
            }
        )  # fmt: skip


def _all_same(joined: Table, names: list[str]) -> Any:
    from wares.data.engine import literal

    same: Any = literal(True)
    for name in names:
        same = same & joined[name].identical_to(joined[f"_old_{name}"])
    return same


def _text_kinds(said: Any, n: int) -> Any:
    """Kinds of texts by our names; what the export does not say, or calls otherwise, is other."""
    if said is None:
        return pa.repeat(pa.scalar("other"), n)
    ours = [_TEXT_KINDS.get(str(value or "").strip().casefold(), "other") for value in said.to_pylist()]
    return pa.array(ours, pa.string())


def _content_ids(columns: dict[str, Any], n: int) -> pa.Array:
    parts = [pc.fill_null(column.cast(pa.string()), "") for column in columns.values()]
    joined = pc.binary_join_element_wise(*parts, "\x1f")
    return (
        pa.array(
            [hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in joined.to_pylist()],
            pa.string(),
        )
        if n
        else pa.array([], pa.string())
    )
