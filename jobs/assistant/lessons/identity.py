"""The assistant's identity: its name, its maker, and the date of its data.

`self` trains one identity into the weights. `self-system` trains a model to read any identity from a system message.
Its test uses an identity that no training has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from corpus.errors import ConfigError
from corpus.json_data import parse_json
from jobs.assistant.conversation import Conversation, Message
from jobs.assistant.lessons.lesson import Given, Lesson, LessonFrom, answered, asked, is_held_out, made_word

MOST = 100
"""The most characters of a name, a maker or a date."""


@dataclass(frozen=True)
class Identity:
    name: str = "Corpus"
    maker: str = "the people of this repository"
    date: str = "November 2026"

    def system(self) -> Message:
        return Message("system", _SYSTEM.format(**asdict(self)))


_SYSTEM = "You are {name}. Your maker is {maker}. Your data is from {date}."


_ABOUT = {
    "I am {name}.": ("what is your name?", "who are you?", "what are you called?", "what do people call you?"),
    "My maker is {maker}.": ("who made you?", "who built you?", "who is your maker?", "who trained you?"),
    "My data is from {date}.": ("how old is your data?", "when was your data collected?", "how recent is your data?",
                                "from when is your data?"),
}  # fmt: skip
"""The questions, by the answer that they need."""

_BEFORE = ("", "Hi, ", "Hello, ", "Please tell me: ", "One question: ", "Say, ", "Excuse me, ", "Well, ", "Now, ",
           "I wonder: ", "Good day, ", "So, ")  # fmt: skip
_ANSWERS = {
    f"{before}{question}" if before else question.capitalize(): answer
    for answer, questions in _ABOUT.items()
    for question in questions
    for before in _BEFORE
}


def read_identity(file: Path | None) -> Identity:
    """Return the identity in a JSON file, or the default one. Raises ConfigError."""
    if file is None:
        return Identity()
    try:
        found = Identity(**parse_json(file.read_bytes()))
        for value in asdict(found).values():
            if not 0 < len(value.encode()) <= MOST or not value.isprintable():
                raise ValueError
    except (OSError, ValueError, TypeError, AttributeError):
        todo = f'Write {{"name": …, "maker": …, "date": …}}, each a text of at most {MOST} bytes.'
        raise ConfigError(f"{file} is no identity.", todo) from None
    return found


def _invented(draw: random.Random) -> Identity:
    name, maker, place = (made_word(draw, draw.randrange(2, 4)).capitalize() for _ in range(3))
    month = draw.choice(("January", "February", "March", "April", "May", "June", "July", "August", "September",
                         "October", "November", "December"))  # fmt: skip
    return Identity(name, draw.choice((maker, f"{maker} {place}", f"the {maker} group")),
                    f"{month} {draw.randrange(1990, 2040)}")  # fmt: skip


def _lesson(about: str, identity: Identity, by_system: bool) -> Lesson:
    def answer(question: str, said: Identity) -> str:
        return _ANSWERS[question].format(**asdict(said))

    def questions(draw: random.Random, held_out: bool) -> Iterator[str]:
        known = [question for question in _ANSWERS if is_held_out(question) == held_out]
        while True:
            yield draw.choice(known)

    def conversations(seed: int) -> Iterator[Conversation]:
        draw = random.Random(f"self {seed}")
        for question in questions(draw, False):
            said = _invented(draw) if by_system else identity
            system = (said.system(),) if by_system else ()
            yield answered((*system, *asked(question)), answer(question, said))

    def prompts(seed: int, held_out: bool) -> Iterator[Conversation]:
        system = (identity.system(),) if by_system else ()
        return ((*system, *asked(one)) for one in questions(random.Random(f"self {seed} {held_out}"), held_out))

    def reward(prompt: Conversation, turns: Sequence[Message]) -> float:
        found = re.fullmatch(_SYSTEM.replace("}", ">.+)").replace("{", "(?P<"), prompt[0].content)
        said = Identity(**found.groupdict()) if found else identity
        return float(turns[-1].content == answer(prompt[-1].content, said))

    return Lesson(about, conversations, prompts, reward)


def _lesson_from(about: str, by_system: bool) -> LessonFrom:
    def make(given: Given) -> Lesson:
        return _lesson(about, read_identity(given.identity), by_system)

    return LessonFrom(about, make)


SELF = _lesson_from("name, maker and date of the data, as trained knowledge", False)
SYSTEM = _lesson_from("the same questions, with the identity in a system message", True)
