"""Count the characters of repeated word n-grams, as Gopher's repetition rules do.

The definitions are datatrove's (`gopher_repetition_filter.py`, 0.10.1):

    top          The length of the most frequent n-gram, joined by spaces, times its count. The first seen wins a tie.
                 A count of one is enough, so a text of one n-gram is all repetition.
    duplicated   Walk from the left. An n-gram seen before adds its length, joined without spaces, and the walk
                 skips its n words. N-grams are equal if their joined texts are ("ab" "c" equals "a" "bc").

The kernels find equal n-grams by hashes, and compare the words or texts themselves. So no hash collision, by chance or
on purpose, can change a result.

    top_ngram_chars(Words.of("to be or not to be".split()), [2])          # {2: 10}, "to be" twice
    duplicate_ngram_chars(Words.of("a b c a b c".split()), [3])           # {3: 3}, "abc" once more
"""

from __future__ import annotations

from collections.abc import Iterable

from corpus.text.vocabulary import Words
from native import kernels


def top_ngram_chars(words: Words, sizes: Iterable[int]) -> dict[int, int]:
    """Return, for each n, the length of the most frequent n-gram times its count, or 0 if there are fewer than n words.

    No word may contain whitespace.
    """
    wanted = list(sizes)
    return dict(zip(wanted, kernels.top_ngram_chars(words.table, words.numbers, wanted), strict=True))


def duplicate_ngram_chars(words: Words, sizes: Iterable[int]) -> dict[int, int]:
    """Return, for each n, the characters in repeated n-grams, each counted once, or 0 if there are fewer than n
    words."""
    wanted = list(sizes)
    return dict(zip(wanted, kernels.duplicate_ngram_chars(words.table, words.numbers, wanted), strict=True))
