"""From the finished trainings to verdicts, rows and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

from corpus.storage.commits import Commit
from corpus.storage.store import Store
from jobs.ablate.arms import NULL
from jobs.ablate.cloze import summarize
from jobs.ablate.decide import detectable, judge
from jobs.ablate.design import Design
from jobs.ablate.forecast import RATES
from jobs.ablate.page import write_page
from jobs.ablate.show import show_noise
from jobs.ablate.training import Trial

Done = Sequence[tuple[Trial, Commit]]
"""Trainings with their commits."""


def _finals(done: Done) -> dict[tuple[str, int, int, str], float]:
    """Return the last bits per byte by arm, seed, number of the learning rate, and set. Rows are in the order of
    steps."""
    return {
        (trial.arm, trial.seed, trial.rate, row["set"]): row["bpb"]
        for trial, made in done
        for row in made.facts["rows"]
    }


def tell_noise(design: Design, done: Done) -> None:
    """Print the differences between baseline and null arm, and what they let one see."""
    finals, seeds = _finals(done), range(design.job.seeds)
    noise = {}
    for name in design.sets:
        paired = [[finals[NULL, seed, at, name] - finals[design.arms[0], seed, at, name] for seed in seeds]
                  for at in range(len(RATES))]  # fmt: skip
        noise[name] = [(fmean(own), stdev(own)) for own in paired]
    show_noise(noise, {name: _seen(design, [spread for _, spread in found]) for name, found in noise.items()})


def _seen(design: Design, noise: Sequence[float]) -> list[float]:
    return [detectable(one, len(design.arms), design.job.seeds, design.comparisons) for one in noise]


def write_results(store: Store, design: Design, done: Done) -> dict[str, Any]:
    """Write the rows and the page, and return the content of results.json without the plan."""
    rates = [design.job.lr * share for share in RATES]
    verdicts, noise = judge(_finals(done), design.arms, range(design.job.seeds), len(rates), design.sets)
    rows = [
        {"arm": trial.arm, "seed": trial.seed, "lr": rates[trial.rate], **row}
        for trial, made in done
        for row in made.facts["rows"]
    ]
    tokenizer, planned = design.prepared.tokenizer, design.forecast
    results = {
        "arms": design.budget,
        "null": {"shared_documents": round(design.shared, 4)},
        "sets": design.prepared.set_tokens,
        "seeds": design.job.seeds,
        "rates": rates,
        "tokens": planned.tokens,
        "weights": planned.weights,
        "parameters": done[0][1].facts["parameters"],
        "tokenizer": {"sha256": tokenizer.sha256, "vocab_size": tokenizer.vocab_size},
        "tier": {"name": planned.tier, "evidence": planned.evidence},
        "comparisons": design.comparisons,
        "verdicts": [asdict(one) for one in verdicts],
        "noise": noise,
        "detectable": {name: _seen(design, found) for name, found in noise.items()},
        "cloze": _downstream(done, "cloze", summarize),
        "lm_eval": _downstream(done, "lm_eval", list),
    }
    store.replace("results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    store.replace("ablation.html", write_page(results, rows).encode())
    return results


def _downstream(done: Done, kind: str, summary: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the downstream scores of each arm at the usual learning rate."""
    by_arm: dict[str, list[Any]] = {}
    for trial, made in done:
        if kind in made.facts:
            by_arm.setdefault(trial.arm, []).append(made.facts[kind])
    return {arm: summary(found) for arm, found in by_arm.items()}
