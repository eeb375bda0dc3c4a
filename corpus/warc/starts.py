"""Which places of a `.warc.gz` are the start of one of its own members, decided from the bytes near there alone.

A magic number proves nothing: a page can be a stored `.warc.gz`, whose members lie verbatim in the member around it.
But deflate stores at most 65,535 bytes in one block, and 5 header bytes stand between two blocks, which break the
member that they fall into. So a run of members, each following the one before it, each inflating with a right checksum
and beginning with a record's header, that is longer than one block can't be embedded: its first is *proven*. A shorter
run ends at damage, at the end of a block or at the end of the file; it counts unless a stored block may hold it.

Files are split at proven starts only. After damage, reading goes on at the first start of either sort. So whatever a
walk does between, it meets every proven start, and the units of any size see the same records.
"""

from __future__ import annotations

import zlib

from corpus.warc.head import HEAD_BYTES, may_be_head, parse_head
from corpus.warc.inflate import MAGIC, header_size, inflate
from corpus.warc.source import Window
from corpus.warc.stored import BLOCK_MAX, HEADER, StoredBlocks

_CACHED = 100_000
_WASTE_BYTES = 64 << 20
"""A page could be made of overlapping false members, each inflating for long before it fails. Once that took so much,
a search for a place to divide goes on only where the last one failed: a division less does no harm."""


class Starts:
    """Finds member starts in one file; what it learns about members is kept, so that a search takes linear time."""

    def __init__(self, window: Window, any_content: bool = False) -> None:
        self.window = window
        self.any_content = any_content
        """Whether members need not begin with a record's header (files whose members are pieces of records)."""
        self._stored = StoredBlocks(window)
        self._links: dict[int, tuple[int, bool]] = {}
        self._failed_at = 0
        self._wasted = 0

    def is_record_start(self, offset: int) -> bool:
        """Whether one of the file's own members starts at `offset`, and holds a record."""
        run_end = self._run_end(offset)
        if run_end == offset:
            return False
        return run_end - offset > BLOCK_MAX or not self._stored.may_hold(offset, run_end)

    def is_proven(self, offset: int) -> bool:
        """Whether that is certain: no stored block is long enough, or the file ends with the run."""
        run_end = self._run_end(offset)
        if run_end - offset > BLOCK_MAX:
            return True
        return offset < run_end == self.window.size and not self._stored.may_hold(offset, run_end)

    def next(self, offset: int, proven: bool = False, end: int | None = None) -> int:
        """Return the first start at or after `offset` (and before `end`), the size of the file if there is none."""
        accept = self.is_proven if proven else self.is_record_start
        while (offset := self._next_candidate(offset, end, frugal=proven)) < self.window.size:
            if accept(offset):
                return offset
            # What is said of a run's first member holds for all of them: a block that may hold the run holds them.
            # A run that is only not proven may go on with no block around it, but is too short for a proof as well.
            offset = max(self._run_end(offset), offset + 1)
        return self.window.size

    def _next_candidate(self, offset: int, end: int | None, frugal: bool) -> int:
        """The next good member that holds a record. A frugal search may miss some, in a file made to waste time."""
        while (offset := self.window.find(MAGIC, offset, end)) >= 0:
            if self._link(offset)[1]:
                return offset
            offset = max(offset + 1, self._failed_at if frugal and self._wasted > _WASTE_BYTES else 0)
        return self.window.size

    def _run_end(self, start: int) -> int:
        """Where the run of good members from `start` ends, or the first end that is more than a block away."""
        end, record = self._link(start)
        if not record:
            return start
        while end - start <= BLOCK_MAX:
            after, _ = self._link(end)
            if after == end:
                break
            end = after
        return end

    def _link(self, offset: int) -> tuple[int, bool]:
        """Where the good member at `offset` ends (`offset` if there is none), and whether it holds a record."""
        known = self._links.get(offset)
        if known is None:
            if not self._worth_inflating(offset):
                return offset, False
            if len(self._links) >= _CACHED:
                self._links.clear()
            known = self._links[offset] = self._check(offset)
        return known

    def _check(self, offset: int) -> tuple[int, bool]:
        member = inflate(self.window, offset, HEAD_BYTES, salvage=False)
        if member.state == "ok":
            if not member.content.strip(b"\r\n"):
                return member.end, False
            head = parse_head(member.content)
            if self.any_content or (head is not None and head.kind):
                return member.end, True
        self._failed_at = member.end
        self._wasted += member.size
        return offset, False

    def _worth_inflating(self, offset: int) -> bool:
        """A look at a candidate that costs little: does it inflate to what could be a record's header?"""
        skip = header_size(self.window, offset)
        if not skip:
            return False
        data = self.window.piece(offset + skip, 2048)
        if len(data) >= HEADER and not data[0] & 6 and (data[1] ^ data[3] != 0xFF or data[2] ^ data[4] != 0xFF):
            return False  # a stored block whose length and complement differ
        try:
            first = zlib.decompressobj(-15).decompress(data, 64)
        except zlib.error:
            return False
        return self.any_content or not first or may_be_head(first)
