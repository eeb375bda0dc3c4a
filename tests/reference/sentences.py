"""Sentences as the kernel counts them, and its oracle: as spaCy's rule-based sentencizer counts them, by tokens."""

from __future__ import annotations

import re
import unicodedata

from corpus.text.punctuation import SENTENCE_ENDS
from corpus.text.words import split_words, stretches_of

_SPACES = re.compile(r"(\s+)")


def count_sentences(text: str, language: str = "en") -> int:
    """Return the number of sentences by the kernel, as it counts those of a line for C4."""
    stretches = stretches_of(text, language)
    return stretches.table.kernel.count_sentences(text, stretches.numbers)


def count_by_tokens(text: str, language: str = "en") -> int:
    """Return the number of sentences.

    After a token that ends a sentence, the next token other than punctuation starts a new one. Whitespace other than a
    single space between two words is a token too.
    """
    count, ended = 1 if text else 0, False
    for i, piece in enumerate(_SPACES.split(text)):
        for token in (piece,) if i % 2 else split_words(piece, language):
            if token in SENTENCE_ENDS:
                ended = True
            elif ended and token != " " and not _is_punctuation(token):
                count, ended = count + 1, False
    return count


def _is_punctuation(token: str) -> bool:
    return all(unicodedata.category(char)[0] == "P" for char in token)
