"""JSON from files that a stranger may have written."""

from __future__ import annotations

import json
from typing import Any


def parse_json(data: bytes | str) -> Any:
    """Return the data of a JSON text. Raises ValueError, also for a text that is nested too deeply to read."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
