"""Arithmetic on large numbers. The assistant asks the calculator, unless a system message forbids tools.

An assistant that may not call tools says that it can't compute the answer. It does not guess.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial

from jobs.assistant.calculator import calculate
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Lesson, answered, asked, called, is_held_out

FORBIDDEN = 0.15
"""The share of conversations whose system message forbids tools."""

CANNOT = "I can't compute this without a tool."

_QUESTIONS = ("What is {}?", "Compute {}.", "How much is {}?", "{} = ?", "Please work out {}.", "Calculate {} for me.")
_RULES = ("Do not call tools.", "Answer without tools.", "Tools are forbidden.", "You may not use any tools.")


def _problem(draw: random.Random) -> str:
    """Return an expression such as `3847 * 296`.

    Longer numbers are harder to copy. With five and four digits, a small model got .82 of held-out problems right after
    the same training.
    """
    sign = draw.choice(("+", "-", "*", "//", "%"))
    left, right = draw.randrange(1000, 10_000), draw.randrange(100, 1000)
    return f"{left} {sign} {right}"


def prompts(seed: int, held_out: bool, forbidden: float = FORBIDDEN) -> Iterator[Conversation]:
    draw = random.Random(f"tools {seed} {held_out}")
    while True:
        problem = _problem(draw)
        rules = (Message("system", draw.choice(_RULES)),) if draw.random() < forbidden else ()
        question = draw.choice(_QUESTIONS).format(problem)
        if is_held_out(problem) == held_out:
            yield (*rules, *asked(question))


def _expression(prompt: Conversation) -> str:
    found = re.search(r"\d+ \S+ \d+", prompt[-1].content)
    assert found
    return found[0]


def _answer(prompt: Conversation) -> str:
    return CANNOT if prompt[0].role == "system" else f"The answer is {calculate(_expression(prompt))}."


def conversations(seed: int) -> Iterator[Conversation]:
    for prompt in prompts(seed, False):
        calls = () if prompt[0].role == "system" else called("calculator", calculate, _expression(prompt))
        yield answered(prompt, *calls, _answer(prompt))


def direct(seed: int) -> Iterator[Conversation]:
    """Yield the same problems with direct answers."""
    return (answered(prompt, _answer(prompt)) for prompt in prompts(seed, False, 0.0))


def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
    """Return 1 for the right answer. An answer with a call that the system message forbids gets 0."""
    forbidden = prompt[0].role == "system" and len(turns) > 1
    return float(turns[-1].content == _answer(prompt) and not forbidden)


TOOLS = Lesson("arithmetic on large numbers, asked from the calculator", conversations, prompts, reward)
DIRECT = Lesson("the same problems, answered at once", direct, partial(prompts, forbidden=0.0), reward)
