"""Texts of the sample crawl: a small phrase grammar, and topics written in it.

    write_article(random.Random(0), "en") -> Article(title, paragraphs, …)

A topic file holds lines `title:`, `lead:`, `body:` and `end:` under `# topic`. `{a|b}` is one of its parts, nested
at will; `<t1>` and the like are names that stay the same within an article, `<n 3 9>` is a number.
An article is one title, one lead, some bodies in any order and one end.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<(\w+)(?: (\d+) (\d+))?>")
_SENTENCE_START = re.compile(r"(^|[.!?]”? )([a-z])")
_SENTENCE = re.compile(r"(?<=[.!?])[\"”»]? +(?=[A-Z\"“«„¿¡А-Я])")

TOPICS_BY_KIND = {
    "news": ("council", "flood", "football", "museum", "library", "birds", "railway", "sleep"),
    "blog": ("garden", "bread", "bees", "coastwalk", "piano", "bicycle", "money", "astronomy"),
    "forum": ("damp",),
    "recipe": ("soup",),
    "shop": ("kettle",),
    "docs": ("backups",),
}
"""Which of the English topics suit which kind of site; sites in other languages take any of theirs."""


@dataclass(frozen=True, slots=True)
class Article:
    """A title and paragraphs, one line of plain text each."""

    language: str
    topic: str
    title: str
    author: str
    paragraphs: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        """The sentences of all paragraphs."""
        return [s.strip() for p in self.paragraphs for s in _SENTENCE.split(p)]


def write_article(rng: Random, language: str = "en", topic: str = "", bodies: tuple[int, int] = (5, 7)) -> Article:
    """A new article; the number of its body paragraphs is between the `bodies`, as far as the topic has as many."""
    topics = load_topics(language)
    topic = topic or rng.choice(sorted(topics))
    parts = topics[topic]
    names = make_names(rng, language)
    count = min(rng.randint(*bodies), len(parts["body"]))
    chosen = [rng.choice(parts["lead"]), *rng.sample(parts["body"], count), rng.choice(parts["end"])]
    return Article(
        language,
        topic,
        title=spin(rng, rng.choice(parts["title"]), names),
        author=names["p1"],
        paragraphs=tuple(spin(rng, part, names) for part in chosen),
    )


def spin(rng: Random, template: str, names: dict[str, str]) -> str:
    """One text that the template stands for."""
    count = 1
    while count:
        template, count = _CHOICE.subn(lambda found: rng.choice(found[1].split("|")), template)
    text = _SLOT.sub(lambda found: _slot(rng, found, names), template)
    return _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)


def _slot(rng: Random, found: re.Match[str], names: dict[str, str]) -> str:
    slot = found[1]
    if slot == "n":
        return str(rng.randint(int(found[2]), int(found[3])))
    if slot in ("month", "day"):
        return rng.choice(names[slot].split("|"))
    if slot == "year":
        return str(rng.randint(1996, 2021))
    if slot == "oldyear":
        return str(rng.randint(1848, 1931))
    if slot == "oldyear2":
        return str(rng.randint(1946, 1988))
    return names.get(slot, found[0])


def make_names(rng: Random, language: str = "en") -> dict[str, str]:
    """Values for the slots of templates: two people, two towns, and the months and days to choose from."""
    words = load_words(language)
    if "people" in words:
        people = rng.sample(words["people"], 2)
    else:
        firsts, lasts = rng.sample(words["first"], 2), rng.sample(words["last"], 2)
        people = [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]
    towns = rng.sample(words["towns"], 2)
    return {
        "p1": people[0],
        "p2": people[1],
        "p1s": people[0].split()[-1],
        "p2s": people[1].split()[-1],
        "t1": towns[0],
        "t2": towns[1],
        "upt1": towns[0].upper(),
        "month": "|".join(words["months"]),
        "day": "|".join(words["days"]),
    }


@cache
def load_topics(language: str) -> dict[str, dict[str, list[str]]]:
    """Topic to part to the templates of that part."""
    topics: dict[str, dict[str, list[str]]] = {}
    parts: dict[str, list[str]] = {}
    for line in read_data(f"{language}.txt").splitlines():
        if line.startswith("# "):
            parts = topics.setdefault(line[2:], {})
        elif line:
            part, _, template = line.partition(": ")
            parts.setdefault(part, []).append(template)
    return topics


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(read_data(name))


def load_words(language: str) -> dict[str, Any]:
    """Names, months, and the labels of buttons and boxes."""
    words: dict[str, Any] = _toml("words.toml")[language]
    return words


def load_sites(language: str) -> dict[str, list[list[str]]]:
    """Kind of site to (host, name) of its sites."""
    sites: dict[str, list[list[str]]] = _toml("sites.toml")[language]
    return sites


def read_data(name: str) -> str:
    """A file of the sample's data."""
    return resources.files("jobs.sample").joinpath("data", name).read_text(encoding="utf-8")
