"""Shingles: a text as the 5-grams of its normalised words, each as a 64-bit hash.

    ours, theirs = shingle_set(shingles(text)), shingle_set(shingles(other))
    jaccard(ours, theirs)       # exact, up to collisions of 64-bit hashes

The normalisation is datatrove's (`utils/text.py`, `simplify_text`, 0.10.1): lower case, numbers to "0", punctuation
to spaces, diacritics dropped. Whitespace separates everything in it: no whitespace is case-ignorable, a digit, a
mark, or made by lowering or decomposing, so each stretch between whitespace can be normalised on its own, and a memo
from stretch to words gives the words of the whole text. What differs, by intent:

- words are those of `corpus.text.words`, with what it says of very long stretches and of lone surrogates;
- digits are those of Python's Unicode (datatrove's are those of the `regex` package, which may know newer scripts);
- a stretch longer than 200 characters is decomposed in slices, because putting marks in canonical order takes
  quadratic time (3 s for 40,000 of them); only marks that take a place of their own (Mc) could come out in another
  order, and only across a cut.
"""

from __future__ import annotations

import hashlib
import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, compress, repeat
from typing import Literal

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from corpus.text.punctuation import PUNCTUATION
from corpus.text.vocabulary import Column, runs
from corpus.text.words import LONG_STRETCH, Memo, Stretched, Stretches, split_in_passing, stretched

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

SIZE = 5
"""Words per shingle."""

# Decimal separators of several scripts, between digits of any script.
_NUMBER = re.compile(r"\d+([.,،٫⎖⎗⎘]\d+)?")
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(PUNCTUATION, " "))

_ODD = np.uint64(0x9E3779B97F4A7C15)  # so that a product mod 2^64 loses nothing
_FMIX64 = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


def normal_words(text: str, language: str = "en") -> list[str]:
    """The words of the normalised text, in order. Raises ConfigError where `corpus.text.words.check_language` does."""
    return list(chain.from_iterable(map(_words_of(language).__getitem__, text.split())))


def shingles(text: str, language: str = "en", size: int = SIZE) -> Hashes:
    """A hash for each run of `size` normalised words, in order and with repetition; none for a shorter text.

    A word's hash is XXH3-64 of its UTF-8; those of a run are joined by `fold`.
    """
    return shingles_of(stretched(text, language), size)


def shingles_of(stretches: Stretched, size: int = SIZE) -> Hashes:
    """The same for a text by its stretches."""
    words = stretches.table.beside(_Hashed).of(stretches.numbers)
    count = len(words) - size + 1
    return fold([words[i : i + count] for i in range(size)]) if count > 0 else np.zeros(0, np.uint64)


def joined_shingles(
    text: str, language: str = "en", size: int = SIZE, hashed_by: Literal["xxh64", "sha1"] = "xxh64"
) -> Hashes:
    """datatrove's hash for each run of `size` words, joined by spaces: XXH64, its default, or SHA-1, FineWeb's.

    Of a SHA-1 digest the first eight bytes count, as a little-endian number. Slow: for comparison with datatrove.
    """
    words = normal_words(text, language)
    joined = [" ".join(words[i : i + size]) for i in range(len(words) - size + 1)]
    digest: Callable[[bytes], int] = xxhash.xxh64_intdigest if hashed_by == "xxh64" else _sha1
    return np.fromiter(map(digest, map(str.encode, joined)), dtype=np.uint64, count=len(joined))


def fold(columns: Sequence[Hashes]) -> Hashes:
    """One 64-bit hash per row of several columns of integers, which depends on their order.

        h = first column;  for each other: h = h * odd + column;  then MurmurHash3's fmix64, all mod 2^64

    Rows that differ in one column never collide; two hashes that swap their places do only if they agree in 60 bits.
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


def shingle_set(hashes: Hashes) -> Hashes:
    """The distinct hashes, sorted: what `jaccard` and `containment` compare."""
    return np.unique(hashes)


def jaccard(ours: Hashes, theirs: Hashes) -> float:
    """The share of shingles of either set that both have; two empty sets have nothing in common (0)."""
    common = _common(ours, theirs)
    return common / max(len(ours) + len(theirs) - common, 1)


def containment(part: Hashes, whole: Hashes) -> float:
    """The share of the shingles of `part` that `whole` has; 0 for an empty `part`."""
    return _common(part, whole) / max(len(part), 1)


def shingle_similarity(sets: pa.Array, *, contained: bool) -> Callable[[Ints, Ints], NDArray[np.float64]]:
    """Jaccard's similarity of documents and keepers, or how much of the documents the keepers hold: (places, places) →
    values. `sets` holds each one's distinct hashes as 32-bit integers."""
    ends = (
        np.frombuffer(sets.buffers()[1], dtype="<i4")[sets.offset : sets.offset + len(sets) + 1].astype(np.int64) // 4
    )
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
_HASHES = 1 << 18  # of the pairs compared at a time: a few MB


def _common_of_pairs(values: NDArray[np.uint32], ends: Ints, ours: Ints, theirs: Ints) -> Ints:
    """How many hashes the sets of each pair share: those that occur twice beside the pair's number."""
    rows = []
    for docs in (ours, theirs):
        sizes = ends[docs + 1] - ends[docs]
        pair = np.repeat(np.arange(len(docs), dtype=np.uint64), sizes)
        rows.append(pair << np.uint64(32) | values[runs(ends[docs], sizes)])
    both = np.sort(np.concatenate(rows))
    twice = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
    return np.bincount(twice.astype(np.int64), minlength=len(ours))


def _common(ours: Hashes, theirs: Hashes) -> int:
    return len(np.intersect1d(ours, theirs, assume_unique=True))


def _normal_words(stretch: str, language: str) -> list[str]:
    """The normalised words of a text without whitespace."""
    text = _NUMBER.sub("0", stretch.lower()).translate(_PUNCTUATION_TO_SPACE)
    if not text.isascii():
        slices = (text[i : i + LONG_STRETCH] for i in range(0, len(text), LONG_STRETCH))
        decomposed = chain.from_iterable(unicodedata.normalize("NFD", part) for part in slices)
        text = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    return split_in_passing(text, language)


class _Words(Memo[tuple[str, ...]]):
    """A memo that does not keep long stretches, of which a page can make as many as it likes."""

    def __missing__(self, word: str) -> tuple[str, ...]:
        return self._function(word) if len(word) > LONG_STRETCH else super().__missing__(word)


@lru_cache(maxsize=16)
def _words_of(language: str) -> _Words:
    return _Words(lambda stretch: tuple(_normal_words(stretch, language)))


class _Hashed:
    """The hashes of the normalised words of a table's stretches: one after another in a pool, those of each stretch
    once it was asked for."""

    def __init__(self, table: Stretches) -> None:
        self._table = table
        self._first, self._counts, self._pool = Column(np.int64), Column(np.int64), Column(np.uint64)
        self._lock = threading.Lock()

    def of(self, numbers: Ints) -> Hashes:
        """The hashes of stretches, in order."""
        if len(self._first) < len(self._table.strings):
            self._grow()
        first = self._first.values[numbers]
        if len(first) and first.min() < 0:
            self._learn(np.unique(numbers[first < 0]))
            first = self._first.values[numbers]
        hashes: Hashes = self._pool.values[runs(first, self._counts.values[numbers])]
        return hashes

    def _grow(self) -> None:
        with self._lock:
            more = len(self._table.strings) - len(self._first)
            self._counts.extend(np.zeros(more, np.int64))
            self._first.extend(np.full(more, -1))

    def _learn(self, numbers: Ints) -> None:
        """Take the hashes of stretches from the table before, or work them out."""
        strings = [self._table.strings[number] for number in numbers.tolist()]
        before = self._table.before
        if before is not None:
            old = before.beside(_Hashed)
            there = np.fromiter(map(before.get, strings, repeat(-1)), np.int64, len(strings))
            there[there >= len(old._first)] = -1
            first = np.where(there >= 0, old._first.values[there], -1) if len(old._first) else there
            known = first >= 0
            counts = old._counts.values[there[known]]
            self._add(numbers[known], counts, old._pool.values[runs(first[known], counts)])
            numbers, strings = numbers[~known], list(compress(strings, ~known))
        hashes = [_word_hashes(stretch, self._table.language) for stretch in strings]
        counts = np.fromiter(map(len, hashes), np.int64, len(hashes))
        self._add(numbers, counts, np.array(list(chain.from_iterable(hashes)), np.uint64))

    def _add(self, numbers: Ints, counts: Ints, hashes: Hashes) -> None:
        with self._lock:  # of two threads that learn the same the later counts
            first = len(self._pool) + np.cumsum(counts) - counts
            self._pool.extend(hashes)
            self._counts.values[numbers] = counts
            self._first.values[numbers] = first


def _word_hashes(stretch: str, language: str) -> list[int]:
    return [xxhash.xxh3_64_intdigest(word.encode()) for word in _normal_words(stretch, language)]


def _sha1(joined: bytes) -> int:
    return int.from_bytes(hashlib.sha1(joined, usedforsecurity=False).digest()[:8], "little")
