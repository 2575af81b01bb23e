"""``wares tune encoder`` in a workspace: its own signals as pairs, an adapted encoder published when it is better."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core import columns as c
from wares.core.config import Encoder
from wares.core.errors import DataError, NotFitted, QueryError
from wares.core.files import folder_atomic, locked
from wares.core.strings import StringTable
from wares.core.text import fill, template_parts
from wares.data.engine import Engine
from wares.features.catalogue import TEXTS, Catalogue
from wares.features.pairs import Builder, PairSet, split_nodes
from wares.graph.behaviour import Pairs
from wares.pipeline import graphing, last
from wares.pipeline.adapted import FOLDER, set_live
from wares.pipeline.plan import Context

if TYPE_CHECKING:
    from wares.features.adapt_train import Outcome, Recipe
    from wares.pipeline.workspace import Workspace

Say = Callable[[str], None]
WORK = "work"
MOST_REVIEWS = 3
WRONG = 2
"""Known negatives drawn for each member of a cluster."""


def context_of(shop: Workspace) -> Context:
    """What the last build made.

    Raises:
        NotFitted: when nothing is built yet.
    """
    context = last.context_of(shop)
    versions = dict(context.versions)
    for table in (c.QUERIES, c.REVIEWS):
        if table not in versions and shop.store.exists(table):
            versions[table] = shop.store.version(table)
    return replace(context, versions=versions)


def recipe_of(config: Encoder, seed: int, **changes: Any) -> Recipe:
    """The settings of ``[encoder]`` and ``[encoder.tune]`` as a recipe."""
    from wares.features.adapt_body_train import Build
    from wares.features.adapt_steps_train import Loss
    from wares.features.adapt_train import Recipe

    tune = config.tune
    build = Build(
        config.model, tune.method, tune.rank, min(tune.max_tokens, config.max_tokens), tune.split_digits, tune.freeze_embeddings,
        config.prefix_query, config.prefix_passage, seed,
    )  # fmt: skip
    recipe = Recipe(
        build, Loss(tune.temperature, tuple(tune.dims), tune.distil if tune.teacher else 0.0), tune.learning_rate, tune.batch, tune.hard,
        minutes=tune.minutes, cached=tune.cached, augment=tune.word_dropout,
        vary=tuple(tune.augment), vary_share=tune.augment_share, balance=tune.balance, pseudo=tune.pseudo, pseudo_from=tune.pseudo_from, teacher=tune.teacher, masked_steps=tune.masked_steps, seed=seed,
    )  # fmt: skip
    return replace(recipe, **changes)


def shop_pairs(context: Context) -> PairSet:
    """The pairs of a workspace, from the signals that its config names; deeds of the test days of `wares evaluate` are left out.

    Products are nodes by their text as it is encoded for serving; queries, reviews and descriptions are asked like queries.
    """
    wanted = set(context.config.encoder.tune.signals)
    catalogue = Catalogue(context.done["catalogue"])
    texts = StringTable.load(context.done["catalogue"], "texts")
    builder = Builder()
    node = np.fromiter((builder.node(str(text)) for text in texts), np.int64, len(texts))
    of_product = node[catalogue.text_of] if len(texts) else np.zeros(0, np.int64)
    before = _before(context)
    if wanted & {"together", "viewed"} and "graph_pairs" in context.done:
        bought, viewed = graphing.pairs_known(context)
        for name, found in (("together", bought), ("viewed", viewed)):
            if name in wanted and found is not None:
                _by_behaviour(builder, found, of_product, name, context.config.encoder.tune.partners)
    if "query" in wanted:
        _by_queries(builder, context, catalogue, of_product, before)
    if "cluster" in wanted:
        _by_clusters(builder, context)
    if "description" in wanted:
        _by_descriptions(builder, catalogue, of_product)
    if "review" in wanted:
        _by_reviews(builder, context, catalogue, of_product, before)
    return builder.done()


def _before(context: Context) -> int | None:
    cuts = context.manifest("graph_pairs")["cuts"] if "graph_pairs" in context.done else [None]
    return int(cuts[1]) if len(cuts) > 1 else None


def _by_behaviour(
    builder: Builder, found: Pairs, of_product: NDArray[np.int64], name: str, most: int
) -> None:
    """The `most` partners of each text by cosine of the baskets."""
    if not len(found.a):
        return
    a, b, near = of_product[found.a], of_product[found.b], found.cosine()
    ends = np.concatenate([np.column_stack([a, b]), np.column_stack([b, a])])
    values = np.concatenate([near, near])
    keep = ends[:, 0] != ends[:, 1]
    ends, values = ends[keep], values[keep]
    order = np.lexsort((ends[:, 1], -values, ends[:, 0]))
    ends, values = ends[order], values[order]
    seen: dict[int, set[int]] = defaultdict(set)
    for (left, right), value in zip(ends.tolist(), values.tolist(), strict=True):
        if len(seen[left]) < most and right not in seen[left]:
            seen[left].add(right)
            builder.edge(left, right, name, float(value))


def _by_queries(
    builder: Builder,
    context: Context,
    catalogue: Catalogue,
    of_product: NDArray[np.int64],
    before: int | None,
) -> None:
    """Queries typed by enough shoppers, and what they clicked."""
    rows = _rows(context, c.QUERIES, (c.TEXT, c.PRODUCT_ID, c.USER_ID, c.SESSION_ID), before)
    typed: dict[str, set[str]] = defaultdict(set)
    clicked: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        text = " ".join(str(row[c.TEXT] or "").casefold().split())
        product = catalogue.row(str(row[c.PRODUCT_ID])) if row[c.PRODUCT_ID] else -1
        if not text:
            continue
        typed[text].add(str(row[c.USER_ID] or row[c.SESSION_ID] or ""))
        if product >= 0:
            clicked[text, int(of_product[product])] += 1
    fewest = context.config.encoder.tune.min_users
    for (text, product), count in sorted(clicked.items()):
        if len(typed[text]) >= fewest:
            builder.edge(builder.node(text, query=True), product, "query", float(np.log1p(count)))


def _by_clusters(builder: Builder, context: Context) -> None:
    """Members of one fused product are a group; others of their category by another brand are known not to belong."""
    if not {c.PRODUCT_CLUSTERS, c.PRODUCTS} <= context.versions.keys():
        return
    clean = c.clean_name(c.PRODUCTS)
    source = clean if clean in context.versions else c.PRODUCTS
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        clusters = engine.parquet(
            context.store.files(c.PRODUCT_CLUSTERS, context.versions[c.PRODUCT_CLUSTERS])
        )
        products = engine.parquet(context.store.files(source, context.versions[source]))
        names = clusters.select(member=clusters[c.PRODUCT_ID], cluster=clusters[c.CLUSTER_ID])
        fields = products.select(*(name for name in TEXTS if name in products.columns))
        rows = engine.arrow(
            fields.join(names, [fields[c.PRODUCT_ID] == names["member"]]).order_by("member")
        ).to_pylist()
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row["cluster"]] += 1
    parts = template_parts(context.config.encoder.text)
    number: dict[str, int] = {}
    made: list[tuple[int, str, str]] = []
    for row in rows:
        if sizes[row["cluster"]] > 1:
            group = number.setdefault(row["cluster"], len(number))
            at = builder.node(fill(parts, row), group=group)
            made.append((at, str(row.get(c.CATEGORY) or ""), str(row.get(c.BRAND) or "")))
    beside: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for at, category, brand in made:
        if category and brand:
            beside[category].append((at, brand))
    rng = np.random.default_rng(context.config.shop.seed)
    for at, category, brand in made:
        others = [other for other, name in beside[category] if name != brand] if brand else []
        for other in rng.permutation(others)[:WRONG].tolist():
            builder.negative(at, int(other))


def _by_descriptions(builder: Builder, catalogue: Catalogue, of_product: NDArray[np.int64]) -> None:
    """A description asks for the title that it stands under; the product's whole text, which may hold it, is set aside."""
    titles, descriptions = catalogue.columns["title"], catalogue.columns["description"]
    for row in range(len(catalogue)):
        title, said = str(titles[row]), str(descriptions[row])
        if title and said and said != title:
            asked = builder.node(said, query=True)
            builder.edge(asked, builder.node(title), "description")
            builder.aside(asked, int(of_product[row]))


def _by_reviews(
    builder: Builder,
    context: Context,
    catalogue: Catalogue,
    of_product: NDArray[np.int64],
    before: int | None,
) -> None:
    """A review asks for its product; the longest few of each."""
    of: dict[int, list[str]] = defaultdict(list)
    for row in _rows(context, c.REVIEWS, (c.PRODUCT_ID, c.TITLE, c.TEXT), before):
        product = catalogue.row(str(row[c.PRODUCT_ID]))
        text = " ".join(str(row[name]) for name in (c.TITLE, c.TEXT) if row[name])
        if product >= 0 and text:
            of[product].append(text)
    for product, said in sorted(of.items()):
        for text in sorted(set(said), key=lambda t: (-len(t), t))[:MOST_REVIEWS]:
            builder.edge(builder.node(text, query=True), int(of_product[product]), "review")


def _rows(context: Context, table: str, names: tuple[str, ...], before: int | None) -> list[dict[str, Any]]:
    files = context.files(table)
    if files is None:
        return []
    with Engine(context.config.build.memory_gb / 2, scratch=context.scratch) as engine:
        rows = engine.parquet(files)
        if before is not None:
            rows = rows.filter(rows[c.AT].isnull() | (rows[c.AT].truncate("s").epoch_seconds() < before))
        return engine.arrow(rows.select(*names).order_by(list(names))).to_pylist()


def tune_shop(
    shop: Workspace,
    recipe: Recipe,
    *,
    resume: bool = False,
    logs: Path | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Adapt the encoder to the workspace; when it is better on held-out pairs, the next `wares build` uses it.

    Raises:
        NotFitted: when nothing is built yet.
        DataError: when there are too few pairs, nothing to resume, or somebody was erased meanwhile.
        Unavailable: when another adaptation is running.
    """
    from wares.pipeline.erasure import receipts

    home = shop.root / FOLDER
    with locked(shop.root / "state" / "encoder.lock", "an adaptation of the encoder", wait=False):
        context = context_of(shop)
        if not context.done:
            raise NotFitted("nothing is built yet", mend="Run `wares build`")
        say("read the shop's signals")
        erased = len(receipts(shop.root))
        pairs = shop_pairs(context)
        work = home / WORK
        outcome, facts = _learn(pairs, recipe, work, resume=resume, logs=logs, say=say)
        if outcome.better:
            with shop.exclusive():
                if len(receipts(shop.root)) != erased:
                    raise DataError(
                        "somebody was erased while the encoder learned", mend="Run `wares tune encoder` again"
                    )
                name = publish(home, outcome)
                set_live(shop.root, name, shop.config.encoder)
            facts["folder"] = str(home / name)
            _forget(home, name)
        shutil.rmtree(work)
        shop.audit.record(
            "wares", "encoder.tune", "encoder", {"published": outcome.better, "gain": facts["gain"]["mrr"]}
        )
        return facts


def _learn(
    pairs: PairSet, recipe: Recipe, work: Path, *, resume: bool, logs: Path | None, say: Say
) -> tuple[Outcome, dict[str, Any]]:
    """One run in a folder of work, begun anew or resumed; its figures say whether it is published."""
    from wares.features.adapt_pseudo_train import adapt

    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    part = split_nodes(pairs, recipe.seed)
    outcome = adapt(pairs, part, recipe, work, resume=resume, logs=logs, say=say)
    return outcome, outcome.facts | {"published": outcome.better}


def tune_files(
    pairs: PairSet,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    logs: Path | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Adapt an encoder to pairs of a file and write it to `out` when it is better on held-out pairs.

    What a stopped run needs to go on lies in ``OUT.work`` until the run has ended.

    Raises:
        DataError: when there are too few pairs, or nothing to resume.
        QueryError: when `out` holds something that is no adapted encoder.
    """
    from wares.features.adapt_body_train import NOTE

    if out.exists() and any(out.iterdir()) and not (out / NOTE).is_file():
        raise QueryError(f"{out} is not empty", mend="Name another folder", parameter="out")
    work = out.with_name(out.name + ".work")
    outcome, facts = _learn(pairs, recipe, work, resume=resume, logs=logs, say=say)
    if outcome.better:
        with folder_atomic(out) as folder:
            outcome.body.save(folder, facts)
        facts["folder"] = str(out)
    shutil.rmtree(work)
    return facts


def publish(home: Path, outcome: Outcome) -> str:
    """Write the adapted encoder under a name made from its content; returns the name."""
    from wares.core.files import digest, file_digest

    with folder_atomic(home / ".new") as work:
        outcome.body.save(work, {**outcome.facts, "published": True})
        weights = [file_digest(path) for path in sorted(work.rglob("*.safetensors"))]
        name = (weights[0] if len(weights) == 1 else digest(weights))[:16]
    if (home / name).exists():
        shutil.rmtree(home / name)
    (home / ".new").rename(home / name)
    return name


def _forget(home: Path, live: str) -> None:
    for folder in home.iterdir():
        if folder.is_dir() and folder.name not in (live, WORK):
            shutil.rmtree(folder)
