"""Words as numbers. The properties of each word are computed once. Array arithmetic gives the properties of a text.

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

HASH_BASE = 0x9E3779B97F4A7C15
"""An odd base has an inverse mod 2^64, so the hash of a slice follows from two prefix sums."""

_MARKS = "".join(PUNCTUATION_SET)
_POWERS_KEPT = 1 << 17


class Column(Generic[Kind]):
    """An array that grows at its end. Earlier views of the array stay valid."""

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
    """Return the indices of several runs, one run after another.

    Run i has `counts[i]` indices, starting at `first[i]`.
    """
    ends = np.cumsum(counts)
    indices = np.repeat(first - (ends - counts), counts)
    indices += np.arange(len(indices))
    return indices


class Powers:
    """The powers of a base mod 2^64."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._values = self._first(1024)

    def at(self, exponents: Ints, most: int) -> Hashes:
        """Return the powers for these exponents. None of them may be above `most`."""
        values = self._values
        if most >= len(values):
            values = self._first(2 * most)
            if most < _POWERS_KEPT:
                self._values = values
        return values[exponents]

    def _first(self, count: int) -> Hashes:
        values = np.full(count, self._base, dtype=np.uint64)
        values[:1] = 1
        return np.cumprod(values, out=values)


POWERS = Powers(HASH_BASE)


class Vocabulary:
    """Words numbered in the order in which they first occur, with the properties of each word (see `Words`)."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self.numbers: dict[str, int] = {}
        self.lengths = Column(np.int64)
        self.content = Column(np.bool_)
        self.letters = Column(np.bool_)
        self.hashes = Column(np.uint64)
        self._last = Column(np.int64)
        self._lock = threading.Lock()

    def number(self, word: str) -> int:
        """Return the number of a word, and add the word if it is new."""
        found = self.numbers.get(word)
        if found is None:
            found = self.numbers[word] = len(self.strings)
            self.strings.append(word)
        return found

    def dense(self, numbers: Ints) -> Ints:
        """Return, for each word, the index of its last occurrence.

        Equal words get equal numbers, which are below the number of words.
        """
        self.update()
        with self._lock:
            last = self._last.values
            last[numbers] = np.arange(len(numbers))
            return last[numbers]

    def update(self) -> Vocabulary:
        """Compute the properties of words that were added since the last call."""
        if len(self._last) < len(self.strings):
            with self._lock:
                words = self.strings[len(self._last) :]
                lengths = np.fromiter(map(len, words), np.int64, len(words))
                self.lengths.extend(lengths)
                self.content.extend([word.isalpha() or bool(word.strip(_MARKS)) for word in words])
                self.letters.extend([word.isalpha() or any(map(str.isalpha, word)) for word in words])
                self.hashes.extend(_hashes(words, lengths))
                self._last.extend(lengths)
        return self


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, in order, as numbers of a vocabulary. Properties have one value per word."""

    vocabulary: Vocabulary
    numbers: Ints

    @classmethod
    def of(cls, words: Sequence[str]) -> Words:
        """Number any words in a new vocabulary of their own."""
        vocabulary = Vocabulary()
        return cls(vocabulary, np.fromiter(map(vocabulary.number, words), np.int64, len(words)))

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, word: object) -> bool:
        number = self.vocabulary.numbers.get(word) if isinstance(word, str) else None
        return number is not None and bool((self.numbers == number).any())

    @property
    def strings(self) -> list[str]:
        return list(map(self.vocabulary.strings.__getitem__, self.numbers.tolist()))

    @property
    def lengths(self) -> Ints:
        """The number of characters."""
        return self.vocabulary.update().lengths.values[self.numbers]

    @property
    def content(self) -> Flags:
        """True for a word with a character other than punctuation. Gopher's rules count these words."""
        return self.vocabulary.update().content.values[self.numbers]

    @property
    def letters(self) -> Flags:
        """True for a word with a letter."""
        return self.vocabulary.update().letters.values[self.numbers]

    @property
    def hashes(self) -> Hashes:
        """The sum of (char + 1) * HASH_BASE^i mod 2^64 over the characters."""
        return self.vocabulary.update().hashes.values[self.numbers]


def _hashes(words: Sequence[str], lengths: Ints) -> Hashes:
    chars = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    starts = np.cumsum(lengths) - lengths
    exponents = np.arange(len(chars)) - np.repeat(starts, lengths)
    chars += np.uint64(1)
    chars *= POWERS.at(exponents, int(lengths.max(initial=0)))
    sums = np.zeros(len(chars) + 1, np.uint64)
    np.cumsum(chars, out=sums[1:])
    hashes: Hashes = sums[starts + lengths] - sums[starts]
    return hashes
