"""Remove lines of symbols, such as the borders of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from corpus.stage import Limit, Measured, Stage

if TYPE_CHECKING:
    from corpus.document import Document


class SymbolLines(Stage):
    """Removes lines that have only `symbols` and spaces, such as "| | |" from an empty row of a table.

    A blank line takes the place of neighboring lines. FineWeb-2 removes the same lines, with two blank lines instead.
    """

    name = "symbol_lines"
    source = "datatrove 0.10.1 symbol_lines_remover.py"
    reads = ("text",)

    removed = Limit(of=int)
    """The number of removed lines."""

    def __init__(self, *, symbols: str = "|") -> None:
        self.symbols = symbols
        """The characters of which a removed line consists."""

    def apply(self, doc: Document) -> Iterator[Measured]:
        kept: list[str] = []
        removed, before = 0, False
        for line in doc.text.split("\n"):
            here = not line.strip(self.symbols + " ") and not line.isspace() and line != ""
            removed += here
            if not here:
                kept.append(line)
            elif not before:
                kept.append("")
            before = here
        yield "removed", removed
        if removed:
            doc.text = "\n".join(kept).strip()
