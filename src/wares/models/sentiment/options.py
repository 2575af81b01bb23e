"""How a classifier of texts is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wares.core.errors import QueryError
from wares.models.sentiment.text_train import TextOptions

WEIGHTS = ("none", "balanced", "auto")
CALIBRATIONS = ("auto", "temperature", "isotonic")


@dataclass(frozen=True)
class TrainOptions:
    """`precision` of what is called sure; or `costs (c, c)` of saying the column's label for the row's and the cost `abstain`
    of no answer, which choose the thresholds instead. `weights`: balanced counts every label alike and says labels for the
    macro-F1; auto does what has the higher macro-F1 on validation. `calibration`: temperature, isotonic, or by validation.
    `numbers`: regression to the labels' numbers. `noisy`: train on texts with slips and marks beside them. `neutral`:
    who speaks, gender and dialect words are not read (`wares.models.sentiment.neutral`)."""

    precision: float = 0.99
    weights: str = "none"
    calibration: str = "auto"
    costs: NDArray[np.float64] | None = None
    abstain: float | None = None
    numbers: bool = False
    noisy: bool = False
    neutral: bool = True
    text: TextOptions = field(default_factory=TextOptions)

    def check(self, classes: int) -> None:
        """Refuse what cannot be meant.

        Raises:
            QueryError: for an unknown way, or costs that are negative, all zero or of another number of labels.
        """
        for name, value, known in (
            ("weights", self.weights, WEIGHTS),
            ("calibration", self.calibration, CALIBRATIONS),
        ):
            if value not in known:
                raise QueryError(
                    f"{name} {value!r} is unknown", mend=f"Use one of {', '.join(known)}", parameter=name
                )
        if self.costs is None:
            return
        if (
            self.costs.shape != (classes, classes)
            or not np.isfinite(self.costs).all()
            or self.costs.min() < 0
            or self.costs.max() <= 0
        ):
            raise QueryError(
                f"the costs are no table of {classes} by {classes} numbers from zero up with one above it",
                mend="Name each label once as a row and once as a column", parameter="costs",
            )  # fmt: skip
        if self.abstain is not None and not 0 <= self.abstain < float("inf"):
            raise QueryError(f"no answer cannot cost {self.abstain}", mend="Give a number from zero up", parameter="cost_abstain")  # fmt: skip


def plain_costs(wrong: float, classes: int) -> NDArray[np.float64]:
    """Every error costs `wrong`."""
    return wrong * (1 - np.eye(classes))
