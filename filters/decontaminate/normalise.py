"""The words of a text as benchmark items and pages are compared: without case, punctuation, accents and Unicode forms.

A word is a run of letters and digits. In scripts that write no spaces, such as Chinese and Thai, each character is a
word. Apostrophes and invisible characters are dropped, so "don’t" and "dont" are equal.
"""

from __future__ import annotations

import re
import unicodedata

from corpus.text.words import LONG_STRETCH

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese."""

_WORD = re.compile(rf"(?=[^\W_])[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_DROPPED = frozenset({"Mn", "Mc", "Me", "Cf"})
APOSTROPHE = re.compile("['’‘ʼ]")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order."""
    return [word for stretch in text.split() for word in words_of_stretch(stretch)]


def joined_words_of(text: str) -> list[str]:
    """Return the words of a text whose punctuation was deleted, so that "3/4" has become "34"."""
    found = []
    for stretch in text.split():
        words = words_of_stretch(stretch)
        found += words if len(words) < 2 or re.search(f"[{_UNSPACED}]", words[0]) else ["".join(words)]
    return found


def words_of_stretch(stretch: str) -> list[str]:
    """Return the words of a run of characters without whitespace."""
    if stretch.isascii():
        return _WORD.findall(stretch.lower().replace("'", ""))
    # in slices, because sorting thousands of marks takes quadratic time; all of them are dropped anyway
    slices = (stretch[i : i + LONG_STRETCH] for i in range(0, len(stretch), LONG_STRETCH))
    folded = "".join(_letters(unicodedata.normalize("NFKD", part)) for part in slices).casefold()
    return _WORD.findall(APOSTROPHE.sub("", _letters(folded)))


def _letters(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) not in _DROPPED)
