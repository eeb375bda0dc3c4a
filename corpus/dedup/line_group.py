"""The signed lines of some units in memory, as flat arrays with one entry per line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import Ints
from corpus.dedup.contract import LINES_SCHEMA, NOT_COMPARED
from corpus.dedup.layout import Group
from corpus.dedup.signature_rows import read_batches
from corpus.storage.store import Store
from corpus.text.shingles import Hashes


@dataclass(frozen=True)
class GroupLines:
    """`first` is the number of the first document; the arrays count from there. `alive` says which documents are
    compared, `doc` has the document of each line. Lines are in order."""

    first: int
    ends: Ints
    """The end of each unit: the document after its last one."""
    alive: np.ndarray
    offset: Ints
    inner: Ints
    hash: Hashes
    chars: Ints
    doc: Ints
    line: Ints
    """The number of each line in its document."""

    @property
    def compared(self) -> np.ndarray:
        found: np.ndarray = self.hash != NOT_COMPARED
        return found

    def unit_of(self, docs: Ints) -> Ints:
        return np.searchsorted(self.ends, docs, side="right")

    def archive(self, numbers: Sequence[int]) -> Ints:
        """Return the archive of each document. `numbers` has those of the units."""
        return np.repeat(np.array(numbers, dtype=np.int64), np.diff(self.ends, prepend=0))

    def pairs(self) -> tuple[Hashes, Ints]:
        """Return the distinct pairs of line and document, by hash."""
        at = np.flatnonzero(self.compared)
        order = at[np.argsort(self.hash[at], kind="stable")]  # documents ascend within a hash
        hashes, docs = self.hash[order], self.doc[order]
        new = np.append(True, (hashes[1:] != hashes[:-1]) | (docs[1:] != docs[:-1]))[: len(hashes)]
        return hashes[new], docs[new]

    def find(self, known: Hashes) -> Ints:
        """Return the index of each line in `known`, sorted distinct hashes; -1 if it is not there."""
        if not len(known):
            return np.full(len(self.hash), -1)
        places = np.minimum(np.searchsorted(known, self.hash), len(known) - 1)
        return np.where((known[places] == self.hash) & self.compared, places, -1)

    def first_of(self, at: Ints, count: int) -> Ints:
        """Return the first document that has each of `count` hashes, -1 for none. `at` has the hash index of each
        line."""
        firsts = np.full(count, -1, dtype=np.int64)
        lines = np.flatnonzero(at >= 0)[::-1]
        firsts[at[lines]] = self.doc[lines]  # the last write to an index counts: that of the first line
        return firsts

    def losses(self, goes: np.ndarray) -> dict[str, Ints]:
        """Return, for each document: lines compared, lines removed, characters, characters removed."""
        count = len(self.alive)
        sums = {
            "lines": np.bincount(self.doc[self.compared], minlength=count),
            "removed": np.bincount(self.doc[goes], minlength=count),
            "chars": np.bincount(self.doc, self.chars, minlength=count),
            "chars_removed": np.bincount(self.doc[goes], self.chars[goes], minlength=count),
        }
        return {name: values.astype(np.int64) for name, values in sums.items()}


def read_group(store: Store, first: int, group: Group) -> GroupLines:
    """Return the lines of a group's documents, without those of documents that earlier comparisons removed. `first` is
    the number of the first document."""
    rows = pa.Table.from_batches([batch for part in group.parts for batch in read_batches(store, part)], LINES_SCHEMA)
    alive = ~rows["hashes"].is_null().to_numpy() & group.stays(store)
    counts = np.zeros(rows.num_rows, dtype=np.int64)
    hashes, chars = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    at = 0
    for chunk in rows.to_batches():
        sizes, values = _values(chunk["hashes"], "<u8")
        counts[at : at + chunk.num_rows] = sizes
        hashes.append(values)
        chars.append(_values(chunk["chars"], "<u4")[1].astype(np.int64))
        at += chunk.num_rows
    doc = np.repeat(np.arange(rows.num_rows), counts)
    line = np.arange(len(doc)) - np.repeat(np.cumsum(counts) - counts, counts)
    here = alive[doc]
    flat = (np.concatenate(hashes), np.concatenate(chars), doc, line)
    places = (rows["offset"].to_numpy(), rows["inner"].to_numpy())
    ends = np.cumsum(group.rows, dtype=np.int64)
    return GroupLines(first, ends, alive, *places, *(values[here] for values in flat))


def _values(column: pa.Array, kind: str) -> tuple[Ints, np.ndarray]:
    """Return how many numbers each value has, and all numbers."""
    if not len(column):
        return np.zeros(0, np.int64), np.zeros(0, kind)
    bounds = np.frombuffer(column.buffers()[1], "<i4")[column.offset : column.offset + len(column) + 1]
    held = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    return np.diff(bounds) // np.dtype(kind).itemsize, held[bounds[0] : bounds[-1]].view(kind)
