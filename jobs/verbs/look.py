"""`explain`, `verify`, `report`, `stages`, `recipes`: verbs that change no run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from corpus.run import open_run
from corpus.storage.store import Location
from filters import STAGES, load_recipe, recipe_names
from jobs.build.audit import audit
from jobs.runner.progress import Progress
from jobs.show import catalog
from jobs.show.runs import show_explanation
from jobs.verbs.options import folder_type, json_option, location_type, print_as, text_type


@click.command("explain")
@click.argument("folder", type=location_type)
@click.argument("url_or_id", type=text_type)
@json_option
def explain_command(folder: Location, url_or_id: str, as_json: bool) -> None:
    """Show why a page is in the corpus or not.

    \b
    Example: corpus explain out https://example.com/page
    """
    print_as(open_run(folder).explain(url_or_id), show_explanation, as_json)


@click.command("verify")
@click.argument("folder", type=location_type)
@click.option("--inputs", multiple=True, help="Archives whose records an independent reader counts again. Repeatable.")
@json_option
def verify_command(folder: Location, inputs: tuple[str, ...], as_json: bool) -> None:
    """Read every committed file again and check that the counts balance.

    \b
    Example: corpus verify out --inputs crawl/
    """
    run = open_run(folder)
    rows = run.verify()
    found = audit(run, inputs) if inputs else []
    if as_json:
        print(json.dumps({**rows, "inputs": [asdict(entry) for entry in found]}))
    for entry in found:
        early = ", which ends at the first damage" if entry.ended or entry.counted != entry.in_ledger else ""
        print(f"{entry.warc}: {entry.in_ledger} records, {entry.counted} by warcio{early}", file=sys.stderr)
    print(f"{folder}: {rows['corpus']} pages and {rows['ledger']} ledger rows, all as committed.", file=sys.stderr)


@click.command("report")
@click.argument("folder", type=location_type)
@click.option("-o", "--out", type=folder_type, help="File to write. Default: report.html in FOLDER.")
@json_option
def report_command(folder: Location, out: Path | None, as_json: bool) -> None:
    """Write one HTML file that shows what a run kept and dropped, and why.

    \b
    Example: corpus report out
    """
    from jobs.report.render import write_report
    from jobs.report.scan import batches_of

    run = open_run(folder)
    if out is None and not isinstance(folder, Path):
        raise click.UsageError("The run is not on this machine. Name the file to write with -o.")
    path = out or Path(folder) / "report.html"
    progress = Progress()
    progress.start("report", batches_of(run))
    size = write_report(run, path, progress.unit_done)
    progress.end()
    if as_json:
        print(json.dumps({"report": str(path), "bytes": size}))
    print(f"{path}: {size:,} bytes. Open it in a browser.", file=sys.stderr)


@click.command("stages")
@json_option
@click.option("--markdown", is_flag=True, help="Print docs/filters.md.")
def stages_command(as_json: bool, markdown: bool) -> None:
    """List every stage with its measures, limits, parameters and source.

    \b
    Example: corpus stages
    """
    listed = catalog.stages(STAGES)
    if markdown:
        print(catalog.markdown(listed), end="")
    else:
        print_as(listed, catalog.show_stages, as_json)


@click.command("recipes")
@json_option
def recipes_command(as_json: bool) -> None:
    """List the named recipes.

    \b
    Example: corpus recipes
    """
    print_as([load_recipe(name).canonical() for name in recipe_names()], catalog.show_recipes, as_json)
