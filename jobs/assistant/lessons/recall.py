"""The continuation of a passage of a run: looked up with `search`, or said from memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Given, Lesson, LessonFrom, answered, asked, called, is_held_out
from jobs.assistant.search import Index

_Made = TypeVar("_Made")

QUOTED, ANSWERED, LEAST = 3, 5, 3
"""Words of a question, the words after them in a conversation to learn from, and how many of them an answer needs."""

MOST_TRIES = 20_000
"""Passages to look at for the next question. A tenth is held out, and some have no clear answer."""

_QUESTION = "How does this go on?\n"


def question(quote: str) -> str:
    return _QUESTION + quote


def quotes(passage: str, draw: random.Random) -> tuple[str, str] | None:
    """Return words from a passage and the words after them, or None if it is too short."""
    words = passage.split()
    last = len(words) - QUOTED - ANSWERED
    if last < 0:
        return None
    at = draw.randint(0, last)
    return " ".join(words[at : at + QUOTED]), " ".join(words[at + QUOTED : at + QUOTED + ANSWERED])


def drawn(
    index: Index, draw: random.Random, held_out: bool, make: Callable[[tuple[str, str]], _Made | None]
) -> Iterator[_Made]:
    """Yield what `make` makes of passages (text and URL), without None. The side of a passage is decided by its text,
    so that a copy of it is on the same side."""
    tries = 0
    while True:
        tries += 1
        if tries > MOST_TRIES:
            raise InputError(f"{index.file} has too few passages to ask about.", "Index a larger run.")
        found = index.passage(draw.randint(1, max(1, index.count)))
        made = make(found) if found is not None and is_held_out(found[0]) == held_out else None
        if made is not None:
            tries = 0
            yield made


def _lesson(about: str, index: Index, tools: bool) -> Lesson:
    def asked_for(seed: int, held_out: bool) -> Iterator[tuple[str, str]]:
        """Yield quotes for which the search gives their passage, and what follows."""
        draw = random.Random(f"recall {seed} {held_out}")

        def pair(found: tuple[str, str]) -> tuple[str, str] | None:
            pair = quotes(found[0], draw)
            return pair if pair and found[0].count(pair[0]) == 1 and index.find(pair[0]) == found else None

        return drawn(index, draw, held_out, pair)

    def conversations(seed: int) -> Iterator[Conversation]:
        for quote, after in asked_for(seed, False):
            turns = called("search", index.search, quote) if tools else ()
            # the quote again, since a small model finds its place in a passage by what it has just said
            yield answered(asked(question(quote)), *turns, f"{quote} {after}")

    def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
        return (asked(question(quote)) for quote, _ in asked_for(seed, held_out))

    def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
        """Return 1 for the quote and at least three words that follow it in the passage, without any other.

        The answer may end within a later word, since a small model does not count the words.
        """
        quote = prompt[-1].content.removeprefix(_QUESTION)
        found = index.find(quote)
        words = (quote + found[0].partition(quote)[2]).split() if found else []
        said, least = turns[-1].content, " ".join(words[: QUOTED + LEAST])
        enough = len(said) >= len(least) > 0 and said == said.strip()
        return float(enough and " ".join(words).startswith(said))

    return Lesson(about, conversations, prompts, reward)


def lesson_from(about: str, make: Callable[[Index], Lesson]) -> LessonFrom:
    """Return a lesson that is made from the index of a run."""

    def opened(given: Given) -> Lesson:
        if given.index is None:
            raise ConfigError("This lesson needs the index of a run.", "Give --index FILE, made by `corpus index RUN`.")
        return make(Index(given.index))

    return LessonFrom(about, opened)


_ABOUT = "how a passage of a run goes on, looked up (needs --index)"
_DIRECT = "the same questions, answered from memory (needs --index)"
RECALL = lesson_from(_ABOUT, lambda index: _lesson(_ABOUT, index, True))
DIRECT = lesson_from(_DIRECT, lambda index: _lesson(_DIRECT, index, False))
