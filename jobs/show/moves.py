"""`corpus diff`, printed for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.revise.differences import Diff
from jobs.runner.terminal import plain

_MOST_MOVES = 30


def show_diff(found: Diff, console: Console) -> None:
    """Print how many documents moved, each move with its first URL, and how many texts changed."""
    for line in found.recipe:
        console.print(Text(plain(line)))
    (documents, others), (kept, now) = found.documents, found.kept
    console.print(Text(f"records {documents:,} → {others:,}, kept {kept:,} → {now:,}", style="bold"))
    console.print(f"{found.same:,} records end at the same rule in both runs")
    table = Table("ended at", "ends at", "records", "for example", box=None, header_style="dim")
    rows = found.as_dict()["moves"]
    for row in rows[:_MOST_MOVES]:
        example = Text(plain(row["examples"][0]), overflow="ellipsis", no_wrap=True)
        table.add_row(row["from"], row["to"], f"{row['documents']:,}", example)
    if rows:
        console.print(table)
    if len(rows) > _MOST_MOVES:
        console.print(Text(f"and {len(rows) - _MOST_MOVES} more; --json prints all of them", style="dim"))
    console.print(f"{found.same_text:,} pages kept in both runs have the same text, {found.other_text:,} another text")
    for url in found.text_examples:
        console.print(Text(plain(f"  {url}"), overflow="ellipsis", no_wrap=True))
