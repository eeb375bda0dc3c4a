"""The positions where members of a `.warc.gz` start, decided only from the bytes nearby.

A magic number proves nothing, because a page can be a `.warc.gz`. If deflate stored this page without compressing it,
the member around the page contains the page's members verbatim. But deflate stores at most 65,535 bytes in one block.
The 5 header bytes between two blocks break the embedded member that they fall into.

So this module looks at runs. In a run, each member follows the one before it, inflates with a correct checksum and
begins with the header of a record. A run longer than one block can't be embedded, and its first member is a *proven*
start. A shorter run ends at damage, at a block's end or at the file's end. A shorter run counts unless a stored block
may hold it.

Files are divided at proven starts only. After damage, reading continues at the first start of either kind. So a reader
meets every proven start, and units of any size see the same records.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import NamedTuple

from corpus.warc.head import HEAD_BYTES, may_be_head, parse_head
from corpus.warc.inflate import BOMB, MAGIC, header_size, inflate
from corpus.warc.source import Window
from corpus.warc.stored import BLOCK_MAX, HEADER, StoredBlocks

_CACHED = 100_000
_COST_LIMIT = 128 << 20
"""A search that cost more inflated bytes than this becomes frugal.

A page could hold overlapping false members that inflate for a long time before they fail: 300,000 of them in 5 MiB,
each up to 256 MiB.
"""
LOOK_COST = 1024
"""The cost of a look at a candidate in inflated bytes. It takes 2 to 10 µs."""
FRUGAL_STEP = 16 << 10
"""A frugal search continues where the last candidate failed, and at least this far ahead. So its time stays linear."""
_LOOK_BACK_BYTES = 1 << 20
"""A frugal search may skip starts. So when it has found a start, it looks back over this many bytes."""
FRUGAL_BOMB = (1 << 20, 100)
"""The limits of a bomb in a frugal search."""


class Candidate(NamedTuple):
    """A position where a member or frame may start. `end` is the end of a good one, or the position itself. `record` is
    True if it holds a record. The look read up to `read_to` and cost `cost` inflated bytes."""

    end: int
    record: bool
    read_to: int
    cost: int


class FrugalSearch(ABC):
    """A search that counts the cost of its looks at candidates, and caches the looks, so that its time stays linear.

    The result depends on the bytes of the file and on where the search begins, never on earlier searches.
    """

    def __init__(self, window: Window, magic: bytes) -> None:
        self.window = window
        self.frugal = False
        self._magic = magic
        self._cost = 0
        self._looked_at: dict[tuple[int, bool], Candidate] = {}

    @abstractmethod
    def inspect(self, offset: int) -> Candidate:
        """Read the candidate at `offset`."""

    def look(self, offset: int) -> Candidate:
        key = (offset, self.frugal)
        candidate = self._looked_at.get(key)
        if candidate is None:
            if len(self._looked_at) >= _CACHED:
                self._looked_at.clear()
            candidate = self._looked_at[key] = self.inspect(offset)
        # Cached results count too. Otherwise a search would depend on earlier searches.
        self._cost += candidate.cost
        self.frugal = self.frugal or self._cost > _COST_LIMIT
        return candidate

    def begin(self) -> None:
        self._cost, self.frugal = 0, False

    def chain_start(self, low: int, found: int) -> int:
        """Return the first record from `low` in the chain of candidates that leads to `found`."""
        self.begin()
        low = max(low, found - _LOOK_BACK_BYTES)
        data = self.window.read(low, found - low)
        first = chain = found
        at = data.rfind(self._magic)
        while at >= 0 and not self.frugal:
            candidate = self.look(low + at)
            if candidate.end == chain:
                chain = low + at
                first = chain if candidate.record else first
            at = data.rfind(self._magic, 0, at + len(self._magic) - 1)
        return first


class MemberStarts(FrugalSearch):
    """A search for member starts in one file.

    A member must begin with a record's header. `any_content` drops this rule for files whose members are pieces of
    records.
    """

    def __init__(self, window: Window, any_content: bool = False) -> None:
        super().__init__(window, MAGIC)
        self.any_content = any_content
        self._stored = StoredBlocks(window)

    def is_record_start(self, offset: int) -> bool:
        """Return True if a member of this file starts at `offset` and holds a record."""
        self.begin()
        return self._is_start(offset, self._run_end(offset), proven=False)

    def leads_to(self, start: int, end: int) -> bool:
        """Return True if good members follow one another from `start` to exactly `end`."""
        self.begin()
        while start < end:
            after = self.look(start).end
            if after == start:
                return False
            start = after
        return start == end

    def next(self, offset: int, proven: bool = False, end: int | None = None) -> int:
        """Return the first start from `offset` up to `end`, or the file's size if there is none."""
        self.begin()
        failed, found, size = offset, self.window.size, self.window.size
        end = end if end is not None and end < size else None
        while (offset := self.window.find(MAGIC, offset, end)) >= 0:
            run_end = self._run_end(offset)
            if self._is_start(offset, run_end, proven):
                found = offset
                break
            # A search result for a run's first member holds for the whole run. If a stored block may hold the run, it
            # holds all its members. If the run is merely not proven, the rest of the run is too short for a proof as
            # well.
            step = offset + 1
            if self.frugal and run_end == offset:
                failed = offset
                step = max(self.look(offset).read_to, offset + FRUGAL_STEP)
            offset = max(run_end, step)
        if not self.frugal or (found == size and end is not None):
            return found
        first = self.chain_start(failed, found)
        return first if first < found and self._is_start(first, self._run_end(first), proven) else found

    def begin(self) -> None:
        super().begin()
        self._stored.begin()

    def _is_start(self, offset: int, run_end: int, proven: bool) -> bool:
        """Return True if the run from `offset` belongs to this file. A short run proves this only at the file's end."""
        if run_end - offset > BLOCK_MAX:
            return True
        at_end = run_end == self.window.size
        return run_end > offset and (at_end or not proven) and not self._stored.may_hold(offset, run_end)

    def _run_end(self, start: int) -> int:
        """Return the end of the run of good members from `start`, or its first end more than a block away."""
        candidate = self.look(start)
        if not candidate.record:
            return start
        end = candidate.end
        while end - start <= BLOCK_MAX and (after := self.look(end).end) != end:
            end = after
        return end

    def inspect(self, offset: int) -> Candidate:
        if not self._worth_inflating(offset):
            return Candidate(offset, False, offset, LOOK_COST)
        bomb = FRUGAL_BOMB if self.frugal else BOMB
        member = inflate(self.window, offset, HEAD_BYTES, salvage=False, bomb=bomb)
        cost = LOOK_COST + member.size + member.end - offset
        if member.state != "ok":
            return Candidate(offset, False, member.end, cost)
        empty = not member.content.strip(b"\r\n")
        head = parse_head(member.content)
        record = not empty and (self.any_content or (head is not None and head.kind != ""))
        return Candidate(member.end if record or empty else offset, record, member.end, cost)

    def _worth_inflating(self, offset: int) -> bool:
        """Return False if the first bytes already show that no member with a record's header starts here.

        This check costs little.
        """
        skip = header_size(self.window, offset)
        if not skip:
            return False
        data = self.window.piece(offset + skip, 2048)
        if len(data) >= HEADER and not data[0] & 6 and (data[1] ^ data[3] != 0xFF or data[2] ^ data[4] != 0xFF):
            return False  # a stored block must have a length that matches its complement
        try:
            first = zlib.decompressobj(-15).decompress(data, 64)
        except zlib.error:
            return False
        return self.any_content or not first or may_be_head(first)
