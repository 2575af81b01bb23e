"""Learned expectations: what a version must look like, given one that is trusted.

Every expectation compares two profiles, so it needs neither version's rows. Each has a bound of effect (a share, a
distance) and a bound of noise that follows from the two sample sizes; both must be passed, so small tables do not
alarm by chance and large ones not by trifles. Methods: PSI with its asymptotic chi-square noise (Yurdakul 2018,
"Statistical properties of the population stability index"), two-sample Kolmogorov–Smirnov on the binned distribution,
two-proportion z for shares, the Good–Turing estimate for values never seen, median and MAD for volumes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from wares.data.quality.profile import FAULTY, FORBIDDEN, ColumnProfile, Profile, edge
from wares.data.quality.report import BROKEN, LEARNED, PASSED, CheckResult
from wares.data.quality.rules import ERROR, WARNING
from wares.data.types import NUMBER, STRING, TIMESTAMP

PSI_LIMIT, KS_LIMIT = 0.25, 0.15
_SIGMAS = 4.0
_NEVER = 4.6
_SMALL = 50
_GROUP = 10
_CLOSED = 30


def compare(base: Profile, now: Profile, sizes: Sequence[int] = ()) -> list[CheckResult]:
    """All expectations that `base` gives for `now`; `sizes` are the rows of all earlier versions, oldest first."""
    checks = [_volume([*sizes[:-1], base.rows], now.rows, base)]
    for name, was in base.columns.items():
        column = now.columns.get(name)
        if column is None:
            checks.append(
                _one("schema_change", name, BROKEN, ERROR, f"the column was there in {_called(base)}")
            )
            continue
        if column.kind != was.kind:
            checks.append(_one("schema_change", name, BROKEN, ERROR, f"was {was.kind} in {_called(base)}, is {column.kind}"))  # fmt: skip
            continue
        checks += _column(name, was, column, base)
    checks += [
        _share(f"relation:{name}", "", was, now.shares[name], base, least=0.003, severity=ERROR)
        for name, was in base.shares.items()
        if name in now.shares
    ]
    return checks


def _called(base: Profile) -> str:
    return f"version {base.version}"


def _one(
    kind: str, column: str, status: str, severity: str, message: str = "", value: float | None = None,
    expected: str = "", broken: int = 0,
) -> CheckResult:  # fmt: skip
    return CheckResult(
        kind, column, status, severity, False, LEARNED, value, expected, broken,
        message if status == BROKEN else "",
        "Look at the source of this version; `wares asset diff` shows the rows" if status == BROKEN else "",
    )  # fmt: skip


def _volume(sizes: Sequence[int], rows: int, base: Profile) -> CheckResult:
    """Rows against the earlier versions: a robust interval of the growth, and at least 10 % down and 50 % up."""
    growth = [math.log(b / a) for a, b in itertools.pairwise(sizes) if a > 0 and b > 0]
    low, high = math.log(0.9), math.log(1.5)
    if len(growth) >= 4:
        middle = median(growth)
        spread = 5 * 1.4826 * median([abs(g - middle) for g in growth])
        low, high = min(low, middle - spread), max(high, middle + spread)
    before = max(sizes[-1], 1)
    least, most = math.floor(before * math.exp(low)), math.ceil(before * math.exp(high) + 20)
    expected = f"{least:,} to {most:,} rows"
    status = PASSED if least <= rows <= most else BROKEN
    word = "fewer" if rows < least else "more"
    return _one(
        "volume", "", status, ERROR if rows < least else WARNING,
        f"{rows:,} rows are {word} than expected after {before:,} in {_called(base)}", float(rows), expected,
    )  # fmt: skip


def _column(name: str, was: ColumnProfile, now: ColumnProfile, base: Profile) -> list[CheckResult]:
    checks = [
        _share(
            "null_share",
            name,
            (was.nulls, was.rows),
            (now.nulls, now.rows),
            base,
            least=0.005,
            severity=WARNING,
        )
    ]
    if was.present == 0 or now.present == 0:
        return checks
    if was.distinct is not None and now.distinct is not None and now.present >= _SMALL:
        constant = now.distinct == 1 and was.distinct > 1 and was.present - max(n for n in _tops(was)) > 0.01 * was.present  # fmt: skip
        checks.append(_one("constant", name, BROKEN if constant else PASSED, ERROR, f"has one value only; {_called(base)} had {was.distinct:,}"))  # fmt: skip
    if was.top and was.distinct is not None:
        checks += _values(name, was, now, base)
    if now.kind in (NUMBER, "integer"):
        checks += _numbers(name, was, now, base)
    if now.kind == STRING:
        checks += _texts(name, was, now, base)
    if now.kind == TIMESTAMP:
        checks += _times(name, was, now, base)
    return checks


def _tops(profile: ColumnProfile) -> list[int]:
    return [n for _, n in profile.top] or [1]


def _values(name: str, was: ColumnProfile, now: ColumnProfile, base: Profile) -> list[CheckResult]:
    """Drift of a category by PSI, and values that the trusted version did not have."""
    checks: list[CheckResult] = []
    assert was.distinct is not None
    known = dict(was.top)
    if was.distinct <= len(known) and was.present >= 10 * was.distinct:
        fresh = {value: n for value, n in now.top if value not in known}
        count = sum(fresh.values())
        # Good–Turing: what was seen once tells how much was never seen.
        unseen = was.singles / was.present
        limit = (3 * unseen + 0.002) if was.singles else 0.0
        closed = was.distinct <= _CLOSED and was.singles == 0
        status = BROKEN if count > limit * now.present else PASSED
        shown = ", ".join(repr(value[:40]) for value in list(fresh)[:5])
        checks.append(
            _one("new_values", name, status, ERROR if closed else WARNING, f"holds {shown}, which {_called(base)} never had", count / now.present, f"at most {100 * limit:.2f} %", count)
        )  # fmt: skip
    large = [value for value, n in was.top if n >= 0.005 * was.present]
    if sum(known[value] for value in large) >= 0.2 * was.present and was.present >= _SMALL <= now.present:
        current = dict(now.top)
        a = [known[value] for value in large]
        b = [current.get(value, 0) for value in large]
        distance, limit = _psi([*a, was.present - sum(a)], [*b, now.present - sum(b)], PSI_LIMIT)
        checks.append(
            _one("drift_psi", name, BROKEN if distance > limit else PASSED, WARNING, f"its values are spread otherwise than in {_called(base)}", distance, f"PSI at most {limit:.2f}")
        )  # fmt: skip
    return checks


def _numbers(name: str, was: ColumnProfile, now: ColumnProfile, base: Profile) -> list[CheckResult]:
    checks = _drift(name, was.bins, now.bins, base, "number")
    order = sorted(was.bins)
    for side, bins in (("high", order[::-1]), ("low", order)):
        seen, cut = 0, bins[0]
        for cut in bins:
            seen += was.bins[cut]
            if seen > 0.001 * was.present:
                break
        beyond = (lambda b, cut=cut: b > cut) if side == "high" else (lambda b, cut=cut: b < cut)
        old, new = (sum(n for b, n in p.bins.items() if beyond(b)) for p in (was, now))
        checks.append(
            _share(f"tail_{side}", name, (old, was.present), (new, now.present), base, least=0.002, severity=WARNING, what=f"values {'above' if side == 'high' else 'below'} {edge(cut + (side == 'high')):.4g}")
        )  # fmt: skip
    if isinstance(was.low, int | float) and isinstance(now.low, int | float):
        negative = now.low < 0 <= was.low
        checks.append(_one("sign", name, BROKEN if negative else PASSED, ERROR, f"falls to {now.low:g}; {_called(base)} had nothing below zero", now.low, "at least 0"))  # fmt: skip
    return checks


def _texts(name: str, was: ColumnProfile, now: ColumnProfile, base: Profile) -> list[CheckResult]:
    checks = _drift(name, was.lengths, now.lengths, base, "length")
    for kind, count in now.classes.items():
        if kind in FORBIDDEN:
            continue
        old = (was.classes.get(kind, 0), was.present)
        if kind in FAULTY:
            checks.append(_share(kind, name, old, (count, now.present), base, least=0.0005, severity=WARNING))
        else:
            checks.append(
                _share(
                    f"form_{kind}",
                    name,
                    old,
                    (count, now.present),
                    base,
                    least=0.05,
                    severity=WARNING,
                    both=True,
                )
            )
    # Cutting at a fixed width leaves nothing beyond it, and what was beyond lies heaped up at that width.
    longest = max(now.lengths)
    long_before = sum(n for size, n in was.lengths.items() if size > longest)
    beyond = long_before / was.present
    risen = now.lengths[longest] / now.present - was.lengths.get(longest, 0) / was.present
    # By chance none of m texts is so long with probability exp(-beyond * m); 9.2 makes that one in ten thousand.
    cut = longest >= 8 and long_before > 3 and beyond * now.present > 9.2 and risen >= 0.5 * beyond
    checks.append(_one("truncated", name, BROKEN if cut else PASSED, ERROR, f"no text is longer than {longest} characters; {_called(base)} had {long_before:,}"))  # fmt: skip
    return checks


def _times(name: str, was: ColumnProfile, now: ColumnProfile, base: Profile) -> list[CheckResult]:
    back = str(now.high) < str(was.high)
    checks = [_one("stale", name, BROKEN if back else PASSED, ERROR, f"ends on {str(now.high)[:10]}, before {_called(base)} did ({str(was.high)[:10]})")]  # fmt: skip
    weeks = sorted(was.weeks)[1:-1]
    lost = [week for week in weeks if was.weeks[week] >= _SMALL and now.weeks.get(week, 0) < 0.8 * was.weeks[week]]  # fmt: skip
    checks.append(_one("history", name, BROKEN if lost else PASSED, ERROR, f"rows of {len(lost)} past weeks are gone, first the week of {lost[0] if lost else ''}", float(len(lost)), "no week loses more than 20 %"))  # fmt: skip
    return checks


def _drift(
    name: str, was: Mapping[int, int], now: Mapping[int, int], base: Profile, what: str
) -> list[CheckResult]:
    n, m = sum(was.values()), sum(now.values())
    if min(n, m) < _SMALL:
        return []
    distance, limit = ks(was, now)
    checks = [
        _one(f"drift_ks_{what}", name, BROKEN if distance > limit else PASSED, WARNING, f"its {what}s are spread otherwise than in {_called(base)}", distance, f"KS at most {limit:.2f}")
    ]  # fmt: skip
    distance, limit = psi_of_bins(was, now)
    checks.append(
        _one(f"drift_psi_{what}", name, BROKEN if distance > limit else PASSED, WARNING, f"its {what}s are spread otherwise than in {_called(base)}", distance, f"PSI at most {limit:.2f}")
    )  # fmt: skip
    return checks


def ks(was: Mapping[Any, int], now: Mapping[Any, int], effect: float = KS_LIMIT) -> tuple[float, float]:
    """The Kolmogorov–Smirnov distance at the edges of the bins, and its limit: `effect`, or the noise at 0.1 %."""
    n, m = max(sum(was.values()), 1), max(sum(now.values()), 1)
    distance = a = b = 0.0
    for key in sorted({*was, *now}):
        a, b = a + was.get(key, 0) / n, b + now.get(key, 0) / m
        distance = max(distance, abs(a - b))
    return distance, max(effect, 1.95 * math.sqrt((n + m) / (n * m)))


def psi_of_bins(
    was: Mapping[int, int], now: Mapping[int, int], effect: float = PSI_LIMIT
) -> tuple[float, float]:
    """The population stability index over groups of neighbouring bins of about a tenth of the trusted rows, and ten rows, each."""
    n = sum(was.values())
    groups: list[tuple[int, int]] = []
    a = b = 0
    for key in sorted({*was, *now}):
        a, b = a + was.get(key, 0), b + now.get(key, 0)
        if a >= max(0.1 * n, _GROUP):
            groups.append((a, b))
            a = b = 0
    if a or b:
        groups.append((a, b))
    return _psi([g[0] for g in groups], [g[1] for g in groups], effect)


def psi_of_values(was: ColumnProfile, now: ColumnProfile) -> tuple[float, float]:
    """PSI over the frequent values of the trusted version, all others together as one."""
    current = dict(now.top)
    a, b = [n for _, n in was.top], [current.get(value, 0) for value, _ in was.top]
    return _psi([*a, was.present - sum(a)], [*b, now.present - sum(b)], PSI_LIMIT)


def _psi(was: Sequence[int], now: Sequence[int], effect: float) -> tuple[float, float]:
    n, m = max(sum(was), 1), max(sum(now), 1)
    total = 0.0
    # Half a row more in each group keeps empty ones from shouting.
    for a, b in zip(was, now, strict=True):
        p, q = (a + 0.5) / (n + 0.5 * len(was)), (b + 0.5) / (m + 0.5 * len(was))
        total += (p - q) * math.log(p / q)
    # Wilson–Hilferty: the 99.9 % point of chi-square, which PSI follows times (1/n + 1/m) when nothing drifted.
    k = max(len(was) - 1, 1)
    noise = k * (1 - 2 / (9 * k) + 3.09 * math.sqrt(2 / (9 * k))) ** 3 * (1 / n + 1 / m)
    return total, max(effect, noise)


def _share(
    kind: str, column: str, was: tuple[int, int], now: tuple[int, int], base: Profile, *,
    least: float, severity: str, both: bool = False, what: str = "",
) -> CheckResult:  # fmt: skip
    (a, n), (b, m) = was, now
    p, q = a / max(n, 1), b / max(m, 1)
    middle = (a + b + 1) / (n + m + 2)
    noise = _SIGMAS * math.sqrt(middle * (1 - middle) * (1 / max(n, 1) + 1 / max(m, 1)))
    if a == 0 and n and m:
        # What never happened in n rows happens in less than 4.6 / n of them (99 %); the rest is Poisson's spread.
        often = _NEVER * m / n
        noise = min(noise, (often + 3 * math.sqrt(often)) / m)
    limit = max(least + 0.25 * p, noise)
    far = abs(p - q) if both else q - p
    status = BROKEN if far > limit else PASSED
    if "_holds_" in kind:
        one, other = kind.partition(":")[2].split("_holds_")
        what = f"cells of {one} whose value also stands in {other}"
    words = what or kind.partition(":")[2].replace("_", " ") or kind.removeprefix("form_").replace("_", " ")
    return _one(
        kind, column, status, severity,
        f"{words}: {100 * q:.2f} % of the rows; {_called(base)} had {100 * p:.2f} %", q,
        f"{f'{100 * max(p - limit, 0):.2f} to ' if both else 'at most '}{100 * min(p + limit, 1):.2f} %",
        max(0, b - round(p * m)),
    )  # fmt: skip


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
