"""What sort of archive a file is, by its content and never by its name.

A gzip file is read by *members* if each of them begins a record; if records run over the ends of members, or one member
holds them all, it is read as one *stream*. So is every other container.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus.errors import InputError
from corpus.warc.feed import Chunks, Feed
from corpus.warc.head import FIRST_LINE, HEAD_BYTES, Head, parse_head
from corpus.warc.inflate import MAGIC as GZIP
from corpus.warc.inflate import Inflation, Member, inflate
from corpus.warc.source import Window
from corpus.warc.starts import Starts
from corpus.warc.streams import open_stream
from corpus.warc.zstdframes import MAGIC as ZSTD
from corpus.warc.zstdframes import is_skippable

_LOOK_BYTES = 16 << 20
"""So much of the first member is inflated to see what it holds, or as much as its first record takes."""
_SEARCH_BYTES = 64 << 20
"""So far into a file whose start is damaged a first record is looked for."""
_OTHERS = {
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"Obj\x01": "avro",
}


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is to be read: as "members" or a "stream"; through which codec; holding WARC or ARC records."""

    layout: str
    codec: str
    flavour: str


def detect(window: Window) -> Format:
    """Tell the format of a file. Raises InputError where no record can be found."""
    start = window.read(0, 16)
    if not start:
        return Format("stream", "plain", "warc")
    found: Format | None = None
    if start.startswith(GZIP):
        found = _gzip(window)
    elif start.startswith(ZSTD) or is_skippable(start[:4]):
        found = _stream(window, "zstd")
    else:
        found = _stream(window, "plain", at_start=True)
    if found is None:
        for magic, name in _OTHERS.items():
            if start.startswith(magic):
                raise InputError(
                    f"{window.source.name} is {name}, which is not read.",
                    "Decompress it, or compress it as gzip or zstd with one record in each member.",
                )
        found = _behind_damage(window)
    if found is None:
        raise InputError(
            f"{window.source.name} is no crawl archive: no WARC or ARC record found, it begins with {start!r}.",
            "Give WARC, ARC, WET or WAT files: plain, gzip or zstd.",
        )
    return found


def _gzip(window: Window) -> Format | None:
    first = _first_member(window)
    head = parse_head(first.content)
    if head is None or not head.kind:
        return None  # the first member is damaged, or no record: _behind_damage looks further
    members = Format("members", "gzip", head.flavour)
    stream = Format("stream", "gzip", head.flavour)
    record_end = head.size + (head.length or 0)
    another = _another_record(first, head, record_end)
    if first.state == "stopped":
        return stream if another or first.size > record_end + HEAD_BYTES else members
    if first.state in ("ok", "checksum") and first.end < window.size:
        second = inflate(window, first.end, HEAD_BYTES, stop=HEAD_BYTES)
        if parse_head(second.content):
            return members
        ends_with_record = not another and head.length is not None and 0 <= first.size - record_end <= 8
        if ends_with_record:
            return members
        return stream if second.state in ("ok", "stopped") or not _record_after(window, first.start) else members
    if first.end < window.size or first.state != "ok":
        if _record_after(window, first.start):
            return members
    return stream if another else members


def _first_member(window: Window) -> Member:
    """The first member that is not empty; a bounded part of it if it is large."""
    at = 0
    while True:
        inflation = Inflation(window, at)
        first = next((part for part in inflation if part), b"")
        head = parse_head(first)
        stop = _LOOK_BYTES
        if head is not None and head.length is not None:
            stop = max(stop, min(head.size + head.length + HEAD_BYTES, 1 << 30))
        member = inflate(window, at, _LOOK_BYTES, stop)
        if member.state != "ok" or member.content.strip(b"\r\n") or member.end >= window.size:
            return member
        at = member.end


def _another_record(first: Member, head: Head, record_end: int) -> bool:
    """Whether a second record begins in the first member."""
    at = record_end
    while at < len(first.content) and first.content[at] in b"\r\n":
        at += 1
    if parse_head(first.content, at):
        return True
    return FIRST_LINE["warc"].search(first.content, head.size) is not None if head.length is None else False


def _record_after(window: Window, start: int) -> bool:
    return Starts(window).next(start + 1) < window.size


def _stream(window: Window, codec: str, at_start: bool = False) -> Format | None:
    """The format of a stream, by its first header: at its very start or anywhere near it."""
    feed = Feed(_until(open_stream(window, codec), _SEARCH_BYTES))
    while True:
        while feed.want(1) and feed.buffer[0] in b"\r\n":
            feed.drop(1)
        head = feed.head()
        if head is not None and head.kind and (not at_start or head.length is not None):
            return Format("stream", codec, head.flavour)
        if at_start:
            return None
        # Not at the start: look for a line that is a header, of a WARC rather than of an ARC.
        while not at_start:
            there = feed.want(1 << 20)
            for flavour, pattern in FIRST_LINE.items():
                for match in pattern.finditer(feed.buffer):
                    head = feed.head(match.start() + 1)
                    if head is not None and head.kind and head.length is not None:
                        return Format("stream", codec, flavour)
            feed.drop(max(1, there - HEAD_BYTES) if there == 1 << 20 else there)
            if not feed.want(1):
                break
        if feed.broken is None:
            return None
        feed.go_on()


def _until(chunks: Chunks, size: int) -> Chunks:
    for chunk in chunks:
        yield chunk
        size -= len(chunk) if isinstance(chunk, bytes) else 0
        if size < 0:
            return


def _behind_damage(window: Window) -> Format | None:
    """The format of a file whose beginning can't be read, by the first record that can."""
    start = Starts(window).next(0)
    if start < window.size:
        head = parse_head(inflate(window, start, HEAD_BYTES).content)
        assert head is not None
        return Format("members", "gzip", head.flavour)
    return None
