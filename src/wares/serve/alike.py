"""Products like a product, an image or words: what `wares.models.similar` finds, with new products, and in words."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array
from wares.core.errors import QueryError
from wares.core.nouns import Hit, Product, Reason
from wares.features.image import ImageEncoder, Projection
from wares.models.similar.fusion import Fusion
from wares.models.similar.infer import Likeness
from wares.serve.online import NewProduct
from wares.serve.reasons import contribution_words, reason, same
from wares.serve.situation import check_k

if TYPE_CHECKING:
    from wares.serve.ranker import Ranker

Vector = NDArray[np.float32]
SAID = 3
"""Dimensions that a reason names at most."""
COUNTED = ("behaviour", "view", "basket")
LEAST = 0.08
"""Share of the score below which a reason does not name a dimension."""


class Alike:
    """The likeness answers of a ranker's bundle; thread-safe."""

    def __init__(self, ranker: Ranker, folder: Path) -> None:
        self.ranker = ranker
        self._images = folder / "images"
        self._lock = threading.Lock()
        self._encoder: ImageEncoder | None = None

    # -- a product -------------------------------------------------------------------------------------------

    def similar(
        self,
        product_id: str,
        k: int = 10,
        *,
        weights: Mapping[str, float] | None = None,
        kind: str = "",
        language: str = "en",
    ) -> list[Hit]:
        """See `wares.serve.ranker.Ranker.similar`."""
        ranker, model = self.ranker, self.ranker.likeness
        check_k(k)
        fusion, asked = model.asked(kind, weights)
        ranker.refresh()
        product = ranker.product(product_id)
        new = ranker.new_products().get(product_id)
        row = ranker.catalogue.row(product_id)
        weight = dict(zip(fusion.names, fusion.weights.tolist(), strict=True)) if asked is None else asked
        by_text = weight.get("text", 0.0) > 0
        vector: Vector | None = None
        if new is None and row >= 0:
            found = model.rank(row, k, weights, self._may(row, fusion.kind), kind)
        else:
            # Of a new product its text is known; the rest of what it is like comes with the next build.
            vector = model.short_text(new.vector if new is not None else ranker.encode_product(product))
            found = self._by_text(vector, fusion, k if by_text else 0)
        hits = self._hits(product, found, fusion, language)
        others = [
            n
            for n in ranker.new_products().values()
            if n.product.product_id != product_id and n.product.available
        ]
        if vector is None:
            vector = model.text_vector(row)
        if others and by_text and vector is not None:
            hits += self._new(product, others, vector, fusion, asked, row, language)
            hits.sort(key=lambda hit: -hit.score)
        return hits[:k]

    def _may(self, row: int, kind: str) -> NDArray[np.bool_]:
        """Products that may come; what goes with a product is of another category."""
        visible, category_of = self.ranker.visible(), self.ranker.catalogue.category_of
        mine = int(category_of[row])
        return visible if kind != "complement" or mine < 0 else visible & (category_of != mine)

    def _by_text(self, vector: Vector, fusion: Fusion, k: int) -> Likeness:
        ranker, model = self.ranker, self.ranker.likeness
        pool = model.near_text(vector, max(60, 3 * k), ranker.visible())
        return model.rank_vector("text", vector, pool, k, fusion)

    def _new(
        self, product: Product, others: list[NewProduct], vector: Vector, fusion: Fusion, asked: Mapping[str, float] | None,
        row: int, language: str,
    ) -> list[Hit]:  # fmt: skip
        """Products that came after the build: their text is compared, the rest counts as of an ordinary candidate."""
        model = self.ranker.likeness
        cosines = np.array([float(model.short_text(other.vector) @ vector) for other in others], np.float32)
        found = model.unknown_but_text(row, cosines, fusion, asked)
        hits = self._hits_of(product, [other.product for other in others], found, fusion, language)
        return [hit for hit, cosine in zip(hits, cosines, strict=True) if cosine > 0]

    # -- an image, or words for one -----------------------------------------------------------------------------

    def by_image(self, image: Path | bytes, k: int = 10, *, language: str = "en") -> list[Hit]:
        """The `k` products whose picture is most like an image; those without a picture by their words.

        Raises:
            QueryError: when the shop has no pictures.
            NotAnImage: when it is none.
        """
        ranker, model = self.ranker, self.ranker.likeness
        check_k(k)
        encoder = self._image_encoder()
        ranker.refresh()
        full = encoder.encode_one(image)
        vector = (full - load_array(self._images, "mean")) @ load_array(self._images, "axes")
        vector = np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
        fusion, _ = model.asked("", None)
        pool = np.flatnonzero(ranker.visible() & model.has("image")).astype(np.int32)
        found = model.rank_vector("image", vector, pool, k, fusion)
        hits = [
            Hit(ranker.catalogue.product(int(r)), float(v), reason("looks", language), {"image": float(v)})
            for r, v in zip(found.items, found.scores, strict=True)
        ]
        if len(hits) < k and (self._images / "projection_weights.npy").is_file():
            words = model.short_text(Projection.load(self._images)(full)[0])
            fusion, _ = model.asked("", None)
            near = model.near_text(words, 3 * k, ranker.visible() & ~model.has("image"))
            rest = model.rank_vector("text", words, near, k - len(hits), fusion)
            hits += [
                Hit(
                    ranker.catalogue.product(int(r)),
                    float(v),
                    reason("words_of_image", language),
                    {"text": float(v)},
                )
                for r, v in zip(rest.items, rest.scores, strict=True)
            ]
        return hits

    def by_words(self, words: str, k: int = 10, *, language: str = "en") -> list[Hit]:
        """The `k` products whose picture fits words best, by the projection of pictures into the space of texts.

        Raises:
            QueryError: when the shop has no pictures, or too few to learn a projection from; or for no words.
        """
        ranker = self.ranker
        check_k(k)
        if not words.strip():
            raise QueryError(
                "there are no words to look for", mend="Write what the picture shows", parameter="words"
            )
        if not (self._images / "as_text.npy").is_file():
            raise QueryError(
                "this shop has too few pictures for words to find them",
                mend="Give products images and build; see docs/similarity.md",
                parameter="words",
            )
        ranker.refresh()
        pictures = load_array(self._images, "as_text")
        row_of = np.asarray(load_array(self._images, "row_of"))
        rows = np.flatnonzero((row_of >= 0) & ranker.visible())
        value = np.asarray(pictures[row_of[rows]], np.float32) @ ranker.encode_words(words)
        best = np.lexsort((rows, -value))[:k]
        return [
            Hit(ranker.catalogue.product(int(rows[i])), float(value[i]), reason("shows", language, words=words[:60]), {"image": float(value[i])})
            for i in best
        ]  # fmt: skip

    def _image_encoder(self) -> ImageEncoder:
        with self._lock:
            if self._encoder is None:
                if not (self._images / "encoder").is_dir() or "image" not in self.ranker.likeness.names:
                    raise QueryError(
                        "this shop has no pictures to compare with",
                        mend="Give products images and build; see docs/similarity.md",
                        parameter="image",
                    )
                self._encoder = ImageEncoder(self._images / "encoder", threads=1)
            return self._encoder

    # -- in words ------------------------------------------------------------------------------------------------

    def _hits(self, product: Product, found: Likeness, fusion: Fusion, language: str) -> list[Hit]:
        products = [self.ranker.catalogue.product(int(row)) for row in found.items]
        return self._hits_of(product, products, found, fusion, language)

    def _hits_of(
        self, product: Product, products: list[Product], found: Likeness, fusion: Fusion, language: str
    ) -> list[Hit]:
        out: list[Hit] = []
        names = self.ranker.likeness.names
        for other, score, parts, known, shared in zip(
            products, found.scores.tolist(), found.parts, found.known, found.shared, strict=True
        ):
            named = {name: float(value) for name, value in zip(names, parts, strict=True) if value > 0}
            counts = dict(zip(names, shared.tolist(), strict=True))
            why = self._why(
                product, other, named, dict(zip(names, known.tolist(), strict=True)), fusion, counts, language
            )
            out.append(Hit(other, score, why, named))
        return out

    def _why(
        self, product: Product, other: Product, parts: dict[str, float], known: dict[str, bool], fusion: Fusion,
        counts: dict[str, int], language: str,
    ) -> Reason:  # fmt: skip
        """What adds most, in words; what is only assumed, as of an ordinary candidate, is not said."""
        total = max(sum(parts.values()), 1e-9)
        leading = sorted((n for n in parts if known.get(n)), key=lambda n: -parts[n])
        said = [n for n in leading if parts[n] >= LEAST * total and (n not in COUNTED or counts[n])][:SAID]
        facts: dict[str, Any] = {
            "kind": fusion.kind,
            "shares": {n: round(parts[n] / total, 3) for n in leading},
        }
        facts |= {f"{n}_count": counts[n] for n in said if n in COUNTED}
        alike = same(product, other, language)
        words = [contribution_words(n, alike, counts[n], language) for n in said] or [alike]
        code = "together" if said and said[0] in COUNTED else "same"
        glue = "；" if language == "zh" else "; "
        return Reason(code, glue.join(dict.fromkeys(words)), facts)
