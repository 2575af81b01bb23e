"""What a build makes, in order, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wares.core import columns as c
from wares.core.arrays import load_array, save_arrays, seal
from wares.core.files import read_json, write_json
from wares.core.strings import StringTable
from wares.evaluate.files import scaled
from wares.evaluate.recommend import Catalog
from wares.features.catalogue import KIND as CATALOGUE
from wares.features.catalogue import Catalogue
from wares.features.catalogue_build import build_catalogue
from wares.features.encoder import KIND as ENCODER
from wares.features.image_build import KIND as IMAGES
from wares.features.image_build import build_images, image_files
from wares.features.interactions import KIND as INTERACTIONS
from wares.features.interactions import Interactions
from wares.features.interactions_build import DAY, EventLog, build_interactions
from wares.features.reviews_build import KIND as REVIEWS
from wares.features.reviews_build import build_reviews
from wares.features.text_neighbours_build import KIND as NEIGHBOURS
from wares.features.text_neighbours_build import build_text_neighbours
from wares.features.vectors_build import KIND as VECTORS
from wares.features.vectors_build import build_vectors
from wares.graph.infer import KIND as GRAPH
from wares.graph.neighbours import KIND as GRAPH_NEIGHBOURS
from wares.models.price.elasticity import KIND as ELASTICITY
from wares.models.price.emerging_infer import EMERGING
from wares.models.price.infer import KIND as PRICE_BOOK
from wares.models.recommend import together_train as together
from wares.models.recommend import train as recommend
from wares.models.recommend.alike import AlikeSide
from wares.models.recommend.facts import Products
from wares.models.recommend.infer import KIND as RECOMMENDER
from wares.models.recommend.rebuy_infer import KIND as REBUY
from wares.models.recommend.rebuy_train import build_rebuy
from wares.models.recommend.segments_infer import KIND as SEGMENTS
from wares.models.recommend.segments_train import build_segments
from wares.models.recommend.together_infer import KIND as TOGETHER
from wares.models.recommend.trending_infer import KIND as TRENDING
from wares.models.recommend.trending_train import build_trending
from wares.models.recommend.tune import Window, tune
from wares.models.search import train as search
from wares.models.search.infer import KIND as SEARCH
from wares.models.search.suggest import KIND as SUGGEST
from wares.models.search.tuned import KIND as SEARCH_TUNED
from wares.models.sentiment.moods import KIND as MOODS
from wares.models.sentiment.reader import KIND as READER
from wares.models.sentiment.readings import KIND as READINGS
from wares.models.sentiment.uses import KIND as MOOD_USES_KIND
from wares.models.similar.infer import KIND as SIMILAR
from wares.pipeline import graphing, likening, moods, pricing, reading
from wares.pipeline.adapted import live_encoder
from wares.pipeline.elasticity import ELASTICITY_MODULES, ELASTICITY_STEP, build_elasticity
from wares.pipeline.emerging import EMERGING_MODULES, EMERGING_STEP, build_emerging
from wares.pipeline.graphing import event_log
from wares.pipeline.mood_side import MOOD_SIDE_MODULES, mood_side
from wares.pipeline.mood_uses import MOOD_USES, MOOD_USES_MODULES, build_mood_uses
from wares.pipeline.mood_uses import TABLES as MOOD_TABLES
from wares.pipeline.plan import Context, Step, Tick
from wares.pipeline.search_reading import reader_step
from wares.pipeline.searching import SEARCH_TUNED_MODULES, build_tuned
from wares.pipeline.suggesting import SUGGEST_MODULES, SUGGEST_STEP, build_suggest

TUNED = "tuned"
TEXT_NEIGHBOURS = 50
EARLIER = 2
"""Windows before validation with examples for the learned ranker."""


def catalog_of(context: Context) -> Catalog:
    """Text neighbours and categories for fitting and evaluating."""
    folder = context.done["text_neighbours"]
    text_of, category_of = (
        np.asarray(load_array(context.done["catalogue"], name)) for name in ("text_of", "category_of")
    )
    side = recommend.TextSide(
        np.asarray(load_array(folder, "ids")), scaled(load_array(folder, "sims")), text_of
    )
    return Catalog(side, category_of, products_of(context))


def products_of(context: Context) -> Products:
    """Categories, brands and prices over time."""
    names = ("category_of", "brand_of", "prices", "price_ptr", "price_at", "price_value")
    return Products(**{name: np.asarray(load_array(context.done["catalogue"], name)) for name in names})


def split_times(log: EventLog, test_days: float) -> tuple[int, int, int] | None:
    """(start of validation, start of test, end): the last days, and as many before them; None when there is too little."""
    first, last = log.span()
    window = int(test_days * DAY)
    if last - first < 3 * window:
        window = (last - first) // 4
    return None if window <= 0 else (last + 1 - 2 * window, last + 1 - window, last + 1)


def tuned_params(context: Context) -> recommend.Params:
    """What the step ``tune`` chose."""
    return recommend.Params(**read_json(context.done["tune"] / "params.json"))


def _catalogue(context: Context, folder: Path, tick: Tick) -> Any:
    return build_catalogue(
        context.store,
        context.versions,
        context.config.encoder.text,
        folder,
        context.config.build.memory_gb / 2,
        context.config.columns,
    )


def _encoder(context: Context, folder: Path, tick: Tick) -> Any:
    from wares.features.encoder_train import export_encoder

    config, adapted = context.config.encoder, live_encoder(context.root, context.config.encoder)
    if adapted is None:
        return export_encoder(config, folder)
    # Named by its content, so that the same encoder in another workspace gives the same artefact.
    named = f"{config.model} adapted {adapted.name}"
    return export_encoder(config.model_copy(update={"model": str(adapted)}), folder, named)


def _adapted(context: Context) -> str:
    adapted = live_encoder(context.root, context.config.encoder)
    return "" if adapted is None else adapted.name


def _vectors(context: Context, folder: Path, tick: Tick) -> Any:
    cache = context.root / "cache" / "vectors"
    return build_vectors(
        context.done["catalogue"], context.done["encoder"], cache, folder, context.config.build.threads, tick
    )


def _text_neighbours(context: Context, folder: Path, tick: Tick) -> Any:
    return build_text_neighbours(context.done["vectors"], TEXT_NEIGHBOURS, folder, tick)


def _interactions(context: Context, folder: Path, tick: Tick) -> Any:
    log = event_log(context)
    if log is not None and log.span()[1]:
        return build_interactions(log, folder)
    n = len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID))
    decays = tuple(context.config.recommend.half_lives_days)
    none, some = np.zeros(0, np.int32), np.zeros(0, np.float32)
    empty = Interactions(
        n,
        np.zeros(1, np.int64),
        none,
        some,
        none,
        np.zeros(0, np.int64),
        np.zeros((0, len(decays)), np.float32),
        decays,
        0,
    )
    save_arrays(folder, popular=np.zeros(n, np.float32))
    return empty.save(
        folder,
        StringTable.of([]),
        last="",
        kinds=context.config.recommend.kinds,
        session_decay=context.config.recommend.session_decay,
    )


def _tune(context: Context, folder: Path, tick: Tick) -> Any:
    config = context.config
    params = recommend.Params(
        tail=max(config.recommend.tail, 0.0),
        diversity=config.recommend.diversity,
        new_share=config.recommend.new_share,
    )
    log = event_log(context)
    times = split_times(log, config.evaluate.test_days) if log is not None else None
    if log is not None and times is not None:
        start, end, _ = times
        data, users = log.interactions(start)
        truth, _ = log.window(start, end, users)
        catalog = catalog_of(context)
        popular = log.popularity(start, config.recommend.popular_days)
        stages = iter(range(1, 100))
        windows = _earlier(context, log, start, end - start, config.recommend.popular_days)
        # Of nothing that comes in the windows with examples, the first of which begins here.
        known = start - EARLIER * (end - start)
        params = tune(
            data, truth[: data.n_users], popular, catalog.text, catalog.category_of, config.recommend,
            memory_gb=config.build.memory_gb, seed=config.shop.seed, products=catalog.products,
            graph=_graph_before(context, known), alike=_alike_before(context, known) if windows else None, earlier=windows, folder=folder,
            mood=mood_side(context, users, start, log) if windows else None,
            threads=config.build.threads, progress=lambda _: tick(min(next(stages), 11), 12),
        )  # fmt: skip
    write_json(folder / "params.json", params.to_json())
    return seal(folder, TUNED, validation=params.validation)


def _earlier(context: Context, log: EventLog, start: int, length: int, popular_days: float) -> list[Window]:
    """The windows before validation that the learned ranker gets its examples from, each with a past to learn from."""
    first, _ = log.span()
    windows: list[Window] = []
    for number in range(1, EARLIER + 1):
        cut = start - number * length
        if cut - first < 2 * length:
            break
        data, users = log.interactions(cut)
        truth, _ = log.window(cut, cut + length, users)
        windows.append(
            Window(
                data,
                truth[: data.n_users],
                log.popularity(cut, popular_days),
                mood_side(context, users, cut, log),
            )
        )
    return windows


def _graph_before(context: Context, until: int) -> recommend.GraphSide | None:
    """Neighbours in the graph by what was known before a moment; None where the graph says nothing."""
    if not context.manifest("graph_neighbours")["helps"]:
        return None
    found = graphing.graph_neighbours_before(context, until)
    return recommend.GraphSide(found.ids, found.sims) if (found.ids >= 0).any() else None


def graph_of(
    context: Context, params: recommend.Params, until: int | None = None
) -> recommend.GraphSide | None:
    """Neighbours in the graph where tuning kept them: as they are, or by what was known before `until`."""
    if not params.learned.get("graph", {}).get("kept"):
        return None
    if until is not None:
        return _graph_before(context, until)
    ids, sims = graphing.read_neighbours(context.done["graph_neighbours"])
    return recommend.GraphSide(np.asarray(ids), np.asarray(sims))


def _alike_before(context: Context, until: int) -> AlikeSide | None:
    """Lists of likeness by what was known before a moment; None where there are none."""
    return _alike_side(likening.lists_before(context, until))


def _alike_side(lists: likening.Lists) -> AlikeSide | None:
    return AlikeSide(*lists) if (lists[1] >= 0).any() else None


def alike_of(context: Context, params: recommend.Params, until: int | None = None) -> AlikeSide | None:
    """Lists of likeness where tuning kept them: as they are, or by what was known before `until`."""
    if not params.learned.get("alike", {}).get("kept"):
        return None
    if until is not None:
        return _alike_before(context, until)
    return _alike_side(likening.read_lists(context.done["similar"]))


def _recommend(context: Context, folder: Path, tick: Tick) -> Any:
    data, users = Interactions.load(context.done["interactions"])
    popular = np.asarray(load_array(context.done["interactions"], "popular"))
    catalog = catalog_of(context)
    config = context.config
    params = tuned_params(context)
    return recommend.fit(
        data, popular, catalog.text, catalog.category_of, params, config.recommend, folder,
        memory_gb=config.build.memory_gb, seed=config.shop.seed, products=catalog.products, trees=context.done["tune"],
        graph=graph_of(context, params), alike=alike_of(context, params), mood=mood_side(context, list(users)),
    )  # fmt: skip


def _images(context: Context, folder: Path, tick: Tick) -> Any:
    done, config = context.done, context.config
    return build_images(
        done["catalogue"], context.root, config.image, done["vectors"], context.root / "cache" / "images", folder,
        config.build.threads, tick,
    )  # fmt: skip


def _image_files(context: Context) -> list[Any]:
    """Names, sizes and times of the image files, so that a new picture is seen."""
    config = context.config.image
    base = context.root / config.folder if config.folder else context.root
    files, _ = image_files(Catalogue(context.done["catalogue"]), base, config)
    stats = [(str(path), path.stat()) for path in files.values() if path.is_file()]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in sorted(stats, key=lambda x: x[0])]


def _reviews(context: Context, folder: Path, tick: Tick) -> Any:
    done, config = context.done, context.config
    return build_reviews(
        context.files(c.REVIEWS), done["catalogue"], done["encoder"], context.root / "cache" / "reviews",
        folder, config.build.memory_gb / 2, config.build.threads, tick,
    )  # fmt: skip


def _search(context: Context, folder: Path, tick: Tick) -> Any:
    data, _ = Interactions.load(context.done["interactions"])
    products = Catalogue(context.done["catalogue"])
    return search.fit(
        products, context.done["vectors"], data.item_counts(), context.config.search, folder, tick
    )


def _together(context: Context, folder: Path, tick: Tick) -> Any:
    products, log = Catalogue(context.done["catalogue"]), event_log(context)
    data, users = Interactions.load(context.done["interactions"])
    shop = together.Shop(
        list(products.columns[c.CATEGORY]), np.asarray(products.prices), data, together.baskets_of(log, users)
    )
    bought, viewed = graphing.pairs_now(context)
    return together.fit(bought, viewed, shop, folder)


def _rebuy(context: Context, folder: Path, tick: Tick) -> Any:
    _, users = Interactions.load(context.done["interactions"])
    category_of = np.asarray(load_array(context.done["catalogue"], "category_of"))
    return build_rebuy(event_log(context), users, category_of, context.config.shop.seed, folder)


def _segments(context: Context, folder: Path, tick: Tick) -> Any:
    data, users = Interactions.load(context.done["interactions"])
    categories = list(StringTable.load(context.done["catalogue"], c.CATEGORY))
    return build_segments(event_log(context), data, users, categories, folder)


def _trending(context: Context, folder: Path, tick: Tick) -> Any:
    return build_trending(
        event_log(context), len(StringTable.load(context.done["catalogue"], c.PRODUCT_ID)), folder
    )


_F, _R = "wares.features.", "wares.models.recommend."
_RANKER = tuple(
    f"{_R}{name}"
    for name in ("alike", "facts", "near_train", "moments", "mood", "learned", "history", "lists")
)

STEPS = [
    Step("catalogue", CATALOGUE, _catalogue, (c.PRODUCTS, c.clean_name(c.PRODUCTS), c.PRICES, c.PRODUCT_CLUSTERS, c.PRODUCTS_FUSED), (), ("encoder.text", "columns"), (f"{_F}catalogue_build", f"{_F}columns", f"{_F}catalogue", "wares.core.text")),
    Step("encoder", ENCODER, _encoder, (), (), ("encoder.model", "encoder.max_tokens", "encoder.int8", "encoder.min_cosine", "encoder.prefix_query", "encoder.prefix_passage", "encoder.dim"), (f"{_F}encoder_train",), _adapted),
    Step("vectors", VECTORS, _vectors, (), ("catalogue", "encoder"), (), (f"{_F}vectors_build", f"{_F}encoder")),
    Step("text_neighbours", NEIGHBOURS, _text_neighbours, (), ("vectors",), (), (f"{_F}text_neighbours_build",)),
    Step("interactions", INTERACTIONS, _interactions, (c.EVENTS,), ("catalogue",), ("recommend.kinds", "recommend.half_lives_days", "recommend.popular_days", "recommend.session_decay"), (f"{_F}interactions_build", f"{_F}interactions")),
    Step("graph_pairs", graphing.PAIRS, graphing.count_pairs, (c.EVENTS,), ("catalogue",), ("graph.enabled", "recommend.kinds", "evaluate.test_days"), graphing.PAIRS_MODULES),
    Step("graph_read", graphing.READ, graphing.read_texts, (), ("catalogue", "interactions"), ("graph.enabled", "graph.llm"), graphing.READ_MODULES, graphing.llm_asked),
    Step("graph", GRAPH, graphing.build_graph, (c.EVENTS,), ("catalogue", "interactions", "graph_pairs", "graph_read"), ("graph", "recommend.kinds"), graphing.GRAPH_MODULES, graphing.files_named),
    Step("graph_neighbours", GRAPH_NEIGHBOURS, graphing.build_neighbours, (c.EVENTS,), ("catalogue", "graph_pairs", "graph"), ("graph", "evaluate.test_days", "recommend.kinds", "recommend.half_lives_days"), graphing.NEIGHBOURS_MODULES),
    Step("images", IMAGES, _images, (), ("catalogue", "vectors"), ("image",), (f"{_F}image", f"{_F}image_build", f"{_F}image_train"), _image_files),
    Step("review_vectors", REVIEWS, _reviews, (c.REVIEWS, c.clean_name(c.REVIEWS)), ("catalogue", "encoder"), (), (f"{_F}reviews_build", f"{_F}vectors_build")),
    Step(reading.SENTIMENT, READER, reading.build_sentiment, reading.TABLES, (), reading.SETTINGS, reading.MODULES, reading.content_named),
    Step(reading.READINGS, READINGS, reading.build_readings, reading.TABLES, ("catalogue", reading.SENTIMENT), (), reading.MODULES),
    Step(moods.MOODS, MOODS, moods.build_moods, (), moods.INPUTS, moods.SETTINGS, moods.MODULES),
    Step("similar", SIMILAR, likening.build_similar, (c.EVENTS,), ("catalogue", "vectors", "text_neighbours", "interactions", "graph_pairs", "graph", "graph_neighbours", "images", "review_vectors"), ("recommend.min_support", "recommend.kinds"), likening.MODULES),
    Step("tune", TUNED, _tune, (c.EVENTS,), ("catalogue", "vectors", "text_neighbours", "graph", "graph_neighbours", "images", "review_vectors", reading.READINGS), ("recommend", "evaluate.test_days", "build.memory_gb"), (*likening.MODULES, f"{_R}tune", f"{_R}table", f"{_R}newcomers_train", f"{_R}train", f"{_R}closed_form", f"{_R}infer", f"{_R}learn", f"{_R}forest_train", f"{_F}trees_build", f"{_F}trees", *MOOD_SIDE_MODULES, *_RANKER)),
    Step("recommend", RECOMMENDER, _recommend, (c.EVENTS,), ("catalogue", "text_neighbours", "interactions", "graph_neighbours", "similar", "tune", reading.READINGS), ("recommend", "build.memory_gb"), (f"{_R}train", f"{_R}closed_form", *MOOD_SIDE_MODULES, *_RANKER)),
    Step("search", SEARCH, _search, (), ("catalogue", "vectors", "interactions"), ("search",), ("wares.models.search.train", "wares.models.search.analysis", "wares.models.search.schema", "wares.models.search.forward", "wares.models.search.variants", "wares.models.search.infer")),
    reader_step(),
    Step("search_tuned", SEARCH_TUNED, build_tuned, (c.QUERIES, c.clean_name(c.QUERIES)), ("catalogue", "encoder", "similar", "search", reading.READINGS), (), SEARCH_TUNED_MODULES),
    Step(SUGGEST_STEP, SUGGEST, build_suggest, (c.QUERIES, c.clean_name(c.QUERIES)), ("catalogue", "interactions"), ("suggest",), SUGGEST_MODULES),
    Step("together", TOGETHER, _together, (c.EVENTS,), ("catalogue", "interactions", "graph_pairs"), ("recommend.kinds",), (f"{_R}together_train", f"{_R}together_infer", "wares.graph.behaviour")),
    Step("rebuy", REBUY, _rebuy, (c.EVENTS,), ("catalogue", "interactions"), ("recommend.kinds",), (f"{_R}rebuy_train", f"{_R}rebuy_infer")),
    Step("segments", SEGMENTS, _segments, (c.EVENTS,), ("catalogue", "interactions"), ("recommend.kinds", "recommend.popular_days"), (f"{_R}segments_train",)),
    Step("trending", TRENDING, _trending, (c.EVENTS,), ("catalogue",), ("recommend.kinds",), (f"{_R}trending_train",)),
    Step(pricing.PRICE, PRICE_BOOK, pricing.build_prices, (c.PRICES, c.EVENTS), ("catalogue", "text_neighbours"), ("shop.currency",), pricing.PRICE_MODULES, pricing.rates_named),
    Step(EMERGING_STEP, EMERGING, build_emerging, (c.EVENTS,), ("catalogue",), ("recommend.kinds",), EMERGING_MODULES),
    Step(ELASTICITY_STEP, ELASTICITY, build_elasticity, (c.EVENTS, c.PRICES), ("catalogue",), ("shop.currency",), ELASTICITY_MODULES),
    Step(MOOD_USES, MOOD_USES_KIND, build_mood_uses, MOOD_TABLES, ("catalogue", "encoder", "search", reading.READINGS), ("recommend.kinds",), MOOD_USES_MODULES),
]  # fmt: skip
