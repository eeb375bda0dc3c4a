"""The command line: one verb per job. It prints for people on stderr; `--json` prints for programs on stdout.

Exit codes: 0 fine; 1 expected failure; 2 usage; 3 finished with quarantined units; 4 stopped by an alarm; 70 our bug
(traceback in a file); 130 and 143 interrupted, resumable.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from corpus.dedup.layout import MEMORY_BYTES
from corpus.errors import ConfigError, CorpusError
from corpus.guard import GuardSettings
from corpus.modules import read_module
from corpus.run import open_run
from corpus.unit import Unit
from filters import STAGES, load_recipe, recipe_names
from jobs import catalog, explain
from jobs.audit import audit
from jobs.build import Job, Plan, build, make_plan, make_units
from jobs.dedup import ALARM_RATE
from jobs.engine import Engine, LocalEngine, RayEngine
from jobs.funnel import show_funnel
from jobs.progress import Progress

_WIDTH = 120  # of tables, where no terminal says otherwise
_console = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_folder = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="corpus")
def cli() -> None:
    """From Common Crawl WARC to training text in which every record is accounted for."""


@cli.command("build")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=_folder, help="The folder of the run.")
@click.option("--recipe", default="default", help="A named recipe or a TOML file.", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="STAGE.MEASURE.BOUND=VALUE", help="Change one setting.")
@click.option("--allow-module", "modules", multiple=True, metavar="FILE", help="A Python module with stages of yours.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read only the first N archives.")
@click.option("--base", metavar="URL", help="Where crawls are looked up; by default Common Crawl's own server.")
@click.option("--workers", type=click.IntRange(min=1), help="Units at a time; by default one per CPU.")
@click.option("--address", help="The address of a Ray cluster; by default Ray runs on this machine.")
@click.option("--no-ray", is_flag=True, help="Run in this process and its page workers.")
@click.option("--unit-mb", type=click.FloatRange(min=0.01), help="Compressed size of a unit; by default up to 8.")
@click.option("--page-seconds", type=float, default=GuardSettings.page_cpu_s, help="CPU time that a page may take.")
@click.option("--page-mb", type=int, default=GuardSettings.memory_bytes >> 20, help="Memory that a page may take.")
@click.option("--against", multiple=True, type=_folder, help="An earlier run to compare with; what repeats it goes.")
@click.option("--no-index", is_flag=True, help="Leave no index, without which no later run can be --against this one.")
@click.option("--dedup-mb", type=click.IntRange(min=64), default=MEMORY_BYTES >> 20, help="Memory of a task of dedup.")
@click.option(
    "--alarm-rate",
    type=click.FloatRange(0, 1),
    default=ALARM_RATE,
    show_default=True,
    help="Stop before anything is packed where dedup would remove more than this share of the run or of an archive; "
    "1 switches it off.",
)
@click.option("--keep-work", is_flag=True, help="Keep intermediate parts.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and stop.")
@_json_option
def build_command(
    inputs: tuple[str, ...], out: Path, recipe: str, settings: tuple[str, ...], modules: tuple[str, ...],
    limit: int | None, base: str | None, workers: int | None, address: str | None, no_ray: bool,
    unit_mb: float | None, page_seconds: float, page_mb: int, against: tuple[Path, ...], no_index: bool,
    dedup_mb: int, alarm_rate: float, keep_work: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build a corpus from archives.

    INPUTS are files, globs or folders of WARC, ARC or WET archives; https:// or s3:// URLs of them, and s3:// prefixes
    that end with a slash; or a crawl of Common Crawl by its name, of which --limit says how many files to read.

    \b
    Example: corpus build crawl/*.warc.gz -o out --recipe fineweb --set gopher_quality.words.min=30
    Example: corpus build CC-MAIN-2026-43 --limit 2 -o out
    Example: corpus build new/*.warc.gz -o more --against out
    """
    if no_ray and address:
        raise click.UsageError("--no-ray and --address exclude each other.")
    guard = GuardSettings(page_cpu_s=page_seconds, page_wall_s=10 * page_seconds, memory_bytes=page_mb << 20)
    unit_bytes = int(unit_mb * 2**20) if unit_mb else None
    at_once = workers or (1 if no_ray else os.cpu_count() or 1)
    own = tuple(read_module(module) for module in modules)
    made = load_recipe(recipe, settings, own)
    job = Job(
        made, list(inputs), out, unit_bytes, at_once, keep_work, guard, modules=own, limit=limit, base=base,
        against=tuple(map(str, against)), index=not no_index, dedup_memory=dedup_mb << 20, alarm_rate=alarm_rate,
    )  # fmt: skip
    if dry_run:
        plan = make_plan(job)
        _show_plan(plan, make_units(job, plan), job, as_json)
        return

    def make_engine() -> Engine:
        if no_ray:
            return LocalEngine(at_once)
        return RayEngine(workers, address)

    result = build(job, make_engine, Progress())
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
    show_funnel(result.info, _console)
    for unit in result.info["quarantined"]:
        print(
            f"Given up: {unit['warc']}, bytes {unit['start']} to {unit['end']}: {unit['attempts'][-1]}", file=sys.stderr
        )
    print(f"Corpus: {out}/corpus   Ledger: {out}/ledger   Facts: {out}/run.json", file=sys.stderr)
    sys.exit(result.exit_code)


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
    for unit in units[:50]:
        print(f"{unit.warc}  {unit.format}  bytes {unit.start:,} to {unit.end:,}", file=sys.stderr)
    if len(units) > 50:
        print(f"… and {len(units) - 50} more", file=sys.stderr)
    print(f"{facts['inputs']} archives, {size:,} bytes, {facts['units']} units", file=sys.stderr)
    print(f"recipe {job.recipe.name}: {' → '.join(facts['stages'])}", file=sys.stderr)


@cli.command("explain")
@click.argument("folder", type=_folder)
@click.argument("url_or_id")
@_json_option
def explain_command(folder: Path, url_or_id: str, as_json: bool) -> None:
    """Say why a page is in the corpus, or not.

    \b
    Example: corpus explain out https://example.com/page
    """
    rows = explain.explain(open_run(folder), url_or_id)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        explain.show(rows, _stdout())


@cli.command("verify")
@click.argument("folder", type=_folder)
@click.option("--inputs", multiple=True, help="Archives whose records to count once more, by an independent reader.")
@_json_option
def verify_command(folder: Path, inputs: tuple[str, ...], as_json: bool) -> None:
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
        early = f" (it ended early: {entry.ended})" if entry.ended else ""
        print(f"{entry.warc}: {entry.in_ledger} records, {entry.counted} by warcio{early}", file=sys.stderr)
    print(f"{folder}: {rows['corpus']} pages and {rows['ledger']} ledger rows, all as committed.", file=sys.stderr)


@cli.command("stages")
@_json_option
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
        _print(listed, catalog.show_stages, as_json)


@cli.command("recipes")
@_json_option
def recipes_command(as_json: bool) -> None:
    """List the named recipes.

    \b
    Example: corpus recipes
    """
    _print([load_recipe(name).canonical() for name in recipe_names()], catalog.show_recipes, as_json)


def _print(data: Any, show: Callable[[Any, Console], None], as_json: bool) -> None:
    if as_json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        show(data, _stdout())


def _stdout() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


@cli.command("sample")
@click.option("-o", "--out", required=True, type=_folder, help="The WARC file to write.")
@click.option("--pages", type=click.IntRange(min=50), default=400, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def sample_command(out: Path, pages: int, seed: int) -> None:
    """Write the built-in sample crawl: generated pages, good and bad, as one WARC.

    \b
    Example: corpus sample -o sample.warc.gz
    """
    from jobs.sample import write_sample

    summary = write_sample(out, pages=pages, seed=seed)
    records = sum(summary["records"].values())
    print(f"{out}: {summary['pages']} pages, {records} records, {summary['bytes']:,} bytes", file=sys.stderr)


@cli.group("blocklist")
def blocklist_group() -> None:
    """Block lists of domains and URLs."""


@blocklist_group.command("build")
@click.argument("paths", nargs=-1, required=True, type=_folder)
@click.option("-o", "--out", required=True, type=_folder, help="The list file to write.")
@_json_option
def blocklist_build(paths: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Make a memory-mapped list from files or folders (UT1 layout, tar.gz, or one domain or URL a line).

    \b
    Example: corpus blocklist build ut1/ -o adult.list
    """
    from filters.blocklist import build_blocklist

    summary = build_blocklist(list(paths), out)
    if as_json:
        print(json.dumps(asdict(summary)))
    print(f"{out}: {summary.domains:,} domains, {summary.urls:,} URLs, {summary.bytes:,} bytes.", file=sys.stderr)
    if summary.ignored_lines:
        print(f"{summary.ignored_lines} lines were ignored, the first: {summary.ignored_example}", file=sys.stderr)
    print(f"Use it with --set url.blocklist={out}", file=sys.stderr)


def main() -> None:
    """The entry point: every expected failure is one sentence what and one what to do."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except ConfigError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except CorpusError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        with tempfile.NamedTemporaryFile("w", prefix="corpus-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        print(f"This is a bug in corpus. Please report it with {file.name}", file=sys.stderr)
        sys.exit(70)


if __name__ == "__main__":
    main()
