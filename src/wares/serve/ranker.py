"""The ranker: every answer of a bundle, with reasons. What ``wares.load`` returns; needs only the base install."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core import bundles
from wares.core.arrays import load_array, open_artifact
from wares.core.errors import NotFound, QueryError
from wares.core.nouns import Hit, Product, Reason, SearchPage
from wares.core.people import People as Registered
from wares.core.sessions import link
from wares.core.state import State
from wares.core.text import fill, plain, template_parts
from wares.features.catalogue import Catalogue, below
from wares.features.encoder import TextEncoder
from wares.features.interactions import KIND as INTERACTIONS
from wares.features.interactions import Interactions
from wares.graph.infer import Graph as KnowledgeGraph
from wares.models.price.elasticity import Elasticities
from wares.models.price.emerging_infer import Emerging
from wares.models.price.infer import PriceBook
from wares.models.recommend.infer import SIGNALS, History, Recommender
from wares.models.search.analysis import as_typed, stem, surface_words
from wares.models.search.highlight import highlighted_words, highlights
from wares.models.search.infer import Filters, Found
from wares.models.search.pages import FURTHEST, check_page, make_cursor, read_cursor
from wares.models.search.suggest import SCOPE, Suggestion
from wares.models.sentiment.moods import Moods
from wares.models.sentiment.opinions import AspectReader
from wares.models.sentiment.reader import Reader
from wares.models.sentiment.uses import MoodUses
from wares.models.similar.infer import Similar
from wares.models.similar.match_infer import Matcher
from wares.serve.alike import Alike
from wares.serve.fresh import Rules, likest, places_for, put_in
from wares.serve.graph_reasons import graph_reason, telling
from wares.serve.mood_words import with_mood
from wares.serve.online import Deed, NewProduct, Online, matching
from wares.serve.people import People
from wares.serve.reasons import reason, same
from wares.serve.searching import hooks_of, open_searcher
from wares.serve.services import Services
from wares.serve.situation import Situation, check_k
from wares.serve.steering import Prior, Steering
from wares.serve.suggesting import Suggesting, check_text

_SEAMS = str.maketrans(dict.fromkeys("-/,:;.()[]&+>|\"'", " "))
EXPLAINED = 4
"""Things that a shopper had from which the graph looks for a way."""
PAGE = 400
REMEMBERED = 256
PRIOR_DEEDS = 2.0
UNSAID = Reason("", "")
Vector = NDArray[np.float32]


def load_ranker(
    bundle: str | os.PathLike[str], state: State | None = None, *, verify: bool = False
) -> Ranker:
    """Open a bundle folder, or the live bundle of a workspace folder.

    Raises:
        NotFitted: when the workspace has nothing published.
        IncompatibleArtifact: when the bundle is damaged or from another version.
    """
    folder = Path(bundle)
    if (folder / "wares.toml").is_file():
        folder = bundles.live_bundle(folder)
    return Ranker(folder, state, verify=verify)


class Ranker:
    """All answers of one bundle. Thread-safe; holds no locks while computing."""

    def __init__(self, folder: Path, state: State | None = None, *, verify: bool = False) -> None:
        self.manifest = bundles.open_bundle(folder, verify=verify)
        self.folder = folder
        self.name = str(self.manifest["name"])
        self.catalogue = Catalogue(folder / "catalogue")
        self.encoder = TextEncoder(folder / "encoder", threads=1)
        self._encoding = threading.Lock()
        self._query_vector = lru_cache(4096)(self._encode_query)
        self._text_of = lru_cache(20_000)(self._lower)
        self._row = lru_cache(50_000)(self.catalogue.row)
        self.recommender = Recommender(folder / "recommend")
        self.likeness = Similar(folder / "similar")
        self.searcher = open_searcher(
            folder,
            self.catalogue,
            self._query_vector,
            self.likeness,
            hooks_of(folder, self.catalogue, state),
        )
        self.suggesting = Suggesting(folder)
        self.interactions, self.users = Interactions.load(folder / "interactions")
        # A bundle of an earlier version has none.
        there = (folder / "graph").is_dir()
        self.graph = KnowledgeGraph(folder / "graph") if there else None
        # Only where the configuration named a trained matcher when the bundle was published.
        trained = folder / bundles.MATCHER
        self.matcher = Matcher(trained, threads=1) if trained.is_dir() else None
        self.emerging = Emerging(folder / "emerging") if (folder / "emerging").is_dir() else None
        self.moods = Moods(folder / "moods") if (folder / "moods").is_dir() else None
        self.reader = Reader(folder / "sentiment", threads=1) if (folder / "sentiment").is_dir() else None
        # Without one of the shop's own, by the built-in catalogue of aspects.
        self.aspects = AspectReader() if self.reader is None else self.reader.aspects()
        self.elasticities = Elasticities(folder / "elasticity") if (folder / "elasticity").is_dir() else None
        self.mood_uses = MoodUses(folder / "mood_uses") if (folder / "mood_uses").is_dir() else None
        self.prices = PriceBook(folder / "price") if (folder / "price").is_dir() else None
        self._template = template_parts(str(self.catalogue.manifest["template"]))
        facts = open_artifact(folder / "interactions", INTERACTIONS)
        # How many shoppers took up each product in the last days before the build ``(n_items,)``.
        self.popular = load_array(folder / "interactions", "popular")
        self.people = People(
            self.interactions, self.users, self.recommender.params, facts["kinds"], self._row_for,
            float(facts.get("session_decay", 1.0)),
        )  # fmt: skip
        self._allowed = np.asarray(self.catalogue.available).astype(bool)
        self._visible: tuple[int, NDArray[np.bool_]] = (0, self._allowed)
        self.registered = Registered.of_bundle(folder, state)
        self.online = (
            Online(
                state, self._encode_product, self.catalogue.row, self.manifest["absorbed"], self.registered
            )
            if state is not None
            else None
        )
        self._categories: dict[str, NDArray[np.bool_]] = {}
        self.services = Services(self, folder)
        self.alike = Alike(self, folder)
        self.warm_up()

    def warm_up(self) -> None:
        """Touch everything once, so that the first shopper does not wait."""
        self.search("a", k=1)
        self.recommend(None, k=1)
        if len(self.catalogue):
            self.similar(str(self.catalogue.ids[0]), k=1)
        self.suggest("a", k=1)
        if self.online is not None:
            self.online.refresh()

    # -- products and people ---------------------------------------------------------------------------------

    def _encode_query(self, text: str) -> Vector:
        with self._encoding:
            return self.encoder.encode([text], "query")[0]

    def _encode_product(self, product: Product) -> Vector:
        values = {
            name: str(getattr(product, name))
            for name in ("title", "brand", "category", "size", "description")
        }
        with self._encoding:
            return self.encoder.encode(
                [fill(self._template, {k: plain(v) for k, v in values.items()})], "passage"
            )[0]

    def refresh(self) -> None:
        """Take in what the state database has that this worker has not seen."""
        if self.online is not None:
            self.online.refresh()

    def admit(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Events as the state may store them: see `wares.core.people.People.admit`."""
        return rows if self.registered is None else self.registered.admit(rows)

    def encode_product(self, product: Product) -> Vector:
        """The vector of a product's text as the encoder gives it ``(dim,)``."""
        return self._encode_product(product)

    def encode_words(self, words: str) -> Vector:
        """The vector of some words as a passage, as products are encoded ``(dim,)``."""
        with self._encoding:
            return self.encoder.encode([words], "passage")[0]

    def new_products(self) -> dict[str, NewProduct]:
        """Products that came after the build, by id; not to be written to."""
        return self._new()

    def _new(self) -> dict[str, NewProduct]:
        return self.online.products if self.online is not None else {}

    def _hidden(self) -> NDArray[np.int32]:
        return self.online.hidden if self.online is not None else np.zeros(0, np.int32)

    def _mask(self) -> NDArray[np.bool_]:
        version = self.online.version if self.online is not None else 0
        if self._visible[0] != version:
            mask = self._allowed.copy()
            mask[self._hidden()] = False
            self._visible = (version, mask)
        return self._visible[1]

    def knows(self, product_id: str) -> bool:
        """Whether there is such a product."""
        return product_id in self._new() or self.catalogue.row(product_id) >= 0

    def product(self, product_id: str) -> Product:
        """A product, in its newest form.

        Raises:
            NotFound: when there is none.
        """
        new = self._new().get(product_id)
        if new is not None:
            return new.product
        row = self.catalogue.row(product_id)
        if row < 0:
            raise NotFound(
                f"there is no product {product_id[:80]!r}",
                mend="Check the id, or add it with PUT /v1/products/{id}",
                id=product_id[:80],
            )
        return self.catalogue.product(row)

    def price_history(self, product_id: str) -> list[tuple[datetime, Decimal]]:
        """(moment, price from then on) of a product, oldest first; empty when unknown."""
        row = self.catalogue.row(product_id)
        return (
            []
            if row < 0
            else [(datetime.fromtimestamp(at, UTC), price) for at, price in self.catalogue.price_history(row)]
        )

    def history(
        self, user: str | None, session: str = "", picks: Sequence[str] = (), basket: Sequence[str] = ()
    ) -> History:
        """What a shopper and a visit did, up to this moment; empty for strangers and for those who were erased.

        `picks` and `basket` are products that ask as well, though nothing was done with them.
        """
        user = user or ""
        if self.registered is not None:
            user, session = (
                "" if self.registered.is_erased(v) else self.registered.known_as(v) for v in (user, session)
            )
        deeds, visits = list[Deed](), list[str]()
        if self.online is not None:
            user, deeds, visits = self.online.history(user, session)
        elif session:
            visits = [session]
        now = max(int(time.time()), self.interactions.as_of)
        more = [
            Deed(product, "", now, weight=weight)
            for products, weight in ((picks, 1.0), (basket, self.people.kinds.get("cart", 1.0)))
            for product in products
        ]
        # Every pick says as much as any other, so these do not fade one after the other.
        return self.people.history(user, deeds, visits, more)

    def log_in(self, session: str, user: str) -> tuple[int, bool]:
        """Give a visit's deeds to a shopper, on disk when it returns: how many, and whether this was news.

        Of a shopper or visit that was erased, nothing is written.
        """
        online, people = self.online, self.registered
        if online is None or (people is not None and (people.is_erased(user) or people.is_erased(session))):
            return 0, False
        if people is not None:
            user, session = people.known_as(user), people.known_as(session)
        self.refresh()
        news = online.links.now(session) != user and bool(link(online.state, [(session, user)]))
        if news:
            self.refresh()
        return sum(online.links.owner(session, d.seq) == user for d in online.visits.get(session, ())), news

    def log_in_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Link the visits of events that name their shopper, too; `rows` as `admit` gave them."""
        if self.online is None:
            return
        links = self.online.links
        pairs = {(str(r["session_id"]), str(r["user_id"])) for r in rows if r["session_id"] and r["user_id"]}
        fresh = sorted((s, u) for s, u in pairs if links.now(s) != u and not links.shared(s))
        link(self.online.state, fresh)

    def unheard(self, here: Situation) -> dict[str, Any]:
        """What a request named that nobody knows, for the answer; empty when all is known."""
        unknown = [name for name in (*here.likes, *here.basket) if not self.knows(name)]
        out: dict[str, Any] = {"unknown_products": unknown} if unknown else {}
        if here.segment and self.services.segments.find(here.segment) < 0:
            out["unknown_segment"] = here.segment
        return out

    def visited(self, session: str) -> bool:
        """Whether anything is known of a visit."""
        if self.registered is not None:
            session = self.registered.known_as(session)
        here = self.online is not None and session in self.online.visits
        return here or self.users.find(f"~{session}") >= 0

    def known(self, user: str, session: str = "") -> tuple[int, list[Deed]]:
        """The row of a shopper before the build (-1: none) and what they did since, oldest first."""
        if self.registered is not None:
            user, session = (
                "" if self.registered.is_erased(v) else self.registered.known_as(v) for v in (user, session)
            )
        if self.online is None:
            return (self.users.find(user) if user else -1), []
        user, deeds, _ = self.online.history(user, session)
        return (self.users.find(user) if user else -1), deeds

    def visible(self) -> NDArray[np.bool_]:
        """Products that may be shown ``(n_items,)``; not to be written to."""
        return self._mask()

    def _row_for(self, product_id: str) -> int:
        """The row that speaks for a product: its own, or for a new one the nearest by text."""
        row = self._row(product_id)
        if row >= 0:
            return row
        new = self._new().get(product_id)
        if new is None or not len(self.searcher.vectors):
            return row
        found = self.searcher.near.search(new.vector, 1)
        text = int(np.asarray(found.keys)[0])
        return int(self.searcher.members[int(self.searcher.members_ptr[text])])

    # -- recommend -------------------------------------------------------------------------------------------

    def recommend(
        self,
        user: str | None = None,
        k: int = 20,
        *,
        tail: float | None = None,
        repeats: bool | None = None,
        language: str = "en",
        steering: Steering | None = None,
        situation: Situation | None = None,
        reasons: bool = True,
    ) -> list[Hit]:
        """The best `k` products for a shopper; for strangers a varied list of what sells.

        `tail` from 0 (most accurate) to 1 (discovery); `repeats` whether what the shopper has may come again;
        `steering` the shop's rules for this list; `situation` what is known beside the shopper. A visit that is named
        together with a shopper becomes the shopper's. Without `reasons` the list is made in half the time.

        Raises:
            QueryError: when `k` or `tail` is out of range.
        """
        check_k(k)
        if tail is not None and not 0 <= tail <= 1:
            raise QueryError(
                "tail must be between 0 and 1", mend="0 is most accurate, 1 is discovery", parameter="tail"
            )
        self.refresh()
        here = situation or Situation()
        if user and here.session and self.visited(here.session):
            self.log_in(here.session, user)
        history = self.history(user, here.session, here.likes, here.basket)
        allowed = self._allowed_here(here)
        prior = self._prior(here, history, allowed)
        if steering is None and prior is None:
            ranked = self.recommender.rank(history, k, tail=tail, repeats=repeats, allowed=allowed)
        else:
            rules = steering or Steering(diversity=float(self.recommender.params["diversity"]))
            ranked = rules.rank(
                self.recommender,
                self.catalogue,
                history,
                k,
                tail=tail,
                repeats=repeats,
                allowed=allowed,
                prior=prior,
            )
        known = {item: i for i, item in enumerate(history.items.tolist())}
        evidence = (
            self.recommender.evidence(ranked.items[~np.isin(ranked.items, history.items)], history)
            if known and reasons
            else {}
        )
        lists = self.recommender.alike
        alike = lists.evidence(ranked.items, history) if lists is not None and known and reasons else {}
        leading = (
            np.where(ranked.parts.any(1), ranked.parts.argmax(1), 2).tolist() if len(ranked.items) else []
        )
        hits = [
            Hit(
                self.catalogue.product(row),
                score,
                self._felt(
                    self._why(row, SIGNALS[lead], history, known, evidence, alike, language),
                    row,
                    history,
                    language,
                )
                if reasons
                else UNSAID,
                dict(zip(SIGNALS, parts, strict=True)),
            )
            for row, score, parts, lead in zip(
                ranked.items.tolist(), ranked.scores.tolist(), ranked.parts.tolist(), leading, strict=True
            )
        ]
        return self._with_fresh(hits, history, k, language, steering or Steering(), here)

    def within(self, category: str) -> NDArray[np.bool_]:
        """The visible products of a category and what lies below it, or all of them; not to be written to."""
        if not category:
            return self._mask()
        known = self._categories.get(category)
        if known is None:
            known = np.fromiter(
                (below(str(name), category) for name in self.catalogue.columns["category"]),
                bool,
                len(self.catalogue),
            )
            if len(self._categories) < REMEMBERED:
                self._categories = {**self._categories, category: known}
        return self._mask() & known

    def _allowed_here(self, here: Situation) -> NDArray[np.bool_]:
        """What may come: neither picks nor what lies in the basket, and only the category that is looked at."""
        mask = self.within(here.category)
        rows = [row for row in map(self.catalogue.row, (*here.likes, *here.basket)) if row >= 0]
        if rows:
            mask = mask.copy()
            mask[rows] = False
        return mask

    def _prior(self, here: Situation, history: History, allowed: NDArray[np.bool_]) -> Prior | None:
        """What a segment or a page says of products, the more the less is known of the shopper."""
        segment = self.services.segments.find(here.segment) if here.segment else -1
        if segment < 0 and not here.category:
            return None
        popular = self.popular
        inside = np.flatnonzero(allowed) if here.category else np.zeros(0, np.int64)
        inside = inside[np.lexsort((inside, -popular[inside]))][:PAGE]
        ids, values = (
            inside.astype(np.int32),
            popular[inside] / max(float(popular[inside].max(initial=0)), 1e-9),
        )
        if segment >= 0:
            mine, shares = self.services.segments.popular(segment)
            mine, shares = mine[allowed[mine]], shares[allowed[mine]]
            rest = ~np.isin(ids, mine)
            least = float(shares.min()) if len(shares) else 1.0
            ids = np.concatenate([mine, ids[rest]])
            values = np.concatenate([shares, values[rest] * least])
        return Prior(ids, values.astype(np.float32), PRIOR_DEEDS / (PRIOR_DEEDS + len(history.items)))

    def _with_fresh(
        self, hits: list[Hit], history: History, k: int, language: str, steering: Steering, here: Situation
    ) -> list[Hit]:
        """Give new products that are like what the shopper had the places kept for them."""
        rules = Rules(
            frozenset((*steering.exclude, *here.likes, *here.basket)),
            steering.per_brand,
            here.category,
            min(len(steering.pin), len(hits)),
        )
        found = likest(self._new().values(), history, self.catalogue.text_of, self.searcher.vectors, rules)
        titled = [(new, value, self.catalogue.product(row).title) for new, value, row in found]
        return put_in(hits, titled, k, places_for(self.recommender.new_places(k), k), rules, language)

    def _why(
        self,
        row: int,
        lead: str,
        history: History,
        known: dict[int, int],
        evidence: dict[int, tuple[int, int]],
        alike: dict[int, tuple[int, str]],
        language: str,
    ) -> Reason:
        own = known.get(row, -1)
        if own >= 0 and (times := int(history.times[own])) > 0:
            date = datetime.fromtimestamp(int(history.last[own]), UTC).date().isoformat()
            return reason("again" if times > 1 else "again_once", language, times=times, date=date)
        if lead == "text" or self.recommender.log_sold[row] == 0:
            near = self.recommender.nearest_text(row, history)
            if near is not None:
                liked = self.catalogue.product(near)
                return reason(
                    "like",
                    language,
                    title=liked.title,
                    same=same(self.catalogue.product(row), liked, language),
                )
        if row in evidence and evidence[row][1] > 1:
            item, shoppers = evidence[row]
            return reason(
                "bought_with", language, title=self.catalogue.product(item).title, shoppers=shoppers
            )
        if row in alike:
            near, kind = alike[row]
            liked = self.catalogue.product(near)
            if kind == "similar":
                shared = same(self.catalogue.product(row), liked, language)
                return reason("like", language, title=liked.title, same=shared)
            return reason(f"{kind}_had", language, title=liked.title)
        if (said := self._by_graph(row, history, language)) is not None:
            return said
        if lead == "cf":
            return reason(
                "taste",
                language,
                title=self.catalogue.product(int(history.items[int(np.argmax(history.query))])).title,
            )
        return reason("popular", language)

    def _felt(self, why: Reason, row: int, history: History, language: str) -> Reason:
        """A reason with what is said of the product in what this shopper cares about."""
        moods, uses = self.recommender.mood, self.mood_uses
        if moods is None or uses is None:
            return why
        return with_mood(why, moods.said(history.row, row), uses.facts["aspects"], language)

    def _by_graph(self, row: int, history: History, language: str) -> Reason | None:
        """The most telling way in the graph from what the shopper has most of to a product."""
        graph = self.graph
        if graph is None or not len(history.items):
            return None
        some = history.items[np.argsort(-history.query, kind="stable")[:EXPLAINED]].tolist()
        ways = {had: graph.between(had, row) for had in some}
        best = max(some, key=lambda had: telling(graph, ways[had]))
        return graph_reason(graph, ways[best], self.catalogue.product(best).title, language)

    # -- similar ---------------------------------------------------------------------------------------------

    def similar(
        self,
        product_id: str,
        k: int = 10,
        *,
        weights: Mapping[str, float] | None = None,
        kind: str = "",
        language: str = "en",
    ) -> list[Hit]:
        """The `k` products most like one; `weights` by dimension, `kind` as in `wares.models.similar.fusion.KINDS`.

        The ``parts`` of a hit are what each dimension adds to its score.

        Raises:
            NotFound: for an unknown product.
            QueryError: for wrong weights or a kind that the shop has not.
        """
        return self.alike.similar(product_id, k, weights=weights, kind=kind, language=language)

    # -- search ----------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        user: str | None = None,
        k: int = 20,
        offset: int = 0,
        filters: Filters | None = None,
        language: str = "en",
        *,
        sort: str = "",
        group: str = "",
        cursor: str = "",
        verbatim: bool = False,
    ) -> SearchPage:
        """Products for a query, by words and by meaning, with facets; an empty query browses what passes the filters.

        `sort` is one of `wares.models.search.pages.SORTS`, `group` ``variant`` shows one product of each group of variants, `cursor`
        is that of the page before (then `offset` is not looked at), and `verbatim` takes every word as it was typed.

        Raises:
            QueryError: when `k`, `offset`, `sort`, `group` or `cursor` is not what it can be.
        """
        check_k(k)
        filters = filters or Filters()
        question = [query, user, asdict(filters), sort, group, verbatim]
        offset = read_cursor(cursor, question) if cursor else offset
        check_page(offset, sort, group)
        self.refresh()
        asked = as_typed(query) if verbatim else self.searcher.understand(query)
        by_relevance = sort in ("", "relevance")
        new = matching(self._new(), query, filters, self._query_vector, self.searcher.config, asked) if by_relevance else []  # fmt: skip
        # New products lie over the list of the bundle: with j of them, j fewer places come from it.
        depth = k + offset if new else k
        found = self.searcher.search(
            query, depth, 0 if new else offset, filters, self._affinity(user), self._hidden(),
            asked=asked, sort=sort, group=group, mend=not verbatim,
        )  # fmt: skip
        hits = [
            (self._hit(query, place, found, language), int(others))
            for place, others in enumerate(found.variants)
        ]
        if new:
            hits = sorted(
                [*hits, *((Hit(n.product, score, reason("new", language)), 0) for n, score in new)],
                key=lambda hit: -hit[0].score,
            )[offset : offset + k]
        corrected = (
            " ".join(found.corrected.get(w, w) for w in query.lower().split()) if found.corrected else ""
        )
        words = highlighted_words(found.asked, found.corrected)
        total = found.total + len(new)
        more = offset + len(hits) < min(total, FURTHEST) and bool(hits)
        return SearchPage(
            [hit for hit, _ in hits], total, found.facets, found.relaxed, corrected, found.asked,
            [highlights(hit.product.title, words) for hit, _ in hits], sort, [others for _, others in hits],
            make_cursor(question, offset + len(hits)) if more else "",
        )  # fmt: skip

    def _hit(self, query: str, place: int, found: Found, language: str) -> Hit:
        row, word, near = int(found.rows[place]), float(found.words[place]), float(found.meaning[place])
        parts = {"words": word, "meaning": near}
        if self.searcher.alike:
            parts["alike"] = float(found.alike[place])
        return Hit(
            self.catalogue.product(row),
            float(found.scores[place]),
            self._why_found(query, row, word, near, found, language),
            parts
            | {
                name: float(part[place])
                for name, part in found.parts.items()
                if name not in ("alike", *parts)
            },
        )

    def _affinity(self, user: str | None) -> dict[int, float]:
        history = self.history(user)
        if not len(history.items):
            return {}
        category = self.catalogue.category_of[history.items]
        sums = np.bincount(category[category >= 0], history.query[category >= 0])
        peak = float(sums.max(initial=0))
        return {int(i): float(sums[i] / peak) for i in np.flatnonzero(sums)} if peak > 0 else {}

    def _why_found(
        self, query: str, row: int, word: float, near: float, found: Found, language: str
    ) -> Reason:
        if not query.strip():
            return reason("browse", language)
        if query.strip().lower() == str(self.catalogue.ids[row]).lower():
            return reason("code", language)
        if word > 0:
            text = self._text_of(row)
            asked = highlighted_words(found.asked, found.corrected) or surface_words(query)
            # A Chinese word has no space before it.
            matched = [w for w in asked if (f" {stem(w) or w}" if w.isascii() else w.lower()) in text]
            if matched:
                return reason("words", language, words=" · ".join(f"“{w}”" for w in matched[:5]))
        if word <= 0 and near <= 0 and self.searcher.alike:
            return reason("around", language)
        return reason("meaning" if near > 0 else "words", language, words="…")

    def _lower(self, row: int) -> str:
        """The words of a product, each after a space, for a quick look whether one begins so."""
        names = ("title", "brand", "category", "size")
        return " " + " ".join(str(self.catalogue.columns[name][row]) for name in names).lower().translate(
            _SEAMS
        )

    def suggest(self, text: str, k: int = 8, user: str | None = None, category: str = "") -> list[str]:
        """Completions of what was typed so far, best first: the texts of `suggestions`, without its scopes."""
        return [one.text for one in self.suggestions(text, k, user, category) if one.kind != SCOPE]

    def suggestions(
        self, text: str, k: int = 8, user: str | None = None, category: str = ""
    ) -> list[Suggestion]:
        """Proposals for what was typed so far, best first: by weight, nearer to a shopper's categories higher.

        `category` keeps to a category and what lies below it.

        Raises:
            QueryError: when `k` is out of range, or for a text of more than 1,000 characters.
        """
        check_k(k)
        check_text(text)
        self.refresh()
        version = self.online.version if self.online is not None else 0
        return self.suggesting.suggest(
            text, k, self._affinity(user) if user else {}, category, self._new(), version
        )
