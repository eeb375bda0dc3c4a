"""Reward models. A reward model is a trained model with a single output, a score for how much people would like a text.

A reward model learns from pairs of a chosen and a rejected text. The loss is the logistic loss of the difference of
their scores (Bradley and Terry; arXiv:1706.03741).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from corpus.digests import digest
from corpus.errors import InputError
from jobs.assistant.conversation import (
    BadConversation,
    ChatFormat,
    Conversation,
    Faults,
    Message,
    messages_of,
    read_lines,
)
from jobs.assistant.score import AT_ONCE
from jobs.model.generate import Continuer
from jobs.model.model import GPT, Linear
from jobs.model.train import Batch, compute_type
from jobs.model.train_settings import Settings, Shape, TrainWorker
from jobs.model.windows import shuffled

BINS = 5
"""The number of bins of the calibration curve. Each bin has equally many pairs."""


class RewardModel(GPT):
    """A model that scores texts.

    Its loss takes pairs (pairs, 2, time), with the chosen text first: the ids, and counts that are not zero at the last
    token of each text. The targets are not used.
    """

    def __init__(self, shape: Shape, compute: torch.dtype = torch.float32) -> None:
        super().__init__(shape, compute)
        self.head = Linear(shape.width, 1)

    def scores(self, ids: Tensor, last: Tensor) -> Tensor:
        """Return a score for each row of ids: the mean over its positions up to `last`."""
        there = torch.arange(ids.size(1), device=ids.device) <= last[:, None]
        scores: Tensor = (self.head(self.trunk(ids))[..., 0].float() * there).sum(1) / (last + 1)
        return scores

    def forward(self, ids: Tensor, targets: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        assert counts is not None
        flat = counts.flatten(0, 1)
        scores = self.scores(ids.flatten(0, 1), flat.argmax(1)).view(-1, 2)
        return -(F.logsigmoid(scores[:, 0] - scores[:, 1]) @ flat.amax(1).view(-1, 2)[:, 0])


@dataclass(frozen=True)
class Pair:
    """Two answers to a prompt, the better one first."""

    prompt: Conversation
    chosen: str
    rejected: str


def read_pairs(path: Path, faults: Faults) -> list[Pair]:
    """Return the pairs of a JSONL file.

    Each line has a `prompt` (a text, or messages) with `chosen` and `rejected`. Or it has `ranked`, a list of answers
    from best to worst, which gives a pair for any two of them. Other lines are counted in `faults`. Raises InputError
    if the file can't be read or has no pair.
    """
    pairs = [pair for _, found in read_lines(path, faults, _pairs, "pairs") for pair in found]
    if not pairs:
        raise InputError(f"{path} has no pair.", f"Each line needs prompt, chosen and rejected. {faults}")
    return pairs


def _pairs(data: Any) -> list[Pair]:
    if not isinstance(data, dict) or not isinstance(data.get("prompt"), str | list):
        raise BadConversation("has no prompt")
    given = data["prompt"]
    prompt = (Message("user", given),) if isinstance(given, str) else messages_of({"messages": given})
    ranked = data.get("ranked", [data.get("chosen"), data.get("rejected")])
    if not isinstance(ranked, list) or len(ranked) < 2 or not all(isinstance(one, str) for one in ranked):
        raise BadConversation("has no chosen and rejected text")
    return [Pair(prompt, better, worse) for better, worse in combinations(ranked, 2) if better != worse]


class Scorer:
    """A converter from answers to ids as the base model needs them: turns of a conversation, or the text of a page."""

    def __init__(self, chat: ChatFormat, trained: bool, window: int) -> None:
        self.chat, self.trained, self.window = chat, trained, window

    def ids(self, prompt: Conversation, answer: str) -> list[int]:
        """Return the ids of a prompt and its answer. If they are too long, the end is cut off."""
        if self.trained:
            ids = self.chat.tokens([*prompt, Message("assistant", answer)])[0]
        else:
            ids = [self.chat.tokenizer.bos, *self.chat.encode(prompt[-1].content + answer)]
        return ids[: self.window]

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return ids (rows, time), and the last position of each row."""
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
        return ids, torch.tensor([len(row) - 1 for row in rows])


class Preferences:
    """A training `Objective` over pairs. The training begins with the trunk of a model: all weights except the head."""

    def __init__(self, base: Continuer, train: Sequence[Pair], val: Sequence[Pair], settings: Settings) -> None:
        self.base, self.settings = base, settings
        self._scorer = Scorer(ChatFormat(base.tokenizer), bool(base.state.get("chat")), base.model.shape.window)
        self._train, self._val = self._encoded(train), self._encoded(val)
        self._digest = digest([[asdict(pair) for pair in pairs] for pairs in (train, val)])

    def _encoded(self, pairs: Sequence[Pair]) -> list[tuple[list[int], list[int]]]:
        ids = self._scorer.ids
        return [(ids(pair.prompt, pair.chosen), ids(pair.prompt, pair.rejected)) for pair in pairs]

    @property
    def tokenizer(self) -> bytes:
        return self.base.tokenizer.data

    def bound(self) -> dict[str, Any]:
        return {**asdict(self.settings), "pairs": self._digest, "base": digest(self.base.state["files"])}

    def facts(self) -> dict[str, Any]:
        return {"bos": self.base.bos, "chat": self._scorer.trained, "kind": RewardModel.__name__}

    def first(self) -> GPT:
        model = RewardModel(self.base.model.shape, compute_type(self.settings))
        trunk = {name: weight for name, weight in self.base.model.state_dict().items() if name != "head.weight"}
        model.load_state_dict({**trunk, "head.weight": torch.zeros_like(model.head.weight)})
        return model

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        size, count = self.settings.batch, len(self._train)
        numbers = range(step * size, (step + 1) * size)
        places = [int(shuffled(np.array([at % count]), count, self.settings.seed, at // count)[0]) for at in numbers]
        ids, last = self._scorer.padded([row for place in places for row in self._train[place]])
        counts = F.one_hot(last, ids.size(1)).float() / size
        shape = (size, 2, -1)
        return Batch(ids.view(shape), ids.view(shape), counts.view(shape))

    @torch.no_grad()
    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        """Return the accuracy and the loss on held-out pairs, and `calibration`.

        For `calibration`, the pairs are ordered by how sure the model is. Each bin has the probability that the model
        gives to its choice, and the share of right choices.
        """
        assert isinstance(model, RewardModel)
        if not self._val:
            return {}
        margins = []
        for chosen, rejected in self._val:
            ids, last = self._scorer.padded([chosen, rejected])
            better, worse = model.scores(ids.to(worker.device), last.to(worker.device)).tolist()
            margins.append(better - worse)
        margin = torch.tensor(margins)
        sure, right = margin.abs().sigmoid(), (margin > 0).float()
        bins = [part.tolist() for part in sure.argsort().chunk(BINS)]
        return {
            "val_loss": float(-F.logsigmoid(margin).mean()),
            "accuracy": float(right.mean()),
            "calibration": [[float(sure[part].mean()), float(right[part].mean())] for part in bins],
        }


class Judge:
    """A judge that gives the scores of a reward model as the rewards of a `Task`.

    Raises InputError if `folder` has no reward model.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.found = Continuer(folder, device, RewardModel)
        self._device = torch.device(device)
        self._scorer = Scorer(ChatFormat(self.found.tokenizer), self.found.state["chat"], self.found.model.shape.window)

    @torch.no_grad()
    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[Sequence[Message]]) -> list[float]:
        model = self.found.model
        assert isinstance(model, RewardModel)
        rows = [self._scorer.ids(prompt, turns[-1].content) for prompt, turns in zip(prompts, answers, strict=True)]
        scores: list[float] = []
        for first in range(0, len(rows), AT_ONCE):
            ids, last = self._scorer.padded(rows[first : first + AT_ONCE])
            scores += model.scores(ids.to(self._device), last.to(self._device)).tolist()
        return scores
