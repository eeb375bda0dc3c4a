"""How supervisor and page worker talk: length-prefixed frames over pipes, and a shared board for announcements.

A frame is one kind byte, eight bytes of length, and the payload: JSON, or an Arrow IPC stream. Nothing is pickled.
The board is a small shared mapping that outlives the worker: it says which record it was at, since when.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus.sandbox.unit import Batch
from corpus.warc.record import Place

_HEAD = struct.Struct("<cQ")
JOB, TABLE, BATCH, ERROR = b"J", b"T", b"B", b"E"


def frame_head(kind: bytes, payload: bytes | memoryview) -> bytes:
    """What goes before the payload of a frame."""
    return _HEAD.pack(kind, len(payload))


def write_frame(fd: int, kind: bytes, payload: bytes | memoryview) -> None:
    """Write one whole frame; raises BrokenPipeError when the other side is gone."""
    for part in (frame_head(kind, payload), payload):
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]


class FrameReader:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            frames.append((kind, bytes(self._buffer[_HEAD.size : end])))
            del self._buffer[:end]
        return frames


def send_batch(fd: int, batch: Batch) -> None:
    """A batch: a frame per table, then one that names them; the receiver takes it when that is there."""
    for table in batch.tables.values():
        write_frame(fd, TABLE, _ipc(table))
    about = {
        "tables": list(batch.tables),
        "counts": batch.counts,
        "others": batch.other_records,
        "next": batch.next,
        "exceptions": batch.exceptions,
        "done": batch.done,
        "seconds": batch.seconds,
    }
    write_frame(fd, BATCH, json.dumps(about).encode())


class BatchReader:
    """Puts the frames of a worker together to batches."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def take(self, kind: bytes, payload: bytes) -> Batch | None:
        if kind != BATCH:
            self._tables.append(pa.ipc.open_stream(payload).read_all())
            return None
        about: dict[str, Any] = json.loads(payload)
        offset, inner = about["next"]
        tables, self._tables = dict(zip(about["tables"], self._tables, strict=True)), []
        return Batch(
            tables,
            about["counts"],
            about["others"],
            (offset, inner),
            about["exceptions"],
            about["done"],
            about["seconds"],
        )


def _ipc(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


@dataclass(frozen=True)
class Notice:
    """Where a worker is: at `place`, since `wall` on the monotonic clock, its CPU clock then at `cpu` seconds."""

    place: Place
    wall: float
    cpu: float


class Board:
    """The shared mapping that a worker writes its place to. A sequence number, odd while writing, guards readers."""

    _FORM = struct.Struct("<QQQdd")

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, mmap.PAGESIZE)
        self._turn = 0
        self._last: tuple[Place, float] | None = None

    @staticmethod
    def create(fd: int) -> Board:
        os.ftruncate(fd, mmap.PAGESIZE)
        return Board(fd)

    def announce(self, place: Place) -> None:
        self._last = (place, time.process_time())
        self._write()

    def waiting(self) -> None:
        """Say that the record is not what takes the time: the input is slow to come."""
        if self._last is not None:
            self._write()

    def _write(self) -> None:
        assert self._last is not None
        self._turn += 2
        place, cpu = self._last
        pack, form = self._FORM.pack_into, (*place, time.monotonic(), cpu)
        pack(self._map, 0, self._turn - 1, *form)
        pack(self._map, 0, self._turn, *form)

    def read(self) -> Notice | None:
        """The newest announcement; None before the first, or in the very moment of one."""
        turn, offset, inner, wall, cpu = self._FORM.unpack_from(self._map)
        again = self._FORM.unpack_from(self._map)[0]
        if turn == 0 or turn % 2 or turn != again:
            return None
        return Notice((offset, inner), wall, cpu)

    @property
    def used(self) -> bool:
        """Whether any record was ever announced."""
        return bool(self._FORM.unpack_from(self._map)[0])

    def close(self) -> None:
        self._map.close()
