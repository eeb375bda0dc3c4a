"""The decompressed bytes of a whole file, for every container that is read as one stream: plain, gzip, zstd.

Each is an iterator of bytes in pieces of at most 1 MiB, with a `Break` where bytes are missing and a `Doubt` where a
checksum failed. Positions in the stream count the bytes that came out; a Break takes as many positions as the bytes of
the file that it lost, so that what follows it has a position of its own.
"""

from __future__ import annotations

from corpus.errors import InputError
from corpus.warc.feed import Break, Chunks, Doubt
from corpus.warc.inflate import Inflation
from corpus.warc.source import BLOCK_BYTES, Window
from corpus.warc.starts import Starts
from corpus.warc.zstdframes import zstd_chunks


def open_stream(window: Window, codec: str, start: int = 0) -> Chunks:
    """Return the stream from position `start` on; what lies before it is decompressed and dropped."""
    if codec == "plain":
        return _plain(window, start)
    if codec == "gzip":
        return _skip(_gzip(window), start)
    if codec == "zstd":
        return _skip(zstd_chunks(window), start)
    raise InputError(f"{window.source.name} can't be read as {codec!r}.", "Known codecs: plain, gzip, zstd.")


def _plain(window: Window, start: int) -> Chunks:
    while start < window.size:
        piece = window.piece(start, BLOCK_BYTES)
        if not piece:
            return  # the file has become shorter since it was opened
        yield bytes(piece)
        start += len(piece)


def _skip(chunks: Chunks, start: int) -> Chunks:
    """Drop what lies before position `start`, with all that was wrong there."""
    at = 0
    for chunk in chunks:
        if isinstance(chunk, bytes):
            if at + len(chunk) > start:
                yield chunk[max(0, start - at) :]
            at += len(chunk)
        elif isinstance(chunk, Break):
            if at + chunk.lost > start:
                yield chunk
            at += chunk.lost
        elif at > start:
            yield chunk


def _gzip(window: Window) -> Chunks:
    starts = Starts(window, any_content=True)
    at = 0
    while at < window.size:
        inflation = Inflation(window, at)
        yield from inflation
        if inflation.state == "checksum":
            yield Doubt()
        if inflation.state in ("ok", "checksum"):
            at = inflation.end
            continue
        resumed = starts.next(at + 1)
        cut = inflation.state == "truncated" and resumed == window.size
        detail = f"{inflation.detail or _DETAIL[inflation.state]}, gzip member at byte {at} of the file"
        yield Break("truncated" if cut else "gzip", detail, max(1, resumed - inflation.end))
        at = resumed


_DETAIL = {"truncated": "cut short", "none": "no gzip header"}
