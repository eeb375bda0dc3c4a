"""`corpus ablate`: arms in, verdicts out.

apart (what training must not see) → one tokenizer → tokens of each arm → train (one task per training) → results.json.
The baseline and the null arm are trained first, so that the noise is known before the rest. results.json is written
last, and the same command continues an interrupted job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from corpus.digests import digest
from corpus.errors import InputError
from corpus.storage.commits import Commit
from corpus.storage.store import as_json
from corpus.storage.task_commits import put_value
from corpus.tokens.tokenizer import Tokenizer
from corpus.version import TOKEN_ROOMS, versions
from jobs.ablate.arms import NULL, Arm, check_arms
from jobs.ablate.cloze import read_questions, summarize
from jobs.ablate.decide import detectable, judge
from jobs.ablate.forecast import RATES, Forecast, forecast, time_step
from jobs.ablate.page import write_page
from jobs.ablate.prepare import Prepared, prepare, shared_vocab
from jobs.ablate.selection import shared_documents
from jobs.ablate.show import show_budget, show_forecast, show_noise
from jobs.ablate.training import Trial, payloads, rows_of, train_task
from jobs.model.train_settings import RULES, TOKENS_PER_WEIGHT, Settings, Shape
from jobs.runner.engine import Engine, Stop
from jobs.runner.execution import Execution, JobResult, Stopped, executing
from jobs.runner.folder import claim, open_folder
from jobs.runner.progress import Progress
from jobs.tokens.mixing import add_surveys, survey_payloads, survey_task
from jobs.tokens.tokenize import val_share_for

ROOMS = (*TOKEN_ROOMS, "jobs/ablate", "jobs/model")
"""The rooms that decide the results of an ablation."""

LEAST_SEEDS = 3
MOST_BATCH, LEAST_STEPS = 16, 256
"""By default, a step has up to so many windows, but fewer if there would be fewer steps. With few steps, models learn
little more than how frequent each token is."""
POINTS = 4
"""The number of evaluations on the way, for the learning curves. Only the last one counts."""


@dataclass(frozen=True)
class AblateJob:
    """An ablation as the user asked for it. Without a tokenizer, one of `vocab_size` ids is learned from all arms.
    Sizes that are None are chosen to suit the model and the smallest arm."""

    arms: tuple[Arm, ...]
    out: Path
    held_out: tuple[Arm, ...] = ()
    tokenizer: Tokenizer | None = None
    vocab_size: int | None = None
    depth: int = 2
    window: int = 256
    batch: int | None = None
    tokens: int | None = None
    lr: float = 0.01
    seeds: int = LEAST_SEEDS
    epochs: float = 1.0
    val_share: float | None = None
    eval_tokens: int = 1 << 16
    precision: str = "fp32"
    device: str = "cpu"
    questions: tuple[str, ...] = ()
    lm_eval: tuple[str, ...] = ()


def ablate(job: AblateJob, make_engine: Callable[[], Engine], progress: Progress) -> JobResult:
    """Run an ablation to its end, or to the first stop signal. Raises CorpusError."""
    identities = check_arms(job.arms, job.held_out)
    questions = read_questions(job.questions)
    share = job.val_share or val_share_for(min(sum(s.texts.rows for s in arm.open().all) for arm in job.arms))
    plan = _plan(job, identities, questions, share)
    store = open_folder(job.out)
    with store.only_run(), Stop("the trainings in work. They also continue from checkpoints") as stop:
        finished = claim(store, plan, "results.json")
        if finished is not None:
            store.remove(".work")
            return JobResult(0, finished, already_done=True)
        started = time.monotonic()
        try:
            with executing(store, make_engine, stop, progress) as execution:
                prepared = prepare(job.arms, job.held_out, job.tokenizer, job.vocab_size, share, execution)
                try:
                    run = _Ablating(job, plan, questions, prepared, execution)
                    run.announce()
                except InputError:
                    store.remove(".work")  # the folder is free for other settings
                    raise
                results = run.results(run.train()) | {"plan": plan}
        except Stopped:
            return JobResult(128 + stop.signal)
        store.replace("timings.json", as_json({"seconds": round(time.monotonic() - started, 1)}))
        store.put_new("results.json", as_json(results))
        store.remove(".work")
    return JobResult(0, results)


def _plan(
    job: AblateJob, identities: dict[str, Any], questions: Sequence[dict[str, Any]], val_share: float
) -> dict[str, Any]:
    """Return everything that decides the results."""
    names = ("depth", "window", "batch", "tokens", "lr", "seeds", "epochs", "eval_tokens", "precision")
    return {
        "arms": {one.name: identities[one.name] for one in job.arms},
        "order": [one.name for one in job.arms],
        "held_out": {one.name: identities[one.name] for one in job.held_out},
        "tokenizer": job.tokenizer.sha256 if job.tokenizer else {"vocab_size": job.vocab_size},
        "val_share": val_share,
        "settings": {name: getattr(job, name) for name in names},
        "rates": list(RATES),
        "questions": digest(list(questions)) if questions else "",
        "lm_eval": list(job.lm_eval),
        "versions": versions(ROOMS) | {"torch": metadata.version("torch"), "training": str(RULES)},
    }


def settings_of(job: AblateJob, vocab_size: int, smallest: int, seed: int = 0, rate: int = 0) -> Settings:
    """Return the settings of a training, given the tokens of the smallest arm. By default its two selections, for the
    baseline and for the null arm, share no document."""
    shape = Shape.of_depth(job.depth, vocab_size, job.window)
    tokens = job.tokens or min(TOKENS_PER_WEIGHT * shape.scaling_weights, smallest // 2)
    batch = job.batch or min(max(tokens // (LEAST_STEPS * job.window), 1), MOST_BATCH)
    steps = max(1, tokens // (batch * job.window))
    every = -(-steps // POINTS)
    return Settings(job.depth, job.window, batch, steps, job.lr * RATES[rate], seed, job.precision, every,
                    job.eval_tokens)  # fmt: skip


@dataclass(frozen=True)
class _Ablating:
    """A running ablation."""

    job: AblateJob
    plan: dict[str, Any]
    questions: Sequence[dict[str, Any]]
    prepared: Prepared
    execution: Execution

    @cached_property
    def smallest(self) -> int:
        return min(self.prepared.tokens[name].train.tokens for name in self.prepared.arms)

    def settings(self, seed: int = 0, rate: int = 0) -> Settings:
        return settings_of(self.job, self.prepared.tokenizer.vocab_size, self.smallest, seed, rate)

    @cached_property
    def most(self) -> int:
        """The number of tokens in a selection: those of all steps, and the target of the last one."""
        settings = self.settings()
        return settings.steps * settings.batch * settings.window + 1

    @cached_property
    def budget(self) -> list[dict[str, Any]]:
        """What each arm has, and how often it is seen. Raises InputError if an arm lacks tokens."""
        rows = []
        for name in self.prepared.arms:
            tokens = self.prepared.tokens[name]
            has, epochs = tokens.train.tokens, self.most / max(tokens.train.tokens, 1)
            if has < self.job.window + 1 or epochs > self.job.epochs + 1e-9:
                what = f"The arm '{name}' has {has:,} tokens to train on. The ablation needs {self.most:,}"
                what += f" in at most {self.job.epochs:g} epochs." if self.job.epochs > 1 else "."
                raise InputError(what, "Lower --tokens, or raise --epochs, or give the arm more texts.")
            rows.append(
                {
                    "arm": name,
                    "documents": tokens.train.documents,
                    "tokens": has,
                    "epochs": round(epochs, 4),
                    "held_apart": tokens.info["documents"]["held_apart"],
                }
            )
        return rows

    @property
    def shared(self) -> float:
        """The share of documents that baseline and null arm share."""
        return shared_documents(self.prepared.tokens[self.prepared.arms[0]].train, self.most)

    @cached_property
    def forecast(self) -> Forecast:
        settings, vocab_size = self.settings(), self.prepared.tokenizer.vocab_size
        arms, sets = len(self.prepared.arms), len(self.prepared.sets)
        seconds = time_step(settings, vocab_size, self.job.device)
        return forecast(settings, vocab_size, arms, self.job.seeds, sets, seconds)

    def announce(self) -> None:
        """Print what can be shown, what it costs, and what each arm has."""
        show_budget(self.budget, self.shared, {name: self.prepared.split(name).tokens for name in self.prepared.sets})
        show_forecast(self.forecast, self.job.seeds, self.job.device)

    def trials(self, arms: Sequence[str]) -> list[Trial]:
        """Return the trainings of some arms."""
        made = []
        for arm in arms:
            source = self.prepared.arms[0] if arm == NULL else arm
            for seed in range(self.job.seeds):
                for rate in range(len(RATES)):
                    made.append(
                        Trial(
                            arm, seed, rate, str(self.prepared.place(source)), f"{source} {seed}", arm == NULL,
                            self.prepared.sets, self.most, asdict(self.settings(seed, rate)),
                        )
                    )  # fmt: skip
        return made

    @cached_property
    def arms(self) -> list[str]:
        """All arms: the baseline first, then the null arm."""
        return [self.prepared.arms[0], NULL, *self.prepared.arms[1:]]

    def train(self) -> list[Commit]:
        """Train all arms: first baseline and null arm, whose difference is printed."""
        store = self.execution.store
        questions = put_value(store, list(self.questions)) if self.questions else ""
        more = {"questions": questions, "lm_eval": list(self.job.lm_eval), "device": self.job.device}
        made: list[Commit] = []
        for name, some in (("noise", self.arms[:2]), ("train", self.arms[2:])):
            tasks = payloads(store.location, self.trials(some), digest(self.plan), more)
            made += self.execution.commits(name, train_task, tasks)
            if name == "noise":
                show_noise(self._finals(self.trials(some), made), self.arms, self.job.seeds, list(self.prepared.sets))
        return made

    def _finals(self, trials: Sequence[Trial], made: Sequence[Commit]) -> dict[tuple[str, int, int, str], float]:
        """Return the last bits per byte of each trial and set."""
        return {
            (trial.arm, trial.seed, trial.rate, row["set"]): row["bpb"]  # the rows are in the order of steps
            for trial, done in zip(trials, made, strict=True)
            for row in done.facts["rows"]
        }

    def results(self, made: Sequence[Commit]) -> dict[str, Any]:
        """Write the rows and the page, and return the content of results.json without the plan."""
        trials, sets, seeds = self.trials(self.arms), list(self.prepared.sets), range(self.job.seeds)
        verdicts, noise = judge(self._finals(trials, made), self.arms, seeds, len(RATES), sets)
        rows = rows_of(made, trials, [self.job.lr * share for share in RATES])
        planned, arms = self.forecast, len(self.arms)
        results = {
            "arms": self.budget,
            "null": {"shared_documents": round(self.shared, 4)},
            "sets": {name: self.prepared.split(name).tokens for name in sets},
            "seeds": self.job.seeds,
            "rates": [self.job.lr * share for share in RATES],
            "tokens": planned.tokens,
            "weights": planned.weights,
            "parameters": made[0].facts["parameters"],
            "tokenizer": {"sha256": self.prepared.tokenizer.sha256, "vocab_size": self.prepared.tokenizer.vocab_size},
            "tier": {"name": planned.tier, "evidence": planned.evidence},
            "comparisons": planned.comparisons,
            "verdicts": [asdict(one) for one in verdicts],
            "noise": noise,
            "detectable": {
                name: [detectable(one, arms, self.job.seeds, planned.comparisons) for one in found]
                for name, found in noise.items()
            },
            "cloze": self._downstream(trials, made, "cloze", summarize),
            "lm_eval": self._downstream(trials, made, "lm_eval", list),
        }
        store = self.execution.store
        store.replace("results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        store.replace("ablation.html", write_page(results, rows).encode())
        return results

    def _downstream(
        self, trials: Sequence[Trial], made: Sequence[Commit], kind: str, summary: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """Return the downstream scores of each arm at the usual learning rate."""
        by_arm: dict[str, list[Any]] = {}
        for trial, done in zip(trials, made, strict=True):
            if kind in done.facts:
                by_arm.setdefault(trial.arm, []).append(done.facts[kind])
        return {arm: summary(found) for arm, found in by_arm.items()}


def estimate(job: AblateJob) -> tuple[dict[str, int], Forecast]:
    """Return about how many tokens each arm has, and the forecast. Only footers and ledgers are read."""
    check_arms(job.arms, job.held_out)
    tokens, sizes = {}, []
    for arm in job.arms:
        tokens[arm.name] = 0
        for source in arm.open().all:
            survey = add_surveys(source, [survey_task(one) for one in survey_payloads(source, source.slices())])
            own = survey["copied_bytes"] // _BYTES_PER_TOKEN
            tokens[arm.name] += own if source.budget is None else min(source.budget, own)
            sizes.append(survey["bytes"])
    vocab_size = job.tokenizer.vocab_size if job.tokenizer else job.vocab_size or shared_vocab(min(sizes))
    settings = settings_of(job, vocab_size, min(tokens.values()))
    seconds = time_step(settings, vocab_size, job.device)
    sets = len(job.arms) + len(job.held_out)
    return tokens, forecast(settings, vocab_size, len(job.arms), job.seeds, sets, seconds)


_BYTES_PER_TOKEN = 4
