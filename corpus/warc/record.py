"""What a crawl archive holds, once read: records, and stretches of bytes that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JUDGED = ("response", "conversion")
"""The record types that get a ledger row; all others are counted by type."""


@dataclass(slots=True)
class Record:
    """One WARC or ARC record.

    `offset` is where its gzip member starts in the file; in a streamed format (plain, zstd, one gzip member
    around everything) it is the position in the decompressed stream. `inner` numbers the records of one
    member, 0 for the first. Header names are lower-case. `block` is the WARC block (for a response: the HTTP
    message), cut at the reader's `max_block` bytes; `block_size` is its size uncut. ARC documents are shown
    as `response` records, the ARC file header as `warcinfo`.
    """

    warc: str
    offset: int
    kind: str
    headers: dict[str, str]
    block: bytes = field(repr=False)
    block_size: int
    inner: int = 0
    note: str = ""
    """What was wrong with a record that could be read all the same, joined by commas.

    "length_mismatch": the block is what lies before the next header or the end, not what Content-Length says, or other
    line breaks than usual follow it. "checksum": a checksum of the stream failed at its end, so that this record or
    one before it is not as it was.
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
        """The WARC record's own Content-Type: `application/http` for an HTTP message."""
        return self.headers.get("content-type", "")


@dataclass(slots=True)
class Damage:
    """A stretch of the file that could not be read as records: `length` bytes from `offset`.

    Offsets are as in Record; in a compressed stream, bytes of the file that could not be decompressed count as
    themselves. `kind` is one of: truncated, gzip (inflate or CRC error), header (no WARC or ARC
    header), length (a Content-Length that leads nowhere), zstd.
    """

    warc: str
    offset: int
    length: int
    kind: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """The WARC headers, where they could still be read."""

    @property
    def id(self) -> str:
        return f"{self.warc}:{self.offset}"

    @property
    def url(self) -> str:
        return target_uri(self.headers)


def target_uri(headers: Mapping[str, str]) -> str:
    """The URL of a record, without the <> that WARC 1.0's grammar has around it and some writers put there."""
    uri = headers.get("warc-target-uri", "").strip(" ")
    return uri[1:-1].strip(" ") if uri.startswith("<") and uri.endswith(">") else uri


def record_id(warc: str, offset: int, inner: int) -> str:
    """The id of a record by its place."""
    return f"{warc}:{offset}" + (f"+{inner}" if inner else "")
