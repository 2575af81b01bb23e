"""A workspace: ``wares.toml`` and everything made from it. This is what ``wares.open`` returns."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core import bundles
from wares.core import columns as c
from wares.core.arrays import open_artifact, seal
from wares.core.audit import Audit
from wares.core.clock import SYSTEM, Clock
from wares.core.config import FILE, Config, SourceConfig, load_config, parse_config
from wares.core.errors import ConfigError, NotFitted
from wares.core.files import digest, folder_atomic, locked, read_json, sweep, write_atomic, write_json
from wares.core.machine import peak_rss
from wares.core.state import State
from wares.data.clean.run import Cleaner, cleaned_tables
from wares.data.contract import SUFFIX, default_text
from wares.data.ingest import Ingester, IngestReport
from wares.data.privacy.journal import refuse_if_unfinished
from wares.data.quality.report import QualityReport
from wares.data.quality.run import Checker
from wares.data.quarantine import quarantined
from wares.data.sources import expand
from wares.data.store import Store

if TYPE_CHECKING:
    from wares.data.access.door import Door, Reading
    from wares.data.access.share import Shares
    from wares.data.fusion.run import Fuser

Progress = Callable[[str, int, int], None]


def _silent(step: str, done: int, total: int) -> None:
    return None


@dataclass
class BuildReport:
    """What a build did: the steps that were run, seconds of each, and the peak memory of the process."""

    ran: dict[str, float] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_rss_mb: float = 0.0


def open_workspace(path: str | os.PathLike[str], *, clock: Clock = SYSTEM) -> Workspace:
    """Open the workspace in a folder.

    Raises:
        ConfigError: when there is no valid ``wares.toml``.
    """
    root = Path(path).resolve()
    return Workspace(root, load_config(root / FILE), clock)


def init_workspace(path: str | os.PathLike[str], text: str = "", *, clock: Clock = SYSTEM) -> Workspace:
    """Make a workspace: a commented ``wares.toml`` (or `text`) and a copy of each contract to edit.

    Raises:
        ConfigError: when the folder holds one already, or `text` is no valid configuration.
    """
    root = Path(path).resolve()
    if (root / FILE).exists():
        raise ConfigError(
            f"{root / FILE} exists", mend="Open it, or choose another folder", key="", source=str(root)
        )
    import tomllib

    text = text or starter_config()
    parse_config(tomllib.loads(text), FILE)
    for table in c.TABLES:
        write_atomic(root / "contracts" / f"{table}{SUFFIX}", default_text(table))
    write_atomic(root / FILE, text)
    write_atomic(root / ".gitignore", "*\n!wares.toml\n!contracts/\n!contracts/**\n!.gitignore\n")
    return open_workspace(root, clock=clock)


def starter_config(
    name: str = "My shop", currency: str = "EUR", sources: tuple[tuple[str, str], ...] = ()
) -> str:
    """A commented ``wares.toml``."""
    lines = [
        "# A wares workspace. Every key: docs/configuration.md; all are optional.",
        "[shop]",
        f"name = {json.dumps(name, ensure_ascii=False)}",
        f'currency = "{currency}"',
        "",
    ]
    for table, path in sources:
        lines += [
            "[[sources]]",
            f'as = "{table}"',
            f"path = {json.dumps(path, ensure_ascii=False)}",
            '# map = { product_id = "sku", title = "{name}, {size}" }   # guessed from the names when absent',
            "",
        ]
    if not sources:
        lines += [
            "# [[sources]]",
            '# as = "products"            # products, events, reviews, queries or prices',
            '# path = "exports/products*.csv"',
            '# map = { product_id = "sku", title = "{name}, {size}" }',
            "",
        ]
    lines += [
        "[encoder]",
        '# model = "intfloat/multilingual-e5-small"   # any Hugging Face name or folder; the default works offline, in English',
        "",
        "[recommend]",
        "# tail = 0.0        # 0: most accurate, 1: discovery",
        "",
        "[serve]",
        "# port = 8000",
        "",
    ]
    return "\n".join(lines)


class Workspace:
    """One shop: its configuration, tables, builds, bundles and operational state."""

    def __init__(self, root: Path, config: Config, clock: Clock = SYSTEM) -> None:
        self.root, self.config, self.clock = root, config, clock
        self.store = Store(root / "tables")
        self._state: State | None = None
        self._exclusive_depth = 0

    @property
    def state(self) -> State:
        """Operational state, opened on first use."""
        if self._state is None:
            self._state = State.at(self.root / "state", self.config.state.url)
        return self._state

    @cached_property
    def audit(self) -> Audit:
        """The hash-chained log of every read and change."""
        names = self.config.audit
        folder = self.root / "state"
        return Audit(self.state, folder, key=names.key_file, anchor=names.anchor, clock=self.clock)

    @cached_property
    def door(self) -> Door:
        """The one read door; `asset` is its short form."""
        from wares.data.access.door import Door
        from wares.data.access.policy import PolicySource

        source = PolicySource(self.root, self.config.access, self.store, self.state)
        return Door(self.store, source.policy, self.audit, memory_gb=self.config.build.memory_gb)

    def asset(self, name: str, role: str = "", **wanted: Any) -> Reading:
        """A table as a role may see it: ``version``, ``purpose``, ``columns``, ``where``; every reading is logged.

        Raises:
            AccessDenied: when the role may not.
        """
        return self.door.read(name, role or self.config.access.default_role, **wanted)

    @cached_property
    def shares(self) -> Shares:
        """Snapshots given to others: make, list, revoke."""
        from wares.data.access.share import Shares

        return Shares(self.state, self.door, self.clock)

    @cached_property
    def assets(self) -> Any:
        """The registry of everything the shop holds: search, versions, tags, restore, lineage."""
        from wares.pipeline.assets import Assets

        return Assets(self)

    def training_set(self, recipe: Any, *, versions: str = "latest") -> Any:
        """Make a training set by a recipe (`wares.data.registry.training.Recipe`); see docs/registry.md.

        `versions` chooses the versions of the tables: ``latest``, a tag or a day.
        """
        return self.assets.training_set(recipe, versions)

    # -- data ------------------------------------------------------------------------------------------------

    def ingest(
        self,
        path: str = "",
        table: str = "",
        progress: Callable[[int], None] = lambda _: None,
        **options: Any,
    ) -> list[IngestReport]:
        """Land one path as a table, or, without a path, every configured source in the order products, events, ….

        Raises:
            SourceError, ConfigError: when a source cannot be read at all.
        """
        sources = [s for name in c.TABLES for s in self.config.sources if s.table == name]
        if path:
            folder = Path(path).expanduser()
            parts = expand(str(folder.resolve()), self.root) if folder.is_dir() and not table else [path]
            found = [self._source_for(str(part), table, options) for part in parts]
            sources = [s for name in c.TABLES for s in found if s.table == name]
        if not sources:
            raise ConfigError(
                "no sources are configured",
                mend="Add [[sources]] to wares.toml, or name a path: `wares ingest PATH --as products`",
                key="sources",
                source=FILE,
            )
        ingester = Ingester(self.root, self.config, self.store, self.state, self.clock)
        reports = [ingester.ingest(source, progress) for source in sources]
        self.assets.sync()
        return reports

    def _source_for(self, path: str, table: str, options: dict[str, Any]) -> SourceConfig:
        here = str(Path(path).resolve()) if not path.startswith(("/", "~")) else str(Path(path).expanduser())
        for source in self.config.sources:
            if (
                source.path
                and (self.root / source.path).resolve() == Path(here)
                and table in ("", source.table)
            ):
                return source
        if table not in c.TABLES:
            guessed = next((t for t in c.TABLES if t.rstrip("s") in Path(path).name.lower()), "")
            if not guessed:
                raise ConfigError(
                    f"what are the rows of {path}?",
                    mend=f"Say it with --as {'|'.join(c.TABLES)}",
                    key="as",
                    source=path,
                )
            table = guessed
        return SourceConfig.model_validate({"as": table, "path": here, **options})

    def check(self, table: str, against: int | None = None, version: int | None = None) -> QualityReport:
        """Check a version of a table (the newest) under its contract, and against a trusted one; the result is kept."""
        checker = Checker(self.root, self.config, self.store, self.state, self.clock)
        report = checker.check(table, version=version, against=against)
        try:
            # The server shows results under the access policy, which it reads from the file that this call writes.
            self.door.policy()
        except ConfigError as error:
            report.warnings.append(str(error))
        return report

    def quarantine(self, table: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest quarantined rows with rule, place and mend."""
        return quarantined(self.store, table, limit)

    def absorb(self) -> dict[str, int]:
        """Bring events and products that the server took in since the last time into the tables."""
        from wares.pipeline.absorbing import absorb

        return absorb(self)

    def _marks(self) -> dict[str, int]:
        from wares.pipeline.absorbing import marks

        return marks(self.root)

    @property
    def cleaner(self) -> Cleaner:
        """What makes ``<table>_clean`` by the rules of the contracts."""
        return Cleaner(self.root, self.config, self.store, self.state, self.clock, self.audit)

    @property
    def fuser(self) -> Fuser:
        """What makes one catalogue of several: ``product_clusters`` and ``products_fused``."""
        from wares.data.fusion.run import Fuser

        def judge() -> Any:
            from wares.pipeline.matching import fusion_judge

            return fusion_judge(self.config, self.root)

        return Fuser(self.root, self.config, self.store, self.state, self.audit, self.clock, judge)

    # -- build -----------------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Held by whoever builds, publishes or erases; the holder may build and publish inside."""
        if self._exclusive_depth:
            yield
            return
        with locked(self.root / "state" / "build.lock", "a build of this workspace", wait=False):
            refuse_if_unfinished(self.root)
            self._exclusive_depth += 1
            try:
                yield
            finally:
                self._exclusive_depth -= 1

    def _context(self) -> Any:
        from wares.pipeline.plan import Context

        if not self.store.exists(c.PRODUCTS):
            raise NotFitted(
                "there are no products yet", mend="Load some with `wares ingest PATH --as products`"
            )
        tables = [c.PRODUCTS, c.EVENTS, c.PRICES, c.REVIEWS, c.TEXTS, *cleaned_tables(self.root, self.store)]
        if self.config.fusion.enabled:
            tables += [c.PRODUCT_CLUSTERS, c.PRODUCTS_FUSED]
        return Context(
            self.root,
            self.config,
            self.store,
            {t: self.store.version(t) for t in tables if self.store.exists(t)},
        )

    def build(self, progress: Progress = _silent) -> BuildReport:
        """Make what is stale, by content, settings and code. Killed, it goes on where it stopped.

        Raises:
            NotFitted: when there are no products.
            Unavailable: when another build is running, or the disk is full.
        """
        from wares.pipeline.plan import execute, prune
        from wares.pipeline.steps import STEPS

        report, begun = BuildReport(), time.perf_counter()
        with self.exclusive():
            self.retain()
            for folder in [self.root / "bundles", *(self.root / "build" / s.name for s in STEPS)]:
                sweep(folder)
            run = self.state.begin_run("build")
            try:
                self.absorb()
                self.cleaner.all(lambda table, done, total: progress(f"clean {table}", done, total))
                if self.config.fusion.enabled:
                    from wares.pipeline.fusing import refresh

                    refresh(self, lambda stage: progress(f"fuse: {stage}", 0, 1))
                context = self._context()
                since = time.perf_counter()
                for name, stale in execute(STEPS, context, progress):
                    now = time.perf_counter()
                    if stale:
                        report.ran[name] = round(now - since, 2)
                    else:
                        report.fresh.append(name)
                    since = now
                prune(STEPS, context)
                write_json(
                    self.root / "build" / "latest.json",
                    {
                        "done": {n: str(p.relative_to(self.root)) for n, p in context.done.items()},
                        "versions": context.versions,
                        "absorbed": self._marks(),
                    },
                )
            except BaseException as error:
                self.state.end_run(run, "failed", {"error": f"{type(error).__name__}: {error}"})
                raise
            self.watch_prices()
            self.watch_moods()
            self.set_images_aside()
            report.seconds = round(time.perf_counter() - begun, 2)
            report.peak_rss_mb = round(peak_rss() / 2**20, 1)
            self.state.end_run(
                run, "done", {"ran": report.ran, "seconds": report.seconds, "peak_rss_mb": report.peak_rss_mb}
            )
        self.assets.sync()
        return report

    def watch_prices(self) -> dict[str, Any]:
        """Compare the prices that look wrong in the last build with those known; new ones are alerted, once."""
        from wares.pipeline.price_watch import watch

        return watch(self)

    def watch_moods(self) -> dict[str, Any]:
        """Compare what the last build noticed about moods with what was known; what is new is told, once."""
        from wares.pipeline.mood_watch import watch

        return watch(self)

    def set_images_aside(self) -> dict[str, int]:
        """Quarantine the images that the last build could not read, each once, and settle those that it now reads."""
        from wares.pipeline.image_quarantine import set_images_aside

        return set_images_aside(self)

    def _latest(self) -> dict[str, Any]:
        path = self.root / "build" / "latest.json"
        if not path.is_file():
            raise NotFitted("nothing is built yet", mend="Run `wares build`")
        return dict(read_json(path))

    def publish(self) -> Path:
        """Put the last build into an immutable bundle named by its hash and make it live; returns its folder."""
        from wares.models.similar.match_infer import KIND as MATCHER
        from wares.pipeline.matching import matcher_folder

        latest = self._latest()
        home = bundles.bundles_folder(self.root)
        with self.exclusive():
            sweep(home)
            parts: dict[str, Any] = {}
            missing = [name for name in bundles.PARTS if name not in latest["done"]]
            if missing:
                raise NotFitted(
                    f"the last build, of an earlier version, has no {missing[0]}", mend="Run `wares build`"
                )
            for name in bundles.PARTS:
                parts[name] = read_json(self.root / latest["done"][name] / "manifest.json")
            # Copied, not linked: it lies outside of the build and may be trained anew in its place.
            matcher = matcher_folder(self.config, self.root)
            if matcher is not None:
                parts[bundles.MATCHER] = open_artifact(matcher, MATCHER, verify=True)
            facts = {
                "parts": {name: manifest["hash"] for name, manifest in parts.items()},
                "versions": latest["versions"], "absorbed": latest["absorbed"], "shop": self.config.shop.model_dump(),
                "matcher_fields": self.config.fusion.matcher_fields, "created": datetime.now(UTC).isoformat(),
            }  # fmt: skip
            name = digest(
                [
                    facts["parts"],
                    facts["absorbed"],
                    facts["shop"],
                    *([facts["matcher_fields"]] if matcher is not None else []),
                ]
            )
            if not (home / name / "manifest.json").is_file():
                with folder_atomic(home / name) as work:
                    for part in bundles.PARTS:
                        shutil.copytree(self.root / latest["done"][part], work / part, copy_function=os.link)
                    if matcher is not None:
                        shutil.copytree(matcher, work / bundles.MATCHER)
                    seal(work, bundles.KIND, content=name, name=name, **facts)
            bundles.set_live(self.root, name)
            self._forget_bundles()
        self.assets.sync()
        return home / name

    def _forget_bundles(self) -> None:
        now = bundles.pointer(self.root)
        keep = {now["live"], *now["before"][: self.config.build.keep_bundles - 1]}
        for path in bundles.bundles_folder(self.root).iterdir():
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)

    def rollback(self) -> str:
        """Make the bundle before the live one live again; returns its name."""
        return bundles.step_back(self.root)

    def retain(self) -> dict[str, Any] | None:
        """Remove rows older than their table's retention from every version; the receipt, or None when none are."""
        from wares.pipeline.erasure import retain

        return retain(self)

    def erase(self, subject: str, **options: Any) -> dict[str, Any]:
        """Remove a person from everything and return the receipt: see `wares.pipeline.erasure.erase`."""
        from wares.pipeline.erasure import erase

        return erase(self, subject, **options)

    # -- quality ---------------------------------------------------------------------------------------------

    def evaluate(self, progress: Callable[[str], None] = lambda _: None, *, parts: bool = True) -> Any:
        """Split the events by time, fit on the past, rank the whole catalogue, and report. The page is beside the JSON.

        An evaluation of the same inputs is not repeated. Without `parts` it does not grow trees anew to tell what each
        part of the ranker adds.
        """
        from wares.pipeline.evaluation import evaluate_workspace

        return evaluate_workspace(self, self._latest(), progress, parts)

    def last_evaluation(self) -> dict[str, Any] | None:
        """The newest evaluation as JSON, or None."""
        path = self.root / "evaluations" / "latest.json"
        return dict(read_json(path)) if path.is_file() else None
