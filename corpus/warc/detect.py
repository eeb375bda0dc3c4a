"""What sort of archive a file is, by its content and never by its name.

A gzip file is read by *members* if each of them begins a record; if records run over the ends of members, or one member
holds them all, it is read as one *stream*. So is every other container.
"""

from __future__ import annotations

from dataclasses import dataclass

from corpus.errors import InputError
from corpus.warc.head import FIRST_LINE, HEAD_BYTES, parse_head
from corpus.warc.inflate import MAGIC as GZIP
from corpus.warc.inflate import Member, inflate
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
        found = _search(window, "zstd")
    else:
        head = parse_head(window.read(0, HEAD_BYTES).lstrip(b"\r\n"))
        if head is not None and head.kind:
            found = Format("stream", "plain", head.flavour)
    if found is None:
        for magic, name in _OTHERS.items():
            if start.startswith(magic):
                raise InputError(
                    f"{window.source.name} is {name}, which is not read.", "Unpack it, or compress it as gzip or zstd."
                )
        found = _behind_damage(window, "gzip" if start.startswith(GZIP) else "plain")
    if found is None:
        raise InputError(
            f"{window.source.name} is no crawl archive: no WARC or ARC record was found, it begins with {start!r}.",
            "Give WARC, ARC, WET or WAT files: plain, gzip or zstd.",
        )
    return found


def _gzip(window: Window) -> Format | None:
    first = _first_member(window)
    head = parse_head(first.content)
    if head is None or not head.kind:
        return None
    members = Format("members", "gzip", head.flavour)
    stream = Format("stream", "gzip", head.flavour)
    record_size = head.size + (head.length or 0)
    rest = first.content[record_size:].lstrip(b"\r\n")
    several = parse_head(rest) is not None
    complete = first.size >= record_size and not rest
    if first.state == "stopped":  # its first record is complete, and it goes on
        return stream
    if first.state in ("ok", "checksum") and first.end < window.size:
        second = _first_member(window, first.end, HEAD_BYTES)
        if parse_head(second.content) or complete:
            return members
        if second.state in ("ok", "stopped"):
            return stream
        return members if not several or _record_after(window, first.start) else stream
    if first.state != "ok":
        return members if _record_after(window, first.start) else stream
    return members if complete else stream


def _first_member(window: Window, at: int = 0, look: int = _LOOK_BYTES) -> Member:
    """The first member from `at` that is not empty: `look` bytes of it, or what shows its first record and more."""
    while True:
        head = parse_head(inflate(window, at, HEAD_BYTES, stop=HEAD_BYTES).content)
        record_size = head.size + (head.length or 0) if head is not None else 0
        member = inflate(window, at, look, stop=record_size + look)
        if member.state != "ok" or member.content.strip(b"\r\n") or member.end == window.size:
            return member
        at = member.end


def _record_after(window: Window, start: int) -> bool:
    return Starts(window).next(start + 1, end=start + _SEARCH_BYTES) < window.size


def _behind_damage(window: Window, codec: str) -> Format | None:
    """The format of a file whose beginning can't be read, by the first record that can."""
    start = Starts(window).next(0, end=_SEARCH_BYTES)
    if start < window.size:
        head = parse_head(inflate(window, start, HEAD_BYTES).content)
        return Format("members", "gzip", head.flavour if head else "warc")
    return _search(window, codec) or (_search(window, "zstd") if window.find(ZSTD, 0, _SEARCH_BYTES) >= 0 else None)


def _search(window: Window, codec: str) -> Format | None:
    """The format of a stream by the first line in it that begins a sound header."""
    data = b"\n"
    passed = 0
    for chunk in open_stream(window, codec):
        if not isinstance(chunk, bytes):
            data = b"\n"
            continue
        data = data[-HEAD_BYTES:] + chunk
        for flavour, pattern in FIRST_LINE.items():
            for match in pattern.finditer(data):
                head = parse_head(data, match.start() + 1)
                if head is not None and head.kind and head.length is not None:
                    return Format("stream", codec, flavour)
        passed += len(chunk)
        if passed > _SEARCH_BYTES:
            break
    return None
