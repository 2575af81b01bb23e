"""Readings with planted truths, in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from wares.core.strings import StringTable
from wares.models.sentiment.languages import LANGUAGES
from wares.models.sentiment.moods_build import Catalog
from wares.models.sentiment.readings import Readings
from wares.models.sentiment.series import DAY

ASPECTS = ("quality", "battery")
DAYS, FIRST = 400, 20_000
NOW = (FIRST + DAYS) * DAY
FALL, BURST, WAVE = 300, 320, 340
"""Product 0 gets worse; complaints about the battery of product 1 come in a burst; product 2 gets copies."""


def readings(seed: int = 3, **changes: Any) -> Readings:
    """Texts of six products over 400 days: a text is bad with one chance in ten, but for what is planted."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    opinions: list[tuple[int, int, float]] = []
    for day in range(DAYS):
        for product in range(6):
            for _ in range(rng.poisson(0.8)):
                bad = rng.random() < (0.7 if product == 0 and day >= FALL else 0.1)
                rows.append(
                    {
                        "day": day,
                        "product": product,
                        "bad": bad,
                        "flags": 0,
                        "battery": bad and rng.random() < 0.15,
                    }
                )
        if BURST <= day < BURST + 10:
            rows += [{"day": day, "product": 1, "bad": True, "flags": 0, "battery": True} for _ in range(2)]
        if WAVE <= day < WAVE + 5:
            rows += [{"day": day, "product": 2, "bad": False, "flags": 2, "battery": False} for _ in range(6)]
        if day % 40 == 0:
            rows.append({"day": day, "product": 2, "bad": False, "flags": 2, "battery": False})
    texts: list[str] = []
    for i, row in enumerate(rows):
        said = "the battery died. " if row["battery"] else ""
        texts.append(f"{said}{'awful, I regret it' if row['bad'] else 'lovely, works well'} {i % 900 + 100}")
        opinions.append((i, 0, -0.8 if row["bad"] else 0.8))
        if row["battery"]:
            opinions.append((i, 1, -0.9))
    n, m = len(rows), len(opinions)
    some = np.array(opinions)
    noise = rng.uniform(0, 0.4, n)
    bad = np.array([row["bad"] for row in rows])
    facts: dict[str, Any] = {
        "ids": StringTable.of(f"review:r{i}" for i in range(n)), "texts": StringTable.of(texts), "users": StringTable.of([]),
        "brands": StringTable.of(["Zed"]), "sellers": StringTable.of(["s1", "s2"]), "queries": StringTable.of([]), "kinds": ("chat", "review"),
        "languages": LANGUAGES, "aspects": ASPECTS, "kind": np.ones(n, np.int8), "product": np.array([row["product"] for row in rows], np.int32),
        "author": np.full(n, -1, np.int32), "brand": np.full(n, -1, np.int32), "seller": rng.integers(0, 2, n).astype(np.int32),
        "query": np.full(n, -1, np.int32), "at": np.array([(FIRST + row["day"]) * DAY for row in rows], np.int64),
        "language": np.full(n, LANGUAGES.index("en"), np.int8), "stars": np.where(bad, 1, 5).astype(np.float32),
        "mood": np.where(bad, noise - 1, 1 - noise).astype(np.float32), "confidence": (1 - noise / 2).astype(np.float32),
        "sure": noise < 0.2, "flags": np.array([row["flags"] for row in rows], np.uint8), "op_text": some[:, 0].astype(np.int32),
        "op_aspect": some[:, 1].astype(np.int16), "op_polarity": some[:, 2].astype(np.float32), "op_start": np.zeros(m, np.int32),
        "op_end": np.full(m, 10, np.int32), "op_term_start": np.full(m, -1, np.int32), "op_term_end": np.full(m, -1, np.int32),
        "trained": True, "source": "stars",
    }  # fmt: skip
    return Readings(**{**facts, **changes})


def catalog() -> Catalog:
    """Six products of two categories and two brands."""
    return Catalog(
        [f"p{i}" for i in range(6)],
        np.array([0, 0, 0, 1, 1, 1]),
        ["Lamps", "Phones"],
        ["Ann", "Ann", "Ben", "Ben", "", "Ann"],
    )
