"""`corpus explain`: why a page is in the corpus, or not. Each stage, each value beside its limit, where it ended."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.errors import InputError
from corpus.outcome import DROPPED, KEPT
from corpus.run import Run


def explain(run: Run, url_or_id: str) -> list[dict[str, Any]]:
    """Every ledger row of a URL or id, with its measures beside their limits, and the text where kept.

    Raises InputError where the ledger has none.
    """
    rows = run.find(url_or_id)
    if not rows:
        raise InputError(f"The ledger of {run.folder} has no record of {url_or_id}.", "Give the URL as it was crawled.")
    return [_explained(run, row) for row in rows]


def _explained(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    stages = []
    for stage in run.info["recipe"]["stages"]:
        measures = []
        for column in run.info["columns"]:
            name, _, measure = column.partition(".")
            if name == stage["name"]:
                ended = row["outcome"] == DROPPED and (row["stage"], row["rule"]) == (name, measure)
                limit = {bound: value for bound, value in stage.get(measure, {}).items() if value != "off"}
                measures.append({"measure": measure, "value": row[column], "limit": limit, "ended_here": ended})
        stages.append({"stage": stage["name"], "measures": measures})
    fixed = {key: value for key, value in row.items() if key not in run.info["columns"]}
    text = run.text_of(row["id"]) if row["outcome"] == KEPT else None
    return {**fixed, "stages": stages, "text": text}


def show(explained: list[dict[str, Any]], console: Console) -> None:
    """Print for people. Everything that comes from a page is printed as plain text, without control characters."""
    for row in explained:
        console.print(Text(_plain(row["url"] or row["id"]), style="bold"))
        console.print(Text(_plain(f"{row['id']}  {_verdict(row)}")))
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
                    Text(_plain(_number(measure["value"]))),
                    " ".join(f"{bound} {_number(value)}" for bound, value in measure["limit"].items()),
                    Text("◀ ended here", style="red") if measure["ended_here"] else "",
                )
        console.print(table)
        if row["text"] is not None:
            console.print(Text(_plain(row["text"], keep_lines=True)))
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


def _plain(text: str, keep_lines: bool = False) -> str:
    """Text without control and bidirectional characters, which a terminal would obey."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c in kept or (c.isprintable() and c not in _BIDI) else "\N{REPLACEMENT CHARACTER}" for c in text
    )


_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
