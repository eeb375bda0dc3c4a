"""The contract of a lesson: conversations to learn from, problems held out of them, and the reward of an answer."""

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
    """A lesson, as trainings and tests use it.

    `conversations(seed)` yields conversations without end. `prompts(seed, held_out)` yields problems for an assistant,
    either held out or from the training. `reward(prompt, turns)` is between 0 for a wrong answer and 1 for a right one.
    `turns` are all turns after the prompt: calls, results, and the answer.
    """

    about: str
    conversations: Callable[[int], Iterator[Conversation]]
    prompts: Callable[[int, bool], Iterator[Conversation]]
    reward: Callable[[Conversation, Sequence[Message]], float]
    shares: Mapping[str, Callable[[str], float]] = field(default_factory=dict)
    """Further measures of answers, by name. Their means are reported."""


@dataclass(frozen=True)
class Given:
    """The files from which some lessons are made."""

    identity: Path | None = None
    index: Path | None = None


@dataclass(frozen=True)
class LessonFrom:
    """A lesson that is made from a file. `make` raises ConfigError or InputError."""

    about: str
    make: Callable[[Given], Lesson]


def is_held_out(problem: str, share: float = HELD_OUT) -> bool:
    """Return True for a share of all problems. For every seed, the same problems are held out."""
    return int(hashlib.sha256(problem.encode()).hexdigest()[:8], 16) < share * 2**32


def asked(text: str) -> Conversation:
    return (Message("user", text),)


def answered(prompt: Conversation, *turns: Message | str) -> Conversation:
    """Return a prompt followed by turns. A turn given as text becomes an answer of the assistant."""
    return (*prompt, *(Message("assistant", turn) if isinstance(turn, str) else turn for turn in turns))


def called(name: str, tool: Tool, given: str) -> tuple[Message, Message]:
    """Return the turn of an assistant that calls a tool, and the tool's real result."""
    return Message("assistant", "", (Call(name, given),)), Message("tool", tool(given))


def made_word(draw: random.Random, syllables: int) -> str:
    """Return an invented word. There are so many such words that training never sees some of them."""
    return "".join(draw.choice("bcdfghjklmnprstvwz") + draw.choice("aeiou") + draw.choice("nrls  ").strip()
                   for _ in range(syllables))  # fmt: skip
