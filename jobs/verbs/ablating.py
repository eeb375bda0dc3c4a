"""`ablate`: which of several corpora makes the better models."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.errors import ConfigError, InputError
from jobs.runner.terminal import counted, say, show_json
from jobs.verbs.models import device_option, load_torch
from jobs.verbs.options import Finite, Where, console, engine_options, folder_type, json_option, name_type

if TYPE_CHECKING:
    from jobs.ablate.design import AblateJob


@click.command("ablate")
@click.argument("arms", metavar="ARM...", nargs=-1, required=True, type=name_type)
@click.option("-o", "--out", type=folder_type, help="Folder for results.json, results.jsonl and ablation.html.")
@click.option("--held-out", multiple=True, type=name_type, metavar="NAME=TEXTS", help="Validation texts that no arm is "
              "trained on: a run, a folder or file of parquet, or JSON Lines. Repeatable.")  # fmt: skip
@click.option("--tokenizer", type=name_type, help="Folder or tokenizer.json, or gpt2, cl100k, o200k. Default: one "
              "that is learned from an equal share of all arms.")  # fmt: skip
@click.option("--vocab-size", type=click.IntRange(1, 2**31), help="Size of the learned vocabulary. Default: up to "
              "4096, less for small arms.")  # fmt: skip
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens that each model is trained on. Default: 10 per "
              "weight, but at most half of the smallest arm.")  # fmt: skip
@click.option("--depth", type=click.IntRange(min=1), default=2, show_default=True, help="Layers of the models.")
@click.option("--window", type=click.IntRange(min=2), default=256, show_default=True, help="Tokens that a model sees "
              "at once.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), help="Windows per step. Default: up to 16, fewer for few tokens.")
@click.option("--lr", type=Finite(0, 1000, min_open=True), default=0.01, show_default=True, help="Peak learning rate. "
              "All arms are also trained at 1/30 of it.")  # fmt: skip
@click.option("--seeds", type=int, default=3, show_default=True, help="Models for each arm and learning rate, at "
              "least 3.")  # fmt: skip
@click.option("--epochs", type=Finite(1, 1000), default=1.0, show_default=True, help="The most often that a text may "
              "be seen.")  # fmt: skip
@click.option("--val-share", type=Finite(0, 0.5, min_open=True), help="Share of each arm for validation. Default: "
              "about 0.01.")  # fmt: skip
@click.option("--eval-tokens", type=click.IntRange(min=1), default=1 << 16, show_default=True, help="The most tokens "
              "of a validation set.")  # fmt: skip
@click.option("--questions", multiple=True, type=name_type, metavar="FILES", help="Benchmark items to answer by "
              "likelihood: JSON Lines or parquet, as for `corpus evals index`. Repeatable.")  # fmt: skip
@click.option("--lm-eval", type=name_type, metavar="TASK,…", help="Tasks of lm-evaluation-harness, if it is installed. "
              "It may load their data from the network.")  # fmt: skip
@click.option("--plan", "only_plan", is_flag=True, help="Only print what could be seen, what it costs, and the tier.")
@device_option
@engine_options
@json_option
# click passes each option as a parameter of its own
def ablate_command(
    arms: tuple[str, ...], out: Path | None, held_out: tuple[str, ...], tokenizer: str | None, lm_eval: str | None,
    only_plan: bool, device: str, where: Where, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Compare corpora by small models that are trained on them.

    An ARM is NAME=LOCATION or a location: a finished run, parquet, or a mixture (.toml). The first arm is the baseline.
    All arms get the same number of tokens, the same tokenizer and the same validation texts, which none of them is
    trained on. The baseline is trained a second time on other documents, to measure the noise. docs/ablate.md has the
    rule by which differences are judged.

    \b
    Example: corpus ablate default=out fineweb=out-2 --plan
    Example: corpus ablate default=out fineweb=out-2 -o ablation --held-out wiki=wiki.parquet
    Example: corpus ablate mix-1.toml mix-2.toml -o ablation --depth 8 --seeds 5 --questions mmlu.jsonl.gz
    """
    from corpus.tokens.load_tokenizer import load_tokenizer
    from jobs.runner.progress import Progress
    from jobs.verbs.tokenizing import finished

    device = load_torch(device, 1)
    from jobs.ablate.ablate import ablate
    from jobs.ablate.arms import Arm
    from jobs.ablate.design import LEAST_SEEDS, AblateJob
    from jobs.ablate.lm_eval import need_lm_eval
    from jobs.ablate.show import show_results

    if settings["seeds"] < LEAST_SEEDS:
        what = f"{counted(settings['seeds'], 'seed')} can't show what is noise."
        raise ConfigError(what, f"Give --seeds {LEAST_SEEDS} or more.")
    tasks = tuple(filter(None, map(str.strip, (lm_eval or "").split(","))))
    if tasks:
        need_lm_eval()
    job = AblateJob(
        tuple(map(Arm.parse, arms)), out or Path(), tuple(map(Arm.parse, held_out)),
        load_tokenizer(tokenizer) if tokenizer else None, lm_eval=tasks, device=device,
        precision="bf16" if device == "cuda" else "fp32", **settings,
    )  # fmt: skip
    if only_plan:
        return _show_plan(job, as_json)
    if out is None:
        raise click.UsageError("Missing option '-o' / '--out'.")
    if device == "cuda":
        where = replace(where, workers=where.workers or 1)  # models share one GPU, and this process knows no more of it
    results = finished(ablate(job, lambda: where.engine(out), Progress()), out)
    if as_json:
        show_json({name: results[name] for name in _FACTS})
    show_results(results, console)
    say(f"Look at {out}/ablation.html. Every value: {out}/results.jsonl")


_FACTS = ("verdicts", "noise", "detectable", "tier", "tokens", "weights", "comparisons", "arms", "cloze", "lm_eval")


def _show_plan(job: AblateJob, as_json: bool) -> None:
    """Print the forecast for estimated numbers of tokens. Nothing is written."""
    from jobs.ablate.design import estimate
    from jobs.ablate.show import show_forecast

    tokens, plan = estimate(job)
    if as_json:
        show_json({"arms": tokens, **asdict(plan)})
    say("About: " + ", ".join(f"{name} {count:,} tokens" for name, count in tokens.items()))
    show_forecast(plan, job.seeds, job.device)
    if short := [name for name, count in tokens.items() if count * job.epochs < plan.tokens]:
        raise InputError(f"'{short[0]}' has too few tokens.", "Lower --tokens, or raise --epochs.")
