"""One self-contained HTML page of an evaluation: tables and SVG plots, nothing loaded from anywhere."""

from __future__ import annotations

import html
import io
from typing import Any

from wares.core.errors import MissingExtra
from wares.evaluate.report import GROUPS, Report

_STYLE = """
:root{--ink:#1d2733;--soft:#667085;--line:#e4e7ec;--good:#0b7a53}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif;color:var(--ink);max-width:1080px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:32px 0 8px}p{color:var(--soft);margin:4px 0 12px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:6px 10px;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child,td:first-child{text-align:left}
td small{color:var(--soft)}tr.ours td{font-weight:600;color:var(--good)}.plots{display:flex;flex-wrap:wrap;gap:16px}
.plots svg{width:100%;height:auto;max-width:500px}figure{margin:0;flex:1 1 420px}
"""
_COLOURS = {"wares": "#0b7a53", "popularity": "#b54708", "item-knn": "#175cd3", "own history": "#7a5af8"}


VIEWS = {
    "repeat_": "Only products that the shopper has bought before",
    "explore_": "Only products that the shopper has not bought before",
    "next_basket_": "The next basket: what was bought first, on one day",
    "next_basket_repeat_": "The next basket: what was bought again",
    "next_basket_explore_": "The next basket: what was bought for the first time",
}


def plots(report: Report) -> dict[str, str]:
    """SVG text of each plot: accuracy against tail share, Lorenz curve, recall by popularity decile."""
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("plots", "train") from error
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(
        {
            "svg.fonttype": "path",
            "svg.hashsalt": "wares",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        out = {
            "tail": _tail_plot(plt, report),
            "lorenz": _lorenz_plot(plt, report),
            "deciles": _decile_plot(plt, report),
        }
    return {name: svg for name, svg in out.items() if svg}


def _svg(plt: Any, figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _tail_plot(plt: Any, report: Report) -> str:
    curve = report.curves.get("tail", [])
    if not curve:
        return ""
    figure, axes = plt.subplots(figsize=(5, 3.4))
    axes.plot(
        [p["tail_share@10"] for p in curve],
        [p["ndcg@10"] for p in curve],
        "-o",
        color=_COLOURS["wares"],
        ms=4,
        label="wares, slider 0 to 1",
    )
    for point in curve:
        axes.annotate(
            f"{point['tail']:g}",
            (point["tail_share@10"], point["ndcg@10"]),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=8,
        )
        if point.get("chosen"):
            axes.plot(
                point["tail_share@10"], point["ndcg@10"], "o", ms=11, mfc="none", color=_COLOURS["wares"]
            )
    for name, values in report.baselines.items():
        axes.plot(
            values["tail_share@10"], values["ndcg@10"], "s", color=_COLOURS.get(name, "#444"), label=name
        )
    axes.set_xlabel("share of long-tail products in the first ten")
    axes.set_ylabel("NDCG@10")
    axes.set_title("Accuracy against tail share")
    axes.legend(frameon=False, fontsize=8)
    return _svg(plt, figure)


def _lorenz_plot(plt: Any, report: Report) -> str:
    figure, axes = plt.subplots(figsize=(5, 3.4))
    axes.plot([0, 1], [0, 1], ":", color="#98a2b3", lw=1)
    for name, points in report.curves.get("lorenz", {}).items():
        axes.plot(
            [p[0] for p in points], [p[1] for p in points], color=_COLOURS.get(name, "#444"), label=name
        )
    axes.set_xlabel("share of the catalogue, least shown first")
    axes.set_ylabel("share of all places")
    axes.set_title("Who gets the shelf (Lorenz curve)")
    axes.legend(frameon=False, fontsize=8)
    return _svg(plt, figure)


def _decile_plot(plt: Any, report: Report) -> str:
    deciles = report.curves.get("deciles", {})
    if not deciles:
        return ""
    figure, axes = plt.subplots(figsize=(5, 3.4))
    width = 0.8 / len(deciles)
    for number, (name, values) in enumerate(deciles.items()):
        axes.bar(
            [i + number * width for i in range(10)],
            values,
            width,
            color=_COLOURS.get(name, "#444"),
            label=name,
        )
    axes.set_xticks([i + 0.4 - width / 2 for i in range(10)], [str(i + 1) for i in range(10)])
    axes.set_xlabel("decile of popularity, best-sellers first")
    axes.set_ylabel("recall@20")
    axes.set_title("Recall by popularity")
    axes.legend(frameon=False, fontsize=8)
    return _svg(plt, figure)


def _cell(report: Report, values: dict[str, float], intervals: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return "<td>–</td>"
    bounds = intervals.get(name)
    small = f"<br><small>{bounds[0]:.4f}–{bounds[1]:.4f}</small>" if bounds else ""
    return f"<td>{value:.4f}{small}</td>"


def _table(report: Report, names: list[str]) -> str:
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    rows = [("wares", report.metrics, report.intervals, ' class="ours"')]
    rows += [(n, v, report.baseline_intervals.get(n, {}), "") for n, v in report.baselines.items()]
    body = "".join(
        f"<tr{style}><td>{html.escape(label)}</td>{''.join(_cell(report, values, intervals, n) for n in names)}</tr>"
        for label, values, intervals, style in rows
    )
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def page(report: Report) -> str:
    """The page as HTML text."""
    ks = sorted({int(n.split("@")[1]) for n in report.metrics if n.startswith("ndcg@")})
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>Evaluation</title><style>{_STYLE}</style><h1>How good the recommendations are</h1>",
        f"<p>{html.escape(_describe(report))}</p>",
        f"<p><code>{html.escape(report.command)}</code></p>",
    ]
    figures = plots(report)
    parts.append(
        "<div class=plots>" + "".join(f"<figure>{svg}</figure>" for svg in figures.values()) + "</div>"
    )
    parts.append(
        "<h2>Accuracy</h2><p>Mean over shoppers; the small figures are the 95% bootstrap interval.</p>"
    )
    parts.append(_table(report, [f"{m}@{k}" for m in ("hr", "recall", "ndcg", "mrr") for k in ks]))
    parts.append(
        "<h2>Breadth</h2><p>Coverage, concentration (Gini), novelty in bits, category diversity, share of the long tail.</p>"
    )
    parts.append(
        _table(
            report,
            [f"{m}@{k}" for m in ("coverage", "gini", "novelty", "diversity", "tail_share") for k in ks],
        )
    )
    parts.append("<h2>Best-sellers, middle, tail, and products never sold before</h2>")
    parts.append(
        _table(
            report, [f"{g}_{m}@{ks[-1]}" for g in (*GROUPS, "cold") for m in ("hr", "recall", "ndcg", "mrr")]
        )
    )
    if any(name.startswith("cold_users_") for name in report.metrics):
        parts.append("<h2>Shoppers of whom nothing is known</h2>")
        parts.append(_table(report, [f"cold_users_{m}@{k}" for m in ("hr", "recall", "ndcg") for k in ks]))
    for prefix, title in VIEWS.items():
        if any(name.startswith(prefix) for name in report.metrics):
            parts.append(f"<h2>{title}</h2>")
            parts.append(_table(report, [f"{prefix}{m}@{k}" for m in ("hr", "recall", "ndcg") for k in ks]))
    if report.differences:
        parts.append("<h2>Against the best baseline, shopper by shopper</h2>")
        parts.append(_differences(report, [f"{m}@{k}" for m in ("recall", "ndcg") for k in ks]))
    gained = [row for row in report.parts if "part" in row]
    if gained:
        parts.append("<h2>What each part of the learned ranker adds</h2><p>NDCG@10 on validation.</p>")
        parts.append(_gained(gained))
    return "".join(parts)


def _differences(report: Report, names: list[str]) -> str:
    rows = []
    for prefix in ("", *VIEWS):
        for name in names:
            apart = report.differences.get(prefix + name)
            if apart is not None:
                low, high = apart["interval"]
                rows.append(
                    f"<tr><td>{html.escape(prefix + name)}</td><td>{apart['mean']:+.4f}</td><td>{low:+.4f} to {high:+.4f}</td>"
                    f"<td>{html.escape(apart['against'])}</td></tr>"
                )
    head = "<tr><th>metric</th><th>difference</th><th>95% interval</th><th>best baseline</th></tr>"
    return f"<div class=scroll><table>{head}{''.join(rows)}</table></div>"


def _gained(rows: list[dict[str, Any]]) -> str:
    names = [name for name in ("ndcg@10", "repeat_ndcg@10", "explore_ndcg@10") if name in rows[0]]
    head = "".join(f"<th>{name}</th>" for name in ("part", *names))
    body = "".join(
        f"<tr><td>{html.escape(row['part'])}</td>"
        + "".join(f"<td>{row[name]:.4f}</td>" for name in names)
        + "</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"


def _describe(report: Report) -> str:
    facts = report.data
    return (
        f"{facts.get('users', '?')} shoppers, {facts.get('items', '?')} products, {facts.get('wanted', '?')} purchases to foresee; "
        f"split: {facts.get('split', '?')}; {'products may be bought again' if facts.get('repeats') else 'only products not had before'}; "
        f"seed {report.seed}; {report.seconds:.0f} s; peak memory {report.peak_rss_mb:.0f} MB."
    )
