"""Search over generated products, measured: ours, and others over the same titles and vectors in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wares.core.machine import peak_rss
from wares.evaluate.search_shop import make_searcher
from wares.models.search.asked import Asked

DIM = 64
K = 10
Say = Callable[[str], None]
_ONSETS, _VOWELS = (
    ["b", "c", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "tr", "st", "pl"],
    ["a", "e", "i", "o", "u", "ai", "or", "en"],
)


@dataclass(frozen=True, slots=True)
class Goods:
    """Generated products: ``words (n, 6) int32`` codes of their title's words, ``vectors (n, DIM)``, and questions."""

    titles: list[str]
    brands: list[str]
    categories: list[str]
    prices: NDArray[np.float64]
    vectors: NDArray[np.float32]
    questions: list[Ask]


@dataclass(frozen=True, slots=True)
class Ask:
    """A query, its vector, and the products that hold all its words."""

    text: str
    vector: NDArray[np.float32]
    right: NDArray[np.int32]


class Peer(Protocol):
    """A system that answers by words and vector."""

    name: str

    def find(self, ask: Ask) -> list[int]:
        """The ten best products."""
        ...


def names(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct made-up words of two or three syllables."""
    found: dict[str, None] = {}
    while len(found) < count:
        parts = rng.integers(2, 4)
        word = "".join(
            _ONSETS[rng.integers(len(_ONSETS))] + _VOWELS[rng.integers(len(_VOWELS))] for _ in range(parts)
        )
        found[word] = None
    return list(found)


def generate(n: int, asked: int, seed: int) -> Goods:
    """`n` products: brand, line of the brand, two properties, a noun of a category, a model number, a size.

    Common words are drawn often (Zipf) as in shops. A product's vector is the sum of vectors of its words, near words of one
    category share a direction; a query takes two to four words of a product's title in any order, one time in three with
    its model number. What is right is all that holds these words.
    """
    rng = np.random.default_rng(seed)
    pool = names(4600, rng)
    brand, line, noun, prop = pool[:1500], pool[1500:3500], pool[3500:4100], pool[4100:]
    popular = rng.zipf(1.3, (n, 3))
    codes = np.column_stack(
        [
            popular[:, 0] % len(brand), rng.integers(0, len(line), n), popular[:, 1] % len(noun), popular[:, 2] % len(prop),
            rng.integers(0, len(prop), n),
        ]
    ).astype(np.int32)  # fmt: skip
    sizes = rng.choice([100, 200, 250, 500, 750, 1000], n)
    letters = np.array(list("abcdefghkmnprstuvwxyz"))
    heads = letters[rng.integers(0, len(letters), (n, 2))]
    models = [f"{a}{b}{i + 1000}" for i, (a, b) in enumerate(heads.tolist())]
    titles = [
        f"{brand[b]} {line[m]} {prop[p]} {prop[q]} {noun[o]} {model} {size} ml"
        for (b, m, o, p, q), model, size in zip(codes.tolist(), models, sizes.tolist(), strict=True)
    ]
    space = rng.standard_normal((len(pool), DIM)).astype(np.float32)
    offset = np.array([0, 1500, 3500, 4100, 4100])
    weight = np.array([0.8, 0.8, 1.5, 0.6, 0.6], np.float32)
    vectors = np.zeros((n, DIM), np.float32)
    for j in range(5):
        vectors += weight[j] * space[codes[:, j] + offset[j]]
    vectors += 0.5 * rng.standard_normal((n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lists = (brand, line, noun, prop, prop)
    questions: list[Ask] = []
    for row in rng.integers(0, n, asked):
        chosen = rng.permutation(5)[: rng.integers(2, 5)]
        words = [lists[j][codes[row, j]] for j in chosen]
        right = np.ones(n, bool)
        for j in chosen:
            mine = codes[row, j]
            right &= (codes[:, 3] == mine) | (codes[:, 4] == mine) if j > 2 else codes[:, j] == mine
        if rng.random() < 1 / 3:
            words.append(models[row])
            right = np.zeros(n, bool)
            right[row] = True
        vector = np.sum([weight[j] * space[codes[row, j] + offset[j]] for j in chosen], axis=0)
        questions.append(Ask(" ".join(words), (vector / np.linalg.norm(vector)).astype(np.float32), np.flatnonzero(right).astype(np.int32)))  # fmt: skip
    return Goods(
        titles, [brand[b] for b in codes[:, 0]], [noun[o] for o in codes[:, 2]],
        np.round(rng.lognormal(3, 1, n), 2), vectors, questions,
    )  # fmt: skip


class Ours:
    """The search of a bundle. With an encoder each query pays for its own encoding, though the vector is the generated one."""

    name = "wares"

    def __init__(self, goods: Goods, folder: Path, encode: Callable[[str], Any] | None, say: Say) -> None:
        say("index: wares")
        self._vector, self._encode = np.zeros(DIM, np.float32), encode
        columns = {
            "product_id": [f"p{i}" for i in range(len(goods.titles))], "title": goods.titles, "brand": goods.brands,
            "category": goods.categories,
        }  # fmt: skip
        self.searcher = make_searcher(folder, columns, goods.titles, goods.vectors, lambda _: self._vector, prices=goods.prices)  # fmt: skip

    def find(self, ask: Ask) -> list[int]:
        """The ten best, with facets and reasons' parts, as the API asks for them."""
        self._vector = ask.vector
        if self._encode is not None:
            self._encode(ask.text)
        read = Asked(ask.text, tuple(ask.text.split()))
        return self.searcher.search(ask.text, K, asked=read, mend=False).rows.tolist()


def measure(peers: Sequence[Peer], questions: Sequence[Ask], say: Say) -> dict[str, Any]:
    """Each question to each system in turn, so that the machine treats them alike; the first fifth warms up.

    ``cpu_ms`` is the mean work of this process, which other programs on the machine do not change; PostgreSQL works in its own.
    """
    warm = len(questions) // 5
    spent = {peer.name: list[float]() for peer in peers}
    worked = {peer.name: list[float]() for peer in peers}
    recall = {peer.name: list[float]() for peer in peers}
    for i, ask in enumerate(questions):
        for peer in peers:
            begun, work = time.perf_counter(), time.process_time()
            found = peer.find(ask)
            if i >= warm:
                worked[peer.name].append(1e3 * (time.process_time() - work))
                spent[peer.name].append(1e3 * (time.perf_counter() - begun))
                recall[peer.name].append(float(np.isin(found[:K], ask.right).sum() / min(K, len(ask.right))))
        if i % 20 == 0:
            say(f"ask {i}/{len(questions)}")
    return {
        peer.name: {
            "p50_ms": round(float(np.median(spent[peer.name])), 2),
            "p95_ms": round(float(np.quantile(spent[peer.name], 0.95)), 2),
            "cpu_ms": round(float(np.mean(worked[peer.name])), 2),
            "per_second": round(1e3 / float(np.mean(spent[peer.name])), 1),
            "recall@10": round(float(np.mean(recall[peer.name])), 4),
        }
        for peer in peers
    }


def ratios(found: dict[str, Any], ours: str = "wares") -> dict[str, Any]:
    """Times of the others over ours: above 1 we are faster."""
    return {
        name: {"p50": round(values["p50_ms"] / found[ours]["p50_ms"], 2), "throughput": round(found[ours]["per_second"] / values["per_second"], 2)}
        for name, values in found.items() if name != ours
    }  # fmt: skip


def bench(
    n: int,
    asked: int,
    seed: int,
    others: Sequence[str],
    encode: Callable[[str], Any] | None,
    folder: Path,
    say: Say,
) -> dict[str, Any]:
    """Index and ask; `others` are names of `wares.evaluate.search_peers.PEERS`."""
    from wares.evaluate.search_peers import PEERS

    say("generate")
    goods = generate(n, asked, seed)
    index: dict[str, float] = {}
    begun = time.perf_counter()
    peers: list[Peer] = [Ours(goods, folder / "wares", encode, say)]
    index["wares"] = round(time.perf_counter() - begun, 1)
    held = peak_rss() / 2**20
    for name in others:
        begun = time.perf_counter()
        peers.append(PEERS[name](goods, folder / name, say))
        index[name] = round(time.perf_counter() - begun, 1)
    found = measure(peers, goods.questions, say)
    return {
        "products": n, "dim": DIM, "queries": asked, "seed": seed, "index_s": index, "peak_rss_mb_after_our_index": round(held, 1),
        "disk_mb": round(sum(p.stat().st_size for p in (folder / "wares" / "search").rglob("*") if p.is_file()) / 2**20, 1),
        "systems": found, "others over ours": ratios(found),
    }  # fmt: skip
