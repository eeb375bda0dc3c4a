"""Digests of plain data, and the differences between two pieces of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(data: Any) -> str:
    """Return the sha256 of the canonical JSON of plain data."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the differences between two canonical forms, a line for each: `gopher_quality.words.min: 50 → 30`. What a
    language changes is named as in a setting: `gopher_quality.de.words.min`."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in [*old, *(key for key in new if key not in old)]:
            if key == "by_language":
                before, now = old.get(key, {}), new.get(key, {})
                for code in sorted({*before, *now}):
                    lines += differences(before.get(code, {}), now.get(code, {}), f"{path}.{code}")
            else:
                lines += differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return lines
    if path == "stages" and isinstance(old, list) and isinstance(new, list):
        order = [[stage["name"] for stage in side] for side in (old, new)]
        lines = differences({s["name"]: s for s in old}, {s["name"]: s for s in new})
        return lines if lines or order[0] == order[1] else [f"order: {' '.join(order[0])} → {' '.join(order[1])}"]
    return [] if old == new else [f"{path}: {_shown(old)} → {_shown(new)}"]


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
