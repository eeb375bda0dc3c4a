"""`build`, `sample`, `blocklist`: what makes things of archives and lists."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from corpus.dedup.layout import MEMORY_BYTES
from corpus.plugins import read_plugin
from corpus.sandbox.unit import Unit
from corpus.storage.store import Location
from filters import load_recipe
from jobs.build.build import build
from jobs.build.plan import Job, Plan, make_plan, make_units
from jobs.runner.progress import Progress
from jobs.show.funnel import show_funnel
from jobs.verbs.options import (
    Finite,
    Where,
    alarm_option,
    console,
    engine_options,
    folder_type,
    guard_of,
    json_option,
    page_options,
    place_type,
)

SETTING = (
    "STAGE.MEASURE.BOUND=VALUE, STAGE.MEASURE=off, STAGE.PARAMETER=VALUE or measures=first; laid over the recipe. "
    "May be given again."
)
UNIT_MB = "MiB of an archive in a unit, as it is stored; by default up to 8, of one at a URL up to 32."


@click.command("build")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=place_type, help="The folder of the run, or an s3:// URL.")
@click.option("--recipe", default="default", help="A named recipe or a TOML file.", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="SETTING", help=SETTING)
@click.option("--allow-module", "modules", multiple=True, metavar="FILE", help="A Python module with stages of yours.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read only the first N archives.")
@click.option("--base", metavar="URL", help="Where crawls are looked up; by default Common Crawl's own server.")
@engine_options
@click.option("--unit-mb", type=Finite(min=0.01), help=UNIT_MB)
@page_options
@click.option(
    "--unit-seconds",
    type=Finite(min=0, min_open=True),
    help="What a unit may take; by default what its pages may at most.",
)
@click.option("--against", multiple=True, type=place_type, help="An earlier run to compare with; what repeats it goes.")
@click.option("--no-index", is_flag=True, help="Leave no index, without which no later run can be --against this one.")
@click.option(
    "--dedup-mb",
    type=click.IntRange(min=64),
    default=MEMORY_BYTES >> 20,
    show_default=True,
    help="Memory of a task of dedup.",
)
@alarm_option
@click.option("--keep-work", is_flag=True, help="Keep intermediate parts.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and stop.")
@json_option
def build_command(
    inputs: tuple[str, ...], out: Location, recipe: str, settings: tuple[str, ...], modules: tuple[str, ...],
    limit: int | None, base: str | None, where: Where,
    unit_mb: float | None, page_seconds: float, page_mb: int, unit_seconds: float | None,
    against: tuple[Location, ...], no_index: bool, dedup_mb: int, alarm_rate: float, keep_work: bool,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build a corpus from archives.

    INPUTS are files, globs or folders of WARC, ARC or WET archives; https:// or s3:// URLs of them, and s3:// prefixes
    that end with a slash; or a crawl of Common Crawl by its name, of which --limit says how many files to read.

    \b
    Example: corpus build crawl/*.warc.gz -o out --recipe fineweb --set gopher_quality.words.min=30
    Example: corpus build CC-MAIN-2026-43 --limit 2 -o out
    Example: corpus build new/*.warc.gz -o more --against out
    """
    guard = guard_of(page_seconds, page_mb)
    unit_bytes = int(unit_mb * 2**20) if unit_mb else None
    own = tuple(read_plugin(module) for module in modules)
    made = load_recipe(recipe, settings, own)
    job = Job(
        made, list(inputs), out, unit_bytes, where.at_once, keep_work, guard, modules=own, limit=limit, base=base,
        against=tuple(map(str, against)), index=not no_index, dedup_memory=dedup_mb << 20,
        unit_seconds=unit_seconds, alarm_rate=alarm_rate,
    )  # fmt: skip
    if dry_run:
        plan = make_plan(job)
        _show_plan(plan, make_units(job, plan), job, as_json)
        return

    result = build(job, lambda: where.engine(out), Progress())
    if result.alarm:
        print(f"Stopped: {result.alarm}", file=sys.stderr)
        sys.exit(result.exit_code)
    if result.info is None:
        print(f"Interrupted. The same command goes on where this one ended: {out}", file=sys.stderr)
        sys.exit(result.exit_code)
    if result.already_done:
        print(f"{out} is complete already.", file=sys.stderr)
    if as_json:
        print(json.dumps({"records": result.info["records"], "quarantined": result.info["quarantined"]}))
    show_funnel(result.info, console)
    _show_quarantined(result.info["quarantined"])
    print(f"Corpus: {out}/corpus   Ledger: {out}/ledger   Facts: {out}/run.json", file=sys.stderr)
    sys.exit(result.exit_code)


def _show_quarantined(units: list[dict[str, Any]]) -> None:
    """Say which units were given up, and what to do."""
    for unit in units[:_SHOWN]:
        where = f" at {unit['record']}" if unit["record"] else ""
        tries = ", ".join(f"{kind} {times}×" for kind, times in unit["attempts"].items())
        span = f"{unit['warc']}, bytes {unit['start']:,} to {unit['end']:,}"
        print(f"Quarantined: {span}{where} ({tries}): {unit['reason'].splitlines()[0]}", file=sys.stderr)
    if len(units) > _SHOWN:
        print(f"… and {len(units) - _SHOWN} more, in run.json", file=sys.stderr)
    if units:
        print("The same command tries these again, and does again only what depends on them.", file=sys.stderr)


_SHOWN = 50


def _show_plan(plan: Plan, units: list[Unit], job: Job, as_json: bool) -> None:
    size = sum(item.size for item in plan.inputs)
    facts: dict[str, Any] = {
        "inputs": len(plan.inputs),
        "bytes": size,
        "units": len(units),
        "stages": [bound.name for bound in job.recipe.stages],
        "fingerprint": plan.fingerprint,
    }
    if as_json:
        print(json.dumps({**facts, "plan": [unit.content() for unit in units]}))
        return
    for unit in units[:_SHOWN]:
        print(f"{unit.warc}  {unit.format}  bytes {unit.start:,} to {unit.end:,}", file=sys.stderr)
    if len(units) > _SHOWN:
        print(f"… and {len(units) - _SHOWN} more", file=sys.stderr)
    print(f"{facts['inputs']} archives, {size:,} bytes, {facts['units']} units", file=sys.stderr)
    print(f"recipe {job.recipe.name}: {' → '.join(facts['stages'])}", file=sys.stderr)


@click.command("sample")
@click.option("-o", "--out", required=True, type=folder_type, help="The WARC file to write.")
@click.option("--pages", type=click.IntRange(min=50), default=400, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def sample_command(out: Path, pages: int, seed: int) -> None:
    """Write the built-in sample crawl: generated pages, good and bad, as one WARC.

    \b
    Example: corpus sample -o sample.warc.gz
    """
    from jobs.sample.sample_crawl import write_sample

    summary = write_sample(out, pages=pages, seed=seed)
    records = sum(summary["records"].values())
    print(f"{out}: {summary['pages']} pages, {records} records, {summary['bytes']:,} bytes", file=sys.stderr)


@click.group("blocklist")
def blocklist_group() -> None:
    """Block lists of domains and URLs."""


@blocklist_group.command("build")
@click.argument("paths", nargs=-1, required=True, type=folder_type)
@click.option("-o", "--out", required=True, type=folder_type, help="The list file to write.")
@json_option
def blocklist_build(paths: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Make a memory-mapped list from files or folders (UT1 layout, tar.gz, or one domain or URL a line).

    \b
    Example: corpus blocklist build ut1/ -o adult.list
    """
    from filters.url.blocklist import build_blocklist

    summary = build_blocklist(list(paths), out)
    if as_json:
        print(json.dumps(asdict(summary)))
    print(f"{out}: {summary.domains:,} domains, {summary.urls:,} URLs, {summary.bytes:,} bytes.", file=sys.stderr)
    if summary.ignored_lines:
        print(f"{summary.ignored_lines} lines were ignored, the first: {summary.ignored_example}", file=sys.stderr)
    print(f"Use it with --set url.blocklist={out}", file=sys.stderr)
