"""The decompressed bytes of a file that is read as one stream: plain, gzip or zstd.

A stream is an iterator of bytes in pieces of at most 1 MiB. A `LostBytes` shows where bytes are missing, and a
`BadChecksum` where a checksum failed. A position in the stream is a number of decompressed bytes. Each lost byte of the
file counts as one byte, so that the bytes after it have positions of their own.
"""

from __future__ import annotations

from corpus.errors import InputError
from corpus.warc.inflate import Member
from corpus.warc.source import BLOCK_BYTES, Window
from corpus.warc.starts import MemberStarts
from corpus.warc.stream_buffer import BadChecksum, Chunks, LostBytes
from corpus.warc.zstdframes import zstd_chunks


def open_stream(window: Window, codec: str, start: int = 0) -> Chunks:
    """Return the stream from position `start`. All bytes before it are decompressed and dropped."""
    if codec == "plain":
        return _plain(window, start)
    if codec == "gzip":
        return _skip(_gzip(window), start)
    if codec == "zstd":
        return _skip(zstd_chunks(window), start)
    raise InputError(f"{window.source.name} can't be read as {codec!r}.", "Known codecs: plain, gzip, zstd.")


def _plain(window: Window, start: int) -> Chunks:
    # the file ends early if it was shortened after it was opened
    while start < window.size and (piece := window.piece(start, BLOCK_BYTES)):
        yield bytes(piece)
        start += len(piece)


def _skip(chunks: Chunks, start: int) -> Chunks:
    """Drop everything before position `start`, including reports of lost bytes and bad checksums."""
    at = 0
    for chunk in chunks:
        size = len(chunk) if isinstance(chunk, bytes) else chunk.count if isinstance(chunk, LostBytes) else 0
        if at + size > start:
            yield chunk[max(0, start - at) :] if isinstance(chunk, bytes) else chunk
        at += size


def _gzip(window: Window) -> Chunks:
    starts = MemberStarts(window, any_content=True)
    at = 0
    while at < window.size:
        member = Member(window, at)
        yield from member
        if member.state == "checksum":
            yield BadChecksum()
        # a member with a wrong checksum may have a wrong end, in the middle of another member or behind it
        swallowed = member.state == "checksum" and starts.next(at + 1, end=member.end) < member.end
        if member.state in ("ok", "checksum") and not swallowed:
            at = member.end
            continue
        resumed = starts.next(at + 1)
        kind = "truncated" if member.state == "truncated" and resumed == window.size else "gzip"
        detail = f"{member.detail or _DETAIL[member.state]}, gzip member at byte {at} of the file"
        yield LostBytes(kind, detail, max(1, resumed - member.end))
        at = resumed


_DETAIL = {"truncated": "cut short", "none": "no gzip header"}
