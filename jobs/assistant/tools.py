"""The tools that an assistant may call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.assistant.calculator import calculate
from jobs.assistant.search import Index
from jobs.assistant.tool import MOST_TEXT, Tool, ToolError


def tools_of(index: Path | None) -> dict[str, Tool]:
    """Return the tools by name. Search needs the index of a run. Raises InputError if `index` is not an index file."""
    tools: dict[str, Tool] = {"calculator": calculate}
    if index:
        tools["search"] = Index(index).search
    return tools


def use(tools: Mapping[str, Tool], name: str, given: str) -> str:
    """Return the result of a call, or an error as a text for the model."""
    if name not in tools:
        return f"Error: there is no tool {name[:40]}."
    try:
        return tools[name](given)[:MOST_TEXT]
    except ToolError as error:
        return f"Error: {error}"
