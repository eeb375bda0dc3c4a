"""The contract of a lesson: conversations to learn from, problems that they never have, and what an answer is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.assistant.conversation import Conversation, Message

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


def is_held_out(problem: str) -> bool:
    """Return True for a tenth of all problems, the same ones for every seed."""
    return int(hashlib.sha256(problem.encode()).hexdigest()[:8], 16) < HELD_OUT * 2**32


def asked(text: str) -> Conversation:
    return (Message("user", text),)


def answered(prompt: Conversation, *turns: Message | str) -> Conversation:
    """Return a prompt with the turns after it. A text is an answer."""
    return (*prompt, *(Message("assistant", turn) if isinstance(turn, str) else turn for turn in turns))
