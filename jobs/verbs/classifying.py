"""`classifier train`: models of quality, type or topic from pages with labels."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corpus.errors import ConfigError, did_you_mean
from corpus.plugins import read_plugin
from filters.classifier.tokens import CHARS, PARTS, View
from jobs.classifier.make import PAGE, Task, make_classifier
from jobs.classifier.pages import Reading, Source, StoppedReading
from jobs.classifier.train import Settings
from jobs.runner.progress import Progress
from jobs.runner.terminal import say, show_json
from jobs.verbs import options

_DEFAULT = Settings()
GOOD, BAD = "good", "bad"


@click.group("classifier")
def classifier_group() -> None:
    """Train models that judge pages."""


@classifier_group.command("train")
@click.option("--good", multiple=True, metavar="INPUT", help="Pages with the label `good`. Repeatable.")
@click.option("--bad", multiple=True, metavar="INPUT", help="Pages with the label `bad`. Repeatable.")
@click.option("--labelled", multiple=True, metavar="FILE", help="Documents with a column of labels. Repeatable.")
@click.option("--label", default="label", show_default=True, metavar="COLUMN", help="Column with the labels.")
@click.option("--wanted", default="", metavar="LABEL", help="Label that `score` is for. With --good: good. Otherwise, "
              "by default, the most likely label of a page.")  # fmt: skip
@click.option("-o", "--out", required=True, type=options.folder_type, help="Folder of the model.")
@click.option("--see", default="words", show_default=True, metavar="PART,…", help="Parts of a page that the model "
              f"sees: {', '.join(PARTS)}.")  # fmt: skip
@click.option(
    "--chars", type=click.IntRange(min=100), default=CHARS, show_default=True, help="Characters of text to see."
)
@click.option(
    "--ngrams", type=click.IntRange(1, 5), default=_DEFAULT.ngrams, show_default=True, help="Longest n-gram, in words."
)
@click.option(
    "--epochs",
    type=click.IntRange(1, 1000),
    default=_DEFAULT.epochs,
    show_default=True,
    help="Passes through the pages.",
)
@click.option(
    "--rate", type=options.Finite(min=0, min_open=True), default=_DEFAULT.rate, show_default=True, help="Learning rate."
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    default=_DEFAULT.folds,
    show_default=True,
    help="Folds of sites for the held-out figures.",
)
@click.option("--max-kb", type=click.IntRange(min=50), help="Greatest size of the model, in kB. It is then quantized.")
@click.option("--most", type=click.IntRange(min=1), default=50_000, show_default=True, help="Most pages of a label.")
@click.option("--seed", type=options.SEED, default=0, show_default=True, help="Seed of the training and the folds.")
@options.inputs_option
@options.modules_option
@options.column_options
@options.engine_options
@options.share_option
@options.json_option
# click passes each option as a parameter of its own
def train_command(
    good: tuple[str, ...], bad: tuple[str, ...], labelled: tuple[str, ...], label: str, wanted: str, out: Path,
    see: str, chars: int, ngrams: int, epochs: int, rate: float, folds: int, max_kb: int | None, most: int, seed: int,
    inputs: tuple[str, ...], modules: tuple[str, ...], columns: dict[str, str], keep_columns: tuple[str, ...],
    where: options.Where, share: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train a model that judges pages, for the stage `classifier`.

    INPUT is what `corpus build` reads: files, globs or folders of archives or documents, or a finished run. It can also
    be the pages of a run with one rule, outcome, URL or domain, as in `out:rule=gopher_quality.words`. These pages are
    read again from their archives. The folder gets the model, its calibration, and a page about both. The figures are
    of pages of sites that the judging model has not seen.

    \b
    Example: corpus classifier train --good wiki/ --bad out:rule=c4.curly_bracket -o quality
    Example: corpus classifier train --labelled pages.jsonl --label topic -o topic --see words,url
    """
    sources = _sources(good, bad, labelled, label)
    settings = Settings(seed=seed, folds=folds, ngrams=ngrams, epochs=epochs, rate=rate, max_kb=max_kb or 0)
    view = View(tuple(filter(None, see.split(","))), chars)
    for part in view.parts:
        if part not in PARTS:
            raise ConfigError(f"A model can't see '{part}'.", did_you_mean(part, PARTS))
    if keep_columns:
        raise ConfigError("--keep-columns has no use here.", "Leave it out.")
    how = Reading(
        out / ".work", lambda: where.engine(out), Progress(), columns, view, seed, most, inputs,
        tuple(map(read_plugin, modules)), where.at_once,
    )  # fmt: skip
    try:
        facts = make_classifier(Task(sources, wanted or (GOOD if good else ""), settings, share), out, how)
    except StoppedReading as stopped:
        say(f"Interrupted. Run the same command again to continue. Folder: {out}")
        sys.exit(stopped.exit_code)
    if as_json:
        show_json(facts)
    left_out = "".join(f", {count:,} {reason} left out" for reason, count in facts["left_out"].items())
    say(f"{sum(facts['pages'].values()):,} pages of {facts['sites']:,} sites{left_out}")
    say(f"Held-out: {facts['accuracy']:.1%} right, macro F1 {facts['macro_f1']:.3f}. Look at {out / PAGE}")
    say(f'Use it in a recipe: [[stages]] stage = "classifier", name = "{out.name}", model = "{out}"')


def _sources(good: tuple[str, ...], bad: tuple[str, ...], labelled: tuple[str, ...], column: str) -> tuple[Source, ...]:
    if labelled and (good or bad):
        raise ConfigError("--labelled has labels of its own.", "Give either --labelled, or --good and --bad.")
    if labelled:
        return (Source(labelled, column=column),)
    if not good or not bad:
        missing = "--bad" if good else "--good"
        raise ConfigError("There are no pages of one of the two kinds.", f"Give {missing}, or --labelled.")
    return Source(good, GOOD), Source(bad, BAD)
