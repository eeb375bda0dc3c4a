"""The archive of the sample crawl: records in the form of Common Crawl, one gzip member each, and damage.

The bytes do not depend on the time or place of writing. Dates count up from a fixed date. Ids and digests follow from
the content.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import uuid
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import BinaryIO

from jobs.sample.sample_page import SamplePage
from jobs.sample.sites import article_page

_START = datetime(2024, 5, 18, 6, 0, tzinfo=UTC)
_AGENT = "sample-crawler/1.0 (+https://crawler.example/about)"
_FIELDS = "application/warc-fields"
_REQUEST = "application/http; msgtype=request"
_RESPONSE = "application/http; msgtype=response"
_SITE = "https://www.valley-courier.example"

Pack = Callable[[bytes], bytes]
"""A function that makes a gzip member from the bytes of a record."""


def member(data: bytes, level: int = 6) -> bytes:
    """Make a gzip member without a time stamp."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, 31)
    return squeeze.compress(data) + squeeze.flush()


class ArchiveWriter:
    """A writer of records to a file. Each record gets its own date and id."""

    def __init__(self, file: BinaryIO, seed: int) -> None:
        self.file = file
        self.seed = seed
        self.records: Counter[str] = Counter()
        self._info = ""

    def write_record(
        self, kind: str, url: str, block: bytes, content_type: str, *headers: tuple[str, str],
        pack: Pack = member, extra_length: int = 0,
    ) -> str:  # fmt: skip
        """Write one record and return its id. `extra_length` makes its Content-Length wrong."""
        self.records[kind] += 1
        count = self.records.total()
        record_id = f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sample/{self.seed}/{count}')}>"
        date = _START + timedelta(seconds=2 * count)
        fields = [("WARC-Type", kind), ("WARC-Date", f"{date:%Y-%m-%dT%H:%M:%SZ}"), ("WARC-Record-ID", record_id)]
        if url:
            fields.append(("WARC-Target-URI", url))
        if self._info:
            fields.append(("WARC-Warcinfo-ID", self._info))
        fields += headers
        fields += [("WARC-Block-Digest", _digest(block)), ("Content-Type", content_type)]
        fields.append(("Content-Length", str(len(block) + extra_length)))
        head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.file.write(pack(head.encode() + b"\r\n" + block + b"\r\n\r\n"))
        return record_id

    def write_info(self) -> None:
        """Write the record that begins the file."""
        block = f"software: sample crawl\r\nformat: WARC File Format 1.1\r\nseed: {self.seed}\r\n".encode()
        self._info = self.write_record("warcinfo", "", block, _FIELDS, ("WARC-Filename", "sample.warc.gz"))

    def write_page(self, page: SamplePage, pack: Pack = member, extra_length: int = 0) -> None:
        """Write the request, response and metadata of one page. `pack` and `extra_length` apply to the response."""
        authority, _, path = page.url.partition("://")[2].partition("/")
        host = authority.rpartition("@")[2]
        request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {_AGENT}\r\nAccept: text/html\r\n\r\n"
        address = ("WARC-IP-Address", f"203.0.113.{1 + zlib.crc32(host.encode()) % 250}")
        request_id = self.write_record("request", page.url, request.encode(), _REQUEST, address)
        response_id = self.write_record(
            "response", page.url, http_block(page), _RESPONSE, address,
            ("WARC-Concurrent-To", request_id),
            ("WARC-Payload-Digest", _digest(page.body)),
            ("WARC-Identified-Payload-Type", page.media_type),
            pack=pack, extra_length=extra_length,
        )  # fmt: skip
        fields = f"fetchTimeMs: {80 + len(page.body) % 700}\r\nlanguages: {page.language}\r\n".encode()
        self.write_record("metadata", page.url, fields, _FIELDS, ("WARC-Concurrent-To", response_id))


def http_block(page: SamplePage) -> bytes:
    """Make the HTTP message of a page's answer."""
    head = f"HTTP/1.1 {page.status}\r\nServer: nginx\r\nContent-Type: {page.content_type}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in page.headers)
    if not any(name == "Transfer-Encoding" for name, _ in page.headers):
        head += f"Content-Length: {len(page.body)}\r\n"
    if not page.headers:
        head += "X-Crawler-Content-Encoding: gzip\r\n"
    return head.encode() + b"\r\n" + page.body


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


# Records that contain no page


def dns_answer(writer: ArchiveWriter) -> SamplePage:
    """Write a response without an HTTP message, and the other types of records that occur in crawls."""
    url = "dns:www.valley-courier.example"
    answer = b"20240518060000\nwww.valley-courier.example. 3600 IN A 203.0.113.9\n"
    writer.write_record("response", url, answer, "text/dns")
    writer.write_record("resource", f"{_SITE}/robots.txt", b"User-agent: *\nDisallow: /private/\n", "text/plain")
    again = b"HTTP/1.1 304 Not Modified\r\nServer: nginx\r\n\r\n"
    profile = ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest")
    writer.write_record("revisit", f"{_SITE}/", again, _RESPONSE, profile)
    return SamplePage(url, "skipped", notes=("record:dns",), body=answer)


def stored_archive(writer: ArchiveWriter) -> SamplePage:
    """Write a download that is an archive itself. Its gzip members appear in this file unchanged."""
    inner = io.BytesIO()
    page = article_page(Random(f"{writer.seed}/inner"))
    ArchiveWriter(inner, writer.seed + 1).write_record("response", page.url, http_block(page), _RESPONSE)
    outer = SamplePage(
        "https://archive.example.org/files/other.warc.gz",
        "extract.media_type",
        notes=("media:application/gzip",),
        body=inner.getvalue() * 2,
        content_type="application/octet-stream",
        media_type="application/gzip",
    )
    writer.write_page(outer, partial(member, level=0))
    return outer


# Damage


def damaged_page(writer: ArchiveWriter, name: str, pack: Pack = member, extra_length: int = 0) -> SamplePage:
    """Write a page whose response is packed badly or declares a wrong length."""
    page = _victim(writer, name)
    writer.write_page(page, pack, extra_length)
    return page if pack is member else replace(page, intent="damaged")


def junk(writer: ArchiveWriter) -> SamplePage:
    """Write bytes outside of any gzip member, and a member without content."""
    noise = bytes(byte for byte in Random(f"{writer.seed}/junk").randbytes(3000) if byte != 0x1F)
    writer.file.write(noise + gzip.compress(b"", mtime=0))
    return SamplePage("", "damaged", notes=("damage:junk",), body=noise)


def truncated(writer: ArchiveWriter) -> SamplePage:
    """Write the last response. The file ends in the middle of it."""
    page = replace(_victim(writer, "truncated"), intent="damaged")
    writer.write_record(
        "response", page.url, http_block(page), _RESPONSE, pack=lambda data: member(data)[: len(member(data)) * 2 // 3]
    )
    return page


def _victim(writer: ArchiveWriter, name: str) -> SamplePage:
    return article_page(Random(f"{writer.seed}/{name}"), notes=(f"damage:{name}",))


def _flip_bit(data: bytes) -> bytes:
    """Change one bit of the gzip member: the first bit after the middle whose change stops inflating."""
    packed = bytearray(member(data))
    for at in range(len(packed) // 2, len(packed) - 8):
        packed[at] ^= 0x10
        try:
            zlib.decompressobj(-15).decompress(bytes(packed[10:-8]))
        except zlib.error:
            return bytes(packed)
        packed[at] ^= 0x10
    raise AssertionError("no bit of this member matters")


ODDITIES: tuple[Callable[[ArchiveWriter], SamplePage], ...] = (
    dns_answer,
    partial(damaged_page, name="flipped_bit", pack=_flip_bit),
    stored_archive,
    partial(damaged_page, name="wrong_checksum", pack=lambda data: member(data)[:-8] + b"\0\1\2\3" + member(data)[-4:]),
    partial(damaged_page, name="length_too_long", extra_length=300),
    junk,
    partial(damaged_page, name="length_too_short", extra_length=-150),  # cuts off the page's footer
)
"""Oddities that are written between the pages. `truncated` comes last."""
