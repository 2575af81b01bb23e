"""Category paths of many sources mapped onto one taxonomy: known ones directly, others proposed with a score."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process

from wares.core.errors import ConfigError
from wares.data.clean.text import TextRule, run_chain

PROPOSED = 3
_ID = re.compile(r"^\d+\s+-\s+")
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Mapped:
    """`table`: category → taxonomy path; `known`: all paths; `proposals`: for review, best first."""

    table: dict[str, str]
    known: frozenset[str]
    proposals: list[dict[str, Any]]


def read_taxonomy(path: Path, chain: list[TextRule]) -> list[str]:
    """Paths, one a line (`A > B`, with or without a leading ``123 - `` as in Google's file), cleaned like the column.

    Raises:
        ConfigError: when the file is missing or empty.
    """
    lines = path.read_text("utf-8-sig").splitlines() if path.is_file() else []
    paths = [
        run_chain(_ID.sub("", line.strip()), chain)[0]
        for line in lines
        if line.strip() and not line.startswith("#")
    ]
    if not paths:
        raise ConfigError(
            f"there is no taxonomy in {path}",
            mend="Write one path a line, such as Home > Kitchen > Knives, or take the rule `taxonomy` away",
            key="taxonomy.file",
            source=str(path),
        )
    return list(dict.fromkeys(paths))


def read_mapping(path: Path, known: dict[str, str], chain: list[TextRule]) -> dict[str, str]:
    """``from,to`` rows decided by a person; a missing file is an empty one.

    Raises:
        ConfigError: when a target is not in the taxonomy.
    """
    if not path.is_file():
        return {}
    out: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        if not {"from", "to"} <= set(rows.fieldnames or ()):
            raise ConfigError(
                f"{path.name} has no columns from,to",
                mend="Head it from,to",
                key="taxonomy.mapping",
                source=str(path),
            )
        for number, row in enumerate(rows, 2):
            target = known.get(run_chain(row["to"] or "", chain)[0].casefold())
            if target is None:
                raise ConfigError(
                    f"{path.name}, line {number}: {row['to']!r} is not in the taxonomy",
                    mend="Add it to the taxonomy file, or mend the line",
                    key="taxonomy.mapping",
                    source=str(path),
                )
            out[run_chain(row["from"] or "", chain)[0].casefold()] = target
    return out


def _words(path: str) -> str:
    return " ".join(_WORD.findall(path.casefold()))


def similarity(one: str, other: str) -> float:
    """0 to 1 between two category paths: the last steps count most, order of words does not matter."""
    a, b = one.split(" > "), other.split(" > ")
    leaf = fuzz.token_sort_ratio(_words(a[-1]), _words(b[-1]))
    whole = fuzz.token_sort_ratio(_words(one), _words(other))
    inside = fuzz.token_set_ratio(_words(one), _words(other))
    return float(0.5 * leaf + 0.3 * whole + 0.2 * inside) / 100


def map_categories(
    counts: dict[str, int], taxonomy: list[str], mapping: dict[str, str], threshold: float
) -> Mapped:
    """Map each category of `counts` (category → rows): equal path, a person's mapping, or similarity ≥ `threshold`."""
    known = {path.casefold(): path for path in taxonomy}
    words = [_words(path) for path in taxonomy]
    table: dict[str, str] = {}
    proposals: list[dict[str, Any]] = []
    for category, rows in counts.items():
        target = mapping.get(category.casefold()) or known.get(category.casefold())
        if target is None:
            near = process.extract(_words(category), words, scorer=fuzz.WRatio, limit=20)
            ranked = sorted(
                ((similarity(category, taxonomy[place]), taxonomy[place]) for _, _, place in near),
                reverse=True,
            )
            for score, path in ranked[:PROPOSED]:
                applied = score >= threshold and path == ranked[0][1]
                proposals.append(
                    {"from": category, "to": path, "score": round(score, 3), "rows": rows, "applied": applied}
                )
                if applied:
                    target = path
                    break
        if target is not None and target != category:
            table[category] = target
    proposals.sort(key=lambda p: (-p["rows"], p["from"], -p["score"]))
    return Mapped(table, frozenset(taxonomy), proposals)
