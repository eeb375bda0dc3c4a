"""Tools that an assistant may call: one text in, one text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

MOST_TEXT = 600
"""Characters of a result that the model reads."""

Tool = Callable[[str], str]
"""Raises ToolError with a text for the model."""


class ToolError(Exception):
    """Raised for an input that a tool can't work on. The model reads its message."""


def tools_of(index: Path | None) -> dict[str, Tool]:
    """Return the tools by name."""
    return {}


def use(tools: Mapping[str, Tool], name: str, given: str) -> str:
    """Return the result of a call, or an error as a text for the model."""
    if name not in tools:
        return f"Error: there is no tool {name[:40]}."
    try:
        return tools[name](given)[:MOST_TEXT]
    except ToolError as error:
        return f"Error: {error}"
