"""Stored blocks: find out whether bytes are inside a stored block of a gzip member.

A page can be a stored `.warc.gz`. Deflate stores data that it can't compress in blocks of at most 65,535 bytes. A block
begins with a 5-byte header (a type that ends on a byte boundary, LEN, and its complement NLEN) and holds its bytes
verbatim. Gzip members in a block look exactly like members of the file. Only the bytes around them show the difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np

from corpus.warc.inflate import MAGIC
from corpus.warc.source import Window

BLOCK_MAX = 65_535
HEADER = 5
_CHUNK = 128 * 1024
_CHUNKS_KEPT = 16
_GZIP_HEADER = 10
_LOOKS = 20_000
"""The number of positions that one search may look at.

By chance, 200 kB hold one position that reads as a stored block's header. A page made for this purpose holds 100,000.
After the last look, every short run counts as part of a page. The search takes 0.3 s at most.
"""
_ANY_HISTORY = bytes(32 * 1024)
_Headers: TypeAlias = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]
"""The headers of stored blocks in a chunk of the file: their positions, the ends of their blocks, and the final
blocks.
"""


class StoredBlocks:
    """A search for the stored blocks around a stretch of bytes. The result depends only on the bytes of the file."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._headers = lru_cache(_CHUNKS_KEPT)(partial(_find_headers, window))
        self._looks = 0

    def begin(self) -> None:
        """Begin a new search. The number of looks starts again."""
        self._looks = _LOOKS

    def may_hold(self, start: int, end: int) -> bool:
        """Return True if a stored block may hold the bytes from `start` to `end`, at most BLOCK_MAX of them.

        A wrong True loses the records of a short run between two damaged places. A wrong False invents records. So a
        block counts as real if something before or after it confirms it, and also if only its header is damaged.
        """
        if self.window.read(end, 4) == b"\r\n\r\n":
            return True  # the run is the end of a page, because in a file a member is followed by another member
        ends: set[int] = set()
        real_end = 0
        for at, block_end, last in self._blocks(start - 3 * (BLOCK_MAX + HEADER), start):
            self._looks -= 1
            if self._looks < 0:
                return True
            # A header inside another block is probably content, so it needs more evidence.
            nested = at < real_end
            goes_on = self._goes_on(block_end)
            opening = at >= _GZIP_HEADER and self.window.read(at - _GZIP_HEADER, 4) == MAGIC + b"\0"
            anchored = opening or at in ends
            ends.add(block_end)
            if not goes_on and (nested or not anchored):
                continue
            if at + HEADER <= start and end <= block_end:
                return True
            # The chain of blocks leads to other data. The header of the next block may be damaged.
            if not goes_on and not last and self._in_next(block_end, start, end):
                return True
            real_end = max(real_end, block_end)
        return self._damaged_opening(start, end)

    def _in_next(self, at: int, start: int, end: int) -> bool:
        """Return True if a block with its header at `at` could hold the stretch, and a trailer could follow it."""
        return at <= start and end <= at + HEADER + BLOCK_MAX and end < self.window.size

    def _blocks(self, low: int, high: int) -> Iterator[tuple[int, int, bool]]:
        """Yield everything between `low` and `high` that reads as a stored block's header, in order: its position, the
        end of its block, and whether the block is final.
        """
        low = max(low, 0)
        for chunk in range(low // _CHUNK, (high - 1) // _CHUNK + 1 if high > 0 else 0):
            positions, ends, lasts = self._headers(chunk)
            for i in range(int(positions.searchsorted(low)), int(positions.searchsorted(high - HEADER, "right"))):
                yield int(positions[i]), int(ends[i]), bool(lasts[i])

    def _goes_on(self, at: int) -> bool:
        """Return True if the bytes at `at` may follow a stored block.

        Such bytes may be another block, or a trailer and the next member.
        """
        if self._ends_member(at):
            return True
        data = self.window.read(at, 1024)
        if not data:
            return False
        if len(data) >= HEADER and not data[0] & 6:
            return data[1] ^ data[3] == 0xFF and data[2] ^ data[4] == 0xFF
        # A Huffman block refers back to unknown bytes. Whether it can be decoded does not depend on them.
        inflater = zlib.decompressobj(-15, zdict=_ANY_HISTORY)
        try:
            inflater.decompress(data)
        except zlib.error:
            return False
        return not inflater.eof or self._ends_member(at + len(data) - len(inflater.unused_data))

    def _ends_member(self, at: int) -> bool:
        return at + 8 == self.window.size or self.window.read(at + 8, 3) == MAGIC

    def _damaged_opening(self, start: int, end: int) -> bool:
        """Return True if a member shortly before `start` begins with a stored block whose header has one wrong byte."""
        at = max(0, end - BLOCK_MAX - HEADER - _GZIP_HEADER) - 1
        while (at := self.window.find(MAGIC + b"\0", at + 1, start)) >= 0:
            self._looks -= 1
            if self._looks < 0:
                return True
            header = self.window.read(at + _GZIP_HEADER, HEADER)
            if len(header) == HEADER and self._in_next(at + _GZIP_HEADER, start, end):
                wrong = [header[0] > 1, header[1] ^ header[3] != 0xFF, header[2] ^ header[4] != 0xFF]
                if sum(wrong) == 1:
                    return True
        return False


def _find_headers(window: Window, chunk: int) -> _Headers:
    base = chunk * _CHUNK
    data = np.frombuffer(window.read(base, _CHUNK + HEADER - 1), dtype=np.uint8)
    if len(data) < HEADER:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
    pairs = data[:-1].astype(np.uint16) | data[1:].astype(np.uint16) << 8
    # The byte before LEN holds the block's three type bits and the padding after them. Its highest possible bit is
    # bit 5, the mark of a final block. A type that starts in bit 6 or 7 leaves a zero byte.
    inside = np.flatnonzero((pairs[1:-2] ^ pairs[3:] == 0xFFFF) & (data[:-4] < 0x40))
    at = inside + base
    return at, at + HEADER + pairs[inside + 1], data[inside]
