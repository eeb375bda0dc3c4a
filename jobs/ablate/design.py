"""The design of an ablation: which trainings it has, and what each arm needs for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.errors import InputError
from corpus.tokens.tokenizer import Tokenizer
from jobs.ablate.arms import NULL, Arm, check_arms
from jobs.ablate.forecast import RATES, Forecast, forecast
from jobs.ablate.prepare import Prepared, shared_vocab
from jobs.ablate.selection import shared_documents
from jobs.ablate.training import Trial
from jobs.model.train_settings import TOKENS_PER_WEIGHT, Settings, Shape
from jobs.tokens.mixing import add_surveys, survey_payloads, survey_task

LEAST_SEEDS = 3
MOST_BATCH, LEAST_STEPS = 16, 256
"""By default, a step has up to so many windows, but fewer if there would be fewer steps. With few steps, models learn
little more than how frequent each token is."""
POINTS = 4
"""The number of evaluations on the way, for the learning curves. Only the last one counts."""
_BYTES_PER_TOKEN = 4


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

    def settings(self, vocab_size: int, smallest: int, seed: int = 0, rate: int = 0) -> Settings:
        """Return the settings of a training, given the tokens of the smallest arm. By default its two selections, for
        the baseline and for the null arm, share no document."""
        shape = Shape.of_depth(self.depth, vocab_size, self.window)
        tokens = self.tokens or min(TOKENS_PER_WEIGHT * shape.scaling_weights, smallest // 2)
        batch = self.batch or min(max(tokens // (LEAST_STEPS * self.window), 1), MOST_BATCH)
        steps = max(1, tokens // (batch * self.window))
        return Settings(self.depth, self.window, batch, steps, self.lr * RATES[rate], seed, self.precision,
                        -(-steps // POINTS), self.eval_tokens)  # fmt: skip


@dataclass(frozen=True)
class Design:
    """The trainings of an ablation, given the tokens of all arms."""

    job: AblateJob
    prepared: Prepared

    @property
    def arms(self) -> list[str]:
        """All arms: the baseline first, then the null arm."""
        baseline, *others = self.prepared.arms
        return [baseline, NULL, *others]

    @property
    def sets(self) -> list[str]:
        return list(self.prepared.sets)

    @property
    def comparisons(self) -> int:
        return (len(self.arms) - 2) * len(self.sets)

    @cached_property
    def _smallest(self) -> int:
        return min(self.prepared.tokens[name].train.tokens for name in self.prepared.arms)

    def settings(self, seed: int = 0, rate: int = 0) -> Settings:
        return self.job.settings(self.prepared.tokenizer.vocab_size, self._smallest, seed, rate)

    @cached_property
    def most(self) -> int:
        """The number of tokens in a selection: those of all steps, and the target of the last one."""
        settings = self.settings()
        return settings.steps * settings.batch * settings.window + 1

    @cached_property
    def budget(self) -> list[dict[str, Any]]:
        """What each arm has, and how often it is seen. Raises InputError if an arm lacks tokens."""
        return [self._budget(name) for name in self.prepared.arms]

    def _budget(self, name: str) -> dict[str, Any]:
        tokens = self.prepared.tokens[name]
        has, most = tokens.train.tokens, self.job.epochs
        if has < self.job.window + 1 or self.most > most * has:
            what = f"The arm '{name}' has {has:,} tokens to train on. The ablation needs {self.most:,}"
            what += f" in at most {most:g} epochs." if most > 1 else "."
            raise InputError(what, "Lower --tokens, or raise --epochs, or give the arm more texts.")
        counts = {"documents": tokens.train.documents, "tokens": has, "epochs": round(self.most / has, 4)}
        return {"arm": name, **counts, "held_apart": tokens.info["documents"]["held_apart"]}

    @property
    def shared(self) -> float:
        """The share of documents that baseline and null arm share."""
        return shared_documents(self.prepared.tokens[self.arms[0]].train, self.most)

    @cached_property
    def forecast(self) -> Forecast:
        job, vocab_size = self.job, self.prepared.tokenizer.vocab_size
        return forecast(self.settings(), vocab_size, len(self.prepared.arms), job.seeds, len(self.sets), job.device)

    def trials(self, arms: Sequence[str]) -> list[Trial]:
        """Return the trainings of some arms."""
        return [self._trial(arm, seed, rate) for arm in arms for seed in range(self.job.seeds)
                for rate in range(len(RATES))]  # fmt: skip

    def _trial(self, arm: str, seed: int, rate: int) -> Trial:
        source, settings = self.arms[0] if arm == NULL else arm, asdict(self.settings(seed, rate))
        place, sets = str(self.prepared.place(source)), self.prepared.sets
        return Trial(arm, seed, rate, place, f"{source} {seed}", arm == NULL, sets, self.most, settings)


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
    sets = len(job.arms) + len(job.held_out)
    settings = job.settings(vocab_size, min(tokens.values()))
    return tokens, forecast(settings, vocab_size, len(job.arms), job.seeds, sets, job.device)
