"""Consoles for tables and styled texts. As in `terminal.py`, characters that control a terminal are replaced.

Nothing is cut. On a terminal, a cell of a table that is too wide goes on in the next line. In a file or a pipe, a line
has any length, and no line ends with blanks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from jobs.runner.terminal import plain

_ANY_WIDTH = 1 << 20  # wider than every table


def make_console(stderr: bool = False) -> Console:
    """Return a console for tables and styled texts."""
    stream = sys.stderr if stderr else sys.stdout
    # with None, rich asks the terminal, or takes the variable COLUMNS
    width = None if stream.isatty() or os.environ.get("COLUMNS", "").isdecimal() else _ANY_WIDTH
    console = Console(stderr=stderr, width=width)
    console.push_render_hook(_Cleaner())
    return console


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print a text with names or URLs. The terminal may wrap it, but it stays one line, so that it can be copied."""
    console.print(Text(plain(text), style), soft_wrap=True)


def print_text(console: Console, text: str) -> None:
    """Print the text of a page as it is, with its tabs and blanks."""
    console.file.write(f"{plain(text, keep_lines=True)}\n")


class _Cleaner(RenderHook):
    """A cleaner of everything that a console prints, except the console's own styles."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        for table in (one for one in renderables if isinstance(one, Table)):
            for column in table.columns:
                column.overflow = "fold"  # rich would end a long name with "…"
        return [_Cleaned(one) for one in renderables]


class _Cleaned:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found: Iterable[Segment] = console.render(self._inner, options)
        return _without_blank_ends(
            segment if segment.control else Segment(plain(segment.text, keep_lines=True), segment.style)
            for segment in found
        )


def _without_blank_ends(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Yield segments without the blanks at the end of each line. Blanks with a color of their own stay."""
    blanks: list[Segment] = []
    for segment in segments:
        text, style, control = segment
        if control or (style and style.bgcolor):
            yield from (*blanks, segment)
            blanks = []
            continue
        for piece in text.splitlines(keepends=True):
            words = piece.rstrip(" \n")
            if words:
                yield from (*blanks, Segment(words, style))
                blanks = []
            if piece.endswith("\n"):
                yield Segment("\n")
                blanks = []
            elif piece != words:
                blanks.append(Segment(piece[len(words) :], style))
    yield from blanks
