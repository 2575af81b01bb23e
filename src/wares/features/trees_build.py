"""Write LightGBM trees as an ONNX ``TreeEnsembleRegressor``, node by node, compared with LightGBM before they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import ModelError
from wares.features.trees import Trees

LARGEST = float(np.finfo(np.float32).max)


def raw_scores(trees: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What LightGBM trees give before any link, ``(n,)``; of several models, their mean."""
    models = trees if isinstance(trees, list) else [trees]
    total = np.zeros(len(features))
    for model in models:
        total += model.predict(features, raw_score=True)
    return (total / len(models)).astype(np.float32)


def save_trees(trees: Any, n_features: int, path: Path, check: NDArray[np.float32]) -> None:
    """Write LightGBM trees (one model, or a list whose mean is meant) as ONNX; read them back to compare on rows `check`.

    Raises:
        ModelError: when the written trees do not give what LightGBM gives.
    """
    from onnx import TensorProto, helper

    columns: dict[str, list[Any]] = {}

    def put(**values: Any) -> None:
        for name, value in values.items():
            columns.setdefault(name, []).append(value)

    models = trees if isinstance(trees, list) else [trees]
    found = [tree["tree_structure"] for model in models for tree in model.dump_model()["tree_info"]]
    for number, tree in enumerate(found):
        _walk(tree, number, 1.0 / len(models), put)
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


def _walk(root: dict[str, Any], tree: int, share: float, put: Any) -> None:
    """The nodes of one tree, parents before children; its leaves count by `share`."""
    waiting, following = [(root, 0)], 1
    while waiting:
        node, at = waiting.pop()
        leaf = "leaf_value" in node
        put(nodes_treeids=tree, nodes_nodeids=at, nodes_hitrates=1.0)
        if leaf:
            put(
                nodes_modes="LEAF", nodes_featureids=0, nodes_values=0.0, nodes_truenodeids=0, nodes_falsenodeids=0,
                nodes_missing_value_tracks_true=0, target_treeids=tree, target_nodeids=at, target_ids=0,
                target_weights=share * float(node["leaf_value"]),
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
