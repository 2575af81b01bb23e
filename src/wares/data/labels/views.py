"""Texts as numbers for labelling: character and word n-grams, their latent factors, and whatever vectors the caller brings."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.text import plain

LANDMARKS = 800
MAX_CHARS = 5_000
"""Beginning of a text that is read; a label seldom hangs on what follows."""


def _words(text: str) -> list[str]:
    import rjieba

    return [word for word in rjieba.cut(text) if word.strip()]


def tidy(text: str) -> str:
    """The text as views see it: without HTML, in compatible forms (NFKC), lower case, cut."""
    return unicodedata.normalize("NFKC", plain(text, MAX_CHARS)).casefold()


@dataclass(frozen=True)
class Views:
    """Several views on the same ``n`` texts. `vectors (n, dim)`, when given, are sentence vectors of any encoder."""

    texts: tuple[str, ...]
    vectors: NDArray[np.float32] | None = None
    seed: int = 7
    factors: int = 200

    @classmethod
    def of(cls, texts: Sequence[str], vectors: NDArray[np.float32] | None = None, seed: int = 7) -> Views:
        """Views on `texts`, in their order."""
        return cls(tuple(tidy(text) for text in texts), vectors, seed)

    def _tfidf(self, **options: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        for min_df in (2, 1):
            try:
                return TfidfVectorizer(
                    sublinear_tf=True, lowercase=False, dtype=np.float32, min_df=min_df, **options
                ).fit_transform(self.texts)
            except ValueError:
                continue
        from scipy.sparse import csr_matrix

        return csr_matrix((len(self.texts), 1), dtype=np.float32)

    @cached_property
    def chars(self) -> Any:
        """TF-IDF of character 1- to 4-grams (3- to 5-grams within words where words have spaces), sparse ``(n, n_grams)``."""
        spaced = sum(t.count(" ") for t in self.texts) > 0.1 * max(1, sum(map(len, self.texts)))
        return self._tfidf(analyzer="char_wb" if spaced else "char", ngram_range=(3, 5) if spaced else (1, 4))

    @cached_property
    def words(self) -> Any:
        """TF-IDF of single words and pairs, sparse ``(n, n_words)``; Chinese is segmented."""
        return self._tfidf(tokenizer=_words, token_pattern=None, ngram_range=(1, 2))

    @cached_property
    def latent(self) -> NDArray[np.float64]:
        """Latent factors of the words, each row of length one, beside the centred vectors if there are any: ``(n, factors + dim)``."""
        from sklearn.decomposition import TruncatedSVD

        k = min(self.factors, min(self.words.shape) - 1)
        parts = []
        if k >= 2:
            parts.append(
                TruncatedSVD(k, random_state=self.seed, n_iter=3).fit_transform(self.words).astype(np.float64)
            )
        if self.vectors is not None:
            parts.append(self.vectors.astype(np.float64) - self.vectors.mean(0))
        if not parts:
            return np.zeros((len(self.texts), 1))
        return np.hstack([_unit(part) for part in parts]) / np.sqrt(len(parts))

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """A map of the latent factors in which a linear model is one with an RBF kernel (Nyström, 800 landmarks at most): ``(n, landmarks)``."""
        from sklearn.kernel_approximation import Nystroem

        count = min(LANDMARKS, len(self.texts))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = Nystroem(gamma=1.0, n_components=count, random_state=self.seed).fit_transform(self.latent)
        return np.asarray(found, np.float64)

    @cached_property
    def dense(self) -> NDArray[np.float64] | None:
        """The centred vectors, each row of length one."""
        return None if self.vectors is None else _unit(self.vectors.astype(np.float64) - self.vectors.mean(0))


def _unit(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
