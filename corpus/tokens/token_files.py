"""The second half of tokenizing: write the rows of one output file as files of tokens, in the order of the shuffle.

train-00000.bin         ids, one document after another
train-00000.bin.index   the end of each document, counted in ids: uint64, as datatrove 0.10.1 writes and reads it
train-00000.idx         with the layout "megatron": Megatron-LM's index of the same .bin
train-00000.parquet     with the layout "parquet", instead of all these: columns `id` and `tokens`
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.digests import digest
from corpus.errors import IntegrityError
from corpus.storage.commits import Commit, Part, add_part, commit, commit_key, is_there, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store, scratch_file
from corpus.tokens.encode_slice import SCHEMA
from corpus.tokens.shuffle import Cut, in_groups, read_cut

_MEGATRON_HEADER = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {2: 8, 4: 4}
"""Megatron's codes of uint16 and int32. Ids are far below 2³¹, so uint32 has the same bytes as int32."""

_ROW_GROUP = 1024


@dataclass(frozen=True)
class FileTask:
    """One output file: file number `index` of a split, with the rows of `cut`.

    `first_box` is the number of the first box of the split.
    """

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
    """Write one output file and commit it. `parts` are the files of boxes, `inputs` is a digest of them."""
    key = commit_key("write", {"split": task.split, "index": task.index}, digest([asdict(task), inputs]))
    done = read_commit(store, key)
    if done is not None and all(is_there(store, part) for part in done.parts):
        return done
    reached("write_begun")
    rows = read_cut(store, parts, SCHEMA, task.cut, task.first_box)
    made, facts = _parquet(store, task, rows) if task.layout == "parquet" else _flat(store, task, rows)
    return commit(store, key, made, facts)


def _flat(store: Store, task: FileTask, rows: Iterator[pa.RecordBatch]) -> tuple[list[Part], dict[str, int]]:
    lengths = [np.empty(0, np.int64)]
    text_bytes = 0
    with scratch_file(store) as scratch:
        with scratch.open("xb") as file:
            for batch in rows:
                file.write(_ids(batch))
                lengths.append(batch["weight"].to_numpy())
                text_bytes += int(batch["bytes"].to_numpy().sum())
        counts = np.concatenate(lengths)
        if scratch.stat().st_size != counts.sum() * task.item_bytes:
            raise IntegrityError(f"{task.name} got {scratch.stat().st_size} bytes.", "Please report this.")
        made = [add_part(store, "bin", scratch, len(counts), key=f"{task.name}.bin")]
    ends = np.cumsum(counts).astype("<u8").tobytes()
    made.append(add_data(store, "index", ends, len(counts), f"{task.name}.bin.index"))
    if task.layout == "megatron":
        made.append(add_data(store, "idx", _megatron(counts, task.item_bytes), len(counts), f"{task.name}.idx"))
    return made, {"tokens": int(counts.sum()), "documents": len(counts), "bytes": text_bytes}


def _ids(batch: pa.RecordBatch) -> memoryview:
    """Return the ids of all rows, one row after another."""
    _, offsets, data = batch["tokens"].buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[batch["tokens"].offset :][: batch.num_rows + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def add_data(store: Store, kind: str, data: bytes, rows: int, key: str) -> Part:
    """Put bytes into the store, as `add_part` does for a file."""
    with scratch_file(store) as scratch:
        scratch.write_bytes(data)
        return add_part(store, kind, scratch, rows, key=key)


def _megatron(lengths: np.ndarray, item_bytes: int) -> bytes:
    """Return Megatron-LM's index (core/datasets/indexed_dataset.py). Each document is one sequence.

    The index has a header, version, type, number of sequences and number of document borders, followed by lengths
    (int32), byte positions (int64) and borders (int64).
    """
    count = len(lengths)
    positions = (np.cumsum(lengths) - lengths) * item_bytes
    head = _MEGATRON_HEADER + struct.pack("<QBQQ", 1, _MEGATRON_TYPES[item_bytes], count, count + 1)
    arrays = (lengths.astype("<i4"), positions.astype("<i8"), np.arange(count + 1, dtype="<i8"))
    return head + b"".join(array.tobytes() for array in arrays)


def _parquet(store: Store, task: FileTask, rows: Iterator[pa.RecordBatch]) -> tuple[list[Part], dict[str, int]]:
    kind = {2: pa.uint16(), 4: pa.uint32()}[task.item_bytes]
    schema = pa.schema([pa.field("id", pa.string()), pa.field("tokens", pa.large_list(kind))])
    totals = {"tokens": 0, "documents": 0, "bytes": 0}
    # ids repeat too rarely for a dictionary, and plain pages with zstd are a tenth smaller
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": ["id"], "write_page_checksum": True}
    with scratch_file(store) as scratch:
        with pq.ParquetWriter(scratch, schema, **options) as writer:
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
        return [add_part(store, "parquet", scratch, totals["documents"], key=f"{task.name}.parquet")], totals
