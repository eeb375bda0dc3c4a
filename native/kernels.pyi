"""The kernels. native/src/module.cpp binds them."""

from collections.abc import Callable, Mapping, Sequence
from mmap import mmap

import numpy as np
import numpy.typing as npt
from lxml.etree import _Element

_Numbers = npt.NDArray[np.uint32]
_Bits = tuple[int, int, int]
_Phrase = tuple[str, str, _Bits]

SOURCE_DIGEST: str
"""The digest of the sources that the kernels were built from."""

class Lexicon:
    """Values of words, by kind: 0 of classes and ids, 1 of blocks, 2 of headings, 3 of whole texts, 4 of links."""

    def __init__(self) -> None: ...
    def fill(self, kind: int, keys: Sequence[int], values: Sequence[int]) -> None: ...

class Page:
    """A page of UTF-8 that was cut into blocks."""

    def __init__(self, html: bytes, url: str) -> None: ...
    def texts(self) -> list[str]: ...
    def features(self, lexicon: Lexicon) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the features of the blocks [blocks, columns], and those of the page."""

    def feature_names(self) -> list[str]: ...
    def words(self) -> list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]]:
        """Return rows (a node for classes and ids, else a block) and hashes of words, for each kind of a lexicon."""

    def parents(self) -> npt.NDArray[np.int32]: ...
    def block_nodes(self) -> npt.NDArray[np.int32]: ...
    def title(self) -> str: ...
    def headings(self) -> list[tuple[int, str]]:
        """Return the level and the text of each heading."""

    def statements(self) -> list[tuple[str, str]]:
        """Return the names and contents of meta elements, and of elements with a name and a content or a datetime."""

    def times(self) -> list[str]:
        """Return the values of datetime attributes."""

    def linked_data(self) -> list[str]:
        """Return the scripts of JSON-LD."""

    def render(self, taken: Sequence[bool], markdown: bool = False, links: bool = False) -> str: ...

class BlockExtractor:
    """The main text of pages, by a model of boosted trees."""

    def __init__(
        self,
        nodes: Sequence[Sequence[int]],
        leaves: Sequence[int],
        roots: Sequence[int],
        table: Sequence[int],
        step: int,
        lexicon: Lexicon,
        block_features: int,
        page_features: int,
    ) -> None: ...
    def extract(
        self, html: bytes, url: str, comments: str = "auto", markdown: bool = False, links: bool = False
    ) -> tuple[str, int, int, str | None]:
        """Return the text, its size and that of the page in bytes without spaces, and the page's declared type."""

    def blocks(self, html: bytes, url: str, comments: str = "auto") -> list[tuple[str, str, int, bool]]:
        """Return text, tag, chance in 4096ths, and whether it is taken, of each block."""

def choose(chances: Sequence[int], words: Sequence[int]) -> list[bool]:
    """Return which blocks have the highest expected F1. Chances are in 4096ths."""

Waiting = tuple[int, str]
"""A stretch that needs tokens: its number and its text."""

class EnglishRules:
    """The rules of spaCy 3 for English words. `special_cases` has texts that are split like no other, with their
    tokens."""

    def __init__(self, special_cases: Mapping[str, Sequence[str]]) -> None: ...

class StretchTable:
    """The stretches of texts (runs of characters without whitespace) and their words, as numbers. Safe in threads.

    `punctuation` has the characters of words that are no content, `sentence_ends` those that end a sentence. With
    `rules`, the table splits nearly all stretches itself. Stretches that `previous` has are copied.
    """

    def __init__(
        self,
        punctuation: str,
        sentence_ends: str,
        rules: EnglishRules | None = None,
        previous: StretchTable | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def stored_bytes(self) -> int:
        """The bytes of all stretches."""

    def drop_previous(self) -> None: ...
    def read(self, text: str) -> tuple[_Numbers, list[Waiting]]:
        """Return the number of each stretch, and the stretches that have no tokens yet."""

    def set_tokens(self, number: int, tokens: Sequence[str]) -> None: ...
    def look_up(self, stretch: str) -> list[str] | None:
        """Return the tokens of a stretch if they are known. It is not added."""

    def stretch(self, number: int) -> str: ...
    def words(self, numbers: _Numbers) -> _Numbers: ...
    def number_words(self, words: Sequence[str]) -> _Numbers: ...
    def word_number(self, word: str) -> int | None: ...
    def word_strings(self, words: _Numbers) -> list[str]: ...
    def word_lengths(self, words: _Numbers) -> npt.NDArray[np.int64]: ...
    def word_flags(self, words: _Numbers, name: str) -> npt.NDArray[np.uint8]:
        """Return 1 for each word that is "content", or has "letters"."""

    def count_words(self, words: _Numbers) -> tuple[int, int, int]:
        """Return the number of words that are content, their characters, and the number of words with letters."""

    def hashes(self, kind: int, numbers: _Numbers) -> tuple[npt.NDArray[np.uint64], list[int]]:
        """Return the hashes of normalized words, and the stretches whose hashes must be set first."""

    def set_hashes(self, kind: int, number: int, hashes: Sequence[int]) -> None: ...
    def hash_counts(self, kind: int, numbers: _Numbers) -> _Numbers: ...
    def roles(self, numbers: _Numbers) -> bytes:
        """Return a letter for each stretch: w (plain), e (a sentence ends with it), p (punctuation), x (other)."""

    def count_sentences(self, text: str, numbers: _Numbers) -> int: ...

def count_stretches(text: str) -> int: ...
def top_ngram_chars(table: StretchTable, words: _Numbers, sizes: Sequence[int]) -> list[int]: ...
def duplicate_ngram_chars(table: StretchTable, words: _Numbers, sizes: Sequence[int]) -> list[int]: ...
def shingles(hashes: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.uint64]: ...
def least_values(
    hashes: npt.NDArray[np.uint64], factors: npt.NDArray[np.uint32], summands: npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """Return the least value of each permutation x → factor · x + summand mod 2^32 of the finalized hashes."""

def clean_lines(
    table: StretchTable,
    text: str,
    numbers: _Numbers,
    *,
    terminal_punctuation: bool,
    javascript_lines: bool,
    policy_lines: bool,
    latex: bool,
    min_words_per_line: int,
    max_word_length: int,
) -> tuple[dict[str, int], str | None, _Numbers, list[Waiting]]:
    """Return C4's measures, the text if it changes, its stretches, and those of them that have no tokens yet."""

def personal_hints(text: str) -> tuple[list[tuple[int, int, int]], set[str]]:
    """Return the clusters of digits (begin, end, digits), and the kinds of personal data that may be there."""

def may_opt_out(markup: bytes, names: Sequence[bytes]) -> bool: ...
def may_license(markup: bytes) -> bool: ...

class FastText:
    """A supervised model of fastText, which reads the model's file."""

    def __init__(self, file: mmap | bytes) -> None: ...
    def labels(self) -> list[str]: ...
    def predict(self, text: bytes, asked: Sequence[int]) -> tuple[int, float, list[float]]:
        """Return the number of the most likely label and its probability, and the probabilities of labels by number.

        The number is -1 if the model knows nothing of the text.
        """

def structure_of(html: bytes, sure_depth: int) -> tuple[int, int, int]:
    """Return the number of "<", the most attributes in one tag of 1,000 bytes, and the depth to which elements nest.

    If the depth is above `sure_depth`, scripts, styles and comments are left out, because scripts can write tags.
    """

def beyond_ascii(data: bytes) -> int | None:
    """Return the number of bytes beyond ASCII, or None if the bytes are not UTF-8, or if one of them is zero."""

def visible_text(html: bytes, chars: int, least: int) -> str:
    """Return up to `chars` characters of the text between tags, in pieces of `least` or more, a line for each.

    `html` is UTF-8. Scripts, styles, templates and what is for browsers without scripts are left out.
    """

class PhraseCounter:
    """Phrases in lower case, which are looked for all at once."""

    def __init__(self, phrases: Sequence[str]) -> None: ...
    def counts(self, text: bytes) -> list[int]:
        """Return how often the text has each phrase, in any case. The same phrase is not counted where it overlaps."""

class TreeTexts:
    """The texts below elements of lxml's trees. Raises ImportError if lxml has elements of another form."""

    def __init__(self) -> None: ...
    def length(self, element: _Element) -> int:
        """Return len(" ".join(text.split())) for the text below an element."""

    def xml_length(self, element: _Element) -> int:
        """Return what XPath's string-length(normalize-space()) gives."""

class TreeFlags:
    """Bits of the elements of lxml's trees.

    `attributes` have a name; the bits of all values; the bits of some whole values; phrases, each with what must not
    follow it and the bits of values that contain it; phrases in lower case that match in any case; and a function that
    returns the bits of a value beyond ASCII. In phrases, "\\x02" and "\\x03" are the begin and the end of a value, and
    "\\t" is any whitespace but a space. Bits come in three parts: those that always count; those that do not count
    after a class or id of the same element; and those that do not count after an id or style. `tags` are the bits that
    count on elements with these tags, and `any_tag` those that count on others. Raises ImportError if lxml has elements
    of another form.
    """

    def __init__(
        self,
        attributes: Sequence[
            tuple[str, _Bits, Mapping[str, _Bits], Sequence[_Phrase], Sequence[_Phrase], Callable[[str], _Bits]]
        ],
        tags: Sequence[tuple[str, int]],
        any_tag: int,
    ) -> None: ...
    def flags(self, element: _Element) -> int: ...
    def flagged(
        self, root: _Element, bits: int, tags: Sequence[str], always: Sequence[str]
    ) -> list[tuple[_Element, int]]:
        """Return the elements below `root` with any of these bits, each with all its bits. Without `tags`, elements of
        all tags count. Elements with a tag in `always` need no bit."""

def parser_hazards(html: bytes) -> tuple[bool, bool, bool]:
    """Return True for control characters other than tab and line ends; for U+FFFE or U+FFFF; and for numeric references
    to one of these, which lxml reads but does not write."""
