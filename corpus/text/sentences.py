"""Counting sentences as spaCy's rule-based sentencizer finds them, by what each stretch of a line does to the count.

A stretch without whitespace either holds no end of a sentence, or ends one, or is punctuation alone. In a line that
has only such stretches, every end of a sentence but a last one makes one more. The rest (an end inside a stretch, or
alone; punctuation last) is counted token by token: one line of fifty. 0.2 ms for a page of 5,900 characters, against
0.6 for going through all tokens; both gave the same number on every line of 3,010 web pages.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import numpy as np

from corpus.imports import without_heavy
from corpus.text.vocabulary import Column
from corpus.text.words import Stretched, Stretches, split_words, stretched

_SPACES = re.compile(r"(\s+)")
_PLAIN, _END, _MARKS, _OTHER = b"wepx"


def count_sentences(text: str, language: str = "en", roles: bytes | None = None) -> int:
    """The number of sentences in `text`, equal to `count_by_tokens`. `roles` are those of its stretches, if known."""
    if roles is None:
        roles = roles_of(stretched(text, language))
    if not roles or text[-1].isspace():  # spaCy may take whitespace at the end for a sentence
        return count_by_tokens(text, language)
    last = roles[-1]
    if _OTHER in roles or last == _MARKS:
        return count_by_tokens(text, language)
    return 1 + roles.count(_END) - (last == _END)


def roles_of(stretches: Stretched) -> bytes:
    """What each stretch does to the count, a byte each."""
    return stretches.table.beside(_Roles).of(stretches)


def count_by_tokens(text: str, language: str = "en") -> int:
    """The number of sentences that spaCy's rule-based sentencizer finds in `text`; 0 for an empty one.

    A sentence starts at the first token that is no punctuation after one that ends a sentence; whitespace other
    than a single space between two words is such a token too.
    """
    terminal = _sentence_ends()
    count, ended = 1 if text else 0, False
    for i, piece in enumerate(_SPACES.split(text)):
        for token in (piece,) if i % 2 else split_words(piece, language):
            if token in terminal:
                ended = True
            elif ended and token != " " and not _is_punctuation(token):
                count, ended = count + 1, False
    return count


class _Roles:
    """The role of each stretch of a table."""

    def __init__(self, table: Stretches) -> None:
        self._table = table
        self._roles = Column(np.uint8)
        self._lock = threading.Lock()

    def of(self, stretches: Stretched) -> bytes:
        if len(self._roles) < len(self._table.pieces):
            with self._lock:
                self._roles.extend(list(map(_role, self._table.pieces[len(self._roles) :])))
        return self._roles.values[stretches.numbers].tobytes()


def _role(tokens: tuple[str, ...]) -> int:
    if len(tokens) == 1 and tokens[0].isalnum():
        return _PLAIN
    ends = [i for i, token in enumerate(tokens) if token in _sentence_ends()]
    words = [i for i, token in enumerate(tokens) if not _is_punctuation(token)]
    if not ends:
        return _PLAIN if words else _MARKS
    return _END if words and words[-1] < ends[0] else _OTHER


@lru_cache(maxsize=1)
def _sentence_ends() -> frozenset[str]:
    with without_heavy():
        from spacy.pipeline import Sentencizer  # a second to import: only for those who split words

    return frozenset(Sentencizer.default_punct_chars)


def _is_punctuation(token: str) -> bool:
    return all(unicodedata.category(char)[0] == "P" for char in token)
