"""Captures that were chosen by an index of a crawl, which names the place, the length and the URL of each.

Each capture is read alone, and nothing between the captures is read from a disk. Each capture yields one item: its
record, or damage if the record there is not the one that the index names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import xxhash

from corpus.warc.head import HEAD_BYTES
from corpus.warc.inflate import inflate
from corpus.warc.parse_records import RecordParser
from corpus.warc.plan import Format, Range
from corpus.warc.reader import MAX_BLOCK, items_of
from corpus.warc.record import Damage, Place, Record
from corpus.warc.source import Source, Window

CHOSEN_FORMAT = Format("members", "gzip", "warc")
"""Common Crawl's archives have a gzip member for each record. Only such archives can be read at places."""

GAP_BYTES = 64 << 10
"""A server is asked once for captures that are this near to each other.

A process may send 50 requests a second, and receives more than this in the time of one. Between the pages of a Common
Crawl archive are their requests and metadata, of some 2 KB.
"""


class Capture(NamedTuple):
    """The place of a chosen record, its length as stored, and `hash_of_url` of its URL."""

    offset: int
    length: int
    url: int


def hash_of_url(url: str | bytes) -> int:
    """Return the number by which a record and a row of an index show that they have the same URL."""
    return xxhash.xxh3_64_intdigest(url.encode("utf-8", "replace") if isinstance(url, str) else url)


def spans_of(captures: Sequence[tuple[int, ...]]) -> list[Range]:
    """Return the bytes to ask a server for: those of captures (offset, length, …) in ascending order, joined if they
    are near."""
    spans: list[Range] = []
    for offset, length, *_ in captures:
        end = offset + length
        if spans and offset <= spans[-1].end + GAP_BYTES:
            spans[-1] = Range(spans[-1].start, max(spans[-1].end, end))
        else:
            spans.append(Range(offset, end))
    return spans


class ChosenReader(Iterator[Record | Damage]):
    """An iterator over chosen captures, in ascending order of their offsets. Each capture yields one item.

    Before each `next`, (`offset`, `inner`) is the place of the next capture. A reader can `resume` there. `end` is the
    end of the last capture.
    """

    inner = 0

    def __init__(
        self, source: Source, captures: Sequence[Capture], end: int, resume: Place | None = None,
        max_block: int = MAX_BLOCK,
    ) -> None:  # fmt: skip
        self.end = end
        self._source, self._max_block = source, max_block
        self._parser = RecordParser(source.name, CHOSEN_FORMAT.flavor, max_block)
        left = [one for one in captures if resume is None or (one.offset, 0) >= resume]
        self.offset = left[0].offset if left else end
        self._items = self._read(left)

    def __next__(self) -> Record | Damage:
        return next(self._items)

    def _read(self, captures: Sequence[Capture]) -> Iterator[Record | Damage]:
        for one, following in pairwise([*captures, None]):
            assert one is not None
            item = self._capture(one)
            self.offset = following.offset if following is not None else self.end
            yield item

    def _capture(self, one: Capture) -> Record | Damage:
        """Read one capture. Nothing beyond its length is read, so its cost is what the index says."""
        window = Window(_Cut(self._source, one.offset + one.length), start=one.offset)
        member = inflate(window, one.offset, self._max_block + HEAD_BYTES)
        if member.state in ("none", "truncated") and one.offset + one.length > self._source.size:
            return self._damage(one, "truncated")
        if member.state != "ok":
            return self._damage(one, "index" if member.state in ("none", "truncated") else "gzip")
        item = next(items_of(self._parser, member), None)
        if isinstance(item, Record) and item.judged and hash_of_url(item.url) == one.url:
            return item
        return self._damage(one, "index")

    def _damage(self, one: Capture, kind: str) -> Damage:
        return Damage(self._source.name, one.offset, one.length, kind)


class _Cut:
    """The bytes of a file up to `end`, or to its own end."""

    def __init__(self, source: Source, end: int) -> None:
        self.name = source.name
        self.size = min(end, source.size)
        self._source = source

    def read(self, offset: int, length: int) -> bytes:
        return self._source.read(offset, max(min(length, self.size - offset), 0))
