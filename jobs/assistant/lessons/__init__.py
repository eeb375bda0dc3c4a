"""Lessons: conversations made from a seed, each with problems that are held out of them."""

from __future__ import annotations

from jobs.assistant.lessons import sums
from jobs.assistant.lessons.lesson import Lesson

LESSONS: dict[str, Lesson] = {
    "sums": sums.SUMS,
    "sums-direct": sums.DIRECT,
    "sums-mixed": sums.MIXED,
}
"""The lessons by name."""
