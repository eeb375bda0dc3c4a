"""Words as numbers: what stages ask of a word is worked out once, and asked of a whole text by array arithmetic.

words = Words.of("to be or not to be".split())
int(words.lengths.sum()), len(words)        # 13, 6
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from corpus.text.punctuation import PUNCTUATION_SET

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Kind = TypeVar("Kind", bound=np.generic)

# An odd multiplier has an inverse mod 2^64, by which the hash of a slice follows from two prefix sums.
HASH_BASE = 0x9E3779B97F4A7C15

_MARKS = "".join(PUNCTUATION_SET)


class Column(Generic[Kind]):
    """An array that grows at its end. Views of it stay as they are."""

    def __init__(self, dtype: type[Kind]) -> None:
        self._room: NDArray[Kind] = np.zeros(1024, dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> NDArray[Kind]:
        return self._room[: self._size]

    def extend(self, values: Sequence[Any] | NDArray[Kind]) -> None:
        size = self._size + len(values)
        if size > len(self._room):
            room = np.zeros(2 * size, self._room.dtype)
            room[: self._size] = self.values
            self._room = room
        self._room[self._size : size] = values
        self._size = size


def runs(first: Ints, counts: Ints) -> Ints:
    """The places of runs of neighbours, one run after another: from each of `first` on, as many as `counts` says."""
    ends = np.cumsum(counts)
    places = np.repeat(first - (ends - counts), counts)
    places += np.arange(len(places))
    return places


class Vocabulary:
    """Numbers words in the order in which they come, and knows of each its length, whether it has a letter and a
    character that is no punctuation, and a hash: the sum of (char + 1) * HASH_BASE^i mod 2^64 over its characters."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._lengths = Column(np.int64)
        self._content = Column(np.bool_)
        self._letters = Column(np.bool_)
        self._hashes = Column(np.uint64)
        self._last = Column(np.int64)

    def number(self, word: str) -> int:
        """The number of a word, a new one if need be."""
        found = self._numbers.get(word)
        if found is None:
            found = self._numbers[word] = len(self.strings)
            self.strings.append(word)
        return found

    def number_of(self, word: str) -> int | None:
        """The number of a word that came before."""
        return self._numbers.get(word)

    def lengths(self, numbers: Ints) -> Ints:
        self._learn()
        return self._lengths.values[numbers]

    def content(self, numbers: Ints) -> Flags:
        self._learn()
        return self._content.values[numbers]

    def letters(self, numbers: Ints) -> Flags:
        self._learn()
        return self._letters.values[numbers]

    def hashes(self, numbers: Ints) -> Hashes:
        self._learn()
        return self._hashes.values[numbers]

    def dense(self, numbers: Ints) -> Ints:
        """For each word the place where it comes last: equal for equal words, and below their count."""
        self._learn()
        with self._lock:
            last = self._last.values
            last[numbers] = np.arange(len(numbers))
            return last[numbers]

    def _learn(self) -> None:
        """Work out what is to be known of the words that are new."""
        if len(self._last) == len(self.strings):
            return
        with self._lock:
            words = self.strings[len(self._last) :]
            lengths = np.fromiter(map(len, words), np.int64, len(words))
            self._lengths.extend(lengths)
            self._content.extend([word.isalpha() or bool(word.strip(_MARKS)) for word in words])
            self._letters.extend([word.isalpha() or any(map(str.isalpha, word)) for word in words])
            self._hashes.extend(_hashes(words, lengths))
            self._last.extend(lengths)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, in order, as numbers of a vocabulary."""

    vocabulary: Vocabulary
    numbers: Ints

    @classmethod
    def of(cls, words: Sequence[str], vocabulary: Vocabulary | None = None) -> Words:
        """Any words."""
        vocabulary = vocabulary or Vocabulary()
        return cls(vocabulary, np.fromiter(map(vocabulary.number, words), np.int64, len(words)))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def strings(self) -> list[str]:
        return list(map(self.vocabulary.strings.__getitem__, self.numbers.tolist()))

    @property
    def lengths(self) -> Ints:
        """The characters of each word."""
        return self.vocabulary.lengths(self.numbers)

    @property
    def content(self) -> Flags:
        """Whether a word has a character that is no punctuation: Gopher's words."""
        return self.vocabulary.content(self.numbers)

    @property
    def letters(self) -> Flags:
        """Whether a word has a letter."""
        return self.vocabulary.letters(self.numbers)

    def __contains__(self, word: object) -> bool:
        number = self.vocabulary.number_of(word) if isinstance(word, str) else None
        return number is not None and bool((self.numbers == number).any())


def powers(base: int, count: int) -> Hashes:
    """base^0 … base^(count - 1) mod 2^64."""
    values = np.full(count, base, dtype=np.uint64)
    values[:1] = 1
    return np.cumprod(values, out=values)


class Powers:
    """The powers of a base mod 2^64, as far as they were asked for."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._values = powers(base, 1024)

    def at(self, exponents: Ints, most: int) -> Hashes:
        """The powers of given exponents, none of them above `most`."""
        values = self._values
        if most >= len(values):
            values = powers(self._base, 2 * most)
            if most < _POWERS_KEPT:
                self._values = values
        return values[exponents]


_POWERS_KEPT = 1 << 17
_POWERS = Powers(HASH_BASE)


def _hashes(words: Sequence[str], lengths: Ints) -> Hashes:
    chars = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(chars)) - np.repeat(starts, lengths)
    chars += np.uint64(1)
    chars *= _POWERS.at(places, int(lengths.max(initial=0)))
    sums = np.zeros(len(chars) + 1, np.uint64)
    np.cumsum(chars, out=sums[1:])
    hashes: Hashes = sums[starts + lengths] - sums[starts]
    return hashes
