"""The second half of tokenizing: the rows of one output file, in the order of the shuffle, as files of tokens.

train-00000.bin         ids, one document after the other
train-00000.bin.index   the end of each document, counted in ids: uint64, as datatrove 0.10.1 writes and reads it
train-00000.idx         with the layout "megatron": Megatron-LM's index of the same .bin
train-00000.parquet     with the layout "parquet", instead of all these: columns `id` and `tokens`
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, Part, add_part, commit, commit_key, is_there, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tokens.encode_slice import SCHEMA
from corpus.tokens.shuffle import Cut, in_groups, read_cut

LAYOUTS = ("flat", "megatron", "parquet")

_MEGATRON_HEADER = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {2: 8, 4: 4}
"""Megatron's codes of uint16 and int32. Ids are far below 2³¹, so uint32 has the same bytes as int32."""

_ROW_GROUP = 1024


@dataclass(frozen=True)
class FileTask:
    """One output file: its split and number, its rows, and the number of the first box of its split."""

    split: str
    index: int
    cut: Cut
    first_box: int
    layout: str
    item_bytes: int

    @property
    def name(self) -> str:
        return f"{self.split}-{self.index:05d}"


def write_file(store: Store, task: FileTask, parts: Sequence[Part], inputs: str) -> Commit:
    """Write one output file and commit it. `inputs` is a digest of the files of boxes, `parts`."""
    key = commit_key("write", {"split": task.split, "index": task.index}, digest([asdict(task), inputs]))
    done = read_commit(store, key)
    if done is not None and all(is_there(store, part) for part in done.parts):
        return done
    reached("write_begun")
    rows = read_cut(store, parts, SCHEMA, task.cut, task.first_box)
    made, facts = _parquet(store, task, rows) if task.layout == "parquet" else _flat(store, task, rows)
    return commit(store, key, made, facts)


def _flat(store: Store, task: FileTask, rows: Iterator[pa.RecordBatch]) -> tuple[list[Part], dict[str, int]]:
    scratch = store.scratch()
    lengths: list[np.ndarray] = []
    text_bytes = 0
    try:
        with scratch.open("xb") as file:
            for batch in rows:
                file.write(_ids(batch))
                lengths.append(batch["weight"].to_numpy())
                text_bytes += int(batch["bytes"].to_numpy().sum())
        counts = np.concatenate([np.empty(0, np.int64), *lengths])
        if scratch.stat().st_size != counts.sum() * task.item_bytes:
            raise IntegrityError(f"{task.name} got {scratch.stat().st_size} bytes.", "Please report this.")
        documents = len(counts)
        made = [add_part(store, "bin", scratch, documents, key=f"{task.name}.bin")]
        ends = np.cumsum(counts).astype("<u8").tobytes()
        made.append(add_data(store, "index", ends, documents, f"{task.name}.bin.index"))
        if task.layout == "megatron":
            made.append(add_data(store, "idx", _megatron(counts, task.item_bytes), documents, f"{task.name}.idx"))
    finally:
        scratch.unlink(missing_ok=True)
    return made, {"tokens": int(counts.sum()), "documents": documents, "bytes": text_bytes}


def _ids(batch: pa.RecordBatch) -> memoryview:
    """Return the ids of all rows, in one row."""
    _, offsets, data = batch["tokens"].buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[batch["tokens"].offset :][: batch.num_rows + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def add_data(store: Store, kind: str, data: bytes, rows: int, key: str) -> Part:
    """Put bytes into the store, as `add_part` does with a file."""
    scratch = store.scratch()
    try:
        scratch.write_bytes(data)
        return add_part(store, kind, scratch, rows, key=key)
    finally:
        scratch.unlink(missing_ok=True)


def _megatron(lengths: np.ndarray, item_bytes: int) -> bytes:
    """Write Megatron-LM's index (core/datasets/indexed_dataset.py), with each document as one sequence: header,
    version, type, numbers of sequences and of document borders; lengths (int32), byte positions (int64), borders
    (int64)."""
    count = len(lengths)
    positions = (np.cumsum(lengths) - lengths) * item_bytes
    head = _MEGATRON_HEADER + struct.pack("<QBQQ", 1, _MEGATRON_TYPES[item_bytes], count, count + 1)
    arrays = (lengths.astype("<i4"), positions.astype("<i8"), np.arange(count + 1, dtype="<i8"))
    return head + b"".join(array.tobytes() for array in arrays)


def _parquet(store: Store, task: FileTask, rows: Iterator[pa.RecordBatch]) -> tuple[list[Part], dict[str, int]]:
    kind = {2: pa.uint16(), 4: pa.uint32()}[task.item_bytes]
    schema = pa.schema([pa.field("id", pa.string()), pa.field("tokens", pa.large_list(kind))])
    totals = {"tokens": 0, "documents": 0, "bytes": 0}
    scratch: Path = store.scratch()
    try:
        # ids repeat too rarely for a dictionary: plain pages under zstd are a tenth smaller
        options = {"compression": "zstd", "use_dictionary": False, "write_statistics": ["id"]}
        with pq.ParquetWriter(scratch, schema, write_page_checksum=True, **options) as writer:
            for group in in_groups(rows, _ROW_GROUP):
                batch = group.to_batches()[0]
                weights = batch["weight"].to_numpy()
                offsets = pa.array(np.concatenate([[0], np.cumsum(weights)]))
                values = pa.Array.from_buffers(kind, int(weights.sum()), [None, pa.py_buffer(_ids(batch))])
                lists = pa.LargeListArray.from_arrays(offsets, values)
                writer.write_table(pa.table([batch["id"], lists], schema=schema), row_group_size=_ROW_GROUP)
                totals["tokens"] += int(weights.sum())
                totals["documents"] += batch.num_rows
                totals["bytes"] += int(batch["bytes"].to_numpy().sum())
        part = add_part(store, "parquet", scratch, totals["documents"], key=f"{task.name}.parquet")
    finally:
        scratch.unlink(missing_ok=True)
    return [part], totals
