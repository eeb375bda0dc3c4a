"""A run printed for people: its funnel, and why a page is in the corpus or not."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.outcome import DROPPED
from corpus.runs.funnel import funnel
from jobs.runner.terminal import plain


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


def show_explanation(explained: list[dict[str, Any]], console: Console) -> None:
    """Print each row with its measures. Text from pages is printed without markup and control characters.

    A page reached the stages up to the one where it ended. It reached all if the ledger has the size of its last text.
    A stage that it reached may have measured nothing: its values are null.
    """
    for row in explained:
        console.print(Text(plain(row["url"] or row["id"]), style="bold"))
        console.print(Text(plain(f"{row['id']}  {_verdict(row)}")))
        table = Table("stage", "measure", "value", "limit", "", box=None, header_style="dim")
        names = [stage["stage"] for stage in row["stages"]]
        reached = len(names) if row["text_bytes"] is not None else 0
        if row["stage"] in names:
            reached = max(reached, names.index(row["stage"]) + 1)
        for number, stage in enumerate(row["stages"]):
            if number >= reached and all(measure["value"] is None for measure in stage["measures"]):
                table.add_row(stage["stage"], Text("not reached", style="dim"))
                continue
            for index, measure in enumerate(stage["measures"]):
                table.add_row(
                    stage["stage"] if index == 0 else "",
                    measure["measure"],
                    Text(plain(_value(measure["value"]))),
                    " ".join(f"{bound} {_value(limit)}" for bound, limit in measure["limit"].items()),
                    Text("◀ ended here", style="red") if measure["ended_here"] else "",
                )
        console.print(table)
        if row["text"] is not None:
            console.print(Text(plain(row["text"], keep_lines=True)))
        console.print()


def _verdict(row: dict[str, Any]) -> str:
    where = ".".join(filter(None, (row["stage"], row["rule"])))
    detail = f" ({row['detail']})" if row["detail"] else ""
    return f"{row['outcome']}{f' at {where}' if where else ''}{detail}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(value)
    return "–" if value is None else str(value)
