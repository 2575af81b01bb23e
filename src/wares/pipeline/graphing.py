"""The build steps of the knowledge graph, and its neighbours as they were before a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wares.core import columns as c
from wares.core.arrays import load_array, open_artifact, save_arrays, seal
from wares.core.files import file_digest, read_json, write_json
from wares.core.strings import StringTable
from wares.data.lineage.origin import TRANSFORMATION, Lineage, Origin
from wares.data.sources import expand
from wares.features.catalogue import Catalogue
from wares.features.interactions import Interactions
from wares.features.interactions_build import EventLog
from wares.graph.behaviour import Pairs, no_pairs
from wares.graph.build import Deeds, build_triples, content_of, deeds_of, pairs_before, store_triples
from wares.graph.infer import Graph
from wares.graph.llm import PROMPT_VERSION, Reader, add_facts, cache_folder, source_of
from wares.graph.neighbours import Neighbours, neighbours_before, nothing, window_before
from wares.graph.triples import Triples
from wares.pipeline.plan import Context, Tick

PAIRS = "graph_pairs"
READ = "graph_read"
FACTS = "facts.json"
FOLDER = "graph"
_ARRAYS = ("a", "b", "together", "day", "alone")
_GRAPH = "wares.graph."
PAIRS_MODULES = (f"{_GRAPH}behaviour",)
GRAPH_MODULES = tuple(
    f"{_GRAPH}{name}" for name in ("build", "behaviour", "columns", "text", "files", "triples")
)
READ_MODULES = (f"{_GRAPH}llm", f"{_GRAPH}asking")
NEIGHBOURS_MODULES = (f"{_GRAPH}neighbours", f"{_GRAPH}likeness", f"{_GRAPH}build", f"{_GRAPH}behaviour")


def event_log(context: Context) -> EventLog | None:
    """The events of this build; None when there are none."""
    if c.EVENTS not in context.versions:
        return None
    ids = pa.array(list(StringTable.load(context.done["catalogue"], c.PRODUCT_ID)), pa.string())
    return EventLog(
        context.store,
        context.versions[c.EVENTS],
        ids,
        context.config.recommend,
        context.config.build.memory_gb / 2,
        context.scratch,
        {t: context.versions[t] for t in (c.PRODUCT_CLUSTERS, c.PRODUCTS_FUSED) if t in context.versions},
    )


def triple_files(context: Context) -> list[Path]:
    """External triples that this build reads: what was added to ``graph/``, then what the config names.

    Raises:
        SourceError: when a named path holds nothing.
    """
    added = context.root / FOLDER
    found = expand(FOLDER, context.root) if added.is_dir() and any(added.iterdir()) else []
    for path in context.config.graph.files:
        found += expand(path, context.root)
    return list(dict.fromkeys(found))


def other_names(catalogue: Path) -> dict[str, str]:
    """Names other than ids by which an external file may speak of products: their URLs."""
    urls, ids = StringTable.load(catalogue, c.URL), StringTable.load(catalogue, c.PRODUCT_ID)
    return {url: product for url, product in zip(urls, ids, strict=True) if url}


def files_named(context: Context) -> list[list[str]]:
    """Names and content of the files, for staleness."""
    if not context.config.graph.enabled:
        return []
    return [[path.name, file_digest(path)] for path in triple_files(context)]


def count_pairs(context: Context, folder: Path, tick: Tick) -> Any:
    """Count pairs of products once for both moments: now, and before the window that teaches relation weights.

    Without a graph, only what lies in baskets now is counted: for what goes together.
    """
    log = event_log(context)
    wanted = log if context.config.graph.enabled else None
    found = window_before(wanted, None, context.config.evaluate.test_days) if wanted is not None else None
    n = len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    cuts: list[int | None] = [None] if found is None else [None, found[0]]
    counted = pairs_before(log, cuts) if log is not None else [(no_pairs(n), no_pairs(n))]
    for i, kinds in enumerate(counted):
        for kind, pairs in zip(("bought", "viewed"), kinds, strict=True):
            save_arrays(folder, **{f"{kind}{i}_{name}": getattr(pairs, name) for name in _ARRAYS})
    return seal(folder, PAIRS, cuts=cuts, baskets=[[p.baskets for p in kinds] for kinds in counted])


def read_pairs(context: Context, i: int) -> tuple[Pairs, Pairs]:
    """Products bought, and looked at, together: `i` is 0 for now, 1 for before the window that teaches."""
    folder, manifest = context.done[PAIRS], context.manifest(PAIRS)
    bought, viewed = (
        Pairs(
            *(np.asarray(load_array(folder, f"{kind}{i}_{name}")) for name in _ARRAYS),
            manifest["baskets"][i][j],
        )
        for j, kind in enumerate(("bought", "viewed"))
    )
    return bought, viewed


def llm_asked(context: Context) -> list[Any]:
    """What makes reading stale beside its settings: the prompt, and answers that came since. So what failed is asked again."""
    config = context.config.graph
    if not (config.enabled and config.llm.base_url and config.llm.model):
        return []
    cache = cache_folder(context.root, config.llm)
    return [PROMPT_VERSION, len(list(cache.glob("*.json"))) if cache.is_dir() else 0]


def read_texts(context: Context, folder: Path, tick: Tick) -> Any:
    """What a language model reads out of the texts of the best-selling products; nothing where none is named."""
    config = context.config.graph.llm
    if not (context.config.graph.enabled and config.base_url and config.model):
        write_json(folder / FACTS, {"source": "", "products": [], "facts": []})
        return seal(folder, READ, source="")
    products = Catalogue(context.done["catalogue"])
    data, _ = Interactions.load(context.done["interactions"])
    order = np.lexsort((np.arange(len(products)), -data.item_counts()))[: config.max_products].tolist()
    text = products.columns
    texts = [
        ". ".join(t for t in (str(text[n][i]) for n in ("title", "category", "description")) if t)
        for i in order
    ]
    facts, report = Reader(config, cache_folder(context.root, config)).read(texts, tick)
    kept = sorted(
        (str(products.ids[i]), [list(fact) for fact in mine])
        for i, mine in zip(order, facts, strict=True)
        if mine
    )
    source = source_of(config)
    write_json(
        folder / FACTS, {"source": source, "products": [p for p, _ in kept], "facts": [f for _, f in kept]}
    )
    manifest = seal(folder, READ, source=source, facts=report.facts)
    # After the seal, as how it went is no part of what was read.
    write_json(folder / "report.json", report.to_json())
    return manifest


def pairs_now(context: Context) -> tuple[Pairs, Pairs | None]:
    """Products bought in one basket, and looked at on one day; None where nobody looks."""
    bought, viewed = read_pairs(context, 0)
    return bought, viewed if len(viewed.a) else None


def pairs_known(context: Context) -> tuple[Pairs, Pairs | None]:
    """As `pairs_now`, by what was known before the test days where that was counted."""
    last = len(context.manifest(PAIRS)["cuts"]) - 1
    bought, viewed = read_pairs(context, last)
    return bought, viewed if len(viewed.a) else None


def build_graph(context: Context, folder: Path, tick: Tick) -> Any:
    """The graph as arrays, and as the versioned table ``graph_triples``."""
    products = Catalogue(context.done["catalogue"])
    config = context.config.graph
    log = event_log(context)
    if not config.enabled:
        return Triples(list(products.ids)).save(folder, enabled=False)
    deeds = None
    if log is not None:
        data, users = Interactions.load(context.done["interactions"])
        deeds = Deeds(log, *read_pairs(context, 0), data, users)
    facts = read_json(context.done[READ] / FACTS)

    def read(triples: Triples) -> None:
        rows = [products.ids.find(str(product)) for product in facts["products"]]
        add_facts(triples, rows, facts["facts"], facts["source"])

    triples = build_triples(
        products, deeds, triple_files(context), read if facts["products"] else None, config.leave_out, tick
    )
    manifest = triples.save(folder)
    store_triples(triples, context.store, content_of(folder), "build", _lineage(context))
    return manifest


def _lineage(context: Context) -> Lineage:
    source = next(
        (t for t in (c.PRODUCTS_FUSED, c.clean_name(c.PRODUCTS)) if t in context.versions), c.PRODUCTS
    )
    stated = {
        Origin(source, context.versions[source], column, TRANSFORMATION, "graph")
        for column in (
            c.PRODUCT_ID,
            c.TITLE,
            c.DESCRIPTION,
            c.BRAND,
            c.CATEGORY,
            c.SIZE,
            c.PRICE,
            "attributes",
        )
    }
    drawn = set[Origin]()
    if c.EVENTS in context.versions:
        drawn = {
            Origin(c.EVENTS, context.versions[c.EVENTS], column, TRANSFORMATION, "graph")
            for column in (c.PRODUCT_ID, c.USER_ID, c.SESSION_ID, c.KIND, c.AT)
        }
    both = frozenset(stated | drawn)
    return Lineage({"head": both, "relation": both, "tail": both, "weight": both, "day": frozenset(drawn)})


def build_neighbours(context: Context, folder: Path, tick: Tick) -> Any:
    """Learn relation weights on the last days, then the neighbours by all that is known."""
    config = context.config
    products = Catalogue(context.done["catalogue"])
    log = event_log(context)
    if not config.graph.enabled:
        return nothing(len(products), config.graph.neighbours).save(folder)
    earlier = None
    if log is not None and len(cuts := context.manifest(PAIRS)["cuts"]) > 1:
        earlier = deeds_of(log, int(cuts[1]), read_pairs(context, 1))
    found = neighbours_before(
        Graph(context.done["graph"]), products, log, None, config.evaluate.test_days,
        k=config.graph.neighbours, seed=config.shop.seed, earlier=earlier, tick=tick,
    )  # fmt: skip
    return found.save(folder)


def graph_neighbours_before(context: Context, until: int) -> Neighbours:
    """Neighbours that the build would have made of what was known before `until` (Unix seconds): for tuning and testing.

    ``ids (n_products, k) int32`` padded with -1 and ``sims (n_products, k) float16`` in 0..1, best first; all -1 where the
    graph is off or did not help. Needs the steps ``catalogue`` and ``graph`` done.
    """
    config = context.config
    products = Catalogue(context.done["catalogue"])
    if not config.graph.enabled:
        return nothing(len(products), config.graph.neighbours)
    return neighbours_before(
        Graph(context.done["graph"]), products, event_log(context), until, config.evaluate.test_days,
        k=config.graph.neighbours, seed=config.shop.seed,
    )  # fmt: skip


def read_neighbours(folder: Path) -> tuple[Any, Any]:
    """(ids, sims) of the artefact ``graph_neighbours``, memory-mapped."""
    from wares.graph.neighbours import KIND

    open_artifact(folder, KIND)
    return load_array(folder, "ids"), load_array(folder, "sims")
