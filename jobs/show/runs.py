"""A run printed for people: its funnel, and why a page is in the corpus or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.outcome import DROPPED
from corpus.runs.funnel import funnel
from jobs.runner.terminal import plain, say, show, show_json

_TYPES = 20
"""The most types of records that are listed. A hostile archive may have any number of types."""


def show_funnel(info: dict[str, Any], console: Console) -> None:
    """Print one row per stage, with the rules that dropped most and the number of records left."""
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
    """Return remarks on the funnel: records that were passed over, errors in stages, and why no page is kept."""
    records, others = info["records"], info["other_records"]
    said = [f"Passed over, by type: {_rules(others, _TYPES)}."] if others else []
    if errors := records["failed"].get("error"):
        said.append(f"Pages on which a stage failed: {errors:,}. The class of the error: corpus ls FOLDER --rule error")
    if not records["in"]:
        said.append(f"Nothing was kept: the archives hold no {'page' if others else 'record'}.")
    elif not records["kept"]:
        ends = {f"{row.name}.{rule}": count for row in funnel(info) for rule, count in row.rules.items()}
        said.append(f"Nothing was kept. Where the records ended: {_rules(ends)}.")
    return said


def show_pages(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Print a line for each row as it comes: outcome, rule, value, URL.

    With `as_json`, print a JSON array with a line per row.
    """
    count = 0
    for count, row in enumerate(rows, 1):
        if as_json:
            show_json(row, before="[" if count == 1 else ",\n", end="")
        else:
            value = row["detail"] or "" if row["value"] is None else _value(row["value"])
            show(f"{row['outcome']:8}{row['rule'] or '–':32} {plain(value):>12}  {plain(row['url'] or row['id'])}")
    if as_json:
        show("]" if count else "[]")
    say(f"{count:,} pages")


def show_explanation(explained: list[dict[str, Any]], console: Console, with_text: bool = False) -> None:
    """Print each row with its measures and its text. With `with_text`, say so if there is no text.

    Text from pages is printed without markup and control characters. A page reached the stages up to the stage where it
    ended. It reached every stage if the ledger has `text_bytes`. If a stage that it reached measured nothing, its
    values are null.
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
            if all(measure["value"] is None for measure in stage["measures"]) and (
                stage["compared"] or number >= reached
            ):
                shown = "compared, no duplicate" if stage["compared"] else "not reached"
                table.add_row(stage["stage"], Text(shown, style="dim"))
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
        if row["text"]:
            console.print(Text(row["text"]))
        elif with_text:
            console.print(Text("No text: none was found, the record can't be read, or it was taken down.", "dim"))
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
