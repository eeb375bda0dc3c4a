"""Texts of the sample crawl: a small phrase grammar, and topics written in it.

    write_article(random.Random(0), "en") -> Article(title, author, paragraphs)

A topic is a block of lines under `# topic` in a data file. Each line is one template for a part of a text, such as
`title: {Roof|Window} repairs in <t1>`. `{a|b}` stands for one of its alternatives, which may hold further ones.
`<n 3 9>` is a number, `<month>` a month; `<t1>` and the like are names that stay the same within a text.
An article is one title, one `lead`, several `body` paragraphs in any order and one `end`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import cycle, islice
from random import Random
from typing import Any

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<(\w+)(?: (\d+) (\d+))?>")
_SENTENCE_START = re.compile(r"(^|[.!?]”? )([a-z])")
_SENTENCE = re.compile(r"(?<=[.!?])[\"”»]? +(?=[A-Z\"“«„¿¡А-Я])")
_YEARS = {"year": ("1996", "2021"), "oldyear": ("1848", "1931"), "oldyear2": ("1946", "1988")}


@dataclass(frozen=True, slots=True)
class Article:
    """A title and paragraphs. Each paragraph is one line of plain text."""

    title: str
    author: str
    paragraphs: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """The sentences of all paragraphs."""
        return [s.strip() for p in self.paragraphs for s in _SENTENCE.split(p)]


def write_article(rng: Random, language: str = "en", topic: str = "", bodies: tuple[int, int] = (5, 7)) -> Article:
    """Write a new article. It has between `bodies[0]` and `bodies[1]` body paragraphs, or all that the topic offers."""
    topics = load_topics(language)
    parts = topics[topic or rng.choice(sorted(topics))]
    names = make_names(rng, language)
    count = min(rng.randint(*bodies), len(parts["body"]))
    chosen = [rng.choice(parts["lead"]), *rng.sample(parts["body"], count), rng.choice(parts["end"])]
    title = spin(rng, rng.choice(parts["title"]), names)
    return Article(title, names["p1"], tuple(spin(rng, part, names) for part in chosen))


class Phrases:
    """Texts from one topic of cases.txt, all with the same names."""

    def __init__(self, rng: Random, topic: str) -> None:
        self.rng = rng
        self.parts = load_topics("cases")[topic]
        self.names = make_names(rng)

    def one(self, part: str = "line") -> str:
        """One text of a part."""
        return spin(self.rng, self.rng.choice(self.parts[part]), self.names)

    def some(self, count: int, part: str = "line") -> list[str]:
        """`count` texts of a part. Each template is used before one comes again."""
        templates = self.rng.sample(self.parts[part], len(self.parts[part]))
        return [spin(self.rng, template, self.names) for template in islice(cycle(templates), count)]


def spin(rng: Random, template: str, names: dict[str, str]) -> str:
    """Return one of the texts that the template stands for."""
    count = 1
    while count:
        template, count = _CHOICE.subn(lambda found: rng.choice(found[1].split("|")), template)
    text = _SLOT.sub(lambda found: _slot(rng, found, names), template)
    return _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)


def _slot(rng: Random, found: re.Match[str], names: dict[str, str]) -> str:
    slot, *bounds = found.groups()
    if slot == "n" or slot in _YEARS:
        low, high = _YEARS.get(slot, bounds)
        return str(rng.randint(int(low), int(high)))
    if slot in ("month", "day"):
        return rng.choice(names[slot].split("|"))
    return names.get(slot, found[0])


def make_names(rng: Random, language: str = "en") -> dict[str, str]:
    """Return values for slots: two people and two towns that are chosen, and all months and days as alternatives."""
    words = load_toml("words.toml")[language]
    if "people" in words:
        people = rng.sample(words["people"], 2)
    else:
        people = list(map(" ".join, zip(rng.sample(words["first"], 2), rng.sample(words["last"], 2), strict=True)))
    towns = rng.sample(words["towns"], 2)
    return {
        "p1": people[0],
        "p1s": people[0].split()[-1],
        "p2": people[1],
        "p2s": people[1].split()[-1],
        "t1": towns[0],
        "upt1": towns[0].upper(),
        "t2": towns[1],
        "month": "|".join(words["months"]),
        "day": "|".join(words["days"]),
    }


@cache
def load_topics(name: str) -> dict[str, dict[str, list[str]]]:
    """Read the topics of a data file: topic to part to templates. The file is named by its language, or "cases"."""
    topics: dict[str, dict[str, list[str]]] = {}
    for line in read_data(f"{name}.txt").splitlines():
        if line.startswith("# "):
            parts = topics.setdefault(line[2:], {})
        elif line:
            part, _, template = line.partition(": ")
            parts.setdefault(part, []).append(template)
    return topics


@cache
def load_toml(name: str) -> dict[str, dict[str, Any]]:
    """Read a data file of tables."""
    return tomllib.loads(read_data(name))


@cache
def read_data(name: str) -> str:
    """Read a data file of the sample crawl."""
    return resources.files("jobs.sample").joinpath("data", name).read_text(encoding="utf-8")
