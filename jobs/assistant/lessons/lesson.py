"""The contract of a lesson: conversations to learn from, problems that they never have, and what an answer is worth."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.assistant.conversation import Call, Conversation, Message
from jobs.assistant.tool import Tool

HELD_OUT = 0.1
"""The share of problems that no training sees."""


@dataclass(frozen=True)
class Lesson:
    """What the trainings and the tests ask of a lesson. `conversations(seed)` yields conversations without end.
    `prompts(seed, held_out)` yields what an assistant is to answer: problems of the training, or held out of it.
    `reward(prompt, turns)` is 1 for a right answer and 0 for a wrong one, or between. `turns` are all turns after the
    prompt: calls, results, and the answer."""

    about: str
    conversations: Callable[[int], Iterator[Conversation]]
    prompts: Callable[[int, bool], Iterator[Conversation]]
    reward: Callable[[Conversation, Sequence[Message]], float]
    shares: Mapping[str, Callable[[str], float]] = field(default_factory=dict)
    """Measures of answers whose mean is of interest, by name."""


@dataclass(frozen=True)
class Given:
    """The files that some lessons are made from."""

    identity: Path | None = None
    index: Path | None = None


@dataclass(frozen=True)
class LessonFrom:
    """A lesson that is made from a file. `make` raises ConfigError or InputError."""

    about: str
    make: Callable[[Given], Lesson]


def is_held_out(problem: str, share: float = HELD_OUT) -> bool:
    """Return True for a share of all problems, the same ones for every seed."""
    return int(hashlib.sha256(problem.encode()).hexdigest()[:8], 16) < share * 2**32


def asked(text: str) -> Conversation:
    return (Message("user", text),)


def answered(prompt: Conversation, *turns: Message | str) -> Conversation:
    """Return a prompt with the turns after it. A text is an answer."""
    return (*prompt, *(Message("assistant", turn) if isinstance(turn, str) else turn for turn in turns))


def called(name: str, tool: Tool, given: str) -> tuple[Message, Message]:
    """Return the turn of an assistant that calls a tool, and the real result."""
    return Message("assistant", "", (Call(name, given),)), Message("tool", tool(given))


def made_word(draw: random.Random, syllables: int) -> str:
    """Return an invented word. There are so many that some are never seen in training."""
    return "".join(draw.choice("bcdfghjklmnprstvwz") + draw.choice("aeiou") + draw.choice("nrls  ").strip()
                   for _ in range(syllables))  # fmt: skip
