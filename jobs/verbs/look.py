"""`explain`, `verify`, `stages`, `recipes`: what only looks."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from corpus.run import open_run
from corpus.storage.store import Location
from filters import STAGES, load_recipe, recipe_names
from jobs.build.audit import audit
from jobs.show import catalog, explanation
from jobs.verbs.options import json_option, place_type, print_as, stdout_console


@click.command("explain")
@click.argument("folder", type=place_type)
@click.argument("url_or_id")
@json_option
def explain_command(folder: Location, url_or_id: str, as_json: bool) -> None:
    """Say why a page is in the corpus, or not.

    \b
    Example: corpus explain out https://example.com/page
    """
    rows = open_run(folder).explain(url_or_id)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        explanation.show(rows, stdout_console())


@click.command("verify")
@click.argument("folder", type=place_type)
@click.option("--inputs", multiple=True, help="Archives whose records to count once more, by an independent reader.")
@json_option
def verify_command(folder: Location, inputs: tuple[str, ...], as_json: bool) -> None:
    """Re-read every committed file and check that the books balance.

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
