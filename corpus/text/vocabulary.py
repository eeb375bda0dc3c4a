"""Words as numbers of a table that has the properties of each word. Array arithmetic gives the properties of a text.

words = Words.of("to be or not to be".split())
int(words.lengths.sum()), len(words)        # 13, 6
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.text.punctuation import PUNCTUATION_SET, SENTENCE_ENDS
from native import kernels

Ints = NDArray[np.int64]
Numbers = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def new_table(
    rules: kernels.EnglishRules | None = None, previous: kernels.StretchTable | None = None
) -> kernels.StretchTable:
    """Return an empty table. With rules, it splits nearly all English stretches itself."""
    punctuation, sentence_ends = ("".join(sorted(chars)) for chars in (PUNCTUATION_SET, SENTENCE_ENDS))
    return kernels.StretchTable(punctuation, sentence_ends, rules, previous)


def runs(first: Ints, counts: Ints) -> Ints:
    """Return the indices of several runs, one run after another.

    Run i has `counts[i]` indices, starting at `first[i]`.
    """
    ends = np.cumsum(counts)
    indices = np.repeat(first - (ends - counts), counts)
    indices += np.arange(len(indices))
    return indices


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, in order, as numbers of a table. Properties have one value per word."""

    table: kernels.StretchTable
    numbers: Numbers

    @classmethod
    def of(cls, words: Sequence[str]) -> Words:
        """Number any words in a new table of their own."""
        table = new_table()
        return cls(table, table.number_words(words))

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, word: object) -> bool:
        number = self.table.word_number(word) if isinstance(word, str) else None
        return number is not None and bool((self.numbers == number).any())

    @property
    def strings(self) -> list[str]:
        return self.table.word_strings(self.numbers)

    @property
    def lengths(self) -> Ints:
        """The number of characters."""
        return self.table.word_lengths(self.numbers)

    @property
    def content(self) -> Flags:
        """True for a word with a character other than punctuation. Gopher's rules count these words."""
        return self.table.word_flags(self.numbers, "content").view(np.bool_)

    @property
    def letters(self) -> Flags:
        """True for a word with a letter."""
        return self.table.word_flags(self.numbers, "letters").view(np.bool_)
