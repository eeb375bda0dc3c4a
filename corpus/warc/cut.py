"""Records cut from the bytes of a stream, or of one gzip member.

A header says how long its record is. It is believed where that leads to another header, to the line breaks that close
a record, or to the end. Otherwise, inside a member, the member's end is the authority; in a stream, the next line
that is a header by all signs is: what lies before it is the block, and no record behind a wrong length is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpus.warc.feed import Feed
from corpus.warc.head import FIRST_LINE, HEAD_BYTES, Head, parse_head
from corpus.warc.record import Damage, Record
from corpus.warc.source import Window

MISMATCH = "length_mismatch"
CHECKSUM = "checksum"
"""The note of a stream's record at whose end a checksum failed: this record, or one before it, is not as it was."""

_LINE_BREAKS = re.compile(rb"[\r\n]*")
_BLANK = re.compile(rb"\n\r*\n\Z")
_GAP_BYTES = 64
"""So much is looked at behind a block for line breaks and the next header."""
_NEAR_BYTES = 8
_SEARCH_BYTES = 1 << 20
_OVERLAP_BYTES = 20 * 1024
"""Kept when a search moves on, since a header's first line may straddle the edge: longer than an ARC header."""


@dataclass(slots=True)
class Cutter:
    """Cuts records from feeds; holds what all records of one file share."""

    warc: str
    flavour: str
    max_block: int
    file: Window | None = None
    """The file itself if it is the stream: then a place far ahead can be looked at without reading up to it."""

    def member(self, feed: Feed, size: int, start: int, end: int) -> Iterator[Record | Damage]:
        """Cut the records of an intact gzip member, `size` bytes long, that lies from `start` to `end` in the file."""
        inner = 0
        while True:
            head = feed.head()
            if head is None or not head.kind:
                yield Damage(self.warc, start, end - start, "header", "the gzip member does not begin with a header")
                return
            feed.drop(head.size)
            left = size - feed.position
            length = min(left if head.length is None else head.length, left)
            block = feed.take(min(length, self.max_block))
            feed.drop(length - len(block))
            left -= length
            closing = self._line_breaks(feed)
            another = len(closing) < left and self._sound_head(feed, len(closing))
            exact = head.length == length and (another or len(closing) == left)
            if not exact:  # the block goes on to the member's end
                block += feed.take(min(left, self.max_block - len(block)))
                block, length = _without_closing(head, block, length + left)
            note = "" if exact and _closes(head, closing) else MISMATCH
            yield self._record(head, start, block, length, note, inner)
            if not another or not exact:
                return
            feed.drop(len(closing))
            inner += 1

    def stream(self, feed: Feed) -> Iterator[Record | Damage]:
        """Cut a stream to its end. With each item, the feed has come to the start of the next."""
        while True:
            self._drop_line_breaks(feed)
            start = feed.position
            if not feed.want(1):
                if feed.broken is None:
                    return
                yield self._damage(feed, start)
                continue
            head = feed.head()
            if head is None or head.flavour != self.flavour or not head.kind:
                feed.drop(1)
                yield self._damage(feed, start, "header", f"no {self.flavour.upper()} header")
                continue
            gap = self._believable(feed, head)
            yield self._searched(feed, head, start) if gap is None else self._believed(feed, head, start, gap)

    def _believed(self, feed: Feed, head: Head, start: int, gap: int) -> Record | Damage:
        """The record of a header whose length was found right, or could not be found wrong."""
        assert head.length is not None
        feed.drop(head.size)
        block = feed.take(min(head.length, self.max_block))
        dropped = feed.drop(head.length - len(block))
        size = len(block) + dropped
        if size < head.length:
            if feed.broken is not None or self.file is not None:
                return self._damage(feed, start, "truncated", "the file ends before the block does", head.headers)
            return self._record(head, start, *_without_closing(head, block, size), self._checked(feed, MISMATCH))
        if size > self.max_block and not self._follows(feed, head, 0):
            return self._damage(feed, start, "length", "Content-Length leads nowhere", head.headers)
        breaks = self._line_breaks(feed)
        feed.drop(gap)
        self._drop_line_breaks(feed)
        note = "" if _closes(head, breaks) else MISMATCH
        return self._record(head, start, block, size, self._checked(feed, note))

    def _searched(self, feed: Feed, head: Head, start: int) -> Record | Damage:
        """The record of a header whose length is wrong or leads past the end: it goes on to the next header."""
        feed.drop(head.size)
        block_start = feed.position
        block = self._seek(feed, self.max_block)
        size = feed.position - block_start
        if not feed.want(1):
            if feed.broken is not None:
                return self._damage(feed, start, headers=head.headers)
            # A compressed stream that ends as it should is whole, and the length wrong; of a plain file's end
            # nothing is known.
            if self.file is not None and head.length is not None and size < head.length:
                return self._damage(feed, start, "truncated", "the file ends before the block does", head.headers)
        stripped, stripped_size = _without_closing(head, block, size)
        if stripped_size == size and head.length is not None and 0 <= size - head.length <= _NEAR_BYTES:
            stripped, stripped_size = block[: head.length], head.length  # only the closing line breaks are wrong
        return self._record(head, start, stripped, stripped_size, self._checked(feed, MISMATCH))

    def _damage(
        self, feed: Feed, start: int, kind: str = "", detail: str = "", headers: dict[str, str] | None = None
    ) -> Damage:
        """The stretch from `start` to the next header, over any break in the stream."""
        self._seek(feed, 0)
        while not feed.want(1) and feed.broken is not None:
            if kind in ("", "truncated"):
                kind, detail = feed.broken.kind, feed.broken.detail
            feed.go_on()
            self._seek(feed, 0)
        if self._checked(feed, ""):
            detail = f"{detail}; a checksum failed".lstrip("; ")
        return Damage(self.warc, start, feed.position - start, kind, detail, headers or {})

    def _believable(self, feed: Feed, head: Head) -> int | None:
        """Whether the declared length leads to where a record can end: 0 if so.

        Also if a header is just there, but the line breaks before it are missing or damaged: then the bytes between.
        """
        if head.length is None:
            return None
        end = head.size + head.length
        if head.length <= self.max_block:
            if feed.want(end) < end:
                return None
            return 0 if self._follows(feed, head, end) else self._next_head(feed, head, end)
        if self.file is not None:
            place = feed.position + end
            gap = self.file.read(place, _GAP_BYTES)
            return 0 if place <= self.file.size and _is_gap(head, gap, place + len(gap) == self.file.size) else None
        # Too far to look in a compressed stream. Records that are found whole in the first of so large a block are
        # taken for records behind a wrong length, not for an archive inside a page.
        feed.want(self.max_block)
        return None if any(self._sound_head(feed, at) for at in self._first_lines(feed, head.size)) else 0

    def _next_head(self, feed: Feed, head: Head, end: int) -> int | None:
        feed.want(end + _GAP_BYTES)
        gap = len(head.closing)
        # Nearly anything can be the scheme of a URL, and so the start of an ARC header.
        starts = (b"WARC/",) if self.flavour == "warc" else (b"http://", b"https://", b"ftp://", b"dns:", b"metadata:")
        if feed.buffer.startswith(starts, end + gap) and self._sound_head(feed, end + gap):
            return gap
        return 0 if feed.buffer[end - 1] == 0x0A and self._sound_head(feed, end) else None

    def _follows(self, feed: Feed, head: Head, at: int) -> bool:
        there = feed.want(at + _GAP_BYTES)
        return _is_gap(head, bytes(feed.buffer[at : at + _GAP_BYTES]), there < at + _GAP_BYTES)

    def _sound_head(self, feed: Feed, at: int) -> bool:
        """Whether a header starts `at` bytes ahead that says all it must, and that can be taken for the next record's.

        It can if its length leads to the end of a record; or if it is complete and behind a blank line, since a file
        whose line breaks were converted has a wrong length in every record.
        """
        feed.want(at + HEAD_BYTES)
        another = FIRST_LINE[self.flavour].search(feed.buffer, at + 1)
        head = parse_head(feed.buffer, at, another.start() if another else None)
        if head is None or not head.kind:
            return False
        if head.flavour == "arc":
            return True  # hardly any other line has the five fields
        complete = "warc-record-id" in head.headers and "warc-date" in head.headers
        if complete and _BLANK.search(feed.buffer[max(0, at - 4) : at]):
            return True
        if head.length is None:
            return False
        end = at + head.size + head.length
        if head.length > self.max_block or feed.want(end) < end:
            return True  # nothing to be seen there: what it says is judged when it is read
        return self._follows(feed, head, end)

    def _first_lines(self, feed: Feed, at: int) -> Iterator[int]:
        """Where, from `at` on, the buffered bytes look like a header's first line."""
        while match := FIRST_LINE[self.flavour].search(feed.buffer, at):
            yield match.start()
            at = match.start() + 1

    def _seek(self, feed: Feed, keep: int) -> bytes:
        """Go on to the next sound header, or to the end; return the first `keep` bytes that were passed."""
        kept = bytearray()
        if feed.want(1) and self._sound_head(feed, 0):
            return b""
        while True:
            at_end = feed.want(_SEARCH_BYTES) < _SEARCH_BYTES
            found = next((at for at in self._first_lines(feed, 0) if self._sound_head(feed, at)), -1)
            at_end = at_end and feed.ended
            step = found if found >= 0 else len(feed.buffer) - (0 if at_end else _OVERLAP_BYTES)
            kept += feed.buffer[: min(step, keep - len(kept))]
            feed.drop(step)
            if found >= 0 or at_end:
                return bytes(kept)

    def _line_breaks(self, feed: Feed) -> bytes:
        feed.want(_GAP_BYTES)
        match = _LINE_BREAKS.match(feed.buffer, 0, _GAP_BYTES)
        return match.group() if match else b""

    def _drop_line_breaks(self, feed: Feed) -> None:
        while breaks := self._line_breaks(feed):
            feed.drop(len(breaks))

    def _checked(self, feed: Feed, note: str) -> str:
        """Add to the note if a checksum failed before where the feed is now."""
        if not feed.doubts or feed.doubts[0] > feed.position:
            return note
        feed.doubts = [doubt for doubt in feed.doubts if doubt > feed.position]
        return f"{note},{CHECKSUM}".lstrip(",")

    def _record(self, head: Head, offset: int, block: bytes, size: int, note: str, inner: int = 0) -> Record:
        return Record(self.warc, offset, head.kind, head.headers, block, size, inner, note)


def _is_gap(head: Head, data: bytes, to_the_end: bool) -> bool:
    """Whether the record of this header can end before these bytes: they close it, begin the next, or are the last."""
    rest = data.lstrip(b"\r\n")
    if not rest:
        return to_the_end or len(data) == _GAP_BYTES
    if data.startswith(head.closing):
        return True  # and what comes next is damaged, not this
    return rest.startswith(b"WARC/") if head.flavour == "warc" else len(rest) < len(data)


def _closes(head: Head, line_breaks: bytes) -> bool:
    return line_breaks == head.closing or head.flavour == "arc"


def _without_closing(head: Head, block: bytes, size: int) -> tuple[bytes, int]:
    """Take the closing line breaks off a block that was read up to the next header."""
    if len(block) == size and block.endswith(head.closing):
        return block[: -len(head.closing)], size - len(head.closing)
    return block, size
