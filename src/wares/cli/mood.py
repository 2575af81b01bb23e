"""``wares mood``, ``wares alerts``, ``wares evaluate monitoring`` and ``wares report moods``: how products are felt about over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from wares.cli import output
from wares.cli.main import Json, Shop, _open
from wares.cli.tools import evaluate_app
from wares.core.errors import NotFitted, NotFound

alerts_app = typer.Typer(
    no_args_is_help=True, help="Alerts about moods: list, evidence, acknowledge, mute, history, watch."
)
report_app = typer.Typer(no_args_is_help=True, help="Reports for people: what is felt about products.")

Alert = Annotated[str, typer.Argument(metavar="ALERT", help="Its id, from `wares alerts list`.")]
Language = Annotated[str, typer.Option(help="Of the words: en or zh.")]
Note = Annotated[str, typer.Option(help="Why; kept in its history.")]
BARS = "▁▂▃▄▅▆▇█"


def register(app: typer.Typer) -> None:
    """Put the commands onto `app`, once."""
    if any(command.name == "mood" for command in app.registered_commands):
        return
    app.command("mood", epilog="Example: `wares mood sku-1 --json`")(mood)
    app.add_typer(alerts_app, name="alerts")
    app.add_typer(report_app, name="report")
    alerts_app.command("list", epilog="Example: `wares alerts list --all --json`")(listed)
    alerts_app.command("evidence", epilog="Example: `wares alerts evidence 3f2a9c01d4b7`")(evidence)
    alerts_app.command("ack", epilog="Example: `wares alerts ack 3f2a9c01d4b7 --note 'new batch ordered'`")(
        ack
    )
    alerts_app.command("mute", epilog="Example: `wares alerts mute 3f2a9c01d4b7`")(mute)
    alerts_app.command("reopen", epilog="Example: `wares alerts reopen 3f2a9c01d4b7`")(reopen)
    alerts_app.command("history", epilog="Example: `wares alerts history 3f2a9c01d4b7`")(history)
    alerts_app.command("watch", epilog="Example: `wares alerts watch --json`")(watch)
    evaluate_app.command(
        "monitoring",
        epilog="Example: `wares evaluate monitoring --texts reviews.csv.gz --text review --label label --histories 200 --json`",
    )(monitoring)
    report_app.command(
        "moods",
        epilog="Examples: `wares report moods --shop shop` · `wares report moods --file reviews.csv --text verified_reviews --rating rating --date date --product variation`",
    )(report_moods)


def _built(shop: Path) -> tuple[Any, Any]:
    """The moods and the catalogue of the last build."""
    from wares.features.catalogue import Catalogue
    from wares.models.sentiment.moods import Moods
    from wares.pipeline.moods import MOODS

    workspace = _open(shop)
    done = workspace._latest()["done"]
    if MOODS not in done:
        raise NotFitted(
            "the last build, of an earlier version, knows nothing of moods", mend="Run `wares build`"
        )
    return Moods.load(workspace.root / done[MOODS]), Catalogue(workspace.root / done["catalogue"])


def mood(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="Its id.")],
    language: Language = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """How a product is felt about: its mood with interval, its course, its aspects with complaints and praise, and what changed."""
    from wares.models.sentiment.mood_json import mood_json

    language = output.check_language(language)
    moods, catalogue = _built(shop)
    row = catalogue.row(product)
    if row < 0:
        raise NotFound(f"there is no product {product!r}", mend="`wares search` finds ids", id=product)
    found = mood_json(moods, catalogue, row, language)
    if json:
        output.print_json(found)
        return
    low, high = found["interval"]
    output.out.print(
        f"[bold]{escape(found['title'] or product)}[/]  {escape(found['category'])}", highlight=False
    )
    output.out.print(
        f"mood [bold]{found['mood']:+.2f}[/] ({low:+.2f} to {high:+.2f}), {found['word']}; {found['texts']:g} texts",
        highlight=False,
    )
    if not found["texts"]:
        output.out.print("Nobody has spoken of it: this is what is usual in the shop.")
        return
    if found["trend"]:
        before, now = found["trend"]["before"], found["trend"]["lately"]
        output.out.print(
            f"last 90 days {now['mood']:+.2f} ({now['texts']:g} texts), the year before {before['mood']:+.2f} ({before['texts']:g})",
            highlight=False,
        )
    if found["course"]:
        last = found["course"][-26:]
        output.out.print(
            f"{last[0]['date']} {_bars([p['mood'] for p in last])} {last[-1]['date']}", highlight=False
        )
    rows = [
        [a["name"], a["mood"], a["complaints"], a["praise"], _said(a["quotes"])] for a in found["aspects"]
    ]
    if rows:
        output.print_table(["aspect", "mood", "complaints", "praise", "said"], rows)
    for alarm in found["alarms"]:
        output.out.print(
            f"[bold]{alarm['date']}[/] {escape(alarm['what'])}. {escape(alarm['words'])}", highlight=False
        )


def _bars(moods: list[float]) -> str:
    """Moods of -1..1 as blocks."""
    return "".join(BARS[min(int((m + 1) / 2 * len(BARS)), len(BARS) - 1)] for m in moods)


def _said(quotes: list[dict[str, Any]]) -> str:
    return quotes[0]["says"].strip()[:70] if quotes else ""


def _rows(shop: Path, states: tuple[str, ...], language: str) -> list[dict[str, Any]]:
    from wares.core.mood_alerts import MoodAlerts
    from wares.models.sentiment.mood_json import alert_json

    moods, catalogue = _built(shop)
    return [alert_json(row, moods, catalogue, language) for row in MoodAlerts(_open(shop).state).all(states)]


def listed(
    all_: Annotated[bool, typer.Option("--all", help="Also acknowledged, muted and resolved ones.")] = False,
    language: Language = "en",
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """Alerts about moods, newest first."""
    from wares.core.mood_alerts import OPEN, STATES

    found = _rows(shop, STATES if all_ else (OPEN,), output.check_language(language))
    if json:
        output.print_json(found)
        return
    if not found:
        output.out.print("No alerts.")
        return
    output.print_table(
        ["id", "state", "date", "what"],
        [[r["id"], r["state"], r["day"], r["what"]] for r in found],
        "Alerts about moods",
    )


def _one(shop: Path, alert: str, language: str) -> dict[str, Any]:
    from wares.core.mood_alerts import MoodAlerts
    from wares.models.sentiment.mood_json import alert_json

    row = MoodAlerts(_open(shop).state).one(alert)
    moods, catalogue = _built(shop)
    return alert_json(row, moods, catalogue, language)


def evidence(alert: Alert, language: Language = "en", shop: Shop = Path(), json: Json = False) -> None:
    """What an alert rests on: its figures, the rate of false alarms, and the texts that say so."""
    found = _one(shop, alert, output.check_language(language))
    if json:
        output.print_json(found)
        return
    output.out.print(f"[bold]{escape(found['what'])}[/]  ({found['state']})", highlight=False)
    output.out.print(escape(found["words"]), highlight=False)
    for also in found["numbers"].get("also", []):
        output.out.print(f"also seen: {escape(also)}", highlight=False)
    for quote in found["evidence"]:
        output.out.print(
            f"  {quote['date'] or '':10} {quote['mood']:+.2f}  {escape(quote['says'].strip())}",
            highlight=False,
        )


def _decide(shop: Path, alert: str, state: str, note: str, json: bool) -> None:
    from wares.core.mood_alerts import MoodAlerts
    from wares.data.access.door import user

    workspace = _open(shop)
    row = MoodAlerts(workspace.state).decide(alert, state, user(), workspace.clock.now(), note)
    output.print_json(row) if json else output.out.print(f"{alert}: {state}")


def ack(alert: Alert, note: Note = "", shop: Shop = Path(), json: Json = False) -> None:
    """Somebody has seen it and acts."""
    _decide(shop, alert, "acknowledged", note, json)


def mute(alert: Alert, note: Note = "", shop: Shop = Path(), json: Json = False) -> None:
    """No more alerts of this kind on this series."""
    _decide(shop, alert, "muted", note, json)


def reopen(alert: Alert, note: Note = "", shop: Shop = Path(), json: Json = False) -> None:
    """Take back what was decided."""
    _decide(shop, alert, "open", note, json)


def history(alert: Alert, shop: Shop = Path(), json: Json = False) -> None:
    """What became of an alert: when, what, who, why."""
    from wares.core.mood_alerts import MoodAlerts

    alerts = MoodAlerts(_open(shop).state)
    alerts.one(alert)
    found = alerts.history(alert)
    if json:
        output.print_json(found)
        return
    output.print_table(
        ["at", "event", "who", "note"], [[h["at"][:19], h["event"], h["who"], h["note"]] for h in found]
    )


def watch(shop: Shop = Path(), json: Json = False) -> None:
    """Compare what the last build noticed with what is known; what is new is told on the channels of data quality."""
    found = _open(shop).watch_moods()
    if json:
        output.print_json(found)
        return
    output.out.print(
        f"{len(found['new'])} new, {len(found['resolved'])} resolved, {found['open']} open; {found['asked']} texts put into the labelling queue"
    )


def monitoring(
    texts: Annotated[
        list[Path],
        typer.Option(help="Labelled texts: CSV, JSON Lines, Parquet; gz, zst; may be given several times."),
    ],
    text: Annotated[str, typer.Option(help="The column of texts.")] = "text",
    label: Annotated[
        str,
        typer.Option(help="The column of labels, from bad to good: numbers, or negative, neutral, positive."),
    ] = "label",
    histories: Annotated[
        int, typer.Option(min=20, max=2000, help="With a change, and as many without.")
    ] = 200,
    false_alarms: Annotated[
        float, typer.Option(min=0.01, max=2, help="A product-year, that both rules are set to.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Of the splits and histories.")] = 7,
    json: Json = False,
) -> None:
    """Plant changes of mood in simulated histories of these texts: how soon they are noticed, and how often nothing is."""
    from wares.evaluate.monitoring import MonitoringTask, evaluate_monitoring

    output.check_files(*texts)
    task = MonitoringTask(tuple(texts), text, label, histories, false_alarms, seed)
    with output.stage_progress("monitoring", quiet=json) as stage:
        found = evaluate_monitoring(task, stage)
    if json:
        output.print_json(found)
        return
    names = {
        "wares": "wares", "fixed_tuned": "fixed threshold, tuned", "wares_as_fixed_tuned": "wares at the same false alarms",
        "fixed_usual": "fixed threshold, usual", "wares_as_fixed_usual": "wares at the same false alarms",
    }  # fmt: skip
    rows = [
        [title, _with(found[n]["false_alarms_per_product_year"], found[n]["false_alarms_interval"]), f"{found[n]['caught']:.0%}", _with(found[n]["delay_days"], found[n]["delay_days_interval"], 1), f"{found[n]['delay_days_median']:.0f}", _with(found[n]["delay_texts"], found[n]["delay_texts_interval"], 1)]
        for n, title in names.items()
    ]  # fmt: skip
    output.print_table(
        ["rule", "false alarms a product-year", f"caught in {found['followed_days']} days", "delay, days", "median", "delay, texts"], rows,
        f"{found['histories']} histories with a change and as many without; {found['pool']} real texts; the classifier is right on {found['classifier']['accuracy_on_pool']:.1%}",
    )  # fmt: skip
    for other in ("fixed_tuned", "fixed_usual"):
        gain, rule = found[f"earlier_than_{other}"], found[other]["rule"]
        output.out.print(
            f"earlier than {names[other]} (above {rule['share']:.0%} of at least {rule['texts']} texts in 7 days, {rule['counted']}) by {_with(gain['days'], gain['interval'], 1)} days: "
            f"earlier {gain['earlier']:.0%}, same day or neither {gain['same_day']:.0%}, later {gain['later']:.0%}", highlight=False,
        )  # fmt: skip
    output.out.print(
        f"not found in {found['followed_days']} days counts as {found['followed_days']}; {found['seconds']:.0f} s"
    )


def _with(value: float, interval: list[float], digits: int = 2) -> str:
    return f"{value:.{digits}f} ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def report_moods(
    file: Annotated[
        Path | None,
        typer.Option(help="Reviews in place of the workspace: CSV, JSON Lines, Parquet; gz, zst."),
    ] = None,
    text: Annotated[str, typer.Option(help="The file's column of texts.")] = "text",
    rating: Annotated[str, typer.Option(help="The file's column of stars; empty: none.")] = "",
    date: Annotated[str, typer.Option(help="The file's column of dates; empty: undated.")] = "",
    product: Annotated[str, typer.Option(help="The file's column of products; empty: all are one.")] = "",
    category: Annotated[str, typer.Option(help="The file's column of categories; empty: none.")] = "",
    products: Annotated[
        int, typer.Option(min=1, max=500, help="How many products the report goes into.")
    ] = 10,
    out: Annotated[Path | None, typer.Option(help="Write the report into this Markdown file.")] = None,
    shop: Shop = Path(),
    json: Json = False,
) -> None:
    """What a product manager reads: moods with intervals, trends, top complaints and praise with quotes, alerts, what to check."""
    from wares.pipeline.mood_report import markdown, report_of, report_of_file

    if file is not None:
        output.check_files(file)
        with output.stage_progress("moods", quiet=json) as stage:
            found = report_of_file(file, text, rating, date, product, category, products, stage)
    else:
        moods, catalogue = _built(shop)
        found = report_of(moods, catalogue, products)
    if out is not None:
        out.write_text(markdown(found), encoding="utf-8")
    if json:
        output.print_json(found)
    elif out is None:
        output.out.print(markdown(found), markup=False, highlight=False)
    else:
        output.out.print(f"written to {out}")
