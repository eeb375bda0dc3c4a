"""Find documents of earlier runs that share keys or texts with documents of this run.

All keys of a range are read once. Other boxes are read only if a key or text in them was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import KEYS_SCHEMA
from corpus.dedup.clusters import run_starts
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index import BITS, ROWS_PER_BOX, TEXTS_SCHEMA, EarlierRun, IndexPart, docs_schema
from corpus.storage.boxes import one_batch, read_box
from corpus.text.vocabulary import Flags, Hashes, Ints, runs

MOST_PER_KEY = 64
"""The most earlier documents that one key can lead to. A component has the same number of rounds."""


def earlier_with_keys(earlier: Sequence[EarlierRun], bits: int, box: int, keys: Hashes) -> Iterator[tuple[Ints, Ints]]:
    """Yield (index in `keys`, earlier document) for earlier documents that have one of the keys.

    `keys` are the distinct, sorted keys of one box. For each key, only the first few documents count.
    """
    known = _Known(keys)
    counts = np.zeros(len(keys), dtype=np.int64)
    band, number = divmod(box, 1 << bits)
    for run in earlier:
        for part in run.parts:
            for number_there in _boxes(bits, number):
                for batch in read_box(run.store, part.keys, (band << BITS) + number_there, KEYS_SCHEMA):
                    rows, at = known.find(batch["key"].to_numpy())
                    at, rows = _first_few(at, rows, counts)
                    yield at, batch["doc"].to_numpy()[rows].astype(np.int64) + (part.first + run.shift)


def earlier_with_texts(
    earlier: Sequence[EarlierRun], bits: int, box: int, hashes: Hashes
) -> Iterator[tuple[Ints, Ints, np.ndarray, Flags]]:
    """Yield the texts of one range that earlier runs had, in the order of the runs.

    Each item is (row of `hashes`, earlier document, similarity to it, True if their texts are equal). `hashes` is (n,
    2).
    """
    order = np.argsort(hashes[:, 0], kind="stable")
    high = hashes[order, 0]
    known = _Known(np.unique(high))
    for run in earlier:
        for part in run.parts:
            for number in _boxes(bits, box):
                for batch in read_box(run.store, part.texts, number, TEXTS_SCHEMA):
                    batch = batch.take(pa.array(known.find(batch["high"].to_numpy())[0]))
                    value = batch["high"].to_numpy()
                    starts = np.searchsorted(high, value)
                    counts = np.searchsorted(high, value, side="right") - starts
                    rows, at = order[runs(starts, counts)], np.repeat(np.arange(len(value)), counts)
                    same = hashes[rows, 1] == batch["low"].to_numpy()[at]
                    found = batch.take(pa.array(at[same]))
                    exact = found["exact"].to_numpy(zero_copy_only=False)
                    yield rows[same], found["doc"].to_numpy() + run.shift, found["similarity"].to_numpy(), exact


def earlier_rows(stage: DocumentComparison, run: EarlierRun, part: IndexPart, docs: Ints) -> pa.RecordBatch:
    """Return the rows of earlier documents. `docs` are their numbers in this run, sorted."""
    at, schema = docs - (run.shift + part.first), docs_schema(stage)
    found = []
    for box in np.unique(at // ROWS_PER_BOX).tolist():
        batch = one_batch(list(read_box(run.store, part.docs, box, schema)), schema)
        wanted = at[at // ROWS_PER_BOX == box] + part.first
        found.append(batch.take(pa.array(np.searchsorted(batch["doc"].to_numpy(), wanted))))
    return one_batch(found, schema)


class _Known:
    """Sorted distinct keys, with a table over their low bits that quickly excludes most other keys."""

    def __init__(self, keys: Hashes) -> None:
        self._keys = keys
        self._mask = np.uint64((1 << (8 * len(keys)).bit_length()) - 1)
        self._table = np.zeros(int(self._mask) + 1, dtype=np.bool_)
        self._table[keys & self._mask] = True

    def find(self, keys: Hashes) -> tuple[Ints, Ints]:
        """Return the indexes of `keys` that are known, and the index of the known key of each."""
        rows = np.flatnonzero(self._table[keys & self._mask])
        if not len(self._keys):
            return rows[:0], rows[:0]
        at = np.minimum(np.searchsorted(self._keys, keys[rows]), len(self._keys) - 1)
        same = self._keys[at] == keys[rows]
        return rows[same], at[same]


def _first_few(at: Ints, rows: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return the pairs whose key has not yet reached the maximum. `counts` is updated from call to call."""
    order = np.argsort(at, kind="stable")
    at, rows = at[order], rows[order]
    starts = run_starts(at)
    sizes = np.diff(starts, append=len(at))
    few = counts[at] + runs(np.zeros_like(sizes), sizes) < MOST_PER_KEY
    counts[at[starts]] += sizes
    return at[few], rows[few]


def _boxes(bits: int, box: int) -> range:
    """Return the boxes of an index that cover one of 2^bits ranges.

    If the range is smaller than a box, this is one box.
    """
    if bits > BITS:
        return range(box >> (bits - BITS), (box >> (bits - BITS)) + 1)
    return range(box << (BITS - bits), (box + 1) << (BITS - bits))
