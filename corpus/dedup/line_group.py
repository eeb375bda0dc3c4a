"""The signed lines of some units in memory, as flat arrays with one entry per line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.dedup.contract import LINES_SCHEMA
from corpus.dedup.lines import GroupLines
from corpus.dedup.signature_rows import read_batches
from corpus.dedup.task import ComparisonTask
from corpus.text.vocabulary import Ints, runs


def read_group(task: ComparisonTask) -> GroupLines:
    """Return the lines of a group's documents. Documents that earlier comparisons removed have no lines here."""
    group = task.group
    batches = [batch for part in group.parts for batch in read_batches(task.store, part)]
    rows = pa.Table.from_batches(batches, LINES_SCHEMA)
    alive = ~rows["hashes"].is_null().to_numpy() & group.stays(task.store)
    hashes = [_values(chunk, "<u8") for chunk in rows["hashes"].chunks]
    chars = [_values(chunk, "<u4")[1].astype(np.int64) for chunk in rows["chars"].chunks]
    counts = np.concatenate([np.zeros(0, np.int64), *(sizes for sizes, _ in hashes)])
    doc = np.repeat(np.arange(rows.num_rows), counts)
    here = alive[doc]
    return GroupLines(
        first=task.line_layout.groups[task.number],
        ends=np.cumsum(group.rows, dtype=np.int64),
        alive=alive,
        archive=np.repeat(np.array(group.archives, dtype=np.int64), group.rows),
        offset=rows["offset"].to_numpy(),
        inner=rows["inner"].to_numpy(),
        hash=np.concatenate([np.zeros(0, np.uint64), *(values for _, values in hashes)])[here],
        chars=np.concatenate([np.zeros(0, np.int64), *chars])[here],
        doc=doc[here],
        line=runs(np.zeros_like(counts), counts)[here],
    )


def _values(column: pa.Array, kind: str) -> tuple[Ints, np.ndarray]:
    """Return the count of numbers in each value of a binary column, and all the numbers as one array."""
    if not len(column):
        return np.zeros(0, np.int64), np.zeros(0, kind)
    bounds = np.frombuffer(column.buffers()[1], "<i4")[column.offset : column.offset + len(column) + 1]
    held = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    return np.diff(bounds) // np.dtype(kind).itemsize, held[bounds[0] : bounds[-1]].view(kind)
