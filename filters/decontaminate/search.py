"""Find benchmark items in a text, in time linear in its length.

The n-grams of the text that the index has are *hits*. Hits of one index text whose distances between text and page are
nearly equal form a *cluster*: a copy of the index text, perhaps with a few words more or fewer. Each word of the index
text is compared with the word of the page at the distance of the nearest hit before it, and of the nearest one after
it. So a changed word costs one word, and not all n-grams that it is in. All clusters of a page are compared at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.text.vocabulary import Flags, Hashes, Ints, runs
from filters.decontaminate.index import ANY, MOST_WORDS, EvalIndex

LEAST = 0.5
"""A smaller overlap counts as 0."""

WINDOW = 50
"""The most words between a text and its partner."""

_BLOCK = 1 << 16
"""The words of a page that are searched at a time."""

_GAP, _DRIFT = 12, 16
"""A cluster ends where the distance jumps by more words, and its distances differ by fewer words."""

_PLACES = 16
"""The most places in a block where a text is looked at. A hostile page may repeat it any number of times."""

_SHORT_PARTNER = 4
"""A partner of more words is near if three in four of its words are there in their places."""


@dataclass(frozen=True, slots=True)
class Found:
    """An item in a text: its number in the index, the overlap, and the words [start, end) of the text."""

    item: int
    overlap: float
    start: int
    end: int


def search(index: EvalIndex, words: Hashes) -> list[Found]:
    """Return the items of an index in a text with these words, in order."""
    found: dict[Found, None] = {}
    for start in range(0, max(len(words) - 2 * MOST_WORDS, 1), _BLOCK - 2 * MOST_WORDS):
        found |= dict.fromkeys(_search(index, words[start : start + _BLOCK], start))
    return list(found)


def _search(index: EvalIndex, words: Hashes, shift: int) -> Iterator[Found]:
    hits, places = index.grams(words)
    texts, hits, places = _enough(index, hits, places)
    if not len(texts):
        return
    page = words.astype(np.uint32) | np.uint32(1)
    links, first = index.arrays["links"], index.arrays["text_links"]
    for text, overlap, start, end in _compare(index, _clusters(index, texts, places, hits - places), page):
        for link in range(int(first[text]), int(first[text + 1])):
            item, partner = links[2 * link : 2 * link + 2].tolist()
            place = (start, end) if not partner else _near(index, page, partner - 1, start, end)
            if place is not None:
                yield Found(item, overlap, place[0] + shift, place[1] + shift)


def _enough(index: EvalIndex, hits: Ints, places: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the texts, the hits and the places of the hits in texts that have enough hits. Most pages have none."""
    # of one type, because searchsorted would convert the whole array
    texts = index.arrays["text_starts"].searchsorted(places.astype(np.uint32), "right") - 1
    order = texts.argsort(kind="stable")
    texts = texts[order]
    begin = _changes(texts)
    sizes = _sizes(begin, len(texts))
    enough = sizes >= index.arrays["text_needed"][texts[begin]]
    chosen = order[runs(begin[enough], sizes[enough])]
    return np.repeat(texts[begin[enough]], sizes[enough]), hits[chosen], places[chosen]


def _changes(*columns: Ints) -> Ints:
    """Return where the rows of some columns differ from the row before them. The first row does."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new.nonzero()[0]


def _sizes(begin: Ints, end: int) -> Ints:
    """Return the sizes of pieces that begin at `begin`."""
    sizes = np.empty(len(begin), np.int64)
    sizes[:-1] = begin[1:] - begin[:-1]
    sizes[-1:] = end - begin[-1:]
    return sizes


@dataclass(frozen=True)
class _Clusters:
    """Clusters, ordered: the text of each, and its hits one cluster after another."""

    text: Ints
    first: Ints
    """Where the hits of each cluster begin, and their number."""
    places: Ints
    distances: Ints
    main: Ints
    """The distance of the most hits of each cluster."""


def _clusters(index: EvalIndex, texts: Ints, places: Ints, distances: Ints) -> _Clusters:
    """Return the clusters of some hits that have enough of them."""
    order = np.lexsort((places, distances, texts))
    texts, places, distances = texts[order], places[order], distances[order]
    jumps = np.zeros(len(texts), np.int64)
    np.cumsum(distances[1:] - distances[:-1] > _GAP, out=jumps[1:])
    begin = _changes(texts, jumps)
    # a repeated phrase gives hits at all distances, so a long cluster is divided
    parts = (distances - np.repeat(distances[begin], _sizes(begin, len(texts)))) // _DRIFT
    begin = _changes(texts, jumps, parts)
    sizes = _sizes(begin, len(texts))
    enough = sizes >= index.arrays["text_needed"][texts[begin]]
    begin, sizes = begin[enough], sizes[enough]
    chosen = runs(begin, sizes)
    numbers = np.repeat(np.arange(len(begin)), sizes)
    first = np.zeros(len(begin) + 1, np.int64)
    np.cumsum(sizes, out=first[1:])
    places, distances = places[chosen], distances[chosen]
    order = np.lexsort((places, numbers))
    return _Clusters(texts[begin], first, places[order], distances[order], _main(numbers, distances))


def _main(numbers: Ints, distances: Ints) -> Ints:
    """Return the most frequent distance of each cluster, the least if several are."""
    begin = _changes(numbers, distances)
    order = begin[np.lexsort((-_sizes(begin, len(numbers)), numbers[begin]))]
    return distances[order[_changes(numbers[order])]]


def _compare(index: EvalIndex, clusters: _Clusters, page: NDArray[np.uint32]) -> Iterator[tuple[int, float, int, int]]:
    """Yield the text, the overlap and the place of each cluster that is a copy of its text."""
    if not len(clusters.text):
        return
    starts = index.arrays["text_starts"][clusters.text].astype(np.int64)
    sizes = index.arrays["text_starts"][clusters.text + 1] - starts
    words = runs(starts, sizes)
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    step = np.int64(len(index.arrays["words"]) + 1)
    hit_numbers = np.repeat(np.arange(len(sizes)), clusters.first[1:] - clusters.first[:-1])
    after = np.searchsorted(hit_numbers * step + clusters.places, numbers * step + words, "right")
    before = np.maximum(after - 1, clusters.first[numbers])
    after = np.minimum(after, clusters.first[numbers + 1] - 1)
    wanted = index.arrays["words"][words]
    place, same = _same(page, words + clusters.main[numbers], wanted)
    for nearest in (before, after):
        other, also = _same(page, words + clusters.distances[nearest], wanted)
        place = np.where(same, place, other)
        same |= also
    begins = np.cumsum(sizes) - sizes
    counts = (wanted & np.uint32(1)).astype(np.int64)
    overlaps = np.add.reduceat(same * counts, begins) / np.maximum(np.add.reduceat(counts, begins), 1)
    misses = sizes - np.add.reduceat(same.astype(np.int64), begins)
    allowed = index.arrays["text_misses"][clusters.text]
    good = (overlaps >= LEAST) & ((allowed == ANY) | (misses <= allowed))
    start = np.minimum.reduceat(np.where(same, place, len(page)), begins)
    end = np.maximum.reduceat(np.where(same, place, -1), begins) + 1
    seen: dict[int, int] = {}
    for number in np.flatnonzero(good).tolist():
        text = int(clusters.text[number])
        seen[text] = seen.get(text, 0) + 1
        if seen[text] <= _PLACES:
            yield text, float(overlaps[number]), int(start[number]), int(end[number])


def _same(page: NDArray[np.uint32], places: Ints, wanted: NDArray[np.uint32]) -> tuple[Ints, Flags]:
    """Return the places inside the page, and whether each holds the wanted word."""
    inside = np.clip(places, 0, len(page) - 1)
    return inside, (page[inside] == wanted | np.uint32(1)) & (inside == places)


def _near(index: EvalIndex, page: NDArray[np.uint32], partner: int, start: int, end: int) -> tuple[int, int] | None:
    """Return the place of a text together with its partner, or None if the partner is not near."""
    first, last = index.arrays["partner_starts"][partner : partner + 2].tolist()
    wanted = index.arrays["partners"][first:last]
    size = len(wanted)
    for low, high in ((end, end + WINDOW + size), (start - WINDOW - size, start)):
        low, high = max(low, 0), min(high, len(page))
        if high - low < size:
            continue
        same = np.lib.stride_tricks.sliding_window_view(page[low:high], size) == wanted
        if size > _SHORT_PARTNER:  # a word more or fewer moves the words after it
            same = same | np.roll(same, 1, 0) | np.roll(same, -1, 0)
        counts = same.sum(1)
        best = int(counts.argmax())
        if counts[best] >= (size if size <= _SHORT_PARTNER else size - size // 4):
            return min(start, low + best), max(end, low + best + size)
    return None
