"""Keep the fused catalogue as new as the products that it is made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wares.core.arrays import open_artifact
from wares.core.files import digest, read_json, write_json

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace

MARK = "fused.json"


def refresh(shop: Workspace, progress: Callable[[str], None]) -> bool:
    """Fuse again when products, settings or decisions changed since the last time; returns whether it was done."""
    from wares.data.fusion.run import FUSED
    from wares.models.similar.match_infer import KIND as MATCHER
    from wares.pipeline.matching import matcher_folder

    fuser = shop.fuser
    table = fuser.table()
    settings: dict[str, Any] = shop.config.fusion.model_dump()
    decided = [(row["left_id"], row["right_id"], row["verdict"]) for row in fuser.book.decided()]
    # A matcher that was trained anew in its place judges anew.
    folder = matcher_folder(shop.config, shop.root)
    trained = open_artifact(folder, MATCHER)["hash"] if folder is not None else ""
    key = digest(
        [trained, table, shop.store.version(table), settings, sorted(decided), shop.config.shop.seed]
    )
    mark = shop.root / "state" / MARK
    if mark.is_file() and read_json(mark) == {"key": key} and shop.store.exists(FUSED):
        return False
    fuser.fuse(progress=progress)
    write_json(mark, {"key": key})
    return True
