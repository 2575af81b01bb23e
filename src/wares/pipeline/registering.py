"""Features, models and bundles in the registry, with what they were made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core import bundles
from wares.core.arrays import MANIFEST, load_array
from wares.core.clock import Clock
from wares.core.files import digest, read_json
from wares.core.lineage import BUNDLE
from wares.core.observe import Reads
from wares.core.registry import ROWS, Asset, Edge, Registry, Version
from wares.core.state import stamp
from wares.features.catalogue_build import lineage as catalogue_lineage

if TYPE_CHECKING:
    from wares.core.config import Config

READS = "reads.json"
NAMES = {"vectors": "text_vectors", "encoder": "text_encoder", "tune": "tuned_parameters"}
"""Steps whose asset has another name than the step."""
ABOUT = {
    "catalogue": ("feature", "Products as memory-mapped columns, the texts to encode, and prices over time."),
    "text_encoder": ("model", "The text encoder as exported for serving."),
    "text_vectors": ("feature", "One vector for each distinct product text, of length one."),
    "text_neighbours": ("feature", "The nearest texts of every text, by cosine."),
    "interactions": ("feature", "Shopper by product: weighted, decayed counts of events."),
    "tuned_parameters": ("model", "What tuning chose on the validation days."),
    "recommend": ("model", "The recommender: item-to-item weights with text and popularity."),
    "images": (
        "feature",
        "The picture of each product as a vector, and the way from pictures to words; empty where there are none.",
    ),
    "review_vectors": (
        "feature",
        "The mean of the sentence vectors of each product's reviews; empty where there are none.",
    ),
    "sentiment": (
        "model",
        "The classifier of moods: the one that is named, or learned from the shop's own stars.",
    ),
    "readings": ("feature", "What every review, question and chat says: its mood and the opinions in it."),
    "moods": ("model", "Moods of products, categories, aspects and more over time, and when they changed."),
    "similar": ("model", "Products like a product in every dimension that the shop has, fused by kind."),
    "graph_pairs": (
        "feature",
        "Products bought or viewed together, counted now and before the window that teaches.",
    ),
    "graph_read": ("feature", "What a language model read out of product texts; empty where none is named."),
    "graph": ("feature", "The knowledge graph: entities, relations, their weight, day and source."),
    "graph_neighbours": (
        "model",
        "The products most alike by the graph, by relation weights learned from behaviour.",
    ),
    "search": ("model", "The word index, its statistics and the meaning of queries."),
    "search_reader": (
        "model",
        "What queries are read by: the catalogue's words, brands, attributes and sizes, and synonyms.",
    ),
    "search_tuned": (
        "model",
        "How much likeness to the best hits counts in search, and its proof in clicks.",
    ),
    "suggest": (
        "model",
        "What is proposed while a shopper types, by its beginning, its sound and past slips.",
    ),
    "price": ("model", "What each price is held against, and the prices that look wrong."),
    "elasticity": (
        "model",
        "How demand of each product and category answers to its price, with intervals, or why that is not known.",
    ),
    "mood_uses": (
        "model",
        "Moods put to use: satisfaction of searches, cases of service, what to better about products, stock hints.",
    ),
    "emerging": (
        "model",
        "Products that rise against their past and their neighbours, and categories that rise.",
    ),
    "price_history": ("feature", "Price of every product over time, in ten-thousandths."),
    BUNDLE: ("bundle", "What is served: an immutable set of features and models."),
}
PARTS = {"price_history": ("catalogue", ("price_ptr", "price_at", "price_value"))}
"""Assets that are some arrays of an artefact."""
_STRINGS = re.compile(r"_(blob|ends|hashes|order)$")


def asset_of(step: str) -> str:
    """The asset that a step makes."""
    return NAMES.get(step, step)


def array_name(file: str) -> str:
    """The array that a file belongs to; a string table is four files."""
    return _STRINGS.sub("", file.removesuffix(".npy"))


def reads_json(reads: Reads, done: Mapping[str, Path], inputs: Iterable[str]) -> dict[str, Any]:
    """What a step read, with artefacts by the name of their step. Of `inputs` that are read as plain files, ``*``."""
    steps = {str(folder): step for step, folder in done.items()}
    arrays: dict[str, set[str]] = {}
    for folder, names in reads.arrays.items():
        if folder in steps:
            arrays.setdefault(steps[folder], set()).update(array_name(name) for name in names)
    for step in inputs:
        arrays.setdefault(step, {ROWS})
    tables = sorted(
        [table, version, column] for (table, version), columns in reads.tables.items() for column in columns
    )
    return {"tables": tables, "arrays": {step: sorted(names) for step, names in sorted(arrays.items())}}


def sync_build(root: Path, registry: Registry, config: Config, clock: Clock) -> list[Version]:
    """Register the artefacts of the last build and the bundles; returns the new versions."""
    fresh: list[Version] = []
    path = root / "build" / "latest.json"
    if path.is_file():
        done = {step: root / place for step, place in read_json(path)["done"].items()}
        there = {step: folder for step, folder in done.items() if (folder / MANIFEST).is_file()}
        made = {step: _artefact(step, folder, registry, clock) for step, folder in there.items()}
        # Edges name the versions of their inputs, so all artefacts have theirs first.
        for step in [step for step, version in made.items() if version]:
            _connect(step, there[step], root, registry, config)
        for step in [step for step in there if made[step] or _waiting(step, registry)]:
            made[step] += _parts(step, there[step], registry, clock)
        fresh += [version for versions in made.values() for version in versions]
    for folder in sorted(
        bundles.bundles_folder(root).glob("*/manifest.json"), key=lambda p: p.stat().st_mtime
    ):
        fresh += _bundle(read_json(folder), registry)
    _mark_live(root, registry)
    return fresh


def _artefact(step: str, folder: Path, registry: Registry, clock: Clock) -> list[Version]:
    manifest = read_json(folder / MANIFEST)
    return _put(registry, asset_of(step), manifest["hash"], stamp(clock.now()), manifest, folder)


def _connect(step: str, folder: Path, root: Path, registry: Registry, config: Config) -> None:
    name = asset_of(step)
    number = registry.newest()[name].version
    reads = read_json(folder / READS) if (folder / READS).is_file() else _declared(step, root)
    registry.put_edges(name, number, _step_edges(name, number, reads, registry, config))


def _waiting(step: str, registry: Registry) -> bool:
    return any(whole == step and registry.find(part) is None for part, (whole, _) in PARTS.items())


def _parts(step: str, folder: Path, registry: Registry, clock: Clock) -> list[Version]:
    manifest, fresh = read_json(folder / MANIFEST), []
    at = registry.newest()[asset_of(step)].version
    for part, (whole, arrays) in PARTS.items():
        if whole != step:
            continue
        content = digest([manifest["files"].get(f"{a}.npy") for a in arrays])
        made = _put(registry, part, content, stamp(clock.now()), manifest, folder, only=arrays)
        for version in made:
            into = [
                e
                for e in registry.edges()
                if (e.to_asset, e.to_version) == (asset_of(step), at) and e.to_column in arrays
            ]
            here = {"to_asset": part, "to_version": version.version}
            registry.put_edges(part, version.version, [Edge(**{**e.__dict__, **here}) for e in into])
        fresh += made
    return fresh


def _declared(step: str, root: Path) -> dict[str, Any]:
    """Of an artefact that was built before reads were noted: its declared tables and inputs, as wholes."""
    from wares.pipeline.steps import STEPS

    found = next((s for s in STEPS if s.name == step), None)
    versions = read_json(root / "build" / "latest.json")["versions"]
    return {
        "tables": [[t, versions[t], ROWS] for t in (found.tables if found else ()) if t in versions],
        "arrays": {name: [ROWS] for name in (found.inputs if found else ())},
    }


def _put(
    registry: Registry, name: str, content: str, at: str, manifest: dict[str, Any], folder: Path, only: Iterable[str] = ()
) -> list[Version]:  # fmt: skip
    kind, about = ABOUT.get(name, ("feature", ""))
    newest = registry.newest().get(name)
    facts = {
        k: v
        for k, v in manifest.items()
        if k not in ("format", "kind", "hash", "files", *(() if not only else manifest))
    }
    facts = {k: v for k, v in facts.items() if len(str(v)) < 2000}
    columns = _columns(folder, manifest, set(only))
    registry.put(
        Asset(name, kind, about, "", columns, {**facts, "artefact": manifest["kind"], "hash": content})
    )
    if newest is not None and newest.hash == content:
        return []
    rows = next(
        (int(facts[k]) for k in ("texts", "items", "products", "users") if isinstance(facts.get(k), int)),
        None,
    )
    number = 0 if newest is None else newest.version + 1
    version = Version(
        name, number, at, rows, "build", content, {**facts, "path": "/".join(folder.parts[-3:])}
    )
    registry.put_versions([version])
    return [version]


def _columns(folder: Path, manifest: dict[str, Any], only: set[str]) -> tuple[dict[str, str], ...]:
    found: dict[str, str] = {}
    for file in manifest["files"]:
        if not file.endswith(".npy"):
            found.setdefault(file.split("/")[0], "file")
            continue
        name = array_name(Path(file).name)
        if only and name not in only:
            continue
        if name != Path(file).stem:
            found[name] = "strings"
            continue
        array: np.ndarray[Any, Any] = load_array((folder / file).parent, Path(file).stem)
        found[name] = f"{array.dtype} {'×'.join(map(str, array.shape))}"
    return tuple({"name": n, "type": t, "description": ""} for n, t in sorted(found.items()))


def _step_edges(
    name: str, number: int, reads: dict[str, Any], registry: Registry, config: Config
) -> list[Edge]:
    newest = {n: v.version for n, v in registry.newest().items()}
    outputs: dict[str, list[str]] = {}
    if name == "catalogue":
        outputs = catalogue_lineage(config.encoder.text)
    edges = []
    for table, version, column in reads["tables"]:
        # A build may read the cleaned form of a table in place of the table.
        logical = f"{table.removesuffix('_clean')}.{column}"
        targets = [out for out, inputs in outputs.items() if logical in inputs] or [ROWS]
        edges += [
            Edge(name, number, target, table, version, column, "transformation", name) for target in targets
        ]
    for step, arrays in reads["arrays"].items():
        source = asset_of(step)
        edges += [
            Edge(name, number, ROWS, source, newest.get(source, -1), array, "transformation", name)
            for array in arrays
        ]
    return edges


def _bundle(manifest: dict[str, Any], registry: Registry) -> list[Version]:
    content = str(manifest["name"])
    known = registry.versions(BUNDLE)
    if any(version.hash == content for version in known):
        return []
    number = known[0].version + 1 if known else 0
    facts = {"versions": manifest["versions"], "parts": manifest["parts"]}
    version = Version(BUNDLE, number, str(manifest["created"]), None, "publish", content, facts)
    registry.put_versions([version])
    edges = []
    for step, part in manifest["parts"].items():
        source = asset_of(step)
        at = next((v.version for v in registry.versions(source) if v.hash == part), -1)
        edges.append(Edge(BUNDLE, number, ROWS, source, at, ROWS, "identity", "publish"))
    registry.put_edges(BUNDLE, number, edges)
    return [version]


def _mark_live(root: Path, registry: Registry) -> None:
    live = str(bundles.pointer(root)["live"])
    known = registry.versions(BUNDLE)
    if not known:
        return
    number = next((v.version for v in known if v.hash == live), known[0].version)
    kind, about = ABOUT[BUNDLE]
    columns = tuple(
        {"name": asset_of(p), "type": "artefact", "description": ABOUT.get(asset_of(p), ("", ""))[1]}
        for p in next(v for v in known if v.version == number).facts["parts"]
    )
    registry.put(Asset(BUNDLE, kind, about, "", columns, {"live": live, "live_version": number}))


__all__ = ["READS", "array_name", "asset_of", "reads_json", "sync_build"]
