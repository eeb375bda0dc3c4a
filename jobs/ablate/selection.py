"""Some documents of an arm, which a seed chooses, as one sequence of tokens."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from pathlib import Path

import numpy as np

from corpus.tokens.token_folder import Split
from jobs.model.windows import shuffled


class Selection:
    """Documents of a split in an order that `key` decides, up to `most` tokens. The last document may be cut.

    With `backwards`, the selection begins at the other end of the order. So two selections of a split, of which one is
    backwards, share as few documents as possible.
    """

    def __init__(self, split: Split, key: str, most: int, backwards: bool = False) -> None:
        self._split = split
        ends = _ends(split)
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        order = shuffled(np.arange(len(ends)), len(ends), seed, 0)
        order = order[::-1] if backwards else order
        starts = np.concatenate([[0], ends[:-1]])[order]
        lengths = ends[order] - starts
        upto = np.cumsum(lengths)
        self.documents = min(int(np.searchsorted(upto, most)) + 1, len(ends))
        """The number of documents in the selection."""
        self._starts = starts[: self.documents]
        self._places = (upto - lengths)[: self.documents].tolist()
        self.tokens = min(most, int(upto[-1]))

    def read(self, start: int, count: int) -> np.ndarray:
        """Return the ids from `start` to `start + count` as a new array."""
        if start < 0 or count < 0 or start + count > self.tokens:
            raise ValueError(f"tokens {start} to {start + count} of {self.tokens}")
        read = np.empty(count, self._split.dtype)
        got, document = 0, bisect_right(self._places, start) - 1
        while got < count:
            inner = start + got - self._places[document]
            end = self._places[document + 1] if document + 1 < self.documents else self.tokens
            some = min(count - got, end - self._places[document] - inner)
            read[got : got + some] = self._split.read(int(self._starts[document]) + inner, some)
            got += some
            document += 1
        return read


def shared_documents(split: Split, most: int) -> float:
    """Return the share of its documents that a selection of `most` tokens shares, on average, with the selection from
    the other end."""
    return max(0.0, 2 - split.tokens / most) if most < split.tokens else 1.0


def _ends(split: Split) -> np.ndarray:
    """Return the end of each document, counted in tokens of the whole split."""
    ends, before = [np.empty(0, np.int64)], 0
    for path, entry in zip(split.files, split.info["files"], strict=True):
        own = np.fromfile(Path(f"{path}.index"), "<u8").astype(np.int64)
        ends.append(own + before)
        before += int(entry["tokens"])
    return np.concatenate(ends)
