"""The WARC file of the sample crawl: records laid out as Common Crawl does, one gzip member each, and damage.

Nothing depends on the time or place of writing: dates count up from a fixed one, ids and digests come from content.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import BinaryIO

from jobs.sample.page import Page, article_page

_START = datetime(2024, 5, 18, 6, 0, tzinfo=UTC)
_AGENT = "sample-crawler/1.0 (+https://crawler.example/about)"
_FIELDS = "application/warc-fields"
_REQUEST = "application/http; msgtype=request"
_RESPONSE = "application/http; msgtype=response"


class Archive:
    """Writes records to a file, each with its own date and id."""

    def __init__(self, file: BinaryIO, seed: int) -> None:
        self.file = file
        self.seed = seed
        self.records: Counter[str] = Counter()
        self._count = 0
        self._info = ""

    def record(
        self, kind: str, url: str, block: bytes, content_type: str, *headers: tuple[str, str], extra_length: int = 0
    ) -> tuple[bytes, str]:
        """The bytes of one record, and its id. `extra_length` makes its Content-Length wrong."""
        self._count += 1
        self.records[kind] += 1
        record_id = f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sample/{self.seed}/{self._count}')}>"
        date = _START + timedelta(seconds=2 * self._count)
        fields = [("WARC-Type", kind), ("WARC-Date", f"{date:%Y-%m-%dT%H:%M:%SZ}"), ("WARC-Record-ID", record_id)]
        if url:
            fields.append(("WARC-Target-URI", url))
        if self._info:
            fields.append(("WARC-Warcinfo-ID", self._info))
        fields += headers
        fields += [("WARC-Block-Digest", _digest(block)), ("Content-Type", content_type)]
        fields.append(("Content-Length", str(len(block) + extra_length)))
        head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        return head.encode() + b"\r\n" + block + b"\r\n\r\n", record_id

    def write(self, data: bytes, level: int = 6) -> None:
        """One gzip member with this content."""
        self.file.write(member(data, level))

    def write_info(self) -> None:
        """The record that a file begins with."""
        block = f"software: sample crawl\r\nformat: WARC File Format 1.1\r\nseed: {self.seed}\r\n"
        data, self._info = self.record("warcinfo", "", block.encode(), _FIELDS, ("WARC-Filename", "sample.warc.gz"))
        self.write(data)

    def write_page(self, page: Page, pack: Callable[[bytes], bytes] | None = None, extra_length: int = 0) -> None:
        """Request, response and metadata of one page. `pack` makes the response's gzip member from its content."""
        path = "/" + page.url.partition("://")[2].partition("/")[2]
        host = page.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {_AGENT}\r\nAccept: text/html\r\n\r\n"
        address = ("WARC-IP-Address", f"203.0.113.{1 + zlib.crc32(host.encode()) % 250}")
        data, request_id = self.record("request", page.url, request.encode(), _REQUEST, address)
        self.write(data)
        data, response_id = self.record(
            "response", page.url, http_block(page), _RESPONSE, address,
            ("WARC-Concurrent-To", request_id),
            ("WARC-Payload-Digest", _digest(page.body)),
            ("WARC-Identified-Payload-Type", page.media_type),
            extra_length=extra_length,
        )  # fmt: skip
        self.file.write(pack(data) if pack else member(data))
        fields = f"fetchTimeMs: {80 + len(page.body) % 700}\r\nlanguages: {page.language}\r\n"
        data, _ = self.record("metadata", page.url, fields.encode(), _FIELDS, ("WARC-Concurrent-To", response_id))
        self.write(data)


def member(data: bytes, level: int = 6) -> bytes:
    """A gzip member without a time."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, 31)
    return squeeze.compress(data) + squeeze.flush()


def http_block(page: Page) -> bytes:
    """The HTTP message of a page's answer."""
    head = f"HTTP/1.1 {page.status}\r\nServer: nginx\r\nContent-Type: {page.content_type}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in page.headers)
    if not any(name == "Transfer-Encoding" for name, _ in page.headers):
        head += f"Content-Length: {len(page.body)}\r\n"
    if not page.headers:
        head += "X-Crawler-Content-Encoding: gzip\r\n"
    return head.encode() + b"\r\n" + page.body


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


# What is no page


def dns_answer(archive: Archive) -> Page:
    """A response that is no HTTP message, and other types of record that crawls hold."""
    url = "dns:www.valley-courier.example"
    answer = b"20240518060000\nwww.valley-courier.example. 3600 IN A 203.0.113.9\n"
    archive.write(archive.record("response", url, answer, "text/dns")[0])
    robots = b"User-agent: *\nDisallow: /private/\n"
    archive.write(archive.record("resource", "https://www.valley-courier.example/robots.txt", robots, "text/plain")[0])
    again = b"HTTP/1.1 304 Not Modified\r\nServer: nginx\r\n\r\n"
    profile = ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest")
    archive.write(archive.record("revisit", "https://www.valley-courier.example/", again, _RESPONSE, profile)[0])
    return Page(url, "skipped", answer, notes=("record:dns",))


def stored_archive(archive: Archive) -> Page:
    """A download that is a WARC file itself, stored so that its gzip members stand in this file byte by byte."""
    inner = Archive(archive.file, archive.seed + 1)
    page = article_page(Random(f"{archive.seed}/inner"))
    data, _ = inner.record("response", page.url, http_block(page), _RESPONSE)
    body = member(data) * 2
    outer = Page(
        "https://archive.example.org/files/other.warc.gz",
        "extract.media_type",
        body,
        notes=("media:application/gzip",),
        content_type="application/octet-stream",
        media_type="application/gzip",
    )
    archive.write_page(outer, pack=lambda data: member(data, level=0))
    return outer


# Damage


def flipped_bit(archive: Archive) -> Page:
    """A response that can be inflated up to its middle."""
    return _damaged_page(archive, "flipped_bit", _flip)


def wrong_checksum(archive: Archive) -> Page:
    """A response whose bytes are all right, and the checksum behind them is not."""
    return _damaged_page(archive, "wrong_checksum", lambda data: member(data)[:-8] + b"\0\1\2\3" + member(data)[-4:])


def too_long(archive: Archive) -> Page:
    """A response that declares more bytes than its gzip member holds."""
    return _damaged_page(archive, "length_too_long", extra_length=300)


def too_short(archive: Archive) -> Page:
    """A response that declares less bytes than there are; what is cut off is the page's footer."""
    return _damaged_page(archive, "length_too_short", extra_length=-150)


def junk(archive: Archive) -> Page:
    """Bytes between two gzip members that belong to nothing, and a member without content."""
    noise = bytes(byte for byte in Random(f"{archive.seed}/junk").randbytes(3000) if byte != 0x1F)
    archive.file.write(noise)
    archive.file.write(gzip.compress(b"", mtime=0))
    return Page("", "damaged", noise, notes=("damage:junk",))


def truncated(archive: Archive) -> Page:
    """The last response, which the file ends within."""
    page = replace(_victim(archive, "truncated"), intent="damaged")
    data, _ = archive.record("response", page.url, http_block(page), _RESPONSE)
    packed = member(data)
    archive.file.write(packed[: len(packed) * 2 // 3])
    return page


def _damaged_page(
    archive: Archive, name: str, pack: Callable[[bytes], bytes] | None = None, extra_length: int = 0
) -> Page:
    page = _victim(archive, name)
    archive.write_page(page, pack, extra_length)
    return replace(page, intent="damaged") if pack else page


def _victim(archive: Archive, name: str) -> Page:
    return replace(article_page(Random(f"{archive.seed}/{name}")), notes=(f"damage:{name}",))


def _flip(data: bytes) -> bytes:
    """The gzip member with one bit changed, at the first place after the middle where that stops inflating."""
    packed = bytearray(member(data))
    for at in range(len(packed) // 2, len(packed) - 8):
        packed[at] ^= 0x10
        try:
            zlib.decompressobj(-15).decompress(bytes(packed[10:-8]))
        except zlib.error:
            return bytes(packed)
        packed[at] ^= 0x10
    raise AssertionError("no bit of this member matters")


ODDITIES: tuple[Callable[[Archive], Page], ...] = (
    dns_answer, flipped_bit, stored_archive, wrong_checksum, too_long, junk, too_short,
)  # fmt: skip
"""What is written between the pages; `truncated` comes last."""
