"""A mood over time as SVG: the line, its interval as a band, what was noticed as marks, and the number of texts below."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wares.models.sentiment.mood_words import date_of
from wares.models.sentiment.moods import ROSE, SPAM_WAVE, Alarm, Curve

WIDTH, HEIGHT, BARS = 640, 190, 46
LEFT, RIGHT, TOP, GAP = 46, 14, 12, 28
GOOD, BAD, AMBER, LINE = "#0b6b49", "#b3261e", "#b57900", "#1f5f8b"


def colour(mood: float) -> str:
    """A background from red over grey to green for a mood of -1..1; dark text stands on all of them."""
    share = min(abs(mood), 1.0)
    middle, end = (241, 243, 244), (242, 150, 140) if mood < 0 else (126, 205, 160)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(middle, end, strict=True))


def draw(curve: Curve, alarms: Sequence[Alarm], label: str, texts: str) -> str:
    """The SVG; empty without a point. `label` says what it shows, `texts` names the bars."""
    n = len(curve.day)
    if not n:
        return ""
    first, last = int(curve.day[0]), int(curve.day[-1])
    span = max(last - first, 1)

    wide = max(min((WIDTH - LEFT - RIGHT) / n * 0.7, 16), 1.2)

    def x(day: float) -> float:
        # Half a bar stays free at both ends.
        room = WIDTH - LEFT - RIGHT - wide
        return LEFT + wide / 2 + room * ((day - first) / span if n > 1 else 0.5)

    def y(mood: float) -> float:
        return TOP + (HEIGHT - TOP) * (1 - (mood + 1) / 2)

    bottom = HEIGHT + GAP + BARS
    out = [
        f'<svg viewBox="0 0 {WIDTH} {bottom + 22}" role="img" aria-label="{escape(label)}" class="mchart">'
        f"<title>{escape(label)}</title>"
    ]
    for mood in (-1, 0, 1):
        dash = "" if mood == 0 else ' stroke-dasharray="3 4"'
        out.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mood):.1f}" y2="{y(mood):.1f}" stroke="#d6dbe1"{dash}/>'
        )
        out.append(
            f'<text x="{LEFT - 6}" y="{y(mood) + 4:.1f}" text-anchor="end" class="mt">{mood:+d}</text>'.replace(
                "+0", "0"
            )
        )
    for alarm in alarms:
        if not first <= alarm.day <= last:
            continue
        ink, sign, down = (
            (GOOD, "▲", 2)
            if alarm.kind == ROSE
            else (AMBER, "●", 30)
            if alarm.kind == SPAM_WAVE
            else (BAD, "▼", 16)
        )
        out.append(
            f'<line x1="{x(alarm.day):.1f}" x2="{x(alarm.day):.1f}" y1="{TOP}" y2="{bottom}" stroke="{ink}" stroke-width="1.2" stroke-dasharray="2 3"/>'
        )
        out.append(
            f'<text x="{x(alarm.day):.1f}" y="{TOP + down}" text-anchor="middle" font-size="12" fill="{ink}">{sign}</text>'
        )
    upper = [f"{x(d):.1f},{y(m):.1f}" for d, m in zip(curve.day, curve.high, strict=True)]
    lower = [f"{x(d):.1f},{y(m):.1f}" for d, m in zip(curve.day, curve.low, strict=True)]
    line = [f"{x(d):.1f},{y(m):.1f}" for d, m in zip(curve.day, curve.mood, strict=True)]
    out.append(f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill="{LINE}" opacity=".16"/>')
    out.append(
        f'<polyline points="{" ".join(line)}" fill="none" stroke="{LINE}" stroke-width="2.2" stroke-linejoin="round"/>'
    )
    if n == 1:
        out.append(f'<circle cx="{x(first):.1f}" cy="{y(float(curve.mood[0])):.1f}" r="4" fill="{LINE}"/>')
    most = max(float(curve.volume.max()), 1.0)
    for day, volume in zip(curve.day, curve.volume, strict=True):
        tall = BARS * float(volume) / most
        if tall > 0:
            out.append(
                f'<rect x="{x(day) - wide / 2:.1f}" y="{bottom - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="#9aa7b4"><title>{date_of(int(day))}: {volume:g}</title></rect>'
            )
    out.append(f'<text x="{LEFT - 6}" y="{bottom - BARS + 9}" text-anchor="end" class="mt">{most:g}</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT + GAP - 8}" class="mt">{escape(texts)}</text>')
    for day, anchor in ((first, "start"), (last, "end")) if n > 1 else ((first, "middle"),):
        out.append(
            f'<text x="{x(day):.1f}" y="{bottom + 17}" text-anchor="{anchor}" class="mt">{date_of(day)}</text>'
        )
    return "".join(out) + "</svg>"


def scale(mood: float, low: float, high: float) -> str:
    """A mood between -1 and 1 with its interval, as a small bar."""
    left, right, at = ((value + 1) * 50 for value in (low, high, mood))
    return (
        '<span class="mscale" aria-hidden="true"><i style="left:50%;width:1px;background:#c3c9d0"></i>'
        f'<i style="left:{left:.1f}%;width:{max(right - left, 1):.1f}%;background:#1f5f8b;opacity:.3"></i>'
        f'<i style="left:calc({at:.1f}% - 2px);width:4px;background:{GOOD if mood >= 0 else BAD}"></i></span>'
    )
