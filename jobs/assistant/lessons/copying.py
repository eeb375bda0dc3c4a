"""Words of a run in no order, to be said again: an exercise before all lessons in which something is copied.

A small base model can't copy what it never saw, such as a passage that a search found. Here nothing else helps, so it
learns to find what it has just said earlier in the conversation, and to say what came next there. That comes all at
once, after some 400 steps, and sooner if many exercises are short.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Lesson, answered, asked
from jobs.assistant.lessons.recall import drawn, lesson_from
from jobs.assistant.search import Index

LEAST, MOST = 3, 45
"""Words of an exercise. Half of the exercises have fewer than 12."""

_QUESTION = "Repeat this:\n"


def _lesson(index: Index) -> Lesson:
    def exercises(seed: int, held_out: bool) -> Iterator[str]:
        draw = random.Random(f"copying {seed} {held_out}")

        def words(found: tuple[str, str]) -> str | None:
            words = found[0].split()
            draw.shuffle(words)
            count = int(LEAST * (MOST / LEAST) ** draw.random())
            return " ".join(words[:count]) if len(words) >= LEAST else None

        return drawn(index, draw, held_out, words)

    def conversations(seed: int) -> Iterator[Conversation]:
        return (answered(asked(_QUESTION + words), words) for words in exercises(seed, False))

    def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
        return (asked(_QUESTION + words) for words in exercises(seed, held_out))

    def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
        return float(turns[-1].content == prompt[-1].content.removeprefix(_QUESTION))

    return Lesson(ABOUT, conversations, prompts, reward)


ABOUT = "words in no order, to be said again: learn it before `recall` (needs --index)"
COPYING = lesson_from(ABOUT, _lesson)
