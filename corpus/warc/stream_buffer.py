"""A bounded buffer over a decompressed stream.

The buffer looks ahead as far as needed, and drops bytes that are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from corpus.warc.head import HEAD_BYTES, Head, parse_head

_FIRST_LOOK = 2048
"""Nearly every header fits in these bytes. To read a header, no more of a member is inflated than needed."""


@dataclass(frozen=True, slots=True)
class LostBytes:
    """A point in the stream where `count` bytes of the file could not be decompressed."""

    kind: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class BadChecksum:
    """A point in the stream where the checksum of the bytes before it failed."""


Chunks = Iterator["bytes | LostBytes | BadChecksum"]


class StreamBuffer:
    """The next bytes of a stream, up to its end or to the next lost bytes."""

    def __init__(self, chunks: Chunks, position: int = 0) -> None:
        self._chunks = chunks
        self.data = bytearray()
        self.position = position
        """The position of the buffer's first byte in the stream."""
        self.ended = False
        """True if nothing follows the buffer: at the end of the stream, or before `lost`."""
        self.lost: LostBytes | None = None
        self.bad_checksums: list[int] = []
        """The positions in the stream where a checksum failed."""

    def fill(self, length: int) -> int:
        """Buffer `length` bytes, or all bytes if fewer are left. Return how many of the `length` bytes are buffered."""
        data = self.data
        while len(data) < length and not self.ended:
            chunk = next(self._chunks, None)
            if isinstance(chunk, bytes):
                data += chunk
            elif isinstance(chunk, BadChecksum):
                self.bad_checksums.append(self.position + len(data))
            else:
                self.ended = True
                self.lost = chunk
        return min(len(data), length)

    def read(self, length: int) -> bytes:
        """Drop up to `length` bytes and return them."""
        self.fill(length)
        read = bytes(memoryview(self.data)[:length])
        self._forget(len(read))
        return read

    def drop(self, length: int) -> int:
        """Drop up to `length` bytes in bounded memory. Return how many were dropped."""
        left = length
        while left and self.fill(1):
            step = min(left, len(self.data))
            self._forget(step)
            left -= step
        return length - left

    def head(self) -> Head | None:
        """Parse the header at the start of the buffer without dropping it."""
        for look in (_FIRST_LOOK, HEAD_BYTES):
            buffered = self.fill(look)
            head = parse_head(self.data)
            if head is not None or buffered < look:
                return head
        return None

    def skip_lost(self) -> None:
        """Continue after the lost bytes, once the buffer is used up."""
        assert self.lost is not None and not self.data
        self.position += self.lost.count
        self.ended, self.lost = False, None

    def _forget(self, length: int) -> None:
        del self.data[:length]
        self.position += length
