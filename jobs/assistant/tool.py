"""The contract of a tool: one text in, one text out."""

from __future__ import annotations

from collections.abc import Callable

MOST_TEXT = 600
"""The most characters of a result that the model reads."""

Tool = Callable[[str], str]
"""A tool. A tool raises ToolError with a text for the model."""


class ToolError(Exception):
    """Raised for an input that a tool can't process. The model reads the message."""
