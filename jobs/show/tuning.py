"""`corpus tune`, printed for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.revise.what_if import Retuned
from jobs.runner.terminal import plain

_MOST_MOVES = 12


def show_tuned(found: Retuned, console: Console) -> None:
    """Print the sums, the changed rules, the moves, and URLs of pages lost, gained or open."""
    for line in found.changes or ["nothing changes: the run already has these limits"]:
        console.print(Text(plain(line)))
    console.print()
    least, most = found.kept
    now = f"{least:,}, exactly" if found.exact else f"between {least:,} and {most:,}"
    console.print(Text(f"kept {found.before:,} → {now}", style="bold"))
    console.print(Text(_certainty(found), style="dim"))
    if found.repeats:
        console.print(Text(f"which of them repeat another page is not known for all: {found.repeats}", style="dim"))
    if found.rules.num_rows:
        console.print()
        console.print(_rules(found))
    _show_moves(found, console)
    for row in found.together.to_pylist():
        if len(row["rules"]) > 1:
            console.print(f"{row['kind']} by several rules at once: {row['documents']:,}  {' + '.join(row['rules'])}")
    for kind in ("lost", "gained", "open"):
        rows = [row for row in found.examples.to_pylist() if row["kind"] == kind]
        if rows:
            console.print()
            console.print(Text(f"{kind}, for example", style="bold"))
        for row in rows:
            line = plain(f"  {row['rule']} {row['value']}  {row['url'] or row['id']}")
            console.print(Text(line, overflow="ellipsis", no_wrap=True))


def _certainty(found: Retuned) -> str:
    certain, most = found.passing
    if most > certain:
        return f"{most - certain:,} pages ended at a changed rule, and their later measures are unknown"
    return f"{certain:,} pages pass every rule, exactly: everything needed was measured"


def _rules(found: Retuned) -> Table:
    table = Table("rule", "limit", "lost", "by it alone", "gained", "by it alone", "open", "held by others", "text",
                  box=None, header_style="dim")  # fmt: skip
    counts = ("lost", "lost_by_it_alone", "gained", "gained_by_it_alone", "open", "held_by_others")
    for row in found.rules.to_pylist():
        size = row["gained_bytes"] - row["lost_bytes"]
        text = f"{size / 1e6:+,.2f} MB{' or more' if row['unsized'] else ''}"
        table.add_row(row["rule"], f"{row['before']} → {row['now']}", *(f"{row[name]:,}" for name in counts), text)
    return table


def _show_moves(found: Retuned, console: Console) -> None:
    rows = found.moves.to_pylist()
    if not rows:
        return
    table = Table("ended at", "ends at", "pages", box=None, header_style="dim")
    for row in rows[:_MOST_MOVES]:
        table.add_row(row["from"], row["to"], f"{row['documents']:,}")
    console.print()
    console.print(table)
    if len(rows) > _MOST_MOVES:
        console.print(Text(f"and {len(rows) - _MOST_MOVES} more", style="dim"))
