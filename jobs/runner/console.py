"""Consoles for tables and styled texts. As in `terminal.py`, characters that control a terminal are replaced."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from jobs.runner.terminal import plain

_WIDTH = 120  # the width of tables that are not shown on a terminal


def make_console(stderr: bool = False) -> Console:
    """Return a console for tables and styled texts."""
    stream = sys.stderr if stderr else sys.stdout
    console = Console(stderr=stderr, width=None if stream.isatty() else _WIDTH)
    console.push_render_hook(_Cleaner())
    return console


class _Cleaner(RenderHook):
    """A cleaner of everything that a console prints, except the console's own styles."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(one) for one in renderables]


class _Cleaned:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found: Iterable[Segment] = console.render(self._inner, options)
        for text, style, control in found:
            yield Segment(text if control else plain(text, keep_lines=True), style, control)
