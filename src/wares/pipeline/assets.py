"""``shop.assets``: search, versions, tags, restore, retention and lineage of everything the shop holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from wares.core import bundles
from wares.core.errors import ConfigError, QueryError, VersionErased, VersionNotFound
from wares.core.files import read_json
from wares.core.lineage import BUNDLE, Answer, Graph, split_name
from wares.core.registry import Asset, Registry, Version
from wares.core.state import stamp
from wares.data.contract import contract_for
from wares.data.lineage.events import Emitter
from wares.data.registry.differences import Difference, difference
from wares.data.registry.retention import Plan, plan
from wares.data.registry.tables import sync_tables
from wares.data.registry.training import Recipe, TrainingSet, make_training_set
from wares.pipeline.registering import sync_build

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace


class Assets:
    """The registry of one workspace, kept up to date with its tables, builds and bundles."""

    def __init__(self, shop: Workspace) -> None:
        self.shop = shop
        self.registry = Registry(shop.state)

    def sync(self) -> list[Version]:
        """Register what is new; returns the new versions. Cheap when nothing is; every command calls it first."""
        shop = self.shop
        fresh = sync_tables(shop.store, self.registry, shop.config, shop.root, shop.state.versions)
        fresh += sync_build(shop.root, self.registry, shop.config, shop.clock)
        self._note_evaluation()
        if fresh:
            emitter = Emitter(shop.root, shop.config.lineage)
            # A long history that is met for the first time is registered, but only its newest versions are told.
            newest = {v.asset: v for v in fresh}
            emitter.emit(self.registry, list(newest.values()))
        return fresh

    def _note_evaluation(self) -> None:
        path = self.shop.root / "evaluations" / "latest.json"
        model = self.registry.find("recommend")
        if model is not None and path.is_file():
            metrics = {k: v for k, v in read_json(path)["metrics"].items() if "@" in k}
            self.registry.put(Asset(**{**model.__dict__, "facts": {**model.facts, "evaluation": metrics}}))

    # -- looking ---------------------------------------------------------------------------------------------

    def search(self, query: str = "", limit: int = 50) -> list[Asset]:
        """Assets that hold all words of the query, best first; all by name without one."""
        return self.registry.search(query, limit)

    def show(self, name: str) -> dict[str, Any]:
        """An asset with its columns, facts, tags, versions and neighbours in the lineage.

        Raises:
            NotFound: for an unknown asset, with the nearest names.
        """
        asset = self.registry.get(name)
        pairs = Graph(self.registry).assets()
        return {
            **asset.__dict__, "tags": self.registry.tags(name), "versions": [v.__dict__ for v in self.registry.versions(name)],
            "made_from": sorted({a for a, b in pairs if b == name}), "consumers": sorted({b for a, b in pairs if a == name}),
        }  # fmt: skip

    def version(self, name: str, which: str | int = "latest") -> int:
        """The number of a version given as a number, ``latest``, a tag, or a day (the newest version of that day or before).

        Raises:
            VersionNotFound: when there is none.
            VersionErased: when its content was removed.
        """
        self.registry.get(name)
        known = {v.version: v for v in self.registry.versions(name)}
        number = self._number(name, str(which), known)
        found = known.get(number)
        if found is None:
            have = f"It has {min(known)} to {max(known)}" if known else "It has none"
            raise VersionNotFound(f"{name} has no version {which}", mend=have, asset=name, version=number)
        if found.erased:
            there = [v for v in sorted(known, reverse=True) if not known[v].erased]
            raise VersionErased(
                f"version {number} of {name} was removed on {found.erased[:10]}",
                mend=f"Use one of {', '.join(map(str, there[:10]))}", asset=name, version=number,
            )  # fmt: skip
        return number

    def _number(self, name: str, which: str, known: dict[int, Version]) -> int:
        if which == "latest":
            return max(known, default=-1)
        if which.isdigit():
            return int(which)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", which):
            end = datetime.fromisoformat(which).replace(tzinfo=UTC) + timedelta(days=1)
            return max((n for n, v in known.items() if datetime.fromisoformat(v.at) < end), default=-1)
        found = [
            t["version"] for t in self.registry.tags(name) if t["tag"] == which and t["version"] is not None
        ]
        if not found:
            raise VersionNotFound(
                f"{name} has no version or tag {which!r}", mend=f"See `wares asset history {name}`", asset=name, version=None
            )  # fmt: skip
        return int(found[0])

    def diff(self, name: str, old: str | int, new: str | int = "latest") -> Difference:
        """Rows, columns and distributions of two versions of a table, side by side."""
        a, b = self.version(name, old), self.version(name, new)
        self._table(name)
        try:
            key = contract_for(name, self.shop.root).key
        except (ConfigError, FileNotFoundError):
            key = ()
        scratch = self.shop.root / "tmp"
        scratch.mkdir(exist_ok=True)
        return difference(
            self.shop.store, name, a, b, key, memory_gb=self.shop.config.build.memory_gb / 2, scratch=scratch
        )

    def _table(self, name: str) -> None:
        if not self.shop.store.exists(name):
            raise QueryError(
                f"{name} is no table", mend="See `wares asset list` for the tables", parameter="name"
            )

    # -- changing --------------------------------------------------------------------------------------------

    def tag(
        self, name: str, tag: str, *, column: str = "", version: str | int | None = None, who: str = "cli"
    ) -> None:
        """Tag an asset, a column or a version; a tagged version is never cleared away."""
        asset = self.registry.get(name)
        if column and column not in {c["name"] for c in asset.columns}:
            split_name(self.registry, f"{name}.{column}")
        number = None if version is None else self.version(name, version)
        self.registry.tag(name, tag, stamp(self.shop.clock.now()), column=column, version=number)
        self._audit(who, "asset.tag", name, {"tag": tag, "column": column, "version": number})

    def untag(self, name: str, tag: str, *, column: str = "", who: str = "cli") -> bool:
        """Take a tag away; False when it was not there."""
        self.registry.get(name)
        done = self.registry.untag(name, tag, column=column)
        self._audit(who, "asset.untag", name, {"tag": tag, "column": column})
        return done

    def restore(self, name: str, which: str | int, *, who: str = "cli") -> int:
        """Make an old version the newest again, as a new version; nothing is rewritten. Returns its number.

        Raises:
            VersionErased: when its content was removed.
            CommitConflict: when another writer comes in between; run it again.
        """
        number = self.version(name, which)
        self._table(name)
        with self.shop.store.lock(name):
            made = self.shop.store.restore(
                name, number, {"wares.restored": str(number), "source": f"version {number}"}
            )
        self._audit(who, "asset.restore", name, {"restored": number, "version": made})
        self.sync()
        return made

    def vacuum(
        self, names: Iterable[str] = (), *, keep: int | None = None, days: float | None = None, dry_run: bool = False, who: str = "cli",
        progress: Callable[[str], None] = lambda _: None,
    ) -> list[Plan]:  # fmt: skip
        """Remove the content of old versions. Tagged versions, and those that a kept bundle or a training set was made from, stay."""
        settings = self.shop.config.versions
        keep, days = settings.keep if keep is None else keep, settings.days if days is None else days
        plans = []
        for name in list(names) or self.shop.store.names():
            self.registry.get(name)
            self._table(name)
            progress(name)
            tagged = {
                int(t["version"]): t["tag"] for t in self.registry.tags(name) if t["version"] is not None
            }
            with self.shop.store.lock(name):
                made = plan(
                    name, self.registry.versions(name), self.shop.clock.now(), keep=keep, days=days, tagged=tagged, used=self._used(name)
                )  # fmt: skip
                if made.erase:
                    if not dry_run:
                        # First said, then done: killed in between, a reader gets `VersionErased` and not half a version.
                        self.registry.mark_erased(name, made.erase, stamp(self.shop.clock.now()))
                    made.files = len(self.shop.store.vacuum(name, made.keep, dry_run=dry_run))
            if made.erase and not dry_run:
                self._audit(who, "asset.vacuum", name, {"erased": made.erase, "files": made.files})
            plans.append(made)
        if not dry_run:
            self.sync()
        return plans

    def _used(self, name: str) -> dict[int, str]:
        used: dict[int, str] = {}
        live = str(bundles.pointer(self.shop.root)["live"])
        for path in bundles.bundles_folder(self.shop.root).glob("*/manifest.json"):
            manifest = read_json(path)
            if name in manifest["versions"]:
                number = int(manifest["versions"][name])
                if manifest["name"] == live or number not in used:
                    used[number] = (
                        "the live bundle was made from it"
                        if manifest["name"] == live
                        else f"bundle {manifest['name']} was made from it"
                    )
        edges = self.registry.edges()
        sets = {a.name for a in self.registry.all() if a.kind == "training set"}
        for edge in edges:
            if edge.from_asset == name and edge.to_asset in sets and edge.from_version >= 0:
                used.setdefault(edge.from_version, f"the training set {edge.to_asset} was made from it")
        return used

    def training_set(self, recipe: Recipe, versions: str = "latest", *, who: str = "cli") -> TrainingSet:
        """Make a training set from the versions that `versions` names (``latest``, a tag or a day) of its tables."""
        self.sync()
        for name in recipe.tables():
            self.registry.get(name)
            self._table(name)
        chosen = {name: self.version(name, versions) for name in recipe.tables()}
        scratch = self.shop.root / "tmp"
        scratch.mkdir(exist_ok=True)
        memory = self.shop.config.build.memory_gb / 2
        made = make_training_set(self.shop.store, recipe, chosen, memory_gb=memory, scratch=scratch)
        if made.new:
            self._audit(who, "asset.trainset", made.asset, {"version": made.version, "recipe": made.recipe})
        self.sync()
        return made

    def _audit(self, who: str, action: str, what: str, detail: dict[str, Any]) -> None:
        self.shop.audit.record(who, action, what, detail, role="owner")

    # -- lineage ---------------------------------------------------------------------------------------------

    def lineage(self, what: str, direction: str = "up", *, rows: bool = True) -> Answer:
        """What went into an asset, a column (``products.brand``) or a bundle, or what hangs on it (``down``).

        Without `rows`, influences that only choose rows (filters, joins, order) are left out.
        """
        name, version, column = split_name(self.registry, what)
        graph = Graph(self.registry)
        if direction == "down":
            return graph.down(name, column, rows=rows)
        return graph.up(name, column, version, rows=rows)

    def consumers(self, what: str) -> list[str]:
        """Who would notice a change of a column or an asset, in words: config keys, contracts, models, the live bundle."""
        name, _, column = split_name(self.registry, what)
        answer = self.lineage(what, "down")
        found = [
            f"{self.registry.get(asset).kind} {asset}" for asset in answer.assets if self.registry.find(asset)
        ]
        for key in _settings(self.shop.config, column) if name == "products" else []:
            found.append(f"setting {key}")
        for table in self.shop.store.names():
            try:
                contract = contract_for(table, self.shop.root)
            except (ConfigError, FileNotFoundError):
                continue
            found += [
                f"contract of {table}: {c.name} refers to it"
                for c in contract.columns
                if c.reference == f"{name}.{column}"
            ]
        if BUNDLE in answer.assets:
            found.append("API /v1/search, /v1/recommend, /v1/similar")
        return found


def _settings(config: Any, column: str) -> list[str]:
    found = [f"search.boosts.{column}"] if column in config.search.boosts else []
    found += ["search.facets"] if column in config.search.facets else []
    return found + (["encoder.text"] if f"{{{column}}}" in config.encoder.text else [])
