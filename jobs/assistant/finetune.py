"""Fine-tuning: conversations from files and lessons, packed into windows, in which only the assistant's tokens count.

A weight says how often a source's conversations appear in each epoch: 0.3 draws three of ten, 2 takes each twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from corpus.digests import digest
from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import ChatFormat, Conversation, Faults, read_chats
from jobs.assistant.lessons import lesson_of
from jobs.assistant.lessons.lesson import Given, Lesson, is_held_out
from jobs.model.generate import Continuer
from jobs.model.model import GPT
from jobs.model.train import Batch, compute_type
from jobs.model.train_settings import PARTS, Settings, TrainWorker
from jobs.model.windows import shuffled

TOO_LONG = "is longer than the window"
_OPEN = 64
"""The number of windows that are filled at the same time."""


@dataclass(frozen=True)
class Part:
    """A source of conversations: a file, or a lesson by name, with its weight."""

    name: str
    weight: float
    lesson: Lesson | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, given: str, files: Given | None = None) -> Part:
        """Return the part of `NAME` or `NAME:WEIGHT`.

        If a file and a lesson have the same name, the file is used. Raises ConfigError.
        """
        name, colon, weight = given.rpartition(":")
        if not colon or Path(given).exists():
            name, weight = given, "1"
        try:
            times = float(weight)
        except ValueError:
            times = -1.0
        if not 0 < times <= 1000:
            raise ConfigError(f"The weight of {given} is not between 0 and 1000.", "Write NAME:0.3, for example.")
        if Path(name).is_dir():
            raise ConfigError(f"{name} is a folder.", "Name JSONL files of conversations.")
        return cls(name, times, None if Path(name).is_file() else lesson_of(name, files))

    def conversations(self, examples: int, seed: int, faults: Faults) -> Iterable[tuple[int, Conversation]]:
        """Return the conversations with their numbers: those of a file, or the first `examples` of a lesson."""
        if self.lesson:
            return enumerate(islice(self.lesson.conversations(seed), examples), 1)
        return read_chats(Path(self.name), faults)


class Chats:
    """The tokens of many conversations, one after the other: ids, and for each id True if it belongs to the
    assistant.
    """

    def __init__(self) -> None:
        self._ids: list[np.ndarray] = []
        self._said: list[np.ndarray] = []
        self.weights: list[float] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[int], said: Sequence[bool], weight: float = 1.0) -> None:
        self._ids.append(np.array(ids, np.uint32))
        self._said.append(np.array(said, bool))
        self.weights.append(weight)

    def length(self, number: int) -> int:
        """Return the number of inputs of a conversation. Its last id is only a target."""
        return len(self._ids[number]) - 1

    def row(self, numbers: Iterable[int], window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return one window with some conversations: ids, targets, and True for each target that belongs to the
        assistant.
        """
        ids, targets, said = np.zeros(window, np.int64), np.zeros(window, np.int64), np.zeros(window, np.float32)
        at = 0
        for number in numbers:
            end = at + self.length(number)
            ids[at:end], targets[at:end] = self._ids[number][:-1], self._ids[number][1:]
            said[at:end] = self._said[number][1:]
            at = end
        return ids, targets, said

    def digest(self) -> str:
        """Return the digest of all conversations to train on."""
        whole = hashlib.sha256()
        for ids, said, weight in zip(self._ids, self._said, self.weights, strict=True):
            whole.update(ids.tobytes() + said.tobytes() + str(weight).encode())
        return whole.hexdigest()


def load_chats(
    parts: Sequence[Part], chat: ChatFormat, window: int, examples: int, seed: int, val_share: float
) -> tuple[Chats, Chats, list[Faults]]:
    """Return the conversations to train on, the held-out conversations, and the faults of each file.

    Equal conversations are on the same side. Raises InputError if there is nothing to train on.
    """
    train, val, all_faults = Chats(), Chats(), []
    for part in parts:
        faults = Faults(part.name)
        for number, messages in part.conversations(examples, seed, faults):
            ids, said = chat.tokens(messages)
            if len(ids) > window:
                faults.lines[TOO_LONG].append(number)
                continue
            (val if is_held_out(repr(ids), val_share) else train).add(ids, said, part.weight)
        all_faults.append(faults)
    if not len(train):
        shown = " ".join(str(faults) for faults in all_faults if faults.lines)
        raise InputError("There is no conversation to train on.", f"See the format in docs/assistant.md. {shown}")
    return train, val, [faults for faults in all_faults if faults.lines]


def pack(chats: Chats, window: int, epochs: int, seed: int) -> list[list[int]]:
    """Return the windows of all epochs, as lists of conversations.

    Each epoch has another order. No conversation is cut: each goes into the fullest open window that has room for it.
    """
    windows: list[list[int]] = []
    for epoch in range(epochs):
        open_windows: list[tuple[int, list[int]]] = []  # the room that is left, and the conversations
        for number in _drawn(chats, seed, epoch):
            size = chats.length(number)
            fits = [one for one in open_windows if one[0] >= size]
            room, numbers = min(fits, key=lambda one: one[0], default=(window, []))
            if fits:
                open_windows.remove((room, numbers))
            open_windows.append((room - size, [*numbers, number]))
            if len(open_windows) > _OPEN:
                fullest = min(open_windows, key=lambda one: one[0])
                open_windows.remove(fullest)
                windows.append(fullest[1])
        windows += [numbers for _, numbers in open_windows]
    return windows


def _drawn(chats: Chats, seed: int, epoch: int) -> list[int]:
    """Return the conversations of an epoch in its order. The weight of a source decides how often they occur."""
    order = shuffled(np.arange(len(chats)), len(chats), seed, epoch).tolist()
    chances = np.random.default_rng([seed, epoch]).random(len(chats))
    return [number for number in order for _ in range(int(chats.weights[number] + chances[number]))]


class Finetuning:
    """A training `Objective` over conversations. The training begins with the weights of a model."""

    def __init__(
        self, base: Continuer, train: Chats, val: Chats, settings: Settings, epochs: int, frozen: Sequence[str] = ()
    ) -> None:
        """`settings.steps` is replaced by the number of steps that the epochs take. The parts of the model that are
        `frozen` (embed, blocks, head) keep their weights. Raises ConfigError if no part is left to train."""
        self.base, self.train, self.val, self.epochs, self.frozen = base, train, val, epochs, sorted({*frozen})
        if {*PARTS} <= {*frozen}:
            raise ConfigError("All parts of the model are frozen.", "Leave out one --freeze.")
        self._windows = pack(train, settings.window, epochs, settings.seed)
        steps = -(-len(self._windows) // settings.batch)
        self.settings = Settings(**{**asdict(settings), "steps": steps})

    @property
    def tokenizer(self) -> bytes:
        return self.base.tokenizer.data

    def bound(self) -> dict[str, Any]:
        chats = {"train": self.train.digest(), "val": self.val.digest()}
        return {**asdict(self.settings), **chats, "base": digest(self.base.state["files"]), "epochs": self.epochs,
                "frozen": self.frozen}  # fmt: skip

    def facts(self) -> dict[str, Any]:
        return {"bos": self.base.bos, "chat": True}

    def first(self) -> GPT:
        model = copy_of(self.base.model, self.settings)
        for part in self.frozen:
            model.get_submodule(part).requires_grad_(False)
        return model

    def batch(self, model: GPT, step: int, worker: TrainWorker) -> Batch:
        first = step * self.settings.batch
        rows = [self.train.row(numbers, self.settings.window)
                for numbers in self._windows[first : first + self.settings.batch]]  # fmt: skip
        ids, targets, said = (torch.from_numpy(np.stack(columns)) for columns in zip(*rows, strict=True))
        return Batch(ids, targets, said / max(1.0, float(said.sum())))

    @torch.no_grad()
    def evaluate(self, model: GPT, worker: TrainWorker) -> dict[str, Any]:
        """Return the loss on held-out conversations, in nats per token of the assistant."""
        nats = count = 0.0
        for number in range(len(self.val)):
            if count >= self.settings.eval_tokens:
                break
            ids, targets, said = map(torch.from_numpy, self.val.row([number], self.val.length(number)))
            logits = model(ids[None].to(worker.device))[0].cpu()
            lost: Tensor = F.cross_entropy(logits, targets, reduction="none")
            nats, count = nats + float(lost @ said), count + float(said.sum())
        return {"val_loss": nats / count} if count else {}


def copy_of(model: GPT, settings: Settings) -> GPT:
    """Return a new model with the same weights. The new model computes in the number type of the settings."""
    new = GPT(model.shape, compute_type(settings))
    new.load_state_dict({name: weight.clone() for name, weight in model.state_dict().items()})
    return new
