"""The steps of an adaptation: warm-up, checks on validation, checkpoints, an early end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.features.adapt_body_train import Body
from wares.features.adapt_steps_train import dropped, load_state, orthogonal, rate_at, save_state, step
from wares.features.augment import vary
from wares.features.batches import Batch, Batches
from wares.features.pairs import TRAIN
from wares.features.retrieval import means

if TYPE_CHECKING:
    from wares.features.adapt_train import Run

STATE = "checkpoint"
OVERRUN = 1.25
"""A run that takes so many times its minutes ends where it is."""
FEW = 1000
FEW_DROPPED = 0.15
FEW_VARIED = 0.5


class Loop:
    """Steps with warm-up, checks on validation, checkpoints and an early end."""

    def __init__(
        self, run: Run, body: Body, tokens: list[list[int]], batches: Batches, optimiser: Any, steps: int, before: dict[str, float]
    ) -> None:  # fmt: skip
        self.run, self.body, self.tokens, self.batches, self.optimiser = run, body, tokens, batches, optimiser
        self.steps, self.number, self.round, self.within = steps, 0, 0, 0
        self.bank = np.array(run.untuned)
        self.bank_before = np.array(self.bank)
        self.best, self.best_step, self.worse = before["mrr"], 0, 0
        self.curve: list[dict[str, Any]] = [{"step": 0, **before}]
        self.ended = "steps"
        recipe = run.recipe
        few = run.count < FEW
        self.drop = FEW_DROPPED if few and recipe.augment < 0 else max(recipe.augment, 0.0)
        self.vary = FEW_VARIED if few and recipe.vary_share < 0 else max(recipe.vary_share, 0.0)
        self.vary *= bool(recipe.vary)
        self.keep = frozenset(body.tokenizer.all_special_ids)
        self.figures = frozenset(
            at for piece, at in body.tokenizer.get_vocab().items() if any(ch.isdigit() for ch in piece)
        )
        self.teacher = self._taught() if recipe.teacher else None
        self.begun = self.ended_at = time.perf_counter()
        self.saved, self.first, self.trained = self.begun, 0, 0.0

    def _taught(self) -> NDArray[np.float32]:
        run = self.run
        path = run.work / "teacher.npy"
        if run.resume and path.is_file():
            return np.load(path, allow_pickle=False)
        run.say("teacher's vectors")
        build = run.recipe.build
        teacher = Body.load(replace(build, model=run.recipe.teacher, split_digits=False), plain=True)
        rows = np.flatnonzero(run.part == TRAIN)
        out = np.zeros((len(run.pairs), teacher.dim), np.float32)
        out[rows] = teacher.encode(teacher.tokens([run.pairs.texts[i] for i in rows], run.pairs.query[rows]))
        np.save(path, out, allow_pickle=False)
        return out

    def restore(self, place: Path) -> None:
        """Go on from a checkpoint."""
        arrays, facts = load_state(place, self.body, self.optimiser, ("bank", "bank_before"))
        self.bank, self.bank_before = arrays["bank"], arrays["bank_before"]
        for name in ("number", "round", "within", "best", "best_step", "worse", "curve"):
            setattr(self, name, facts[name])
        self.run.spent, self.trained, self.first = (
            float(facts["seconds"]),
            float(facts["trained"]),
            self.number,
        )

    def go(self) -> None:
        """All steps, or fewer when validation no longer gets better or the time is up."""
        checks = self.run.recipe.checks
        every = max(1, self.steps // checks) if checks else self.steps + 1
        while self.number < self.steps:
            for at, batch in enumerate(self.batches.a_round(self.round, self.bank_before)):
                if at < self.within:
                    continue
                self._one(batch)
                self.within = at + 1
                if checks and (self.number % every == 0 or self.number == self.steps):
                    self._check()
                self._checkpoint()
                if self.number >= self.steps or self.worse > self.run.recipe.patience or self._late():
                    return
            self.round, self.within = self.round + 1, 0
            self.bank_before = np.array(self.bank)

    def _late(self) -> bool:
        recipe = self.run.recipe
        late = (
            not recipe.steps
            and self.trained + time.perf_counter() - self.begun > OVERRUN * recipe.minutes * 60
        )
        if late:
            self.ended = "minutes"
            if recipe.checks and self.curve[-1]["step"] != self.number:
                self._check()
        return late

    def _one(self, batch: Batch) -> None:
        run, recipe, body = self.run, self.run.recipe, self.body
        rng = np.random.default_rng([recipe.seed, self.number])
        rows = [self.tokens[i] for i in batch.nodes]
        if self.vary:
            chosen = np.flatnonzero(rng.random(len(rows)) < self.vary)
            nodes = batch.nodes[chosen]
            said = [vary(run.pairs.texts[i], recipe.vary, rng) for i in nodes]
            for at, tokens in zip(chosen, body.tokens(said, run.pairs.query[nodes]), strict=True):
                rows[at] = tokens
        if self.drop:
            rows = [
                dropped(t, rng, self.drop, self.keep, self.figures) if rng.random() < 0.5 else t for t in rows
            ]
        rate = rate_at(self.number / self.steps, self.number, round(recipe.warm * self.steps), recipe.rate)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        body.model.train()
        told = None if self.teacher is None else self.teacher[batch.nodes]
        value, vectors = step(body, rows, batch, recipe.loss, told, recipe.cached)
        ranked = body.build.method == "adalora"
        if ranked:
            orthogonal(body).backward()
        torch.nn.utils.clip_grad_norm_(body.learning(), 1.0)
        self.optimiser.step()
        if ranked:
            body.model.base_model.update_and_allocate(self.number)
        self.optimiser.zero_grad(set_to_none=True)
        self.bank[batch.nodes] = vectors
        self.number += 1
        if not np.isfinite(value):
            raise DataError(
                "the loss is not finite", mend="Lower encoder.tune.learning_rate", step=self.number
            )
        gone = time.perf_counter() - self.begun
        left = gone / max(self.number - self.first, 1) * (self.steps - self.number)
        run.say(f"step {self.number:,} of {self.steps:,}, loss {value:.3f}, {left / 60:.1f} min left")
        if run.writer is not None:
            run.writer.add_scalar("loss", value, self.number)
            run.writer.add_scalar("learning_rate", rate, self.number)

    def _check(self) -> None:
        run = self.run
        rows = np.unique(np.concatenate([run.valid.queries, run.valid.candidates]))
        vectors = np.zeros((len(run.pairs), self.body.dim), np.float32)
        vectors[rows] = self.body.encode([self.tokens[i] for i in rows])
        found = means(run.valid.by_cosine(vectors))
        self.curve.append({"step": self.number, **found})
        if run.writer is not None:
            for name, value in found.items():
                run.writer.add_scalar(f"valid/{name}", value, self.number)
        if found["mrr"] > self.best:
            self.best, self.best_step, self.worse = found["mrr"], self.number, 0
            self._keep()
        else:
            self.worse += 1
            self.ended = "no better on validation" if self.worse > run.recipe.patience else self.ended

    def _keep(self) -> None:
        save_state(self.run.work / "best", self.body, self.optimiser, {}, {"step": self.number})

    def _checkpoint(self) -> None:
        now = time.perf_counter()
        if now - self.saved < self.run.recipe.checkpoint_seconds:
            return
        self.saved = now
        facts = {
            "steps": self.steps, "bf16": self.body.bf16, "seconds": self.run.spent + now - self.run.begun,
            "trained": self.trained + now - self.begun,
            **{n: getattr(self, n) for n in ("number", "round", "within", "best", "best_step", "worse", "curve")},
        }  # fmt: skip
        save_state(
            self.run.work / STATE,
            self.body,
            self.optimiser,
            {"bank": self.bank, "bank_before": self.bank_before},
            facts,
        )

    def take_best(self) -> None:
        """Weights of the best check; those of the end when no check was better than untuned."""
        if self.best_step and self.best_step != self.number:
            load_state(self.run.work / "best", self.body, self.optimiser, ())

    def facts(self) -> dict[str, Any]:
        """What happened, for the manifest."""
        return {
            "steps": self.number, "planned_steps": self.steps, "best_step": self.best_step, "ended": self.ended,
            "minutes_training": round((self.trained + self.ended_at - self.begun) / 60, 2),
            "precision": "bf16" if self.body.bf16 else "fp32", "validation": self.curve, "word_dropout": self.drop,
            "augmented": {"share": self.vary, "kinds": list(self.run.recipe.vary) if self.vary else []},
        }  # fmt: skip
