"""The access page (who sees what, shares) and the audit page (the log and its verification)."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegui import run, ui

from wares.console.frame import SECTIONS, frame, t, table
from wares.console.roles import KEEPERS, current, workspace
from wares.console.words import add_words
from wares.core.access import Policy, default_roles
from wares.core.errors import WaresError

SHOWN = 200
add_words(
    {
        "access": ("Access", "访问权限"),
        "audit": ("Audit", "审计"),
        "who_sees_what": ("Who sees what", "谁能看到什么"),
        "matrix_note": (
            "✓ as it is · hash: a keyed code, joinable · partial: a beginning or an order of size · noise: moved a little · null: empty · – not at all",
            "✓ 原值 · hash：加密代码，可关联 · partial：开头或数量级 · noise：加噪 · null：空 · – 不可见",
        ),
        "column": ("Column", "列"),
        "roles": ("Roles", "角色"),
        "purposes": ("Purposes", "用途"),
        "any": ("any", "任意"),
        "least_people": ("Least people", "最少人数"),
        "reads_rows": ("Rows about people", "个人数据行"),
        "rows_yes": ("masked", "遮盖后可读"),
        "rows_clear": ("in clear", "原值可读"),
        "rows_no": ("groups only", "仅分组统计"),
        "meaning": ("Meaning", "说明"),
        "shares": ("Shares", "数据共享"),
        "no_shares": ("Nothing was shared yet: `wares asset share`.", "尚未共享任何数据：`wares asset share`。"),
        "receiver": ("Receiver", "接收方"),
        "expires": ("Expires", "到期"),
        "status": ("State", "状态"),
        "status_live": ("live", "有效"),
        "status_expired": ("expired", "已过期"),
        "status_revoked": ("revoked", "已撤回"),
        "no_right_audit": ("The audit log is for the roles owner and steward. Choose one of them above.", "审计日志仅限所有者（owner）和管理员（steward）查看，请在上方切换角色。"),
        "no_right": ("Your role may not see this.", "您的角色无权查看。"),
        "verify": ("Verify now", "立即验证"),
        "verifying": ("Verifying…", "验证中…"),
        "audit_whole": ("The log is whole: {n} entries, nothing changed, dropped or reordered.", "日志完整：{n} 条，无篡改、缺失或乱序。"),
        "audit_broken": ("The log is broken: {n} faults.", "日志受损：{n} 处异常。"),
        "audit_head": ("Head, to note elsewhere: {head}", "链头（请另行保存）：{head}"),
        "fault": ("Fault", "异常"),
        "at_utc": ("When (UTC)", "时间 (UTC)"),
        "who": ("Who", "操作者"),
        "action": ("Action", "操作"),
        "what": ("What", "对象"),
        "detail": ("Detail", "详情"),
        "all": ("all", "全部"),
        "newest": ("The newest {n} entries that fit", "符合条件的最新 {n} 条"),
    }
)  # fmt: skip

STANDARD = {name: role.description for name, role in default_roles().items()}
add_words(
    {
        f"role_{name}": (STANDARD[name], chinese)
        for name, chinese in (
            ("owner", "店铺数据的所有者，可查看一切"),
            ("steward", "维护数据：质量、契约与隔离区"),
            ("analyst", "研究购物行为，但不知道是谁"),
            ("marketer", "策划活动；可看商品，人群仅看分组"),
            ("service", "店铺的引擎与程序"),
            ("partner", "接收共享数据的公司"),
            ("public", "任何人：商品目录及价格"),
        )
    }
)
_STYLE = """
.matrix{border-collapse:collapse;font-size:13px;min-width:640px}.matrix th,.matrix td{padding:5px 10px;border-bottom:1px solid var(--line);text-align:center;white-space:nowrap}
.matrix th:first-child,.matrix td:first-child{text-align:left;font-family:monospace;position:sticky;left:0;background:#fff}
.matrix th{font-weight:700}.matrix .on{background:#f0f6f3}
.tag{display:inline-block;padding:1px 8px;border-radius:9px;font-size:12px;background:#eef0f3;color:#3c4653}
.tag.v{background:none;color:#0b6b49;font-weight:700}.tag.d{background:none;color:#6b7280}.tag.h{background:#e3ecfb;color:#1d4487}.tag.n{background:#fdeede;color:#7a4408}.tag.z{background:#f3e6ee;color:#7b2252}
"""
_CLASS = {"visible": "v", "deny": "d", "hash": "h", "noise": "n", "partial": "n", "null": "z"}


def register() -> None:
    """Put the pages onto the application."""
    for section in (("access", "/workshop/access"), ("audit", "/workshop/audit")):
        if section not in SECTIONS:
            SECTIONS.append(section)

    @ui.page("/workshop/access")
    def access() -> None:
        ui.add_head_html(f"<style>{_STYLE}</style>")
        with frame("workshop"):
            _title("access")
            policy = workspace().door.policy()
            _, role = current()
            _matrix(policy, role)
            _roles(policy)
            _shares(role)

    @ui.page("/workshop/audit")
    def audit() -> None:
        ui.add_head_html(f"<style>{_STYLE}</style>")
        with frame("workshop"):
            _title("audit")
            _, role = current()
            if role not in KEEPERS:
                ui.label(t("no_right_audit"))
                return
            _verification()
            _log()


def _title(word: str) -> None:
    ui.html(f"<h1>{t(word)}</h1>", sanitize=False).style("margin-bottom:10px")


def matrix_html(policy: Policy, name: str, role: str) -> str:
    """One table's columns by roles as an HTML table; the visitor's own role stands out."""
    roles = list(policy.roles)
    accesses = {r: policy.decide(r, name).columns if policy.may_read(r, name) else {} for r in roles}
    own = {r: " class=on" if r == role else "" for r in roles}
    head = "".join(f"<th{own[r]}>{escape(r)}</th>" for r in roles)
    lines = [f"<tr><th>{t('column')}</th>{head}</tr>"]
    for column in policy.tables[name].columns:
        cells = ""
        for r in roles:
            decision = accesses[r].get(column.name)
            kind = decision.mask.kind if decision else "deny"
            label = {"visible": "✓", "deny": "–"}.get(kind) or str(decision.mask if decision else "")
            why = escape(decision.because if decision else "", quote=True)
            cells += f'<td{own[r]}><span class="tag {_CLASS[kind]}" title="{why}">{escape(label)}</span></td>'
        lines.append(f"<tr><td>{escape(column.name)}</td>{cells}</tr>")
    return f"<table class=matrix>{''.join(lines)}</table>"


def _left(grid: ui.table) -> None:
    """Words stand at the left; only numbers stay at the right."""
    for column in grid.columns:
        if not all(isinstance(row[column["field"]], int) for row in grid.rows):
            column["align"] = "left"
    grid.update()


def _matrix(policy: Policy, role: str) -> None:
    ui.html(f"<h2>{t('who_sees_what')}</h2>", sanitize=False)
    names = list(policy.tables)
    with ui.element("div").classes("panel"):
        ui.label(t("matrix_note")).classes("note")
        start = "events" if "events" in names else names[0]
        place: Any = None

        def show(name: str) -> None:
            place.clear()
            with place:
                ui.html(matrix_html(policy, name, role), sanitize=False)

        ui.select(names, value=start, label=t("asset"), on_change=lambda e: show(e.value)).props(
            "dense outlined"
        ).classes("w-56 my-2")
        place = ui.element("div").style("overflow-x:auto;width:100%")
        show(start)


def _roles(policy: Policy) -> None:
    ui.html(f"<h2>{t('roles')}</h2>", sanitize=False)
    rows = [
        [
            role.name,
            t(f"role_{role.name}") if STANDARD.get(role.name) == role.description else role.description,
            ", ".join(role.purposes) or t("any"),
            role.threshold,
            t("rows_clear") if role.is_owner else t("rows_yes") if role.people_rows else t("rows_no"),
        ]
        for role in policy.roles.values()
    ]
    with ui.element("div").classes("panel"):
        _left(table([t("role"), t("meaning"), t("purposes"), t("least_people"), t("reads_rows")], rows))


def _shares(role: str) -> None:
    ui.html(f"<h2>{t('shares')}</h2>", sanitize=False)
    with ui.element("div").classes("panel"):
        if role not in KEEPERS:
            ui.label(t("no_right"))
            return
        rows = [
            [r["id"], r["asset"], r["version"], f"{r['rows']:,}", r["receiver"], r["role"], r["expires"][:10], t(f"status_{r['status']}")]
            for r in workspace().shares.list()
        ]  # fmt: skip
        if not rows:
            ui.label(t("no_shares"))
            return
        words = ("asset", "version", "rows", "receiver", "role", "expires", "status")
        _left(table(["", *(t(word) for word in words)], rows))


def _verification() -> None:
    with ui.element("div").classes("panel").style("margin-top:14px"):
        place = ui.element("div")

        async def verify() -> None:
            place.clear()
            with place:
                ui.label(t("verifying")).classes("note")
            try:
                report = await run.io_bound(workspace().audit.verify)
            except WaresError as error:
                place.clear()
                with place:
                    ui.label(str(error)).style("color:#a11d1d;font-weight:600")
                return
            place.clear()
            with place:
                if report.whole:
                    ui.label("✓ " + t("audit_whole", n=f"{report.entries:,}")).style(
                        "color:#0b6b49;font-weight:600"
                    )
                    ui.label(t("audit_head", head=report.head)).classes("note").style(
                        "overflow-wrap:anywhere"
                    )
                else:
                    ui.label("✗ " + t("audit_broken", n=f"{report.n_faults:,}")).style(
                        "color:#a11d1d;font-weight:600"
                    )
                    table(["", t("fault")], [[seq, fault] for seq, fault in report.faults])

        ui.timer(0.1, verify, once=True)
        ui.button(t("verify"), on_click=verify).props("flat dense no-caps")


def _log() -> None:
    audit = workspace().audit
    chosen = {"action": "", "who": "", "what": ""}
    place: Any = None

    def show() -> None:
        rows = audit.entries(limit=SHOWN, **chosen)
        place.clear()
        with place:
            ui.label(t("newest", n=len(rows))).classes("note")
            grid = table(
                ["#", t("at_utc"), t("who"), t("role"), t("action"), t("what"), t("detail")],
                [[r["seq"], r["at"][:19].replace("T", " "), r["who"], r["role"], r["action"], r["what"], _brief(r["detail"])] for r in rows],
            )  # fmt: skip
            _left(grid)
            grid.columns[1]["style"] = "white-space:nowrap"
            grid.update()

    def choose(key: str, value: Any) -> None:
        chosen[key] = "" if value in (None, t("all")) else str(value).strip()[:200]
        show()

    with ui.element("div").classes("panel").style("margin-top:14px"):
        with ui.row().classes("gap-3"):
            actions = [t("all"), *audit.actions()]
            ui.select(
                actions, value=t("all"), label=t("action"), on_change=lambda e: choose("action", e.value)
            ).props("dense outlined").classes("w-44")
            for key in ("who", "what"):
                field = ui.input(t(key)).props("dense outlined clearable").classes("w-44")
                field.on("change", lambda k=key, f=field: choose(k, f.value))
                field.on("clear", lambda k=key: choose(k, ""))
        place = ui.element("div").style("overflow-x:auto;width:100%")
        show()


def _brief(detail: dict[str, Any]) -> str:
    """A detail as short words; nothing where nothing is said."""
    parts: list[str] = []
    for key, value in detail.items():
        if value in ("", None, [], {}, "all") or key == "manifest":
            continue
        if isinstance(value, dict):
            value = [f"{name} {item}" for name, item in value.items()]
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        parts.append(f"{key}: {value:,}" if type(value) is int else f"{key}: {value}")
    return " · ".join(parts)
