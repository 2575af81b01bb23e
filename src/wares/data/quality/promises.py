"""What the contract itself promises, measured on stored rows: schema, columns, keys, references, and its quality rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from wares.core import columns as c
from wares.core.errors import ConfigError, DataError
from wares.data.check import Rule, column_rules, row_rules
from wares.data.contract import Contract
from wares.data.engine import Engine, Table, literal
from wares.data.quality import sqltext
from wares.data.quality.profile import FORBIDDEN, Profile
from wares.data.quality.relations import STATIC
from wares.data.quality.report import BROKEN, BUILT_IN, INVALID, PASSED, CheckResult
from wares.data.quality.rules import CRITICAL, ERROR, WARNING, QualityRule
from wares.data.types import STRING, TIMESTAMP

SAMPLE = 5
_CRITICAL = ("required", "unique", "schema", "type")


class Promises:
    """Runs the checks of one contract over one version of a table."""

    def __init__(
        self, engine: Engine, contract: Contract, table: Table, values: Mapping[str, Table], found: Profile,
        others: Mapping[str, Table], now: datetime,
    ) -> None:  # fmt: skip
        self.engine, self.contract, self.table, self.values = engine, contract, table, values
        self.found, self.others, self.now = found, others, now
        self.hidden = contract.personal | {n for n, p in found.columns.items() if p.personal}

    def structural(self) -> list[CheckResult]:
        """Schema, column rules, keys, references, freshness, future times, broken characters, mixed currencies."""
        return [
            *self._schema(), *self._columns(), *self._unique(), *self._references(), *self._rows(), *self._fresh(),
            *self._built_in(),
        ]  # fmt: skip

    def _result(self, kind: str, column: str, broken: int, message: str, mend: str, rule: Rule | None = None, **more: Any) -> CheckResult:  # fmt: skip
        severity = more.pop("severity", CRITICAL if kind in _CRITICAL else ERROR)
        out = CheckResult(
            kind, column, BROKEN if broken else PASSED, severity, kind in self.contract.blocking,
            value=float(broken), expected="0 rows", broken=broken, **more,
        )  # fmt: skip
        if broken:
            out.message, out.mend = message, mend
            out.sample = self.sample(rule.broken) if rule is not None else []
        return out

    def sample(self, broken: Any) -> list[dict[str, Any]]:
        """Keys of some broken rows; no cell of a personal column."""
        key = [name for name in self.contract.key if name in self.table.columns and name not in self.hidden]
        if not key:
            return []
        rows = self.table.filter(broken).select(*key).order_by(key).limit(SAMPLE)
        return [{name: str(cell)[:200] for name, cell in row.items()} for row in self.engine.arrow(rows).to_pylist()]  # fmt: skip

    def _schema(self) -> list[CheckResult]:
        promised = {column.name: column.kind for column in self.contract.columns}
        out = []
        for name, kind in promised.items():
            there = self.found.columns.get(name)
            wrong = there is None or there.kind != kind
            word = "is missing" if there is None else f"is {there.kind}, not {kind}"
            label = "schema" if there is None else "type"
            out.append(
                CheckResult(label, name, BROKEN if wrong else PASSED, CRITICAL, True, expected=kind, message=f"the column {word}" if wrong else "", mend="Restore the column, or change the contract" if wrong else "")
            )  # fmt: skip
        out += [
            CheckResult("schema", name, BROKEN, WARNING, expected="no such column", message="the contract does not name this column", mend="Add it to the contract, or drop it")
            for name in self.table.columns
            if name not in promised
        ]  # fmt: skip
        return out

    def _columns(self) -> list[CheckResult]:
        out = []
        for column in self.contract.columns:
            if column.name not in self.values or self.found.columns[column.name].kind != column.kind:
                continue
            reduced = self.values[column.name]
            rules = column_rules(column, reduced)
            if not rules:
                continue
            sums = {f"r{i}": reduced["_n"].sum(where=rule.broken) for i, rule in enumerate(rules)}
            facts = self.engine.arrow(reduced.aggregate(**sums)).to_pylist()[0]
            whole = column_rules(column, self.table)
            for i, rule in enumerate(rules):
                broken = int(facts[f"r{i}"] or 0)
                out.append(
                    self._result(
                        rule.name,
                        column.name,
                        broken,
                        f"{broken:,} rows: {rule.mend.lower()}",
                        rule.mend,
                        whole[i],
                    )
                )
        return _merged(out)

    def _rows(self) -> list[CheckResult]:
        rules = list(row_rules(self.contract, self.table, columns=False))
        out = []
        for rule in rules:
            broken = int(self.engine.scalar(rule.broken.sum()) or 0)
            out.append(self._result(rule.name, "+".join((c.USER_ID, c.SESSION_ID)), broken, f"{broken:,} rows name nobody", rule.mend, rule))  # fmt: skip
        return out

    def _unique(self) -> list[CheckResult]:
        out = []
        keys = {self.contract.key, *((column.name,) for column in self.contract.columns if column.unique)}
        for key in sorted(keys):
            if not set(key) <= set(self.values):
                continue
            known = self.found.columns[key[0]].repeats if len(key) == 1 else None
            broken = known if known is not None else self._repeats(key)
            result = self._result(
                "unique", "+".join(key), broken, f"{broken:,} rows repeat a key", "Keep one row a key"
            )
            if broken and not set(key) & self.hidden:
                groups = self.table.group_by(list(key)).aggregate(_n=self.table.count())
                rows = groups.filter(groups["_n"] > 1).order_by(list(key)).limit(SAMPLE)
                result.sample = [
                    {n: str(row[n])[:200] for n in key} for row in self.engine.arrow(rows).to_pylist()
                ]
            out.append(result)
        return out

    def _repeats(self, key: tuple[str, ...]) -> int:
        rows = self.table.filter(self.table[key[0]].notnull())
        groups = rows.group_by(list(key)).aggregate(_n=rows.count())
        return int(self.engine.scalar((groups["_n"] - 1).sum()) or 0)

    def _references(self) -> list[CheckResult]:
        out = []
        for column in self.contract.columns:
            if not column.reference or column.name not in self.values:
                continue
            there, _, field = column.reference.partition(".")
            target = self.others.get(there)
            if target is None or field not in target.columns:
                missing = (
                    f"the table {there} is not loaded"
                    if target is None
                    else f"{there} has no column {field!r}"
                )
                status = PASSED if target is None else INVALID
                out.append(CheckResult("reference", column.name, status, WARNING, message=missing, mend=f"wares ingest PATH --as {there}"))  # fmt: skip
                continue
            mine = self.values[column.name]
            known = target.filter(target[field].notnull()).select(_known=target[field])
            orphans = mine.filter(mine[column.name].notnull()).anti_join(
                known, mine[column.name] == known["_known"]
            )
            broken = int(self.engine.scalar(orphans["_n"].sum()) or 0)
            result = self._result("reference", column.name, broken, f"{broken:,} rows name nothing in {there}", f"Load it into {there}, or mend the id")  # fmt: skip
            if broken and column.name not in self.hidden:
                keyed = self.table.semi_join(orphans, column.name)
                key = [n for n in self.contract.key if n not in self.hidden]
                rows = keyed.select(*key).order_by(key).limit(SAMPLE)
                result.sample = [{n: str(v)[:200] for n, v in row.items()} for row in self.engine.arrow(rows).to_pylist()]  # fmt: skip
            out.append(result)
        return out

    def _fresh(self) -> list[CheckResult]:
        at = self.found.columns.get(c.AT)
        if self.contract.freshness_days is None or at is None or at.high is None:
            return []
        age = (self.now - datetime.fromisoformat(str(at.high))).total_seconds() / 86400
        return [self._age("freshness", c.AT, age, self.contract.freshness_days, WARNING if "freshness" in self.contract.warnings else ERROR)]  # fmt: skip

    def _age(
        self, kind: str, column: str, age: float, most: float, severity: str, **more: Any
    ) -> CheckResult:
        late = age > most
        return CheckResult(
            kind, column, BROKEN if late else PASSED, severity, value=round(age, 3), expected=f"at most {most:g} days",
            message=f"the newest row is {age:.1f} days old" if late else "", mend="Load newer rows" if late else "", **more,
        )  # fmt: skip

    def _built_in(self) -> list[CheckResult]:
        """What no table of a shop should hold, whoever wrote its contract."""
        out = []
        for name, column in self.found.columns.items():
            if column.kind == TIMESTAMP and column.present:
                late = self.values[name][name] > literal(self.now + timedelta(days=1))
                broken = int(self.engine.scalar(self.values[name]["_n"].sum(where=late)) or 0)
                rule = Rule("future", name, "Correct the clock or the zone of the source", self.table[name] > literal(self.now + timedelta(days=1)))  # fmt: skip
                out.append(self._result("future", name, broken, f"{broken:,} rows lie in the future", rule.mend, rule, origin=BUILT_IN))  # fmt: skip
            if column.kind == STRING and column.present:
                for kind, words in FORBIDDEN.items():
                    broken = column.classes[kind]
                    severity = ERROR if kind == "mojibake" else WARNING
                    out.append(self._result(kind, name, broken, f"{broken:,} cells {words}", "Set `encoding` of the source, or clean the column", severity=severity, origin=BUILT_IN))  # fmt: skip
        coins = self.found.columns.get(c.CURRENCY)
        if coins is not None and coins.top:
            most = coins.top[0][1]
            rare = coins.present - most
            few = 0 < rare < 0.05 * coins.present
            rest = ", ".join(value for value, _ in coins.top[1:5])
            out.append(self._result("mixed_currency", c.CURRENCY, rare if few else 0, f"{rare:,} rows are in {rest}, the others in {coins.top[0][0]}", "Correct the currency, or convert the prices", severity=WARNING, origin=BUILT_IN))  # fmt: skip
        for name, (limit, severity, words) in STATIC.items():
            if name in self.found.shares:
                count, of = self.found.shares[name]
                broken = count if count > limit * max(of, 1) else 0
                out.append(self._result(name, c.PRICE, broken, f"{count:,} {words}", "Compare with the products; a unit or a currency may have changed", severity=severity, origin=BUILT_IN))  # fmt: skip
        return out

    # -- rules of the contract -------------------------------------------------------------------------------

    def run(self, rule: QualityRule, drift: Any) -> CheckResult:
        """One quality rule; what stops it from being run makes it invalid and leaves the others alone.

        Args:
            rule: the rule.
            drift: called with a rule of kind psi or ks; returns (distance, what it was compared with).
        """
        out = CheckResult(
            rule.kind, rule.column, severity=rule.severity, blocking=rule.blocking, rule=rule.name
        )
        try:
            if rule.column and rule.column not in self.table.columns:
                raise ConfigError(
                    f"the contract of {self.contract.table}: quality rule {rule.name!r} names the missing column {rule.column!r}",
                    mend="Name a column of the table, or take the rule away", key=rule.name, source=rule.name,
                )  # fmt: skip
            if rule.kind in ("psi", "ks"):
                self._drifted(rule, out, drift)
            elif rule.kind == "fresh":
                column = rule.column or c.AT
                newest = self.found.columns[column].high if column in self.found.columns else None
                if newest is None:
                    raise ConfigError(f"rule {rule.name!r}: {column!r} holds no times", mend="Name a column of times", key=rule.name, source=rule.name)  # fmt: skip
                age = (self.now - datetime.fromisoformat(str(newest))).total_seconds() / 86400
                return self._age("fresh", column, age, rule.limits.high or 0.0, rule.severity, blocking=rule.blocking, rule=rule.name)  # fmt: skip
            else:
                self._counted(rule, out)
        except (ConfigError, DataError) as error:
            out.status, out.message, out.mend = INVALID, error.message, error.mend
        return out

    def _drifted(self, rule: QualityRule, out: CheckResult, drift: Any) -> None:
        distance, against = drift(rule)
        out.value, out.expected = distance, f"{rule.kind.upper()} {rule.limits}"
        if not rule.limits.holds(distance):
            out.status = BROKEN
            out.message = f"{rule.kind.upper()} {distance:.3f} against version {against}"
            out.mend = rule.description or "Look at the source of this version"

    def _counted(self, rule: QualityRule, out: CheckResult) -> None:
        broken_rows: Any = None
        if rule.kind in ("rowCount", "volume"):
            count = self.found.rows
        elif rule.kind == "nullValues":
            count, broken_rows = self.found.columns[rule.column].nulls, self.table[rule.column].isnull()
        elif rule.kind == "missingValues":
            words = rule.argument("missingValues", [None, ""])
            texts, value = [str(w) for w in words if w is not None], self.table[rule.column].cast("string")
            broken_rows = value.isnull() | value.isin(texts) if None in words else value.isin(texts)
            count = int(self.engine.scalar(broken_rows.sum()) or 0)
        elif rule.kind == "invalidValues":
            broken_rows = self._invalid(rule)
            count = int(self.engine.scalar(broken_rows.sum()) or 0)
        elif rule.kind == "duplicateValues":
            names = (rule.column,) if rule.column else tuple(rule.argument("properties", self.contract.key))
            missing = [name for name in names if name not in self.table.columns]
            if missing:
                raise ConfigError(f"rule {rule.name!r} names the missing column {missing[0]!r}", mend="Name columns of the table", key=rule.name, source=rule.name)  # fmt: skip
            count = self._repeats(names)
        elif rule.kind == "sql":
            return self._sql(rule, out)
        else:
            table, good = self._expression(rule)
            broken_rows = None
            bad = ~good.fill_null(True)
            count = int(self.engine.scalar(bad.sum()) or 0)
            if count:
                keys = [n for n in self.contract.key if n not in self.hidden]
                rows = table.filter(bad).select(*keys).order_by(keys).limit(SAMPLE) if keys else None
                out.sample = [{n: str(v)[:200] for n, v in r.items()} for r in self.engine.arrow(rows).to_pylist()] if rows is not None else []  # fmt: skip
        self._judge(rule, out, count, broken_rows)
        return None

    def _judge(self, rule: QualityRule, out: CheckResult, count: float, broken_rows: Any) -> None:
        value = 100.0 * count / max(self.found.rows, 1) if rule.limits.percent else float(count)
        limits = rule.limits if rule.limits.given else type(rule.limits)(high=0.0)
        out.value, out.expected = value, str(limits)
        if limits.holds(value):
            out.sample = []
            return
        out.status = BROKEN
        out.broken = int(count) if rule.kind not in ("rowCount", "volume") else 0
        unit = " % of the rows" if rule.limits.percent else " rows"
        out.message = f"{value:g}{unit}; must be {limits}"
        out.mend = rule.description or "Mend the rows at their source and ingest again"
        if broken_rows is not None:
            out.sample = self.sample(broken_rows)

    def _invalid(self, rule: QualityRule) -> Any:
        value = self.table[rule.column]
        allowed, pattern = rule.argument("validValues"), rule.argument("pattern")
        if allowed:
            return value.notnull() & value.cast("string").notin([str(v) for v in allowed])
        if pattern:
            import re

            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ConfigError(f"rule {rule.name!r}: the pattern cannot be read: {error}", mend="Mend `pattern`", key=rule.name, source=rule.name) from None  # fmt: skip
            return value.notnull() & ~value.cast("string").re_search(str(pattern))
        raise ConfigError(f"rule {rule.name!r} says not what is valid", mend="Give `arguments: {validValues: […]}` or a `pattern`", key=rule.name, source=rule.name)  # fmt: skip

    def _expression(self, rule: QualityRule) -> tuple[Table, Any]:
        """The table, joined with what the expression asks of others, and the condition that good rows fulfil."""
        place = f"the contract of {self.contract.table}: quality rule {rule.name!r}"
        roads = {col.reference.partition(".")[0]: col for col in self.contract.columns if col.reference}
        wanted: dict[str, set[str]] = {}

        def note(other: str, column: str) -> Any:
            if other in ("", self.contract.table):
                if column not in self.table.columns:
                    raise KeyError(f"the missing column {column!r}")
                return self.table[column]
            if other not in roads:
                raise KeyError(f"the table {other!r}, to which no column refers")
            target = self.others.get(other)
            if target is None or column not in target.columns:
                raise KeyError(f"the missing column {other}.{column}")
            wanted.setdefault(other, set()).add(column)
            return target[column]

        sqltext.expression(rule.text, note, place, self.now)
        table = self.table
        for other, names in wanted.items():
            road, target = roads[other], self.others[other]
            field = road.reference.partition(".")[2]
            known = target.select(
                **{f"_k_{other}": target[field], **{f"_x_{other}_{n}": target[n] for n in names}}
            )
            known = known.group_by(f"_k_{other}").aggregate(**{n: known[n].min() for n in known.columns if n != f"_k_{other}"})  # fmt: skip
            table = table.left_join(known, table[road.name] == known[f"_k_{other}"])

        def final(other: str, column: str) -> Any:
            return table[column if other in ("", self.contract.table) else f"_x_{other}_{column}"]

        good = sqltext.expression(rule.text, final, place, self.now)
        if not hasattr(good, "fill_null") or not good.type().is_boolean():
            raise ConfigError(f"{place} is no condition", mend="Write a comparison, as `price > 0`", key=rule.name, source=place)  # fmt: skip
        return table, good

    def _sql(self, rule: QualityRule, out: CheckResult) -> None:
        place = f"the contract of {self.contract.table}: quality rule {rule.name!r}"
        tables = {self.contract.table: self.table, **self.others}
        text = rule.text.replace("{object}", self.contract.table).replace("{property}", rule.column)
        ready, read = sqltext.query(text, sorted(tables), place)
        try:
            result = self.engine.query(ready, {name: tables[name] for name in read})
            if rule.limits.given:
                cell = self.engine.arrow(result.limit(1)).to_pylist()
                value = next(iter(cell[0].values()), None) if cell else None
                self._judge(rule, out, float(value if value is not None else 0), None)
                out.broken = 0
                return
            count = self.engine.count(result)
            keys = [n for n in self.contract.key if n in result.columns and n not in self.hidden]
            if count and keys:
                rows = result.select(*keys).order_by(keys).limit(SAMPLE)
                out.sample = [
                    {n: str(v)[:200] for n, v in r.items()} for r in self.engine.arrow(rows).to_pylist()
                ]
        except DataError as error:
            raise ConfigError(f"{place} cannot be run: {error.message}", mend="Mend the query", key=rule.name, source=place) from None  # fmt: skip
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{place} gave no number: {error}", mend="Return one number, or no limit", key=rule.name, source=place) from None  # fmt: skip
        self._judge(rule, out, count, None)


def _merged(checks: list[CheckResult]) -> list[CheckResult]:
    """Both bounds of a range are one check."""
    out: dict[str, CheckResult] = {}
    for check in checks:
        first = out.setdefault(check.label, check)
        if first is not check and check.status == BROKEN:
            if first.status == PASSED:
                out[check.label] = check
            else:
                first.broken += check.broken
                first.value = float(first.broken)
                first.message += f"; {check.message}"
    return list(out.values())
