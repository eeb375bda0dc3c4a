"""Many pages made from a few, for soak tests. All pages differ, so that no memo knows all words of a page."""

from __future__ import annotations

import gzip
import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.fuzz import real_pages
from tests.warcs import http, record

_WORD = re.compile(rb"(?<=[ >])[a-z]{4,12}(?=[ .,<])")
PAGES_PER_ARCHIVE = 5_000


def variants(seed: int, archives: list[str], most: int = 150, largest: int = 10_000) -> Iterator[bytes]:
    """Endless pages made from real ones: now and then a word is replaced by one that occurs nowhere else."""
    bodies = [body for body in real_pages(archives, most) if len(body) < largest]
    chance = random.Random(seed)
    for number in itertools.count():
        body = bodies[number % len(bodies)]
        skip = chance.randrange(5, 40)
        counter = itertools.count()

        def changed(match: re.Match[bytes], skip: int = skip, number: int = number, counter=counter) -> bytes:
            place = next(counter)
            return match[0] if place % skip else b"%s%x" % (match[0][:4], (number * 7919 + place) & 0xFFFFFF)

        yield _WORD.sub(changed, body)


def write_archives(folder: Path, pages: int, seed: int = 1, archives: list[str] | None = None) -> list[Path]:
    """Archives of 5,000 pages each."""
    made = variants(seed, archives or [])
    paths = []
    for first in range(0, pages, PAGES_PER_ARCHIVE):
        path = folder / f"soak-{first // PAGES_PER_ARCHIVE:04d}.warc.gz"
        with open(path, "wb") as out:
            for number in range(first, min(first + PAGES_PER_ARCHIVE, pages)):
                raw = record("response", f"http://site{number % 997}.example/{number}", http(next(made)), number)
                out.write(gzip.compress(raw, compresslevel=1, mtime=0))
        paths.append(path)
    return paths
