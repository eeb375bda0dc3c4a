"""The kernels. native/src/module.cpp binds them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
    def render(self, taken: Sequence[bool]) -> str: ...

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
    def text(self, html: bytes, url: str) -> str: ...
    def blocks(self, html: bytes, url: str) -> list[tuple[str, str, int, bool]]:
        """Return text, tag, chance in 4096ths, and whether it is taken, of each block."""

def choose(chances: Sequence[int], words: Sequence[int]) -> list[bool]:
    """Return which blocks have the highest expected F1. Chances are in 4096ths."""
