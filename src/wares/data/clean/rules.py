"""Cleaning rules as a contract declares them: names, options, what each reads and makes, and the lineage of it.

A column of a contract carries ``customProperties: [{property: clean, value: [unicode, {pack: {also: title}}]}]``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wares.core import columns as c
from wares.core.errors import ConfigError

FLAGS = "clean_flags"
"""Column of a clean table: comma-separated ``rule:column`` marks of what a person should look at."""

PACK_COLUMNS = ("pack_count", "unit_amount", "unit", "total_amount", "unit_price")
_TEXT = ("string",)
_NUMBER = ("number",)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a rule: its default, the type it must have, and, if limited, its choices or bounds."""

    default: Any
    kind: type | tuple[type, ...]
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    names_column: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """What a rule is. ``changes`` tells whether it changes its own column; ``adds`` are the columns that it makes."""

    name: str
    about: str
    kinds: tuple[str, ...] = _TEXT
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    changes: bool = True
    adds: tuple[str, ...] = ()
    ascii_safe: bool = False


@dataclass(frozen=True, slots=True)
class CleanRule:
    """A rule with its options filled in, as ``(name, value)`` pairs so that it can be hashed."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, option: str) -> Any:
        return dict(self.options)[option]

    @property
    def spec(self) -> Spec:
        """What the rule is."""
        return SPECS[self.name]

    def adds(self, column: str) -> tuple[str, ...]:
        """The columns that the rule makes when declared on `column`."""
        return tuple(name.format(column=column) for name in self.spec.adds)

    def reads(self, column: str) -> tuple[str, ...]:
        """The columns that the rule reads when declared on `column`, that one first."""
        more = [
            str(value)
            for name, value in self.options
            if self.spec.options[name].names_column and value not in ("", column)
        ]
        return (column, *more)


_RULES = (
    Spec("unicode", "One form for each character: NFC, or NFKC, which also dissolves ligatures, ½ and ™.", options={"form": Option("NFC", str, ("NFC", "NFKC"))}, ascii_safe=True),
    Spec("html", "Entities become characters; tags, scripts and comments become a space.", ascii_safe=True),
    Spec("width", "Full-width letters, digits and signs, and half-width kana, become the usual ones.", ascii_safe=True),
    Spec("chinese", "Traditional characters become simplified ones, or the other way round.", options={"to": Option("simplified", str, ("simplified", "traditional"))}, ascii_safe=True),
    Spec("control", "Control characters, byte-order marks and invisible marks go; joiners of emoji and of Persian stay.", ascii_safe=True),
    Spec("whitespace", "Runs of white space become one space; none at the ends.", ascii_safe=True),
    Spec("case", "One letter case, for codes.", options={"form": Option("lower", str, ("lower", "upper"))}),
    Spec("casing", "Each name in its most frequent spelling of the table: NIKE, nike and Nike become one."),
    Spec("category_path", "Separators of a category path become ` > `; empty and repeated steps go.", options={"separators": Option([">", "»", "›", "→", "|", "::", " / "], list)}),
    Spec("taxonomy", "Categories mapped onto one taxonomy; unknown ones get a proposal with a score, applied from the threshold on.", options={"file": Option("taxonomy.txt", str), "mapping": Option("category_map.csv", str), "threshold": Option(0.95, (int, float), low=0.5, high=1.01)}, adds=(FLAGS,)),
    Spec("pack", "Units and pack sizes read into comparable columns; 2x500ml is 2 of 0.5 l, 1 l in all.", changes=False, options={"also": Option("", str, names_column=True), "price": Option(c.PRICE, str, names_column=True)}, adds=PACK_COLUMNS),
    Spec("language", "The language of the text, as an ISO 639-1 code.", changes=False, options={"min_letters": Option(4, int, low=1, high=1000)}, adds=("{column}_language",)),
    Spec("near_duplicates", "A group number for texts that say the same in other words, order or spelling.", changes=False, options={"threshold": Option(0.92, (int, float), low=0.5, high=1.0)}, adds=("{column}_group",)),
    Spec("price_text", "At ingestion: a price inside words is read with price-parser. Later: an empty price is read from another column.", kinds=_NUMBER, options={"from": Option("", str, names_column=True)}),
    Spec("convert", "Prices in one currency by dated rates from a file; the original is kept beside.", kinds=_NUMBER, options={"to": Option("shop", str), "rates": Option("rates.csv", str), "currency": Option(c.CURRENCY, str, names_column=True), "max_age_days": Option(31, (int, float), low=0, high=36_500)}, adds=("{column}_original", "currency_original", FLAGS)),
    Spec("outliers", "Values far from the others of their group, by robust z of the logarithm, are flagged, not changed.", kinds=_NUMBER, changes=False, options={"by": Option("", str, names_column=True), "z": Option(3.5, (int, float), low=1, high=100), "least": Option(20, int, low=3, high=1_000_000)}, adds=(FLAGS,)),
)  # fmt: skip
SPECS: dict[str, Spec] = {spec.name: spec for spec in _RULES}


def parse_rules(value: Any, column: str, kind: str, source: str) -> tuple[CleanRule, ...]:
    """The rules of one column, in the order given.

    Raises:
        ConfigError: naming the file, the column, and the mend.
    """
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    return tuple(_rule(entry, column, kind, source) for entry in entries)


def _wrong(source: str, column: str, what: str, mend: str) -> ConfigError:
    return ConfigError(
        f"{source}: column {column!r}: {what}", mend=mend, key=f"{column}.clean", source=source
    )


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(known)}"


def _rule(entry: Any, column: str, kind: str, source: str) -> CleanRule:
    if isinstance(entry, dict) and len(entry) == 1:
        name, given = next(iter(entry.items()))
        given = {} if given is None else given
    else:
        name, given = entry, {}
    if not isinstance(name, str) or name not in SPECS:
        raise _wrong(source, column, f"there is no cleaning rule {name!r}", _near(str(name), sorted(SPECS)))
    spec = SPECS[name]
    if kind not in spec.kinds:
        raise _wrong(
            source,
            column,
            f"the cleaning rule {name!r} is for {' and '.join(spec.kinds)} columns, and this is a {kind}",
            "Take it away here",
        )
    if not isinstance(given, dict):
        raise _wrong(
            source,
            column,
            f"the options of {name!r} must be a mapping",
            f"Write {{{name}: {{option: value}}}}",
        )
    for option in given:
        if option not in spec.options:
            known = _near(str(option), sorted(spec.options)) if spec.options else "It has none"
            raise _wrong(source, column, f"the cleaning rule {name!r} has no option {option!r}", known)
    values = [
        (option, _value(given.get(option, form.default), form, f"{name}.{option}", column, source))
        for option, form in spec.options.items()
    ]
    return CleanRule(name, tuple(values))


def _value(value: Any, form: Option, where: str, column: str, source: str) -> Any:
    kinds = form.kind if isinstance(form.kind, tuple) else (form.kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(k.__name__ for k in kinds)
        raise _wrong(source, column, f"`{where}` is {value!r}", f"Write a {names}, as {form.default!r}")
    if form.choices and value not in form.choices:
        raise _wrong(source, column, f"`{where}` is {value!r}", _near(str(value), list(form.choices)))
    if (form.low is not None and value < form.low) or (form.high is not None and value > form.high):
        raise _wrong(source, column, f"`{where}` is {value!r}", f"Write {form.low:g} to {form.high:g}")
    return tuple(value) if isinstance(value, list) else value


def declared(contract: Any) -> list[tuple[str, CleanRule]]:
    """All (column, rule) pairs of a contract, in the order in which they are applied."""
    return [(column.name, rule) for column in contract.columns for rule in column.clean]


def check_columns(contract: Any) -> None:
    """Refuse rules that read a column which the contract does not have.

    Raises:
        ConfigError: naming the column and the option.
    """
    names = [column.name for column in contract.columns]
    for column, rule in declared(contract):
        for other in rule.reads(column)[1:]:
            if other not in names and not (rule.name == "pack" and other == c.PRICE):
                raise _wrong(
                    f"the contract of {contract.table}", column, f"the cleaning rule {rule.name!r} reads {other!r}, which is no column",
                    _near(other, sorted(names)),
                )  # fmt: skip


def lineage(contract: Any) -> list[tuple[str, list[str], str]]:
    """Column lineage of cleaning as ``(output column, [input columns], rule)``, one entry a rule and output.

    Columns without rules pass through: ``(column, [column], "copy")``.
    """
    out: list[tuple[str, list[str], str]] = []
    names = [column.name for column in contract.columns]
    for column in contract.columns:
        if not any(rule.spec.changes for rule in column.clean):
            out.append((column.name, [column.name], "copy"))
        for rule in column.clean:
            reads = [name for name in rule.reads(column.name) if name in names]
            if rule.spec.changes:
                out.append((column.name, reads, rule.name))
            out += [(name, _read_for(name, column.name, reads), rule.name) for name in rule.adds(column.name)]
            if rule.name == "convert":
                out.append((str(rule["currency"]), [str(rule["currency"])], rule.name))
    return out


def _read_for(output: str, column: str, reads: list[str]) -> list[str]:
    """Which of the columns that a rule reads go into one of its outputs."""
    if output == f"{column}_original":
        return [column]
    if output in PACK_COLUMNS:
        return [name for name in reads if name != c.PRICE or output == "unit_price"]
    return [name for name in reads if name != column] if output == "currency_original" else reads
