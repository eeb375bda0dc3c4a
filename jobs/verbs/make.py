"""`build`, `sample`, `blocklist`: verbs that make something from archives or lists."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from corpus.dedup.layout import MEMORY_BYTES
from corpus.errors import ConfigError
from corpus.plugins import read_plugin
from corpus.run import open_run
from corpus.runs.listing import cut_archives
from corpus.sandbox.guard import GuardSettings
from corpus.sandbox.unit import Unit
from corpus.storage.store import Location
from filters import load_recipe
from jobs.build.build import build
from jobs.build.choice import Choice
from jobs.build.contents import plan_all
from jobs.build.cost import Cost, cost_of, cost_of_units
from jobs.build.plan import Job, Plan, make_plan, unit_size
from jobs.build.remove import read_list
from jobs.build.robots import index_robots, robots_setting
from jobs.runner.execution import JobResult
from jobs.runner.progress import Progress
from jobs.runner.terminal import say, show_json
from jobs.show.runs import remarks, show_funnel
from jobs.verbs import options

_SHOWN = 50
"""The most quarantined units that are listed."""

_SETTING = (
    "Change the recipe: STAGE.MEASURE.BOUND=VALUE, STAGE.MEASURE=off, STAGE.PARAMETER=VALUE or measures=first. "
    "Repeatable."
)
_MODULE = "Python module with your own stages. Repeatable."
_UNIT_SECONDS = "Deadline of a unit, in seconds. Default: the longest time that its pages may take."
_ROBOTS = (
    "Archives with the robots.txt of sites, from the folders robotstxt/ of a crawl, or an index of them, made by "
    "`corpus robots index`. Repeatable."
)
_AGAINST = "Earlier run to compare with. Pages that repeat one of its pages are dropped. Repeatable."
_DEDUP_MB = "Memory per deduplication task, in MiB."
_URLS_LIKE = (
    "Of a crawl, read only pages whose whole URL is like this: * stands for any characters. In quotes. Repeatable."
)
_LANGUAGES = "Of a crawl, read only pages in these main languages, as ISO 639-3 codes with commas: eng,deu."
_DOMAINS = "Of a crawl, read only pages of these domains and their subdomains, with commas, or from a file of domains."
_UNIT_MB = "MiB of an archive per unit, as stored. Default: up to 8, for an archive at a URL up to 32."


@click.command("build")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=options.location_type, help="Output folder, or an s3:// URL.")
@click.option("--recipe", default="default", help="Name of a recipe, or a TOML file.", show_default=True)
@click.option("--set", "settings", type=options.name_type, multiple=True, metavar="SETTING", help=_SETTING)
@click.option("--allow-module", "modules", type=options.name_type, multiple=True, metavar="FILE", help=_MODULE)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read only the first N archives.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Read only N archives, drawn at random.")
@click.option("--seed", type=options.SEED, default=0, show_default=True, help="Seed for --sample.")
@click.option("--urls-like", multiple=True, type=options.text_type, metavar="PATTERN", help=_URLS_LIKE)
@click.option("--languages", multiple=True, metavar="CODES", help=_LANGUAGES)
@click.option("--domains", multiple=True, type=options.text_type, metavar="NAMES", help=_DOMAINS)
@click.option("--base", metavar="URL", help="Folder or URL of a copy of Common Crawl. Default: Common Crawl's server.")
@options.engine_options
@click.option("--unit-mb", type=options.Finite(min=0.01), help=_UNIT_MB)
@options.page_options
@options.column_options
@click.option("--robots", multiple=True, metavar="PLACE", help=_ROBOTS)
@click.option("--unit-seconds", type=options.Finite(min=0, min_open=True), help=_UNIT_SECONDS)
@click.option("--against", multiple=True, type=options.location_type, help=_AGAINST)
@click.option("--no-index", is_flag=True, help="Do not write an index. Later runs cannot use --against with this run.")
@click.option("--dedup-mb", type=click.IntRange(min=64), default=MEMORY_BYTES >> 20, show_default=True, help=_DEDUP_MB)
@options.alarm_option
@options.share_option
@click.option("--keep-work", is_flag=True, help="Keep intermediate parts.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@options.json_option
# click passes each option as a parameter of its own
def build_command(
    inputs: tuple[str, ...], out: Location, recipe: str, settings: tuple[str, ...], modules: tuple[str, ...],
    limit: int | None, sample: int | None, seed: int, urls_like: tuple[str, ...], languages: tuple[str, ...],
    domains: tuple[str, ...], base: str | None, where: options.Where,
    unit_mb: float | None, guard: GuardSettings, columns: dict[str, str], keep_columns: tuple[str, ...],
    robots: tuple[str, ...], unit_seconds: float | None, against: tuple[Location, ...], no_index: bool, dedup_mb: int,
    alarm_rate: float, share: bool, keep_work: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build a corpus from archives or documents.

    INPUTS are WARC, ARC or WET archives, or documents: parquet, JSON Lines (plain, gzip or zstd), or HTML files. Name
    files, globs, folders, https:// or s3:// URLs, or s3:// prefixes that end with a slash. In a folder or below a
    prefix, visible files with the name of an archive are read, or else those of documents. An input can also be the
    name of a crawl of Common Crawl, with --limit for the first archives, or --sample for a draw.

    Of a crawl, single pages can be chosen by its index: --urls-like, --languages, --domains. A page must meet all kinds
    of conditions that are given. --limit and --sample then say in which archives.

    Documents have their text or HTML in a column. The usual names of columns are found. The recipe `text` is for
    documents without HTML.

    \b
    Example: corpus build crawl/*.warc.gz -o out --recipe fineweb --set gopher_quality.words.min=30
    Example: corpus build CC-MAIN-2026-43 --limit 2 -o out
    Example: corpus build CC-MAIN-2026-43 --languages deu --domains example.com,example.org -o out
    Example: corpus build new/*.warc.gz -o more --against out
    Example: corpus build fineweb/*.parquet -o out --recipe text
    """
    if limit and sample:
        raise ConfigError("--limit takes the first archives, --sample draws some.", "Give one of the two.")
    if robots:
        settings = (*settings, f"rights.robots_index={json.dumps(robots_setting(robots, out, Progress()))}")
    unit_bytes = int(unit_mb * 2**20) if unit_mb else None
    own = tuple(map(read_plugin, modules))
    job = Job(
        load_recipe(recipe, settings, own), list(inputs), out, unit_bytes, where.at_once, keep_work, guard,
        modules=own, limit=limit, sample=sample, seed=seed, base=base, columns=columns, keep_columns=keep_columns,
        against=tuple(map(str, against)), index=not no_index, dedup_memory=dedup_mb << 20,
        unit_seconds=unit_seconds, alarm_rate=alarm_rate, share=share,
        choice=Choice.of(urls_like, _codes(languages), _domains(domains)),
    )  # fmt: skip
    if dry_run:
        plan = make_plan(job)
        if job.choice is not None:
            _show_cost(cost_of(job, plan, where.engine_here, Progress()), plan, job, as_json)
            return
        _show_plan(plan, plan_all(plan.inputs, unit_size(job, plan), plan.columns), job, as_json)
        return
    result = build(job, lambda: where.engine(out), Progress())
    if result.already_done:
        say(f"{out} is complete already.")
    end_build(result, out, as_json)


def _codes(given: tuple[str, ...]) -> list[str]:
    return [code for one in given for code in _some(one, one.split(","), "languages")]


def _domains(given: tuple[str, ...]) -> list[str]:
    """Return domains from lists with commas, and from files."""
    files = (read_list(Path(one)) if Path(one).is_file() else one.split(",") for one in given)
    return [name for one, names in zip(given, files, strict=True) for name in _some(one, names, "domains")]


def _some(given: str, found: Iterable[str], option: str) -> list[str]:
    """Return the names without blanks. Raises ConfigError if there are none, since no condition would choose all."""
    names = [name.strip() for name in found if name.strip()]
    if not names:
        raise ConfigError(f"--{option} {given!r} names none.", f"Name some, or leave out --{option}.")
    return names


def end_build(
    result: JobResult, out: Location, as_json: bool, more: Mapping[str, Any] | None = None, brief: bool = False
) -> None:
    """Print how a build ended, and exit with its exit code. `more` is added to the JSON. If `brief`, leave the funnel
    out."""
    if result.alarm:
        say(f"Stopped: {result.alarm}")
    elif result.info is None:
        say(f"Interrupted. Run the same command again to continue. Folder: {out}")
    else:
        if as_json:
            show_json(
                {name: result.info[name] for name in ("records", "other_records", "quarantined")} | dict(more or {})
            )
        if brief:
            sys.exit(result.exit_code)
        records = result.info["records"]
        if records["in"]:
            show_funnel(result.info, options.console)
        # a ledger in a bucket would have to be downloaded for this remark
        damaged = isinstance(out, Path) and "damaged" in records["failed"]
        for remark in remarks(result.info, cut_archives(open_run(out)) if damaged else ()):
            say(remark)
        _show_quarantined(result.info["quarantined"])
        say(f"Corpus: {out}/corpus   Ledger: {out}/ledger   Facts: {out}/run.json")
        if records["in"]:
            say(f"Next: `corpus report {out}` shows what was kept and what was dropped.")
    sys.exit(result.exit_code)


def _show_quarantined(units: list[dict[str, Any]]) -> None:
    """Print the quarantined units, and what to do."""
    for unit in units[:_SHOWN]:
        where = f" at {unit['record']}" if unit["record"] else ""
        tries = ", ".join(f"{kind} {times}×" for kind, times in unit["attempts"].items())
        span = f"{unit['warc']}, bytes {unit['start']:,} to {unit['end']:,}"
        say(f"Quarantined: {span}{where} ({tries}): {unit['reason'].splitlines()[0]}")
    if len(units) > _SHOWN:
        say(f"… and {len(units) - _SHOWN} more, in run.json")
    if units:
        say("Run the same command to try these units again. Other units are not read again.")


def _show_cost(cost: Cost, plan: Plan, job: Job, as_json: bool) -> None:
    stages, found = [bound.name for bound in job.recipe.stages], cost.as_dict()
    if as_json:
        show_json({"choice": plan.identity["choice"], **found, "stages": stages})
        return
    index, pages = found["index"], found["pages"]
    say(f"Index: {index['files']} files, {index['bytes']:,} bytes, {index['rows']:,} rows.")
    say(f"Read of it: {index['row_groups']:,} row groups, {index['requests']:,} requests, {index['read']:,} bytes.")
    say(f"Chosen: {found['captures']:,} pages in {found['archives']:,} of {len(plan.inputs):,} archives.")
    if found["elsewhere"]:
        say(f"{found['elsewhere']:,} more pages meet the conditions, in archives that are not read.")
    say(f"To read: {pages['requests']:,} requests, {pages['bytes']:,} bytes.")
    say(f"recipe {job.recipe.name}: {' → '.join(stages)}")


def _show_plan(plan: Plan, units: list[Unit], job: Job, as_json: bool) -> None:
    size = sum(item.size for item in plan.inputs)
    stages = [bound.name for bound in job.recipe.stages]
    if as_json:
        counts = {"inputs": len(plan.inputs), "bytes": size, "units": len(units)}
        counts |= {"requests": cost_of_units(units).requests}
        identity = {"stages": stages, "fingerprint": plan.fingerprint}
        show_json({**counts, **identity, "plan": [unit.content() for unit in units]})
        return
    for unit in units[:_SHOWN]:
        say(f"{unit.warc}  {unit.layout}  bytes {unit.start:,} to {unit.end:,}")
    if len(units) > _SHOWN:
        say(f"… and {len(units) - _SHOWN} more")
    say(f"{len(plan.inputs)} files, {size:,} bytes, {len(units)} units")
    if requests := cost_of_units(units).requests:
        say(f"To read: about {requests:,} requests")
    say(f"recipe {job.recipe.name}: {' → '.join(stages)}")


@click.command("sample")
@click.option("-o", "--out", required=True, type=options.folder_type, help="WARC file to write.")
@click.option("--pages", type=click.IntRange(min=50), default=400, show_default=True, help="Number of pages.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed for the text of the pages.")
def sample_command(out: Path, pages: int, seed: int) -> None:
    """Write the built-in sample crawl as one WARC file.

    Its pages are generated, good ones and bad ones.

    \b
    Example: corpus sample -o sample.warc.gz
    """
    from jobs.sample.crawl import write_sample

    summary = write_sample(out, pages=pages, seed=seed)
    records = sum(summary.records.values())
    say(f"{out}: {summary.pages} pages, {records} records, {summary.bytes:,} bytes")


@click.group("blocklist")
def blocklist_group() -> None:
    """Make block lists of domains and URLs."""


@blocklist_group.command("build")
@click.argument("paths", nargs=-1, required=True, type=options.folder_type)
@click.option("-o", "--out", required=True, type=options.folder_type, help="List file to write.")
@options.json_option
def blocklist_build(paths: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Make a block list from files or folders.

    The input can have UT1's layout, be a tar.gz, or have one domain or URL per line.

    \b
    Example: corpus blocklist build ut1/ -o adult.list
    """
    from filters.url.blocklist import build_blocklist

    summary = build_blocklist(list(paths), out)
    if as_json:
        show_json(asdict(summary))
    say(f"{out}: {summary.domains:,} domains, {summary.urls:,} URLs, {summary.bytes:,} bytes.")
    if summary.ignored_lines:
        say(f"{summary.ignored_lines} lines were ignored. The first: {summary.ignored_example}")
    say(f"Use it with --set url.blocklist={out}")


@click.group("robots")
def robots_group() -> None:
    """Read what sites say about their use."""


@robots_group.command("index")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--out", required=True, type=options.folder_type, help="Folder of the index.")
@options.json_option
def robots_index(inputs: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Make an index of robots.txt and tdmrep.json from archives.

    Common Crawl has such archives in the folders robotstxt/ of each crawl. If a site was asked several times, the
    newest answer counts.

    \b
    Example: corpus robots index robotstxt/*.warc.gz -o robots
    """
    facts = index_robots(inputs, out, Progress())
    if as_json:
        show_json({name: facts[name] for name in ("sites", "bytes", "sha256")})
    say(f"{out}: {facts['sites']:,} sites, {facts['bytes']:,} bytes.")
    say(f"Use it with `corpus build --robots {out}`.")
