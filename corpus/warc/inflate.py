"""One gzip member: inflated, checked, and measured, whatever its state.

zlib's own gzip mode forgets how far it came when a checksum fails, so header and trailer are read here and the
deflate data in between is inflated raw. The output of every input byte before a damaged one is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from isal import isal_zlib
from isal.igzip_lib import IsalError

from corpus.warc.source import Window

MAGIC = b"\x1f\x8b\x08"
OUT_BYTES = 1 << 20
_FIRST_FEED = 16 * 1024
"""A page is 10 KiB on average: what is fed beyond a member's end is copied once, so the first helping is small."""
_FEED = 64 * 1024
_NAME_BYTES = 2048
"""A file name and comment longer than this are no gzip header: looking for their ends costs time at false magics."""

BOMB_BYTES = 256 << 20
BOMB_RATIO = 200
"""A member that gave more than both is given up as a bomb: text compresses 3 to 50 times, and the time that one
member costs stays in proportion to its compressed size plus a quarter of a second."""


@dataclass(slots=True)
class Member:
    """What became of the member at `start`: its state, and the first bytes of its content.

    `state` is "ok"; "checksum" (the deflate data has an end, but its CRC or size is another); "broken" (it can't be
    inflated); "truncated" (the file ends inside it); "bomb"; "none" (no gzip header here); "stopped" (at `stop`).
    `end` is the byte after the trailer where there is one, otherwise how far it was read.
    """

    start: int
    end: int
    size: int
    content: bytes
    """The first `keep` bytes of the content; all of it where `len(content) == size`."""
    state: str
    detail: str = ""


def header_size(window: Window, start: int) -> int:
    """Return the length of the gzip header at `start`, 0 where there is none or it is cut."""
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
    return 10 + extra + at + (flags & 2)  # a checksum of the header is not looked at: the content has a better one


class Inflation:
    """The content of the gzip member at `start`, in pieces; state, end, size and detail stand once they are used up."""

    def __init__(
        self, window: Window, start: int, salvage: bool = True, bomb: tuple[int, int] = (BOMB_BYTES, BOMB_RATIO)
    ) -> None:
        self.window = window
        self.start = start
        self.salvage = salvage
        """Whether to get at every byte before the bad one, at the cost of up to 30 ms."""
        self.bomb = bomb
        """Bytes of content, and how many times its own size, that together make a member a bomb."""
        self.end = start
        self.size = 0
        self.state = "none"
        self.detail = ""

    def __iter__(self) -> Iterator[bytes]:
        at = self.start + header_size(self.window, self.start)
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
                    # The output of a failed call is lost, so its input is given again, byte by byte.
                    if self.salvage:
                        yield from self._salvage(before or zlib.decompressobj(-15), given, self.size - size_before)
                    self.state, self.end, self.detail = "broken", at, _reason(error)
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
        try:
            for i in range(len(given)):
                data: bytes | memoryview = given[i : i + 1]
                while data:
                    out = inflater.decompress(data, OUT_BYTES)
                    data = inflater.unconsumed_tail
                    fresh = out[skip:]
                    skip = max(0, skip - len(out))
                    self.size += len(fresh)
                    yield fresh
        except zlib.error:
            return


def inflate(
    window: Window,
    start: int,
    keep: int,
    stop: int | None = None,
    salvage: bool = True,
    bomb: tuple[int, int] = (BOMB_BYTES, BOMB_RATIO),
) -> Member:
    """Inflate the member at `start` whole, or until `stop` bytes came out, and keep the first `keep` bytes."""
    if stop is None and (whole := _intact(window, start, keep)):
        return whole
    inflation = Inflation(window, start, salvage, bomb)
    parts: list[bytes] = []
    kept = 0
    for part in inflation:
        if kept < keep:
            parts.append(part if kept + len(part) <= keep else part[: keep - kept])
            kept += len(parts[-1])
        if stop is not None and inflation.size >= stop:
            inflation.state = "stopped"
            break
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    return Member(start, inflation.end, inflation.size, content, inflation.state, inflation.detail)


def _intact(window: Window, start: int, keep: int) -> Member | None:
    """The member at `start` if nothing is wrong with it and it is no longer than `keep`: by ISA-L, which takes two
    thirds of zlib's time, but does not tell how far it came when something is."""
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
    except IsalError:  # type: ignore[misc]  # the stub calls it an instance
        return None
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    return Member(start, at - len(inflater.unused_data), size, content, "ok", "")


def _reason(error: zlib.error) -> str:
    return str(error).rpartition(": ")[2]
