"""``wares bench suggest``: proposals over generated phrases, key by key, beside SQLite FTS5 and tantivy on the same ones."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tantivy
import typer

from wares.cli import output
from wares.cli.main import Json
from wares.cli.tools import bench_app
from wares.core.arrays import seal
from wares.core.machine import peak_rss
from wares.core.text import has_han
from wares.models.search.analysis import lower
from wares.models.search.suggest import KIND, Suggester
from wares.models.search.suggest_text import typed_form
from wares.models.search.suggest_train import write

K = 8
HALF = 0.6
"""Quality is counted when this share of the letters is typed."""
CATEGORIES = 200
ONSETS = [*"bcdfghlmnprstvw", "st", "tr", "pl", "ch"]
RHYMES = [*"aeiou", "ar", "en", "il", "on"]
Propose = Callable[[str], Sequence[str]]


def register(app: typer.Typer) -> None:
    """Put ``wares bench suggest`` onto the group, once."""
    if not any(command.name == "suggest" for command in bench_app.registered_commands):
        bench_app.command("suggest", epilog="Example: `wares bench suggest --phrases 300000`")(bench_suggest)


def bench_suggest(
    phrases: Annotated[int, typer.Option(min=100, max=1_000_000, help="Generated phrases.")] = 300_000,
    targets: Annotated[
        int, typer.Option(min=10, max=20_000, help="Phrases that are typed, of each kind.")
    ] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of everything generated.")] = 7,
    json: Json = False,
) -> None:
    """Latency a key and how often the phrase that is meant is among eight proposals, by the way it is typed."""
    with output.stage_progress("bench", quiet=json) as stage:
        found = bench(phrases, targets, seed, stage)
    if json:
        output.print_json(found)
        return
    output.print_table(
        [
            "typed",
            "engine",
            "keys",
            "p50 ms",
            "p95 ms",
            "p95 ms of CPU",
            "p99 ms of CPU",
            f"recall@{K} at {HALF:.0%}",
        ],
        [
            [kind, engine, f["keys"], f["p50_ms"], f["p95_ms"], f["p95_cpu_ms"], f["p99_cpu_ms"], f["recall"]]
            for kind, engines in found["kinds"].items()
            for engine, f in engines.items()
        ],
        "Proposals, key by key",
    )
    output.out.print({name: value for name, value in found.items() if name != "kinds"})


def bench(n: int, targets: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Figures of `n` generated phrases, half English, half Chinese, of weights by Zipf's law."""
    rng = np.random.default_rng(seed)
    say("generate")
    texts = generate(n, rng)
    weights = 1e7 / np.arange(1, len(texts) + 1, dtype=np.float64)
    with tempfile.TemporaryDirectory(prefix="wares-bench-") as scratch:
        folder = Path(scratch) / "suggest"
        say("build")
        begun = time.perf_counter()
        codes = rng.integers(0, CATEGORIES, len(texts)).astype(np.int32)
        names = [f"Category {i:03d}" for i in range(CATEGORIES)]
        facts = write(folder, texts, weights, np.zeros(len(texts), np.uint8), codes, names)
        seal(folder, KIND, **facts)
        build = time.perf_counter() - begun
        disk = sum(p.stat().st_size for p in folder.iterdir())
        suggester = Suggester(folder)
        ours: Propose = lambda typed: [one.text for one in suggester.suggest(typed, K, scopes=0)]  # noqa: E731
        person = {int(code): 1.0 for code in rng.integers(0, CATEGORIES, 5)}
        ways = keyed(texts, suggester, targets, rng)
        kinds: dict[str, dict[str, Any]] = {}
        engines: dict[str, Propose] = {"wares": ours}
        say("peers")
        engines |= {"sqlite fts5": _sqlite(texts), "tantivy": _tantivy(texts, Path(scratch) / "tantivy")}
        for kind, pairs in ways.items():
            say(kind)
            kinds[kind] = measured(engines, pairs)
        say("person")
        pairs = ways["beginning"]
        kinds["beginning, person and scopes"] = measured(
            {"wares": lambda typed: [one.text for one in suggester.suggest(typed, K, person)]}, pairs
        )
    return {
        "kinds": kinds, "phrases": len(texts), "words": facts["words"], "starts": facts["starts"], "sounds": facts["sounds"],
        "build_s": round(build, 1), "disk_mb": round(disk / 2**20, 1), "peak_rss_mb": round(peak_rss() / 2**20, 1),
        "cores": os.cpu_count(), "seed": seed,
    }  # fmt: skip


def generate(n: int, rng: np.random.Generator) -> list[str]:
    """Distinct phrases, heaviest first: of made-up English words, and of real Chinese words of two characters."""
    from pypinyin.phrases_dict import phrases_dict

    syllables = [a + b for a in ONSETS for b in RHYMES]
    english = sorted({"".join(rng.choice(syllables, 2 + int(rng.integers(2)))) for _ in range(30_000)})
    chinese = sorted(word for word in phrases_dict if len(word) == 2 and all(map(has_han, word)))
    out: dict[str, None] = {}
    for words, seam in ((english, " "), (chinese, "")):
        # A few words are in very many phrases, as in a shop.
        share = 1.0 / np.arange(1, len(words) + 1) ** 0.7
        order = rng.permutation(len(words))
        target = len(out) + n // 2
        while len(out) < target:
            some = order[rng.choice(len(words), (n, 3), p=share / share.sum())]
            for row, size in zip(some.tolist(), rng.integers(1, 4, n).tolist(), strict=True):
                out[seam.join(words[i] for i in dict.fromkeys(row[:size]))] = None
                if len(out) == target:
                    break
    texts = list(out)
    return [texts[i] for i in rng.permutation(len(texts))]


def keyed(
    texts: list[str], suggester: Suggester, targets: int, rng: np.random.Generator
) -> dict[str, list[tuple[str, str]]]:
    """(whole text as it is typed, phrase that is meant) by the way of typing; targets are drawn by weight."""
    share = 1.0 / np.arange(1, len(texts) + 1) ** 0.5
    drawn = [texts[i] for i in rng.choice(len(texts), min(len(texts), 20 * targets), p=share / share.sum())]
    english = [text for text in drawn if not has_han(text)]
    several = [text for text in english if " " in text]
    chinese = [text for text in drawn if has_han(text) and len(text) > 2]
    sound = suggester.reading
    return {
        "beginning": [(text, text) for text in [*english[: targets // 2], *chinese[: targets // 2]]],
        "a later word first": [(" ".join(text.split()[::-1]), text) for text in several[:targets]],
        "with a slip": [(_slip(text, rng), text) for text in several[-targets:]],
        "pinyin": [(sound.of(text), text) for text in chinese[:targets]],
        "initials": [(sound.initials(text), text) for text in chinese[:targets]],
    }


def _slip(text: str, rng: np.random.Generator) -> str:
    """One letter of the first word, not its first, is lost, doubled, swapped with the next, or another."""
    end = text.index(" ")
    at = 1 + int(rng.integers(max(1, end - 2)))
    kind, other = int(rng.integers(4)), "aeiorstn"[int(rng.integers(8))]
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + other + text[at + 1 :]


def measured(engines: dict[str, Propose], pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Every prefix of what is typed, asked of each engine in turn."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    hits = dict.fromkeys(engines, 0)
    for typed, meant in pairs:
        enough = max(1, round(HALF * len(typed)))
        for length in range(1, len(typed) + 1):
            for name, propose in engines.items():
                begun, worked = time.perf_counter(), time.thread_time()
                found = propose(typed[:length])
                took[name].append((time.perf_counter() - begun, time.thread_time() - worked))
                hits[name] += length == enough and meant in found
    out: dict[str, Any] = {}
    for name, some in took.items():
        # The processor's time beside the clock's: on a machine that others use, only the first is the work's own.
        marks = 1000 * np.percentile(np.array(some), [50, 95, 99], axis=0)
        out[name] = {"keys": len(some), "recall": round(hits[name] / len(pairs), 3)}
        for place, mark in enumerate(("p50", "p95", "p99")):
            out[name] |= {f"{mark}_ms": round(float(marks[place, 0]), 2), f"{mark}_cpu_ms": round(float(marks[place, 1]), 2)}  # fmt: skip
    return out


def _sqlite(texts: list[str]) -> Propose:
    """FTS5 with prefix indexes, rows in the order of weight; Chinese by characters, for it has no segmenter."""
    base = sqlite3.connect(":memory:")
    base.execute("create virtual table phrases using fts5(words, prefix='1 2 3')")
    base.executemany(
        "insert into phrases(rowid, words) values (?, ?)",
        ((i + 1, _spaced(text)) for i, text in enumerate(texts)),
    )

    def propose(typed: str) -> list[str]:
        words = _spaced(typed_form(typed)).split()
        if not words:
            return []
        match = " ".join(f'"{word}"' for word in words) + "*"
        rows = base.execute(
            "select rowid from phrases where phrases match ? order by rowid limit ?", (match, K)
        )
        return [texts[row - 1] for (row,) in rows]

    return propose


def _tantivy(texts: list[str], folder: Path) -> Propose:
    """Terms with one mistake from four letters on, the last one begun, in the order of weight."""
    folder.mkdir()
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("words", tokenizer_name="default", index_option="basic")
    builder.add_integer_field("row", fast=True, stored=True)
    schema = builder.build()
    index = tantivy.Index(schema, str(folder))
    writer = index.writer(128 << 20, 1)
    for i, text in enumerate(texts):
        writer.add_document(tantivy.Document(words=_spaced(text), row=i))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()
    query = tantivy.Query

    def propose(typed: str) -> list[str]:
        words = _spaced(typed_form(typed)).split()
        if not words:
            return []
        parts = [
            query.fuzzy_term_query(schema, "words", word, int(len(word) >= 4), True, i == len(words) - 1)
            for i, word in enumerate(words)
        ]
        whole = query.boolean_query([(tantivy.Occur.Must, part) for part in parts])
        hits = searcher.search(whole, K, order_by_field="row", order=tantivy.Order.Asc).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return [texts[row] for row in rows]

    return propose


def _spaced(text: str) -> str:
    return "".join(f" {ch} " if has_han(ch) else ch for ch in lower(text))
