"""How routes answer, and the language that they are asked in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import Query
from fastapi.responses import Response

Language = Annotated[Literal["en", "zh"], Query(description="Language of the words.")]


def json_response(value: Any, status: int = 200) -> Response:
    """A value as JSON: numbers of numpy as numbers, decimals and times as texts."""
    body = orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, media_type="application/json")
