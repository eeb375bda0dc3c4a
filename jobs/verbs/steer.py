"""`tune`, `diff`, `remove`: verbs that change a finished run, compare runs, or show what a change would do."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from corpus.errors import ConfigError
from corpus.outcome import REMOVED
from corpus.plugins import read_plugin
from corpus.revise.differences import ABSENT, diff
from corpus.revise.limits import with_limits
from corpus.revise.url_differences import diff_by_url
from corpus.run import open_run
from corpus.storage.store import Location
from corpus.tables.takedown import Entry, takedown_of
from filters import STAGES, recipe_from_dict
from jobs.build.plan import Job
from jobs.build.remove import check_domains, read_list, remove
from jobs.build.replay_run import replay
from jobs.runner.progress import Progress
from jobs.runner.terminal import say
from jobs.show.steering import show_diff, show_removal, show_tuned
from jobs.verbs import options
from jobs.verbs.make import end_build

_LIMIT = "STAGE.MEASURE.BOUND=VALUE"
_NOT_ALL = 3  # the same as for a build with quarantined units
_WRITE = "Write a new run, identical to a fresh build with these limits."

_rewriting_options = functools.partial(
    options.with_options,
    (
        options.inputs_option,
        options.modules_option,
        click.option(
            "--against", multiple=True, type=options.location_type, help="Earlier run that FOLDER was compared with."
        ),
        options.engine_options,
        options.page_options,
    ),
)  # fmt: skip
"""The options of verbs that make a new run from a finished run."""


@click.command("tune")
@click.argument("folder", type=options.location_type)
@click.option("--set", "settings", type=options.name_type, multiple=True, required=True, metavar=_LIMIT,
              help="New limit, or off. Repeatable.")  # fmt: skip
@click.option("--write", type=options.location_type, metavar="NEWDIR", help=_WRITE)
@options.alarm_option
@options.share_option
@_rewriting_options
@options.json_option
def tune_command(
    folder: Location, settings: tuple[str, ...], write: Location | None, as_json: bool, **how: Any
) -> None:
    """Show what other limits would change, from the ledger alone.

    With --write, write the run with these limits.

    \b
    Example: corpus tune out --set gopher_quality.words.min=30 --set c4.curly_bracket=off
    Example: corpus tune out --set gopher_quality.words.min=30 --write out-30
    """
    run = open_run(folder)
    recipe = with_limits(run.info, settings)
    if write is None:
        if {stage["stage"] for stage in recipe["stages"]} <= set(STAGES):
            recipe_from_dict(recipe)  # raises an error if stages contradict each other under the new limits
        found = run.tune(settings)
        options.print_as(found.as_dict(), lambda _, shown: show_tuned(found, shown), as_json)
        return
    job = _job(recipe, write, how)
    result = replay(run, job, takedown_of(run.store), lambda: how["where"].engine(write), Progress())
    if result.already_done:
        say(f"{write} is complete already.")
    end_build(result, write, as_json)


def _job(recipe: dict[str, Any], out: Location, how: dict[str, Any]) -> Job:
    own = tuple(map(read_plugin, how["modules"]))
    return Job(
        recipe_from_dict(recipe, own), list(how["inputs"]), out, workers=how["where"].at_once, guard=how["guard"],
        modules=own, against=tuple(map(str, how["against"])),
        share=how.get("share", False),  # `remove` uses the setting of the run
        alarm_rate=how.get("alarm_rate", 1.0),  # `remove` raises no alarm, because the run has already passed it
    )  # fmt: skip


@click.command("remove")
@click.argument("folder", type=options.folder_type)
@click.option("--urls", type=options.folder_type, metavar="FILE", help="File with URLs, one per line.")
@click.option("--domains", type=options.folder_type, metavar="FILE", help="File with domains, one per line.")
@click.option("--copies", is_flag=True, help="Also remove all pages whose text equals that of a removed page.")
@click.option("--hash-urls", is_flag=True, help="Replace URLs and record ids of removed pages in the ledger by their "
              "SHA-256.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Remove all sites under a public suffix, such as co.uk.")
@_rewriting_options
@options.json_option
def remove_command(
    folder: Path, urls: Path | None, domains: Path | None, copies: bool, hash_urls: bool, yes: bool, as_json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Remove pages from a finished run for good.

    Later builds of the folder leave these pages out. A domain covers all its subdomains. Different ways of writing a
    URL count as the same URL. If an entry matches no page, the entry is printed, and the exit code is 3.

    \b
    Example: corpus remove out --urls takedown.txt
    """
    if urls is None and domains is None and not hash_urls:
        raise click.UsageError("No pages are named. Give a list with --urls or --domains.")
    entries = [*map(Entry.url, read_list(urls)), *map(Entry.domain, read_list(domains))]
    if not entries and not hash_urls:
        raise ConfigError("The lists are empty.", "Write one URL or domain per line.")
    if not yes:
        check_domains(entries)
    removal = remove(
        folder, entries, lambda recipe, out: _job(recipe, out, how), lambda: how["where"].engine(folder), Progress(),
        copies, hash_urls,
    )  # fmt: skip
    show_removal(removal.found, removal.copies, removal.copies_go, removal.returned, options.console)
    result = removal.result
    if result.already_done:
        say("Nothing changes: these pages were already removed, or there are no such pages.")
    if result.info is not None:
        removed = sum(result.info["records"]["dropped"].get(REMOVED, {}).values())
        say(f"Pages removed so far: {removed:,}.")
    for one in removal.derived:
        say(f"Made from this run: {one['kind']} {one['name']}")
    if removal.derived:
        say(
            "Outputs that were made before a removal still contain its pages. Make them again, and then everything "
            "that was made from them."
        )
    if result.exit_code == 0 and any(one.nothing for one in removal.found):
        result = replace(result, exit_code=_NOT_ALL)
    end_build(result, folder, as_json, removal.as_dict())


@click.command("diff")
@click.argument("folder_a", type=options.location_type)
@click.argument("folder_b", type=options.location_type)
@click.option("--by", type=click.Choice(["place", "url"]), default="place", show_default=True, help="How records "
              "are matched: by archive and offset, or by URL, for archives that were cut anew.")  # fmt: skip
@options.json_option
def diff_command(folder_a: Location, folder_b: Location, by: str, as_json: bool) -> None:
    """Show which documents moved between two runs, by rule.

    The texts that changed are counted, too.

    \b
    Example: corpus diff out-before out-after
    Example: corpus diff out-january out-february --by url
    """
    found = (diff if by == "place" else diff_by_url)(open_run(folder_a), open_run(folder_b))
    if by == "place" and found.documents[0] and all(ABSENT in move for move in found.moves) and not found.same:
        say("No record is at the same place in both runs. --by url compares them by URL.")
    options.print_as(found.as_dict(), lambda _, shown: show_diff(found, shown), as_json)
