"""Free text without what is personal in it."""

from __future__ import annotations

from wares.data.privacy.detect import find


def masked(text: str) -> str:
    """`text` with each e-mail address, telephone number, name, address and the like replaced by its kind in brackets."""
    out, end = [], 0
    for found in find(text):
        out += [text[end : found.start], f"[{found.kind}]"]
        end = found.end
    return "".join([*out, text[end:]])
