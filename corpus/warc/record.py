"""The items of an archive: records, and stretches of bytes that could not be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Place = tuple[int, int]
"""The position of a record in its archive: (offset, inner), as in `Record`."""

HTML = ("text/html", "application/xhtml+xml")
"""The media types of web pages."""

_SAYS_NOTHING = {"", "application/octet-stream", "application/unknown", "unknown/unknown", "*/*"}
"""Media types for content whose type the writer did not know."""

_WEB = ("http:", "https:", "ftp:", "file:")
_NOTES = ("metadata:", "dns:")
"""Schemes under which crawlers store notes about a crawl, some of them as text/html."""

_MEDIA_TYPE = re.compile(r"[\s\"']*+([\w!#$&^.+*-]+/[\w!#$&^.+*-]+)", re.ASCII)
_PLAIN_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")


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

    @property
    def is_http(self) -> bool:
        """True if the block is an HTTP message. Otherwise it is the content itself: a resource, a capture of FTP."""
        if media_type_of(self.content_type) == "application/http":
            return True
        return self.kind == "response" and self.url[:4].lower() == "http"

    @property
    def text(self) -> str | None:
        """The text of a row (`corpus.documents.row`). An archive has none, since its texts are bytes in blocks."""
        return None

    @property
    def language(self) -> str | None:
        """The language of a row, if it says so."""
        return None

    @property
    def metadata(self) -> str | None:
        """The columns of a row that travel along to the corpus, as a JSON object."""
        return None

    @property
    def is_text(self) -> bool:
        """True if the block is a text that another program took from a page, as in WET files."""
        return self.kind == "conversion" and media_type_of(self.content_type) not in HTML

    @property
    def judged(self) -> bool:
        return is_judged(self.kind, self.headers)

    @property
    def counted_as(self) -> str:
        """The type under which a record that is not judged is counted, with the media type of a resource or conversion.

        The words of a broken or hostile header are no part of it.
        """
        if not (self.kind.isascii() and self.kind.isalpha() and len(self.kind) <= 20):
            return "unknown"
        content = media_type_of(self.content_type) if self.kind in ("resource", "conversion") else ""
        return f"{self.kind} {content}" if _PLAIN_TYPE.fullmatch(content) else self.kind


@dataclass(slots=True)
class Damage:
    """A stretch of `length` bytes from `offset` that could not be read as records.

    Offsets count as in `Record`. In a compressed stream, a byte of the file that could not be decompressed counts as
    one byte. `kind` is one of: truncated, gzip (the content can't be inflated or its CRC is wrong), header (no WARC or
    ARC header), length (Content-Length leads nowhere, or a line is too long), zstd, index (the
    record that an index of the crawl names is not at its place). Of a row: json, parquet, utf-8, type (of another type
    than text), empty (there is no text).
    """

    warc: str
    offset: int
    length: int
    kind: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """The headers of the damaged record, if they were still readable."""
    inner: int = 0
    """The number of the row from which a row group of parquet is damaged."""

    @property
    def id(self) -> str:
        return record_id(self.warc, self.offset, self.inner)

    @property
    def url(self) -> str:
        return target_uri(self.headers)


def is_judged(kind: str, headers: Mapping[str, str]) -> bool:
    """Return True if a record of this type gets a ledger row. Other records are only counted.

    A resource is judged if it is a page by its own Content-Type, or may be one: it has a location on the web, and
    nothing says what it holds. The other resources are notes of crawlers, screenshots and images. A conversion is
    judged unless it is a picture or a sound.
    """
    own = media_type_of(headers.get("content-type", ""))
    if kind == "resource":
        if own == "application/http" or is_page(headers):
            return True
        return _media_types(headers) <= _SAYS_NOTHING and target_uri(headers).lower().startswith(_WEB)
    if kind == "conversion":
        return not own.startswith(("image/", "audio/", "video/", "font/"))
    return kind == "response"


def is_page(headers: Mapping[str, str]) -> bool:
    """Return True if the block of a record with these headers is a page, by its own media type."""
    return not _media_types(headers).isdisjoint(HTML) and not target_uri(headers).lower().startswith(_NOTES)


def _media_types(headers: Mapping[str, str]) -> set[str]:
    """The media types of a block as its writer declared it, and as the crawler identified it."""
    return {media_type_of(headers.get(name, "")) for name in ("content-type", "warc-identified-payload-type")}


def media_type_of(header: str) -> str:
    """Return the media type in a Content-Type header, in lower case and without parameters.

    As in browsers, whatever can't be part of a type ends it: `text/html charset=utf-8` lacks a semicolon. The result is
    the value before the first comma or semicolon if this is no type, and "" for an empty header.
    """
    found = _MEDIA_TYPE.match(header)
    return (found[1] if found else re.split("[;,]", header, maxsplit=1)[0].strip()).lower()


def target_uri(headers: Mapping[str, str]) -> str:
    """Return the URL of a record. WARC 1.0's grammar puts it in <>, and some writers do so; they are removed."""
    uri = headers.get("warc-target-uri", "").strip(" ")
    return uri[1:-1].strip(" ") if uri.startswith("<") and uri.endswith(">") else uri


def record_id(warc: str, offset: int, inner: int = 0) -> str:
    """Return the id of the record at a place."""
    return (f"{warc}:{offset}" if warc else f"{offset}") + (f"+{inner}" if inner else "")
