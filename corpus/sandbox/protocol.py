"""The protocol between supervisor and page worker: frames over pipes, and a board in shared memory.

A frame has one byte for its kind, eight bytes for its length, and a payload: JSON or an Arrow IPC stream. Nothing is
pickled. The board outlives the worker. The board shows the worker's last record, and since when the worker was at this
record.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from dataclasses import dataclass

import pyarrow as pa

from corpus.sandbox.unit import Batch
from corpus.warc.record import Place

_HEAD = struct.Struct("<cQ")
JOB, TABLE, BATCH, ERROR = b"J", b"T", b"B", b"E"


def frame_head(kind: bytes, payload: bytes | pa.Buffer) -> bytes:
    """Return the bytes that come before the payload of a frame."""
    return _HEAD.pack(kind, len(payload))


def write_frame(fd: int, kind: bytes, payload: bytes | pa.Buffer) -> None:
    """Write one whole frame. Raises BrokenPipeError if the other side is gone."""
    for part in (frame_head(kind, payload), payload):
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]


class FrameReader:
    """A reader that turns a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Add bytes and return the frames that are now complete, as (kind, payload)."""
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
    """Write a frame for each table of a batch, then one frame with everything else, which completes the batch."""
    for table in batch.tables.values():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        write_frame(fd, TABLE, sink.getvalue())
    write_frame(fd, BATCH, json.dumps({**vars(batch), "tables": list(batch.tables)}).encode())


class BatchReader:
    """A reader that assembles batches from frames."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def take(self, kind: bytes, payload: bytes) -> Batch | None:
        """Add a frame. Return a batch if this frame completes it."""
        if kind != BATCH:
            self._tables.append(pa.ipc.open_stream(payload).read_all())
            return None
        fields = json.loads(payload)
        tables, self._tables = dict(zip(fields["tables"], self._tables, strict=True)), []
        return Batch(**{**fields, "tables": tables, "next": tuple(fields["next"])})


@dataclass(frozen=True)
class Notice:
    """An announcement: the worker is at `place` since `wall` on the monotonic clock.

    At that time its CPU clock showed `cpu` seconds.
    """

    place: Place
    wall: float
    cpu: float


class Board:
    """Shared memory in which a worker writes its place. During a write, its sequence number is odd."""

    _FORM = struct.Struct("<QQQdd")

    def __init__(self, fd: int) -> None:
        os.ftruncate(fd, mmap.PAGESIZE)
        self._map = mmap.mmap(fd, mmap.PAGESIZE)
        self._turn = 0
        self._last: tuple[Place, float] | None = None

    def announce(self, place: Place) -> None:
        self._last = (place, time.process_time())
        self.waiting()

    def waiting(self) -> None:
        """Restart the record's wall clock, because the worker waits for its input."""
        if self._last is None:
            return
        self._turn += 2
        place, cpu = self._last
        notice = (*place, time.monotonic(), cpu)
        self._FORM.pack_into(self._map, 0, self._turn - 1, *notice)
        self._FORM.pack_into(self._map, 0, self._turn, *notice)

    def read(self) -> Notice | None:
        """Return the last announcement. Return None before the first announcement, or while one is being written."""
        turn, offset, inner, wall, cpu = self._FORM.unpack_from(self._map)
        again = self._FORM.unpack_from(self._map)[0]
        if turn == 0 or turn % 2 or turn != again:
            return None
        return Notice((offset, inner), wall, cpu)

    @property
    def used(self) -> bool:
        """True after the first announcement."""
        return bool(self._FORM.unpack_from(self._map)[0])

    def close(self) -> None:
        self._map.close()
