"""The items of an archive: records, and stretches of bytes that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Place = tuple[int, int]
"""The position of a record in its archive: (offset, inner), as in `Record`."""

JUDGED = ("response", "conversion")
"""The record types that get a ledger row. Records of all other types are only counted."""


@dataclass(slots=True)
class Record:
    """One WARC or ARC record.

    `offset` is the position of its gzip member in the file. In a stream (plain, zstd, or one gzip member around all
    records) it is the position in the decompressed bytes. `inner` numbers the records of one member from 0. Header
    names are lower-case. `block` is the WARC block, which is the HTTP message of a response. It is cut at the reader's
    `max_block` bytes; `block_size` is its full size. ARC documents have the type `response`, the ARC file header
    `warcinfo`.
    """

    warc: str
    offset: int
    kind: str
    headers: dict[str, str]
    block: bytes = field(repr=False)
    block_size: int
    inner: int = 0
    note: str = ""
    """Problems in a record that was still readable, comma-separated.

    "length_mismatch": Content-Length is wrong, or unusual line breaks follow the block. The block then ends at the next
    header or at the end. "checksum": a checksum of the stream failed at the record's end. This record or an earlier
    record has changed.
    """

    @property
    def id(self) -> str:
        return record_id(self.warc, self.offset, self.inner)

    @property
    def url(self) -> str:
        return target_uri(self.headers)

    @property
    def date(self) -> str:
        return self.headers.get("warc-date", "")

    @property
    def record_id(self) -> str:
        return self.headers.get("warc-record-id", "")

    @property
    def content_type(self) -> str:
        """The Content-Type of the WARC record itself: `application/http` for an HTTP message."""
        return self.headers.get("content-type", "")


@dataclass(slots=True)
class Damage:
    """A stretch of `length` bytes from `offset` that could not be read as records.

    Offsets count as in `Record`. In a compressed stream, a byte of the file that could not be decompressed counts as
    one byte. `kind` is one of: truncated, gzip (the content can't be inflated or its CRC is wrong), header (no WARC or
    ARC header), length (Content-Length leads nowhere), zstd.
    """

    warc: str
    offset: int
    length: int
    kind: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """The headers of the damaged record, if they were still readable."""

    @property
    def id(self) -> str:
        return record_id(self.warc, self.offset)

    @property
    def url(self) -> str:
        return target_uri(self.headers)


def target_uri(headers: Mapping[str, str]) -> str:
    """Return the URL of a record. WARC 1.0's grammar puts it in <>, and some writers do so; they are removed."""
    uri = headers.get("warc-target-uri", "").strip(" ")
    return uri[1:-1].strip(" ") if uri.startswith("<") and uri.endswith(">") else uri


def record_id(warc: str, offset: int, inner: int = 0) -> str:
    """Return the id of the record at a place."""
    return f"{warc}:{offset}" + (f"+{inner}" if inner else "")
