"""Gradient boosted trees for one head of the learned ranker, and their form for serving.

LightGBM (Ke et al., NeurIPS 2017) by log-loss or as LambdaMART (Burges 2010, MSR-TR-2010-82). What is served is an ONNX
``TreeEnsembleRegressor``, written here node by node and compared with LightGBM before it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import ModelError
from wares.models.recommend.learned import Trees

KINDS = ("log-loss", "lambdamart")
ROUNDS = 80
LARGEST = float(np.finfo(np.float32).max)
_SHAPE = {
    "num_leaves": 31, "learning_rate": 0.08, "min_data_in_leaf": 100, "feature_fraction": 0.6, "bagging_fraction": 0.7,
    "bagging_freq": 1, "lambda_l2": 5.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examples:
    """Candidates of one head over many shoppers: ``features (n, f) float32``, ``bought (n,) bool``, ``sizes (s,)`` of
    the lists in order, ``cheap (n,)`` the score that drafted them and ``wanted (s,)`` how many were to be found."""

    features: NDArray[np.float32]
    bought: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    cheap: NDArray[np.float32]
    wanted: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: list[Examples]) -> Examples:
        """One after another."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def without(self, columns: list[int]) -> Examples:
        """With some features blank."""
        features = self.features.copy()
        features[:, columns] = np.nan
        return Examples(features, self.bought, self.sizes, self.cheap, self.wanted)


def grow(examples: Examples, kind: str, seed: int, threads: int, rounds: int = ROUNDS) -> Any:
    """Trees of `kind`; the same for the same examples, seed and number of threads or another."""
    import lightgbm

    ranking = kind == "lambdamart"
    shape = _SHAPE | {"min_data_in_leaf": int(np.clip(len(examples.bought) // 3000, 10, 100))}
    params = shape | {
        "objective": "lambdarank" if ranking else "binary", "lambdarank_truncation_level": 20, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": threads, "verbose": -1,
    }  # fmt: skip
    data = lightgbm.Dataset(
        examples.features, examples.bought.astype(np.float32), group=examples.sizes if ranking else None
    )
    return lightgbm.train(params, data, rounds)


def raw_scores(trees: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the trees give before any link, ``(n,)``."""
    return np.asarray(trees.predict(features, raw_score=True), np.float32)


def save_trees(trees: Any, n_features: int, path: Path, check: NDArray[np.float32]) -> None:
    """Write LightGBM trees as ONNX, and read them back to compare on the rows `check`.

    Raises:
        ModelError: when the written trees do not give what LightGBM gives.
    """
    from onnx import TensorProto, helper

    columns: dict[str, list[Any]] = {}

    def put(**values: Any) -> None:
        for name, value in values.items():
            columns.setdefault(name, []).append(value)

    for number, tree in enumerate(trees.dump_model()["tree_info"]):
        _walk(tree["tree_structure"], number, put)
    node = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["scores"], domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
        **columns,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, n_features])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)],
        ir_version=9,
        producer_name="wares",
    )
    path.write_bytes(model.SerializeToString(deterministic=True))
    if len(check):
        worst = float(np.abs(Trees(path).scores(check) - raw_scores(trees, check)).max())
        if worst > 1e-3:
            raise ModelError(
                f"trees written as ONNX differ from LightGBM's by {worst:.4g}",
                mend="Report the versions of lightgbm, onnx and onnxruntime",
            )


def _walk(root: dict[str, Any], tree: int, put: Any) -> None:
    """The nodes of one tree, parents before children."""
    waiting, following = [(root, 0)], 1
    while waiting:
        node, at = waiting.pop()
        leaf = "leaf_value" in node
        put(nodes_treeids=tree, nodes_nodeids=at, nodes_hitrates=1.0)
        if leaf:
            put(
                nodes_modes="LEAF", nodes_featureids=0, nodes_values=0.0, nodes_truenodeids=0, nodes_falsenodeids=0,
                nodes_missing_value_tracks_true=0, target_treeids=tree, target_nodeids=at, target_ids=0,
                target_weights=float(node["leaf_value"]),
            )  # fmt: skip
            continue
        left, right = following, following + 1
        following += 2
        put(
            nodes_modes="BRANCH_LEQ", nodes_featureids=int(node["split_feature"]), nodes_values=_below(node["threshold"]),
            nodes_truenodeids=left, nodes_falsenodeids=right,
            nodes_missing_value_tracks_true=int(_missing_goes_left(node)),
        )  # fmt: skip
        waiting += [(node["left_child"], left), (node["right_child"], right)]


def _below(threshold: float) -> float:
    """The largest float32 not above a threshold: a float32 feature is on the same side of both."""
    # Splits of missing against present have thresholds that no float32 holds.
    single = np.float32(np.clip(threshold, -LARGEST, LARGEST))
    return float(np.nextafter(single, np.float32(-np.inf)) if float(single) > threshold else single)


def _missing_goes_left(node: dict[str, Any]) -> bool:
    # Without missing values in training, LightGBM takes NaN for zero.
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else float(node["threshold"]) >= 0.0
