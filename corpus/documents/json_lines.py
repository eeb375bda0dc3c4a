"""Reader of JSON Lines: one JSON object a line, plain, gzip or zstd."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from corpus.documents.columns import Columns
from corpus.documents.row import MAX_TEXT, Row, make_row
from corpus.warc.plan import Range
from corpus.warc.record import Damage, Place
from corpus.warc.source import BLOCK_BYTES, Source, Window
from corpus.warc.stream_buffer import BadChecksum, Chunks, LostBytes
from corpus.warc.streams import open_stream

_BOM = b"\xef\xbb\xbf"
_LOOK_BYTES = 8 << 20
"""Bytes at the start of a file that are searched for names of columns: some thousand documents."""

_MOST_LOOK_BYTES = 1 << 30
"""The same, with lines that are too long."""

_LONG_LINE, _MOST_BRACKETS = 8 << 20, 1 << 22
"""A longer line with more brackets is a damage. A list takes 30 times the memory of its two brackets."""


class LineReader(Iterator[Row | Damage]):
    """An iterator over the rows and damage in a part of a file. Blank lines are nothing.

    Before each `next`, (`offset`, `inner`) is the place of the next row, or of blank lines before it. A reader can
    `resume` there. Only a plain file can be divided, where a line begins.
    """

    inner = 0

    def __init__(self, source: Source, codec: str, part: Range, columns: Columns, resume: Place | None = None) -> None:
        self.offset = resume[0] if resume else part.start
        self.end = part.end
        self._name, self._codec, self._columns = source.name, codec, columns
        window = Window(source)
        plain = codec == "plain"
        chunks = _plain(window, self.offset, part.end) if plain else _rest(open_stream(window, codec), self.offset)
        self._items = self._read(chunks)

    def __next__(self) -> Row | Damage:
        return next(self._items)

    def _read(self, chunks: Chunks) -> Iterator[Row | Damage]:
        line = _Line()
        for chunk in chunks:
            if isinstance(chunk, bytes):
                *ends, rest = chunk.split(b"\n")
                for end in ends:
                    line.add(end, 1)
                    yield from self._item(line)
                    line = _Line()
                line.add(rest)
            elif isinstance(chunk, LostBytes):
                line.lose(chunk)
                yield from self._item(line)
                line = _Line()  # a rest of a line is no object, so what is one begins a line
            else:
                line.note = "checksum"
        if line.size or line.note:
            yield from self._item(line)

    def _item(self, line: _Line) -> Iterator[Row | Damage]:
        at = self.offset
        self.offset += line.size
        if line.broken:
            yield Damage(self._name, at, line.size, *line.broken)
            return
        content = b"".join(line.pieces).removeprefix(_BOM if at == 0 else b"")
        if not content.strip():
            if line.note:
                yield Damage(self._name, at, line.size, self._codec, "the checksum of the file is wrong")
            return
        values = _parse(content)
        if isinstance(values, dict):
            item = make_row(self._name, (at, 0), line.size, values, self._columns)
            if isinstance(item, Row):
                item.note = line.note
            yield item
        else:
            yield Damage(self._name, at, line.size, *values)


class _Line:
    """A line as it is read, in pieces."""

    __slots__ = ("broken", "note", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.broken: tuple[str, str] | None = None
        """The kind of damage and its detail, if the line can't be read."""
        self.note = ""

    def add(self, piece: bytes, newline: int = 0) -> None:
        self.size += len(piece) + newline
        if self.size > MAX_TEXT and not self.broken:
            self.broken = "length", f"a line of more than {MAX_TEXT >> 20} MiB"
        if self.broken:
            self.pieces.clear()
        else:
            self.pieces.append(piece)

    def lose(self, lost: LostBytes) -> None:
        self.size += lost.count
        self.broken = self.broken or (lost.kind, lost.detail)
        self.pieces.clear()


def _parse(line: bytes) -> dict[str, Any] | tuple[str, str]:
    """Return the object of a line, or the kind of damage and its detail, which never quotes the line."""
    if len(line) > _LONG_LINE and line.count(b"[") + line.count(b"{") > _MOST_BRACKETS:
        return "json", "far more lists and objects than a document has"
    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError:
        # what Python's own parser reads is read too, such as NaN and lone surrogates
        try:
            values = json.loads(line.decode())
        except UnicodeDecodeError as error:
            return "utf-8", f"not UTF-8 at byte {error.start}"
        except json.JSONDecodeError as error:
            return "json", f"no JSON from character {error.pos}"
        except (ValueError, RecursionError) as error:
            return "json", type(error).__name__
    if not isinstance(values, dict):
        return "json", f"of type {type(values).__name__}, not an object"
    return values


def _plain(window: Window, at: int, end: int) -> Chunks:
    while at < end and (piece := window.piece(at, min(BLOCK_BYTES, end - at))):
        yield bytes(piece)
        at += len(piece)


def _rest(chunks: Chunks, start: int) -> Chunks:
    """Yield a stream from the line at `start`. A checksum that failed right before it is a note of this line."""
    at = 0
    for chunk in chunks:
        size = len(chunk) if isinstance(chunk, bytes) else chunk.count if isinstance(chunk, LostBytes) else 0
        if at + size > start or (isinstance(chunk, BadChecksum) and at == start):
            yield chunk[max(0, start - at) :] if isinstance(chunk, bytes) else chunk
        at += size


def names_in(lines: Iterable[bytes]) -> list[str]:
    """Return the names in the objects of some lines, with those of fields inside them (`metadata.url`)."""
    found: dict[str, None] = {}
    for line in lines:
        values = _parse(line)
        for name, value in values.items() if isinstance(values, dict) else ():
            found[name] = None
            if isinstance(value, dict):
                found |= dict.fromkeys(f"{name}.{inner}" for inner in value)
    return list(found)


def head_lines(source: Source, codec: str) -> list[bytes]:
    """Return the whole lines at the start of a file, up to the first bytes that can't be read. Lines that are too long
    are left out."""
    data, passed, too_long = bytearray(), 0, False
    for chunk in open_stream(Window(source), codec):
        if not isinstance(chunk, bytes) or passed > _MOST_LOOK_BYTES:
            break
        passed += len(chunk)
        if too_long and b"\n" in chunk:
            too_long, chunk = False, chunk.partition(b"\n")[2]
        data += b"" if too_long else chunk
        if len(data) >= _LOOK_BYTES and b"\n" in data:
            del data[data.rfind(b"\n") + 1 :]
            break
        if len(data) > MAX_TEXT:
            data.clear()
            too_long = True
    return bytes(data).removeprefix(_BOM).split(b"\n")
