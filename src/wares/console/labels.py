"""The labelling pages: projects with progress and agreement, a desk worked by keyboard alone, and disputes to settle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from nicegui import app, events, ui

from wares.console.frame import SECTIONS, frame, said, shelf, t, table
from wares.console.roles import as_seen
from wares.console.roles import current as visitor
from wares.console.words import add_words
from wares.core.errors import WaresError
from wares.data.labels import LabelBook, Project, Queue, adjudicate, disputes, measure

SHOWN = 3_000
"""Characters of a text that are shown before one asks for all."""

WORDS: dict[str, tuple[str, str]] = {
    "labels": ("Labels", "标注"),
    "label_none": (
        "No labelling project yet. Make one: wares label create mood --kind sentiment",
        "还没有标注项目。请运行：wares label create mood --kind sentiment",
    ),
    "label_project": ("Project", "项目"),
    "label_kind": ("Task", "任务"),
    "label_done": ("Done", "完成"),
    "label_answers": ("Answers", "标注数"),
    "label_again": ("To check again", "待复查"),
    "label_alpha": ("Agreement (alpha)", "一致性 (alpha)"),
    "label_disputes": ("Disputes", "分歧"),
    "label_start": ("Start labelling", "开始标注"),
    "label_settle": ("Settle disputes ({n})", "裁决分歧（{n}）"),
    "label_all": ("All projects", "全部项目"),
    "label_annotators": ("Annotators", "标注员"),
    "label_annotator": ("Annotator", "标注员"),
    "label_same": ("Same as others", "与他人一致"),
    "label_accuracy": ("Accuracy, estimated", "估计准确率"),
    "label_seconds": ("Seconds", "秒"),
    "label_odd": (
        "{who} disagrees with everyone. Their answers can be left out: wares label exclude {project} {who}",
        "{who} 与所有人不一致。可排除其标注：wares label exclude {project} {who}",
    ),
    "label_name": ("Your name", "您的名字"),
    "label_name_hint": ("It stays with every label", "每条标注都会记录"),
    "label_begin": ("Begin", "开始"),
    "label_empty": ("Nothing left for you here. Thank you!", "这里没有您的任务了，谢谢！"),
    "label_keys": (
        "1–{n} answer · s skip · u undo · ← → look back",
        "1–{n} 选择 · s 跳过 · u 撤销 · ← → 回看",
    ),
    "label_more_keys": ("a–z for the others", "其余用字母"),
    "label_undo": ("Undo", "撤销"),
    "label_skip": ("Skip", "跳过"),
    "label_undone": ("Taken back", "已撤销"),
    "label_nothing": ("Nothing to take back", "没有可撤销的"),
    "label_you": ("{n} by you in this sitting", "本次您已标注 {n} 条"),
    "label_of": ("{done} of {items} done", "已完成 {done} / {items}"),
    "label_from": ("from {asset}, version {version}", "来自 {asset}，版本 {version}"),
    "label_from_file": ("from {asset}", "来自 {asset}"),
    "label_why": ("Why this one: {reason}", "为什么是这条：{reason}"),
    "label_yours": ("Your answer: {value}", "您的答案：{value}"),
    "label_show_all": ("Show all {n} characters", "显示全部 {n} 个字符"),
    "label_evidence": ("What is known besides", "其他信息"),
    "label_settled": ("No open disputes.", "没有待裁决的分歧。"),
    "label_denied": (
        "Your role ({role}) may not read these texts. Choose another above, or show it the column: docs/labels.md.",
        "当前角色（{role}）不能阅读这些文本。请在上方切换角色，或为其开放该列：docs/labels.md。",
    ),
    "label_left": ("{n} open", "剩余 {n} 条"),
    "label_settle_keys": ("1–{n} decide · ← → other disputes", "1–{n} 裁决 · ← → 其他分歧"),
}
LETTERS = "abcdefghijklmnopqrtvwxyz"
"""Keys for the tenth answer and on, without s and u."""

STYLE = """
.desk{display:flex;flex-direction:column;gap:14px;max-width:820px;margin:0 auto;width:100%}
.desk .ask{font-size:20px;font-weight:700;line-height:1.3}
.desk .judged{font-size:19px;line-height:1.65;white-space:pre-wrap;overflow-wrap:anywhere;max-height:46vh;overflow-y:auto}
.desk .part{font-size:12.5px;color:var(--soft);text-transform:uppercase;letter-spacing:.04em;margin-bottom:2px}
.desk .pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:12px}
.choices{display:flex;flex-wrap:wrap;gap:8px}
.choice{border:1px solid #b9c4cf;border-radius:9px;background:#fff;padding:10px 16px 10px 10px;font-size:16px;display:flex;gap:10px;align-items:center;cursor:pointer;min-height:46px;color:var(--ink);overflow-wrap:anywhere;text-align:left}
.choice:hover,.choice.on{border-color:var(--good);background:#eef7f2}
.key{border:1px solid #b9c4cf;border-bottom-width:3px;border-radius:6px;min-width:26px;text-align:center;font-size:14px;font-weight:700;padding:0 5px;background:#f4f6f5;color:#33414f}
.quiet{background:transparent;border-color:transparent;color:#33414f}
.bar{height:8px;background:#e4e7ec;border-radius:5px;overflow:hidden}.bar>div{height:8px;background:var(--good)}
.evidence{display:grid;grid-template-columns:minmax(90px,auto) 1fr;gap:3px 16px;font-size:14px}
.evidence>:nth-child(odd){color:var(--soft)}.evidence>:nth-child(even){overflow-wrap:anywhere}
.button{display:inline-block;background:var(--good);color:#fff!important;border-radius:8px;padding:9px 16px;text-decoration:none;font-weight:600}
.button.second{background:#fff;color:var(--good)!important;border:1px solid var(--good)}
.said{font-size:14px;color:var(--soft)}
"""


def register(workspace: Path) -> None:
    """Put the pages onto the application."""
    add_words(WORDS)
    if ("labels", "/workshop/labels") not in SECTIONS:
        SECTIONS.append(("labels", "/workshop/labels"))

    def book() -> LabelBook:
        from wares.pipeline.workspace import open_workspace

        opened = open_workspace(workspace)
        return LabelBook(shelf().state, opened.clock, opened.audit)

    @ui.page("/workshop/labels")
    def overview() -> None:
        with _page():
            _overview(book())

    @ui.page("/workshop/labels/{name}")
    def project(name: str) -> None:
        with _page():
            _found(book(), name, _project)

    @ui.page("/workshop/labels/{name}/desk")
    def desk(name: str) -> None:
        with _page():
            _found(book(), name, _desk)

    @ui.page("/workshop/labels/{name}/settle")
    def settle(name: str) -> None:
        with _page():
            _found(book(), name, _settle)


def _page() -> Any:
    ui.add_head_html(f"<style>{STYLE}</style>")
    return frame("workshop")


def _found(book: LabelBook, name: str, show: Callable[[LabelBook, Project], None]) -> None:
    try:
        project = book.project(name)
    except WaresError as error:
        ui.label(error.message)
        ui.link(t("label_all"), "/workshop/labels")
        return
    show(book, project)


def _heading(text: str) -> None:
    ui.label(text).style("font-size:24px;font-weight:700").props("role=heading aria-level=1")


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _overview(book: LabelBook) -> None:
    _heading(t("labels"))
    projects = book.projects()
    if not projects:
        ui.label(t("label_none")).classes("note")
        return
    rows = []
    for project in projects:
        counts = book.progress(project)
        rows.append(
            [
                project.name, project.kind, f"{counts['done']:,} / {counts['items']:,}", f"{counts['answers']:,}",
                f"{counts['again']:,}", _number(measure(book, project).alpha), f"{len(disputes(book, project)):,}",
            ]
        )  # fmt: skip
    with ui.element("div").classes("panel"):
        heads = ("project", "kind", "done", "answers", "again", "alpha", "disputes")
        table([t(f"label_{head}") for head in heads], rows, link="/workshop/labels/")


def _project(book: LabelBook, project: Project) -> None:
    counts, report, open_ = book.progress(project), measure(book, project), disputes(book, project)
    home = f"/workshop/labels/{quote(project.name, safe='')}"
    ui.link("← " + t("label_all"), "/workshop/labels").classes("nav")
    _heading(project.name)
    ui.label(said(project.question)).classes("note")
    _bar(counts)
    with ui.row().classes("q-my-md"):
        ui.link(t("label_start"), f"{home}/desk").classes("button")
        if open_:
            ui.link(t("label_settle", n=len(open_)), f"{home}/settle").classes("button second")
    for who in report.odd:
        ui.label("⚠ " + t("label_odd", who=who, project=project.name)).style("color:#a12622;font-weight:600")
    ui.html(f"<h2>{t('label_annotators')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        ui.label(f"{t('label_alpha')}: {_number(report.alpha)} ({report.level})")
        table(
            [t(f"label_{head}") for head in ("annotator", "answers", "same", "alpha", "accuracy", "seconds")],
            [
                [
                    a.name, f"{a.answers:,}", "–" if a.agreement is None else f"{a.agreement:.0%}", _number(a.alpha),
                    "–" if a.accuracy is None else f"{a.accuracy:.0%}", _number(a.median_s, 1),
                ]
                for a in report.annotators
            ],
        )  # fmt: skip


def _bar(counts: dict[str, int]) -> None:
    share = counts["done"] / max(counts["items"], 1)
    with (
        ui.element("div")
        .classes("bar w-full")
        .props(f'role=progressbar aria-valuenow={share * 100:.0f} aria-label="{t("label_done")}"')
    ):
        ui.element("div").style(f"width:{share * 100:.1f}%")
    ui.label(t("label_of", done=f"{counts['done']:,}", items=f"{counts['items']:,}")).classes("said")


def _key_of(n: int) -> str:
    return str(n + 1) if n < 9 else LETTERS[n - 9] if n - 9 < len(LETTERS) else ""


def _option_of(key: str, project: Project) -> str | None:
    place = (
        int(key) - 1
        if key.isdigit() and key != "0"
        else 9 + LETTERS.index(key)
        if key and key in LETTERS
        else -1
    )
    return project.options[place] if 0 <= place < len(project.options) else None


def _hidden(project: Project, item: dict[str, Any]) -> bool:
    """Whether the visitor's role may not read what is judged. Who cannot read it cannot judge it."""
    seen = as_seen(str(item.get("asset") or ""), {k: v for k, v in item["payload"].items() if v is not None})
    judged = [name for name in project.fields if item["payload"].get(name)]
    return seen is None or any(seen.get(name) != item["payload"][name] for name in judged)


def _judged(project: Project, item: dict[str, Any]) -> bool:
    """Show what is judged and what is known besides; False, with the reason, when the role may not read it."""
    if _hidden(project, item):
        ui.label(t("label_denied", role=visitor()[1])).classes("said")
        return False
    payload = as_seen(str(item.get("asset") or ""), item["payload"]) or {}
    with ui.element("div").classes("pair" if len(project.fields) > 1 else ""):
        for name in project.fields:
            with ui.element("div").classes("panel"):
                if len(project.fields) > 1:
                    ui.label(name).classes("part")
                _text(str(payload.get(name) or ""))
    rest = {
        k: v for k, v in payload.items() if k not in project.fields and k != "user_id" and v not in (None, "")
    }
    if rest:
        with ui.element("div").classes("evidence").props(f'aria-label="{t("label_evidence")}"'):
            for name, value in list(rest.items())[:12]:
                ui.label(name)
                ui.label(str(value)[:300])
    return True


def _text(text: str) -> None:
    shown = ui.label(text[:SHOWN] + ("…" if len(text) > SHOWN else "")).classes("judged")
    if len(text) > SHOWN:

        def more() -> None:
            shown.set_text(text)
            button.delete()

        button = ui.button(t("label_show_all", n=f"{len(text):,}"), on_click=more).props("flat dense no-caps")


@dataclass
class _Sitting:
    """What one person does in one sitting: the item before them, and those they answered, to look back at."""

    annotator: str
    item: dict[str, Any] | None = None
    done: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    back: int = 0
    since: float = 0.0
    busy: bool = False


def _desk(book: LabelBook, project: Project) -> None:
    name = str(app.storage.user.get("annotator", ""))
    if not name:
        _ask_name()
        return
    queue, sitting = Queue(book, project), _Sitting(name)

    def advance() -> None:
        found = queue.next(sitting.annotator)
        sitting.item, sitting.back, sitting.since = (found[0] if found else None), 0, monotonic()
        view.refresh()

    def shown() -> tuple[dict[str, Any] | None, str]:
        if sitting.back:
            return sitting.done[-sitting.back]
        return sitting.item, ""

    def act(what: Callable[[], None]) -> None:
        if sitting.busy:
            return
        sitting.busy = True
        try:
            what()
        except WaresError as error:
            ui.notify(str(error), type="negative")
        finally:
            sitting.busy = False

    def answer(value: str) -> None:
        item, _ = shown()
        if item is None or _hidden(project, item):
            return
        seconds = None if sitting.back else round(monotonic() - sitting.since, 1)
        queue.put(sitting.annotator, item["key"], value, seconds=seconds, source="console")
        if sitting.back:
            sitting.done[-sitting.back] = (item, value)
            sitting.back = 0
            view.refresh()
        else:
            sitting.done.append((item, value))
            advance()

    def skip() -> None:
        if sitting.item is not None and not sitting.back:
            queue.skip(sitting.annotator, sitting.item["key"])
            advance()

    def undo() -> None:
        item = queue.undo(sitting.annotator)
        if item is None:
            ui.notify(t("label_nothing"))
            return
        sitting.done = [(i, v) for i, v in sitting.done if i["key"] != item["key"]]
        sitting.item, sitting.back, sitting.since = item, 0, monotonic()
        ui.notify(t("label_undone"), timeout=1000)
        view.refresh()

    def look(step: int) -> None:
        sitting.back = max(0, min(len(sitting.done), sitting.back + step))
        sitting.since = monotonic()
        view.refresh()

    def key(event: events.KeyEventArguments) -> None:
        if (
            not event.action.keydown
            or event.action.repeat
            or event.modifiers.ctrl
            or event.modifiers.alt
            or event.modifiers.meta
        ):
            return
        pressed = str(event.key.name).lower()
        option = _option_of(pressed, project)
        if option is not None:
            act(lambda: answer(option))
        elif pressed == "s":
            act(skip)
        elif pressed == "u":
            act(undo)
        elif pressed == "arrowleft":
            act(lambda: look(1))
        elif pressed == "arrowright":
            act(lambda: look(-1))

    @ui.refreshable
    def view() -> None:
        item, given = shown()
        with ui.element("div").classes("desk"):
            ui.link("← " + project.name, f"/workshop/labels/{quote(project.name, safe='')}").classes("nav")
            _bar(book.progress(project))
            if item is None:
                ui.label(t("label_empty")).classes("ask")
                _small(t("label_undo"), "u", lambda: act(undo))
                return
            ui.label(said(project.question)).classes("ask").props("role=heading aria-level=1")
            if not _judged(project, item):
                return
            _choices(project, lambda value: act(lambda: answer(value)), given)
            with ui.element("div").classes("choices"):
                _small(t("label_skip"), "s", lambda: act(skip))
                _small(t("label_undo"), "u", lambda: act(undo))
            if given:
                ui.label(t("label_yours", value=said(given))).classes("said")
            if item["reason"]:
                ui.label(t("label_why", reason=item["reason"])).classes("said")
            _source(item)
            keys = t("label_keys", n=min(9, len(project.options)))
            keys += " · " + t("label_more_keys") if len(project.options) > 9 else ""
            ui.label(f"{keys} · {t('label_you', n=len(sitting.done))} ({sitting.annotator})").classes("said")

    # Buttons keep the focus after a click; their own key handling must not answer twice.
    ui.keyboard(on_key=key, repeating=False, ignore=["input", "select", "textarea"])
    try:
        advance_first = queue.next(name)
    except WaresError as error:
        ui.label(str(error))
        app.storage.user["annotator"] = ""
        return
    sitting.item, sitting.since = (advance_first[0] if advance_first else None), monotonic()
    view()


def _source(item: dict[str, Any]) -> None:
    if item["asset"]:
        word = "label_from" if item["version"] is not None else "label_from_file"
        ui.label(t(word, asset=item["asset"], version=item["version"])).classes("said")


def _choices(project: Project, chosen: Callable[[str], None], given: str = "") -> None:
    with ui.element("div").classes("choices").props("role=group"):
        for n, option in enumerate(project.options):
            with (
                ui.element("button")
                .classes("choice" + (" on" if option == given else ""))
                .props('type=button tabindex="-1"')
                .on("click", lambda _, value=option: chosen(value))
            ):
                ui.label(_key_of(n)).classes("key")
                ui.label(said(option))


def _small(text: str, key: str, do: Callable[[], None]) -> None:
    with (
        ui.element("button")
        .classes("choice quiet")
        .props('type=button tabindex="-1"')
        .on("click", lambda _: do())
    ):
        ui.label(key).classes("key")
        ui.label(text)


def _ask_name() -> None:
    with ui.element("div").classes("desk"):
        ui.label(t("label_name")).classes("ask").props("role=heading aria-level=1")
        name = ui.input(t("label_name"), placeholder=t("label_name_hint")).props(
            "outlined autofocus maxlength=100"
        )

        def begin() -> None:
            if (name.value or "").strip():
                app.storage.user["annotator"] = name.value.strip()
                ui.navigate.reload()

        name.on("keydown.enter", begin)
        ui.button(t("label_begin"), on_click=begin).props("no-caps unelevated color=green-9")


def _settle(book: LabelBook, project: Project) -> None:
    name = str(app.storage.user.get("annotator", ""))
    if not name:
        _ask_name()
        return
    place = {"at": 0}
    open_ = disputes(book, project)

    def decide(value: str) -> None:
        if not open_ or _hidden(project, open_[place["at"]]):
            return
        try:
            adjudicate(book, project, open_[place["at"]]["key"], value, by=name)
        except WaresError as error:
            ui.notify(str(error), type="negative")
            return
        del open_[place["at"]]
        place["at"] = min(place["at"], max(0, len(open_) - 1))
        view.refresh()

    def look(step: int) -> None:
        place["at"] = max(0, min(len(open_) - 1, place["at"] + step))
        view.refresh()

    def key(event: events.KeyEventArguments) -> None:
        if not event.action.keydown or event.action.repeat or event.modifiers.ctrl or event.modifiers.alt:
            return
        pressed = str(event.key.name).lower()
        option = _option_of(pressed, project)
        if option is not None:
            decide(option)
        elif pressed in ("arrowleft", "arrowright"):
            look(-1 if pressed == "arrowleft" else 1)

    @ui.refreshable
    def view() -> None:
        with ui.element("div").classes("desk"):
            ui.link("← " + project.name, f"/workshop/labels/{quote(project.name, safe='')}").classes("nav")
            if not open_:
                ui.label(t("label_settled")).classes("ask")
                return
            dispute = open_[place["at"]]
            ui.label(said(project.question)).classes("ask").props("role=heading aria-level=1")
            if not _judged(project, dispute):
                return
            with ui.element("div").classes("evidence"):
                for row in dispute["answers"]:
                    ui.label(row["annotator"])
                    ui.label(said(row["value"]) + (f" — {row['comment']}" if row["comment"] else ""))
            _choices(project, decide)
            ui.label(
                f"{t('label_settle_keys', n=min(9, len(project.options)))} · {t('label_left', n=len(open_))}"
            ).classes("said")

    ui.keyboard(on_key=key, repeating=False, ignore=["input", "select", "textarea"])
    view()
