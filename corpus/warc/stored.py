"""Could these bytes lie inside a stored block of a gzip member around them?

A page can be a stored `.warc.gz`. What can't be compressed, deflate stores: blocks of at most 65,535 bytes, verbatim,
each behind a 5-byte header (a type that ends on a byte boundary, LEN, and NLEN, its complement). Gzip members that lie
in such a block look exactly like the file's own. Only what is around them tells.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
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
"""Places looked at in one search. Where chance alone makes them, 200 kB have one that reads as a stored block's header;
a page made for it has 100,000. Once the looks are used up, every short run is taken for a page's: 0.3 s at most."""
_ANY_HISTORY = bytes(32 * 1024)
_Blocks: TypeAlias = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


class StoredBlocks:
    """Looks for the stored blocks around a stretch of bytes. Depends on the bytes of the file only."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._headers: dict[int, _Blocks] = {}
        self._looks = 0

    def begin(self) -> None:
        """A new search begins, with all its looks."""
        self._looks = _LOOKS

    def may_hold(self, start: int, end: int) -> bool:
        """Whether a stored block could hold `start` to `end`, which are at most BLOCK_MAX bytes.

        A false yes costs the records of a short run between two damaged places; a false no invents records. So
        a block counts as real if it can be anchored on either side, and also if only its header was damaged.
        """
        if self.window.read(end, 4) == b"\r\n\r\n":
            return True  # the run is a page, to its end: members are followed by members
        ends: set[int] = set()
        real_end = 0
        for at, block_end, last in self._blocks(start - 3 * (BLOCK_MAX + HEADER), start):
            self._looks -= 1
            if self._looks < 0:
                return True
            # What reads as a header within a block is likely content, which takes more evidence.
            nested = at < real_end
            goes_on = self._goes_on(block_end)
            anchored = at in ends or self._opens_member(at)
            ends.add(block_end)
            if not goes_on and (nested or not anchored):
                continue
            if at + HEADER <= start and end <= block_end:
                return True
            # The chain of blocks leads to something that is none: the header of the next may be what is damaged.
            if not goes_on and not last and self._in_next(block_end, start, end):
                return True
            real_end = max(real_end, block_end)
        return self._damaged_opening(start, end)

    def _in_next(self, at: int, start: int, end: int) -> bool:
        """Whether a block whose header should be `at` could hold the stretch, and the trailer that must follow."""
        return at <= start and end <= at + HEADER + BLOCK_MAX and end < self.window.size

    def _blocks(self, low: int, high: int) -> Iterator[tuple[int, int, bool]]:
        """Every place from `low` on that reads as a stored block's header and ends before `high`, in order: where it
        is, where its block ends, and whether that is the last."""
        low = max(low, 0)
        for chunk in range(low // _CHUNK, (high - 1) // _CHUNK + 1 if high > 0 else 0):
            if chunk not in self._headers:
                if len(self._headers) >= _CHUNKS_KEPT:
                    self._headers.clear()
                self._headers[chunk] = self._find_headers(chunk)
            places, ends, lasts = self._headers[chunk]
            for i in range(int(places.searchsorted(low)), int(places.searchsorted(high - HEADER, "right"))):
                yield int(places[i]), int(ends[i]), bool(lasts[i])

    def _find_headers(self, chunk: int) -> _Blocks:
        """What `_blocks` gives for a chunk of the file."""
        base = chunk * _CHUNK
        data = np.frombuffer(self.window.read(base, _CHUNK + HEADER - 1), dtype=np.uint8)
        if len(data) < HEADER:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
        pairs = data[:-1].astype(np.uint16) | data[1:].astype(np.uint16) << 8
        # The type's three bits and the padding behind them: the byte before LEN has no higher bit than a final
        # block's mark in bit 5; a type that starts in bit 6 or 7 leaves a zero byte.
        places = np.flatnonzero((pairs[1:-2] ^ pairs[3:] == 0xFFFF) & (data[:-4] < 0x40))
        at = places + base
        return at, at + HEADER + pairs[places + 1], data[places]

    def _opens_member(self, at: int) -> bool:
        return at >= _GZIP_HEADER and self.window.read(at - _GZIP_HEADER, 4) == MAGIC + b"\0"

    def _goes_on(self, at: int) -> bool:
        """Whether `at` can be what follows a stored block: another block, or a trailer and the next member."""
        if self._ends_member(at):
            return True
        data = self.window.read(at, 1024)
        if not data:
            return False
        if len(data) >= HEADER and not data[0] & 6:
            return data[1] ^ data[3] == 0xFF and data[2] ^ data[4] == 0xFF
        # A Huffman block: what it refers back to is not known, but that does not matter for whether it decodes.
        inflater = zlib.decompressobj(-15, zdict=_ANY_HISTORY)
        try:
            inflater.decompress(data)
        except zlib.error:
            return False
        return not inflater.eof or self._ends_member(at + len(data) - len(inflater.unused_data))

    def _ends_member(self, at: int) -> bool:
        return at + 8 == self.window.size or self.window.read(at + 8, 3) == MAGIC

    def _damaged_opening(self, start: int, end: int) -> bool:
        """Whether a member near before `start` opens with a stored block whose header has one wrong byte."""
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
