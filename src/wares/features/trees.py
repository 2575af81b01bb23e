"""Gradient boosted trees when they serve: one ONNX ``TreeEnsembleRegressor``, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from wares.core.errors import IncompatibleArtifact


class Trees:
    """Gradient boosted trees of one model."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Waiting threads cost other requests their core, and the work is a fraction of a millisecond.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own, which it does not export
            raise IncompatibleArtifact(
                f"{path} cannot be loaded: {error}", mend="Build and publish again", path=str(path)
            ) from error

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw scores ``(n,)`` of features ``(n, n_features)``."""
        found: list[NDArray[np.float32]] = self._session.run(None, {"features": features})
        return found[0].ravel()
