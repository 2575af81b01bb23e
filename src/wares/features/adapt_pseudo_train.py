"""An adaptation with what nobody labelled: pairs found by the untuned encoder or by a first round, then one run with all of them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import DataError
from wares.core.files import digest, read_json, write_json
from wares.features.adapt_body_train import Body
from wares.features.adapt_train import Outcome, Recipe, Run, Say
from wares.features.pairs import PairSet, checked
from wares.features.pseudo import Found, find, unlabelled, with_pseudo

FOUND = "pseudo"


def adapt(
    pairs: PairSet, part: NDArray[np.int8], recipe: Recipe, work: Path, *, resume: bool = False,
    logs: Path | None = None, cache: Path | None = None, say: Say = lambda _: None,
) -> Outcome:  # fmt: skip
    """One `Run`; with ``recipe.pseudo`` after texts without pairs were looked through for some. The facts say what came of it.

    Killed, it goes on where it was: within the first round, or with the pairs that this had found.

    Raises:
        DataError: as `Run.all`.
    """
    if not recipe.pseudo:
        return Run(pairs, part, recipe, work, resume=resume, logs=logs, cache=cache, say=say).all()
    checked(pairs, part)
    key = digest([pairs.digest, part.tolist(), asdict(recipe)])
    known = work / f"{FOUND}.json"
    if resume and not known.is_file():
        raise DataError(
            "there is no interrupted run of these pairs and settings",
            mend="Start it without --resume",
            folder=str(work),
        )
    state: dict[str, Any] = read_json(known) if resume else {"key": key}
    if state["key"] != key:
        raise DataError(
            "there is no interrupted run of these pairs and settings",
            mend="Start it without --resume",
            folder=str(work),
        )
    cache = work if cache is None else cache
    if "facts" in state:
        edges, confidence = (
            np.load(work / f"{FOUND}-{n}.npy", allow_pickle=False) for n in ("edges", "confidence")
        )
        found = Found(edges, confidence, state["facts"])
    else:
        write_json(known, state)
        found = _look(pairs, part, recipe, work, cache, resume, say)
        np.save(work / f"{FOUND}-edges.npy", found.edges, allow_pickle=False)
        np.save(work / f"{FOUND}-confidence.npy", found.confidence, allow_pickle=False)
        write_json(known, state | {"facts": found.facts})
    say(f"{len(found.edges):,} pairs that nobody gave")
    halves = not recipe.steps and found.facts["from"] == "first"
    last = replace(recipe, minutes=recipe.minutes / 2) if halves else recipe
    going = resume and (work / "run.json").is_file()
    run = Run(with_pseudo(pairs, found), part, last, work, resume=going, logs=logs, cache=cache, say=say)
    outcome = run.all()
    outcome.facts["pseudo"] = found.facts
    return outcome


def _look(
    pairs: PairSet, part: NDArray[np.int8], recipe: Recipe, work: Path, cache: Path, resume: bool, say: Say
) -> Found:
    first = recipe.pseudo_from == "first" and len(unlabelled(pairs, part, np.ones(len(pairs), bool))) > 1
    if first:
        folder = work / "first"
        going = resume and (folder / "run.json").is_file()
        folder.mkdir(parents=True, exist_ok=True)
        minutes = recipe.minutes / 2
        run = Run(
            pairs, part, replace(recipe, pseudo=0.0, minutes=minutes), folder, resume=going, cache=cache,
            say=lambda said: say(f"first round: {said}"),
        )  # fmt: skip
        body = run.all().body
    else:
        body = Body.load(replace(recipe.build, split_digits=False), plain=True)
    say("look for pairs that nobody gave")
    tokens = body.tokens(pairs.texts, pairs.query)
    use = ~body.unread(tokens)
    rows = np.flatnonzero(use & ~pairs.blank & ~pairs.query)
    vectors = np.zeros((len(pairs), body.dim), np.float32)
    vectors[rows] = body.encode([tokens[i] for i in rows], lambda n: say(f"vectors: {n:,} of {len(rows):,}"))
    found = find(pairs, part, use, vectors, recipe.pseudo, recipe.seed)
    return replace(found, facts={"from": "first" if first else "untuned", **found.facts})
