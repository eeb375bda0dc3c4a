"""Split a text into lines or paragraphs, and remove some of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLITS = {"lines": re.compile(r"(\n+)"), "paragraphs": re.compile(r"(\n{2,})")}
"""The separators between the pieces of a text."""


def split_lines(text: str, split: str) -> list[str]:
    """Return the lines or paragraphs of a text. There is always at least one."""
    return SPLITS[split].split(text)[::2]


def without_lines(text: str, removed: Sequence[int], split: str) -> str:
    """Return the text without the lines whose numbers are in `removed`. A line's separator goes with the line."""
    parts = SPLITS[split].split(text)
    left = sorted(set(range(0, len(parts), 2)) - {2 * number for number in removed})
    return "".join(part for i in left for part in parts[i : i + 2 if i < left[-1] else i + 1])
