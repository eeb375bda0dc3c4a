"""The signatures of units, read as zero-copy views of committed files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import xxhash

from corpus.dedup.contract import DocumentComparison
from corpus.storage.commits import Part, check_part, damaged, part_content
from corpus.storage.store import Store
from corpus.text.vocabulary import Flags, Hashes


def read_signed(
    store: Store, stage: DocumentComparison, parts: Sequence[Part], checked: Sequence[int] | None = None
) -> tuple[list[pa.RecordBatch], list[int]]:
    """Return the signature rows of consecutive units, in one or more batches, and a short hash of each file.

    Raises IntegrityError if a file is not as committed. `checked` has the short hashes of files that were checked
    before. Comparing with a short hash takes a tenth of the time.
    """
    hashes = []
    batches = []
    for part in parts:
        content = check_part(store, part) if checked is None else part_content(store, part)
        hashes.append(xxhash.xxh3_64_intdigest(content))
        if checked is not None and hashes[-1] != checked[len(hashes) - 1]:
            raise damaged(store, part.key)
        batches += _batches(content)
    return batches or [pa.RecordBatch.from_pylist([], stage.signed_schema())], hashes


def read_batches(store: Store, part: Part) -> list[pa.RecordBatch]:
    """Return the rows of an uncompressed Arrow file, without a copy.

    Raises IntegrityError if the file is not as committed.
    """
    return _batches(check_part(store, part))


def _batches(content: pa.Buffer) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(content)
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def matrix(column: pa.Array) -> np.ndarray:
    """Return fixed-size binary values as rows of bytes, without a copy. The bytes of nulls are undefined."""
    width = column.type.byte_width
    buffer = column.buffers()[1]
    held = np.frombuffer(buffer if len(column) else b"", dtype=np.uint8)
    return held[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def hash_pairs(column: pa.Array) -> Hashes:
    """Return 16-byte hashes as (n, 2) integers."""
    return matrix(column).view("<u8")


def present(column: pa.Array) -> Flags:
    """Return True for each value that is not null."""
    return np.asarray(column.is_valid())


def binary_column(rows: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """Return rows of bytes as fixed-size binary values, null where `null` is True."""
    rows = np.ascontiguousarray(rows)
    kind = pa.binary(rows.shape[1])
    mask = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(kind, len(rows), [mask, pa.py_buffer(rows)])
