"""Steps and staleness: a step is done when a folder named by the hash of all that goes into it exists."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from wares.core import columns as c
from wares.core.arrays import MANIFEST, open_artifact
from wares.core.config import Config
from wares.core.files import digest, folder_atomic, write_json
from wares.core.observe import observing
from wares.data.store import Store
from wares.pipeline.registering import READS, reads_json

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One artefact: what it is made from, and how.

    ``tables`` are read at their newest version; ``inputs`` are other steps; ``settings`` are dotted keys of the
    config that matter; ``modules`` are the files whose change makes it stale; ``beside`` names what else goes in, such as
    the content of files.
    """

    name: str
    kind: str
    run: Callable[[Context, Path, Tick], Any]
    tables: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    beside: Callable[[Context], Any] | None = None


@dataclass
class Context:
    """What a running step may use."""

    root: Path
    config: Config
    store: Store
    versions: dict[str, int]
    done: dict[str, Path] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """A folder for temporary files."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def files(self, table: str) -> list[str] | None:
        """The files of a table as cleaned, else as landed; None where neither is there."""
        source = next((t for t in (c.clean_name(table), table) if t in self.versions), None)
        return None if source is None else self.store.files(source, self.versions[source])

    def manifest(self, step: str) -> dict[str, Any]:
        """The manifest of a finished step."""
        return dict(open_artifact(self.done[step], STEP_KINDS[step]))


STEP_KINDS: dict[str, str] = {}


@lru_cache
def code_digest(modules: tuple[str, ...]) -> str:
    """Hash of the source text of some modules."""
    total = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            total.update(Path(spec.origin).read_bytes())
    return total.hexdigest()[:16]


def _setting(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value.model_dump() if hasattr(value, "model_dump") else value


def key_of(step: Step, context: Context) -> str:
    """The hash of all that goes into a step. Inputs count by their content, so an equal result stops the wave."""
    tables = {
        t: sorted(Path(f).name for f in context.store.files(t, context.versions[t]))
        for t in step.tables
        if t in context.versions
    }
    inputs = {name: context.manifest(name)["hash"] for name in step.inputs}
    settings = {key: _setting(context.config, key) for key in step.settings}
    parts = [step.name, tables, inputs, settings, code_digest(step.modules), context.config.shop.seed]
    return digest(parts if step.beside is None else [*parts, step.beside(context)])


def place_of(step: Step, context: Context) -> Path:
    """Where the artefact of a step lies, or will lie."""
    return context.root / "build" / step.name / key_of(step, context)


def execute(
    steps: list[Step], context: Context, tick: Callable[[str, int, int], None]
) -> Iterator[tuple[str, bool]]:
    """Run what is stale, in order; yields (step, whether it was run). A killed run leaves whole artefacts only."""
    for step in steps:
        STEP_KINDS[step.name] = step.kind
        folder = place_of(step, context)
        stale = not (folder / MANIFEST).is_file()
        if stale:
            tick(step.name, 0, 1)
            with folder_atomic(folder) as work:
                with observing() as reads:
                    step.run(context, work, lambda done, total, name=step.name: tick(name, done, total))
                write_json(work / READS, reads_json(reads, context.done, step.inputs))
        context.done[step.name] = folder
        tick(step.name, 1, 1)
        yield step.name, stale


def prune(steps: list[Step], context: Context, keep: int = 2) -> None:
    """Remove artefacts that neither this build nor the `keep` newest of their step are."""
    for step in steps:
        folder = context.root / "build" / step.name
        if not folder.is_dir():
            continue
        old = sorted(
            (p for p in folder.iterdir() if p.is_dir() and p != context.done.get(step.name)),
            key=lambda p: -p.stat().st_mtime,
        )
        for path in old[keep:]:
            shutil.rmtree(path, ignore_errors=True)
