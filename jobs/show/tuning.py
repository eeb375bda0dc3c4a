"""`corpus tune`: what other limits would change, for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.revise.what_if import WhatIf
from jobs.runner.terminal import plain

_MOST_MOVES = 12


def show_tuned(found: WhatIf, console: Console) -> None:
    """Print the sums, the changed rules, what is left open, and URLs."""
    for line in found.changes or ["nothing changes: these are the limits of the run"]:
        console.print(Text(plain(line)))
    console.print()
    console.print(Text(_sums(found), style="bold"))
    for line in _why(found):
        console.print(Text(line, style="dim"))
    if found.rules.num_rows:
        console.print()
        console.print(_rules(found))
    _show_moves(found, console)
    for row in found.together.to_pylist():
        if len(row["rules"]) > 1:
            console.print(f"{row['kind']} by several at once: {row['documents']:,}  {' + '.join(row['rules'])}")
    for kind in ("lost", "gained", "open"):
        rows = [row for row in found.examples.to_pylist() if row["kind"] == kind]
        if rows:
            console.print()
            console.print(Text(f"{kind}, for example", style="bold"))
        for row in rows:
            line = plain(f"  {row['rule']} {row['value']}  {row['url'] or row['id']}")
            console.print(Text(line, overflow="ellipsis", no_wrap=True))


def _sums(found: WhatIf) -> str:
    least, most = found.kept
    if found.exact:
        return f"kept {found.before:,} → {least:,}, exactly"
    return f"kept {found.before:,} → between {least:,} and {most:,}"


def _why(found: WhatIf) -> list[str]:
    """One line for each reason why the answer is no single number."""
    certain, most = found.passing
    lines = []
    if most > certain:
        lines.append(
            f"{most - certain:,} pages ended at a changed rule and went no further: what comes after was not measured"
        )
    else:
        lines.append(f"{certain:,} pages pass every rule, exactly: all that is needed was measured")
    if found.repeats:
        lines.append(f"which of them repeat another page is not known of all: {found.repeats}")
    return lines


def _rules(found: WhatIf) -> Table:
    table = Table("rule", "limit", "lost", "by it alone", "gained", "by it alone", "open", "held by others", "text",
                  box=None, header_style="dim")  # fmt: skip
    for row in found.rules.to_pylist():
        size = row["gained_bytes"] - row["lost_bytes"]
        more = " or more" if row["unsized"] else ""
        table.add_row(
            row["rule"],
            f"{row['before']} → {row['now']}",
            *(f"{row[name]:,}" for name in ("lost", "lost_by_it_alone", "gained", "gained_by_it_alone")),
            f"{row['open']:,}",
            f"{row['held_by_others']:,}",
            f"{size / 1e6:+,.2f} MB{more}",
        )
    return table


def _show_moves(found: WhatIf, console: Console) -> None:
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
