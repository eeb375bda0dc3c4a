"""A run printed for people: its funnel, and why a page is in the corpus or not."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.outcome import DROPPED
from corpus.runs.funnel import funnel
from jobs.runner.terminal import plain

_TYPES = 20
"""Types of records that are listed. A hostile archive may have any number."""


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


def _rules(rules: dict[str, int], most: int = 3) -> str:
    ranked = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{rule} {count}" for rule, count in ranked[:most])
    return shown + (f", {len(ranked) - most} more" if len(ranked) > most else "")


def remarks(info: dict[str, Any]) -> list[str]:
    """Return what a reader of the funnel must also know: the records that were passed over, and why nothing is kept."""
    records, others = info["records"], info["other_records"]
    said = [f"Passed over, by type: {_rules(others, _TYPES)}."] if others else []
    if not records["in"]:
        said.append(f"Nothing was kept: the archives hold no {'page' if others else 'record'}.")
    elif not records["kept"]:
        ends = {f"{row.name}.{rule}": count for row in funnel(info) for rule, count in row.rules.items()}
        said.append(f"Nothing was kept. Where the records ended: {_rules(ends)}.")
    return said


def show_explanation(explained: list[dict[str, Any]], console: Console) -> None:
    """Print each row with its measures. Text from pages is printed without markup and control characters."""
    for row in explained:
        console.print(Text(plain(row["url"] or row["id"]), style="bold"))
        console.print(Text(plain(f"{row['id']}  {_verdict(row)}")))
        table = Table("stage", "measure", "value", "limit", "", box=None, header_style="dim")
        for stage in row["stages"]:
            if all(measure["value"] is None for measure in stage["measures"]):
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
