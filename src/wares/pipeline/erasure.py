"""Erasure and retention: a person, or what is too old, leaves everything; what depended on it is made anew.

The steps, each written into the journal when it is done and harmless when done again:

1. turn away: their ids go onto the list of erased people, so that nothing of them comes in any more;
2. follow: their visits, the keys of their rows and their texts are found in the tables;
3. tables: every version of every table is rewritten (`wares.data.privacy.history`);
4. records: every table of the state database, and its free pages;
5. files: shares, samples, reports, scratch; the shop's own exports when asked for;
6. artefacts: what was made from them is built anew and published, all older artefacts and bundles go;
7. verify: every reader is asked for them. Only then the receipt is written and the journal forgotten.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core import bundles
from wares.core import columns as c
from wares.core.clock import Clock
from wares.core.errors import DataError, NotFitted, QueryError, WaresError
from wares.core.files import digest, read_json, write_json
from wares.core.people import People
from wares.core.state import asset_versions, online_events, stamp
from wares.data.access import share
from wares.data.privacy import history, journal, places, records
from wares.data.privacy.artefacts import artefact_holds, bytes_of
from wares.data.privacy.journal import Journal
from wares.data.privacy.sieve import AgeSieve, Count, Sieve, without_texts
from wares.data.privacy.subject import Subject, checked, checked_alias
from wares.data.privacy.trace import follow, id_names, sieve_for
from wares.pipeline.adapted import forget_adapted

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

RECEIPTS = "receipts"
DERIVED = (c.GRAPH_TRIPLES,)
Say = Callable[[str], None]


def _silent(_: str) -> None:
    return None


def erase(
    shop: Workspace,
    subject: str = "",
    *,
    also: tuple[str, ...] = (),
    sources: bool = False,
    resume: bool = False,
    say: Say = _silent,
    checkpoint: Say = _silent,
) -> dict[str, Any]:
    """Remove a person from everything and return the receipt.

    Args:
        subject: the user id, as the shop knows it or as a pseudonym.
        also: further values that are this person wherever they stand: e-mail, telephone, full name.
        sources: also rewrite the shop's own files under ``exports/``.
        resume: go on with an erasure that was killed; `subject` is not needed then.
        say: told what is at work.
        checkpoint: told of every step inside a step; tests kill the process there.

    Raises:
        QueryError: when there is nothing to resume, or the subject is blank.
        Unavailable: when a build or another erasure runs, or the disk is full; resume it then.
    """
    with journal.erasing(shop.root), shop.exclusive():
        book = Journal.open(shop.root)
        if book is None:
            if resume:
                raise QueryError(
                    "there is no erasure to resume",
                    mend="Start one with `wares asset erase --subject USER`",
                    parameter="resume",
                )
            values, more = [checked(subject)], [checked_alias(v) for v in also]
            moment = stamp(shop.clock.now())
            book = Journal(
                digest([values, moment])[:12], "erasure", moment, values, more, {"sources": sources}
            )
            book.save(shop.root)
        elif not resume and (book.kind != "erasure" or [checked(subject)] != book.values):
            raise QueryError(
                "an earlier erasure is not finished",
                mend="Run `wares asset erase --resume` first",
                parameter="subject",
            )
        return _Run(shop, book, say, checkpoint).all()


def retain(shop: Workspace, say: Say = _silent, checkpoint: Say = _silent) -> dict[str, Any] | None:
    """Remove rows that are older than their table's retention from every version; the receipt, or None when none are.

    Raises:
        Unavailable: as `erase`.
    """
    if journal.is_ours(shop.root):
        return None
    limits = retention_of(shop)
    now = shop.clock.now()
    due = {t: days for t, days in limits.items() if _oldest_is_before(shop, t, now - timedelta(days=days))}
    if not due:
        return None
    with journal.erasing(shop.root), shop.exclusive():
        if Journal.open(shop.root) is not None:
            raise QueryError(
                "an earlier erasure is not finished",
                mend="Run `wares asset erase --resume` first",
                parameter="subject",
            )
        before = {t: (now - timedelta(days=days)).isoformat() for t, days in due.items()}
        moment = stamp(now)
        book = Journal(digest([before, moment])[:12], "retention", moment, options={"before": before})
        book.save(shop.root)
        return _Run(shop, book, say, checkpoint).all()


def retention_of(shop: Workspace) -> dict[str, float]:
    """Days that each table keeps its rows: from ``[privacy.retention]``, or the contract's SLA ``retention``."""
    import yaml

    out: dict[str, float] = {}
    for table in c.TABLES:
        path = shop.root / "contracts" / f"{table}.odcs.yaml"
        if path.is_file():
            found = yaml.safe_load(path.read_text("utf-8")) or {}
            for item in (found.get("slaProperties") or []) if isinstance(found, dict) else []:
                if isinstance(item, dict) and item.get("property") == "retention":
                    unit = {
                        "d": 1,
                        "day": 1,
                        "days": 1,
                        "m": 30.44,
                        "month": 30.44,
                        "y": 365.25,
                        "year": 365.25,
                    }
                    out[table] = float(item["value"]) * unit.get(str(item.get("unit") or "d").lower(), 1)
    for table, days in shop.config.privacy.retention.items():
        if table not in c.TABLES or table == c.PRODUCTS or days <= 0:
            raise QueryError(
                f"privacy.retention: {table} = {days:g}",
                mend="Name events, reviews, queries or prices, and days above 0",
                parameter="privacy.retention",
            )
        out[table] = days
    return out


def _oldest_is_before(shop: Workspace, table: str, moment: datetime) -> bool:
    if not shop.store.exists(table):
        return False
    sieve = AgeSieve(c.AT, moment)
    for path in history.data_files(shop.store.path(table)):
        if any(sieve.batch(batch)[1] for batch in history.batches_of(path, [c.AT])):
            return True
    return False


def receipts(root: Path) -> list[dict[str, Any]]:
    """All receipts, newest first."""
    folder = root / "state" / RECEIPTS
    found = [read_json(p) for p in folder.glob("*.json")] if folder.is_dir() else []
    return sorted(found, key=lambda r: r["ended"], reverse=True)


def subject_of(shop: Workspace, people: People, values: list[str], also: list[str]) -> Subject:
    """A subject before its visits are known: each value raw and as a pseudonym."""
    given = frozenset(v for value in [*values, *also] for v in (value, people.key.pseudonym(value)))
    ids = frozenset(v for value in values for v in (value, people.key.pseudonym(value)))
    return Subject(ids, frozenset(also), given=given, names=id_names(shop.config))


class _Run:
    """One erasure or retention, from its journal to its receipt."""

    def __init__(self, shop: Workspace, book: Journal, say: Say, checkpoint: Say) -> None:
        self.shop, self.book, self.say, self.checkpoint = shop, book, say, checkpoint
        self.people = People(shop.root, shop.state, pseudonymise=shop.config.privacy.pseudonymise)
        self.begun = time.perf_counter()
        self.earlier = book.seconds
        self.clock: Clock = shop.clock

    @property
    def subject(self) -> Subject:
        """The person, with all that the earlier steps found."""
        base = subject_of(self.shop, self.people, self.book.values, self.book.also)
        known = self.book.known
        return replace(
            base,
            ids=base.ids | frozenset(known.get("sessions", [])),
            keys=frozenset(known.get("keys", [])),
            texts=frozenset(known.get("texts", [])),
        )

    def _save(self) -> None:
        self.book.seconds = round(self.earlier + time.perf_counter() - self.begun, 3)
        self.book.save(self.shop.root)

    def all(self) -> dict[str, Any]:
        """Do what is not done yet; returns the receipt."""
        if self.book.receipt is None:
            with journal.nobody_landing(self.shop.root):
                steps: list[tuple[str, Callable[[], None]]] = [
                    ("turn away", self._turn_away), ("follow", self._follow), ("tables", self._tables),
                    ("records", self._records), ("files", self._files), ("stale", self._stale),
                ]  # fmt: skip
                for name, step in steps:
                    self._do(name, step)
            self._do("build", self._build)
            self._do("artefacts", self._artefacts)
            with journal.nobody_landing(self.shop.root):
                # A life that was killed while it built has left its scratch after the step that empties it.
                self._clear_scratch()
            # Once more: a server may have had a request of theirs under way when the list was written.
            self._records()
            records.compact(self.shop.state)
            self.checkpoint("compacted")
            found = self._verify()
            self._sign(found)
        receipt = self.book.receipt
        assert receipt is not None
        write_json(self.shop.root / "state" / RECEIPTS / f"{receipt['id']}.json", receipt)
        self.checkpoint("receipt")
        self._audit(receipt)
        journal.close(self.shop.root)
        self.checkpoint("closed")
        return receipt

    def _do(self, name: str, step: Callable[[], None]) -> None:
        if name in self.book.done:
            return
        self.say(name)
        self.checkpoint(f"before {name}")
        step()
        self.book.done.append(name)
        self._save()
        self.checkpoint(f"after {name}")

    # -- steps -----------------------------------------------------------------------------------------------

    def _turn_away(self) -> None:
        self.people.erase([*self.subject.given], self.book.id)

    def _follow(self) -> None:
        if self.book.kind != "erasure":
            return
        history.sweep_side(self.shop.store)
        found = follow(self.shop.store, self.shop.state, self.subject)
        self.book.remember("sessions", sorted(found.ids - self.subject.ids))
        self.book.remember("keys", sorted(found.keys))
        self.book.remember("texts", sorted(found.texts))
        self._save()
        self.people.erase(self.book.known["sessions"], self.book.id)

    def _sieve(self, asset: str) -> Callable[[], Sieve]:
        if self.book.kind == "retention":
            before = self.book.options["before"]
            if asset == c.QUARANTINE:
                # The row's own time is inside its raw text; the entry's age stands for it.
                oldest = {t: datetime.fromisoformat(v) for t, v in before.items()}
                return lambda: _AnyAge([AgeSieve(c.AT, moment, t) for t, moment in oldest.items()])
            base = asset.removesuffix("_clean")
            moment = datetime.fromisoformat(before[base]) if base in before else None
            return lambda: _AnyAge([AgeSieve(c.AT, moment)] if moment is not None else [])
        subject = without_texts(self.subject)
        names = self._columns(asset)
        return lambda: sieve_for(asset, names, subject, self.shop.state)

    def _columns(self, asset: str) -> list[str]:
        import pyarrow.parquet as pq

        files = history.data_files(self.shop.store.path(asset))
        return list(dict.fromkeys(name for path in files for name in pq.read_schema(path).names))

    def _tables(self) -> None:
        store = self.shop.store
        history.sweep_side(store)
        for asset in store.names():
            with store.lock(asset), store.steady(asset, alone=True):
                history.rewrite(store, asset, self._sieve(asset), self._promise, self.checkpoint)

    def _promise(self, outcome: history.Outcome) -> None:
        self.book.put(
            {
                "where": f"table {outcome.asset}", "rows": outcome.count.rows, "cells": outcome.count.cells, "files": len(outcome.files),
                "log_entries": outcome.versions, "before": outcome.digest_before, "after": outcome.digest_after,
            }
        )  # fmt: skip
        self._save()

    def _register(self) -> None:
        """Tell the registry how many rows each version has now."""
        store = self.shop.store
        for asset in self._rewritten():
            for version in range(store.version(asset) + 1):
                try:
                    rows = store.rows(asset, version)
                except DataError:
                    continue
                here = (asset_versions.c.asset == asset) & (asset_versions.c.version == version)
                with self.shop.state.engine.begin() as connection:
                    connection.execute(asset_versions.update().where(here).values(rows=rows))

    def _records(self) -> None:
        state = self.shop.state
        self._register()
        if self.book.kind == "retention":
            before = self.book.options["before"].get(c.EVENTS)
            if before:
                with state.engine.begin() as connection:
                    gone = connection.execute(online_events.delete().where(online_events.c.at < before))
                self._found("state online_events", Count(int(gone.rowcount)))
            return
        records.clean_state(state.engine, self.subject, self._promise_records)
        self.checkpoint("state cleaned")
        for table, count in records.forget_samples(state.engine, self._rewritten()).items():
            self._found(f"samples in {table}", count)

    def _promise_records(self, found: dict[str, Count]) -> None:
        for table, count in found.items():
            self._found(f"state {table}", count)

    def _rewritten(self) -> list[str]:
        return [
            p["where"].removeprefix("table ") for p in self.book.places if p["where"].startswith("table ")
        ]

    def _withdraw_shares(self) -> None:
        """Take back shares of tables that lost rows: ids in them are hashed for their receiver, so nobody can pick out one."""
        for row in self.shop.shares.list():
            if row["asset"] in self._rewritten() and row["status"] != "revoked":
                done = self.shop.shares.revoke(row["id"], who="wares")
                self.book.put(
                    {"where": f"share {row['id']} to {row['receiver']}", "shared_rows": row["rows"], "files": int(done["removed"])}
                )  # fmt: skip
                self._save()
                self.checkpoint(f"share {row['id']}")
        # A workspace that was moved or copied has its shares elsewhere than the registry says.
        for manifest in list(self.shop.root.rglob(share.MANIFEST)):
            if manifest.relative_to(self.shop.root).parts[0] in places.MADE or not manifest.is_file():
                continue
            facts = read_json(manifest)
            if (
                isinstance(facts, dict)
                and facts.get("format") == share.FORMAT
                and facts.get("asset") in self._rewritten()
            ):
                shutil.rmtree(manifest.parent)
                self.book.put({"where": f"share {facts.get('id')} in the workspace", "files": 1})
                self._save()

    def _found(self, where: str, count: Count) -> None:
        if count:
            self.book.put({"where": self.subject.without(where), "rows": count.rows, "cells": count.cells})
            self._save()

    def _clear_scratch(self) -> None:
        gone = places.clear_scratch(self.shop.root, self.shop.store.root)
        earlier = sum(p["files"] for p in self.book.places if p["where"] == "scratch")
        if gone:
            self.book.put({"where": "scratch", "files": earlier + gone})

    def _files(self) -> None:
        root = self.shop.root
        self._clear_scratch()
        self._withdraw_shares()
        if self.book.kind == "retention":
            return
        subject = self.subject
        sources = bool(self.book.options.get("sources"))
        for path in places.other_files(root, exports=True):
            inside = path.relative_to(root)
            ours = inside.parts[0] != "exports" and inside.parts[0] not in ("wares.toml", "contracts")
            try:
                count = places.clean_file(path, subject, self.shop.state, dry=True)
            except (ValueError, OSError) as error:
                if ours:
                    raise DataError(
                        f"{inside} cannot be searched: {error}",
                        mend="Mend or remove it, then `wares asset erase --resume`",
                    ) from error
                self.book.put({"where": f"not read: {subject.without(str(inside))}", "rows": 0})
                continue
            if count and not (ours or sources):
                self.book.put(
                    {"where": f"left to the shop: {subject.without(str(inside))}", "rows": count.rows, "cells": count.cells}
                )  # fmt: skip
            elif count:
                self._found(f"file {inside}", count)
                self.checkpoint(f"file {inside}")
                places.clean_file(path, subject, self.shop.state)

    def _stale(self) -> None:
        """Remove artefacts that hold the person. Those made from rewritten tables are stale by themselves."""
        root = self.shop.root
        # A product that came in online is in the memory of servers until they take a new bundle.
        dirty = any(p["where"].startswith(("table ", "state online_products")) for p in self.book.places)
        if self.book.kind == "erasure":
            for folder in [*_artefacts(root), *_bundles(root)]:
                name = artefact_holds(folder, self.subject)
                if name:
                    dirty = True
                    self.book.put({"where": f"artefact {folder.relative_to(root)}", "files": 1})
                    if folder.parent.name != "bundles" and not self._is_latest(folder):
                        shutil.rmtree(folder)
                        self.checkpoint(f"artefact {folder.name}")
        # An adapted encoder has learned from what people did and wrote; it is made again by `wares tune encoder`.
        gone = forget_adapted(root) if dirty and self.book.kind == "erasure" else 0
        if gone:
            self.book.put({"where": "adapted encoders", "files": gone})
        texts = [t for t in (c.PRODUCTS, c.REVIEWS, c.TEXTS, c.QUERIES) if self._changed(t)]
        for folder in (root / "cache").iterdir() if (root / "cache").is_dir() and texts else []:
            # Vectors of texts are named by a hash of the text; those of products change only with products.
            if folder.name != "vectors" or c.PRODUCTS in texts:
                shutil.rmtree(folder)
                self.book.put({"where": f"cache {folder.name}", "files": 1})
        self.book.options["dirty"] = dirty
        self.book.options["bundle_before"] = str(bundles.pointer(root)["live"])

    def _changed(self, table: str) -> bool:
        wanted = {f"table {table}", f"table {table}_clean"}
        return any(p["where"] in wanted for p in self.book.places)

    def _is_latest(self, folder: Path) -> bool:
        path = self.shop.root / "build" / "latest.json"
        done = read_json(path)["done"].values() if path.is_file() else []
        return str(folder.relative_to(self.shop.root)) in done

    def _build(self) -> None:
        root = self.shop.root
        if not self.book.options["dirty"] or not (root / "build" / "latest.json").is_file():
            return
        for folder in _artefacts(root):
            if self.book.kind == "erasure" and artefact_holds(folder, self.subject):
                # Its inputs may be the same as ever, so that the plan would take it for fresh.
                shutil.rmtree(folder)
        try:
            report = self.shop.build(lambda step, done, total: self.say(f"build: {step}"))
        except NotFitted:
            (root / "build" / "latest.json").unlink()
            return
        self.book.options["rebuilt"] = report.ran
        self.checkpoint("built")
        if bundles.pointer(root)["live"]:
            self.say("publish")
            self.shop.publish()
            self.checkpoint("published")

    def _artefacts(self) -> None:
        if not self.book.options["dirty"]:
            return
        root = self.shop.root
        latest = root / "build" / "latest.json"
        done = set(read_json(latest)["done"].values()) if latest.is_file() else set()
        gone = 0
        for folder in _artefacts(root):
            if str(folder.relative_to(root)) not in done:
                shutil.rmtree(folder)
                gone += 1
        now = bundles.pointer(root)["live"]
        built = bool(self.book.options.get("rebuilt") is not None)
        live = now if built else ""
        if now or live:
            # The earlier bundles leave the list before they leave the disk: nobody rolls back to a hole.
            write_json(root / "bundles" / bundles.POINTER, {"live": live, "before": []})
        self.checkpoint("pointer")
        for folder in _bundles(root):
            if folder.name != live:
                shutil.rmtree(folder)
                gone += 1
        self.book.put({"where": "older artefacts and bundles", "files": gone})
        self._forget_derived()

    def _forget_derived(self) -> None:
        """Remove earlier versions of tables that a build makes of what people did: they count deeds that are erased now."""
        store = self.shop.store
        for asset in DERIVED:
            if not store.exists(asset):
                continue
            with store.lock(asset):
                older = list(range(store.version(asset)))
                self.shop.assets.registry.mark_erased(asset, older, stamp(self.clock.now()))
                files = len(store.vacuum(asset, ()))
            self.book.put({"where": f"earlier versions of {asset}", "files": files})
            self.checkpoint(f"earlier versions of {asset}")

    # -- the end ---------------------------------------------------------------------------------------------

    def _verify(self) -> dict[str, Any]:
        """Ask every reader; the receipt tells how much was read.

        Raises:
            DataError: when the person is found somewhere; the journal stays, so that it can be resumed.
        """
        self.say("verify")
        shop, left, files, versions = self.shop, list[str](), 0, 0
        for asset in shop.store.names():
            seen: set[str] = set()
            make = self._sieve(asset)
            for version in range(shop.store.version(asset) + 1):
                try:
                    parts = shop.store.files(asset, version)
                except DataError:
                    continue
                versions += 1
                for part in parts:
                    if part not in seen:
                        seen.add(part)
                        files += 1
                        if history.look_through(Path(part), make()):
                            left.append(f"{asset} version {version}")
        if self.book.kind == "erasure":
            subject = self.subject
            left += [f"state {table}" for table, _ in records.held_in_state(shop.state.engine, subject)]
            for folder in [*_artefacts(shop.root), *_bundles(shop.root)]:
                name = artefact_holds(folder, subject)
                left += [f"{folder.relative_to(shop.root)}/{name}"] if name else []
            raw = places.needles(bytes_of(subject))
            for path in places.other_files(shop.root, exports=bool(self.book.options.get("sources"))):
                files += 1
                if path.relative_to(shop.root).parts[0] in ("wares.toml", "contracts"):
                    continue
                if places.raw_hit(path, raw) or places.clean_file(path, subject, shop.state, dry=True):
                    left.append(str(path.relative_to(shop.root)))
            database = shop.root / "state" / "state.db"
            for path in (database, database.with_name("state.db-wal")):
                if shop.state.is_sqlite and path.is_file() and places.raw_hit(path, raw, apart=True):
                    left.append(f"bytes of {path.name}")
        if left:
            raise DataError(
                f"after the erasure something is left in {', '.join(sorted(set(left))[:5])}",
                mend="Run `wares asset erase --resume`",
                places=left,
            )
        return {"versions_read": versions, "files_read": files, "found": 0}

    def _sign(self, found: dict[str, Any]) -> None:
        """Turn the journal into the receipt: from here on nothing names the person."""
        book, options = self.book, self.book.options
        counts = [p for p in book.places if not p["where"].startswith(("left to the shop", "not read"))]
        receipt: dict[str, Any] = {
            "id": book.id, "kind": book.kind, "begun": book.begun, "ended": stamp(self.clock.now()),
            "seconds": round(self.earlier + time.perf_counter() - self.begun, 2),
            "removed": {"rows": sum(p.get("rows", 0) for p in counts), "cells": sum(p.get("cells", 0) for p in counts)},
            "places": counts,
            "left_to_the_shop": [p for p in book.places if p not in counts],
            "rebuilt": options.get("rebuilt", {}),
            "bundle": {"before": options.get("bundle_before", ""), "after": str(bundles.pointer(self.shop.root)["live"])},
            "verified": found,
        }  # fmt: skip
        if book.kind == "erasure":
            receipt["subject"] = self.people.key.mark(book.values[0])
            receipt["aliases"] = len(book.also) + len(book.known.get("sessions", []))
            receipt["sources"] = bool(options.get("sources"))
        else:
            receipt["before"] = options["before"]
        receipt["hash"] = digest(receipt)
        end = Journal(book.id, book.kind, book.begun, done=book.done, receipt=receipt)
        end.save(self.shop.root)
        self.book = end
        self.checkpoint("signed")

    def _audit(self, receipt: dict[str, Any]) -> None:
        detail = {k: receipt[k] for k in ("id", "kind", "removed", "seconds", "hash")}
        if "subject" in receipt:
            detail["subject"] = receipt["subject"]
        self.shop.audit.record("wares", f"privacy.{receipt['kind']}", "workspace", detail)


class _AnyAge:
    """Several age sieves, one after the other; none changes nothing."""

    def __init__(self, sieves: list[AgeSieve]) -> None:
        self.sieves = sieves

    def batch(self, batch: Any) -> tuple[Any, Count]:
        total = Count()
        for sieve in self.sieves:
            batch, count = sieve.batch(batch)
            total.rows += count.rows
        return batch, total

    def note(self, text: str) -> str:
        return text


def _artefacts(root: Path) -> list[Path]:
    return sorted(p for p in (root / "build").glob("*/*") if p.is_dir())


def _bundles(root: Path) -> list[Path]:
    return sorted(p for p in (root / "bundles").glob("*") if p.is_dir())


def held(shop: Workspace, subject: str, also: tuple[str, ...] = ()) -> Any:
    """All that is held on a person, as dictionaries with ``place`` and ``row``: the answer to an access request.

    Rows of earlier versions are told, too; each row once.
    """
    import pyarrow.parquet as pq

    people = People(shop.root, shop.state, pseudonymise=shop.config.privacy.pseudonymise)
    given = subject_of(shop, people, [checked(subject)], [checked_alias(v) for v in also])
    known = without_texts(follow(shop.store, shop.state, given))
    for asset in shop.store.names():
        now = set(shop.store.files(asset))
        seen: set[str] = set()
        files = history.data_files(shop.store.path(asset))
        for path in sorted(files, key=lambda p: str(p) not in now):
            sieve = sieve_for(asset, pq.read_schema(path).names, known, shop.state)
            for batch in history.batches_of(path):
                for row in batch.filter(sieve.theirs(batch)).to_pylist():
                    mark = digest(row)
                    if mark not in seen:
                        seen.add(mark)
                        yield {"place": f"table {asset}", "current": str(path) in now, "row": row}
    for table, row in records.held_in_state(shop.state.engine, known):
        yield {"place": f"state {table}", "current": True, "row": row}
    root = shop.root
    for path in places.other_files(root, exports=True):
        try:
            count = places.clean_file(path, known, shop.state, dry=True)
        except (ValueError, OSError, WaresError):
            continue
        if count:
            yield {"place": f"file {path.relative_to(root)}", "current": True, "row": asdict(count)}
    for folder in [*_artefacts(root), *_bundles(root)]:
        name = artefact_holds(folder, known)
        if name:
            yield {"place": f"artefact {folder.relative_to(root)}", "current": True, "row": {"file": name}}


def allow(shop: Workspace, subject: str) -> int:
    """Let an erased person be known again, from now on; returns how many ids left the list."""
    people = People(shop.root, shop.state, pseudonymise=shop.config.privacy.pseudonymise)
    return people.allow([checked(subject), people.key.pseudonym(checked(subject))])


def unfinished(root: Path) -> bool:
    """Whether an erasure was begun and has no receipt."""
    return (root / "state" / journal.FILE).is_file()


__all__ = ["allow", "erase", "held", "receipts", "retain", "retention_of", "unfinished"]
