"""The last build of a workspace, to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.pipeline import plan
from wares.pipeline.plan import Context

if TYPE_CHECKING:
    from wares.pipeline.workspace import Workspace


def context_of(shop: Workspace) -> Context:
    """The last build, to be read.

    Raises:
        NotFitted: when nothing is built.
    """
    from wares.pipeline.steps import STEPS

    plan.STEP_KINDS.update({step.name: step.kind for step in STEPS})
    latest = shop._latest()
    done = {name: shop.root / place for name, place in latest["done"].items()}
    return Context(shop.root, shop.config, shop.store, latest["versions"], done)
