"""Reinforcement: the model answers, a judge gives rewards, and good answers become likelier. Read it from top to
bottom.

The method is a group-relative policy gradient: "GRPO" of arXiv:2402.03300, without the parts that are needless with one
update per batch, as in nanochat. Each problem is answered several times. The advantage of an answer is its reward minus
the mean reward of its group. Each token that the model said counts with this advantage. The batch depends only on the
step and the weights, so an interrupted run continues exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from corpus.digests import digest
from corpus.storage.replacing import write_whole
from jobs.assistant.assistant import Speaker, Transcript
from jobs.assistant.conversation import ChatFormat, Conversation, Message, as_line
from jobs.assistant.finetune import copy_of
from jobs.assistant.score import SEED
from jobs.assistant.tool import Tool
from jobs.model.generate import Continuer, Sampling
from jobs.model.model import GPT
from jobs.model.train import Batch
from jobs.model.train_settings import Settings, TrainWorker

SAMPLES_EVERY, SAMPLES = 10, 4
"""Every `SAMPLES_EVERY` steps, this many of the best and of the worst answers are saved."""

FIRST_STEPS, LEAST = 3, 0.02
"""If the first steps have a lower mean reward than `LEAST`, there is nothing to learn from."""


@dataclass(frozen=True)
class Task:
    """A task to learn.

    `prompts(seed, held_out)` yields problems forever. `judge` gives the rewards of many answers. `shares` are further
    measures of an answer, whose means are reported. A run is bound to `name`.
    """

    name: str
    prompts: Callable[[int, bool], Iterator[Conversation]]
    judge: Callable[[Sequence[Conversation], Sequence[Sequence[Message]]], list[float]]
    shares: Mapping[str, Callable[[str], float]]


def task_of(
    name: str,
    prompts: Callable[[int, bool], Iterator[Conversation]],
    reward: Callable[[Conversation, Sequence[Message]], float],
    shares: Mapping[str, Callable[[str], float]] | None = None,
) -> Task:
    """Return a task whose reward looks at one answer at a time."""

    def judge(prompts: Sequence[Conversation], answers: Sequence[Sequence[Message]]) -> list[float]:
        return [float(reward(prompt, turns)) for prompt, turns in zip(prompts, answers, strict=True)]

    return Task(name, prompts, judge, shares or {})


@dataclass(frozen=True)
class Effort:
    """The sizes of a reinforcement. Together with its `Settings` they decide the result."""

    samples: int = 8
    """The number of answers to each problem. The number of problems in a step is the batch of the settings."""
    max_tokens: int = 64
    temperature: float = 1.0
    kl: float = 0.0
    """The penalty for each nat by which an answer becomes likelier than at the start."""
    stop_at: float | None = None
    """The distance from the start, in nats per answer, at which the run ends."""
    tested: int = 64
    """The number of held-out problems in a validation. Each is answered `samples` times."""


class Reinforcement:
    """A training `Objective` whose batches are the model's own answers.

    Raises ConfigError if the tokenizer lacks special tokens.
    """

    # the parameters are everything that decides a reinforcement, and the folder of its samples
    def __init__(
        self, start: Continuer, task: Task, settings: Settings, effort: Effort, folder: Path,
        tools: Mapping[str, Tool] | None = None, tell: Callable[[str], None] = lambda text: None,
        save_right: bool = False,
    ) -> None:  # fmt: skip
        self.start, self.task, self.settings, self.effort, self.folder = start, task, settings, effort, folder
        self._chat, self._tools = ChatFormat(start.tokenizer), tools or {}
        self._tell, self._save_right = tell, save_right
        self._first_rewards: list[float] = []

    @property
    def tokenizer(self) -> bytes:
        return self.start.tokenizer.data

    def bound(self) -> dict[str, Any]:
        own = {**asdict(self.effort), "task": self.task.name, "tools": sorted(self._tools)}
        return {**asdict(self.settings), **own, "base": digest(self.start.state["files"])}

    def facts(self) -> dict[str, Any]:
        return {"bos": self.start.bos, "chat": bool(self.start.state.get("chat"))}

    def first(self) -> GPT:
        return copy_of(self.start.model, self.settings)

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        seed, samples = (self.settings.seed << 32) + step, self.effort.samples
        problems = list(islice(self.task.prompts(seed, False), self.settings.batch))
        prompts = [problem for problem in problems for _ in range(samples)]
        made = self._answers(model, prompts, seed)
        rewards = torch.tensor(self._rewards(prompts, made))
        advantages = rewards - rewards.view(-1, samples).mean(1).repeat_interleave(samples)
        ids, said, logs = _padded(made)
        nats = (logs - self._start_logs(ids, said)) * said  # the k1 estimate of the KL divergence
        counts = (advantages[:, None] - self.effort.kl * nats) * said
        divergence = float(nats.sum() / len(made))
        learned = counts.abs().sum(1) > 0
        facts = {
            "reward": float(rewards.mean()),
            "length": float(said.sum() / len(made)),
            "kl": divergence,
            **self._shares(made),
        }
        self._keep(step + 1, prompts, made, rewards.tolist())
        self._warn(facts["reward"])
        last = self.effort.stop_at is not None and divergence >= self.effort.stop_at
        learned[0] = True  # a batch has at least one row
        return Batch(ids[learned, :-1], ids[learned, 1:], (counts[:, 1:] / said.sum())[learned], facts, last)

    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        """Return the share of right answers to held-out problems, and the share of problems with at least one right
        answer.
        """
        samples = self.effort.samples
        problems = list(islice(self.task.prompts(SEED, True), self.effort.tested))
        prompts = [problem for problem in problems for _ in range(samples)]
        rewards = torch.tensor(self._rewards(prompts, self._answers(model, prompts, SEED))).view(-1, samples)
        right = (rewards >= 1).float()
        found = {"val_reward": rewards.mean(), "pass@1": right.mean(), f"pass@{samples}": right.amax(1).mean()}
        return {name: float(value) for name, value in found.items()}

    def _answers(self, model: GPT, prompts: Sequence[Conversation], seed: int) -> list[Transcript]:
        speaker = Speaker(model, self._chat, self._tools, bool(self.start.state.get("chat")))
        made = [speaker.begin(prompt) for prompt in prompts]
        sampling = Sampling(self.effort.max_tokens, self.effort.temperature, None, seed)
        for _ in speaker.go_on(made, sampling):
            pass
        return made

    def _rewards(self, prompts: Sequence[Conversation], made: Sequence[Transcript]) -> list[float]:
        """Return the rewards.

        If an assistant's answer was cut, it gets no reward, because models would learn to ramble.
        """
        rewards = self.task.judge(prompts, [one.turns for one in made])
        whole = [one.ended or not self.start.state.get("chat") for one in made]
        return [reward if complete else min(reward, 0.0) for reward, complete in zip(rewards, whole, strict=True)]

    @torch.no_grad()
    def _start_logs(self, ids: Tensor, said: Tensor) -> Tensor:
        """Return the logarithms of the probabilities that the model at the start gives to the tokens that were said
        (rows, time).
        """
        model = self.start.model
        wanted = said[:, 1:].nonzero(as_tuple=True)
        logs = model.logits(model.trunk(ids[:, :-1])[wanted]).log_softmax(-1)
        found = torch.zeros_like(said)
        found[:, 1:][wanted] = logs.gather(1, ids[:, 1:][wanted][:, None])[:, 0]
        return found

    def _shares(self, made: Sequence[Transcript]) -> dict[str, float]:
        answers = [one.turns[-1].content for one in made]
        return {name: fmean(map(test, answers)) for name, test in self.task.shares.items()}

    def _keep(
        self, step: int, prompts: Sequence[Conversation], made: Sequence[Transcript], rewards: Sequence[float]
    ) -> None:
        """Write some of the best and worst answers of each tenth step. With `save_right`, write all right answers."""
        lines = [as_line([*prompt, *one.turns], reward=reward)
                 for prompt, one, reward in zip(prompts, made, rewards, strict=True)]  # fmt: skip
        order = sorted(range(len(made)), key=lambda at: rewards[at])
        wanted = {"samples": [*order[: -SAMPLES - 1 : -1], *order[:SAMPLES]] if step % SAMPLES_EVERY == 0 else []}
        if self._save_right:
            wanted["right"] = [at for at in order if rewards[at] >= 1]
        for kind, places in wanted.items():
            if places:
                (self.folder / kind).mkdir(exist_ok=True)
                text = "".join(lines[at] for at in dict.fromkeys(places))
                write_whole(self.folder / kind / f"step-{step:08}.jsonl", text.encode())

    def _warn(self, reward: float) -> None:
        self._first_rewards.append(reward)
        if len(self._first_rewards) == FIRST_STEPS and fmean(self._first_rewards) < LEAST:
            self._tell(
                f"The first {FIRST_STEPS} batches have a mean reward of {fmean(self._first_rewards):.3f}: there is "
                "almost nothing to learn from. Fine-tune on some solved problems first."
            )


def _padded(made: Sequence[Transcript]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, a mask of the ids that the model said (1 or 0), and the logarithms of their probabilities: (rows,
    time).
    """
    longest = max(len(one.ids) for one in made)
    ids = torch.tensor([one.ids + [0] * (longest - len(one.ids)) for one in made])
    logs = [[0.0 if log is None else log for log in one.logs] + [0.0] * (longest - len(one.ids)) for one in made]
    said = [[float(log is not None) for log in one.logs] + [0.0] * (longest - len(one.ids)) for one in made]
    return ids, torch.tensor(said), torch.tensor(logs)


def right_answers(folder: Path) -> bytes:
    """Return all right answers of a run with `save_right`, as lines of conversations."""
    return b"".join(file.read_bytes() for file in sorted((folder / "right").glob("step-*.jsonl")))
