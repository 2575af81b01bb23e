"""Aggregate events to user × item pairs inside the data engine, so that memory stays bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.config import Recommend
from wares.core.strings import StringTable
from wares.data.engine import Engine, Table, cases, literal
from wares.data.store import Store
from wares.features.catalogue_build import fused_names
from wares.features.interactions import Interactions

DAY = 86_400


@dataclass(frozen=True, slots=True)
class EventLog:
    """The events of a version, ready for questions about time windows.

    With `fused` (versions of the fusion tables), events of a cluster's members count for the product that stands for it.
    """

    store: Store
    version: int
    item_ids: pa.Array
    config: Recommend
    memory_gb: float
    scratch: Path
    fused: Mapping[str, int] | None = None

    def _events(self, engine: Engine) -> Table:
        events = engine.parquet(self.store.files(c.EVENTS, self.version))
        weights = _weights(self.config)
        weight = cases(
            *((events[c.KIND] == kind, literal(float(w))) for kind, w in weights.items()), else_=0.0
        )
        user = events[c.USER_ID].coalesce(literal("~") + events[c.SESSION_ID])
        chosen = events.select(
            user=user,
            item=events[c.PRODUCT_ID],
            at=events[c.AT].truncate("s").epoch_seconds(),
            weight=weight,
            kind=events[c.KIND],
            # A contract of before has no stores.
            store=events[c.STORE] if c.STORE in events.columns else literal(None, "string"),
        )
        chosen = chosen.filter(chosen.user.notnull() & (chosen.weight != 0))
        if not self.fused:
            return chosen
        names = fused_names(engine, self.store, dict(self.fused))
        joined = chosen.left_join(names, [chosen["item"] == names.member])
        return joined.mutate(item=joined.golden.coalesce(joined["item"])).drop("member", "golden")

    def span(self) -> tuple[int, int]:
        """First and last moment, in Unix seconds; (0, 0) when there are no events."""
        with Engine(self.memory_gb, scratch=self.scratch) as engine:
            events = self._events(engine)
            row = engine.arrow(
                events.aggregate(first=events["at"].min(), last=events["at"].max())
            ).to_pylist()[0]
        return int(row["first"] or 0), int(row["last"] or 0)

    def interactions(self, until: int | None = None) -> tuple[Interactions, list[str]]:
        """Pairs of all events before `until` (Unix seconds), and the users by row, sorted."""
        decays = tuple(self.config.half_lives_days)
        with Engine(self.memory_gb, scratch=self.scratch) as engine:
            events = self._events(engine)
            if until is not None:
                events = events.filter(events["at"] < until)
            as_of = until if until is not None else int(engine.scalar(events["at"].max()) or 0)
            age = (literal(as_of) - events["at"]) / DAY
            sums = {
                f"d{i}": (events.weight * (age * (-math.log(2) / half_life)).exp()).sum().cast("float32")
                for i, half_life in enumerate(decays)
            }
            pairs = events.group_by(["user", "item"]).aggregate(
                count=events.weight.sum().cast("float32"),
                times=(events.weight > 0).sum().cast("int32"),
                last=events["at"].max(),
                first=events["at"].min(),
                **sums,
            )
            table = engine.arrow(pairs.filter(pairs["count"] > 0).order_by(["user", "item"]))
            deeds = events.filter(events.weight > 0)
            days = deeds.select(user=deeds.user, day=(deeds["at"] // DAY).cast("int32")).distinct()
            visits = engine.arrow(days.order_by(["user", "day"]))
        return self._matrix(table, visits, decays, as_of)

    def _matrix(
        self, table: pa.Table, visits: pa.Table, decays: tuple[float, ...], as_of: int
    ) -> tuple[Interactions, list[str]]:
        rows = pc.index_in(table["item"], value_set=self.item_ids)
        known = pc.is_valid(rows)
        table, rows = table.filter(known), rows.filter(known)
        encoded = table["user"].combine_chunks().dictionary_encode()
        users = encoded.dictionary.to_pylist()
        code = encoded.indices.to_numpy(zero_copy_only=False)
        visitor = pc.index_in(visits["user"], value_set=encoded.dictionary)
        visits, visitor = visits.filter(pc.is_valid(visitor)), visitor.filter(pc.is_valid(visitor)).to_numpy()
        in_order = np.argsort(visitor, kind="stable")
        decayed = [np.maximum(table[f"d{i}"].to_numpy(), 0) for i in range(len(decays))]
        matrix = Interactions(
            n_items=len(self.item_ids),
            ptr=np.concatenate([[0], np.cumsum(np.bincount(code, minlength=len(users)))]).astype(np.int64),
            items=rows.to_numpy().astype(np.int32),
            counts=table["count"].to_numpy().astype(np.float32),
            times=table["times"].to_numpy().astype(np.int32),
            last=table["last"].to_numpy().astype(np.int64),
            decayed=np.stack(decayed, 1).astype(np.float32)
            if decayed
            else np.zeros((table.num_rows, 0), np.float32),
            decays=decays,
            as_of=as_of,
            first=table["first"].to_numpy().astype(np.int64),
            visit_ptr=np.concatenate([[0], np.cumsum(np.bincount(visitor, minlength=len(users)))]).astype(
                np.int64
            ),
            visit_days=visits["day"].to_numpy().astype(np.int32)[in_order],
        )
        return matrix, users

    def window(
        self, since: int, until: int, users: Sequence[str]
    ) -> tuple[list[NDArray[np.int32]], list[str]]:
        """Distinct items that each of `users` took up within [since, until), and users not among them likewise.

        Returns a list by row of `users` and then one for each newcomer, with the newcomers' names. Weak signals
        (views, clicks) do not count as taking up.
        """
        with Engine(self.memory_gb, scratch=self.scratch) as engine:
            events = self._events(engine)
            strong = events.filter(
                (events["at"] >= since) & (events["at"] < until) & (events.weight >= self._strong())
            )
            table = engine.arrow(strong.select("user", "item").distinct().order_by(["user", "item"]))
        rows = pc.index_in(table["item"], value_set=self.item_ids)
        known = pc.is_valid(rows)
        names, items = table.filter(known)["user"].to_pylist(), rows.filter(known).to_numpy()
        place = {name: i for i, name in enumerate(users)}
        newcomers: list[str] = []
        for name in names:
            if name not in place and not name.startswith("~"):
                place[name] = len(users) + len(newcomers)
                newcomers.append(name)
        truth: list[list[int]] = [[] for _ in range(len(users) + len(newcomers))]
        for name, item in zip(names, items.tolist(), strict=True):
            if name in place:
                truth[place[name]].append(item)
        return [np.array(t, np.int32) for t in truth], newcomers

    def first_baskets(self, since: int, until: int, users: Sequence[str]) -> list[NDArray[np.int32]]:
        """Distinct items that each of `users` took up on the first day of [since, until) on which they took up any."""
        with Engine(self.memory_gb, scratch=self.scratch) as engine:
            events = self._events(engine)
            strong = events.filter(
                (events["at"] >= since) & (events["at"] < until) & (events.weight >= self._strong())
            )
            days = strong.select("user", "item", day=strong["at"] // DAY).distinct()
            first = days.group_by("user").aggregate(first=days.day.min()).rename(who="user")
            chosen = days.join(first, [days.user == first.who, days.day == first.first])
            table = engine.arrow(chosen.select("user", "item").order_by(["user", "item"]))
        rows = pc.index_in(table["item"], value_set=self.item_ids)
        known = pc.is_valid(rows)
        names, items = table.filter(known)["user"].to_pylist(), rows.filter(known).to_numpy()
        place = {name: i for i, name in enumerate(users)}
        baskets: list[list[int]] = [[] for _ in users]
        for name, item in zip(names, items.tolist(), strict=True):
            if name in place:
                baskets[place[name]].append(item)
        return [np.array(basket, np.int32) for basket in baskets]

    def _strong(self) -> float:
        return min(self.config.kinds.get(c.PURCHASE, 1.0), max(self.config.kinds.values(), default=1.0))

    def baskets(self, engine: Engine, kinds: Sequence[str], until: int | None = None) -> Table:
        """What a shopper or visit did with these kinds of events, by day: ``user``, ``day``, ``item`` and ``at``, the first moment.

        `until` in Unix seconds leaves out later events.
        """
        events = self._events(engine)
        events = events.filter(events["kind"].isin(list(kinds)))
        if until is not None:
            events = events.filter(events["at"] < until)
        lines = events.mutate(day=(events["at"] / DAY).floor().cast("int32"))
        return lines.group_by(["user", "day", "item"]).aggregate(at=lines["at"].min())

    def moments(self, engine: Engine, kinds: Sequence[str], since: int, until: int) -> Table:
        """Each event of these kinds within [since, until) in Unix seconds: ``user``, ``item``, ``at``, ``store``."""
        events = self._events(engine)
        events = events.filter(
            events["kind"].isin(list(kinds)) & (events["at"] >= since) & (events["at"] < until)
        )
        return events.select("user", "item", "at", "store")

    def popularity(self, until: int, days: float) -> NDArray[np.float32]:
        """How many users took up each item in the `days` before `until` ``(n_items,)``."""
        with Engine(self.memory_gb, scratch=self.scratch) as engine:
            events = self._events(engine)
            recent = events.filter(
                (events["at"] < until) & (events["at"] >= until - int(days * DAY)) & (events.weight > 0)
            )
            table = engine.arrow(
                recent.group_by("item").aggregate(users=recent.user.nunique()).order_by("item")
            )
        rows = pc.index_in(table["item"], value_set=self.item_ids)
        known = pc.is_valid(rows)
        out = np.zeros(len(self.item_ids), np.float32)
        out[rows.filter(known).to_numpy()] = table["users"].filter(known).to_numpy()
        return out


def _weights(config: Recommend) -> dict[str, float]:
    """Weight of each kind; what was sent back counts against what was bought."""
    return {**config.kinds, c.RETURN: -config.kinds.get(c.PURCHASE, 1.0)}


def build_interactions(log: EventLog, folder: Path) -> dict[str, Any]:
    """Write the interactions of the whole log, and ``popular (n_items,) float32`` of its last days."""
    matrix, users = log.interactions()
    popular = log.popularity(matrix.as_of + 1, log.config.popular_days)
    np.save(folder / "popular.npy", popular, allow_pickle=False)
    last = datetime.fromtimestamp(matrix.as_of, UTC).isoformat()
    return matrix.save(
        folder,
        StringTable.of(users),
        last=last,
        kinds=_weights(log.config),
        session_decay=log.config.session_decay,
    )
