"""Readers of an archive. They account for every byte of the file, as records or as damage.

    for item in read_warc("CC-MAIN.warc.gz"):
        print(item.id, item.url)

A reader finds the same items however the file is divided, and wherever reading is interrupted and resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise

from corpus.errors import InputChanged
from corpus.warc.head import HEAD_BYTES, parse_head
from corpus.warc.inflate import Member, inflate
from corpus.warc.parse_records import RecordParser
from corpus.warc.plan import Format, Range, plan
from corpus.warc.record import Damage, Place, Record
from corpus.warc.source import LocalSource, Source, Window
from corpus.warc.starts import MemberStarts
from corpus.warc.stream_buffer import StreamBuffer
from corpus.warc.streams import open_stream

MAX_BLOCK = 64 << 20


class RangeReader(Iterator[Record | Damage]):
    """An iterator over the records and damage in a part of a file.

    Before each `next`, (`offset`, `inner`) is the place of the next item, or of an empty gzip member before it. The
    caller can announce this place before the item is read. A reader can `resume` there. After the last item, `end` is
    the byte of the file up to which the items reach. The next part starts there.
    """

    def __init__(
        self, source: Source, form: Format, part: Range, resume: Place | None = None, max_block: int = MAX_BLOCK
    ) -> None:
        self.offset, self.inner = resume or (part.start, 0)
        self.end = part.start
        self._window = Window(source)
        self._range_end = part.end
        self._max_block = max_block
        plain = self._window if form.codec == "plain" else None
        self._parser = RecordParser(source.name, form.flavor, max_block, plain)
        self._items = self._members() if form.layout == "members" else self._stream(form.codec)

    def __next__(self) -> Record | Damage:
        return next(self._items)

    def _stream(self, codec: str) -> Iterator[Record | Damage]:
        buffer = StreamBuffer(open_stream(self._window, codec, self.offset), self.offset)
        for item in self._parser.stream(buffer):
            self.offset = buffer.position
            yield item
        self.offset = buffer.position
        self.end = self._window.size

    def _members(self) -> Iterator[Record | Damage]:
        starts = MemberStarts(self._window)
        at, skip = self.offset, self.inner
        while at < self._range_end:
            member = inflate(self._window, at, self._max_block + HEAD_BYTES)
            if member.state == "ok":
                after, items = member.end, items_of(self._parser, member)
            else:
                after = self._after_damage(starts, at, member)
                items = iter([self._damage(member, after)])
            # One item is read ahead, to find out whether the next place is in this member or in the next one.
            for number, (item, following) in enumerate(pairwise(chain(items, [None])), 1):
                self.offset, self.inner = (after, 0) if following is None else (at, number)
                if item is not None and number > skip:
                    yield item
                item = None  # a large record is freed before the next member is inflated
            at, skip = after, 0
            self.offset, self.inner = at, 0
        self.end = at

    def _damage(self, member: Member, after: int) -> Damage:
        kind = "header" if member.state == "none" else "gzip"
        if member.state == "truncated" and after == self._window.size:
            kind = "truncated"
        detail = member.detail or _DETAIL[member.state]
        head = parse_head(member.content)
        headers = head.headers if head is not None else {}
        return Damage(self._window.source.name, member.start, after - member.start, kind, detail, headers)

    def _after_damage(self, starts: MemberStarts, at: int, member: Member) -> int:
        """Return where reading continues after the damaged member at `at`."""
        end = member.end
        if member.state == "checksum" and (end == self._window.size or starts.is_record_start(end)):
            # The chain of members is intact after the damaged member. But a damaged member may run over the start of
            # the next one, and end where that one ends. A page inside the member never leads to this end.
            swallowed = starts.next(at + 1, end=end)
            return swallowed if swallowed < end and starts.leads_to(swallowed, end) else end
        return starts.next(at + 1)


def items_of(parser: RecordParser, member: Member) -> Iterator[Record | Damage]:
    """Return the records of an intact member. Its content is taken out of it."""
    if len(member.content) == member.size:
        record = parser.only_record(member.content, member.start)
        if record is not None:  # as in nearly all members
            member.content = b""
            return iter([record])
    if not member.content.strip(b"\r\n"):
        return iter(())
    return parser.member(_buffer_of(member), member.size, member.start, member.end)


def _buffer_of(member: Member) -> StreamBuffer:
    content, member.content = member.content, b""
    if len(content) < member.size:
        return StreamBuffer(iter(Member(member.window, member.start)))
    buffer = StreamBuffer(iter(()))
    buffer.data += content
    return buffer


_DETAIL = {"truncated": "cut short", "none": "no gzip member"}


class PlaceReader(Iterator[Record]):
    """An iterator over the records at `places`, which must be in ascending order.

    Before each `next`, (`offset`, `inner`) is the place of the next record. Each member is read alone, after a seek. A
    stream is read from its start. Raises InputChanged if a place has no record.
    """

    def __init__(self, source: Source, form: Format, places: Sequence[Place], max_block: int = MAX_BLOCK) -> None:
        self.end = source.size
        self._places = [*places, (self.end, 0)]
        self.offset, self.inner = self._places[0]
        self._records = self._read(source, form, max_block)

    def __next__(self) -> Record:
        return next(self._records)

    def _read(self, source: Source, form: Format, max_block: int) -> Iterator[Record]:
        items: Iterator[Record | Damage] = RangeReader(source, form, Range(0, self.end), max_block=max_block)
        for place, following in pairwise(self._places):
            if form.layout == "members":
                items = islice(RangeReader(source, form, Range(place[0], self.end), place, max_block), 1)
            found = (item for item in items if isinstance(item, Record) and (item.offset, item.inner) == place)
            record = next(found, None)
            if record is None:
                what = f"{source.name} has no record at {place[0]}, where the run found one."
                raise InputChanged(what, "Give the archives that the run read.")
            self.offset, self.inner = following
            yield record


def read_warc(path_or_source: str | os.PathLike[str] | Source, max_block: int = MAX_BLOCK) -> RangeReader:
    """Read a whole file of any format. Raises InputError if the file is no archive."""
    source = LocalSource(path_or_source) if isinstance(path_or_source, str | os.PathLike) else path_or_source
    return RangeReader(source, plan(source, max(1, source.size)), Range(0, source.size), max_block=max_block)
