"""Documents of earlier runs that share keys or texts with documents of this run.

All keys of a range are read once. Of the rest, only the boxes are read in which something was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import KEYS_SCHEMA
from corpus.dedup.clusters import Ints
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index import BITS, ROWS_PER_BOX, TEXTS_SCHEMA, EarlierRun, IndexPart, docs_schema
from corpus.storage.boxes import one_batch, read_box
from corpus.text.shingles import Hashes

MOST_PER_KEY = 64
"""Earlier documents that a key leads to: as many as a component has rounds."""


def earlier_with_keys(
    earlier: Sequence[EarlierRun], band: int, bits: int, box: int, keys: Hashes
) -> Iterator[tuple[Ints, Ints]]:
    """Yield (index in `keys`, earlier document) for documents that have one of the keys: distinct, sorted keys of one
    range of a band. Only the first few documents of a key count."""
    known = _Known(keys)
    counts = np.zeros(len(keys), dtype=np.int64)
    for one in earlier:
        for part in one.parts:
            for number in _boxes(bits, box):
                for batch in read_box(one.store, part.keys, (band << BITS) + number, KEYS_SCHEMA):
                    rows, places = known.find(batch["key"].to_numpy())
                    places, rows = _first_few(places, rows, counts)
                    yield places, batch["doc"].to_numpy()[rows].astype(np.int64) + (part.first + one.shift)


def earlier_with_texts(
    earlier: Sequence[EarlierRun], bits: int, box: int, hashes: Hashes
) -> Iterator[tuple[Ints, Ints, np.ndarray, np.ndarray]]:
    """Yield (row of `hashes`, earlier document, similarity to it, whether their texts are equal) for texts of one range
    of hashes (n, 2) that earlier runs had, in the order of the runs."""
    order = np.argsort(hashes[:, 0], kind="stable")
    high = hashes[order, 0]
    known = _Known(np.unique(high))
    for one in earlier:
        for part in one.parts:
            for number in _boxes(bits, box):
                for batch in read_box(one.store, part.texts, number, TEXTS_SCHEMA):
                    rows, _ = known.find(batch["high"].to_numpy())
                    theirs = batch.take(pa.array(rows))
                    value = theirs["high"].to_numpy()
                    starts, ends = np.searchsorted(high, value), np.searchsorted(high, value, side="right")
                    which = np.repeat(np.arange(len(value)), ends - starts)
                    within = np.arange(len(which)) - np.repeat(
                        np.cumsum(ends - starts) - (ends - starts), ends - starts
                    )
                    ours = order[starts[which] + within]
                    same = hashes[ours, 1] == theirs["low"].to_numpy()[which]
                    ours, which = ours[same], which[same]
                    theirs = theirs.take(pa.array(which))
                    exact = theirs["exact"].to_numpy(zero_copy_only=False)
                    yield ours, theirs["doc"].to_numpy() + one.shift, theirs["similarity"].to_numpy(), exact


def earlier_rows(dedup: DocumentComparison, one: EarlierRun, part: IndexPart, docs: Ints) -> pa.RecordBatch:
    """Return the rows of earlier documents, by their sorted numbers in this run."""
    at = docs - (one.shift + part.first)
    found = []
    for box in np.unique(at // ROWS_PER_BOX).tolist():
        batch = one_batch(list(read_box(one.store, part.docs, box, docs_schema(dedup))), docs_schema(dedup))
        wanted = at[at // ROWS_PER_BOX == box]
        rows = np.searchsorted(batch["doc"].to_numpy(), wanted + part.first)
        found.append(batch.take(pa.array(rows)))
    return one_batch(found, docs_schema(dedup))


class _Known:
    """Sorted distinct keys, with a table over their low bits that rules out most other keys at once."""

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
        places = np.minimum(np.searchsorted(self._keys, keys[rows]), len(self._keys) - 1)
        same = self._keys[places] == keys[rows]
        return rows[same], places[same]


def _first_few(places: Ints, rows: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return the pairs whose key did not come too often yet. `counts` is kept from call to call."""
    order = np.argsort(places, kind="stable")
    places, rows = places[order], rows[order]
    starts = np.flatnonzero(np.append(True, places[1:] != places[:-1])[: len(places)])
    sizes = np.diff(starts, append=len(places))
    nth = np.arange(len(places)) - np.repeat(starts, sizes)
    few = counts[places] + nth < MOST_PER_KEY
    counts[places[starts]] += sizes
    return places[few], rows[few]


def _boxes(bits: int, box: int) -> range:
    """Return the boxes of an index that cover a range of 2^bits, or the one box that covers more."""
    if bits > BITS:
        return range(box >> (bits - BITS), (box >> (bits - BITS)) + 1)
    return range(box << (BITS - bits), (box + 1) << (BITS - bits))
