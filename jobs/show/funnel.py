"""The funnel of a run: how many records each stage dropped, and by which rule."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from corpus.outcome import REMOVED
from corpus.tables.ledger import total


def show_funnel(info: dict[str, Any], console: Console) -> None:
    """Print the funnel from run.json: one row per stage, its rules by count, and what was left after it."""
    records = info["records"]
    table = Table("", "records", "left", "rules", box=None, header_style="dim")
    left = records["in"]
    table.add_row("in", str(records["in"]), "", "")
    for outcome in ("skipped", "failed"):
        if records[outcome]:
            left -= total(records[outcome])
            table.add_row(outcome, f"-{total(records[outcome])}", str(left), _rules(records[outcome]))
    for stage in [{"name": REMOVED}] * (REMOVED in records["dropped"]) + info["recipe"]["stages"]:
        rules = records["dropped"].get(stage["name"], {})
        left -= total(rules)
        table.add_row(stage["name"], f"-{total(rules)}" if rules else "0", str(left), _rules(rules))
    table.add_row("kept", str(records["kept"]), "", "", style="bold")
    console.print(table)


def _rules(rules: dict[str, int]) -> str:
    ranked = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{rule} {count}" for rule, count in ranked[:3])
    return shown + (f", {len(ranked) - 3} more" if len(ranked) > 3 else "")
