"""The HTTP message in a response record: its status, its headers, and the body that a browser would see.

    message = parse_http(record.block)
    body, note = decode_body(message, max_bytes=20 << 20)

Servers send anything, and crawlers store it. No bytes raise an error here, and no compressed body can take more memory
than `max_bytes`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import brotli
import zstandard

MAX_HEADER_BYTES = 64 << 10
"""The search for the end of the headers stops here."""
MAX_CHUNKS = 100_000
"""The most chunks of one body. Servers send kilobytes in a chunk. A body with chunks of one byte would take seconds."""
_MAX_LAYERS = 4
_MAX_MEMBERS = 1_000
_PIECE = 1 << 18
"""The number of bytes decoded at a time."""

_STATUS = re.compile(
    rb"\s*+(?:HTTP/\d{1,3}+(?:\.\d{1,3}+)?|ICY)(?:[ \t]++(\d{1,3})(?!\d))?[^\r\n]*+(?:\r?\n|\Z)", re.IGNORECASE
)
_ZEROS = re.compile(rb"\0*+")
_MARKUP = re.compile(rb"<(?:[!?]|/?[A-Za-z][A-Za-z0-9-]*(?:\s|/?>(?!\s*[;,])|\Z))")
"""A tag or a comment, but not the `<URL>;` of a Link header."""
_CHUNK = re.compile(rb"\s{0,16}0{0,64}([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")
_SEPARATORS = {"x-robots-tag": "\n"}
_UNDELIVERED = {"content-type", "content-length", "transfer-encoding"}
"""The headers of answers with a body.

When a proxy opens a tunnel, its answer has none of these headers (RFC 9110, 9.3.6).
"""


@dataclass(slots=True)
class HttpMessage:
    """The status, headers and body of an HTTP message.

    `status` is None if it is missing, as in HTTP/0.9. Header names are lower-case. A comma joins the values of a
    repeated header. There are two exceptions: the last Content-Type wins, and each value of X-Robots-Tag has a line of
    its own, because a robot that one value names must not apply to the next value. `body` is as transferred.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes = field(repr=False)


def parse_http(block: bytes) -> HttpMessage:
    """Parse the message in a WARC block: HTTP/0.9 to 2 or ICY, with bare newlines, junk headers or no blank line."""
    start = 0
    while True:
        status = _STATUS.match(block, start, start + MAX_HEADER_BYTES)
        if status is None:
            return HttpMessage(None, {}, block[start:])
        headers, start = _headers(block, status.end())
        # An interim answer, such as 100 Continue or 103 Early Hints, precedes the real one. So does a proxy's 200
        # Connection established.
        code = int(status[1]) if status[1] else None
        interim = code is not None and (100 <= code < 200 or (code == 200 and not headers.keys() & _UNDELIVERED))
        following = _STATUS.match(block, start, start + MAX_HEADER_BYTES) if interim else None
        if following is None or (code == 200 and not following[1]):
            return HttpMessage(code, headers, block[start:])


def _headers(block: bytes, at: int) -> tuple[dict[str, str], int]:
    """Return the headers at `at`, and the position of the body."""
    headers: dict[str, str] = {}
    stop = min(at + MAX_HEADER_BYTES, len(block))
    name = ""
    while at < stop:
        end = block.find(b"\n", at, stop)
        after = end + 1 if end >= 0 else stop
        line = block[at:after].rstrip()
        if not line:
            return headers, after
        folded = name != "" and line[:1] in b" \t"
        start = line.lstrip()
        # No header name contains a "<", so the blank line is missing. The exception is a Link header that is folded
        # before the "<".
        if start[:1] == b"<" and (not folded or _MARKUP.match(start)):
            return headers, at
        at = after
        text = line.decode("latin-1")
        if text[0] in " \t":
            if name:
                headers[name] = f"{headers[name]} {text.strip()}".strip()
            continue
        key, colon, value = text.partition(":")
        name, value = key.strip().lower() if colon else "", value.strip()
        if name in headers and name != "content-type":
            value = f"{headers[name]}{_SEPARATORS.get(name, ', ')}{value}"
        if name:
            headers[name] = value or headers.get(name, "")
    return headers, at


def decode_body(message: HttpMessage, max_bytes: int) -> tuple[bytes, str]:
    """Remove transfer and content encodings. Return at most `max_bytes` of the body, and a note on problems.

    The note is "" or one of: too_large (cut at `max_bytes`), truncated (the encoded data ends early), corrupt (only the
    first part can be decoded), mislabelled (a header names an encoding that the body does not have). Common Crawl
    stores bodies decoded and renames the original headers to X-Crawler-*. These count only if the first bytes prove
    that the body is still encoded.
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
            continue  # identity, utf-8, none and other values that name no encoding
        body, note = _bounded(decoder, body, max_bytes)
        notes.append(note)
    if len(body) > max_bytes:
        body = body[:max_bytes]
        notes.append("too_large")
    return body, next((note for note in ("too_large", "corrupt", "truncated", "mislabelled") if note in notes), "")


def _tokens(header: str) -> list[str]:
    return [token.strip().lower() for token in header.split(",") if token.strip()]


def _dechunk(body: bytes, max_bytes: int) -> tuple[bytes, str]:
    """Join the chunks of a body. If the body does not begin with a chunk, return it unchanged."""
    out = bytearray()
    at = 0
    for _ in range(MAX_CHUNKS):
        header = _CHUNK.match(body, at)
        if header is None:
            if not out:
                return body, "mislabelled" if body else ""
            return bytes(out), "truncated" if len(body) - at < 10 else "corrupt"
        length = int(header[1], 16)
        if length == 0:
            return bytes(out), ""
        at = header.end() + length
        line_end = b"\r\n" if body.startswith(b"\r\n", at) else b"\n"
        if not out and at < len(body) and not body.startswith(line_end, at):
            return body, "mislabelled"  # the body is a text that happens to begin with a number
        out += body[header.end() : at]
        if len(out) > max_bytes:
            return bytes(out[:max_bytes]), "too_large"
        if at > len(body):
            return bytes(out), "truncated"
        at += len(line_end)
    return bytes(out), "corrupt"


def _bounded(decoder: Callable[[bytes], Iterator[bytes]], data: bytes, max_bytes: int) -> tuple[bytes, str]:
    """Decode `data`.

    The decoder yields pieces of about `_PIECE` bytes, and at the end of complete data an empty piece.
    """
    out = bytearray()
    note = "truncated"
    try:
        for piece in decoder(data):
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


def _inflate(data: bytes, wbits: int) -> Iterator[bytes]:
    """Inflate one zlib stream, or several gzip members in a row. Junk may follow the first member."""
    at = 0
    for member in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(wbits)
        rest = b""
        while not inflater.eof:
            # Feed a piece at a time, because zlib copies unused input: 1,000 members before 20 MB took 2 s.
            if not rest:
                rest = data[at : at + _PIECE]
                at += len(rest)
            try:
                got = inflater.decompress(rest, _PIECE)
            except zlib.error:
                if not member:
                    raise
                yield b""  # gzip(1) ignores junk after a member, too
                return
            rest = inflater.unconsumed_tail
            if got:
                yield got
            elif not inflater.eof and not rest and at == len(data):
                return  # no input is left
        at = _ZEROS.match(data, at - len(inflater.unused_data)).end()  # type: ignore[union-attr]
        if wbits != 31 or not data.startswith(b"\x1f\x8b", at):
            break
    yield b""


def _deflate(data: bytes) -> Iterator[bytes]:
    """Inflate zlib data, which the standard demands, or the raw deflate or gzip data that some servers send."""
    if data.startswith(b"\x1f\x8b"):
        return _inflate(data, 31)
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _inflate(data, 15 if is_zlib else -15)


def _brotli(data: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    got = decoder.process(data, output_buffer_limit=_PIECE)
    while got:
        yield got  # up to twice `_PIECE`: the limit applies to the growth of the buffer, not to its last block
        # In a truncated stream, the decoder holds text back even when it says that it needs more input.
        got = b"" if decoder.is_finished() else decoder.process(b"", output_buffer_limit=_PIECE)
    if decoder.is_finished():
        yield b""


def _zstd(data: bytes) -> Iterator[bytes]:
    """Decompress several zstd frames in a row. The window is limited as in browsers (RFC 9659: 8 MB)."""
    # This decoder reports the end of a frame but does not limit its output. So it gets 64 bytes at a time. These give
    # at most 2 MiB, because 4 bytes can hold a block of 128 KiB.
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


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": partial(_inflate, wbits=31), "x-gzip": partial(_inflate, wbits=31),
    "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
_MAGIC: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b\x08",), "x-gzip": (b"\x1f\x8b\x08",), "zstd": (b"\x28\xb5\x2f\xfd",),
    "deflate": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
}  # fmt: skip
