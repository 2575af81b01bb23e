"""Does an artefact hold a person? Names are in string tables, and everything else is looked through byte by byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wares.core.errors import IncompatibleArtifact
from wares.core.strings import StringTable
from wares.data.privacy.places import needles, raw_hit
from wares.data.privacy.subject import Subject


def artefact_holds(folder: Path, subject: Subject) -> str:
    """The first file of an artefact or bundle that holds the person; empty when none does.

    ``words/`` of the search index is compressed, but made from the catalogue's texts, which are looked through.
    """
    ids = [form for value in sorted(subject.ids | subject.also) for form in (value, f"~{value}")]
    for path in sorted(folder.rglob("*_blob.npy")):
        name = path.name.removesuffix("_blob.npy")
        try:
            table = StringTable.load(path.parent, name)
        except IncompatibleArtifact:
            continue
        if name == "users" and any(table.find(value) >= 0 for value in ids):
            return str(path.relative_to(folder))
    wanted = needles(bytes_of(subject))
    for path in sorted(p for p in folder.rglob("*") if p.is_file()) if wanted else []:
        if raw_hit(path, wanted):
            return str(path.relative_to(folder))
    return ""


def bytes_of(subject: Subject) -> Subject:
    """The part of a subject that is looked for in raw bytes: what was given, and what they wrote; not every visit."""
    return replace(subject, ids=subject.ids & subject.given)
