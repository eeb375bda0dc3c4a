"""Labelled pairs made from real texts by realistic edits, and what each way of comparing removes of them.

A pair is alike if both texts have the same body, which was edited: other boilerplate around it, other dates and
numbers, the end cut off, paragraphs moved, or several of these. A pair is unlike if two different bodies stand in one
template. The size of an edit is drawn at random, so that exact Jaccard similarities (of the sets of shingles) lie
anywhere between .3 and 1.
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from corpus.text.shingles import shingles_of
from corpus.text.words import stretches_of

MONTHS = ["January", "March", "April", "May", "June", "July", "August", "October", "November", "December"]


@dataclass(frozen=True)
class Pair:
    kind: str
    alike: bool
    ours: str
    theirs: str
    jaccard: float


def real_texts(data: Path) -> list[str]:
    """The texts of English pages that passed a filter pipeline, each once, of 150 to 1,500 words."""
    table = pq.read_table(data / "parity" / "datatrove_0.10.1.parquet", columns=["final_text"])
    texts = {text.strip() for text in table["final_text"].to_pylist() if text}
    return sorted(text for text in texts if 150 <= len(text.split()) <= 1_500)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, or its sentences if it has three paragraphs or fewer."""
    found = [line for line in text.split("\n") if line.strip()]
    return found if len(found) > 3 else re.split(r"(?<=[.!?])\s+", text)


def words_of(texts: list[str], rng: random.Random, count: int) -> str:
    """A stretch of `count` words of some text: boilerplate that other pages have."""
    words: list[str] = []
    while len(words) < count:
        source = rng.choice(texts).split()
        start = rng.randrange(max(len(source) - 60, 1))
        words += source[start : start + 60]
    return " ".join(words[:count])


def new_boilerplate(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    size = int(len(text.split()) * rng.uniform(0.02, 0.5))
    made = []
    for _ in range(2):
        around = words_of(others, rng, size).split()
        cut = len(around) // 3
        made.append(f"{' '.join(around[:cut])}\n{text}\n{' '.join(around[cut:])}")
    return made[0], made[1]


def new_dates(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    """A news page of another day: dates, names of months and numbers differ, as in listings and reports."""
    words = text.split()
    step = rng.randint(12, 200)
    theirs = [
        rng.choice(MONTHS) if n % step == 0 else re.sub(r"\d", lambda _: str(rng.randrange(10)), w)
        for n, w in enumerate(words)
    ]
    return text, " ".join(theirs)


def cut_off(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    words = text.split()
    return text, " ".join(words[: int(len(words) * rng.uniform(0.35, 0.98))])


def moved(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    parts = paragraphs(text)
    theirs = parts.copy()
    for _ in range(rng.randint(1, 3)):
        theirs.insert(rng.randrange(len(theirs)), theirs.pop(rng.randrange(len(theirs))))
    return "\n".join(parts), "\n".join(theirs)


def several(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    _, theirs = moved(text, others, rng)
    ours, _ = new_boilerplate(text, others, rng)
    if rng.random() < 0.5:
        _, theirs = new_dates(theirs, others, rng)
    return ours, theirs


def one_template(text: str, others: list[str], rng: random.Random) -> tuple[str, str]:
    """Two bodies in one template, which is half to three quarters of the page."""
    other = others[0]
    size = min(len(text.split()), len(other.split()))
    bodies = [" ".join(body.split()[:size]) for body in (text, other)]
    share = rng.uniform(0.45, 0.75)
    template = words_of(others[1:], rng, int(size * share / (1 - share))).split()
    half = len(template) // 2
    head, foot = " ".join(template[:half]), " ".join(template[half:])
    return f"{head}\n{bodies[0]}\n{foot}", f"{head}\n{bodies[1]}\n{foot}"


EDITS: dict[str, tuple[bool, Callable[[str, list[str], random.Random], tuple[str, str]]]] = {
    "boilerplate": (True, new_boilerplate),
    "dates": (True, new_dates),
    "cut off": (True, cut_off),
    "moved": (True, moved),
    "several": (True, several),
    "one template": (False, one_template),
}


def bodies_of(texts: list[str]) -> list[str]:
    """Stretches of whole lines, of some 200 to 500 words each, which do not overlap."""
    bodies = []
    for text in texts:
        lines: list[str] = []
        size = 0
        for line in paragraphs(text):
            lines.append(line)
            size += len(line.split())
            if size >= 200:
                bodies.append("\n".join(lines))
                lines, size = [], 0
    return [" ".join(body.split(" ")[:500]) for body in bodies]


def made_pairs(data: Path, each: int, seed: int = 0) -> list[Pair]:
    """`each` pairs of every kind, with exact Jaccard similarities of .3 to 1. No stretch of text is the body of two
    pairs."""
    rng = random.Random(seed)
    texts = real_texts(data)
    rng.shuffle(texts)
    cut = len(texts) * 4 // 5
    bodies, others = bodies_of(texts[:cut]), texts[cut:]
    rng.shuffle(bodies)
    pairs = []
    for kind, (alike, edit) in EDITS.items():
        found = 0
        while found < each and bodies:
            body = bodies.pop()
            ours, theirs = edit(body, others if alike else [bodies.pop(), *others], rng)
            value = jaccard(ours, theirs)
            if 0.3 <= value < 1:
                pairs.append(Pair(kind, alike, ours, theirs, value))
                found += 1
    return pairs


def jaccard(ours: str, theirs: str, numbers: bool = False) -> float:
    a, b = (shingles_of(stretches_of(text), numbers=numbers) for text in (ours, theirs))
    return len(np.intersect1d(a, b)) / max(len(np.union1d(a, b)), 1)


def articles(data: Path, name: str) -> tuple[dict[str, str], set[frozenset[str]]]:
    """The articles of shared/data/dedup by id, and the pairs that are known to be alike."""
    with gzip.open(data / "dedup" / f"{name}.train.gz", "rt") as lines:
        texts = dict(line.rstrip("\n").split(" ", 1) for line in lines)
    with gzip.open(data / "dedup" / f"{name}.truth.gz", "rt") as lines:
        return texts, {frozenset(line.split()) for line in lines if line.strip()}


def bins(values: np.ndarray, width: float = 0.1) -> list[tuple[float, np.ndarray]]:
    """The bins that hold any value, as (lower end, indices of the values)."""
    lower = np.floor(values / width + 1e-9) * width
    return [(float(low), np.flatnonzero(lower == low)) for low in np.unique(lower)]
