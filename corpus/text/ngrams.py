"""Count the characters of repeated word n-grams, as Gopher's repetition rules do.

The definitions are datatrove's (`gopher_repetition_filter.py`, 0.10.1):

    top          The length of the most frequent n-gram, joined by spaces, times its count. The first seen wins a tie.
                 A count of one is enough, so a text of one n-gram is all repetition.
    duplicated   Walk from the left. An n-gram seen before adds its length, joined without spaces, and the walk
                 skips its n words. N-grams are equal if their joined texts are ("ab" "c" equals "a" "bc").

numpy finds a few candidates by arithmetic on integers. The count is then decided on the words and the text
themselves, so no hash collision, by chance or on purpose, can change a result.

    top_ngram_chars(Words.of("to be or not to be".split()), [2])          # {2: 10}, "to be" twice
    duplicate_ngram_chars(Words.of("a b c a b c".split()), [3])           # {3: 3}, "abc" once more
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from corpus.text.vocabulary import HASH_BASE, POWERS, Hashes, Ints, Powers, Words

_INVERSE_POWERS = Powers(pow(HASH_BASE, -1, 2**64))

_TABLE_BITS = 14
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)


def top_ngram_chars(words: Words, sizes: Iterable[int]) -> dict[int, int]:
    """Return, for each n, the length of the most frequent n-gram times its count, or 0 if there are fewer than n words.

    No word may contain whitespace.
    """
    ids = words.vocabulary.dense(words.numbers)
    ends = _ends(words)
    return {n: _top(ids, ends, n) if n <= len(words) else 0 for n in sizes}


def duplicate_ngram_chars(words: Words, sizes: Iterable[int]) -> dict[int, int]:
    """Return, for each n, the characters in repeated n-grams, each counted once, or 0 if there are fewer than n
    words."""
    ends = _ends(words)
    prefixes, scale = _prefix_hashes(words, ends)
    text = cache(lambda: "".join(words.strings))  # this is rarely needed
    return {n: _duplicates(text, ends, prefixes, scale, n) if n < len(words) else 0 for n in sizes}


def _ends(words: Words) -> Ints:
    """Return the n + 1 offsets at which words start and end in their joined text."""
    ends = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(words.lengths, out=ends[1:])
    return ends


def _top(ids: Ints, ends: Ints, n: int) -> int:
    grams, radix = ids[: len(ids) - n + 1], len(ids)
    for i in range(1, n):
        if radix * len(ids) >= 2**63:  # renumber the grams densely, so that the next digit fits
            grams = np.unique(grams, return_inverse=True)[1].astype(np.int64)
            radix = len(ids)
        grams = grams * len(ids) + ids[i : len(ids) - n + 1 + i]
        radix *= len(ids)
    ordered = np.sort(grams)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    lasts = np.empty(len(changes) + 2, np.int64)  # the last index of each run of equal grams, after an initial -1
    lasts[0], lasts[1:-1], lasts[-1] = -1, changes, len(ordered) - 1
    counts = lasts[1:] - lasts[:-1]
    count = int(counts.max())
    first = 0
    if count > 1:
        most = ordered[lasts[1:][counts == count]]
        nearest = np.minimum(np.searchsorted(most, grams), len(most) - 1) if len(most) > 1 else 0
        first = int((grams == most[nearest]).argmax())
    return (int(ends[first + n] - ends[first]) + n - 1) * count


def _prefix_hashes(words: Words, ends: Ints) -> tuple[Hashes, Hashes]:
    """Return, for each word boundary e, the sum of (char[i] + 1) * base^i over i < e, and base^-e, both mod 2^64."""
    size = int(ends[-1])
    sums = np.zeros(len(ends), dtype=np.uint64)
    np.cumsum(words.hashes * POWERS.at(ends[:-1], size), out=sums[1:])
    return sums, _INVERSE_POWERS.at(ends, size)


def _duplicates(text: Callable[[], str], ends: Ints, prefixes: Hashes, scale: Hashes, n: int) -> int:
    hashes = (prefixes[n:] - prefixes[:-n]) * scale[:-n]
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return 0
    # A table of the top bits takes a tenth of the time of np.isin. It also lets some unrepeated n-grams through.
    table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
    table[repeated >> _TABLE_SHIFT] = True
    candidates = np.flatnonzero(table[hashes >> _TABLE_SHIFT])
    starts, stops = ends[candidates].tolist(), ends[candidates + n].tolist()
    seen: set[str] = set()
    joined = text()
    characters = free_from = 0
    for position, start, stop in zip(candidates.tolist(), starts, stops, strict=True):
        if position < free_from:
            continue
        gram = joined[start:stop]
        if gram in seen:
            characters += stop - start
            free_from = position + n
        else:
            seen.add(gram)
    return characters
