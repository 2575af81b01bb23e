"""Matching without labels: the Fellegi–Sunter model, its parameters found by expectation maximisation with Splink.

Each kind of evidence becomes a comparison with a few ordered levels; the model learns for each level how often
matches (m) and other pairs (u) show it, and adds the logarithms of m/u (Fellegi & Sunter, "A Theory for Record
Linkage", JASA 1969; Linacre et al., "Splink", IJPDS 2022). Candidate pairs come from our blocking, not from SQL
rules: Splink gets each pair as a record of a left and of a right table, blocked on the pair's number, and its
comparisons read the levels that we found.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wares.core.errors import MissingExtra
from wares.data.fusion.blocking import Pairs
from wares.data.fusion.evidence import Features

PATIENCE = (40, 12, 4, 1)
"""Rounds of expectation maximisation; fewer are tried when a level dies out on the way."""
TRAIN = 150_000
"""Pairs that expectation maximisation sees; all are scored."""


def levels(features: Features, names: list[str], n: int) -> tuple[NDArray[np.int8], dict[str, int]]:
    """The evidence as ordered levels: array (pairs, comparisons), -1 where nothing is said; and the levels of each."""
    column = {name: features[:, at] for at, name in enumerate(names)}
    scale = float(np.log(max(n, 3)))

    def banded(values: Any, *bounds: float, missing: Any = None) -> NDArray[np.int8]:
        out = np.digitize(values, bounds).astype(np.int8)
        void = np.isnan(values) if missing is None else missing
        out[void] = -1
        return out

    rest = column["digit_rest_top_min"] / scale
    out: dict[str, tuple[NDArray[np.int8], int]] = {
        "rare_shared": (banded(column["word_shared_top"] / scale, 0.35, 0.55, 0.7, 0.85), 5),
        "code_like": (banded(column["code_like"], 0.7, 0.85, 0.95, 0.9999), 5),
        "number_against_number": (banded(rest, 1e-6, 0.35, 0.55, 0.75), 5),
        "words_inside": (banded(column["word_inside"], 0.3, 0.5, 0.7, 0.9), 5),
        "pieces": (banded(column["gram_cosine"], 0.25, 0.4, 0.55, 0.7, 0.85), 6),
        "measures": (
            banded(
                column["measures_agree"] - 3 * column["measures_conflict"], -0.5, 1.5,
                missing=(column["measures_agree"] == 0) & (column["measures_conflict"] == 0),
            ),
            3,
        ),
    }  # fmt: skip
    for name, values in column.items():
        if name.startswith("same_"):
            out[name] = (banded(values, 0.5), 2)
        elif name.startswith("ratio_"):
            out[name] = (banded(values, 0.5, 0.8, 0.95), 4)
        elif name.startswith("cosine_") or name == "vector_cosine":
            out[name] = (banded(values, 0.2, 0.4, 0.6, 0.8), 5)
    shown = {name: (array, count) for name, (array, count) in out.items() if len(np.unique(array)) > 1}
    if not shown:
        return np.zeros((len(features), 0), np.int8), {}
    return np.column_stack([array for array, _ in shown.values()]), {
        k: count for k, (_, count) in shown.items()
    }


def fellegi_sunter(
    pairs: Pairs,
    found: NDArray[np.int8],
    counts: dict[str, int],
    n: int,
    threads: int = 0,
    memory_gb: float = 2.0,
    seed: int = 7,
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Match probability of each pair, and what was learned: the prior, and weights ``log2(m/u)`` by comparison and level.

    Args:
        pairs: Candidates.
        found: Their levels, (pairs, comparisons); -1 is missing.
        counts: The comparisons in order, with how many levels each has.
        n: How many records there are.
        threads: For Splink's engine; 0: all.
        memory_gb: For Splink's engine.
        seed: Chooses the pairs to learn from.

    Raises:
        MissingExtra: when Splink is not installed.
    """
    try:
        from splink import DuckDBAPI, Linker, SettingsCreator, block_on
    except ModuleNotFoundError:
        raise MissingExtra("Fusion without labels", "govern") from None
    if not len(pairs) or not counts:
        return np.zeros(len(pairs)), {}
    logging.getLogger("splink").setLevel(logging.ERROR)
    # A thing has about one other offer: a fair guess of the prior, which expectation maximisation then moves.
    prior = float(np.clip(n / len(pairs) / 2, 0.005, 0.5))
    api = DuckDBAPI(":memory:")
    api.duckdb_con.execute(f"SET memory_limit='{memory_gb:.2f}GB'")
    if threads:
        api.duckdb_con.execute(f"SET threads={int(threads)}")
    try:
        rng = np.random.default_rng(seed)
        some = np.sort(rng.choice(len(pairs), min(TRAIN, len(pairs)), replace=False))
        sides = _sides(api, some, found[some], counts, "teach")
        learned: dict[str, Any] = {}
        for iterations in PATIENCE:
            settings = SettingsCreator(
                link_type="link_only",
                comparisons=[_comparison(name, count) for name, count in counts.items()],
                blocking_rules_to_generate_predictions=[block_on("pair")],
                probability_two_random_records_match=prior,
                retain_matching_columns=False,
                max_iterations=iterations,
                em_convergence=0.001,
            )
            teacher = Linker(sides, settings, log_level=None)
            try:
                teacher.training.estimate_parameters_using_expectation_maximisation(
                    block_on("pair"),
                    fix_u_probabilities=False,
                    populate_probability_two_random_records_match_from_trained_values=True,
                    record_sample_proportion=1.0,
                )
            except ValueError:
                # With few pairs a level can die out in one class, and Splink refuses a probability of zero.
                continue
            learned = teacher.misc.save_model_to_json()
            break
        else:
            learned = Linker(sides, settings, log_level=None).misc.save_model_to_json()
        pupil = Linker(_sides(api, np.arange(len(pairs)), found, counts, "all"), learned, log_level=None)
        table = pupil.inference.predict().as_pyarrow_table()
    finally:
        api.duckdb_con.close()
    probability = np.zeros(len(pairs))
    at = np.asarray([int(str(key)) for key in table["unique_id_l"].to_pylist()])
    probability[at] = table["match_probability"].to_numpy()
    return probability, {
        "prior": learned["probability_two_random_records_match"],
        "weights": _weights(learned),
    }


def _comparison(name: str, count: int) -> dict[str, Any]:
    # Higher levels speak for a match to begin with; so the two classes cannot change places.
    m = np.arange(1, count + 1) ** 2.0
    u = m[::-1]
    rows: list[dict[str, Any]] = [
        {"sql_condition": f'"{name}_l" < 0', "label_for_charts": "missing", "is_null_level": True}
    ]
    for level in range(count - 1, 0, -1):
        rows.append(
            {
                "sql_condition": f'"{name}_l" = {level}',
                "label_for_charts": str(level),
                "m_probability": float(m[level] / m.sum()),
                "u_probability": float(u[level] / u.sum()),
            }
        )
    rows.append(
        {
            "sql_condition": "ELSE",
            "label_for_charts": "0",
            "m_probability": float(m[0] / m.sum()),
            "u_probability": float(u[0] / u.sum()),
        }
    )
    return {"output_column_name": name, "comparison_levels": rows}


def _sides(
    api: Any, numbers: NDArray[np.int64], found: NDArray[np.int8], counts: dict[str, int], name: str
) -> Any:
    columns = {"unique_id": pa.array(numbers), "pair": pa.array(numbers)}
    columns |= {column: pa.array(found[:, at]) for at, column in enumerate(counts)}
    table = pa.table(columns)
    return [
        api.register(table, dataset_display_name=f"{name}_left"),
        api.register(table, dataset_display_name=f"{name}_right"),
    ]


def _weights(settings: dict[str, Any]) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for comparison in settings["comparisons"]:
        rows = {}
        for level in comparison["comparison_levels"]:
            m, u = level.get("m_probability"), level.get("u_probability")
            if m and u:
                rows[level["label_for_charts"]] = round(float(np.log2(m / u)), 2)
        out[comparison["output_column_name"]] = rows
    return out
