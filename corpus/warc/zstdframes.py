"""The content of a zstd file, frame by frame. The block headers of a frame show where it ends (RFC 8878).

A dictionary in a skippable frame at the start is used, as the IIPC's WARC zstd specification says.
"""

from __future__ import annotations

from contextlib import suppress
from typing import IO, cast

import zstandard

from corpus.warc.inflate import BOMB
from corpus.warc.source import Window
from corpus.warc.starts import FRUGAL_BOMB, FRUGAL_STEP, LOOK_COST, Candidate, FrugalSearch
from corpus.warc.stream_buffer import Chunks, LostBytes

MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
_OUT_BYTES = 128 * 1024
_BLOCK_MAX = 128 * 1024
_BLOCKS_MAX = 1_000_000
"""The most blocks in one frame.

As zstd writes them, these blocks hold 128 GB of content. The smallest blocks possible take 4 MB.
"""
_BLOCK_COST = 128
"""The cost of following a block's header, in decompressed bytes. This takes some 0.5 µs."""
_WINDOW_MAX = 128 << 20
"""Frames with a larger window are not decompressed. zstd's own command line does not accept them either."""
_DICTIONARY_MAX = 16 << 20


def is_skippable(magic: bytes) -> bool:
    return len(magic) == 4 and magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18"


def zstd_chunks(window: Window) -> Chunks:
    """Yield the decompressed bytes of all frames.

    An unreadable frame gives a LostBytes, and reading continues with the next frame.
    """
    dictionary: zstandard.ZstdCompressionDict | None = None
    at = 0
    while at < window.size:
        if is_skippable(window.read(at, 4)):
            size = int.from_bytes(window.read(at + 4, 4), "little")
            if at == 0 and window.read(0, 4) == DICTIONARY:
                dictionary = _dictionary(window.read(8, min(size, _DICTIONARY_MAX)))
            if at + 8 + size > window.size:
                yield LostBytes("truncated", "the file ends in the middle of a frame", window.size - at)
            at += 8 + size
            continue
        frame = _Frame(window, at, dictionary)
        yield from frame.chunks()
        if frame.whole and not frame.error:
            at = frame.end
            continue
        resumed = frame.end
        if not frame.whole or not _is_frame(window, frame.end):
            resumed = FrameStarts(window, dictionary).next(at + 1)
        kind = "zstd" if frame.error or resumed < window.size else "truncated"
        detail = f"{frame.error or 'the frame is cut short'}, zstd frame at byte {at} of the file"
        yield LostBytes(kind, detail, max(1, resumed - frame.read_to))
        at = resumed


class _Frame:
    """The frame at `start`.

    The block headers of the frame lead to `end`. `whole` is True if the headers lead to the end of the frame.
    """

    def __init__(self, window: Window, start: int, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self.window = window
        self.start = start
        self.dictionary = dictionary
        self.error = ""
        self.read_to = start
        self.end, self.whole, self.blocks = _extent(window, start)

    def chunks(self, salvage: bool = True, bomb: tuple[int, int] = BOMB) -> Chunks:
        """Yield as much of the content as can be decompressed, in pieces. Afterwards, `error` is valid.

        `salvage` recovers every byte before a bad block. `bomb` has the same meaning as in `corpus.warc.inflate`.
        """
        reader = self._reader()
        done = 0
        try:
            while out := reader.read(_OUT_BYTES):
                yield out
                done += len(out)
                if done > bomb[0] and done > bomb[1] * (self.read_to - self.start):
                    self.error = "bomb"
                    return
            return
        except zstandard.ZstdError as error:
            self.error = str(error).rpartition(": ")[2]
            if not salvage:
                return
        # The output of the failed read is lost. So the frame is read again, and after `done` byte by byte.
        reader = self._reader()
        with suppress(zstandard.ZstdError):
            while done:
                done -= len(reader.read(min(done, _OUT_BYTES)))
            while out := reader.read(1):
                yield out

    def read(self, length: int) -> bytes:
        """Return the next compressed bytes. zstandard reads this object as a file."""
        data = self.window.read(self.read_to, min(length, self.end - self.read_to))
        self.read_to += len(data)
        return data

    def _reader(self) -> zstandard.ZstdDecompressionReader:
        self.read_to = self.start
        decompressor = zstandard.ZstdDecompressor(dict_data=self.dictionary, max_window_size=_WINDOW_MAX)
        return decompressor.stream_reader(cast("IO[bytes]", self))


def _extent(window: Window, start: int) -> tuple[int, bool, int]:
    """Follow a frame's block headers.

    Return the byte to which they lead, True if the frame ends there, and their number.
    """
    head = window.read(start, 5)
    if len(head) < 5 or head[:4] != MAGIC or head[4] & 0x08:
        return start, False, 0
    single_segment = head[4] >> 5 & 1
    dictionary_id = (0, 1, 2, 4)[head[4] & 3]
    content_size = (single_segment, 2, 4, 8)[head[4] >> 6]
    at = start + 5 + (1 - single_segment) + dictionary_id + content_size
    blocks = 0
    last = False
    while not last:
        block = window.read(at, 3)
        number = int.from_bytes(block, "little")
        kind, size = number >> 1 & 3, number >> 3
        if len(block) < 3 or kind == 3 or size > _BLOCK_MAX or blocks == _BLOCKS_MAX:
            return min(at, window.size), False, blocks
        blocks += 1
        last = bool(number & 1)
        at += 3 + (1 if kind == 1 else size)
        if at > window.size:
            return window.size, False, blocks
    at += 4 if head[4] & 4 else 0  # the frame ends with a checksum of its content
    return min(at, window.size), at <= window.size, blocks


def _is_frame(window: Window, at: int) -> bool:
    magic = window.read(at, 4)
    return at == window.size or magic == MAGIC or is_skippable(magic)


class FrameStarts(FrugalSearch):
    """A search for frames in one file.

    Like a search for gzip members, it becomes frugal, because a page may hold overlapping false frames.
    """

    def __init__(self, window: Window, dictionary: zstandard.ZstdCompressionDict | None = None) -> None:
        super().__init__(window, MAGIC)
        self._dictionary = dictionary

    def next(self, at: int, end: int | None = None) -> int:
        """Return the first frame from `at` up to `end` that is intact and leads to another frame or to the file's end.

        Return the file's size if there is none.
        """
        failed, size = at, self.window.size
        end = end if end is not None and end < size else None
        while (at := self.window.find(MAGIC, at, end)) >= 0:
            candidate = self.look(at)
            if candidate.record:
                return self.chain_start(failed, at) if self.frugal else at
            failed = at
            at = max(candidate.read_to, at + FRUGAL_STEP) if self.frugal else at + 1
        return self.chain_start(failed, size) if self.frugal and end is None else size

    def inspect(self, offset: int) -> Candidate:
        frame = _Frame(self.window, offset, self._dictionary)
        bomb = FRUGAL_BOMB if self.frugal else BOMB
        cost = LOOK_COST + _BLOCK_COST * frame.blocks
        good = frame.whole and _is_frame(self.window, frame.end)
        if good:
            cost += sum(len(out) for out in frame.chunks(False, bomb) if isinstance(out, bytes))
            good = not frame.error
        return Candidate(frame.end if good else offset, good, frame.end, cost)


def _dictionary(data: bytes) -> zstandard.ZstdCompressionDict | None:
    if data.startswith(MAGIC):
        try:
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=_DICTIONARY_MAX)
        except zstandard.ZstdError:
            return None
    return zstandard.ZstdCompressionDict(data)
