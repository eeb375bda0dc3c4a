"""The page of a record, decoded step by step. Extraction and language screening share it, so each step runs once.

    page = page_of(doc)
    page.media_type, page.html

`doc.page` holds it until the document has a text.
"""

from __future__ import annotations

import re
from functools import cached_property

from resiliparse.parse.html import HTMLTree

from corpus.document import Document
from corpus.warc.http_message import HttpMessage, decode_body, parse_http
from corpus.warc.record import Record, media_type_of
from filters.extract.charset import decode_html, evidence_for_utf8, http_charset
from filters.extract.structure import Structure, scan

MAX_BODY_BYTES = 20 << 20
"""Decoded bodies are cut to this size. Common Crawl itself cuts at 5 MiB (1 MiB before March 2025)."""

_SNIFFED_BYTES = 1024
_HTML = re.compile(
    rb"\s*+(?:(?><!--.{0,512}?-->)\s*+){0,4}+"
    rb"<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|div|table|center|font|h1|p|a|b|br|iframe)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(rb"\s*<\?xml\s")
_XML_KINDS = (
    (re.compile(rb"<html[\s>]|<!doctype\s+html", re.IGNORECASE), "application/xhtml+xml"),
    (re.compile(rb"<rss[\s>]"), "application/rss+xml"),
    (re.compile(rb"<feed[\s>]"), "application/atom+xml"),
    (re.compile(rb"<(?:\w+:)?RDF[\s>]"), "application/rdf+xml"),
    (re.compile(rb"<svg[\s>]"), "image/svg+xml"),
    (re.compile(rb"<(?:urlset|sitemapindex)[\s>]"), "application/xml"),
)
_MAGIC = (
    (b"%PDF-", "application/pdf"), (b"%!PS-", "application/postscript"), (b"{\\rtf", "application/rtf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"), (b"\0\0\x01\0", "image/x-icon"),
    (b"PK\x03\x04", "application/zip"), (b"\x1f\x8b\x08", "application/gzip"), (b"BZh9", "application/x-bzip2"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"), (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"), (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    (b"OggS", "application/ogg"), (b"ID3\x03", "audio/mpeg"), (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x7fELF", "application/x-elf"), (b"wOFF", "font/woff"), (b"wOF2", "font/woff2"),
)  # fmt: skip


class Page:
    """The HTTP message of a record, its body, media type, structure and text."""

    def __init__(self, record: Record) -> None:
        self._record = record

    @cached_property
    def message(self) -> HttpMessage:
        """The HTTP message.

        A record that holds only the page has no status, and the record's own Content-Type is used.
        """
        record = self._record
        if record.is_http:
            return parse_http(record.block)
        return HttpMessage(None, {"content-type": record.content_type}, record.block)

    @cached_property
    def _decoded(self) -> tuple[bytes, str]:
        return decode_body(self.message, MAX_BODY_BYTES)

    @property
    def body(self) -> bytes:
        """The body without transfer and content encodings, cut at MAX_BODY_BYTES."""
        return self._decoded[0]

    @property
    def note(self) -> str:
        """The problem of the body, as `decode_body` names it."""
        return self._decoded[1]

    @cached_property
    def media_type(self) -> str:
        """The media type.

        The first bytes decide for binary data. For other bodies, the sources are, in this order: the crawler, the first
        bytes, the server, and else application/octet-stream.
        """
        sniffed = sniff(self.body)
        if sniffed is not None and not sniffed.startswith("text/") and not sniffed.endswith("xml"):
            return sniffed
        identified = media_type_of(self._record.headers.get("warc-identified-payload-type", ""))
        if identified and identified != "application/octet-stream":
            return identified
        served = media_type_of(self.message.headers.get("content-type", ""))
        return sniffed or served or "application/octet-stream"

    @cached_property
    def markup(self) -> bytes:
        """The page in a charset in which tags are ASCII."""
        return self.html.encode() if self.charset.startswith("utf-16") else self.body

    @cached_property
    def structure(self) -> Structure:
        return scan(self.markup)

    @cached_property
    def _served_charset(self) -> str | None:
        return http_charset(self.message.headers.get("content-type", ""))

    @cached_property
    def _evidence_for_utf8(self) -> str | None:
        return evidence_for_utf8(self.body, self._served_charset)

    @cached_property
    def _html(self) -> tuple[str, str, str]:
        if self._evidence_for_utf8 is not None:
            return self.body.decode(), "utf-8", self._evidence_for_utf8
        return decode_html(self.body, self._served_charset)

    @property
    def html(self) -> str:
        """The decoded page. It can be written as UTF-8."""
        return self._html[0]

    @cached_property
    def tree(self) -> HTMLTree:
        """The page as resiliparse parses it."""
        return HTMLTree.parse(self.html)

    @property
    def utf8(self) -> bytes:
        """The decoded page in UTF-8."""
        return self.body if self._evidence_for_utf8 is not None else self.html.encode()

    @property
    def charset(self) -> str:
        return "utf-8" if self._evidence_for_utf8 is not None else self._html[1]

    @property
    def charset_source(self) -> str:
        """The evidence for the charset, as `decode_html` names it."""
        return self._evidence_for_utf8 or self._html[2]


def page_of(doc: Document) -> Page:
    """Return the page of a document, and store it in `doc.page`. The document must have a record."""
    if doc.page is None:
        assert doc.record is not None
        doc.page = Page(doc.record)
    page: Page = doc.page
    return page


def sniff(body: bytes) -> str | None:
    """Return the media type that the first bytes prove, or None."""
    head = body[:_SNIFFED_BYTES]
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"):  # UTF-16 with and without a mark
        head = head.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").replace(b"\0", b"")
    head = head.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(head):
        return "text/html"
    if _XML.match(head):
        return next((kind for pattern, kind in _XML_KINDS if pattern.search(head)), None)
    return None
