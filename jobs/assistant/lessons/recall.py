"""Questions about how a passage of a run continues. The answer is looked up with `search`, or given from memory."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from corpus.errors import ConfigError, InputError
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Given, Lesson, LessonFrom, answered, asked, called, is_held_out
from jobs.assistant.search import Index

QUOTED, ANSWERED = 5, 4
"""The number of words of a question, and of an answer."""

MOST_TRIES = 20_000
"""The most passages that are tried for the next question.

A tenth of them are held out, and some have no clear answer.
"""

_QUESTION = "How does this go on?\n"
_GOES_ON = "… "  # with a space, so that the first word has the same tokens as in a passage


def question(quote: str) -> str:
    return _QUESTION + quote


def quotes(passage: str, draw: random.Random) -> tuple[str, str] | None:
    """Return words from a passage and the words after them, or None if the passage is too short."""
    words = passage.split()
    last = len(words) - QUOTED - ANSWERED
    if last < 0:
        return None
    at = draw.randint(0, last)
    return " ".join(words[at : at + QUOTED]), " ".join(words[at + QUOTED : at + QUOTED + ANSWERED])


def _lesson(about: str, index: Index, tools: bool) -> Lesson:
    def asked_for(seed: int, held_out: bool) -> Iterator[tuple[str, str]]:
        """Yield quotes for which the search finds their passage, and the words that follow.

        The text of a passage decides whether it is held out, so that a copy of the passage is on the same side.
        """
        draw = random.Random(f"recall {seed} {held_out}")
        tries = 0
        while True:
            tries += 1
            if tries > MOST_TRIES:
                raise InputError(f"{index.file} has too few passages to ask about.", "Index a larger run.")
            found = index.passage(draw.randint(1, max(1, index.count)))
            if found is None or is_held_out(found[0]) != held_out:
                continue
            pair = quotes(found[0], draw)
            if pair is not None and found[0].count(pair[0]) == 1 and index.find(pair[0]) == found:
                tries = 0
                yield pair

    def conversations(seed: int) -> Iterator[Conversation]:
        for quote, after in asked_for(seed, False):
            turns = called("search", index.search, quote) if tools else ()
            yield answered(asked(question(quote)), *turns, _GOES_ON + after)

    def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
        return (asked(question(quote)) for quote, _ in asked_for(seed, held_out))

    def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
        """Return 1 if the answer is the next words of the passage, complete and without more."""
        quote = prompt[-1].content.removeprefix(_QUESTION)
        found = index.find(quote)
        words = found[0].partition(quote)[2].split() if found else []
        return float(turns[-1].content == _GOES_ON + " ".join(words[:ANSWERED]))

    return Lesson(about, conversations, prompts, reward)


def _lesson_from(about: str, tools: bool) -> LessonFrom:
    def make(given: Given) -> Lesson:
        if given.index is None:
            raise ConfigError("This lesson needs the index of a run.", "Give --index FILE, made by `corpus index RUN`.")
        return _lesson(about, Index(given.index), tools)

    return LessonFrom(about, make)


RECALL = _lesson_from("how a passage of a run goes on, looked up (needs --index)", True)
DIRECT = _lesson_from("the same questions, answered from memory (needs --index)", False)
