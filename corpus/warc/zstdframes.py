"""The content of a zstd file, frame by frame; each is bounded by its own block headers (RFC 8878).

A dictionary in a skippable frame at the start is used, as the IIPC's WARC zstd specification has it.
"""

from __future__ import annotations

from typing import IO, cast

import zstandard

from corpus.warc.feed import Break, Chunks
from corpus.warc.inflate import BOMB_BYTES, BOMB_RATIO
from corpus.warc.source import Window

MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
_OUT_BYTES = 128 * 1024
_BLOCK_MAX = 128 * 1024
_WINDOW_MAX = 128 << 20
"""Frames that ask for a larger window than zstd's own command line accepts are not decompressed."""
_DICTIONARY_MAX = 16 << 20


def is_skippable(magic: bytes) -> bool:
    return len(magic) == 4 and magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18"


def zstd_chunks(window: Window) -> Chunks:
    """Yield the decompressed bytes of all frames, and a Break where one can't be read: then on with the next."""
    dictionary: zstandard.ZstdCompressionDict | None = None
    at = 0
    while at < window.size:
        if is_skippable(window.read(at, 4)):
            size = int.from_bytes(window.read(at + 4, 4), "little")
            if at == 0 and window.read(0, 4) == DICTIONARY:
                dictionary = _dictionary(window.read(8, min(size, _DICTIONARY_MAX)))
            if at + 8 + size > window.size:
                yield Break("truncated", "the file ends in the middle of a frame", window.size - at)
            at += 8 + size
            continue
        frame = Frame(window, at, dictionary)
        yield from frame.chunks()
        if frame.whole and not frame.error:
            at = frame.end
            continue
        resumed = frame.end if frame.whole and _is_frame(window, frame.end) else next_frame(window, at + 1, dictionary)
        kind = "zstd" if frame.error or resumed < window.size else "truncated"
        detail = f"{frame.error or 'the frame is cut short'}, zstd frame at byte {at} of the file"
        yield Break(kind, detail, max(1, resumed - frame.read_to))
        at = resumed


class Frame:
    """One frame: `end` by its block headers, as far as they can be followed; `whole` if they lead to its end."""

    def __init__(self, window: Window, start: int, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self.window = window
        self.start = start
        self.dictionary = dictionary
        self.error = ""
        self.read_to = start
        self.end, self.whole = _extent(window, start)

    def chunks(self) -> Chunks:
        """Yield the content in pieces, as far as it can be decompressed; `error` stands afterwards."""
        reader = self._reader()
        done = 0
        try:
            while out := reader.read(_OUT_BYTES):
                yield out
                done += len(out)
                if done > BOMB_BYTES and done > BOMB_RATIO * (self.read_to - self.start):
                    self.error = "bomb"
                    return
        except zstandard.ZstdError as error:
            self.error = str(error).rpartition(": ")[2]
            yield from self._salvage(done)

    def _reader(self) -> zstandard.ZstdDecompressionReader:
        decompressor = zstandard.ZstdDecompressor(dict_data=self.dictionary, max_window_size=_WINDOW_MAX)
        return decompressor.stream_reader(cast("IO[bytes]", _Stretch(self)))

    def _salvage(self, done: int) -> Chunks:
        """Yield what the failed read could decompress before the bad block: once more, byte by byte from there."""
        reader = self._reader()
        try:
            while done:
                done -= len(reader.read(min(done, _OUT_BYTES)))
            while out := reader.read(1):
                yield out
        except zstandard.ZstdError:
            return


class _Stretch:
    """The file object that zstandard reads a frame's bytes from."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        frame.read_to = frame.start

    def read(self, length: int) -> bytes:
        frame = self.frame
        data = frame.window.read(frame.read_to, min(length, frame.end - frame.read_to))
        frame.read_to += len(data)
        return data


def _extent(window: Window, start: int) -> tuple[int, bool]:
    """Follow a frame's block headers; return how far they lead, and whether to the frame's end."""
    head = window.read(start, 5)
    if len(head) < 5 or head[:4] != MAGIC or head[4] & 0x08:
        return start, False
    single_segment = head[4] >> 5 & 1
    dictionary_id = (0, 1, 2, 4)[head[4] & 3]
    content_size = (single_segment, 2, 4, 8)[head[4] >> 6]
    at = start + 5 + (1 - single_segment) + dictionary_id + content_size
    last = False
    while not last:
        block = window.read(at, 3)
        number = int.from_bytes(block, "little")
        kind, size = number >> 1 & 3, number >> 3
        if len(block) < 3 or kind == 3 or size > _BLOCK_MAX:
            return min(at, window.size), False
        last = bool(number & 1)
        at += 3 + (1 if kind == 1 else size)
        if at > window.size:
            return window.size, False
    at += 4 if head[4] & 4 else 0  # a checksum of the content
    return min(at, window.size), at <= window.size


def _is_frame(window: Window, at: int) -> bool:
    magic = window.read(at, 4)
    return at == window.size or magic == MAGIC or is_skippable(magic)


def next_frame(
    window: Window, at: int, dictionary: zstandard.ZstdCompressionDict | None = None, end: int | None = None
) -> int:
    """Return the next frame at or after `at` that is whole, checks, and is followed by another or the file's end."""
    while (at := window.find(MAGIC, at, end)) >= 0:
        frame = Frame(window, at, dictionary)
        if frame.whole and _is_frame(window, frame.end):
            for _ in frame.chunks():
                pass
            if not frame.error:
                return at
        at += 1
    return window.size


def _dictionary(data: bytes) -> zstandard.ZstdCompressionDict | None:
    if data.startswith(MAGIC):
        try:
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=_DICTIONARY_MAX)
        except zstandard.ZstdError:
            return None
    return zstandard.ZstdCompressionDict(data)
