"""The kernels. native/src/module.cpp binds them."""

from collections.abc import Sequence
from mmap import mmap

import numpy as np
import numpy.typing as npt

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
