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
from typing import NamedTuple

from corpus.warc.head import HEAD_BYTES, may_be_head, parse_head
from corpus.warc.inflate import BOMB_BYTES, BOMB_RATIO, MAGIC, header_size, inflate
from corpus.warc.source import Window
from corpus.warc.stored import BLOCK_MAX, HEADER, StoredBlocks

_CACHED = 100_000
COST_LIMIT = 128 << 20
"""A page could be made of overlapping false members, each inflating for long before it fails: 300,000 of them in 5 MiB,
each to 256 MiB. A search that cost as many bytes as this is frugal from there on."""
LOOK_COST = 1024
"""What a look at a candidate takes, 2 to 10 µs, in bytes inflated."""
FRUGAL_STEP = 16 << 10
"""A frugal search goes on where the last candidate failed, and so much further at the least: that is linear. What it
passed over just before the start that it found is then looked at from the end."""
REGAINED = 1 << 20
"""So far back."""
FRUGAL_BOMB = (1 << 20, 100)
"""Bytes, and how many times its own size, from which on a frugal search takes a candidate for a bomb."""


class _Link(NamedTuple):
    """A good member: where it `end`s and whether it holds a record. What is none ends where it starts.

    `read_to`: how far it was read, `cost`: what that took, in bytes inflated.
    """

    end: int
    record: bool
    read_to: int
    cost: int


class Starts:
    """Finds member starts in one file; what it learns about members is kept, so that a search takes linear time.

    What a search finds depends on the bytes of the file and on where it begins, never on searches before it.
    """

    def __init__(self, window: Window, any_content: bool = False) -> None:
        self.window = window
        self.any_content = any_content
        """Whether members need not begin with a record's header (files whose members are pieces of records)."""
        self._stored = StoredBlocks(window)
        self._links: dict[tuple[int, bool], _Link] = {}
        self._cost = 0
        self._frugal = False

    def is_record_start(self, offset: int) -> bool:
        """Whether one of the file's own members starts at `offset`, and holds a record."""
        self._begin()
        return self._is_start(offset, self._run_end(offset), proven=False)

    def leads_to(self, start: int, end: int) -> bool:
        """Whether good members follow one another from `start` to exactly `end`."""
        self._begin()
        while start < end:
            after = self._link(start).end
            if after == start:
                return False
            start = after
        return start == end

    def next(self, offset: int, proven: bool = False, end: int | None = None) -> int:
        """Return the first start at or after `offset` (and before `end`), the size of the file if there is none."""
        self._begin()
        failed = offset
        end = end if end is not None and end < self.window.size else None
        while (offset := self.window.find(MAGIC, offset, end)) >= 0:
            run_end = self._run_end(offset)
            if self._is_start(offset, run_end, proven):
                return self._regained(failed, offset, proven) if self._frugal else offset
            # What is said of a run's first member holds for all of them: a block that may hold the run holds them.
            # A run that is only not proven may go on with no block around it, but is too short for a proof as well.
            step = offset + 1
            if self._frugal and run_end == offset:
                failed = offset
                step = max(self._link(offset).read_to, offset + FRUGAL_STEP)
            offset = max(run_end, step)
        return self._regained(failed, self.window.size, proven) if self._frugal and end is None else self.window.size

    def _regained(self, low: int, found: int, proven: bool) -> int:
        """The first start of the run that leads to `found`, of what a frugal search passed over from `low` on."""
        self._begin()
        low = max(low, found - REGAINED)
        data = self.window.read(low, found - low)
        first = chain = found
        at = data.rfind(MAGIC)
        while at >= 0 and not self._frugal:
            link = self._link(low + at)
            if link.end == chain:
                chain = low + at
                first = chain if link.record else first
            at = data.rfind(MAGIC, 0, at + len(MAGIC) - 1)
        return first if first < found and self._is_start(first, self._run_end(first), proven) else found

    def _begin(self) -> None:
        self._cost, self._frugal = 0, False
        self._stored.begin()

    def _is_start(self, offset: int, run_end: int, proven: bool) -> bool:
        """Whether the run from `offset` is the file's own; for a proof it must be long, or be the end of the file."""
        if run_end - offset > BLOCK_MAX:
            return True
        at_end = run_end == self.window.size
        return run_end > offset and (at_end or not proven) and not self._stored.may_hold(offset, run_end)

    def _run_end(self, start: int) -> int:
        """Where the run of good members from `start` ends, or the first end that is more than a block away."""
        link = self._link(start)
        if not link.record:
            return start
        end = link.end
        while end - start <= BLOCK_MAX:
            after = self._link(end).end
            if after == end:
                break
            end = after
        return end

    def _link(self, offset: int) -> _Link:
        """The good member at `offset`, or that there is none."""
        key = (offset, self._frugal)
        link = self._links.get(key)
        if link is None:
            if len(self._links) >= _CACHED:
                self._links.clear()
            link = self._links[key] = self._check(offset)
        # Also what is known already counts, for a search must not depend on those before it.
        self._cost += link.cost
        self._frugal = self._frugal or self._cost > COST_LIMIT
        return link

    def _check(self, offset: int) -> _Link:
        if not self._worth_inflating(offset):
            return _Link(offset, False, offset, LOOK_COST)
        bomb = FRUGAL_BOMB if self._frugal else (BOMB_BYTES, BOMB_RATIO)
        member = inflate(self.window, offset, HEAD_BYTES, salvage=False, bomb=bomb)
        cost = LOOK_COST + member.size + member.end - offset
        if member.state == "ok":
            if not member.content.strip(b"\r\n"):
                return _Link(member.end, False, member.end, cost)
            head = parse_head(member.content)
            if self.any_content or (head is not None and head.kind):
                return _Link(member.end, True, member.end, cost)
        return _Link(offset, False, member.end, cost)

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
