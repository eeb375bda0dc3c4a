"""One gzip member, inflated, checked and measured, even if it is damaged.

zlib's gzip mode loses its position when a checksum fails. So this module reads header and trailer itself and inflates
the raw deflate data between them. It keeps all output before a damaged byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from isal import isal_zlib
from isal.igzip_lib import IsalError

from corpus.warc.source import Window

MAGIC = b"\x1f\x8b\x08"
OUT_BYTES = 1 << 20
_FIRST_FEED = 16 * 1024
"""The first piece is small, because bytes fed beyond a member's end are copied once. A page has 10 KiB on average."""
_FEED = 64 * 1024
_NAME_BYTES = 2048
"""The longest file name and comment of a gzip header. This limit saves time at false magic numbers."""

BOMB_BYTES = 256 << 20
BOMB = (BOMB_BYTES, 200)
"""The limits of a bomb: bytes of content, and the ratio of content to compressed size. A member that exceeds both is
abandoned.

Text compresses 3 to 50 times. With these limits, the time for a member is in proportion to its compressed size, plus
0.25 s.
"""


def header_size(window: Window, start: int) -> int:
    """Return the length of the gzip header at `start`, or 0 if the header is missing or incomplete."""
    head = window.read(start, 10)
    if len(head) < 10 or not head.startswith(MAGIC) or head[3] & 0xE0:
        return 0
    flags = head[3]
    if not flags:
        return 10
    extra = 0
    if flags & 4:  # an extra field, such as the record lengths of the Internet Archive
        extra = 2 + int.from_bytes(window.read(start + 10, 2), "little")
    head = window.read(start + 10 + extra, _NAME_BYTES)
    at = 0
    for flag in (8, 16):  # file name, comment
        if flags & flag:
            at = head.find(b"\0", at) + 1
            if not at:
                return 0
    return 10 + extra + at + (flags & 2)  # the header's own checksum is ignored, because the content has a better one


@dataclass(slots=True)
class Member:
    """The gzip member at `start`. Iterating over the member inflates its content, in pieces.

    `salvage` recovers every byte before a damaged byte, which takes up to 30 ms. `bomb` replaces BOMB. All other fields
    are valid after the last piece. `state` is "ok"; "checksum" (the deflate data ends, but its CRC or size differs);
    "broken" (the data can't be inflated); "truncated" (the file ends inside the member); "bomb"; "none" (no gzip header
    here); "stopped" (by `inflate`). `end` is the byte after the trailer. Without a trailer, `end` is the byte up to
    which the member was read.
    """

    window: Window
    start: int
    salvage: bool = True
    bomb: tuple[int, int] = BOMB
    end: int = 0
    size: int = 0
    content: bytes = b""
    """The first bytes of the content, if `inflate` kept them. They are the whole content if `len(content) == size`."""
    state: str = "none"
    detail: str = ""

    def __iter__(self) -> Iterator[bytes]:
        at = self.end = self.start + header_size(self.window, self.start)
        if at == self.start:
            return
        crc = 0
        feed = _FIRST_FEED
        inflater = zlib.decompressobj(-15)
        before: zlib._Decompress | None = None
        while not inflater.eof:
            given = self.window.piece(at, feed)
            if not given:
                self.state, self.end = "truncated", at
                return
            size_before = self.size
            data: bytes | memoryview = given
            while data and not inflater.eof:
                try:
                    out = inflater.decompress(data, OUT_BYTES)
                except zlib.error as error:
                    # The output of a failed call is lost, so the same input is fed again, byte by byte.
                    if self.salvage:
                        yield from self._salvage(before or zlib.decompressobj(-15), given, self.size - size_before)
                    self.state, self.end, self.detail = "broken", at, str(error).rpartition(": ")[2]
                    return
                crc = zlib.crc32(out, crc)
                self.size += len(out)
                yield out
                data = inflater.unconsumed_tail
                if self.size > self.bomb[0] and self.size > self.bomb[1] * (at + len(given) - self.start):
                    self.state, self.end, self.detail = "bomb", at, "bomb"
                    return
            at += len(given)
            if not inflater.eof:
                before = inflater.copy() if self.salvage else None
                feed = _FEED
        at -= len(inflater.unused_data)
        trailer = self.window.read(at, 8)
        self.end = at + len(trailer)
        if len(trailer) < 8:
            self.state = "truncated"
        elif trailer != (crc | (self.size & 0xFFFFFFFF) << 32).to_bytes(8, "little"):
            self.state, self.detail = "checksum", "checksum or size differs from the content"
        else:
            self.state = "ok"

    def _salvage(self, inflater: zlib._Decompress, given: memoryview, skip: int) -> Iterator[bytes]:
        with suppress(zlib.error):
            for i in range(len(given)):
                data: bytes | memoryview = given[i : i + 1]
                while data:
                    out = inflater.decompress(data, OUT_BYTES)
                    data = inflater.unconsumed_tail
                    fresh = out[skip:]
                    skip = max(0, skip - len(out))
                    self.size += len(fresh)
                    yield fresh


def inflate(
    window: Window, start: int, keep: int, stop: int | None = None, salvage: bool = True, bomb: tuple[int, int] = BOMB
) -> Member:
    """Inflate the member at `start`, completely or until `stop` bytes came out. Keep the first `keep` bytes."""
    if stop is None and (intact := _intact(window, start, keep)):
        return intact
    member = Member(window, start, salvage, bomb)
    parts: list[bytes] = []
    kept = 0
    for part in member:
        if kept < keep:
            parts.append(part if kept + len(part) <= keep else part[: keep - kept])
            kept += len(parts[-1])
        if stop is not None and member.size >= stop:
            member.state = "stopped"
            break
    member.content = b"".join(parts)
    return member


def _intact(window: Window, start: int, keep: int) -> Member | None:
    """Inflate the member at `start` by ISA-L, if it is intact and not longer than `keep`.

    ISA-L takes two thirds of zlib's time. But when it fails, it does not report how far it came.
    """
    if not header_size(window, start):
        return None
    inflater = isal_zlib.decompressobj(31)
    at, feed = start, _FIRST_FEED
    parts: list[bytes] = []
    size = 0
    try:
        while not inflater.eof:
            given = window.piece(at, feed)
            if not given:
                return None
            data: bytes | memoryview = given
            while data and not inflater.eof:
                parts.append(inflater.decompress(data, OUT_BYTES))
                size += len(parts[-1])
                if size > keep:
                    return None
                data = inflater.unconsumed_tail
            at += len(given)
            feed = _FEED
    except IsalError:  # type: ignore[misc]  # the stub declares IsalError as an instance
        return None
    return Member(window, start, end=at - len(inflater.unused_data), size=size, content=b"".join(parts), state="ok")
