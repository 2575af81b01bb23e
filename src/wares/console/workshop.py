"""The workshop: tables with versions and quality, the last evaluation, the live bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nicegui import ui
from starlette.responses import FileResponse, PlainTextResponse, Response

from wares.console import roles
from wares.console.frame import frame, said, shelf, t, table
from wares.console.words import add_words
from wares.core.files import read_json

METRICS = (
    "ndcg@10", "recall@10", "hr@10", "mrr@10", "coverage@10", "tail_share@10", "gini@10", "novelty@10", "diversity@10",
    "head_recall@20", "middle_recall@20", "tail_recall@20", "cold_recall@20", "cold_users_ndcg@10", "explore_ndcg@10",
)  # fmt: skip


def register(workspace: Path) -> None:
    """Put the pages onto the application."""

    @ui.page("/workshop")
    def workshop() -> None:
        with frame("workshop"):
            ui.html(f"<h1>{t('workshop')}</h1>", sanitize=False)
            _waiting()
            _assets()
            _evaluation(workspace)
            _bundle()

    from nicegui import app

    @app.get("/workshop/report")
    def report() -> Response:
        page = workspace / "evaluations" / "latest.html"
        return (
            FileResponse(page, media_type="text/html")
            if page.is_file()
            else PlainTextResponse("run `wares evaluate` first", 404)
        )


def _age(at: str) -> str:
    hours = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() / 3600
    return t("hours", n=int(hours)) if hours < 48 else t("days", n=int(hours / 24))


add_words(
    {
        "waiting": ("Waiting for you", "待办事项"),
        "waiting_broken": ("{n} broken checks", "{n} 项检查未通过"),
        "waiting_quarantine": ("{n} rows in quarantine", "{n} 行在隔离区"),
        "waiting_pairs": ("{n} doubtful pairs of products", "{n} 对疑似相同商品"),
        "waiting_labels": ("{n} texts to label", "{n} 条待标注"),
        "waiting_disputes": ("{n} disputes between annotators", "{n} 条标注分歧"),
        "waiting_nothing": ("Nothing waits. All checks passed and the queues are empty.", "没有待办：检查均通过，队列为空。"),
    }
)  # fmt: skip


def waiting() -> list[tuple[str, int, str]]:
    """What a person could do next, as (word, how many, path); nothing of tables that the visitor's role may not read."""
    from wares.data.fusion.run import CLUSTERS
    from wares.data.labels import LabelBook, disputes
    from wares.data.quality.history import History
    from wares.data.quality.release import open_counts

    shop = roles.workspace()
    checks = History(shop.state)
    broken = sum(
        check["status"] != "passed"
        for name, last in checks.latest().items()
        if roles.readable(name)
        for check in checks.checks(last["id"])
    )
    aside = sum(row["rows"] for row in open_counts(shop.store, shop.state) if roles.readable(row["table"]))
    pairs = (
        shop.fuser.book.left() if shop.store.exists(CLUSTERS) and roles.may_change(roles.current()[1]) else 0
    )
    book = LabelBook.of(shop)
    projects = book.projects()
    counts = [book.progress(project) for project in projects]
    found = [
        ("waiting_broken", broken, "/workshop/quality"),
        ("waiting_quarantine", aside, "/workshop/quarantine"),
        ("waiting_pairs", pairs, "/workshop/fusion"),
        ("waiting_labels", sum(n["items"] - n["done"] for n in counts), "/workshop/labels"),
        ("waiting_disputes", sum(len(disputes(book, p)) for p in projects), "/workshop/labels"),
    ]
    return [row for row in found if row[1]]


def _waiting() -> None:
    rows = waiting()
    ui.html(f"<h2>{t('waiting')}</h2>", sanitize=False)
    with ui.element("div").classes("panel").style("display:flex;flex-wrap:wrap;gap:6px 26px"):
        if not rows:
            ui.label(t("waiting_nothing")).classes("note")
        for word, n, path in rows:
            ui.link(t(word, n=f"{n:,}"), path).style("color:#0b6b49;font-weight:600;padding:4px 0")


def _assets() -> None:
    ui.html(f"<h2>{t('assets')}</h2>", sanitize=False)
    newest: dict[str, dict[str, Any]] = {}
    for row in shelf().state.versions():
        if row["asset"] not in newest or row["version"] > newest[row["asset"]]["version"]:
            newest[row["asset"]] = row
    rows = []
    for _, row in sorted(newest.items()):
        read = max(int(row["quality"]["read"]), 1)
        rows.append(
            [
                row["asset"],
                row["version"],
                f"{row['rows']:,}",
                f"{row['quarantined']:,}",
                f"{100 * (1 - row['quarantined'] / read):.2f} %",
                _age(row["at"]),
            ]
        )
    with ui.element("div").classes("panel"):
        table(
            [t("asset"), t("version"), t("rows"), t("quarantined"), t("quality"), t("age")],
            rows,
            link="/workshop/asset/",
        )


def _evaluation(workspace: Path) -> None:
    ui.html(f"<h2>{t('evaluation')}</h2>", sanitize=False)
    path = workspace / "evaluations" / "latest.json"
    with ui.element("div").classes("panel"):
        if not path.is_file():
            ui.label(t("no_evaluation"))
            return
        report = read_json(path)
        facts = report["data"]
        ui.label(
            t(
                "facts",
                users=f"{facts['users']:,}",
                items=f"{facts['items']:,}",
                split=said(str(facts["split"])),
                seed=report["seed"],
            )
        ).classes("note")
        with ui.element("div").classes("plots"):
            for name in ("tail", "lorenz", "deciles"):
                plot = path.parent / f"{name}.svg"
                if plot.is_file():
                    ui.html(plot.read_text("utf-8"), sanitize=False)
        names = [m for m in METRICS if m in report["metrics"]]
        rows = []
        for name in names:
            low_high = report["intervals"].get(name)
            ours = f"{report['metrics'][name]:.4f}" + (
                f" ({low_high[0]:.4f}–{low_high[1]:.4f})" if low_high else ""
            )
            rows.append(
                [
                    name,
                    ours,
                    *(
                        f"{values[name]:.4f}" if name in values else "–"
                        for values in report["baselines"].values()
                    ),
                ]
            )
        table([t("metric"), "wares", *report["baselines"]], rows)
        ui.link(t("full_report"), "/workshop/report", new_tab=True).style("color:#0b6b49;font-weight:600")


def _bundle() -> None:
    manifest = shelf().ranker.manifest
    ui.html(f"<h2>{t('bundle')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        ui.label(str(manifest["name"])).style("font-family:monospace;font-size:16px")
        ui.label(f"{t('made')}: {str(manifest['created'])[:19]} UTC").classes("note")
        versions = [[f"{name}", f"v{version}"] for name, version in manifest["versions"].items()]
        table([t("parts"), ""], [*versions, *([name, value] for name, value in manifest["parts"].items())])
