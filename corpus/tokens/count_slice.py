"""How far the budget of a source reaches: its documents are counted in the order of their ranks until there are enough.

A slice leaves the rank, the copies and the tokens of each document in boxes, by the highest bits of the rank. So only
the box in which the budget ends is read at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from corpus.digests import digest
from corpus.storage.boxes import Outbox, bits_for, range_of, read_boxes
from corpus.storage.commits import Commit, commit, commit_key, read_commit
from corpus.storage.crash_points import reached
from corpus.storage.store import Store
from corpus.tokens.choice import WHOLE, Reach, SourceSlice
from corpus.tokens.encode_slice import is_in_val
from corpus.tokens.encoder import Encoder

_SCHEMA = pa.schema([("rank", pa.uint64()), ("place", pa.uint64()), ("copies", pa.int64()), ("tokens", pa.int64())])

_BOX_ROWS = 1 << 20
_MOST_BITS = 16


def rank_bits(rows: int) -> int:
    """Return the number of rank bits that select a box, for so many documents."""
    return min(bits_for(rows, _BOX_ROWS), _MOST_BITS)


@dataclass(frozen=True)
class Counting:
    """What is counted: the documents of train with a rank in [start, stop), by a tokenizer, into boxes."""

    tokenizer: str
    val_share: float
    bits: int
    start: int
    stop: int


def count_slice(store: Store, source: SourceSlice, counting: Counting, encoder: Encoder) -> Commit:
    """Count the tokens of a slice, and commit one file of boxes. The facts are the tokens of all documents, each once,
    and those of all copies, by box."""
    key = commit_key("count", source.content(), digest(asdict(counting)))
    done = read_commit(store, key)
    if done is not None:
        return done
    reached("count_begun")
    weights = np.zeros(1 << counting.bits, dtype=np.int64)
    unique = 0
    with Outbox(store, "counted", len(weights)) as out:
        for found in source.read(Counter()):
            inside = found.ranks >= np.uint64(counting.start)
            if counting.stop < WHOLE:
                inside &= found.ranks < np.uint64(counting.stop)
            found = found.where(inside)
            texts = found.table["text"].to_pylist()
            train = [not is_in_val(text, counting.val_share) for text in texts]
            found = found.where(np.array(train, dtype=bool))
            if not len(found):
                continue
            tokens = encoder.encode(found.table["text"].to_pylist())[1] + 1  # with the separator
            boxes = range_of(found.ranks, counting.bits).astype(np.int64)
            columns = [pa.array(values) for values in (found.ranks, found.places, found.copies, tokens)]
            out.scatter(boxes, pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
            np.add.at(weights, boxes, found.copies * tokens)
            unique += int(tokens.sum())
        part = out.finish()
    filled = np.flatnonzero(weights)
    return commit(store, key, [part], {"unique": unique, "weights": [filled.tolist(), weights[filled].tolist()]})


def counted_tokens(counted: Sequence[Commit]) -> tuple[int, int]:
    """Return the tokens of all documents, each once, and those of all copies."""
    return (
        sum(done.facts["unique"] for done in counted),
        sum(sum(done.facts["weights"][1]) for done in counted),
    )


def reach_of(store: Store, counted: Sequence[Commit], budget: int, bits: int, complete: bool) -> Reach:
    """Return how far a budget reaches in the documents that were counted: to the first copy with which it is full. If
    all documents were counted (`complete`), it may go through them several times."""
    weights = np.zeros(1 << bits, dtype=np.int64)
    for done in counted:
        boxes, tokens = done.facts["weights"]
        weights[boxes] += np.array(tokens, dtype=np.int64)
    passes, left = divmod(budget, int(weights.sum())) if complete else (0, budget)
    if not left:
        return Reach(passes)
    ends = np.cumsum(weights)
    box = int(np.searchsorted(ends, left))
    before = int(ends[box] - weights[box])
    rows = read_boxes(store, [done.parts[0] for done in counted], box, _SCHEMA)
    rank, place, copies, tokens = (column.to_numpy() for column in rows.columns)
    order = np.lexsort((place, rank))
    sums = before + np.cumsum((copies * tokens)[order])
    at = int(np.searchsorted(sums, left))
    row = order[at]
    missing = left - int(sums[at]) + int(copies[row] * tokens[row])
    return Reach(passes, int(rank[row]), int(place[row]), -(-missing // int(tokens[row])))
