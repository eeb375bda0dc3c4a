"""Records and damaged stretches of a crawl archive, so that every byte of the file is accounted for.

    for item in read_warc("CC-MAIN.warc.gz"):
        print(item.id, item.url)

What a walk finds does not depend on how the file was divided, nor on where the walk was interrupted and resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from corpus.errors import InputError
from corpus.warc.cut import Cutter
from corpus.warc.feed import Feed
from corpus.warc.head import HEAD_BYTES, parse_head
from corpus.warc.inflate import Inflation, Member, inflate
from corpus.warc.plan import Plan, plan
from corpus.warc.record import Damage, Record
from corpus.warc.source import LocalSource, Source, Window
from corpus.warc.starts import Starts
from corpus.warc.streams import open_stream

MAX_BLOCK = 64 << 20


class Walk:
    """An iterator over the records and damage of one range of a file.

    Before each `next`, (`offset`, `inner`) is where the next item begins (or an empty gzip member before it): to be
    announced before it is touched, and to resume from. After the last item, `end` is the byte of the file up to which
    this range's items reach: the start of the next range.
    """

    def __init__(
        self, source: Source, plan: Plan, start: int, end: int, resume: tuple[int, int] | None, max_block: int
    ) -> None:
        self.offset, self.inner = resume or (start, 0)
        self.end = start
        self._window = Window(source)
        self._range_end = end
        self._max_block = max_block
        self._cutter = Cutter(source.name, plan.flavour, max_block, self._window if plan.codec == "plain" else None)
        self._items = self._members() if plan.format == "members" else self._stream(plan.codec)

    def __iter__(self) -> Iterator[Record | Damage]:
        return self

    def __next__(self) -> Record | Damage:
        return next(self._items)

    def _stream(self, codec: str) -> Iterator[Record | Damage]:
        feed = Feed(open_stream(self._window, codec, self.offset), self.offset)
        for item in self._cutter.stream(feed):
            self.offset = feed.position
            yield item
        self.offset = feed.position
        self.end = self._window.size

    def _members(self) -> Iterator[Record | Damage]:
        starts = Starts(self._window)
        at, skip = self.offset, self.inner
        while at < self._range_end:
            member = inflate(self._window, at, self._max_block + HEAD_BYTES)
            after = member.end if member.state == "ok" else self._after_damage(starts, at, member)
            items: Iterator[Record | Damage] = iter(())
            if member.state != "ok":
                items = iter([self._damage(member, after)])
            elif member.content.strip(b"\r\n"):
                items = self._cutter.member(self._feed(member), member.size, at, after)
            # One item is read ahead, to tell whether the next to announce is in this member or the one after.
            item = next(items, None)
            number = 0
            while item is not None:
                following = next(items, None)
                number += 1
                self.offset, self.inner = (after, 0) if following is None else (at, number)
                if number > skip:
                    yield item
                item = following
            at, skip = after, 0
            self.offset, self.inner = at, 0
        self.end = at

    def _feed(self, member: Member) -> Feed:
        content, member.content = member.content, b""
        return Feed.of(content) if len(content) == member.size else Feed(iter(Inflation(self._window, member.start)))

    def _damage(self, member: Member, after: int) -> Damage:
        kind = "truncated" if member.state == "truncated" and after == self._window.size else "gzip"
        detail = member.detail or _DETAIL[member.state]
        if member.state == "none":
            kind = "header"
        head = parse_head(member.content)
        headers = head.headers if head is not None else {}
        return Damage(self._window.source.name, member.start, after - member.start, kind, detail, headers)

    def _after_damage(self, starts: Starts, at: int, member: Member) -> int:
        """Where reading goes on behind the damaged member at `at`."""
        end = member.end
        if member.state == "checksum" and (end == self._window.size or starts.is_record_start(end)):
            # The chain of members is intact behind it. But what damage makes of a member may run over the start of the
            # next, and end with that: a page of its own never leads to there.
            swallowed = starts.next(at + 1, end=end)
            return swallowed if swallowed < end and starts.leads_to(swallowed, end) else end
        return starts.next(at + 1)


_DETAIL = {"truncated": "cut short", "none": "no gzip member"}


def read_range(
    source: Source,
    plan: Plan,
    start: int,
    end: int,
    *,
    resume: tuple[int, int] | None = None,
    max_block: int = MAX_BLOCK,
) -> Walk:
    """Walk the range from `start` to `end` of a planned file, `resume` being an (offset, inner) to begin at instead."""
    return Walk(source, plan, start, end, resume, max_block)


def read_warc(path_or_source: str | os.PathLike[str] | Source, max_block: int = MAX_BLOCK) -> Walk:
    """Walk a whole file of any format. Raises InputError for what is no archive."""
    source = LocalSource(path_or_source) if isinstance(path_or_source, str | os.PathLike) else path_or_source
    return read_range(source, plan(source, max(1, source.size)), 0, source.size, max_block=max_block)


def read_at(source: Source, plan: Plan, offset: int, inner: int = 0, *, max_block: int = MAX_BLOCK) -> Record:
    """Read the one record at (`offset`, `inner`). Raises InputError if no record is there.

    Costs a seek, but in a gzip or zstd stream decompressing all that lies before it.
    """
    item = next(read_range(source, plan, offset, source.size, resume=(offset, inner), max_block=max_block), None)
    if not isinstance(item, Record) or (item.offset, item.inner) != (offset, inner):
        raise InputError(f"{source.name} has no readable record at {offset}{f'+{inner}' if inner else ''}.")
    return item
