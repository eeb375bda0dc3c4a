"""The share of an assistant's right answers to problems of a lesson that it never saw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from jobs.assistant.assistant import Speaker, in_groups
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Lesson
from jobs.model.generate import Sampling

AT_ONCE = 64
SEED = 1_000_000
"""The seed of tests. Trainings have seed 0 by default."""


def tested(
    speaker: Speaker, lesson: Lesson, count: int, sampling: Sampling, seed: int = SEED
) -> Iterator[tuple[Conversation, list[Message], float]]:
    """Yield held-out problems, the turns of the answers, and their rewards."""
    problems = list(islice(lesson.prompts(seed, True), count))
    for first, group in in_groups(problems, AT_ONCE):
        answers = speaker.answers(group, sampling, range(first, first + len(group)))
        for problem, turns in zip(group, answers, strict=True):
            yield problem, turns, lesson.reward(problem, turns)
