"""Spelling: questions about the letters of invented words.

A model reads tokens, not letters, so it asks the calculator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial

from jobs.assistant.calculator import calculate
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Lesson, answered, asked, called, is_held_out, made_word

_QUESTIONS = {
    'Spell "{word}".': '" ".join("{word}")',
    'Write "{word}" backwards.': 'reversed("{word}")',
    'Sort the letters of "{word}".': 'sorted("{word}")',
    'How many "{letter}" are in "{word}"?': '"{word}".count("{letter}")',
}
"""The kinds of questions, and the input for the calculator.

In both, the word is in quotes and has the same tokens, so that a small model can copy it.
"""


def _questions(seed: int, held_out: bool) -> Iterator[str]:
    draw = random.Random(f"spelling {seed} {held_out}")
    while True:
        word = made_word(draw, draw.randrange(3, 6))  # after the same training, shorter words are guessed
        counts = {letter: word.count(letter) for letter in sorted({*word, *"aeinrs"})}
        # drawn among the counts, because otherwise "one" would nearly always be right
        wanted = draw.choice(sorted({*counts.values()}))
        letter = draw.choice([letter for letter, count in counts.items() if count == wanted])
        if is_held_out(word) == held_out:
            yield draw.choice(list(_QUESTIONS)).format(word=word, letter=letter)


def expression(question: str) -> str:
    """Return the input for the calculator that answers a question."""
    for form, asked_for in _QUESTIONS.items():
        pattern = re.escape(form).replace(r"\{word\}", r"(?P<word>\w+)").replace(r"\{letter\}", r"(?P<letter>\w)")
        if found := re.fullmatch(pattern, question):
            return asked_for.format(**found.groupdict())
    raise ValueError("This is not a question of the lesson.")


def conversations(seed: int, tools: bool) -> Iterator[Conversation]:
    """Yield answered questions, with or without a call of the calculator."""
    for question in _questions(seed, False):
        turns = called("calculator", calculate, expression(question))
        yield answered(asked(question), *(turns if tools else ()), turns[1].content)


def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
    return map(asked, _questions(seed, held_out))


def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
    return float(turns[-1].content == calculate(expression(prompt[-1].content)))


SPELLING = Lesson(
    "the letters of words, asked from the calculator", partial(conversations, tools=True), prompts, reward
)
DIRECT = Lesson("the same questions, answered at once", partial(conversations, tools=False), prompts, reward)
