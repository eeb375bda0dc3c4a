"""A run printed for people: its funnel, and why a page is in the corpus or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from corpus.outcome import DROPPED, FAILED, REMOVED, SKIPPED
from corpus.runs.funnel import funnel
from corpus.stage import BREAKS
from jobs.runner.console import print_line, print_text
from jobs.runner.terminal import counted, plain, say, show, show_json
from jobs.show.catalog import limit_text

_TYPES = 20
"""The most types of records that are listed. A hostile archive may have any number of types."""


_ARCHIVES = 5
"""The most archives that are named for one reason."""


def show_funnel(info: dict[str, Any], console: Console) -> None:
    """Print one row per stage, with the rules that dropped most and the number of records left."""
    records = info["records"]
    table = Table("", "records", "left", "rules", box=None, header_style="dim")
    table.add_row("in", str(records["in"]), "", "")
    off = {stage["name"] for stage in info["recipe"]["stages"] if stage.get("index") == ""}
    for row in funnel(info):
        if row.records or row.outcome == DROPPED:
            rules = "off" if row.name in off else _rules(row.rules)
            table.add_row(row.name, f"-{row.records}" if row.records else "0", str(row.left), rules)
    table.add_row("kept", str(records["kept"]), "", "", style="bold")
    console.print(table)


def _rules(rules: dict[str, int], most: int = 3) -> str:
    ranked = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{rule} {count}" for rule, count in ranked[:most])
    return shown + (f", {len(ranked) - most} more" if len(ranked) > most else "")


def remarks(info: dict[str, Any], cut: Sequence[str] = ()) -> list[str]:
    """Return remarks on the funnel: records of other types, empty archives and archives that are `cut` short,
    errors in stages, and why no page is kept.
    """
    records, others = info["records"], info["other_records"]
    empty = [one["name"] for one in info["inputs"] if one["identity"] and not one["bytes"]]
    said = [f"Other records, only counted: {_rules(others, _TYPES)}."] if others else []
    said += _each(cut, "ends in the middle of a record. Is the download complete?")
    said += _each(empty, "is empty.")
    if errors := records["failed"].get("error"):
        said.append(f"Pages on which a stage failed: {errors:,}. The class of the error: corpus ls FOLDER --rule error")
    if not records["in"]:
        said.append(f"Nothing was kept: the archives hold no {'page' if others else 'record'}.")
    elif not records["kept"]:
        ends = {f"{row.name}.{rule}": count for row in funnel(info) for rule, count in row.rules.items()}
        said.append(f"Nothing was kept. Where the records ended: {_rules(ends)}.")
    return said


def _each(names: Sequence[str], what: str) -> list[str]:
    """Return a sentence for each of the first archives, and one for the others."""
    more = [f"The same is true of {len(names) - _ARCHIVES:,} more archives."] if len(names) > _ARCHIVES else []
    return [f"{name} {what}" for name in names[:_ARCHIVES]] + more


def show_pages(rows: Iterable[dict[str, Any]], as_json: bool, limit: int | None = None) -> None:
    """Print a line for each of the first `limit` rows as it comes: outcome, rule, value, URL.

    With `as_json`, print a JSON array with a line per row.
    """
    count, more = 0, False
    for row in rows:
        if count == limit:
            more = True
            break
        count += 1
        if as_json:
            show_json(row, before="[" if count == 1 else ",\n", end="")
        else:
            value = row["detail"] or "" if row["value"] is None else _value(row["value"])
            show(f"{row['outcome']:8}{row['rule'] or '–':32} {plain(value):>12}  {plain(row['url'] or row['id'])}")
    if as_json:
        show("]" if count else "[]")
    say(f"The first {counted(count, 'page')}. More pages match." if more else counted(count, "page"))


def show_explanation(explained: list[dict[str, Any]], console: Console, with_text: bool = False) -> None:
    """Print each row with its measures and its text. With `with_text`, say so if there is no text.

    Text from pages is printed without markup and control characters. A page reached the stages up to the stage where it
    ended. It reached every stage if the ledger has `text_bytes`. If a stage that it reached measured nothing, its
    values are null.
    """
    for row in explained:
        print_line(console, row["url"] or row["id"], "bold")
        print_line(console, f"{row['id']}  {_verdict(row)}")
        names = [stage["stage"] for stage in row["stages"]]
        reached = len(names) if row["text_bytes"] is not None else 0
        if row["stage"] in names:
            reached = max(reached, names.index(row["stage"]) + 1)
        values = [measure["value"] for stage in row["stages"] for measure in stage["measures"]]
        if reached or any(value is not None for value in values):
            _show_measures(row["stages"], reached, console)
        if "blocks" in row:
            _show_blocks(row["blocks"], console)
        elif row["text"]:
            print_text(console, row["text"])
        elif with_text:
            print_line(console, _no_text(row), "dim")
        console.print()


def _show_blocks(blocks: list[dict[str, Any]], console: Console) -> None:
    """Print the blocks of a page in its order, with the chance of each to be main text. "✓": it was taken."""
    table = Table("", "chance", "tag", "text", box=None, header_style="dim")
    for block in blocks:
        mark = Text("✓" if block["taken"] else "", style="green")
        style = "" if block["taken"] else "dim"
        table.add_row(mark, f"{block['chance'] / 4096:.2f}", block["tag"], Text(plain(block["text"]), style=style))
    console.print(table)


def _show_measures(stages: list[dict[str, Any]], reached: int, console: Console) -> None:
    """Print the measures of a page. `reached` is the number of stages that the page reached."""
    table = Table("stage", "measure", "value", "limit", box=None, header_style="dim")
    unmeasured = False
    for number, stage in enumerate(stages):
        if all(measure["value"] is None for measure in stage["measures"]) and (stage["compared"] or number >= reached):
            shown = "compared, no duplicate" if stage["compared"] else "not reached"
            table.add_row(stage["stage"], Text(shown, style="dim"))
            continue
        for index, measure in enumerate(stage["measures"]):
            unmeasured |= measure["value"] is None
            value = Text(plain(_value(measure["value"])))
            table.add_row(
                stage["stage"] if index == 0 else "",
                measure["measure"],
                Text.assemble(value, (" ◀", "red")) if measure["ended_here"] else value,
                limit_text(measure["limit"]),
            )
    console.print(table)
    if unmeasured:
        print_line(console, " –  not measured", "dim")


def _no_text(row: dict[str, Any]) -> str:
    """Return a sentence that says why there is no text to show."""
    if row["stage"] == REMOVED:
        return "No text: the page was taken down."
    if row["rule"] == "damaged":
        return "No text: the record is damaged."
    if row["outcome"] == SKIPPED:
        return "No text: the record is not a page."
    if row["outcome"] == FAILED:
        return f"No text: the page failed ({row['rule']})."
    return "No text was found in the page."


_BROKEN = {"min": "below min", "max": "above max", "above": "not above", "below": "not below"}
"""The fault of a value that breaks a bound, in words."""


def _verdict(row: dict[str, Any]) -> str:
    """Return the outcome of a page with its rule, and with the value and the bound that it breaks."""
    where = ".".join(filter(None, (row["stage"], row["rule"])))
    detail = f" ({row['detail']})" if row["detail"] else ""
    broken = ""
    for measure in (measure for stage in row["stages"] for measure in stage["measures"]):
        if measure["ended_here"] and measure["value"] is not None:
            broken = _broken(measure["value"], measure["limit"])
    at = f"{' at' if row['stage'] else ':'} {where}" if where else ""
    return f"{row['outcome']}{at}{broken}{detail}"


def _broken(value: Any, limit: dict[str, Any]) -> str:
    for bound, words in _BROKEN.items():
        if bound in limit and not isinstance(value, str) and BREAKS[bound](value, limit[bound]):
            return f": {_value(value)} is {words} {_value(limit[bound])}"
    return f": {_value(value)} is not one of {_value(limit['one_of'])}" if "one_of" in limit else ""


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(value)
    return "–" if value is None else str(value)
