"""The data room's face of the audit log (``core/audit.py``): its export.

The log itself lies in the core, because the server, which never loads the data room, writes to it as well.
"""

from __future__ import annotations

import json
from pathlib import Path

from wares.core.audit import Audit, AuditReport, Entry
from wares.core.files import write_atomic

__all__ = ["Audit", "AuditReport", "Entry", "export"]


def export(audit: Audit, path: Path) -> int:
    """Write all entries as JSON Lines, oldest first, whole or not at all; returns how many."""
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in audit.stream()]
    write_atomic(path, "".join(f"{line}\n" for line in lines))
    return len(lines)
