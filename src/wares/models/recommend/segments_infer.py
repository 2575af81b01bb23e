"""What sells in a segment of shoppers. numpy only, memory-mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import load_array, open_artifact
from wares.core.strings import StringTable

KIND = "segments"


class Segments:
    """The segments of a bundle. `names` are top categories as the shop writes them."""

    def __init__(self, folder: Path) -> None:
        self.manifest = open_artifact(folder, KIND)
        self.names = list(StringTable.load(folder, "names"))
        self.sizes: NDArray[Any] = load_array(folder, "sizes")
        self.segment_of: NDArray[Any] = load_array(folder, "segment_of")
        self._ids: NDArray[Any] = load_array(folder, "ids")
        self._shares: NDArray[Any] = load_array(folder, "shares")
        self._by_name = {name.casefold(): i for i, name in enumerate(self.names)}

    def find(self, name: str) -> int:
        """The number of a segment by its name, whatever its case; -1 for none."""
        return self._by_name.get(name.strip().casefold(), -1)

    def popular(self, segment: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Products that sell in a segment and the share of its shoppers who took each up lately, best first."""
        ids = self._ids[segment]
        kept = ids >= 0
        return ids[kept].astype(np.int32), self._shares[segment][kept].astype(np.float32)
