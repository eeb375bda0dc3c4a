"""Words as spaCy's blank tokenizers split them, at the speed of a dictionary.

spaCy's rule tokenizers treat each stretch without whitespace on its own, so a memo from stretch to tokens gives
their very words: on 2,868 extracted web pages (2.4 million stretches) not one differed, at a twentieth of the time
once the memo is warm. What differs from spaCy, by intent:

- a stretch longer than 200 characters is cut after 64 symbols in a row (or "'s" or "US$", which spaCy takes off one
  by one too) and after 1,000 characters, because spaCy needs quadratic time there (1.4 s for 4,000 brackets); 34 of
  the 2.4 million were longer than 200, none had to be cut;
- special cases that span whitespace ("Dr. med" in Indonesian, 20 languages) don't apply: no word holds whitespace;
- lone surrogates, which spaCy refuses, become U+FFFD.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from corpus.errors import ConfigError
from corpus.imports import without_heavy
from corpus.text.vocabulary import Column, Ints, Vocabulary, Words, runs

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer

V = TypeVar("V")

MEMO_LIMIT = 150_000
"""Entries that each of a memo's two generations may hold: some 120 MB in all for words of one language."""

MEMO_CHARS = 4_000_000
"""Characters of all stretches in a generation: three times what as many words of web pages have."""

MAX_STRETCH = 1_000
LONG_STRETCH = 200

NEEDS_SEGMENTER = {"ja": "sudachipy", "ko": "mecab-ko", "th": "pythainlp", "vi": "pyvi", "zh": "jieba"}
"""Languages whose words whitespace does not separate, and the package that spaCy wants for them."""

_ALIASES = {"no": "nb"}  # fastText's code to spaCy's

_PLAIN = re.compile(r"([A-Za-z]*[a-z])([,.!?;:]?)")
_SHAPED = re.compile(
    r"""[("“‘\[*$]{0,2}"""
    r"""(?:[A-Za-z]+(?:[-–—][A-Za-z]+){0,3}(?:['’]s)?|[0-9]+(?:[.,:/–-][0-9]+){0,2}(?:-[A-Za-z]+)?)"""
    r"""[.,;:!?)"”…\]*%]{0,4}"""
)
_CASES = str.maketrans(ascii_letters + digits, "q" * 26 + "Q" * 26 + "0" * 10)
_POSSESSIVE = ("'s", "’s")  # special cases of one token: themselves
_PARTS = re.compile("[A-Za-z]+|['’]s|.")
_SURROGATE = re.compile("[\ud800-\udfff]")
_AFFIXES = re.compile(r"(?:['’][sS]|(?:US|[AC])?[$]|[\W_]){64}")


class Memo(dict[str, V]):
    """A function of one word, remembered: `memo[word]`.

    When it is full it starts anew, but looks up once more in what it knew before, so that frequent words stay.
    """

    def __init__(self, function: Callable[[str], V]) -> None:
        self._function = function
        self._before: dict[str, V] = {}

    def __missing__(self, word: str) -> V:
        value = self._before[word] if word in self._before else self._function(word)
        if len(self) >= MEMO_LIMIT:
            self._before = dict(self)
            self.clear()
        self[word] = value
        return value


def split_words(text: str, language: str = "en") -> list[str]:
    """The tokens of spaCy's blank tokenizer for `language`, without whitespace, in order.

    `language` is an ISO 639 code; one that spaCy does not know is split by its multi-language rules ("xx").
    Raises ConfigError where `check_language` does.
    """
    stretches = text.split()
    known = _stretches(language, len(stretches), len(text))
    return list(chain.from_iterable([known.pieces[known[stretch]] for stretch in stretches]))


def split_in_passing(text: str, language: str = "en") -> list[str]:
    """The same tokens for a text that need not be remembered."""
    stretches = text.split()
    known = _stretches(language, len(stretches), len(text))
    return list(chain.from_iterable(map(known.look_up, stretches)))


def words_of(text: str, language: str = "en") -> Words:
    """The same tokens, as numbers. Raises ConfigError where `check_language` does."""
    return stretched(text, language).words


def stretched(text: str, language: str = "en") -> Stretched:
    """The stretches of a text between whitespace. Raises ConfigError where `check_language` does."""
    stretches = text.split()
    known = _stretches(language, len(stretches), len(text))
    return Stretched(known, known.numbers(stretches))


def check_language(language: str) -> None:
    """Raise ConfigError for a language whose words can't be found by rules alone (Chinese, Japanese, Thai …)."""
    _stretches(language)


class Stretches(dict[str, int]):
    """Stretch without whitespace → its number: `strings` holds it, `pieces` its tokens. Stretches found in `before` are
    not split again."""

    def __init__(self, language: str, before: Stretches | None = None) -> None:
        self.language = language
        self.before = before
        self.strings: list[str] = []
        self.pieces: list[tuple[str, ...]] = []
        self.chars = 0
        self.vocabulary = Vocabulary()
        # a new one each time, because spaCy's string store keeps every word it ever saw
        self._tokenizer = _tokenizer(language)
        self._lock = threading.Lock()
        self._shapes: dict[tuple[str, ...], list[tuple[int, int]]] | None = {} if language == "en" else None
        self._first, self._counts, self._pool = Column(np.int64), Column(np.int64), Column(np.int64)
        self._beside: dict[type[Any], Any] = {}

    def anew(self) -> Stretches:
        """An empty one that takes from this one what it is asked for again, so that frequent words stay."""
        self.before = None
        return Stretches(self.language, self)

    def beside(self, kind: type[V]) -> V:
        """What a class works out of these stretches, `kind(self)`, made once."""
        found: V | None = self._beside.get(kind)
        return found if found is not None else self._beside.setdefault(kind, kind(self))  # type: ignore[call-arg]

    def look_up(self, stretch: str) -> tuple[str, ...]:
        """The tokens of a stretch, which is not remembered."""
        number = self.get(stretch)
        if number is not None:
            return self.pieces[number]
        before = self.before
        number = before.get(stretch) if before is not None else None
        return before.pieces[number] if before is not None and number is not None else self._split(stretch)

    def __missing__(self, stretch: str) -> int:
        pieces = self.look_up(stretch)
        with self._lock:
            if stretch not in self:
                self.strings.append(stretch)
                self.pieces.append(pieces)
                self.chars += len(stretch)
                self[stretch] = len(self.pieces) - 1  # last, for other threads look without the lock
        return self[stretch]

    def numbers(self, stretches: list[str]) -> Ints:
        """The number of each, new ones if need be."""
        return np.fromiter(map(self.__getitem__, stretches), np.int64, len(stretches))

    def words(self, numbers: Ints) -> Words:
        """The tokens of stretches."""
        if len(self._first) < len(self.pieces):
            self._learn()
        places = runs(self._first.values[numbers], self._counts.values[numbers])
        return Words(self.vocabulary, self._pool.values[places])

    def _learn(self) -> None:
        """Lay down the tokens of the stretches that are new: where those of each start in the pool, how many."""
        with self._lock:
            new = self.pieces[len(self._first) :]
            counts = np.fromiter(map(len, new), np.int64, len(new))
            first = len(self._pool) + np.cumsum(counts) - counts
            self._pool.extend(list(map(self.vocabulary.number, chain.from_iterable(new))))
            self._counts.extend(counts)
            self._first.extend(first)

    def _split(self, stretch: str) -> tuple[str, ...]:
        if len(stretch) > LONG_STRETCH and len(pieces := _cut(stretch)) > 1:
            tokens = {piece: self._split(piece) for piece in set(pieces)}
            return tuple(chain.from_iterable(map(tokens.__getitem__, pieces)))
        if self._shapes is not None:
            split = self._by_shape(stretch)
            if split is not None:
                return split
        if not stretch.isascii():
            stretch = _SURROGATE.sub("\ufffd", stretch)
        with self._lock:
            return tuple(token.text for token in self._tokenizer(stretch))

    def _by_shape(self, stretch: str) -> tuple[str, ...] | None:
        """The tokens of letters or a number, perhaps hyphenated, with common marks around: as spaCy splits the same
        marks around any letters or digits. None for all else.

        No prefix, suffix, infix or URL rule of English tells such letters apart but by their case and by whether there
        is one, two or more of them; special cases ("dont", "Mr.", ":)") could, so no part may be one. 302,638 of
        485,121 different stretches of web pages, articles and e-mails are of this kind, and not one differed.
        """
        rules = self._tokenizer.rules
        plain = _PLAIN.fullmatch(stretch)
        if plain:  # half of all, in a third of the time: the mark is cut off
            core, mark = plain.groups()
            return None if core in rules or stretch in rules else (core, mark) if mark else (stretch,)
        parts = _PARTS.findall(stretch) if _SHAPED.fullmatch(stretch) else None
        if parts is None:
            return None
        for start in range(len(parts)):
            part = ""
            for piece in parts[start:]:
                part += piece
                if part in rules and part not in _POSSESSIVE:
                    return None
        shape = tuple(map(_shape_of, parts))
        assert self._shapes is not None
        splits = self._shapes.get(shape)
        if splits is None:
            splits = self._shapes[shape] = self._splits(shape)
        return tuple("".join(parts[start:end]) for start, end in splits) if splits else None

    def _splits(self, shape: tuple[str, ...]) -> list[tuple[int, int]]:
        """Of which parts of a stretch of this shape each token is; empty where a part is split."""
        with self._lock:
            tokens = [token.text for token in self._tokenizer("".join(shape))]
        ends = list(accumulate(map(len, shape), initial=0))
        cuts = list(accumulate(map(len, tokens), initial=0))
        if not set(cuts) <= set(ends):
            return []
        places = [ends.index(cut) for cut in cuts]
        return list(pairwise(places))


@dataclass(frozen=True, slots=True)
class Stretched:
    """The stretches of a text, in order, as numbers of a table."""

    table: Stretches
    numbers: Ints

    @property
    def words(self) -> Words:
        """Their tokens."""
        return self.table.words(self.numbers)


def _shape_of(part: str) -> str:
    """Letters as "q" and "Q", of more than four the first two and the last two; a mark as it is."""
    if not part.isalnum():
        return part  # "'s" too
    return (part if len(part) <= 4 else part[:2] + part[-2:]).translate(_CASES)


def _cut(stretch: str) -> list[str]:
    """A long stretch in pieces: cut after every 64 affixes in a row, and after 1,000 characters."""
    pieces = _AFFIXES.sub(r"\g<0> ", stretch).split()
    return [piece[i : i + MAX_STRETCH] for piece in pieces for i in range(0, len(piece), MAX_STRETCH)]


_known: dict[str, Stretches] = {}


def _stretches(language: str, count: int = 0, chars: int = 0) -> Stretches:
    """What is known of a language's stretches, with room for a text of `count` with `chars` characters in all."""
    if count > MEMO_LIMIT or chars > MEMO_CHARS:
        return Stretches(language)  # not to push out what all other texts need
    known = _known.get(language)
    if known is None:
        known = _known[language] = Stretches(language)
    elif len(known) >= MEMO_LIMIT or known.chars >= MEMO_CHARS:
        known = _known[language] = known.anew()
    return known


def _tokenizer(language: str) -> Tokenizer:
    """A fresh blank tokenizer."""
    with without_heavy():  # spaCy loads what other packages offer it too
        from spacy.util import get_lang_class  # a second to import: only for those who split words

        try:
            rules = get_lang_class(_ALIASES.get(language, language))
        except ImportError:  # spaCy's way to say that it does not know a language
            rules = get_lang_class("xx")
        if rules.lang in NEEDS_SEGMENTER:
            raise ConfigError(
                f"Words of '{language}' can't be told apart without a segmenter ({NEEDS_SEGMENTER[rules.lang]}).",
                "Leave out the stages that count words for this language.",
            )
        tokenizer: Tokenizer = rules().tokenizer
        tokenizer.vocab.lex_attr_getters = {}  # what else spaCy notes of each new word: half of the time for it
        return tokenizer
