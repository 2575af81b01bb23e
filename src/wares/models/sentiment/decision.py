"""From probabilities to an answer or none: offsets of labels, costs of errors, thresholds for languages and categories. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.models.sentiment.calibration import Floats

GLUE = "\x1f"
"""Between language and category in the name of a cell."""


@dataclass(frozen=True)
class Decision:
    """How labels are said. `offsets (c,)` are added to log-probabilities; `costs (c, c)` are of saying the column's label
    where the row's is true; an answer is sure from `threshold` on, or from that of its language and category in `cells`."""

    threshold: float
    offsets: NDArray[np.float64] | None = None
    costs: NDArray[np.float64] | None = None
    cells: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Decision:
        """As an artefact's manifest has it; those of an earlier version have a threshold alone."""
        found: Mapping[str, Any] = manifest.get("decision", {})
        offsets, costs = found.get("offsets"), found.get("costs")
        return cls(
            float(manifest["threshold"]),
            None if offsets is None else np.array(offsets, np.float64),
            None if costs is None else np.array(costs, np.float64),
            found.get("cells", {}),
        )

    def said(self, p: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The label said and how confident that is, each ``(n,)``: its probability, or with costs one less the cost expected,
        as a share of the largest cost."""
        if self.costs is not None:
            expected = p @ self.costs / self.costs.max()
            best = expected.argmin(1)
            return best, 1 - expected[np.arange(len(p)), best]
        leaning = p if self.offsets is None else np.log(np.maximum(p, 1e-12)) + self.offsets
        best = leaning.argmax(1)
        return best, p[np.arange(len(p)), best]

    def thresholds(
        self, languages: Sequence[str], groups: Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """The threshold of each text ``(n,)``: of its language and category together, else of its language, else the common one."""
        out = np.full(len(languages), self.threshold)
        if self.cells:
            for i, language in enumerate(languages):
                known = self.cells.get(language, self.threshold)
                out[i] = known if groups is None else self.cells.get(f"{language}{GLUE}{groups[i]}", known)
        return out
