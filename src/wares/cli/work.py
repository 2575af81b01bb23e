"""The longer commands: demo, ingest, build, evaluate."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from wares.cli import output
from wares.core import columns as c
from wares.core.config import FILE


def make_demo(folder: Path, *, evaluate: bool, quiet: bool) -> dict[str, Any]:
    """Make or complete the demo shop; returns facts and seconds of each part."""
    from wares.data.demo import CONFIG, licence_note, write_exports
    from wares.pipeline.workspace import init_workspace, open_workspace

    say = (lambda _: None) if quiet else output.err.print
    seconds: dict[str, float] = {}
    begun = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        seconds[name] = round(time.perf_counter() - begun, 1)
        begun = time.perf_counter()

    if not (folder / FILE).exists():
        say(f"Data: {escape(licence_note())}")
        write_exports(folder / "exports")
        init_workspace(folder, CONFIG)
        lap("export")
    shop = open_workspace(folder)
    if not all(shop.store.exists(table) for table in (c.PRODUCTS, c.EVENTS, c.PRICES)):
        run_ingest(shop, "", "", {}, as_json=False, quiet=quiet)
        lap("ingest")
    report = run_build(shop, as_json=False, quiet=quiet)
    lap("build")
    bundle = shop.publish()
    lap("publish")
    if evaluate:
        with output.stage_progress("evaluate", quiet=quiet) as stage:
            # What each part adds is a question for later: `wares evaluate` answers it.
            result = shop.evaluate(stage, parts=False)
        lap("evaluate")
        if not quiet and report.ran:
            print_report(result)
    return {
        "workspace": str(shop.root),
        "bundle": bundle.name,
        "seconds": seconds,
        "ran": report.ran,
        "peak_rss_mb": report.peak_rss_mb,
        "licence": licence_note(),
    }


def run_ingest(
    shop: Any, path: str, table: str, options: dict[str, Any], *, as_json: bool, quiet: bool = False
) -> bool:
    """Land sources and print what became of their rows; returns whether a blocking rule broke."""
    with output.stage_progress("ingest", quiet=as_json or quiet) as stage:
        reports = shop.ingest(path, table, lambda rows: stage(f"{rows:,} rows read"), **options)
    if as_json:
        output.print_json([asdict(r) for r in reports])
    elif not quiet:
        rows = [
            [r.table, Path(r.source).name, r.read, r.added, r.changed, r.same, r.quarantined] for r in reports
        ]
        output.print_table(["table", "source", "read", "new", "changed", "same", "quarantined"], rows)
        for report in reports:
            for rule, count in report.rules.items():
                sign = "[red]blocking[/]" if rule in report.blocking else "[yellow]set aside[/]"
                output.out.print(
                    f"  {sign} {report.table}: {count:,} rows broke {escape(rule)} (see `wares quarantine {report.table}`)"
                )
            for warning in report.warnings:
                output.out.print(f"  [yellow]warning[/] {escape(warning)}")
    return any(r.blocking for r in reports)


def run_build(shop: Any, *, as_json: bool, quiet: bool = False) -> Any:
    """Build with a bar a step."""
    with output.step_progress(quiet=as_json or quiet) as tick:
        report = shop.build(tick)
    if as_json:
        output.print_json(asdict(report))
    elif not quiet:
        done = f"made {', '.join(report.ran)}" if report.ran else "everything was fresh"
        output.out.print(f"Build: {done}; {report.seconds:.0f} s, peak memory {report.peak_rss_mb:.0f} MB")
    return report


VIEWS = ("repeat_", "explore_", "next_basket_", "next_basket_repeat_", "next_basket_explore_")


def print_parts(report: Any) -> None:
    """Each part alone and each blend, with the spread over seeds."""
    rows = []
    for row in report.parts:
        cells = [
            f"{row[m]:.4f}" + (f" ± {row[f'{m}_sd']:.4f}" if row["seeds"] > 1 else "")
            for m in ("hr@10", "ndcg@10", "hr@20", "bottom80_recall@20")
        ]
        weight = " ".join(f"{w:.2f}" for w in report.model.get("weights", {}).get(row["name"], []))
        rows.append([row["name"], row["trained_on"], *cells, weight])
    names = ["part", "trained on", "HR@10", "NDCG@10", "HR@20", "recall@20, bottom 80%", "weight by activity"]
    output.print_table(names, rows, "Parts and blends")


def print_report(report: Any) -> None:
    """The main figures of an evaluation, beside the baselines."""
    ks = sorted({int(name.split("@")[1]) for name in report.metrics if name.startswith("ndcg@")})
    k = 10 if 10 in ks else ks[0]
    last = ks[-1]
    names = [
        f"{m}@{k}"
        for m in ("hr", "recall", "ndcg", "mrr", "coverage", "gini", "novelty", "diversity", "tail_share")
    ]
    names += [f"{g}_recall@{last}" for g in ("head", "middle", "tail", "cold")]
    names += [
        n
        for n in (
            f"cold_users_ndcg@{k}",
            *(f"{view}{m}@{k}" for view in VIEWS for m in ("ndcg", "recall")),
            f"explore_coverage@{k}",
        )
        if n in report.metrics
    ]
    rows = []
    for name in names:
        bounds = report.intervals.get(name)
        ours = f"{report.metrics[name]:.4f}" + (f" ({bounds[0]:.4f}–{bounds[1]:.4f})" if bounds else "")
        others = []
        for base, values in report.baselines.items():
            bounds = report.baseline_intervals.get(base, {}).get(name)
            others.append(
                "–"
                if name not in values
                else f"{values[name]:.4f}" + (f" ({bounds[0]:.4f}–{bounds[1]:.4f})" if bounds else "")
            )
        apart = report.differences.get(name)
        against = (
            f"{apart['mean']:+.4f} ({apart['interval'][0]:+.4f}–{apart['interval'][1]:+.4f})"
            if apart
            else "–"
        )
        rows.append([name, ours, *others, against])
    output.print_table(
        ["metric", "wares", *report.baselines, "against the best of them"],
        rows,
        "Evaluation, with 95% intervals",
    )
    gained = [row for row in report.parts if "part" in row]
    if gained:
        names = [n for n in ("ndcg@10", "repeat_ndcg@10", "explore_ndcg@10") if n in gained[0]]
        rows = [[row["part"], *(f"{row[n]:.4f}" for n in names)] for row in gained]
        output.print_table(["learned ranker", *names], rows, "What each part adds, on validation")
