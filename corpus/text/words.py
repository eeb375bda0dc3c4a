"""Split text into words as spaCy's blank tokenizers do, at the speed of a dictionary lookup.

A stretch is a run of characters without whitespace. spaCy's rule tokenizers split each stretch on its own, so a table
from stretch to tokens gives exactly their words. On 2,868 extracted web pages (2.4 million stretches) no word
differed, and a filled table takes a twentieth of the time. Three differences from spaCy are intended:

- A stretch of over 200 characters is cut after 64 symbols in a row, and after 1,000 characters. "'s" and "US$" count
  as symbols, since spaCy also splits them off one by one. spaCy needs quadratic time there (1.4 s for 4,000 brackets).
  34 of the 2.4 million stretches were longer than 200 characters, and none of them had to be cut.
- Special cases with whitespace ("Dr. med" in Indonesian, 20 languages) don't apply: no word contains whitespace.
- Lone surrogates, which spaCy refuses, become U+FFFD.
"""

from __future__ import annotations

import gc
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, resources
from itertools import chain
from typing import TYPE_CHECKING, Any

from corpus.errors import ConfigError
from corpus.imports import without_heavy
from corpus.text.vocabulary import Numbers, Words, new_table
from native import kernels

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer

TABLE_LIMIT = 150_000
"""The number of stretches that a table may hold.

The two tables of a language, current and previous, take some 60 MB.
"""

TABLE_BYTES = 4_000_000
"""The number of bytes that the stretches of a table may have in total: three times the usual for web pages."""

MAX_STRETCH = 1_000
LONG_STRETCH = 200

STORE_LIMIT = 50_000
"""The number of words that a tokenizer of spaCy may have seen before the next table gets a new one."""

ENGLISH_SPACY = "3.8.18"
ENGLISH_RULES = "2ffb17464c754ede2358b8bd471375f134a7f8528a772a4ddfaabbe243b4e2b7"
"""The version of spaCy whose rules for English `native/src/english_rules.cpp` and `english_cases.txt` have, and their
digest. Another version is loaded, to see if it has the same rules. If not, it splits all stretches itself."""

TABLES_LIMIT = 3 * TABLE_LIMIT
"""The number of stretches that the tables of all languages may hold together, some 100 MB. Then the tables of languages
that were not used for longest are dropped."""

SEGMENTED = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "bo"})
"""The languages without spaces between words. ICU finds their words: by dictionaries, and in Tibetan by syllables."""

SEGMENTER = "icu4py"
"""The package that brings ICU, without its dependencies on the system."""

PAGE = "page"
"""As the language of a stage: the language of each page, as an earlier stage found it."""

_ALIASES = {"no": "nb", "bs": "sr", "sw": "tn"}
"""fastText's code of a language to spaCy's, and the languages that FineWeb-2 splits by the rules of another."""

_NEEDS_PACKAGE = {"ja", "ko", "th", "vi", "zh"}
"""The languages for which spaCy needs a package. Its common rules split Korean and Vietnamese, because these have
spaces between words or syllables."""

_ISO = {"zho": "zh", "cmn": "zh", "jpn": "ja", "tha": "th", "lao": "lo", "khm": "km", "mya": "my", "bod": "bo"}

_SURROGATE = re.compile("[\ud800-\udfff]")
_AFFIXES = re.compile(r"(?:['’][sS]|(?:US|[AC])?[$]|[\W_]){64}")


def split_words(text: str, language: str = "en") -> list[str]:
    """Return the tokens of spaCy's blank tokenizer for `language`, in order and without whitespace.

    `language` is an ISO 639 code. Languages that spaCy does not know are split by its multi-language rules ("xx"), and
    languages without spaces between words by ICU. New stretches are not added to the table. Raises the ConfigError of
    `check_language`.
    """
    return list(chain.from_iterable(map(_table_for(language, text).look_up, text.split())))


def stretches_of(text: str, language: str = "en") -> TextStretches:
    """Return the stretches of a text, and add new ones to the table. Raises the ConfigError of `check_language`."""
    table = _table_for(language, text)
    return TextStretches(table, table.numbers(text))


def check_language(language: str) -> None:
    """Raise ConfigError if the words of a language can't be found, because ICU is not installed."""
    if language != PAGE:
        check_segmenter([language])


def check_segmenter(languages: Iterable[str] | None) -> dict[str, str]:
    """Return a digest of the version of ICU if one of the languages needs it. None stands for any languages. Raises
    ConfigError if it is not installed."""
    needy = sorted(SEGMENTED if languages is None else {one for one in languages if _segmented(one)})
    if not needy:
        return {}
    try:
        version = metadata.version(SEGMENTER)
    except metadata.PackageNotFoundError:
        what = f"Words of these languages have no spaces between them, and ICU is not installed: {', '.join(needy)}."
        todo = "Install it with `pip install 'corpus[languages]'`, or leave these languages out."
        raise ConfigError(what, todo) from None
    return {f"words.{SEGMENTER}": hashlib.sha256(version.encode()).hexdigest()}


def _segmented(language: str) -> str:
    """Return the code by which ICU knows a language without spaces between words, or an empty text."""
    code = language.partition("_")[0]
    code = _ISO.get(code, code)
    return code if code in SEGMENTED else ""


class StretchTable:
    """The stretches of a language as numbers, with their tokens. `kernel` holds them.

    Stretches found in `previous`, the table before this one, are not split again.
    """

    def __init__(self, language: str, previous: StretchTable | None = None) -> None:
        self.language = language
        self._splitter: _Splitter = (
            _Splitter(language) if previous is None or previous._splitter.is_full else previous._splitter
        )
        before: kernels.StretchTable | None = previous.kernel if previous is not None else None
        self.kernel: kernels.StretchTable = new_table(self._splitter.rules, before)

    def numbers(self, text: str) -> Numbers:
        """Return the number of each stretch of a text. Stretches that are not in the table are added."""
        numbers, waiting = self.kernel.read(text)
        self.split(waiting)
        return numbers

    def split(self, waiting: Sequence[kernels.Waiting]) -> None:
        """Give tokens to stretches that the kernel could not split."""
        for number, stretch in waiting:
            self.kernel.set_tokens(number, self._split(stretch))

    def look_up(self, stretch: str) -> Sequence[str]:
        """Return the tokens of a stretch, without adding it."""
        known = self.kernel.look_up(stretch)
        return self._split(stretch) if known is None else known

    def _split(self, stretch: str) -> tuple[str, ...]:
        if len(stretch) > LONG_STRETCH and len(pieces := _cut(stretch)) > 1:
            tokens = {piece: self._split(piece) for piece in set(pieces)}
            return tuple(chain.from_iterable(map(tokens.__getitem__, pieces)))
        return self._splitter.split(stretch)


@dataclass(frozen=True)
class TextStretches:
    """The stretches of a text, in order, as numbers of a table."""

    table: StretchTable
    numbers: Numbers

    @cached_property
    def words(self) -> Words:
        """The text's tokens by spaCy."""
        return Words(self.table.kernel, self.table.kernel.words(self.numbers))


def _cut(stretch: str) -> list[str]:
    """Cut a long stretch after every 64 affixes in a row, and after 1,000 characters."""
    pieces = _AFFIXES.sub(r"\g<0> ", stretch).split()
    return [piece[i : i + MAX_STRETCH] for piece in pieces for i in range(0, len(piece), MAX_STRETCH)]


_tables: dict[str, StretchTable] = {}
_tables_lock = threading.Lock()


def _table_for(language: str, text: str = "") -> StretchTable:
    """Return the language's table, with room for a text."""
    if len(text) > TABLE_BYTES or (len(text) > 2 * TABLE_LIMIT and kernels.count_stretches(text) > TABLE_LIMIT):
        return StretchTable(language)  # a huge text would displace the words of all other texts
    with _tables_lock:
        table = _tables.pop(language) if language in _tables else StretchTable(language)
        dropped = len(table.kernel) >= TABLE_LIMIT or table.kernel.stored_bytes >= TABLE_BYTES
        if dropped:
            table.kernel.drop_previous()
            table = StretchTable(language, table)
        _tables[language] = table  # in the order of their last use
        while len(_tables) > 1 and sum(len(each.kernel) for each in _tables.values()) > TABLES_LIMIT:
            del _tables[next(iter(_tables))]
            dropped = True
    if dropped:
        # A tokenizer refers to itself, and page workers collect such cycles rarely. Without this line, the tokenizers
        # before the last two stay in memory: 3 KB for each page.
        gc.collect()
    return table


class _Splitter:
    """The tokenizer of a language, loaded when it is needed. spaCy's string store keeps every word that it ever saw, so
    a splitter is replaced when the store is full. `rules` are those of its tokenizer in C++, if they are known."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._segmenter = _segmenter(_segmented(language)) if _segmented(language) else None
        self._lock = threading.Lock()
        self.rules = _english_rules() if language == "en" else None

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _tokenizer("xx" if self._segmenter else self._language)

    @property
    def is_full(self) -> bool:
        return "_tokenizer" in vars(self) and len(self._tokenizer.vocab.strings) > STORE_LIMIT

    def split(self, stretch: str) -> tuple[str, ...]:
        if not stretch.isascii():
            stretch = _SURROGATE.sub("\ufffd", stretch)
            if self._segmenter is not None:
                return self._segmenter(stretch)
        with self._lock:
            return tuple(token.text for token in self._tokenizer(stretch))


def _english_rules() -> kernels.EnglishRules | None:
    """Return spaCy's rules for English as the kernel knows them, or None if the installed spaCy has others."""
    if metadata.version("spacy") != ENGLISH_SPACY and english_digest(_tokenizer("en")) != ENGLISH_RULES:
        return None
    return kernels.EnglishRules({"".join(tokens): tokens for tokens in map(str.split, _english_cases().splitlines())})


def _english_cases() -> str:
    return resources.files("corpus.text").joinpath("english_cases.txt").read_text("utf-8")


def english_digest(tokenizer: Tokenizer) -> str:
    """Return a digest of the patterns and the special cases of spaCy's tokenizer for English."""
    finders = (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer, tokenizer.url_match)
    patterns = "\n".join(find.__self__.pattern for find in finders)
    return hashlib.sha256(f"{patterns}\n{english_cases(tokenizer)}".encode()).hexdigest()


def english_cases(tokenizer: Tokenizer) -> str:
    """Return the special cases of spaCy's tokenizer for English: a line for each, with spaces between its tokens."""
    from spacy.attrs import ORTH

    cases = ([one[ORTH] for one in tokens] for text, tokens in sorted(tokenizer.rules.items()) if text.strip())
    return "".join(" ".join(tokens) + "\n" for tokens in cases)


def _segmenter(language: str) -> Callable[[str], tuple[str, ...]]:
    """Return ICU's function from a stretch to its words and punctuation marks."""
    check_segmenter([language])
    from icu4py.breakers import WordBreaker

    def split(stretch: str) -> tuple[str, ...]:
        return tuple(WordBreaker(stretch, language))

    return split


def rules_of(language: str) -> str:
    """Return the code of spaCy's rules for a language ("xx" are its common rules), or "ICU"."""
    return "ICU" if _segmented(language) else str(_spacy_rules(language).lang)


def _spacy_rules(language: str) -> Any:
    """Return spaCy's class for a language, or the one with its common rules."""
    from spacy.util import get_lang_class  # takes a second, so only when words are split

    try:
        rules = get_lang_class(_ALIASES.get(language, language))
    except ImportError:  # spaCy's error for an unknown language
        return get_lang_class("xx")
    return get_lang_class("xx") if rules.lang in _NEEDS_PACKAGE else rules


def _tokenizer(language: str) -> Tokenizer:
    with without_heavy():  # spaCy also loads the plugins of other packages
        tokenizer: Tokenizer = _spacy_rules(language)().tokenizer
        # these attributes of new words take half of the time, and nothing uses them
        tokenizer.vocab.lex_attr_getters = {}
        return tokenizer
