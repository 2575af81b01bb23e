"""Adapt an encoder to what belongs together in a shop; published only when held-out retrieval is better than untuned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.core.files import digest, read_json, write_json
from wares.features.adapt_body_train import Body, Build
from wares.features.adapt_loop_train import STATE, Loop
from wares.features.adapt_steps_train import Loss, step
from wares.features.augment import KINDS
from wares.features.batches import Batches
from wares.features.pairs import TEST, TRAIN, VALID, PairSet, checked
from wares.features.retrieval import Retrieval, means, paired
from wares.features.signals import balanced, counted

TRIED = 3
"""Steps by which time is measured; they teach nothing."""
MOST_ROUNDS = 30
RATES = {"full": 1.5e-4, "lora": 1e-3, "adalora": 2e-3, "prefix": 3e-2}
"""Peak learning rates where none is given; chosen on PriceRunner's validation clusters."""
FEWEST_QUERIES = 20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """All that decides a run.

    ``learning_rate`` 0 is that of the method, `RATES`. ``steps`` 0 takes as many as fit into ``minutes``; ``augment``
    (word dropout) and ``vary_share`` (texts said otherwise, `wares.features.augment`) below 0 decide by how few pairs
    there are. ``balance`` caps what a rare signal weighs (`wares.features.signals`), ``pseudo`` is the precision wanted
    of pairs that nobody gave (`wares.features.adapt_pseudo_train`). Without ``checks`` nothing is held out to stop by, and the weights of the last step are taken.
    """

    build: Build
    loss: Loss = field(default_factory=Loss)
    learning_rate: float = 0.0
    batch: int = 256
    hard: int = 16
    warm: float = 0.1
    minutes: float = 10.0
    steps: int = 0
    cached: bool = False
    augment: float = -1.0
    vary: tuple[str, ...] = KINDS
    vary_share: float = -1.0
    balance: float = 4.0
    pseudo: float = 0.0
    pseudo_from: str = "first"
    teacher: str = ""
    masked_steps: int = 0
    checks: int = 4
    patience: int = 2
    queries: int = 400
    pool: int = 2000
    gate_queries: int = 2000
    gate_pool: int = 20_000
    checkpoint_seconds: float = 60.0
    bf16: str = "auto"
    seed: int = 7

    @property
    def rate(self) -> float:
        """Peak learning rate."""
        return self.learning_rate or RATES.get(self.build.method, 1e-3)


@dataclass
class Outcome:
    """What became of a run: figures for the manifest, the adapted ``vectors (n, dim)`` of the tested nodes, per-query values."""

    facts: dict[str, Any]
    body: Body
    test: Retrieval
    ours: dict[str, NDArray[np.float64]]
    theirs: dict[str, NDArray[np.float64]]
    vectors: NDArray[np.float32]
    untuned: NDArray[np.float32]

    @property
    def better(self) -> bool:
        """Whether the interval of the gain in MRR on the held-out test excludes zero."""
        return bool(self.facts["gain"]["mrr"]["interval"][0] > 0)


class Run:
    """One adaptation in a folder of work; killed, it goes on from its last checkpoint with `resume`."""

    def __init__(
        self, pairs: PairSet, part: NDArray[np.int8], recipe: Recipe, work: Path, *, resume: bool = False,
        logs: Path | None = None, cache: Path | None = None, say: Say = lambda _: None,
    ) -> None:  # fmt: skip
        self.pairs, self.part, self.recipe, self.work, self.say = pairs, part, recipe, work, say
        self.cache = work if cache is None else cache
        self.begun = time.perf_counter()
        self.spent = 0.0
        self.count = checked(pairs, part)
        key = digest([pairs.digest, part.tolist(), asdict(recipe)])
        known = work / "run.json"
        if resume:
            if not known.is_file() or read_json(known)["key"] != key:
                raise DataError(
                    "there is no interrupted run of these pairs and settings",
                    mend="Start it without --resume", folder=str(work),
                )  # fmt: skip
        else:
            write_json(known, {"key": key})
        # AdaLoRA's record of which ranks matter is not in a checkpoint: such a run begins again.
        self.resume = resume and recipe.build.method != "adalora" and (work / STATE / "state.json").is_file()
        self.key = key
        self.writer = _writer(logs)

    def all(self) -> Outcome:
        """Encode, train, test.

        Raises:
            DataError: when there are too few pairs or queries to test by, or the encoder cannot read the texts.
        """
        pairs, recipe = self.pairs, self.recipe
        plain = Body.load(replace(recipe.build, split_digits=False), plain=True)
        plain.bf16 = recipe.bf16 != "off" and can_bf16()
        tokens = plain.tokens(pairs.texts, pairs.query)
        unread = plain.unread(tokens)
        share = float(unread[~pairs.blank].mean())
        if share > 0.5:
            raise DataError(
                f"{recipe.build.model} cannot read {share:.0%} of the texts: their pieces are unknown to it",
                mend="Name a multilingual model in encoder.model; until then words alone find these products", share=round(share, 4),
            )  # fmt: skip
        use = ~unread
        self.valid = self.test = Retrieval.nothing(pairs)
        if recipe.checks:
            self.valid = Retrieval.of(pairs, self.part, VALID, recipe.queries, recipe.seed, recipe.pool, use)
            self.test = Retrieval.of(
                pairs, self.part, TEST, recipe.gate_queries, recipe.seed, recipe.gate_pool, use
            )
        for name, task in (("validation", self.valid), ("test", self.test)):
            if recipe.checks and len(task) < FEWEST_QUERIES:
                raise DataError(
                    f"only {len(task)} held-out queries for the {name}; at least {FEWEST_QUERIES} are needed to say what is better",
                    mend="Bring more pairs", queries=len(task),
                )  # fmt: skip
        self.needed = _needed(pairs, self.part, use, self.valid, self.test)
        self.untuned = self._untuned(plain, tokens)
        theirs = self.test.by_cosine(self.untuned)
        before = means(self.valid.by_cosine(self.untuned))
        del plain
        body, trained = self._train(use, before)
        self.say("test")
        rows = np.unique(np.concatenate([self.test.queries, self.test.candidates]))
        mine = body.tokens([pairs.texts[i] for i in rows], pairs.query[rows])
        vectors = np.zeros((len(pairs), body.dim), np.float32)
        vectors[rows] = body.encode(mine)
        ours = self.test.by_cosine(vectors)
        facts = {
            "model": recipe.build.model, "method": recipe.build.method, "share_trained": round(body.share, 5), **trained,
            "pairs": self.count, "signals": {"pairs": counted(pairs, self.part), "weights": self.weights}, "data": {**pairs.facts(), "digest": pairs.digest}, "unread": int(unread.sum()),
            "test": {"queries": len(self.test), "candidates": len(self.test.candidates), "untuned": means(theirs), "adapted": means(ours)},
            "gain": {n: paired(ours[n], theirs[n], self.test.unit, recipe.seed) for n in ours},
            "recipe": asdict(recipe), "minutes": round((self.spent + time.perf_counter() - self.begun) / 60, 2),
        }  # fmt: skip
        return Outcome(facts, body, self.test, ours, theirs, vectors, self.untuned)

    def _untuned(self, plain: Body, tokens: list[list[int]]) -> NDArray[np.float32]:
        path = self.cache / "untuned.npy"
        if path.is_file() and read_json(self.cache / "untuned.json") == {"key": self._plain_key()}:
            return np.load(path, allow_pickle=False)
        rows, total = self.needed, len(self.needed)
        out = np.zeros((len(self.pairs), plain.dim), np.float32)
        out[rows] = plain.encode(
            [tokens[i] for i in rows], lambda n: self.say(f"untuned vectors: {n:,} of {total:,}")
        )
        np.save(path, out, allow_pickle=False)
        write_json(self.cache / "untuned.json", {"key": self._plain_key()})
        return out

    def _plain_key(self) -> str:
        build = self.recipe.build
        said = [
            build.model,
            build.prefix_query,
            build.prefix_passage,
            build.max_tokens,
            self.pairs.texts,
            self.pairs.query.tolist(),
            self.needed.tolist(),
        ]
        return digest(said)

    def _train(self, use: NDArray[np.bool_], before: dict[str, float]) -> tuple[Body, dict[str, Any]]:
        pairs, recipe = self.pairs, self.recipe
        place = self.work / STATE
        old = read_json(place / "state.json") if self.resume else {}
        steps = int(old.get("steps", recipe.steps))
        build = replace(recipe.build, model=self._read_on(use), total_steps=max(steps, 1000))
        body = Body.load(build)
        tokens = body.tokens(pairs.texts, pairs.query)
        signals = balanced(pairs, self.part, recipe.balance)
        self.weights = {} if signals is None else signals.weights
        batches = Batches(pairs, self.part, recipe.batch, recipe.hard, recipe.seed, use, signals)
        body.bf16 = bool(old["bf16"]) if old else self._choose_bf16(body, tokens, batches)
        if not steps:
            steps = self._fitting(body, tokens, batches)
        if body.build.method == "adalora" and steps != body.build.total_steps:
            bf16, body = body.bf16, Body.load(replace(build, total_steps=steps))
            body.bf16 = bf16
        torch.manual_seed(recipe.seed)
        optimiser = torch.optim.AdamW(body.learning(), lr=recipe.rate, weight_decay=0.01)
        loop = Loop(self, body, tokens, batches, optimiser, steps, before)
        if self.resume:
            loop.restore(place)
        loop.go()
        loop.ended_at = time.perf_counter()
        loop.take_best()
        return body, loop.facts()

    def _read_on(self, use: NDArray[np.bool_]) -> str:
        """The model to adapt: the named one, or what became of it by reading the training texts with masks."""
        recipe = self.recipe
        if not recipe.masked_steps:
            return recipe.build.model
        from wares.features.adapt_masked_train import read_on

        folder = self.work / "masked"
        if not (self.resume and folder.is_dir()):
            rows = np.flatnonzero(use & ~self.pairs.blank & (self.part == TRAIN))
            read_on(recipe.build, [self.pairs.texts[i] for i in rows], recipe.masked_steps, folder, self.say)
        return str(folder)

    def _choose_bf16(self, body: Body, tokens: list[list[int]], batches: Batches) -> bool:
        wanted = self.recipe.bf16
        if wanted != "auto" or not can_bf16():
            return wanted == "on" and can_bf16()
        body.bf16 = False
        slow = self._timed(body, tokens, batches)
        body.bf16 = True
        fast = self._timed(body, tokens, batches)
        return fast < slow

    def _timed(self, body: Body, tokens: list[list[int]], batches: Batches) -> float:
        """Seconds of a step, the fastest of `TRIED`; weights and chance stay as they are."""
        state = torch.get_rng_state()
        body.model.train()
        best = float("inf")
        for number, batch in enumerate(batches.a_round(0, np.ones((len(self.pairs), 1), np.float32))):
            begun = time.perf_counter()
            step(body, [tokens[i] for i in batch.nodes], batch, self.recipe.loss, None, self.recipe.cached)
            best = min(best, time.perf_counter() - begun)
            body.model.zero_grad(set_to_none=True)
            if number + 1 == TRIED:
                break
        torch.set_rng_state(state)
        return best

    def _fitting(self, body: Body, tokens: list[list[int]], batches: Batches) -> int:
        """Steps that fit into the minutes, less what looking at validation takes; at most `MOST_ROUNDS` rounds."""
        recipe = self.recipe
        a_step = self._timed(body, tokens, batches)
        begun = time.perf_counter()
        some = [tokens[i] for i in self.needed[:256]]
        body.encode(some)
        a_text = (time.perf_counter() - begun) / max(len(some), 1)
        left = recipe.minutes * 60 - a_text * recipe.checks * (len(self.valid) + len(self.valid.candidates))
        a_round = sum(1 for _ in batches.a_round(0, np.ones((len(self.pairs), 1), np.float32)))
        return int(max(10, min(left / a_step, MOST_ROUNDS * a_round)))


def can_bf16() -> bool:
    """Whether this machine multiplies in bf16: a GPU that does, or a CPU with AVX-512 BF16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    found = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(found()) if found is not None else False


def _needed(
    pairs: PairSet, part: NDArray[np.int8], use: NDArray[np.bool_], valid: Retrieval, test: Retrieval
) -> NDArray[np.int64]:
    """Nodes whose vectors are wanted: those that teach, and those of the held-out tasks."""
    taught = np.flatnonzero((part == TRAIN) & use & ~pairs.blank)
    return np.unique(np.concatenate([taught, valid.queries, valid.candidates, test.queries, test.candidates]))


def _writer(logs: Path | None) -> Any:
    if logs is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(logs))
