"""Lessons: conversations made from a seed. Each lesson holds some problems out of its conversations."""

from __future__ import annotations

from corpus.errors import ConfigError, did_you_mean
from jobs.assistant.lessons import arithmetic, copying, identity, recall, spelling, sums
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
    "copying": copying.COPYING,
    "recall": recall.RECALL,
    "recall-direct": recall.DIRECT,
}
"""The lessons by name."""


def lesson_of(name: str, given: Given | None = None) -> Lesson:
    """Return a lesson. Raises ConfigError if no lesson has this name, or if the lesson lacks its file."""
    if name not in LESSONS:
        raise ConfigError(f"There is no file and no lesson {name}.", did_you_mean(name, LESSONS))
    found = LESSONS[name]
    return found.make(given or Given()) if isinstance(found, LessonFrom) else found
