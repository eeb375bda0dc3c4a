"""Exchange files, in which many tasks pass rows to many tasks: a file for each writer, with a box for each reader.

    blocks of rows (Arrow record batches, as they were put) │ entries, by box │ first entry of each box │ trailer

A reader reads only its own entries and blocks, and checks each block by its hash. So the cost depends on the rows, not
on the number of readers. A writer holds at most `hold` bytes in memory. The digest and the name of a file are those of
its index, unless the file has a key of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import xxhash

from corpus.errors import IntegrityError
from corpus.storage.commits import Part, add_part, damaged, missing
from corpus.storage.crash_points import reached
from corpus.storage.store import Store

HOLD_BYTES = 64 << 20

_ENTRY = np.dtype([("box", "<u4"), ("rows", "<u4"), ("offset", "<u8"), ("length", "<u8"), ("xxh3", "<u8")])
_TRAILER = np.dtype([("boxes", "<u8"), ("entries", "<u8")])
_ALIGN = 64
_LARGE = 1 << 16  # bytes; a batch of this size becomes a block by itself


class Outbox:
    """A writer of one exchange file. The bytes of the file depend only on the rows that are put into it."""

    def __init__(
        self, store: Store, kind: str, boxes: int, *, hold: int = HOLD_BYTES, block: int | None = None, key: str = ""
    ) -> None:
        """`block` limits the rows of a block, for readers that hold a block of every writer at the same time.

        `key` names a file that is kept after the run.
        """
        self.kind = kind
        self.boxes = boxes
        self.rows = 0
        self._store = store
        self._hold = hold
        self._block = block
        self._key = key
        self._path: Path = store.scratch()
        self._file = self._path.open("xb")
        self._waiting: dict[int, list[pa.RecordBatch]] = {}
        self._held = 0
        self._entries: list[tuple[int, int, int, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def put(self, box: int, batch: pa.RecordBatch) -> None:
        """Add rows to a box. Rows are read in the order in which they were put."""
        if not batch.num_rows:
            return
        self._waiting.setdefault(box, []).append(batch)
        self._held += batch.nbytes
        self.rows += batch.num_rows
        if self._held > self._hold:
            self._flush()

    def scatter(self, boxes: np.ndarray, batch: pa.RecordBatch) -> None:
        """Add each row to its box."""
        order = np.argsort(boxes, kind="stable")
        self.put_sorted(boxes[order], batch.take(pa.array(order)))

    def put_sorted(self, boxes: np.ndarray, batch: pa.RecordBatch) -> None:
        """Add each row to its box. The boxes must be in ascending order."""
        if not batch.num_rows:
            return
        starts = np.flatnonzero(np.append(True, boxes[1:] != boxes[:-1]))
        ends = np.append(starts[1:], len(boxes))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self.put(int(boxes[start]), batch.slice(start, end - start))

    def copy(self, box: int, rows: int, block: pa.Buffer) -> None:
        """Add a block of another file, as it is. A file with copied blocks has no other blocks."""
        self._write(box, rows, block)
        self.rows += rows

    def _flush(self) -> None:
        for box in sorted(self._waiting):
            batches = self._waiting.pop(box)
            if self._block or sum(batch.nbytes for batch in batches) < _LARGE * len(batches):
                batches = pa.Table.from_batches(batches).combine_chunks().to_batches(self._block)
            for batch in batches:
                self._write(box, batch.num_rows, batch.serialize())
        self._held = 0

    def _write(self, box: int, rows: int, block: pa.Buffer) -> None:
        offset = self._file.tell()
        self._file.write(block)
        self._file.write(bytes(-block.size % _ALIGN))
        self._entries.append((box, rows, offset, block.size, xxhash.xxh3_64_intdigest(block)))

    def finish(self) -> Part:
        """Write the remaining rows and the index, and move the file into the store."""
        self._flush()
        entries = np.array(self._entries, dtype=_ENTRY)
        entries = entries[np.argsort(entries["box"], kind="stable")]
        starts = np.searchsorted(entries["box"], np.arange(self.boxes + 1)).astype("<u8")
        trailer = np.array([(self.boxes, len(entries))], dtype=_TRAILER)
        index = b"".join(piece.tobytes() for piece in (entries, starts, trailer))
        self._file.write(index)
        self._file.close()
        if self._key:
            return add_part(self._store, self.kind, self._path, self.rows, key=self._key)
        sha256 = hashlib.sha256(index).hexdigest()
        size = self._path.stat().st_size
        part = Part(self.kind, f".work/parts/{self.kind}/{sha256[:32]}.boxes", self.rows, size, sha256)
        self._store.adopt(self._path, part.key)
        reached("part_stored")
        return part


class Box:
    """The rows of one reader in one file, as `open_boxes` finds them."""

    def __init__(self, file: _File, entries: np.ndarray) -> None:
        self._file, self._entries = file, entries
        self.blocks = len(entries)

    @property
    def rows(self) -> int:
        return int(self._entries["rows"].sum())

    @property
    def bytes(self) -> int:
        return int(self._entries["length"].sum())

    def stored(self, block: int) -> tuple[int, pa.Buffer]:
        """Return the number of rows of one block, and its bytes. Raises IntegrityError if they are damaged."""
        entry = self._entries[block]
        content = self._file.read(int(entry["offset"]), np.dtype(np.uint8), int(entry["length"]))
        if xxhash.xxh3_64_intdigest(content.data) != entry["xxh3"]:
            raise self._file.damaged()
        return int(entry["rows"]), pa.py_buffer(content)

    def read(self, block: int, schema: pa.Schema) -> pa.RecordBatch:
        """Return the rows of one block. Raises IntegrityError if they are damaged."""
        rows, content = self.stored(block)
        try:
            batch = pa.ipc.read_record_batch(content, schema)
            batch.validate(full=True)  # without this check, offsets that lead out of the block would be followed
        except (pa.ArrowException, OSError, MemoryError):
            raise self._file.damaged() from None
        if batch.num_rows != rows or batch.nbytes > content.size:
            raise self._file.damaged()
        return batch

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows, block by block."""
        return (self.read(block, schema) for block in range(self.blocks))


@dataclass(frozen=True)
class _File:
    """A file of exchange."""

    store: Store
    part: Part

    def read(self, offset: int, kind: np.dtype, count: int, last: bool = False) -> np.ndarray:
        """Read `count` items. If `last` is True, the file must end after them."""
        length = count * kind.itemsize
        if offset < 0 or count < 0 or offset + length > self.part.bytes:
            raise self.damaged()
        try:
            read = self.store.read(self.part.key, offset, length + last) if length else b""
        except FileNotFoundError:
            raise missing(self.store, self.part.key) from None
        if len(read) != length:
            raise self.damaged()
        return np.frombuffer(read, kind)

    def damaged(self) -> IntegrityError:
        return damaged(self.store, self.part.key)


def open_boxes(store: Store, part: Part, boxes: range) -> list[Box]:
    """Return consecutive boxes of a file. Only its index is read. Raises IntegrityError if it is damaged."""
    file = _File(store, part)
    if not part.rows:
        return [Box(file, np.zeros(0, _ENTRY))] * len(boxes)
    held, entries = file.read(part.bytes - _TRAILER.itemsize, _TRAILER, 1, last=True)[0].tolist()
    if boxes.stop > held:
        raise file.damaged()
    starts_at = part.bytes - _TRAILER.itemsize - 8 * (held + 1)
    starts = file.read(starts_at + 8 * boxes.start, np.dtype("<u8"), len(boxes) + 1).tolist()
    found = file.read(starts_at - _ENTRY.itemsize * (entries - starts[0]), _ENTRY, starts[-1] - starts[0])
    sizes = [end - start for start, end in pairwise(starts)]
    if min(sizes, default=0) < 0 or (found["box"] != np.repeat(boxes, sizes)).any():
        raise file.damaged()
    return [Box(file, found[start - starts[0] : end - starts[0]]) for start, end in pairwise(starts)]


def read_box(store: Store, part: Part, box: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one box, block by block."""
    return open_boxes(store, part, range(box, box + 1))[0].batches(schema)


def read_boxes(store: Store, parts: Sequence[Part], box: int, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of one box in all files, as one batch."""
    return one_batch([batch for part in parts for batch in read_box(store, part, box, schema)], schema)


def one_batch(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Return several batches as one."""
    if len(batches) == 1:
        return batches[0]
    made = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return made[0] if made else pa.RecordBatch.from_pylist([], schema=schema)


def bits_for(rows: int, at_once: int) -> int:
    """Return the number of key bits that divide `rows` into ranges of at most `at_once` rows."""
    return max(-(-rows // at_once) - 1, 0).bit_length()


def range_of(keys: np.ndarray, bits: int) -> np.ndarray:
    """Return the range of each 64-bit key: its highest bits."""
    if not bits:
        return np.zeros(len(keys), np.uint16)
    return (keys >> np.uint64(64 - bits)).astype(np.uint16 if bits <= 16 else np.uint32)
