"""Fit the recommender: collaborative neighbours, text neighbours, and a blend chosen on validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.config import Recommend
from wares.features.interactions import Interactions
from wares.models.recommend import closed_form as cf
from wares.models.recommend.alike import AlikeSide
from wares.models.recommend.facts import Products
from wares.models.recommend.history import History
from wares.models.recommend.infer import FORM, KIND, SIGNALS
from wares.models.recommend.learned import HEADS
from wares.models.recommend.mood import MoodSide
from wares.models.recommend.near_train import near_shoppers
from wares.models.recommend.next_item import WINDOW, NextItem
from wares.models.recommend.parts import sequences_of

TEXT_ITEMS = (4, 2)
MOST_PREFIXES = 20_000_000
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TextSide:
    """Text neighbours: ``ids (n_texts, k) int32`` and ``sims`` (the first is the text itself), ``text_of (n_items,)``."""

    ids: NDArray[np.int32]
    sims: NDArray[np.float16]
    text_of: NDArray[np.int32]

    @classmethod
    def none(cls, n_items: int) -> TextSide:
        """For catalogues without any text."""
        return cls(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float16), np.zeros(n_items, np.int32))


@dataclass(frozen=True, slots=True)
class GraphSide:
    """Neighbours of products in the graph: ``ids (n_items, k) int32`` best first, -1 beyond, ``sims (n_items, k) float16``."""

    ids: NDArray[np.int32]
    sims: NDArray[np.float16]


@dataclass
class Params:
    """What validation chose.

    ``query`` and ``rebuy`` are the forgetting (index of ``decays``) of the two signals; ``blend_new`` weighs the
    signals where what the shopper has is left out, ``blend_thin`` for newcomers of so many deeds; ``learned`` says what
    the trees of the learned ranker are, and is empty where there are none.
    """

    regularisation: float = 300.0
    query: int = 0
    rebuy: int = 0
    repeat: bool = False
    blend: dict[str, float] = field(
        default_factory=lambda: {"cf": 1.0, "text": 0.1, "popular": 0.05, "repeat": 0.0}
    )
    blend_new: dict[str, float] = field(
        default_factory=lambda: {"cf": 1.0, "text": 0.1, "popular": 0.05, "repeat": 0.0}
    )
    blend_thin: dict[str, dict[str, float]] = field(default_factory=dict)
    tail: float = 0.0
    tail_scale: float = 0.6
    new_share: float = 0.05
    diversity: float = 0.15
    model: str = "lowrank"
    side_weight: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def query_weights(data: Interactions, decay: int) -> NDArray[np.float32]:
    """Weight of each pair when it asks: log2(1 + decayed sum), so that a tenth purchase says less than a first."""
    return np.log2(1.0 + data.decayed[:, decay]).astype(np.float32)


def fit_values(data: Interactions) -> NDArray[np.float32]:
    """Weight of each pair in the fitted matrix: log2(1 + count), one for a single deed."""
    return np.log2(1.0 + data.counts).astype(np.float32)


def history_of(data: Interactions, user: int, params: Params) -> History:
    """A training user's history as the ranker wants it."""
    part = data.of(user)
    decayed = data.decayed[part]
    return History(
        data.items[part],
        np.log2(1.0 + decayed[:, params.query]).astype(np.float32),
        decayed[:, params.rebuy].astype(np.float32),
        data.times[part],
        data.last[part],
        data.first[part],
        decayed,
        data.visits(user),
        data.as_of,
        user,
    )


def choose_model(config: Recommend, n_columns: int, memory_gb: float) -> str:
    """``ease`` when its two dense matrices fit, otherwise ``lowrank``, unless the config decides."""
    if config.model != "auto":
        return config.model
    return "ease" if fits_dense(config, n_columns, memory_gb) else "lowrank"


def fits_dense(config: Recommend, n_columns: int, memory_gb: float) -> bool:
    """Whether two dense matrices of that many columns are allowed and fit."""
    return n_columns <= config.max_dense_items and 12.0 * n_columns**2 <= memory_gb * 2**30


def tries_next(data: Interactions, config: Recommend) -> bool:
    """Whether ``auto`` also tries the next-item model: where its prefixes are few enough to be quick."""
    sizes = np.minimum(np.diff(data.ptr), WINDOW)
    return (
        config.model == "auto"
        and len(data.items) >= 2
        and float((sizes * np.diff(data.ptr)).sum()) <= MOST_PREFIXES
    )


class Collaborative:
    """The collaborative part over the supported columns; ``at`` gives a model for a regularisation."""

    def __init__(
        self,
        data: Interactions,
        config: Recommend,
        memory_gb: float,
        seed: int,
        side: sp.csr_matrix | None = None,
        side_weight: float = 0.0,
        kind: str = "",
    ) -> None:
        self.columns = cf.Columns.supported(data, config.min_support)
        self.users = self.matrix = cf.to_matrix(data, self.columns, fit_values(data))
        if side is not None and side_weight > 0:
            # CEASE (Jeunen, Van Balen, Goethals, RecSys 2020): entities of a graph act as further users.
            self.matrix = sp.vstack(
                [self.users, side[:, self.columns.items] * np.float32(side_weight)]
            ).tocsr()
        self.kind = kind or choose_model(config, len(self.columns.items), memory_gb)
        self.fits = fits_dense(config, len(self.columns.items), memory_gb)
        self.data = data
        self.config, self.seed = config, seed
        self._factors: cf.Factors | None = None

    def at(self, regularisation: float) -> cf.ItemModel:
        """The model for this lambda (ignored by item-kNN)."""
        if self.kind == "ease":
            return cf.Ease(self.matrix, regularisation)
        if self.kind == "knn":
            return cf.ItemKnn(self.matrix, k=self.config.neighbours)
        if self.kind == "next":
            columns = [self.columns.column_of[s] for s in sequences_of(self.data)]
            kept = [c[c >= 0] for c in columns]
            return NextItem(
                kept, len(self.columns.items), regularisation, dense=self.fits, k=self.config.neighbours
            )
        if self._factors is None:
            self._factors = cf.Factors(self.matrix, self.config.rank, self.seed)
        return cf.LowRankEase(self._factors, regularisation)

    def neighbours(self, model: cf.ItemModel) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Each column's best neighbours, as columns."""
        k, n = self.config.neighbours, len(self.columns.items)
        if isinstance(model, cf.ItemKnn):
            return model.ids, model.values
        if isinstance(model, cf.LowRankEase):
            if n > cf.DENSE_NEIGHBOURS:
                return cf.approximate_neighbours(model, k)
            return cf.best_of_rows(model.blocks(), n, k)
        assert isinstance(model, cf.Ease | NextItem)
        return cf.best_of_rows(model.blocks(), n, k)


def fit(
    data: Interactions,
    popular: NDArray[np.float32],
    text: TextSide,
    category_of: NDArray[np.int32],
    params: Params,
    config: Recommend,
    folder: Path,
    *,
    memory_gb: float = 4.0,
    seed: int = 7,
    side: sp.csr_matrix | None = None,
    part: Collaborative | None = None,
    model: cf.ItemModel | None = None,
    products: Products | None = None,
    trees: Path | None = None,
    lists: bool = True,
    reasons: bool = True,
    near: bool | None = None,
    graph: GraphSide | None = None,
    alike: AlikeSide | None = None,
    mood: MoodSide | None = None,
) -> dict[str, Any]:
    """Write a recommender into `folder`; deterministic for the same inputs and seed.

    `popular (n_items,)` counts recent shoppers; `side (n_entities, n_items)` is a graph as entity × item; `part`
    and `model` may come from tuning on the same data. `trees` is the folder with those of ``params.learned``. Without
    `lists` there are no neighbour lists: for tuning, where candidates are drafted otherwise; without `reasons`
    nobody counts how many shoppers have both of a pair, which only an explanation tells. `near` adds shoppers with a
    like history, which only the learned ranker needs; by default where there is one. `graph` are neighbours in the graph,
    and `alike` lists of what is like, instead of and beside each product, for the learned ranker too; `mood` what is said of
    products and what shoppers, by their rows, care about.
    """
    save_arrays(folder, text_of=text.text_of, text_ids=text.ids, text_sims=text.sims, category_of=category_of)
    sold = data.item_counts()
    log_sold = np.log1p(sold).astype(np.float32)
    top = np.lexsort((np.arange(data.n_items), -sold, -popular))[:1000]
    save_arrays(
        folder, popular=np.log1p(popular).astype(np.float32), popular_top=top[(popular[top] > 0) | (sold[top] > 0)].astype(np.int32),
        log_sold=log_sold / max(float(log_sold.max(initial=0)), 1.0), text_items=_text_items(text, sold),
    )  # fmt: skip
    model = model if len(data.items) else None
    if len(data.items):
        kind = "next" if params.model == "next" else ""
        part = part or Collaborative(data, config, memory_gb, seed, side, params.side_weight, kind)
        model = model or part.at(params.regularisation)
        if lists:
            ids, weights = part.neighbours(model)
        else:
            ids = np.full((len(part.columns.items), 1), -1, np.int32)
            weights = np.zeros(ids.shape, np.float32)
        shared = cf.shared_users(part.users, ids) if lists and reasons else np.zeros(ids.shape, np.uint16)
        items = part.columns.items
        row_of = part.columns.column_of
    else:
        ids, weights, shared = (
            np.zeros((0, 1), np.int32),
            np.zeros((0, 1), np.float32),
            np.zeros((0, 1), np.uint16),
        )
        items, row_of = np.zeros(0, np.int32), np.full(data.n_items, -1, np.int32)
    save_arrays(
        folder, cf_row=row_of, cf_ids=np.where(ids >= 0, items[np.maximum(ids, 0)] if len(items) else ids, -1).astype(np.int32),
        cf_weights=weights.astype(np.float32), cf_shared=shared,
    )  # fmt: skip
    factors = model.left if isinstance(model, cf.LowRankEase) else np.zeros((0, 1), np.float32)
    save_arrays(folder, cf_factors=factors, cf_squares=(factors**2).sum(1))
    learned = params.learned if len(data.items) else {}
    near = bool(learned) if near is None else near and len(data.items) > 0
    if near:
        others = near_shoppers(data, params.query, seed)
        save_arrays(
            folder,
            near_ids=others.ids,
            near_sims=others.sims,
            near_items=others.items,
            near_weights=others.weights,
        )
    if graph is not None:
        save_arrays(folder, graph_ids=graph.ids, graph_sims=graph.sims)
    if alike is not None:
        alike.save(folder, data.n_items)
    if mood is not None:
        mood.save(folder)
    if learned:
        products = products or Products.plain(category_of)
        save_arrays(folder, facts=products.facts(data), brand_of=products.brand_of)
        for head in HEADS:
            if trees is not None and learned.get(head, {}).get("kind") == "trees":
                shutil.copyfile(trees / f"{head}.onnx", folder / f"{head}.onnx")
    return seal(
        folder,
        KIND,
        form=FORM,
        learned=learned,
        near=near,
        graph=graph is not None,
        alike=alike is not None,
        mood=mood is not None,
        n_items=data.n_items,
        columns=len(items),
        params=params.to_json(),
        decays=list(data.decays),
        by_position=data.by_position,
    )


def _text_items(text: TextSide, sold: NDArray[np.int64]) -> NDArray[np.int32]:
    """Which products speak for each text ``(n_texts, 6) int32``: its four best sold, then two never sold."""
    best, unsold = TEXT_ITEMS
    out = np.full((len(text.ids), best + unsold), -1, np.int32)
    if not len(out):
        return out
    order = np.lexsort((np.arange(len(sold)), -sold, text.text_of))
    starts = np.searchsorted(text.text_of[order], np.arange(len(out) + 1))
    for row in range(len(out)):
        members = order[starts[row] : starts[row + 1]]
        chosen = list(members[:best])
        chosen += [m for m in members[best:] if sold[m] == 0][:unsold]
        out[row, : len(chosen)] = chosen
    return out


def matrix_of(data: Interactions, columns: cf.Columns, users: NDArray[np.int64], decay: int) -> sp.csr_matrix:
    """Weighted histories of some users as a sparse matrix."""
    return cf.to_matrix(data, columns, query_weights(data, decay))[users]


__all__ = ["SIGNALS", "Collaborative", "Params", "TextSide", "fit", "history_of", "query_weights"]
