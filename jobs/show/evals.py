"""`corpus evals report`: which items of which benchmarks a run has found, and in which pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from corpus.errors import ConfigError
from corpus.outcome import KEPT
from corpus.run import Run
from corpus.runs.row_groups import Columns, rows_where
from jobs.runner.console import print_line
from jobs.runner.terminal import counted

_SHOWN = 20
_PART = re.compile(r"([A-Za-z0-9._-]{1,64}):(\d{1,12}(?:-\d{1,12})?(?:,\d{1,12}(?:-\d{1,12})?)*)")
_MORE = re.compile(r"\+(\d{1,12})")
_FIXED = ["id", "url", "outcome", "stage", "rule"]
_MEASURES = ("overlap", "items", "found")

Ranges = list[tuple[int, int]]


def found_items(run: Run) -> list[dict[str, Any]]:
    """Return, for each stage that looked for benchmark items, the benchmarks and the pages with their items.

    Only the ledger and run.json are read. Raises ConfigError if no stage looked for items.
    """
    checked: Mapping[str, Any] = run.info.get("checked") or {}
    if not checked:
        what = f"No stage of {run.location} looked for benchmark items."
        raise ConfigError(what, "Build with --set decontaminate.index=DIR (see `corpus evals index`).")
    return [_of_stage(run, stage, content) for stage, content in checked.items()]


def _of_stage(run: Run, stage: str, content: Mapping[str, Any]) -> dict[str, Any]:
    columns = [f"{stage}.{measure}" for measure in _MEASURES]

    def chosen(read: Columns) -> pa.Array | pa.ChunkedArray:
        return read([columns[2]])[columns[2]].is_valid()

    pages = []
    ranges: dict[tuple[str, bool], Ranges] = {}
    holding: dict[tuple[str, bool], int] = {}
    unnamed = 0
    for table in rows_where(run.groups("ledger"), chosen, [*_FIXED, *columns]):
        for row in table.to_pylist():
            items, more = parsed(row[columns[2]])
            kept = row["outcome"] == KEPT
            unnamed += more
            for name, found in items.items():
                ranges.setdefault((name, kept), []).extend(found)
                holding[name, kept] = holding.get((name, kept), 0) + 1
            rule = ".".join(filter(None, (row["stage"], row["rule"]))) or None
            about = {name: row[name] for name in ("id", "url", "outcome")} | {"rule": rule}
            pages.append(about | {name: row[column] for name, column in zip(_MEASURES, columns, strict=True)})
    tables = [table for table in run.info["recipe"]["stages"] if table["name"] == stage]
    return {
        "stage": stage,
        "index": content["index"],
        "action": tables[0].get("action", ""),
        "benchmarks": [_of_benchmark(one, ranges, holding) for one in content["benchmarks"]],
        "unnamed": unnamed,
        "pages": pages,
    }


def _of_benchmark(
    one: Mapping[str, Any], ranges: Mapping[tuple[str, bool], Ranges], holding: Mapping[tuple[str, bool], int]
) -> dict[str, Any]:
    kept, dropped = (ranges.get((one["name"], keep), []) for keep in (True, False))
    return {
        "benchmark": one["name"],
        "items": one["items"],
        "left_out": one["left_out"],
        "found": _size([*kept, *dropped]),
        "in_kept": _size(kept),
        "in_dropped": _size(dropped),
        "kept_pages": holding.get((one["name"], True), 0),
        "dropped_pages": holding.get((one["name"], False), 0),
    }


def parsed(found: str) -> tuple[dict[str, Ranges], int]:
    """Return the ranges of items by benchmark in a text such as `gsm8k:17,20-22 mmlu:4 +5`, and the number after +."""
    items: dict[str, Ranges] = {}
    more = 0
    for part in found.split(" "):
        if match := _PART.fullmatch(part):
            edges = [piece.partition("-") for piece in match[2].split(",")]
            items.setdefault(match[1], []).extend((int(first), int(last or first)) for first, _, last in edges)
        elif match := _MORE.fullmatch(part):
            more += int(match[1])
    return items, more


def _size(ranges: Ranges) -> int:
    """Return how many numbers are in some ranges. Ranges may overlap."""
    count, end = 0, -1
    for first, last in sorted(ranges):
        count += max(last - max(first - 1, end), 0)
        end = max(end, last)
    return count


def show_found(stages: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print a line for each benchmark, and the first pages."""
    for stage in stages:
        cut = stage["action"] == "cut"
        print_line(console, f"{stage['stage']}, index {stage['index'][:16]}", "bold")
        kept = "cut from kept pages" if cut else "in kept pages"
        table = Table("benchmark", "items", "found", kept, "in dropped pages", box=None, header_style="dim")
        for one in stage["benchmarks"]:
            places = (f"{one[f'in_{end}']:,} ({counted(one[f'{end}_pages'], 'page')})" for end in ("kept", "dropped"))
            table.add_row(one["benchmark"], f"{one['items']:,}", f"{one['found']:,}", *places)
        console.print(table)
        if left_out := sum(one["left_out"] for one in stage["benchmarks"]):
            print_line(console, f"{counted(left_out, 'item')} of the index can't be looked for.", "dim")
        if stage["unnamed"]:
            print_line(console, f"Pages with many items do not name {counted(stage['unnamed'], 'item')}.", "dim")
        _show_pages(stage["pages"], console)


def _show_pages(pages: Sequence[Mapping[str, Any]], console: Console) -> None:
    for page in pages[:_SHOWN]:
        print_line(console, f" {page['outcome']:8}{page['rule'] or '–':28}{page['found']}  {page['url'] or page['id']}")
    if len(pages) > _SHOWN:
        print_line(console, f" … and {len(pages) - _SHOWN:,} more pages; --json prints all of them", "dim")
