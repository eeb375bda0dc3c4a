"""Sums in chains: `7, +5, *2, -3, +8, -6`. The answer has a step for each operation, or only the result.

The intermediate results are from 0 to 30. Each step is easy, but the result alone needs all operations at once. Models
need tokens to think: with steps a small model learns the task, but without steps it does not learn it from the same
problems.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate

from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Lesson, answered, asked, is_held_out

MOST = 30
LENGTH = 6
"""The largest result, and the numbers of a chain. Tokenizers have one token for most numbers up to about 30."""
_DO = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


def _chain(draw: random.Random) -> list[tuple[str, int]]:
    """Return a chain of operations whose results are from 0 to MOST. It begins with `+ n`."""
    chain = [("+", draw.randrange(1, 10))]
    while len(chain) < LENGTH:
        sign = draw.choice("+-**")
        step = (sign, draw.choice((2, 3)) if sign == "*" else draw.randrange(1, 10))
        if 0 <= _results([*chain, step])[-1] <= MOST:
            chain.append(step)
    return chain


def _results(chain: Sequence[tuple[str, int]]) -> list[int]:
    return list(accumulate(chain, lambda sum, step: _DO[step[0]](sum, step[1]), initial=0))[1:]


def _problem(chain: Sequence[tuple[str, int]]) -> str:
    return ", ".join([str(chain[0][1]), *(f"{sign}{number}" for sign, number in chain[1:])])


def _chains(seed: int, held_out: bool) -> Iterator[list[tuple[str, int]]]:
    draw = random.Random(f"sums {seed} {held_out}")
    while True:
        chain = _chain(draw)
        if is_held_out(_problem(chain)) == held_out:
            yield chain


def conversations(seed: int, steps: float) -> Iterator[Conversation]:
    """Yield solved problems. The share `steps` of them is solved in steps."""
    draw = random.Random(f"sums {seed}")
    for chain in _chains(seed, False):
        results = _results(chain)
        before = list(zip(results, chain[1:], results[1:], strict=False))
        shown = "".join(f"{left}{sign}{number}={right}\n" for left, (sign, number), right in before)
        yield answered(asked(_problem(chain)), (shown if draw.random() < steps else "") + _last(results[-1]))


def _last(result: int) -> str:
    return f"The answer is {result}."


def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
    return (asked(_problem(chain)) for chain in _chains(seed, held_out))


def has_steps(answer: str) -> bool:
    return "=" in answer


def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
    """Return 1 if the answer ends with the right result, and has only steps before it.

    A model that is rewarded for the result alone learns to ramble.
    """
    first, *others = prompt[-1].content.split(", ")
    result = _results([("+", int(first)), *((one[0], int(one[1:])) for one in others)])[-1]
    *steps, last = turns[-1].content.split("\n")
    return float(last == _last(result) and all(re.fullmatch(r"-?\d+[+*-]\d+=-?\d+", step) for step in steps))


_SHARES = {"steps": has_steps}
SUMS = Lesson("chains of arithmetic, answered in steps", partial(conversations, steps=1.0), prompts, reward, _SHARES)
DIRECT = Lesson("the same chains, answered at once", partial(conversations, steps=0.0), prompts, reward, _SHARES)
MIXED = Lesson("the same chains, half of them in steps", partial(conversations, steps=0.5), prompts, reward, _SHARES)
