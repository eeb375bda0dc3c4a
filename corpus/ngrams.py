"""Repeated n-grams of words, counted in characters as Gopher's repetition rules count them.

The definitions are datatrove's (`gopher_repetition_filter.py`, 0.10.1):

    top          the most frequent n-gram, joined by spaces: its length times its count; the first seen wins a tie,
                 and a count of one counts, so that a text of one n-gram is all repetition
    duplicated   walking from the left, an n-gram seen before adds its length, joined without spaces, and the walk
                 skips its n words; n-grams are the same when their joined texts are ("ab" "c" is "a" "bc")

numpy finds the few candidates on integers; whatever is counted is then decided on the words and the text
themselves, so that no hash collision, made or met by chance, can change a result.

    top_ngram_chars("to be or not to be".split(), [2])          # {2: 10}, "to be" twice
    duplicate_ngram_chars("a b c a b c".split(), [3])           # {3: 3}, "abc" once more
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

# An odd multiplier has an inverse mod 2^64, by which the hash of a slice follows from two prefix sums.
_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 2**64)

_TABLE_BITS = 14
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)


def top_ngram_chars(words: Sequence[str], sizes: Iterable[int]) -> dict[int, int]:
    """The characters of the most frequent n-gram times its count, by n; 0 where there are fewer than n words.

    No word may hold whitespace.
    """
    ids, distinct = _word_ids(words)
    ends = _ends(words)
    return {n: _top(ids, distinct, ends, n) if n <= len(words) else 0 for n in sizes}


def duplicate_ngram_chars(words: Sequence[str], sizes: Iterable[int]) -> dict[int, int]:
    """The characters in repeated n-grams, none counted twice, by n; 0 where there are fewer than n words."""
    text = "".join(words)
    ends = _ends(words)
    prefixes, scale = _prefix_hashes(text, ends)
    return {n: _duplicates(text, ends, prefixes, scale, n) if n < len(words) else 0 for n in sizes}


def _ends(words: Sequence[str]) -> Ints:
    """Where words start and end in their joined text: n + 1 offsets from 0."""
    ends = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, words), dtype=np.int64, count=len(words)), out=ends[1:])
    return ends


def _word_ids(words: Sequence[str]) -> tuple[Ints, int]:
    """An integer below the second value for each word, equal for equal words."""
    last = dict(zip(words, range(len(words)), strict=True))
    return np.fromiter(map(last.__getitem__, words), dtype=np.int64, count=len(words)), len(words)


def _top(ids: Ints, distinct: int, ends: Ints, n: int) -> int:
    grams, radix = ids[: len(ids) - n + 1], distinct
    for i in range(1, n):
        if radix * distinct >= 2**63:  # number the grams so far anew, densely, so that the next digit fits
            grams = np.unique(grams, return_inverse=True)[1].astype(np.int64)
            radix = len(ids)
        grams = grams * distinct + ids[i : len(ids) - n + 1 + i]
        radix *= distinct
    order = np.argsort(grams)
    ordered = grams[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=len(ordered))
    count = int(counts.max())
    first = int(np.minimum.reduceat(order, starts)[counts == count].min())
    return (int(ends[first + n] - ends[first]) + n - 1) * count


def _prefix_hashes(text: str, ends: Ints) -> tuple[Hashes, Hashes]:
    """For each word boundary e, the sum of char[i] * base^i over i < e, and base^-e, both mod 2^64."""
    chars = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    powers = _powers(_BASE, len(chars))
    powers *= chars + np.uint64(1)
    sums = np.zeros(len(chars) + 1, dtype=np.uint64)
    np.cumsum(powers, out=sums[1:])
    return sums[ends], _powers(_BASE_INVERSE, len(chars) + 1)[ends]


def _powers(base: int, count: int) -> Hashes:
    """base^0 … base^(count - 1) mod 2^64."""
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, out=powers)


def _duplicates(text: str, ends: Ints, prefixes: Hashes, scale: Hashes, n: int) -> int:
    hashes = (prefixes[n:] - prefixes[:-n]) * scale[:-n]
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return 0
    # A table over the top bits lets some others through too, at a tenth of the time of np.isin.
    table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
    table[repeated >> _TABLE_SHIFT] = True
    candidates = np.flatnonzero(table[hashes >> _TABLE_SHIFT])
    starts, stops = ends[candidates].tolist(), ends[candidates + n].tolist()
    seen: set[str] = set()
    characters = free_from = 0
    for position, start, stop in zip(candidates.tolist(), starts, stops, strict=True):
        if position < free_from:
            continue
        gram = text[start:stop]
        if gram in seen:
            characters += stop - start
            free_from = position + n
        else:
            seen.add(gram)
    return characters
