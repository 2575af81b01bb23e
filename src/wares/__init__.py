"""wares: the open, self-hosted intelligence of a shop.

``wares.open(path)`` gives a workspace (needs the ``data`` and ``train`` extras); ``wares.load(bundle)`` gives
a ranker that answers from a published bundle and needs neither; ``wares.read_share(folder)`` opens what another
shop shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["WaresError", "__version__", "init", "load", "open", "read_share"]

if TYPE_CHECKING:
    from wares.core.errors import WaresError
    from wares.data.access.share import read_share
    from wares.pipeline.workspace import init_workspace as init
    from wares.pipeline.workspace import open_workspace as open
    from wares.serve.ranker import load_ranker as load

_LAZY = {
    "open": ("wares.pipeline.workspace", "open_workspace"),
    "init": ("wares.pipeline.workspace", "init_workspace"),
    "load": ("wares.serve.ranker", "load_ranker"),
    "read_share": ("wares.data.access.share", "read_share"),
    "WaresError": ("wares.core.errors", "WaresError"),
}


def __getattr__(name: str) -> Any:
    # Lazy, so that ``import wares`` stays under 150 ms and serving never pulls in the data engine.
    if name in _LAZY:
        import importlib

        module, attribute = _LAZY[name]
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            from wares.core.extras import missing_extra

            raise missing_extra(error) or error from error
    raise AttributeError(f"module 'wares' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
