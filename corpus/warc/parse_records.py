"""Records parsed from the bytes of a stream, or of one gzip member.

A header declares the length of its record. The parser believes the length if it leads to another header, to the line
breaks that close a record, or to the end. Otherwise, a record in a member ends with the member, and a record in a
stream ends at the next sound header. So a wrong length never hides the records after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpus.warc.head import FIRST_LINE, HEAD_BYTES, Head, parse_head
from corpus.warc.record import Damage, Record
from corpus.warc.source import Window
from corpus.warc.stream_buffer import StreamBuffer

MISMATCH = "length_mismatch"
CHECKSUM = "checksum"
_CUT = "the file ends before the block does"

_BLANK = re.compile(rb"\n\r*\n\Z")
_GAP_BYTES = 64
"""The number of bytes after a block in which the parser looks for line breaks and the next header."""
_NEAR_BYTES = 8
_SEARCH_BYTES = 1 << 20
_OVERLAP_BYTES = 20 * 1024
"""The number of bytes that a search keeps when it moves on, because a header's first line may cross the edge.

An ARC header is shorter than this.
"""


@dataclass(slots=True)
class RecordParser:
    """A parser of the records of one file."""

    warc: str
    flavor: str
    max_block: int
    file: Window | None = None
    """The file, if it is itself the stream. Then the parser can look far ahead without reading all bytes in between."""

    def only_record(self, content: bytes, start: int) -> Record | None:
        """Return the record of a gzip member whose content is one record as the standard has it, otherwise None."""
        head = parse_head(content)
        if head is None or not head.kind or head.length is None or head.length > self.max_block:
            return None
        if content[head.size + head.length :] != head.closing:  # a wrong length may be negative here
            return None
        block = content[head.size : -len(head.closing)]
        return Record(self.warc, start, head.kind, head.headers, block, head.length, 0, "")

    def member(self, buffer: StreamBuffer, size: int, start: int, end: int) -> Iterator[Record | Damage]:
        """Parse the records of an intact gzip member of `size` bytes, from `start` to `end` in the file."""
        inner = 0
        while True:
            head = buffer.head()
            if head is None or not head.kind:
                yield Damage(self.warc, start, end - start, "header", "the gzip member does not begin with a header")
                return
            buffer.drop(head.size)
            left = size - buffer.position
            length = min(left if head.length is None else head.length, left)
            block = buffer.read(min(length, self.max_block))
            buffer.drop(length - len(block))
            left -= length
            closing = _line_breaks(buffer)
            another = len(closing) < left and self._sound_head(buffer, len(closing))
            exact = head.length == length and (another or len(closing) == left)
            if not exact:  # otherwise the block extends to the member's end
                block += buffer.read(min(left, self.max_block - len(block)))
                block, length = _without_closing(head, block, length + left)
            note = "" if exact and _closes(head, closing) else MISMATCH
            yield Record(self.warc, start, head.kind, head.headers, block, length, inner, note)
            if not another or not exact:
                return
            buffer.drop(len(closing))
            inner += 1

    def stream(self, buffer: StreamBuffer) -> Iterator[Record | Damage]:
        """Parse a stream to its end. Whenever an item is yielded, the buffer starts at the next item."""
        while True:
            _drop_line_breaks(buffer)
            start = buffer.position
            if not buffer.fill(1):
                if buffer.lost is None:
                    return
                yield self._damage(buffer, start)
                continue
            head = buffer.head()
            if head is None or head.flavor != self.flavor or not head.kind:
                buffer.drop(1)
                yield self._damage(buffer, start, "header", f"no {self.flavor.upper()} header")
                continue
            gap = self._gap(buffer, head)
            yield self._searched(buffer, head, start) if gap is None else self._believed(buffer, head, start, gap)

    def _believed(self, buffer: StreamBuffer, head: Head, start: int, gap: int) -> Record | Damage:
        """Parse a record whose length is correct, or could not be proven wrong."""
        assert head.length is not None
        buffer.drop(head.size)
        block = buffer.read(min(head.length, self.max_block))
        size = len(block) + buffer.drop(head.length - len(block))
        if size < head.length:
            if buffer.lost is not None or self.file is not None:
                return self._damage(buffer, start, "truncated", _CUT, head.headers)
            return self._record(buffer, head, start, *_without_closing(head, block, size), MISMATCH)
        if size > self.max_block and not self._follows(buffer, head, 0):
            return self._damage(buffer, start, "length", "Content-Length leads nowhere", head.headers)
        breaks = _line_breaks(buffer)
        buffer.drop(gap)
        _drop_line_breaks(buffer)
        return self._record(buffer, head, start, block, size, "" if _closes(head, breaks) else MISMATCH)

    def _searched(self, buffer: StreamBuffer, head: Head, start: int) -> Record | Damage:
        """Parse a record whose length is wrong or leads past the end. The record extends to the next header."""
        buffer.drop(head.size)
        block_start = buffer.position
        block = self._seek(buffer, self.max_block)
        size = buffer.position - block_start
        if not buffer.fill(1):
            if buffer.lost is not None:
                return self._damage(buffer, start, headers=head.headers)
            # The end of a compressed stream proves that the stream is complete and the length is wrong. The end of a
            # plain file proves nothing.
            if self.file is not None and head.length is not None and size < head.length:
                return self._damage(buffer, start, "truncated", _CUT, head.headers)
        stripped, stripped_size = _without_closing(head, block, size)
        if stripped_size == size and head.length is not None and 0 <= size - head.length <= _NEAR_BYTES:
            stripped, stripped_size = block[: head.length], head.length  # only the closing line breaks are wrong
        return self._record(buffer, head, start, stripped, stripped_size, MISMATCH)

    def _record(self, buffer: StreamBuffer, head: Head, start: int, block: bytes, size: int, note: str) -> Record:
        if _checksum_failed(buffer):
            note = f"{note},{CHECKSUM}".lstrip(",")
        return Record(self.warc, start, head.kind, head.headers, block, size, 0, note)

    def _damage(
        self, buffer: StreamBuffer, start: int, kind: str = "", detail: str = "", headers: dict[str, str] | None = None
    ) -> Damage:
        """Skip from `start` to the next header, over any lost bytes, and return the damage."""
        self._seek(buffer, 0)
        while not buffer.fill(1) and buffer.lost is not None:
            if kind in ("", "truncated"):
                kind, detail = buffer.lost.kind, buffer.lost.detail
            buffer.skip_lost()
            self._seek(buffer, 0)
        if _checksum_failed(buffer):
            detail = f"{detail}; a checksum failed".lstrip("; ")
        return Damage(self.warc, start, buffer.position - start, kind, detail, headers or {})

    def _gap(self, buffer: StreamBuffer, head: Head) -> int | None:
        """Check where the declared length leads.

        Return None if the length can't be believed, because no record can end there. Otherwise return 0, or the number
        of damaged bytes to skip where line breaks should precede the next header.
        """
        if head.length is None:
            return None
        end = head.size + head.length
        if head.length <= self.max_block:
            if buffer.fill(end) < end:
                return None
            return 0 if self._follows(buffer, head, end) else self._next_head(buffer, head, end)
        if self.file is not None:
            position = buffer.position + end
            data = self.file.read(position, _GAP_BYTES)
            at_end = position + len(data) == self.file.size
            return 0 if position <= self.file.size and _can_end(head, data, at_end) else None
        # In a compressed stream, the end is too far away to look at. If the first bytes of such a large block hold
        # complete records, these are records after a wrong length, not an archive inside a page.
        buffer.fill(self.max_block)
        return None if any(self._sound_head(buffer, at) for at in self._first_lines(buffer, head.size)) else 0

    def _next_head(self, buffer: StreamBuffer, head: Head, end: int) -> int | None:
        buffer.fill(end + _GAP_BYTES)
        gap = len(head.closing)
        # Nearly any text can be the scheme of a URL, and so the start of an ARC header.
        starts = (b"WARC/",) if self.flavor == "warc" else (b"http://", b"https://", b"ftp://", b"dns:", b"metadata:")
        if buffer.data.startswith(starts, end + gap) and self._sound_head(buffer, end + gap):
            return gap
        return 0 if buffer.data[end - 1] == 0x0A and self._sound_head(buffer, end) else None

    def _follows(self, buffer: StreamBuffer, head: Head, at: int) -> bool:
        buffered = buffer.fill(at + _GAP_BYTES)
        return _can_end(head, bytes(buffer.data[at : at + _GAP_BYTES]), buffered < at + _GAP_BYTES)

    def _sound_head(self, buffer: StreamBuffer, at: int) -> bool:
        """Return True if a usable header starts `at` bytes ahead and may belong to the next record.

        The header's length must lead to the end of a record. Otherwise the header must be complete and follow a blank
        line, because after a conversion of line breaks every length in a file is wrong.
        """
        buffer.fill(at + HEAD_BYTES)
        another = FIRST_LINE[self.flavor].search(buffer.data, at + 1)
        head = parse_head(buffer.data, at, another.start() if another else None)
        if head is None or not head.kind:
            return False
        if head.flavor == "arc":
            return True  # hardly any other line has the five fields
        complete = "warc-record-id" in head.headers and "warc-date" in head.headers
        if complete and _BLANK.search(buffer.data[max(0, at - 4) : at]):
            return True
        if head.length is None:
            return False
        end = at + head.size + head.length
        if head.length > self.max_block or buffer.fill(end) < end:
            return True  # the end is out of sight, so the length is judged when the record is read
        return self._follows(buffer, head, end)

    def _first_lines(self, buffer: StreamBuffer, at: int) -> Iterator[int]:
        """Yield the positions from `at` where the buffered bytes look like a header's first line."""
        while match := FIRST_LINE[self.flavor].search(buffer.data, at):
            yield match.start()
            at = match.start() + 1

    def _seek(self, buffer: StreamBuffer, keep: int) -> bytes:
        """Move to the next sound header, or to the end. Return the first `keep` bytes that were passed."""
        kept = bytearray()
        if buffer.fill(1) and self._sound_head(buffer, 0):
            return b""
        while True:
            at_end = buffer.fill(_SEARCH_BYTES) < _SEARCH_BYTES
            found = next((at for at in self._first_lines(buffer, 0) if self._sound_head(buffer, at)), -1)
            at_end = at_end and buffer.ended
            step = found if found >= 0 else len(buffer.data) - (0 if at_end else _OVERLAP_BYTES)
            kept += buffer.data[: min(step, keep - len(kept))]
            buffer.drop(step)
            if found >= 0 or at_end:
                return bytes(kept)


def _line_breaks(buffer: StreamBuffer) -> bytes:
    buffer.fill(_GAP_BYTES)
    data = bytes(buffer.data[:_GAP_BYTES])
    return data[: len(data) - len(data.lstrip(b"\r\n"))]


def _drop_line_breaks(buffer: StreamBuffer) -> None:
    while breaks := _line_breaks(buffer):
        buffer.drop(len(breaks))


def _checksum_failed(buffer: StreamBuffer) -> bool:
    """Return True if a checksum failed before the buffer's position, and forget it."""
    failed = bool(buffer.bad_checksums) and buffer.bad_checksums[0] <= buffer.position
    buffer.bad_checksums = [position for position in buffer.bad_checksums if position > buffer.position]
    return failed


def _can_end(head: Head, data: bytes, to_the_end: bool) -> bool:
    """Return True if the record can end before `data`.

    Then `data` begins with line breaks that close the record, with the next header, or with the end.
    """
    rest = data.lstrip(b"\r\n")
    if not rest:
        return to_the_end or len(data) == _GAP_BYTES
    if data.startswith(head.closing):
        return True  # if no header follows, the next record is damaged, not this one
    return rest.startswith(b"WARC/") if head.flavor == "warc" else len(rest) < len(data)


def _closes(head: Head, line_breaks: bytes) -> bool:
    return line_breaks == head.closing or head.flavor == "arc"


def _without_closing(head: Head, block: bytes, size: int) -> tuple[bytes, int]:
    """Remove the closing line breaks from a block that was read up to the next header."""
    if len(block) == size and block.endswith(head.closing):
        return block[: -len(head.closing)], size - len(head.closing)
    return block, size
