"""Counting sentences as spaCy's rule-based sentencizer finds them, by what each word does to the count.

A word (a stretch without whitespace) either holds no end of a sentence, or ends one, or is punctuation alone. In a
line that has only such words, with single spaces between them, all but a last end make one more sentence. Lines
with anything else (an end inside a word, "..." alone, two spaces) are counted token by token. 0.09 ms in place of
0.65 for a page of 5,900 characters; on 56,000 lines of web pages both ways gave the same.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from corpus.words import Memo, split_words
from corpus.words import count_sentences as count_by_tokens

_PLAIN, _END, _MARKS, _OTHER = "w", "e", "p", "x"


def count_sentences(text: str, language: str = "en") -> int:
    """The number of sentences in `text`, equal to `corpus.words.count_sentences`."""
    stretches = text.split()
    roles = "".join(map(_roles(language).__getitem__, stretches))
    if not stretches or _OTHER in roles or " ".join(stretches) != text:
        return count_by_tokens(text, language)
    return 1 + roles.count(_END) - roles.rstrip(_MARKS).endswith(_END)


@lru_cache(maxsize=16)
def _roles(language: str) -> Memo[str]:
    return Memo(lambda stretch: _role(split_words(stretch, language)))


def _role(tokens: list[str]) -> str:
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
