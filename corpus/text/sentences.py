"""Count sentences as spaCy's rule-based sentencizer does, by the role of each stretch of a line.

A stretch is a run of characters without whitespace. Most stretches either contain no end of a sentence, or end one, or
consist of punctuation. In a line of such stretches, each end of a sentence adds a sentence, unless it is the last
stretch. Other lines are counted token by token. Such lines have an end inside a stretch, an end that stands alone, or
punctuation as the last stretch. One line in fifty is like this. A page of 5,900 characters takes 0.2 ms instead of 0.6
ms. The counts were equal on every line of 3,010 web pages.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import numpy as np

from corpus.imports import without_heavy
from corpus.text.vocabulary import Column
from corpus.text.words import StretchTable, TextStretches, split_words, stretches_of

_SPACES = re.compile(r"(\s+)")
_PLAIN, _END, _MARKS, _OTHER = b"wepx"


def count_sentences(text: str, language: str = "en", roles: bytes | None = None) -> int:
    """Return the number of sentences.

    The result equals that of `count_by_tokens`. `roles` are the roles of the stretches, if already known.
    """
    if roles is None:
        roles = roles_of(stretches_of(text, language))
    # spaCy may count whitespace at the end as a sentence
    if not roles or text[-1].isspace() or _OTHER in roles or roles[-1] == _MARKS:
        return count_by_tokens(text, language)
    return 1 + roles.count(_END) - (roles[-1] == _END)


def roles_of(stretches: TextStretches) -> bytes:
    """Return one byte per stretch: its role in counting sentences."""
    return stretches.table.derived(_Roles).of(stretches)


def sentence_ends(stretches: TextStretches) -> list[bool]:
    """Return whether a sentence ends in each stretch. The end of a line is none."""
    return [role in (_END, _OTHER) for role in roles_of(stretches)]


def count_by_tokens(text: str, language: str = "en") -> int:
    """Return the number of sentences that spaCy's rule-based sentencizer finds in `text`, or 0 for an empty text.

    After a token that ends a sentence, the next token other than punctuation starts a new one. Whitespace other than a
    single space between two words is a token too.
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

    def __init__(self, table: StretchTable) -> None:
        self._table = table
        self._roles = Column(np.uint8)
        self._lock = threading.Lock()

    def of(self, stretches: TextStretches) -> bytes:
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
        from spacy.pipeline import Sentencizer  # importing this takes a second, so it happens only when words are split

    return frozenset(Sentencizer.default_punct_chars)


def _is_punctuation(token: str) -> bool:
    return all(unicodedata.category(char)[0] == "P" for char in token)
