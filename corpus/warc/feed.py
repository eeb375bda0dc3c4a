"""A bounded, forward-only view of decompressed bytes: look ahead as far as needed, then drop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from corpus.warc.head import HEAD_BYTES, Head, parse_head

_FIRST_LOOK = 2048
"""Nearly every header fits in it, so that reading one does not pull in more of a member than needed."""


@dataclass(frozen=True, slots=True)
class Break:
    """A gap in the stream: `lost` bytes of the file could not be decompressed."""

    kind: str
    detail: str
    lost: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """What could be decompressed up to here failed its checksum."""


Chunks = Iterator["bytes | Break | Doubt"]


class Feed:
    """Buffered bytes of a stream up to its end or its next Break."""

    def __init__(self, chunks: Chunks, position: int = 0) -> None:
        self._chunks = chunks
        self.buffer = bytearray()
        self.position = position
        """Where in the stream the buffer starts."""
        self.ended = False
        """Whether nothing follows the buffer, at all or before `broken`."""
        self.broken: Break | None = None
        self.doubts: list[int] = []
        """Positions in the stream where a checksum failed."""

    @classmethod
    def of(cls, content: bytes) -> Feed:
        """A feed of bytes that are all there."""
        feed = cls(iter(()))
        feed.buffer += content
        return feed

    def want(self, length: int) -> int:
        """Buffer `length` bytes if there are as many, and return how many are there (not more than `length`)."""
        buffer = self.buffer
        while len(buffer) < length and not self.ended:
            chunk = next(self._chunks, None)
            if isinstance(chunk, bytes):
                buffer += chunk
            elif isinstance(chunk, Doubt):
                self.doubts.append(self.position + len(buffer))
            else:
                self.ended = True
                self.broken = chunk
        return min(len(buffer), length)

    def take(self, length: int) -> bytes:
        """Drop `length` bytes, or what there is, and return them."""
        self.want(length)
        taken = bytes(memoryview(self.buffer)[:length])
        self._forget(len(taken))
        return taken

    def drop(self, length: int) -> int:
        """Drop `length` bytes, or what there is, in bounded memory, and return how many they were."""
        left = length
        while left and self.want(1):
            step = min(left, len(self.buffer))
            self._forget(step)
            left -= step
        return length - left

    def head(self, at: int = 0) -> Head | None:
        """Parse the header `at` bytes from here, without dropping it."""
        for look in (_FIRST_LOOK, HEAD_BYTES):
            there = self.want(at + look)
            head = parse_head(self.buffer, at)
            if head is not None or there < at + look:
                return head
        return None

    def go_on(self) -> None:
        """Go on behind the Break, once the buffer is used up."""
        assert self.broken is not None and not self.buffer
        self.position += self.broken.lost
        self.ended, self.broken = False, None

    def _forget(self, length: int) -> None:
        del self.buffer[:length]
        self.position += length
