"""Make ``<table>_clean`` of a table: cell rules over Arrow batches, then table rules inside the engine; bounded memory."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from wares.core import columns as c
from wares.core.audit import Audit
from wares.core.clock import SYSTEM, Clock
from wares.core.config import Config
from wares.core.errors import ConfigError
from wares.core.files import digest, file_digest
from wares.core.state import State, stamp
from wares.data.clean.cells import Adder, ColumnCleaner, stage_columns
from wares.data.clean.money import fill_prices
from wares.data.clean.report import Change, CleanReport
from wares.data.clean.rules import FLAGS, CleanRule, check_columns, declared, lineage
from wares.data.clean.tables import STAGED_FLAGS, apply_table_rules, count_marks, table_rules
from wares.data.clean.taxonomy import Mapped, map_categories, read_mapping, read_taxonomy
from wares.data.clean.text import run_chain, spelling_table, text_rule
from wares.data.clean.titles import groups
from wares.data.contract import Contract, contract_for
from wares.data.engine import Engine
from wares.data.lineage.origin import Lineage, from_rules
from wares.data.privacy.tags import default_tag, set_tag, tags_of
from wares.data.store import Store

BATCH = 65_536
MOST_DISTINCT = 3_000_000
"""Distinct values up to which a column can be learned from (spellings, taxonomy, near duplicates)."""


@lru_cache
def _code() -> str:
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def cleaned_tables(root: Path, store: Store) -> list[str]:
    """The clean tables that exist and whose rules are still declared."""
    return [
        c.clean_name(table)
        for table in c.TABLES
        if store.exists(c.clean_name(table)) and declared(contract_for(table, root))
    ]


class Cleaner:
    """Cleans the tables of one workspace."""

    def __init__(
        self,
        root: Path,
        config: Config,
        store: Store,
        state: State,
        clock: Clock = SYSTEM,
        audit: Audit | None = None,
    ) -> None:
        self.root, self.config, self.store, self.state, self.clock = root, config, store, state, clock
        self.audit = audit

    def all(
        self, progress: Callable[[str, int, int], None] = lambda *_: None, *, force: bool = False
    ) -> list[CleanReport]:
        """Clean every loaded table whose contract declares rules, where something changed since the last time."""
        reports = []
        for table in c.TABLES:
            if self.store.exists(table) and declared(contract_for(table, self.root)):
                reports.append(
                    self.clean(table, lambda done, total, t=table: progress(t, done, total), force=force)
                )
        return reports

    def last(self, table: str) -> CleanReport | None:
        """The report of the newest clean version of a table."""
        for row in self.state.versions(c.clean_name(table)):
            return CleanReport.from_json(row["quality"]["cleaning"])
        return None

    def clean(
        self, table: str, progress: Callable[[int, int], None] = lambda *_: None, *, force: bool = False
    ) -> CleanReport:
        """Make the next version of ``<table>_clean``, unless data, rules, their files and code are as the last time.

        Raises:
            ConfigError: when the contract declares no rules, or a rule's file is wrong.
            VersionNotFound: when the table is not loaded.
        """
        begun = time.perf_counter()
        contract = contract_for(table, self.root)
        if not declared(contract):
            raise ConfigError(
                f"the contract of {table} declares no cleaning rules",
                mend="Add `customProperties: [{property: clean, value: [unicode, html, whitespace]}]` to a column; see docs/cleaning.md",
                key="clean",
                source=f"contracts/{table}.odcs.yaml",
            )
        check_columns(contract)
        name = c.clean_name(table)
        version = self.store.version(table)
        files = self.store.files(table, version)
        key = self._key(contract, files)
        last = self.last(table) if self.store.exists(name) else None
        if last is not None and last.key == key and not force:
            last.fresh = True
            progress(last.rows, last.rows)
            return last
        report = CleanReport(table, table, version, key=key)
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="clean-", dir=folder))
        try:
            with (
                self.store.lock(name),
                Engine(self.config.build.memory_gb / 2, self.config.build.threads, work) as engine,
            ):
                self._make(contract, files, work, engine, report, progress)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        report.seconds = round(time.perf_counter() - begun, 2)
        self._register(contract, report)
        return report

    def _key(self, contract: Contract, files: list[str]) -> str:
        rules = [[column, rule.name, rule.options] for column, rule in declared(contract)]
        beside = {
            str(value): file_digest(self.root / str(value))
            for _, rule in declared(contract)
            for option, value in rule.options
            if option in ("rates", "file", "mapping") and (self.root / str(value)).is_file()
        }
        shape = [[column.name, column.kind, column.required, column.key] for column in contract.columns]
        return digest(
            [sorted(Path(f).name for f in files), rules, beside, shape, self.config.shop.currency, _code()]
        )

    # -- learning --------------------------------------------------------------------------------------------

    def _distinct(
        self, engine: Engine, files: list[str], column: str, chain: list[CleanRule]
    ) -> dict[str, int]:
        """Values of a column after the text rules before the one that learns, with their rows."""
        table = engine.parquet(files)
        known = table.filter(table[column].notnull())
        counts = engine.stage(known.group_by(column).aggregate(_n=known.count()))
        distinct = engine.count(counts)
        if distinct > MOST_DISTINCT:
            raise ConfigError(
                f"the column {column!r} has {distinct:,} distinct values, too many to learn from",
                mend=f"Take `casing`, `taxonomy` and `near_duplicates` away from it (they learn from up to {MOST_DISTINCT:,})",
                key=f"{column}.clean",
                source="the contract",
            )
        rules = [text_rule(rule) for rule in chain]
        out: dict[str, int] = {}
        for text, n in zip(*(engine.arrow(counts)[name].to_pylist() for name in (column, "_n")), strict=True):
            clean = run_chain(text, rules)[0] if rules else text
            if clean:
                out[clean] = out.get(clean, 0) + n
        return out

    def _learn(
        self, contract: Contract, files: list[str], engine: Engine, report: CleanReport
    ) -> tuple[dict[tuple[str, str], dict[str, str]], dict[str, Mapped]]:
        """The tables of the rules that learn, by (column, rule), and what taxonomies came out."""
        tables: dict[tuple[str, str], dict[str, str]] = {}
        mapped: dict[str, Mapped] = {}
        for column in contract.columns:
            chain: list[CleanRule] = []
            for rule in column.clean:
                if rule.name == "casing":
                    tables[column.name, rule.name] = spelling_table(
                        self._distinct(engine, files, column.name, chain)
                    )
                elif rule.name == "taxonomy":
                    counts = self._distinct(engine, files, column.name, chain)
                    before = [text_rule(one) for one in chain]
                    paths = read_taxonomy(self.root / str(rule["file"]), before)
                    decided = read_mapping(
                        self.root / str(rule["mapping"]), {p.casefold(): p for p in paths}, before
                    )
                    mapped[column.name] = map_categories(counts, paths, decided, float(rule["threshold"]))
                    tables[column.name, rule.name] = mapped[column.name].table
                    report.proposals += [{"column": column.name, **p} for p in mapped[column.name].proposals]
                if (
                    rule.spec.changes
                    and rule.spec.kinds == ("string",)
                    and rule.name not in ("casing", "taxonomy")
                ):
                    chain.append(rule)
            for rule in column.clean:
                if rule.name == "near_duplicates":
                    texts = self._distinct(engine, files, column.name, chain)
                    tables[column.name, rule.name] = groups(texts, float(rule["threshold"]))
        return tables, mapped

    # -- making ----------------------------------------------------------------------------------------------

    def _make(
        self,
        contract: Contract,
        files: list[str],
        work: Path,
        engine: Engine,
        report: CleanReport,
        progress: Callable[[int, int], None],
    ) -> None:
        learned, mapped = self._learn(contract, files, engine, report)
        chains, adding = stage_columns(contract)
        cleaners = {
            column.name: ColumnCleaner(
                column.name,
                chains[column.name],
                column.required or column.key,
                {rule.name: learned.get((column.name, rule.name), {}) for rule in chains[column.name]},
            )
            for column in contract.columns
            if column.name in chains
        }
        adders = [Adder(column, rule, learned.get((column, rule.name), {})) for column, rule in adding]
        hidden = self._hidden(contract)
        prices = [
            (column, rule, Change(column, rule.name, "filled"))
            for column, rule in declared(contract)
            if rule.name == "price_text" and rule["from"]
        ]
        changes = [*(ch for cleaner in cleaners.values() for ch in cleaner.changes), *(p[2] for p in prices)]
        for change in [*changes, *(adder.change for adder in adders)]:
            change.withheld = change.column in hidden
        staged = work / "staged.parquet"
        fields = [*contract.arrow_schema(), *(field for adder in adders for field in adder.fields())]
        if mapped:
            fields.append(pa.field(STAGED_FLAGS, pa.string()))
        schema = pa.schema(fields)
        total = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
        with pq.ParquetWriter(staged, schema, compression="zstd") as out:
            for batch in _batches(files, contract):
                out.write_batch(self._clean_batch(batch, contract, cleaners, adders, prices, mapped, schema))
                report.rows += batch.num_rows
                progress(report.rows, total)
        for cleaner in cleaners.values():
            report.changes += cleaner.changes
            if cleaner.kept_raw:
                report.warnings.append(
                    f"{cleaner.column}: nothing would be left of {cleaner.kept_raw:,} cells that must not be empty; they stay raw"
                )
        report.changes += [change for _, _, change in prices] + [adder.change for adder in adders]
        self._finish(contract, staged, engine, report)

    def _clean_batch(
        self,
        batch: pa.RecordBatch,
        contract: Contract,
        cleaners: dict[str, ColumnCleaner],
        adders: list[Adder],
        prices: list[tuple[str, CleanRule, Change]],
        mapped: dict[str, Mapped],
        schema: pa.Schema,
    ) -> pa.RecordBatch:
        keys = batch.column(contract.key[0])
        columns = {
            name: cleaners[name].apply(array, keys) if name in cleaners else array
            for name, array in zip(batch.schema.names, batch.columns, strict=True)
        }
        for name, rule, change in prices:
            read, rows = fill_prices(columns[name], columns[str(rule["from"])])
            change.cells += len(rows)
            for row in rows[:20]:
                change.sample(keys[row].as_py(), columns[str(rule["from"])][row].as_py(), read[row].as_py())
            columns[name] = read
        for adder in adders:
            columns |= adder.apply(columns, keys)
        for name, found in mapped.items():
            unknown = [
                None if value is None or value in found.known else f"unmapped:{name}"
                for value in columns[name].to_pylist()
            ]
            columns[STAGED_FLAGS] = pa.array(unknown, pa.string())
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _hidden(self, contract: Contract) -> set[str]:
        """Columns of which no samples are kept, since they are personal or may be. Their tags go over to the clean table."""
        name = c.clean_name(contract.table)
        tags = tags_of(self.state, contract.table, [column.name for column in contract.columns])
        hidden = {column for column, tag in tags.items() if tag.hidden}
        for column in hidden:
            if not default_tag(name, column).hidden:
                tag = tags[column]
                set_tag(self.state, name, column, tag.personal, tag.kinds, share=tag.share, source=tag.source)
        return hidden | contract.personal

    def _finish(self, contract: Contract, staged: Path, engine: Engine, report: CleanReport) -> None:
        name, note = c.clean_name(contract.table), {"source": f"{contract.table}@{report.source_version}"}
        origins = staged_origins(contract, report.source_version)
        if not table_rules(contract):
            report.version = self.store.replace(name, engine.stream(staged, origins), note)
            return
        stage = apply_table_rules(
            engine, engine.parquet([str(staged)], origins), contract, self.root, self.config.shop.currency
        )
        done = engine.stage(stage.table)
        hidden = self._hidden(contract)
        for change, _, _ in stage.counts:
            change.withheld = change.column in hidden
        report.changes += count_marks(engine, done, stage, contract.key[0], report.warnings)
        if FLAGS in done.columns:
            unmapped = [
                f"unmapped:{column}" for column, rule in table_rules(contract) if rule.name == "taxonomy"
            ]
            for word in unmapped:
                flagged = engine.count(done.filter(done[FLAGS].contains(word)))
                report.changes.append(Change(word.split(":")[1], "taxonomy", "flagged", flagged))
        kept = [column for column in done.columns if not column.startswith("_")]
        report.version = self.store.replace(name, engine.batches(done, only=kept), note)

    def _register(self, contract: Contract, report: CleanReport) -> None:
        name = c.clean_name(contract.table)
        known = {column.name: [column.name, column.kind, column.description] for column in contract.columns}
        made = {
            output: f"Made by the cleaning rule {rule.name} from {column}."
            for column, rule in declared(contract)
            for output in rule.adds(column)
        }
        changed = sum(change.cells for change in report.changes if change.does == "changed")
        quality = {
            "rules": {},
            "read": report.rows,
            "same": 0,
            "warnings": report.warnings,
            "contract": contract.hash,
            "cleaning": report.to_json(),
        }
        if self.audit is not None:
            facts = {"source": f"{contract.table}@{report.source_version}", "version": report.version}
            self.audit.record("wares", "clean", name, {**facts, "rows": report.rows, "cells": changed})
        self.state.record_version(
            {
                "asset": name, "version": report.version, "at": stamp(self.clock.now()), "rows": report.rows, "added": 0,
                "changed": changed, "quarantined": 0, "source": f"{contract.table}@{report.source_version}",
                "columns": json.dumps([*known.values(), *([n, "string" if n in (FLAGS, "unit") else "number", about] for n, about in made.items())]),
                "quality": json.dumps(quality),
            }
        )  # fmt: skip


def staged_origins(contract: Contract, version: int) -> Lineage:
    """Which columns the cell rules read for each staged column; what the table rules read, their expressions tell."""
    made = {FLAGS, "unit_price"}
    rules = [
        edge for edge in lineage(contract) if edge[0] not in made and edge[2] not in ("convert", "outliers")
    ]
    names = {column.name for column in contract.columns} - {output for output, _, _ in rules}
    rules += [(name, [name], "copy") for name in sorted(names)]
    rules += [
        (STAGED_FLAGS, [column], rule.name) for column, rule in declared(contract) if rule.name == "taxonomy"
    ]
    return from_rules(rules, contract.table, version)


def _batches(files: list[str], contract: Contract) -> Iterator[pa.RecordBatch]:
    """The rows of a version under the contract's schema; a column that a file lacks is null."""
    schema = contract.arrow_schema()
    for path in files:
        file = pq.ParquetFile(path)
        there = [name for name in schema.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(BATCH, columns=there):
            arrays = [
                batch.column(field.name).cast(field.type)
                if field.name in there
                else pa.nulls(batch.num_rows, field.type)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def proposals_csv(report: CleanReport) -> str:
    """The proposals of a report as ``from,to,score,rows`` CSV, to review and to append to the mapping file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["from", "to", "score", "rows", "applied"])
    for p in report.proposals:
        writer.writerow([p["from"], p["to"], p["score"], p["rows"], p["applied"]])
    return text.getvalue()
