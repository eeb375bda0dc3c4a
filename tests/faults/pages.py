"""Hostile pages, made in code. Each kind has hung, crashed or emptied some parser or filter."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import brotli
import zstandard

from tests.warcs import WORDS, http

GOOD = f"<p>{WORDS}</p>".encode()
OTHER = (
    b"<p>The ferry leaves at six, and whoever comes late has to wait for the next one in the cafe by the pier. It has "
    b"been run by two sisters since their father retired, and there is always soup. They know when the boats are full "
    b"before the captain does, because the tables empty all at once and the kettle has to be filled again.</p>"
)
BOMB_BYTES = 256 << 20
MIB = 1 << 20


class Hostile(NamedTuple):
    """A kind of page: its HTTP message, and its possible outcomes: "stage.rule", "failed" or "kept"."""

    block: Callable[[], bytes]
    ends: tuple[str, ...]


def around(inside: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return http(b"<html><head><title>A town</title>" + before + b"</head><body>" + GOOD + inside + OTHER + after)


def nested(depth: int, tag: bytes = b"div") -> bytes:
    return around((b"<%s>" % tag) * depth + GOOD + (b"</%s>" % tag) * depth)


def attributes(count: int) -> bytes:
    return around(b"<div " + b" ".join(b"a%d=1" % i for i in range(count)) + b">text</div>")


def rows(count: int) -> bytes:
    return around(b"<table>" + b"".join(b"<tr><td>%d</td></tr>" % i for i in range(count)) + b"</table>")


def paragraphs(count: int) -> bytes:
    return around(b"".join(b"<p>word %d</p>" % i for i in range(count)))


def flood(atom: bytes, size: int) -> bytes:
    """Repeat an atom in paragraphs of English, so that the page also passes the stages after the language rule."""
    words = WORDS.encode().split(b". ")
    piece = 700
    lines = (b"<p>%s. %s</p>" % (words[i % len(words)], atom * (piece // len(atom))) for i in range(size // piece // 2))
    return around(b"".join(lines) + b"<p>" + atom * (size // 2 // len(atom)) + b"</p>")


def in_tag(atom: bytes, size: int) -> bytes:
    return around(b"<div " + atom * (size // len(atom)) + b">text</div>")


def in_header(atom: bytes, size: int = 60_000) -> bytes:
    value = (atom * (size // len(atom))).decode("latin-1")
    return http(b"<html><body>" + GOOD, content_type=f"text/html; charset={value};")


def encoded(encoding: str, body: bytes) -> bytes:
    return http(body, extra=f"Content-Encoding: {encoding}\r\n")


@cache
def bomb(encoding: str) -> bytes:
    """256 MiB of spaces, compressed to some kilobytes, piece by piece."""
    piece = b" " * MIB
    start = b"<html><body>" + GOOD
    if encoding == "br":
        packer = brotli.Compressor(quality=1)
        return (
            packer.process(start) + b"".join(packer.process(piece) for _ in range(BOMB_BYTES // MIB)) + packer.finish()
        )
    other = zlib.compressobj(9, wbits=31) if encoding == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    return other.compress(start) + b"".join(other.compress(piece) for _ in range(BOMB_BYTES // MIB)) + other.flush()


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (ord("b") + i, b"&%c;" % (ord("a") + i) * 10) for i in range(12)
) + b"]><html><body>&m;" + GOOD  # fmt: skip
OUTSIDE = (
    b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY % y SYSTEM "http://127.0.0.1:9/d">%y;]>'
    b"<html><body>&x;" + GOOD
)

ANY = ("kept", "dropped", "failed")

KINDS: dict[str, Hostile] = {
    "nested 250 deep": Hostile(lambda: nested(250), ANY),
    "nested 2,000 deep": Hostile(lambda: nested(2_000), ("extract.depth",)),
    "nested 200,000 deep": Hostile(lambda: nested(200_000), ("extract.tags",)),
    "nested 50,000 tables, below the cap on tags": Hostile(
        lambda: around(b"<table><tr><td>" * 19_000), ("extract.depth",)
    ),
    "nested 20,000 inline": Hostile(lambda: nested(20_000, b"b"), ("extract.depth",)),
    "40,000 attributes": Hostile(lambda: attributes(40_000), ("extract.attributes",)),
    "5,000 attributes, at the cap": Hostile(lambda: attributes(5_000), ANY),
    "320,000 table rows": Hostile(lambda: rows(320_000), ("extract.tags",)),
    "14,900 table rows, at the cap": Hostile(lambda: rows(14_900), ANY),
    "50,000 tiny paragraphs": Hostile(lambda: paragraphs(50_000), ("extract.tags",)),
    "29,900 tiny paragraphs, at the cap": Hostile(lambda: paragraphs(29_900), ANY),
    "20,000 links": Hostile(lambda: around(b"<a href=x>y</a> " * 20_000), ANY),
    "misnested formatting": Hostile(lambda: around(b"<b i>" * 4_000 + b"<i></b>" * 4_000), ANY),
    "60,000 open formatting tags": Hostile(lambda: around(b"<b><i>" * 29_000), ("extract.depth",)),
    "gzip bomb": Hostile(lambda: encoded("gzip", bomb("gzip")), ("extract.body_bytes",)),
    "brotli bomb": Hostile(lambda: encoded("br", bomb("br")), ("extract.body_bytes",)),
    "zstd bomb": Hostile(lambda: encoded("zstd", bomb("zstd")), ("extract.body_bytes",)),
    "bomb in a bomb": Hostile(lambda: encoded("gzip, gzip", gzip.compress(bomb("gzip"))), ("extract.body_bytes",)),
    "gzip members, 1,000 and junk": Hostile(
        lambda: encoded("gzip", gzip.compress(b"<html>") * 1_000 + b"\x1f\x8b\x08" + bytes(8 * MIB)), ANY
    ),
    "entities that laugh": Hostile(lambda: http(LAUGHS), ANY),
    "entities from outside": Hostile(lambda: http(OUTSIDE), ANY),
    "entities, cut short": Hostile(lambda: flood(b"&#x41&lt&amp", MIB), ANY),
    "e-mail addresses that nearly are": Hostile(lambda: flood(b"a-", MIB) + b"@", ANY),
    "e-mail addresses, 50,000": Hostile(lambda: flood(b"a.b@c-d.example.com ", MIB), ANY),
    "digits that nearly are phone numbers": Hostile(lambda: flood(b"1-800-555-", MIB), ANY),
    "phone numbers, 60,000": Hostile(lambda: flood(b"+1 202-555-0142, ", MIB), ANY),
    "card numbers, 50,000": Hostile(lambda: flood(b"4111 1111 1111 1111 ", MIB), ANY),
    "addresses, half a million": Hostile(lambda: flood(b"::1 ", 2 * MIB), ANY),
    "brackets, a million": Hostile(lambda: flood(b"(", MIB), ANY),
    "one word of 3 MB": Hostile(lambda: flood(b"word", 3 * MIB), ANY),
    "two million words": Hostile(lambda: flood(b"1 ", 4 * MIB), ANY),
    "a million lines": Hostile(lambda: around(b"<pre>" + b"a line\n" * (MIB // 2) + b"</pre>"), ANY),
    "blanks in a tag, 4 MB": Hostile(lambda: in_tag(b" ", 4 * MIB), ANY),
    "slashes in a tag, 4 MB": Hostile(lambda: in_tag(b"/", 4 * MIB) + b"=", ANY),
    "quotes in a tag, 1 MB": Hostile(lambda: in_tag(b'a="', MIB), ANY),
    "blanks in the charset header": Hostile(lambda: in_header(b" "), ANY),
    "open tags, no end": Hostile(lambda: around(b"<div " * 50_000), ANY),
    "open comments": Hostile(lambda: around(b"<!--" * 50_000), ANY),
    "scripts, 20,000": Hostile(lambda: around(b"<script>x</script>" * 20_000), ANY),
    "an unclosed script of 4 MB": Hostile(lambda: around(b"<script>" + b"<div>" * (4 * MIB // 5)), ANY),
    "NULs, 4 MB": Hostile(lambda: around(bytes(4 * MIB)), ANY),
    "interim answers, 1 MB": Hostile(lambda: b"HTTP/1.1 100 Continue\r\n\r\n" * (MIB // 25) + http(GOOD), ANY),
    "folded headers, 4 MB": Hostile(lambda: b"HTTP/1.1 200 OK\r\na: b\r\n" + b" c\r\n" * MIB, ANY),
    "chunks of one byte": Hostile(
        lambda: http(b"1\r\nx\r\n" * 200_000, extra="Transfer-Encoding: chunked\r\n"), ANY
    ),
    "5 MB of JSON-LD": Hostile(
        lambda: around(b"", b'<script type="application/ld+json">' + b'{"a":[' * 800_000 + b"</script>"), ANY
    ),
    "100 MB of text": Hostile(lambda: around(b"<p>word</p> " * (100 * MIB // 12)), ("extract.body_bytes",)),
    "100 MB without a tag": Hostile(lambda: http(b"word " * (20 * MIB)), ("extract.body_bytes",)),
}  # fmt: skip
