"""The HTTP message inside a response record: its status, its headers, and the body that a browser would see.

    message = parse_http(record.block)
    body, note = decode_body(message, max_bytes=20 << 20)

Crawlers write what servers sent, and servers send anything. Nothing here raises on any bytes, and no compressed
body can take more memory than `max_bytes`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import brotli
import zstandard

MAX_HEADER_BYTES = 64 << 10
"""Where the search for the end of the headers stops."""

MAX_CHUNKS = 100_000
"""Chunks of one body. Servers send kilobytes in each; one byte in each would cost seconds."""

_MAX_LAYERS = 4
_MAX_MEMBERS = 1_000
_PIECE = 1 << 18
"""Bytes decoded at a time."""

_STATUS = re.compile(
    rb"\s*+(?:HTTP/\d{1,3}+(?:\.\d{1,3}+)?|ICY)(?:[ \t]++(\d{1,3})(?!\d))?[^\r\n]*+(?:\r?\n|\Z)", re.IGNORECASE
)
_ZEROS = re.compile(rb"\0*+")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")


@dataclass(slots=True)
class HttpMessage:
    """`status` is None where there is none (HTTP/0.9). Header names are lower-case; the values of a
    repeated header are joined by a comma, but the last Content-Type wins. `body` is as transferred."""

    status: int | None
    headers: dict[str, str]
    body: bytes = field(repr=False)


def parse_http(block: bytes) -> HttpMessage:
    """The message in a WARC block: HTTP/0.9 to 2 and ICY, with bare newlines, junk headers or no blank line."""
    start = 0
    while True:
        status = _STATUS.match(block, start, start + MAX_HEADER_BYTES)
        if status is None:
            return HttpMessage(None, {}, block[start:])
        headers, start = _headers(block, status.end())
        # an interim answer (100 Continue, 103 Early Hints) comes before the real one
        code = int(status[1]) if status[1] else None
        if code is None or not 100 <= code < 200 or not _STATUS.match(block, start, start + MAX_HEADER_BYTES):
            return HttpMessage(code, headers, block[start:])


def _headers(block: bytes, at: int) -> tuple[dict[str, str], int]:
    """The headers from `at` on, and where the body starts."""
    headers: dict[str, str] = {}
    stop = min(at + MAX_HEADER_BYTES, len(block))
    name = ""
    while at < stop:
        end = block.find(b"\n", at, stop)
        after = end + 1 if end >= 0 else stop
        line = block[at:after].rstrip()
        if not line:
            return headers, after
        if line.lstrip()[:1] == b"<":
            return headers, at  # the blank line is missing: no header name holds a "<"
        at = after
        text = line.decode("latin-1")
        if text[0] in " \t":
            if name:
                headers[name] += " " + text.strip()
            continue
        key, colon, value = text.partition(":")
        key, value = key.strip().lower(), value.strip()
        name = key if colon else ""
        if not colon or not key:
            continue
        if key in headers and key != "content-type":
            value = f"{headers[key]}, {value}"
        headers[key] = value or headers.get(key, "")
    return headers, at


def decode_body(message: HttpMessage, max_bytes: int) -> tuple[bytes, str]:
    """The body without transfer and content encodings, at most `max_bytes` of it, and a note on what was wrong.

    The note is "" or one of: too_large (cut at `max_bytes`), truncated (the encoded data ends early), corrupt (it
    could be decoded up to some point), mislabelled (a header names an encoding that the body does not have). What
    could be decoded is returned. Common Crawl stores bodies decoded, with the original headers renamed to
    X-Crawler-*; these count only where the first bytes prove that the body is still encoded.
    """
    body, notes = message.body, []
    transfer = _tokens(message.headers.get("transfer-encoding", ""))
    if "chunked" in transfer:
        body, note = _dechunk(body, max_bytes)
        notes.append(note)
    layers = _tokens(message.headers.get("content-encoding", "")) + [t for t in transfer if t != "chunked"]
    if not layers:
        crawler = message.headers.get("x-crawler-content-encoding", "")
        layers = [t for t in _tokens(crawler) if body.startswith(_MAGIC.get(t, ()))]
    for layer in reversed(layers[:_MAX_LAYERS]):
        decoder = _DECODERS.get(layer)
        if decoder is None:
            continue  # identity, utf-8, none, and other things that servers put there
        body, note = _bounded(decoder, body, max_bytes)
        notes.append(note)
    if len(body) > max_bytes:
        body = body[:max_bytes]
        notes.append("too_large")
    return body, next((note for note in _NOTES if note in notes), "")


_NOTES = ("too_large", "corrupt", "truncated", "mislabelled")


def _tokens(header: str) -> list[str]:
    return [token.strip().lower() for token in header.split(",") if token.strip()]


def _dechunk(body: bytes, max_bytes: int) -> tuple[bytes, str]:
    """Chunked data joined. A body that does not begin as chunks is passed through."""
    out: list[bytes] = []
    at = size = 0
    for _ in range(MAX_CHUNKS):
        header = _CHUNK.match(body, at)
        if header is None:
            if not out:
                return body, "mislabelled" if body else ""
            return b"".join(out), "truncated" if len(body) - at < 10 else "corrupt"
        length = int(header[1], 16)
        if length == 0:
            return b"".join(out), ""
        at = header.end() + length
        line_end = b"\r\n" if body.startswith(b"\r\n", at) else b"\n"
        if not out and at < len(body) and not body.startswith(line_end, at):
            return body, "mislabelled"  # a text that happens to begin with a number
        out.append(body[header.end() : at])
        size += len(out[-1])
        if size > max_bytes:
            return b"".join(out)[:max_bytes], "too_large"
        if at > len(body):
            return b"".join(out), "truncated"
        at += len(line_end)
    return b"".join(out), "corrupt"


def _bounded(decoder: Callable[[bytes, int], Iterator[bytes]], data: bytes, max_bytes: int) -> tuple[bytes, str]:
    """`data` through `decoder`, which gives pieces of about `_PIECE` bytes and, where all is whole, an empty one."""
    out = bytearray()
    note = "truncated"
    try:
        for piece in decoder(data, _PIECE):
            if not piece:
                note = ""
                break
            out += piece
            if len(out) > max_bytes:
                return bytes(out[:max_bytes]), "too_large"
    except (zlib.error, brotli.error, zstandard.ZstdError):
        note = "corrupt"
    if note and not out:
        return data, "mislabelled" if data else ""
    return bytes(out), note


def _inflate(data: bytes, piece: int, wbits: int) -> Iterator[bytes]:
    """One zlib stream, or gzip members in a row, of which later ones may be junk."""
    at = 0
    for member in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(wbits)
        rest = b""
        while not inflater.eof:
            if not rest:  # in pieces, because zlib copies what it leaves: 1,000 members before 20 MB took 2 s
                rest = data[at : at + _PIECE]
                at += len(rest)
            try:
                got = inflater.decompress(rest, piece)
            except zlib.error:
                if not member:
                    raise
                yield b""  # junk after a whole member, as gzip(1) ignores it
                return
            rest = inflater.unconsumed_tail
            if got:
                yield got
            elif not inflater.eof and not rest and at == len(data):
                return  # the input is used up
        at = _ZEROS.match(data, at - len(inflater.unused_data)).end()  # type: ignore[union-attr]
        if wbits != 31 or not data.startswith(b"\x1f\x8b", at):
            break
    yield b""


def _gzip(data: bytes, piece: int) -> Iterator[bytes]:
    return _inflate(data, piece, 31)


def _deflate(data: bytes, piece: int) -> Iterator[bytes]:
    """zlib as the standard says, or raw deflate as some servers do."""
    if data.startswith(b"\x1f\x8b"):
        return _inflate(data, piece, 31)
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _inflate(data, piece, 15 if is_zlib else -15)


def _brotli(data: bytes, piece: int) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    got = decoder.process(data, output_buffer_limit=piece)
    while got:
        yield got  # up to twice `piece`: the limit keeps the buffer from growing, but not its last block
        # of a truncated stream it holds text back even where it says that it wants more input
        got = b"" if decoder.is_finished() else decoder.process(b"", output_buffer_limit=piece)
    if decoder.is_finished():
        yield b""


def _zstd(data: bytes, piece: int) -> Iterator[bytes]:
    """zstd frames in a row. The window is bounded as in browsers (RFC 9659: 8 MB)."""
    # this decoder knows when a frame is whole, but bounds no output: 64 bytes give 2 MiB at most (4 per 128 KiB block)
    step = 64
    at = 0
    for _ in range(_MAX_MEMBERS):
        frame = zstandard.ZstdDecompressor(max_window_size=8 << 20).decompressobj()
        while at < len(data) and not frame.eof:
            got = frame.decompress(data[at : at + step])
            at += step
            if got:
                yield got
        if not frame.eof:
            return
        at = min(at, len(data)) - len(frame.unused_data)
        if not data.startswith(_MAGIC["zstd"], at):
            break
    yield b""


_DECODERS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
_MAGIC: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b\x08",), "x-gzip": (b"\x1f\x8b\x08",), "zstd": (b"\x28\xb5\x2f\xfd",),
    "deflate": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
}  # fmt: skip
