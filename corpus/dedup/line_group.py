"""The signed lines of some units in memory, as flat arrays with one entry per line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import run_starts
from corpus.dedup.contract import LINES_SCHEMA, NOT_COMPARED
from corpus.dedup.signature_rows import read_batches
from corpus.dedup.task import ComparisonTask
from corpus.text.vocabulary import Flags, Hashes, Ints, runs


@dataclass(frozen=True)
class GroupLines:
    """The documents of a group and their lines, in order.

    `first` is the number of the first document, and the arrays count from there. `alive` is True for compared
    documents, and `doc` has the document of each line.
    """

    first: int
    ends: Ints
    """The end of each unit: its last document plus one."""
    alive: Flags
    archive: Ints
    offset: Ints
    inner: Ints
    hash: Hashes
    chars: Ints
    doc: Ints
    line: Ints
    """The number of each line in its document."""

    @property
    def compared(self) -> Flags:
        return np.not_equal(self.hash, NOT_COMPARED)

    def unit_of(self, docs: Ints) -> Ints:
        return np.searchsorted(self.ends, docs, side="right")

    def had(self) -> Hashes:
        """Return the sorted hashes of compared lines. A hash occurs once for each document that has the line."""
        at = np.flatnonzero(self.compared)
        order = at[np.argsort(self.hash[at], kind="stable")]  # documents ascend within a hash
        hashes = self.hash[order]
        return hashes[run_starts(hashes, self.doc[order])]

    def find(self, known: Hashes) -> Ints:
        """Return the index of each line in `known`, or -1 if the line is not there.

        `known` is sorted, without duplicates.
        """
        if not len(known):
            return np.full(len(self.hash), -1)
        at = np.minimum(np.searchsorted(known, self.hash), len(known) - 1)
        return np.where((known[at] == self.hash) & self.compared, at, -1)

    def first_of(self, at: Ints, count: int) -> Ints:
        """Return the first document that has each of `count` hashes, or -1 if none has it.

        `at` is the index of each line's hash.
        """
        firsts = np.full(count, -1, dtype=np.int64)
        lines = np.flatnonzero(at >= 0)[::-1]
        # the last write to an index counts, and the lines are written in reverse order
        firsts[at[lines]] = self.doc[lines]
        return firsts

    def losses(self, removed: Flags) -> dict[str, Ints]:
        """Return, for each document: lines compared, lines removed, characters, characters removed."""
        count = len(self.alive)
        sums = {
            "lines": np.bincount(self.doc[self.compared], minlength=count),
            "removed": np.bincount(self.doc[removed], minlength=count),
            "chars": np.bincount(self.doc, self.chars, minlength=count),
            "chars_removed": np.bincount(self.doc[removed], self.chars[removed], minlength=count),
        }
        return {name: values.astype(np.int64) for name, values in sums.items()}


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
