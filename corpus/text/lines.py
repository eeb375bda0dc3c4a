"""A text as lines or paragraphs, and the same text without some of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLITS = {"lines": re.compile(r"(\n+)"), "paragraphs": re.compile(r"(\n{2,})")}
"""What lies between two pieces of a text."""


def split_lines(text: str, split: str) -> list[str]:
    """The lines, or paragraphs, of a text: at least one."""
    return SPLITS[split].split(text)[::2]


def without_lines(text: str, gone: Sequence[int], split: str) -> str:
    """Return the text without the lines numbered `gone`. Each goes with the separator that follows it."""
    parts = SPLITS[split].split(text)
    left = sorted(set(range(0, len(parts), 2)) - {2 * number for number in gone})
    if not left:
        return ""
    return "".join(part for at in left[:-1] for part in parts[at : at + 2]) + parts[left[-1]]
