"""`corpus explain`: what `corpus.revise.explain` finds, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.runner.terminal import plain


def show(explained: list[dict[str, Any]], console: Console) -> None:
    """Print for people. Everything that comes from a page is printed as plain text, without control characters."""
    for row in explained:
        console.print(Text(plain(row["url"] or row["id"]), style="bold"))
        console.print(Text(plain(f"{row['id']}  {_verdict(row)}")))
        table = Table("stage", "measure", "value", "limit", "", box=None, header_style="dim")
        for stage in row["stages"]:
            reached = any(m["value"] is not None for m in stage["measures"])
            if not reached:
                table.add_row(stage["stage"], Text("not reached", style="dim"))
                continue
            for index, measure in enumerate(stage["measures"]):
                table.add_row(
                    stage["stage"] if index == 0 else "",
                    measure["measure"],
                    Text(plain(_number(measure["value"]))),
                    " ".join(f"{bound} {_number(value)}" for bound, value in measure["limit"].items()),
                    Text("◀ ended here", style="red") if measure["ended_here"] else "",
                )
        console.print(table)
        if row["text"] is not None:
            console.print(Text(plain(row["text"], keep_lines=True)))
        console.print()


def _verdict(row: dict[str, Any]) -> str:
    where = ".".join(part for part in (row["stage"], row["rule"]) if part)
    detail = f" ({row['detail']})" if row["detail"] else ""
    return f"{row['outcome']}{f' at {where}' if where else ''}{detail}"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(value)
    return "–" if value is None else str(value)
