"""A global shuffle in bounded memory. Rows are ordered by their key, the hash of seed and document id.

Writers put rows into boxes by the highest bits of the key. If each box is sorted, the boxes together give all rows in
order. The files are cut from this order by weight (tokens, or rows), so they do not depend on slices, boxes or workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash

from corpus.storage.boxes import bits_for, range_of, read_boxes
from corpus.storage.commits import Commit, Part
from corpus.storage.store import Store

BOX_BYTES = 128 << 20
"""The approximate memory of the rows of one box while they are sorted."""

ROW_BYTES = 100
"""The approximate memory of a row without its text: key, id and weight."""

_MOST_BITS = 16

KEY = pa.field("key", pa.uint64())
WEIGHT = pa.field("weight", pa.int64())


def box_bits(size: int) -> int:
    """Return the number of key bits that select a box, for rows with a total of `size` bytes."""
    return min(bits_for(size, BOX_BYTES), _MOST_BITS)


def fill_boxes(store: Store, size: int, send: Callable[[int], list[Commit]]) -> tuple[int, list[Commit]]:
    """Send rows with a total of about `size` bytes to boxes. Return the number of key bits that select a box, and the
    commits.

    The size comes from parquet footers. A footer may understate it a thousandfold, if a dictionary holds a few texts
    that repeat. So the size is measured after the rows are sent. If a box has at least twice the planned size, the rows
    are sent again, to more boxes.
    """
    bits = box_bits(size)
    sent = send(bits)
    parts = [part for done in sent for part in done.parts]
    real = sum(part.bytes for part in parts)
    if box_bits(real // 2) <= bits:
        return bits, sent
    for part in parts:
        store.discard(part.key)
    bits = box_bits(real)
    return bits, send(bits)


def keys_of(ids: Sequence[str], seed: int) -> np.ndarray:
    """Return the key of each document, uint64: its position in the shuffle of this seed."""
    return np.fromiter((xxhash.xxh3_64_intdigest(name.encode(), seed) for name in ids), np.uint64, len(ids))


def boxes_of(keys: np.ndarray, bits: int) -> np.ndarray:
    """Return the box of each key: its highest bits."""
    return range_of(keys, bits).astype(np.int64)


@dataclass(frozen=True)
class Cut:
    """The rows of one file.

    Each row begins in [start, stop) of the total weight. The rows are in the boxes from `box` up to `end`. The boxes
    before `box` have the weight `before`.
    """

    box: int
    end: int
    before: int
    start: int
    stop: int


def plan_cuts(weights: Sequence[int], borders: Sequence[int]) -> list[Cut]:
    """Return the files between the borders, given the weight of each box."""
    ends = np.cumsum(np.array(weights, dtype=np.int64))
    starts = ends - weights
    cuts = []
    for start, stop in pairwise(borders):
        box, end = int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, stop))
        cuts.append(Cut(box, end, int(starts[box]) if box < end else 0, start, stop))
    return cuts


def read_cut(
    store: Store, parts: Sequence[Part], schema: pa.Schema, cut: Cut, first: int = 0
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in order, box by box.

    `first` is the number of the first box. Rows with the same key stay in the order of `parts`, which is the order of
    the input.
    """
    before = cut.before
    for box in range(cut.box, cut.end):
        rows = read_boxes(store, parts, first + box, schema)
        order = np.argsort(rows["key"].to_numpy(), kind="stable")
        weights = rows["weight"].to_numpy()[order]
        starts = before + np.cumsum(weights) - weights
        low, high = np.searchsorted(starts, (cut.start, cut.stop))
        before += int(weights.sum())
        if low < high:
            yield rows.take(pa.array(order[low:high]))


def in_groups(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of `rows` rows each. The last table may have fewer rows."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        while held + batch.num_rows >= rows:
            some = batch.slice(0, rows - held)
            yield pa.Table.from_batches([*waiting, some]).combine_chunks()
            batch = batch.slice(some.num_rows)
            waiting, held = [], 0
        if batch.num_rows:
            waiting.append(batch)
            held += batch.num_rows
    if held:
        yield pa.Table.from_batches(waiting).combine_chunks()
