"""Cleaning: rules declared in the contract make ``<table>_clean`` from a table; the raw values stay where they are."""

from wares.data.clean.rules import FLAGS, SPECS, CleanRule, Spec, declared, lineage

__all__ = ["FLAGS", "SPECS", "CleanRule", "Spec", "declared", "lineage"]
