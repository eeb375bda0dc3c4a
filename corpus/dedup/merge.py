"""The order of members, and a merge of sorted boxes in this order that holds a bounded number of members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from corpus.storage.boxes import Box, one_batch
from corpus.text.vocabulary import Ints


def merged(boxes: Sequence[Box], schema: pa.Schema, at_once: int) -> Iterator[pa.RecordBatch]:
    """Yield the members of sorted boxes in one order, about `at_once` at a time."""
    total = sum(box.rows for box in boxes)
    if total <= at_once:
        if total:
            rows = one_batch([box.read(n, schema) for box in boxes for n in range(box.blocks)], schema)
            yield rows.take(pa.array(member_order(rows)))
        return
    want = max(at_once // len(boxes), 1)
    held = [one_batch([], schema)] * len(boxes)
    next_block = [0] * len(boxes)
    ready: list[pa.RecordBatch] = []
    while True:
        for n, box in enumerate(boxes):
            more = [held[n]]
            while sum(batch.num_rows for batch in more) < want and next_block[n] < box.blocks:
                more.append(box.read(next_block[n], schema))
                next_block[n] += 1
            held[n] = one_batch(more, schema)
        rows = one_batch(held, schema)
        of = np.repeat(np.arange(len(boxes)), [batch.num_rows for batch in held])
        # an unread row of a box may belong before the rows of other boxes that come after the box's last held row
        limits = np.cumsum([batch.num_rows for batch in held])[
            [box.blocks > at and batch.num_rows > 0 for box, at, batch in zip(boxes, next_block, held, strict=True)]
        ]
        order = member_order(rows)
        is_limit = np.isin(order, limits - 1)
        end = int(np.argmax(is_limit)) + 1 if is_limit.any() else len(order)
        if end:
            ready.append(rows.take(pa.array(order[:end])))
        rest = np.sort(order[end:])
        held = [rows.take(pa.array(rest[of[rest] == n])) for n in range(len(boxes))]
        complete = not len(rest) and not is_limit.any()
        if ready and (complete or sum(batch.num_rows for batch in ready) >= at_once):
            yield one_batch(ready, schema)
            ready = []
        if complete:
            return


def member_order(rows: pa.RecordBatch) -> Ints:
    """Return the order: by component, then in keeper order, with each leader before its twins."""
    doc, leader = rows["doc"].to_numpy(), rows["leader"].to_numpy()
    return np.lexsort((doc, doc != leader, leader, rows["order"].to_numpy(), rows["component"].to_numpy()))
