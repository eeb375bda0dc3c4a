"""The contract of a tool: one text in, one text out."""

from __future__ import annotations

from collections.abc import Callable

MOST_TEXT = 600
"""Characters of a result that the model reads."""

Tool = Callable[[str], str]
"""Raises ToolError with a text for the model."""


class ToolError(Exception):
    """Raised for an input that a tool can't work on. The model reads its message."""
