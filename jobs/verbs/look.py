"""`explain`, `ls`, `verify`, `report`, `card`, `stages`, `recipes`: verbs that change no run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from corpus.errors import ConfigError, did_you_mean
from corpus.outcome import DROPPED, FAILED, KEPT, SKIPPED
from corpus.plugins import read_plugin
from corpus.run import open_run
from corpus.runs.listing import PageQuery, list_pages
from corpus.storage.store import Location
from corpus.tables.ledger import is_row_of, ledger_url
from filters import STAGES, load_recipe, recipe_names
from jobs.build.archives import read_blocks, read_texts
from jobs.build.audit import audit
from jobs.runner.progress import Progress
from jobs.runner.terminal import say, show, show_json
from jobs.show import catalog
from jobs.show.runs import show_explanation, show_pages
from jobs.verbs.options import (
    folder_type,
    inputs_option,
    json_option,
    location_type,
    modules_option,
    print_as,
    share_option,
    text_type,
)


@click.command("explain")
@click.argument("folder", type=location_type)
@click.argument("url_or_id", type=text_type)
@click.option("--text", "with_text", is_flag=True, help="Also show the text of a dropped page. The page is read again "
              "from its archive.")  # fmt: skip
@click.option("--blocks", "with_blocks", is_flag=True, help="Also show all blocks of text of the page, their scores, "
              "and which of them were taken as its main text. The page is read again.")  # fmt: skip
@inputs_option
@modules_option
@json_option
def explain_command(
    folder: Location, url_or_id: str, with_text: bool, with_blocks: bool, inputs: tuple[str, ...],
    modules: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Show why a page is in the corpus or not.

    The text of a kept page is shown, too. All ways of writing a URL find its records. If there are no records, the
    nearest URL is shown or named. An id is one of the ledger, or the one that the document had in its own file.

    \b
    Example: corpus explain out https://example.com/page
    Example: corpus explain out https://example.com/dropped --text
    Example: corpus explain out https://example.com/page --blocks
    """
    run = open_run(folder)
    rows = run.explain(url_or_id)
    own_ids = (rows[0]["id"], rows[0]["record_id"])
    if url_or_id not in own_ids and ledger_url(url_or_id) not in own_ids and not is_row_of(rows[0]["url"], url_or_id):
        say(f"There is no record of {url_or_id}. The nearest URL:")
    if with_text:
        texts = read_texts(run, rows, inputs, list(map(read_plugin, modules)))
        rows = [{**row, "text": texts.get(row["id"], row["text"])} for row in rows]
    if with_blocks:
        blocks = read_blocks(run, rows, inputs)
        rows = [{**row, "blocks": [block._asdict() for block in blocks.get(row["id"], [])]} for row in rows]
    print_as(rows, lambda shown, console: show_explanation(shown, console, with_text), as_json)


@click.command("ls")
@click.argument("folder", type=location_type)
@click.option("--rule", default="", metavar="STAGE.RULE", help="Rule that dropped the pages, or a stage, or a kind "
              "of failure.")  # fmt: skip
@click.option(
    "--url", default="", metavar="PATTERN", help="Part of the URL, or a whole URL in which * matches any characters."
)
@click.option("--domain", default="", type=text_type, help="Domain of the pages, with all its subdomains.")
@click.option("--outcome", type=click.Choice([KEPT, DROPPED, FAILED, SKIPPED]), help="Outcome of the pages.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="List only the first N pages.")
@json_option
def ls_command(
    folder: Location, rule: str, url: str, domain: str, outcome: str | None, limit: int | None, as_json: bool
) -> None:
    """List pages with their outcome, rule, value and URL.

    \b
    Example: corpus ls out --rule gopher_quality.words --limit 20
    Example: corpus ls out --url 'https://example.com/*' --outcome kept
    Example: corpus ls out --domain example.com
    """
    show_pages(list_pages(open_run(folder), PageQuery(rule, url, outcome or "", domain)), as_json, limit)


@click.command("verify")
@click.argument("folder", type=location_type)
@click.option(
    "--inputs", multiple=True, help="Archives whose records are counted again by an independent reader. Repeatable."
)
@json_option
def verify_command(folder: Location, inputs: tuple[str, ...], as_json: bool) -> None:
    """Read every committed file again and check the counts.

    \b
    Example: corpus verify out --inputs crawl/
    """
    run = open_run(folder)
    rows = run.verify()
    found = audit(run, inputs) if inputs else []
    if as_json:
        show_json({**rows, "inputs": [asdict(entry) for entry in found]})
    for entry in found:
        early = ", which ends at the first damage" if entry.ended or entry.counted != entry.in_ledger else ""
        say(f"{entry.warc}: {entry.in_ledger} records, {entry.counted} by {entry.reader}{early}")
    say(f"{folder}: {rows['corpus']} pages and {rows['ledger']} ledger rows, all as committed.")


@click.command("report")
@click.argument("folder", type=location_type)
@click.option("-o", "--out", type=folder_type, help="File to write. Default: report.html in FOLDER.")
@share_option
@json_option
def report_command(folder: Location, out: Path | None, share: bool, as_json: bool) -> None:
    """Write an HTML report of what a run kept and dropped.

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
    size = write_report(run, path, progress.unit_done, share)
    progress.end()
    if as_json:
        show_json({"report": str(path), "bytes": size})
    say(f"{path}: {size:,} bytes. Open it in a browser.")


@click.command("card")
@click.argument("folder", type=location_type, required=False)
@click.option("-o", "--out", type=folder_type, help="Folder for the papers.")
@click.option("--answers", type=folder_type, metavar="FILE", help="TOML file with what a run can't know.")
@click.option("--questions", is_flag=True, help="Print the form for --answers, and stop.")
@json_option
def card_command(
    folder: Location | None, out: Path | None, answers: Path | None, questions: bool, as_json: bool
) -> None:
    """Write the papers of a run, ready to be published.

    They are Croissant metadata, a card for the Hub, and the public summary of training content. The summary follows
    the template for Article 53(1)(d) of the EU AI Act. Everything in it comes from the run or from your answers. A
    question that neither answers is shown as not answered.

    \b
    Example: corpus card --questions > answers.toml
    Example: corpus card out -o card --answers answers.toml
    """
    from jobs.card.card import write_card
    from jobs.card.questions import questions_toml, read_answers

    if questions:
        show(questions_toml(), end="")
        return
    if folder is None or out is None:
        raise click.UsageError("Name the run, and with -o the folder for its papers.")
    facts = write_card(open_run(folder), out, read_answers(answers))
    if as_json:
        show_json(facts)
    say(f"{out}: croissant.json, README.md, training_content.md, training_content.csv, domains.csv")
    if not facts["linked"]:
        say(f"The corpus is in a bucket. Copy its files to {out / 'corpus'} before you publish the folder.")
    if facts["not_answered"]:
        say(f"{len(facts['not_answered'])} questions are not answered. `corpus card --questions` prints the form.")


@click.command("stages")
@click.argument("name", required=False)
@json_option
@click.option("--markdown", is_flag=True, help="Print docs/filters.md.")
def stages_command(name: str | None, as_json: bool, markdown: bool) -> None:
    """List every stage, or show the stage called NAME.

    A stage is shown with its measures, limits, parameters and source.

    \b
    Example: corpus stages gopher_quality
    """
    if name is not None and name not in STAGES:
        raise ConfigError(f"There is no stage '{name}'.", did_you_mean(name, STAGES))
    listed = catalog.stages(STAGES if name is None else {name: STAGES[name]})
    if markdown:
        show(catalog.markdown(listed), end="")
    else:
        print_as(listed, catalog.show_stages, as_json)


@click.group("recipes", invoke_without_command=True)
@json_option
@click.pass_context
def recipes_group(context: click.Context, as_json: bool) -> None:
    """List the named recipes, or show one of them.

    \b
    Example: corpus recipes
    """
    if context.invoked_subcommand is None:
        print_as([load_recipe(name).canonical() for name in recipe_names()], catalog.show_recipes, as_json)


@recipes_group.command("show")
@click.argument("name")
def recipes_show_command(name: str) -> None:
    """Print a recipe as TOML, with the meaning of every value.

    NAME may be a file.

    \b
    Example: corpus recipes show default > mine.toml
    """
    show(catalog.recipe_text(load_recipe(name).canonical(), catalog.stages(STAGES)), end="")
