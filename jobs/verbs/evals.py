"""`evals`: verbs about items of benchmarks."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from corpus.errors import InputError
from corpus.run import open_run
from corpus.storage.store import Location
from filters.decontaminate.build import ITEMS, build_index
from jobs.build.eval_items import USUAL, read_items, read_texts
from jobs.build.inputs import find_inputs
from jobs.runner.terminal import counted, say, show_json
from jobs.show.evals import found_items, show_found
from jobs.verbs import options

_COLUMNS = {
    "question": "question",
    "answer": "right answer",
    "choices": "list of choices",
    "name": "benchmark",
    "id": "id",
}
"""The parts of an item, in words."""

_PARTS = [
    click.option(f"--{part}", f"{part}_column", type=options.name_type, metavar="COLUMN",
                 help=f"Column with the {words} of items. Usual: {', '.join(USUAL[part][:3])}.")
    for part, words in _COLUMNS.items()
]  # fmt: skip
_BOILERPLATE = (
    "Documents whose n-grams do not count if two of them have them: parquet or JSON Lines with texts. Repeatable."
)


@click.group("evals")
def evals_group() -> None:
    """Find items of benchmarks in pages."""


@evals_group.command("index")
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=options.folder_type, help="Folder to write.")
@functools.partial(options.with_options, _PARTS)
@click.option("--boilerplate", multiple=True, metavar="FILES", help=_BOILERPLATE)
@options.json_option
def index_command(files: tuple[str, ...], out: Path, boilerplate: tuple[str, ...], as_json: bool, **given: str) -> None:
    """Make an index of benchmark items for the stage `decontaminate`.

    FILES are parquet or JSON Lines (plain, gzip or zstd) with an item in each row. Name files, globs, folders or URLs.
    The usual names of columns are found. Rows that follow each other and have the same question are the choices of one
    item.

    \b
    Example: corpus evals index gsm8k.jsonl mmlu/*.parquet -o evals
    Example: corpus build crawl/*.warc.gz -o out --set decontaminate.index=evals
    """
    asked = {part: name for part in _COLUMNS if (name := given[f"{part}_column"])}
    unread: list[str] = []
    items = read_items(find_inputs(files), asked, unread)
    index = build_index(items, out, read_texts(find_inputs(boilerplate)) if boilerplate else ())
    if not any(one.items for one in index.benchmarks):
        raise InputError("No row has a question.", "Name the column of questions with --question.")
    if as_json:
        facts = {"benchmarks": [vars(one) for one in index.benchmarks], "bytes": index.bytes, "unread": unread}
        show_json({"index": index.digest, **facts})
    for one in index.benchmarks:
        left_out = f", {one.left_out:,} of them can't be looked for" if one.left_out else ""
        say(f"{one.name}: {counted(one.items, 'item')}{left_out}")
    if unread:
        say(f"{counted(len(unread), 'row')} without a question. The first: {unread[0]}")
    say(f"{out}: {index.bytes:,} bytes, index {index.digest[:16]}. {out / ITEMS} says where each item stands.")
    say(f"Use it with --set decontaminate.index={out}")


@evals_group.command("report")
@click.argument("folder", type=options.location_type)
@options.json_option
def report_command(folder: Location, as_json: bool) -> None:
    """Show which benchmark items a run has found, and in which pages.

    The ledger says it, so no page is read. The items of a benchmark are numbered from 0.

    \b
    Example: corpus evals report out
    """
    options.print_as(found_items(open_run(folder)), show_found, as_json)
