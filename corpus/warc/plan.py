"""The plan for reading a file: its format, and its division into units.

The format follows from the content, never from the name. A gzip file is read by *members* if each member begins a
record. The file is read as one *stream* if records extend over the ends of members, or if one member holds all records.
All other containers are streams.

Units are byte ranges that tile the file. Each unit can be read alone. Only files that are read by members are divided.
`corpus.warc.starts` explains how a start is proven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from corpus.errors import ConfigError, InputError
from corpus.warc.head import FIRST_LINE, HEAD_BYTES, Head, parse_head
from corpus.warc.inflate import MAGIC as GZIP
from corpus.warc.inflate import Member, inflate
from corpus.warc.source import Source, Window
from corpus.warc.starts import MemberStarts
from corpus.warc.streams import open_stream
from corpus.warc.zstdframes import MAGIC as ZSTD
from corpus.warc.zstdframes import FrameStarts, is_skippable

_BLOCK_BYTES = 256 << 10
"""The size of a read. Planning reads one or two blocks at each division, which is 1% of a file with units of 32 MiB."""
_LOOK_BYTES = 16 << 20
"""The number of bytes of the first member that are inflated beyond its first record, to find out what the member
holds.
"""
_SEARCH_BYTES = 64 << 20
"""If the start of a file is damaged, the first record is searched for in this many bytes."""
_NEXT_BYTES = 4096
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
    """The way to read a file. `layout` is "members" or "stream", `codec` "gzip", "zstd" or "plain", `flavor` "warc" or
    "arc"."""

    layout: str
    codec: str
    flavor: str


class Range(NamedTuple):
    """The bytes of a file from `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FilePlan(Format):
    """The format of a file, and the ranges that tile the file, in order."""

    ranges: Sequence[Range]


def plan(source: Source, unit_bytes: int) -> FilePlan:
    """Plan units of about `unit_bytes` each. In every stretch of this length, a unit starts at the first proven start.

    An empty file has one empty range. A file of long records has fewer units than its size suggests. Planning reads
    little: the first member, and some 256 KiB at each division. Raises InputError if the file is no archive.
    """
    if unit_bytes < 1:
        raise ConfigError(f"A unit of {unit_bytes} bytes is not possible.", "Give a positive number of bytes.")
    window = Window(source, _BLOCK_BYTES)
    found = _detect(window)
    divisions = [0]
    if found.layout == "members":
        starts = MemberStarts(window)
        for nominal in range(unit_bytes, source.size, unit_bytes):
            if nominal > divisions[-1]:  # otherwise the last search already passed this position
                divisions.append(starts.next(nominal, proven=True))
    ends = [*(start for start in divisions[1:] if start < source.size), source.size]
    return FilePlan(found.layout, found.codec, found.flavor, [Range(*pair) for pair in pairwise([0, *ends])])


def _detect(window: Window) -> Format:
    """Return the format of a file. Raises InputError if the file holds no record."""
    start = window.read(0, 16)
    if not start:
        return Format("stream", "plain", "warc")
    found: Format | None = None
    if start.startswith(GZIP):
        found = _gzip(window)
    elif start.startswith(ZSTD) or is_skippable(start[:4]):
        found = _search(window, "zstd")
    else:
        head = parse_head(window.read(0, HEAD_BYTES).lstrip(b"\r\n"))
        if head is not None and head.kind:
            found = Format("stream", "plain", head.flavor)
    if found is None:
        other = next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)
        if other is not None:
            what = f"{window.source.name} has the format {other}, which can't be read."
            todo = "Unpack it, or compress it as gzip or zstd."
            raise InputError(what, "Its name must end with .parquet." if other == "parquet" else todo)
        found = _behind_damage(window, "gzip" if start.startswith(GZIP) else "plain")
    if found is None:
        what = f"{window.source.name} is not an archive: it holds no WARC or ARC record."
        raise InputError(
            what, "Give WARC, ARC or WET files, or documents in .parquet, .jsonl or .html: plain, gzip or zstd."
        )
    return found


def _gzip(window: Window) -> Format | None:
    first = _first_member(window)
    head = parse_head(first.content)
    if head is None or not head.kind:
        return None
    record_size = head.size + (head.length or 0)
    rest = first.content[record_size:].lstrip(b"\r\n")
    complete = first.size >= record_size and not rest
    if first.state == "stopped":  # the first record is complete, and the member continues after it
        members = False
    elif first.state in ("ok", "checksum") and first.end < window.size:
        second = _first_member(window, first.end, HEAD_BYTES)
        if parse_head(second.content) or complete:
            members = True
        elif second.state in ("ok", "stopped"):
            members = False
        else:
            members = parse_head(rest) is None or _record_after(window, first.start)
    elif first.state != "ok":
        members = _record_after(window, first.start)
    else:
        members = complete
    return Format("members" if members else "stream", "gzip", head.flavor)


def _first_member(window: Window, at: int = 0, look: int = _LOOK_BYTES) -> Member:
    """Inflate the first non-empty member from `at`, up to `look` bytes beyond its first record."""
    while True:
        head = parse_head(inflate(window, at, HEAD_BYTES, stop=HEAD_BYTES).content)
        record_size = head.size + (head.length or 0) if head is not None else 0
        member = inflate(window, at, look, stop=record_size + look)
        if member.state != "ok" or member.content.strip(b"\r\n") or member.end == window.size:
            return member
        at = member.end


def _record_after(window: Window, start: int) -> bool:
    return MemberStarts(window).next(start + 1, end=start + _SEARCH_BYTES) < window.size


def _behind_damage(window: Window, codec: str) -> Format | None:
    """Return the format of a file with an unreadable start, by its first readable records."""
    member = MemberStarts(window).next(0, end=_SEARCH_BYTES)
    if codec == "plain":
        # Plain records that lead to one another come first, because one of them may hold a page that is a `.warc.gz`.
        # But if they end before a member of the file begins, they are part of a page themselves, stored in a damaged
        # member.
        end = -1
        for at, head in _heads(window, "plain"):
            if at <= end:
                continue  # this record is part of a chain that led nowhere
            end = _chain_end(window, at, head, member)
            if end > at and (end > member or member == window.size):
                return Format("stream", "plain", head.flavor)
    # If there are both a frame and a member, the one that comes first contains the other.
    frame = FrameStarts(window).next(0, end=_SEARCH_BYTES)
    if frame < member and (found := _search(window, "zstd")) is not None:
        return found
    if member < window.size:
        head_of_member = parse_head(inflate(window, member, HEAD_BYTES).content)
        return Format("members", "gzip", head_of_member.flavor if head_of_member else "warc")
    return _search(window, codec)


def _chain_end(window: Window, at: int, head: Head, beyond: int) -> int:
    """Follow records that lead to one another from `at`, to the first record that begins after `beyond`.

    Return where the last of them begins.
    """
    while True:
        after = at + head.size + (head.length or 0)
        data = window.read(after, _NEXT_BYTES)
        rest = data.lstrip(b"\r\n")
        following = parse_head(rest)
        if following is None:
            return at
        at, head = after + len(data) - len(rest), following
        if at > beyond or beyond == window.size:
            return at


def _search(window: Window, codec: str) -> Format | None:
    """Return the format of a stream by its first sound header."""
    return next((Format("stream", codec, head.flavor) for _, head in _heads(window, codec)), None)


def _heads(window: Window, codec: str) -> Iterator[tuple[int, Head]]:
    """Yield each complete header near the start of a stream, with its position. Some may be false."""
    data = b""
    end = 0
    for chunk in open_stream(window, codec):
        if not isinstance(chunk, bytes):
            data = b""
            continue
        data = (data[-HEAD_BYTES:] or b"\n") + chunk
        end += len(chunk)
        for pattern in FIRST_LINE.values():
            # A header ends before the next first line. Without this bound, a page of first lines takes quadratic time.
            matches = chain((match.start() for match in pattern.finditer(data)), [len(data)])
            for at, limit in pairwise(matches):
                head = parse_head(data, at, limit)
                if head is not None and head.kind and head.length is not None:
                    yield end - len(data) + at, head
        if end > _SEARCH_BYTES:
            return
