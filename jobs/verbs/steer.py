"""`tune`, `diff`, `remove`: what changes a finished run, or says what a change would do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from corpus.outcome import REMOVED
from corpus.plugins import read_plugin
from corpus.revise.differences import diff
from corpus.revise.limits import with_limits
from corpus.run import open_run
from corpus.storage.store import Location
from corpus.tables.takedown import Takedown, taken_from
from filters import STAGES, recipe_from_dict
from jobs.build.build import Result
from jobs.build.plan import Job
from jobs.runner.progress import Progress
from jobs.show.funnel import show_funnel
from jobs.verbs.options import (
    alarm_option,
    console,
    engine_options,
    folder_type,
    guard_of,
    json_option,
    page_options,
    place_type,
    print_as,
)

_LIMIT = "STAGE.MEASURE.BOUND=VALUE"


def rewriting_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of what makes a new run of a finished one."""
    options = (
        click.option("--inputs", multiple=True, help="Where the archives are, if not where the run read them."),
        click.option("--allow-module", "modules", multiple=True, metavar="FILE", help="The run's own Python modules."),
        click.option("--against", multiple=True, type=place_type, help="The earlier runs that it was compared with."),
        engine_options,
        page_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("tune")
@click.argument("folder", type=place_type)
@click.option("--set", "settings", multiple=True, required=True, metavar=_LIMIT, help="Another limit, or off.")
@click.option("--write", type=place_type, metavar="NEWDIR", help="Make the run that a build with these limits makes.")
@alarm_option
@rewriting_options
@json_option
def tune_command(
    folder: Location, settings: tuple[str, ...], write: Location | None, as_json: bool, **how: Any
) -> None:
    """Say what other limits would change, from the ledger alone; with --write, make that run.

    \b
    Example: corpus tune out --set gopher_quality.words.min=30 --set c4.curly_bracket=off
    Example: corpus tune out --set gopher_quality.words.min=30 --write out-30
    """
    from jobs.show.tuning import show_tuned

    run = open_run(folder)
    recipe = with_limits(run.info, settings)
    if write is None:
        if {stage["stage"] for stage in recipe["stages"]} <= set(STAGES):
            recipe_from_dict(recipe)  # stages may contradict each other now
        found = run.tune(settings)
        print_as(found.as_dict(), lambda _, shown: show_tuned(found, shown), as_json)
        return
    from jobs.build.replay_run import rewrite

    job = _job(recipe, write, how)
    result = rewrite(run, job, taken_from(run.store), lambda: how["where"].engine(write), Progress())
    if result.already_done:
        print(f"{write} is complete already.", file=sys.stderr)
    _end(result, write, as_json)


def _job(recipe: dict[str, Any], out: Location, how: dict[str, Any]) -> Job:
    own = tuple(map(read_plugin, how["modules"]))
    guard = guard_of(how["page_seconds"], how["page_mb"])
    against = tuple(map(str, how["against"]))
    made = recipe_from_dict(recipe, own)
    # what a takedown leaves was accepted before, whatever its rate of duplicates
    rate = how.get("alarm_rate", 1.0)
    return Job(
        made, list(how["inputs"]), out, workers=how["where"].at_once, guard=guard, modules=own, against=against,
        alarm_rate=rate,
    )  # fmt: skip


def _end(result: Result, out: Location, as_json: bool) -> None:
    """Say how it ended, as `corpus build` does."""
    if result.alarm:
        print(f"Stopped: {result.alarm}", file=sys.stderr)
    elif result.info is None:
        print(f"Interrupted. The same command goes on where this one ended: {out}", file=sys.stderr)
    else:
        if as_json:
            print(json.dumps({"records": result.info["records"]}))
        show_funnel(result.info, console)
        print(f"Corpus: {out}/corpus   Ledger: {out}/ledger   Facts: {out}/run.json", file=sys.stderr)
    sys.exit(result.exit_code)


@click.command("remove")
@click.argument("folder", type=folder_type)
@click.option("--urls", type=folder_type, metavar="FILE", help="URLs to take down, one a line.")
@click.option("--domains", type=folder_type, metavar="FILE", help="Domains, with all their subdomains, one a line.")
@rewriting_options
@json_option
def remove_command(folder: Path, urls: Path | None, domains: Path | None, as_json: bool, **how: Any) -> None:
    """Take pages down from a finished run, for good: no later build of the folder brings them back.

    \b
    Example: corpus remove out --urls takedown.txt
    """
    from jobs.build.remove import read_list, remove

    if urls is None and domains is None:
        raise click.UsageError("Say with --urls or --domains what to take down.")
    entries = Takedown.of(read_list(urls), read_list(domains))
    result = remove(
        folder, entries, lambda recipe, out: _job(recipe, out, how), lambda: how["where"].engine(folder), Progress()
    )
    if result.already_done:
        print("Nothing to do: all of that is taken down already.", file=sys.stderr)
    if result.info is not None and not as_json:
        gone = result.info["records"]["dropped"].get(REMOVED, {})
        listed = len(entries.urls) + len(entries.domains)
        print(f"{listed:,} entries given; taken down so far: {sum(gone.values()):,} pages.", file=sys.stderr)
    _end(result, folder, as_json)


@click.command("diff")
@click.argument("folder_a", type=place_type)
@click.argument("folder_b", type=place_type)
@json_option
def diff_command(folder_a: Location, folder_b: Location, as_json: bool) -> None:
    """Say which documents moved between two runs, by rule, and whose text changed.

    \b
    Example: corpus diff out-before out-after
    """
    from jobs.show.moves import show_diff

    found = diff(open_run(folder_a), open_run(folder_b))
    print_as(found.as_dict(), lambda _, shown: show_diff(found, shown), as_json)
