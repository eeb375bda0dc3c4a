"""An ablation on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jobs.ablate.decide import POWER
from jobs.ablate.forecast import Forecast
from jobs.runner.console import make_console
from jobs.runner.terminal import counted, say

_MANY_EPOCHS = 4


def show_budget(budget: Sequence[Mapping[str, Any]], shared: float, sets: Mapping[str, int]) -> None:
    """Print what each arm has, how often it is seen, and how much of it is held apart."""
    table = Table("arm", box=None, header_style="dim")
    for heading in ("documents", "tokens", "epochs", "left out"):
        table.add_column(heading, justify="right")
    for row in budget:
        cells = [f"{row[name]:,}" for name in ("documents", "tokens")]
        table.add_row(row["arm"], *cells, f"{row['epochs']:.2f}", f"{row['held_apart']:,}")
    make_console(stderr=True).print(table)
    say("Left out: documents with the text or the URL of a document in a validation set.")
    say("Validation: " + ", ".join(f"{name} {tokens:,} tokens" for name, tokens in sets.items()))
    for row in budget:
        if row["epochs"] > _MANY_EPOCHS:
            say(
                f"WARNING: '{row['arm']}' is seen {row['epochs']:.1f} times. Above {_MANY_EPOCHS} epochs, an arm can "
                "lose because its texts repeat, not because they are worse."
            )
    if shared > 0:
        say(
            f"WARNING: the null arm shares {shared:.0%} of its documents with the baseline, so the noise between "
            "selections is underestimated. With fewer --tokens or more texts they would share none."
        )


def show_forecast(plan: Forecast, seeds: int, device: str) -> None:
    """Print what a plan could show, and what it costs."""
    what = f"{counted(plan.trainings, 'training')} of {plan.weights / 1e6:.2f} M weights on {plan.tokens / 1e6:.2f} M "
    hours = f"{plan.hours:.1f} hours" if plan.hours >= 1 else f"{60 * plan.hours:.1f} minutes"
    say(f"Plan: {what}tokens each, with {seeds} seeds: about {hours} of {'one CPU' if device == 'cpu' else 'the GPU'}.")
    say(f"Tier: {plan.tier}. Published evidence for transfer to large models: {plan.evidence}.")
    near = "" if plan.noise_is_near else ", a size at which the noise is not known, so this is a guess"
    usual, small = plan.detectable
    say(
        f"Before training: a difference of {usual:.4f} bits per byte would be seen with a chance of {POWER:.0%} "
        f"({small:.4f} at the small learning rate){near}."
    )


def show_noise(noise: Mapping[str, Sequence[tuple[float, float]]], seen: Mapping[str, Sequence[float]]) -> None:
    """Print what the null arm says, which is trained first: for each set, the mean of its differences at each learning
    rate with their standard deviation over seeds, and the differences that would be seen with this noise."""
    for name, rates in noise.items():
        shown = " and ".join(f"{mean:+.4f} (± {spread:.4f} a seed)" for mean, spread in rates)
        say(f"Noise on {name}: the null arm differs from the baseline by {shown}, at the two learning rates.")
        usual, small = seen[name]
        say(f"By this noise, differences of {usual:.4f} and {small:.4f} would be seen, with a chance of {POWER:.0%}.")


def show_results(results: Mapping[str, Any], console: Console) -> None:
    """Print the verdicts, and the downstream scores."""
    usual, small = results["rates"]
    console.print(
        f"{results['weights'] / 1e6:.2f} M weights, {results['tokens'] / 1e6:.2f} M tokens, {results['seeds']} seeds. "
        f"Tier: {results['tier']['name']}."
    )
    table = Table("bits per byte on", "arm", box=None, header_style="dim")
    for heading in (f"lr {usual:g}", f"lr {small:.2g}"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for one in results["verdicts"]:
        cells = [f"{found['mean']:+.4f} ± {found['half']:.4f}" for found in one["differences"]]
        table.add_row(one["set"], one["arm"], *cells, one["verdict"])
    console.print(table)
    console.print(
        f"Differences from {results['arms'][0]['arm']}; negative is better. The intervals hold together with 95%, for "
        f"{counted(results['comparisons'], 'comparison')}."
    )
    for arm, rows in results["cloze"].items():
        for row in rows:
            at = ", at chance" if row["at_chance"] else ""
            shown = f"{row['right']:.1%} ± {row['half']:.1%} of {row['questions']} questions"
            console.print(f"{row['benchmark']}, {arm}: {shown} (chance {row['chance']:.1%}{at})")
    for arm, seeds in results["lm_eval"].items():
        for task in seeds[0]:
            for metric in seeds[0][task]:
                values = [one[task][metric] for one in seeds]
                console.print(
                    f"{task} {metric}, {arm}: {np.mean(values):.4f} (seeds {min(values):.4f} to {max(values):.4f})"
                )
