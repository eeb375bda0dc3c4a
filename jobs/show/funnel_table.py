"""The funnel of a run, printed for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from corpus.outcome import DROPPED
from corpus.runs.funnel import funnel


def show_funnel(info: dict[str, Any], console: Console) -> None:
    """Print one row per stage with the rules that dropped most, and what was left after it."""
    records = info["records"]
    table = Table("", "records", "left", "rules", box=None, header_style="dim")
    table.add_row("in", str(records["in"]), "", "")
    for row in funnel(info):
        if row.records or row.outcome == DROPPED:
            table.add_row(row.name, f"-{row.records}" if row.records else "0", str(row.left), _rules(row.rules))
    table.add_row("kept", str(records["kept"]), "", "", style="bold")
    console.print(table)


def _rules(rules: dict[str, int]) -> str:
    ranked = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{rule} {count}" for rule, count in ranked[:3])
    return shown + (f", {len(ranked) - 3} more" if len(ranked) > 3 else "")
