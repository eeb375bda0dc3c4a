"""Shingles: the 5-grams of a text's normalized words, each as a 64-bit hash.

    ours, theirs = shingles_of(stretches_of(text)), shingles_of(stretches_of(other))
    np.intersect1d(ours, theirs)     # the shingles that two texts share

The normalization is datatrove's (`utils/text.py`, `simplify_text`, 0.10.1): lower case, numbers to "0", punctuation to
spaces, diacritics removed. With `numbers`, numbers are not changed to "0", so that two price lists differ. Whitespace
separates all of its steps: no whitespace is case-ignorable, a digit or a mark, and none comes from lowering or
decomposing. So each stretch can be normalized on its own, and a table from stretch to words gives the words of the
whole text. Three differences are intended:

- Words are those of `corpus.text.words`, which treats very long stretches and lone surrogates differently.
- Digits are those of Python's Unicode. datatrove uses the `regex` package, which may know newer scripts.
- A stretch of over 200 characters is decomposed in slices, because sorting its marks into canonical order takes
  quadratic time (3 s for 40,000 marks). Only spacing marks (Mc) on both sides of a cut could change their order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import chain

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpus.text.punctuation import PUNCTUATION
from corpus.text.vocabulary import Hashes as Hashes
from corpus.text.vocabulary import Ints, runs
from corpus.text.words import LONG_STRETCH, TABLE_LIMIT, TextStretches, split_words
from native import kernels

SIZE = 5
"""The number of words per shingle."""

# decimal separators of several scripts, between digits of any script
_NUMBER = re.compile(r"\d+([.,،٫⎖⎗⎘]\d+)?")
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(PUNCTUATION, " "))

_ODD = np.uint64(0x9E3779B97F4A7C15)  # multiplying by an odd number mod 2^64 loses nothing
_FMIX64 = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


def normal_words(text: str, language: str = "en", numbers: bool = False) -> list[str]:
    """Return the words of the normalized text, in order. Raises the ConfigError of `corpus.text.words.check_language`.

    Words of long stretches are not cached, because a page can have any number of them.
    """
    return [
        word
        for stretch in text.split()
        for word in (_normal_words if len(stretch) > LONG_STRETCH else _remembered_words)(stretch, language, numbers)
    ]


def shingles_of(stretches: TextStretches, size: int = SIZE, numbers: bool = False) -> Hashes:
    """Return a hash for each run of `size` normalized words, in order and with repetition. A text with fewer words has
    none.

    A word's hash is the XXH3-64 of its UTF-8. `fold` joins the hashes of a run.
    """
    language = stretches.table.language
    kind = HashKind.NUMBERED if numbers else HashKind.PLAIN
    hashes = hashes_of(stretches, kind, lambda stretch: _normal_words(stretch, language, numbers))
    return kernels.shingles(hashes, size)


class HashKind(IntEnum):
    """A way of normalizing words: as MinHash does, the same with unchanged numbers, or as benchmark items are."""

    PLAIN = 0
    NUMBERED = 1
    ITEMS = 2


def hashes_of(stretches: TextStretches, kind: HashKind, words: Callable[[str], list[str]]) -> Hashes:
    """Return the hashes of a text's normalized words, in order.

    `words` normalizes the stretches that the kernel can't: those beyond ASCII, and some others. What it returns must
    depend on the stretch and the table's language only.
    """
    kernel = stretches.table.kernel
    hashes, waiting = kernel.hashes(kind, stretches.numbers)
    if waiting:
        for number in waiting:
            kernel.set_hashes(kind, number, word_hashes(words(kernel.stretch(number))))
        hashes, _ = kernel.hashes(kind, stretches.numbers)
    return hashes


def word_hashes(words: Sequence[str]) -> list[int]:
    """Return the XXH3-64 of the UTF-8 of each word."""
    return [xxhash.xxh3_64_intdigest(word.encode()) for word in words]


def joined_shingles(text: str, language: str = "en", size: int = SIZE, numbers: bool = False) -> Hashes:
    """Return datatrove's hash of each run of `size` words: the XXH64 of the words joined by spaces.

    Slow. Use it to compare with datatrove.
    """
    words = normal_words(text, language, numbers)
    joined = [" ".join(words[i : i + size]).encode() for i in range(len(words) - size + 1)]
    return np.fromiter(map(xxhash.xxh64_intdigest, joined), dtype=np.uint64, count=len(joined))


def fold(columns: Sequence[Hashes]) -> Hashes:
    """Return one 64-bit hash per row of several columns of integers. The order of the columns matters.

        h = first column;  for each other: h = h * odd + column;  then MurmurHash3's fmix64, all mod 2^64

    Rows that differ in one column never collide. Swapping two values changes the hash unless they agree in 60 bits.
    """
    hashes = columns[0].astype(np.uint64)
    for column in columns[1:]:
        hashes *= _ODD
        hashes += column
    shifted = np.empty_like(hashes)
    for factor in _FMIX64:
        np.right_shift(hashes, np.uint64(33), out=shifted)
        hashes ^= shifted
        hashes *= factor
    np.right_shift(hashes, np.uint64(33), out=shifted)
    hashes ^= shifted
    return hashes


def shingle_similarity(sets: pa.Array, *, contained: bool) -> Callable[[Ints, Ints], NDArray[np.float64]]:
    """Return a function that takes the indices of documents and keepers and returns the similarity of each pair.

    The similarity is the Jaccard similarity or, if `contained`, the share of a document's shingles that the keeper has.
    `sets` holds the distinct hashes of each document as 32-bit integers.
    """
    offsets = np.frombuffer(sets.buffers()[1], dtype="<i4")[sets.offset :][: len(sets) + 1]  # in bytes
    ends = offsets.astype(np.int64) // 4
    values = np.frombuffer(sets.buffers()[2] or b"", dtype="<u4")
    sizes = np.diff(ends)

    def similarity(docs: Ints, keepers: Ints) -> NDArray[np.float64]:
        common = np.empty(len(docs), dtype=np.int64)
        start = 0
        while start < len(docs):
            held = np.cumsum(sizes[docs[start : start + _PAIRS]] + sizes[keepers[start : start + _PAIRS]])
            stop = start + max(int(np.searchsorted(held, _HASHES, side="right")), 1)
            block = slice(start, stop)
            common[block] = _common_of_pairs(values, ends, docs[block], keepers[block])
            start = stop
        whole = sizes[docs] if contained else sizes[docs] + sizes[keepers] - common
        return np.asarray(common / np.maximum(whole, 1))

    return similarity


_PAIRS = 1 << 12
_HASHES = 1 << 18  # the number of hashes in the pairs that are compared at a time: a few MB


def _common_of_pairs(values: NDArray[np.uint32], ends: Ints, ours: Ints, theirs: Ints) -> Ints:
    """Count the hashes that the two sets of each pair share. A shared hash occurs twice with the pair's number."""
    rows = []
    for docs in (ours, theirs):
        sizes = ends[docs + 1] - ends[docs]
        pair = np.repeat(np.arange(len(docs), dtype=np.uint64), sizes)
        rows.append(pair << np.uint64(32) | values[runs(ends[docs], sizes)])
    both = np.sort(np.concatenate(rows))
    twice = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
    return np.bincount(twice.astype(np.int64), minlength=len(ours))


def _normal_words(stretch: str, language: str, numbers: bool) -> list[str]:
    lower = stretch.lower()
    text = (lower if numbers else _NUMBER.sub("0", lower)).translate(_PUNCTUATION_TO_SPACE)
    if not text.isascii():
        slices = (text[i : i + LONG_STRETCH] for i in range(0, len(text), LONG_STRETCH))
        decomposed = chain.from_iterable(unicodedata.normalize("NFD", part) for part in slices)
        text = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    return split_words(text, language)


_remembered_words = lru_cache(TABLE_LIMIT)(_normal_words)
