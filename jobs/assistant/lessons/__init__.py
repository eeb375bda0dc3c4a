"""Lessons: conversations made from a seed, each with problems that are held out of them."""

from __future__ import annotations

from corpus.errors import ConfigError, did_you_mean
from jobs.assistant.lessons import arithmetic, identity, recall, spelling, sums
from jobs.assistant.lessons.lesson import Given, Lesson, LessonFrom

LESSONS: dict[str, Lesson | LessonFrom] = {
    "sums": sums.SUMS,
    "sums-direct": sums.DIRECT,
    "sums-mixed": sums.MIXED,
    "spelling": spelling.SPELLING,
    "spelling-direct": spelling.DIRECT,
    "tools": arithmetic.TOOLS,
    "tools-direct": arithmetic.DIRECT,
    "self": identity.SELF,
    "self-system": identity.SYSTEM,
    "recall": recall.RECALL,
    "recall-direct": recall.DIRECT,
}
"""The lessons by name."""


def lesson_of(name: str, given: Given | None = None) -> Lesson:
    """Return a lesson. Raises ConfigError if there is none of this name, or if it lacks its file."""
    if name not in LESSONS:
        raise ConfigError(f"There is no file and no lesson {name}.", did_you_mean(name, LESSONS))
    found = LESSONS[name]
    return found.make(given or Given()) if isinstance(found, LessonFrom) else found
