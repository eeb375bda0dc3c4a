"""Turn equal keys into edges, and find twins among equal texts, within a range of keys or of text hashes.

All documents with the same key are joined to the first of them, so n documents need n - 1 edges. A twin is a document
that is not the leader of its text. The leader is the preferred document with that text, or the document that an earlier
run kept for the text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import KEYS_SCHEMA, TEXTS_SCHEMA
from corpus.dedup.clusters import candidate_edges, leaders
from corpus.dedup.layout import Layout
from corpus.dedup.lookup import earlier_with_keys, earlier_with_texts
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, one_batch
from corpus.storage.task_commits import Made
from corpus.text.vocabulary import Hashes, Ints


def edges_schema(layout: Layout) -> pa.Schema:
    """Return the columns of edges from a lower to a higher document."""
    return pa.schema([("low", layout.doc_type), ("high", layout.doc_type)])


TWINS_SCHEMA = pa.schema(
    [
        ("doc", pa.int64()),
        ("leader", pa.int64()),
        pa.field(
            "preference", pa.float64(), metadata={"is": "that of the leader; -inf if an earlier run has the text"}
        ),
        pa.field("similarity", pa.float64(), metadata={"is": "below 1 if an earlier run removed the text as similar"}),
        ("exact", pa.bool_()),
    ]
)


def candidates(task: ComparisonTask) -> Made:
    """Write the `edges` of some ranges of keys, with a box for each span of documents.

    An edge is written to the spans of both its ends.
    """
    layout = task.layout
    first = layout.boxes_at_once * task.number
    with Outbox(task.store, "edges", layout.spans) as out:
        for box in range(first, min(first + layout.boxes_at_once, layout.boxes)):
            for low, high in _edges(task, box):
                send_edges(layout, low, high, out)
        return [out.finish()], {}


def _edges(task: ComparisonTask, box: int) -> Iterator[tuple[Ints, Ints]]:
    keys, docs, high = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for more_keys, more_docs in _chunks(task, box):
        if len(docs):
            keys, docs = _firsts(keys, docs, high)
            more_keys, more_docs = np.concatenate((keys, more_keys)), np.concatenate((docs, more_docs))
        keys, docs = more_keys, more_docs
        low, high = candidate_edges(keys, docs)
        yield low, high
    if task.earlier and len(docs):
        keys, docs = _firsts(keys, docs, high)
        order = np.argsort(keys)
        keys, docs = keys[order], docs[order]
        for at, earlier_docs in earlier_with_keys(task.earlier, task.layout.key_bits, box, keys):
            yield docs[at], earlier_docs


def _firsts(keys: Hashes, docs: Ints, others: Ints) -> tuple[Hashes, Ints]:
    """Return keys and documents without `others`, reduced to the first document of each key.

    Later documents need only that one. `docs` ascends.
    """
    first = np.ones(len(docs), dtype=np.bool_)
    first[np.searchsorted(docs, others)] = False
    return keys[first], docs[first]


def _chunks(task: ComparisonTask, box: int) -> Iterator[tuple[Hashes, Ints]]:
    """Yield keys and documents, in ascending order of documents. Each batch is as large as a task may hold."""
    keys: list[Hashes] = []
    docs: list[Ints] = []
    held = 0
    for first, found in zip(task.layout.groups, task.boxes("bands", "keys", box), strict=False):
        for batch in found.batches(KEYS_SCHEMA):
            keys.append(batch["key"].to_numpy())
            docs.append(batch["doc"].to_numpy() + np.int64(first))
            held += batch.num_rows
            if held >= task.layout.keys_at_once:
                yield np.concatenate(keys), np.concatenate(docs)
                keys, docs, held = [], [], 0
    if keys:
        yield np.concatenate(keys), np.concatenate(docs)


def send_edges(layout: Layout, low: Ints, high: Ints, out: Outbox) -> None:
    """Send edges to the spans of both ends."""
    if not len(low):
        return
    batch = pa.RecordBatch.from_arrays([low, high], schema=edges_schema(layout))
    if layout.spans == 1:
        out.put(0, batch)
        return
    _send_to_both(low // layout.span, high // layout.span, batch, out)


def _send_to_both(boxes: Ints, others: Ints, batch: pa.RecordBatch, out: Outbox) -> None:
    """Send each row to two boxes, or to one if they are the same."""
    out.scatter(boxes, batch)
    apart = boxes != others
    out.scatter(others[apart], batch.filter(pa.array(apart)))


def twins(task: ComparisonTask) -> Made:
    """Write the `twins` of one range of text hashes. Each group has a box: a twin is sent to its own group and to its
    leader's group.

    A group sends each text only once. A twin with a leader in an earlier run also gives an edge, in `edges-twins`. The
    earlier run may have had another limit. So a document that it removed counts only if the document is as similar to
    its keeper as this run demands.
    """
    layout, box = task.layout, task.number
    found = [
        one_batch([*of_group.batches(TEXTS_SCHEMA)], TEXTS_SCHEMA) for of_group in task.boxes("bands", "texts", box)
    ]
    docs = [batch["doc"].to_numpy() + np.int64(first) for first, batch in zip(layout.groups, found, strict=False)]
    texts = pa.Table.from_batches(found, TEXTS_SCHEMA)
    doc = np.concatenate(docs) if docs else np.zeros(0, np.int64)
    hashes = np.stack((texts["high"].to_numpy(), texts["low"].to_numpy()), axis=1)
    preference = texts["preference"].to_numpy()
    at = leaders(hashes, preference)
    leader, order = doc[at], preference[at]
    similarity, exact = np.ones(len(doc)), np.ones(len(doc), dtype=np.bool_)
    least = 0.0 if task.document_stage.transitive else task.threshold
    found_earlier = earlier_with_texts(task.earlier, layout.text_bits, box, hashes) if task.earlier else ()
    for rows_at, earlier_docs, values, same in found_earlier:
        near = np.flatnonzero(values >= least)
        new, first = np.unique(rows_at[near], return_index=True)
        first = near[first[leader[new] < layout.documents]]  # the first earlier run with the text counts
        at = rows_at[first]
        leader[at], order[at] = earlier_docs[first], -np.inf
        similarity[at], exact[at] = values[first], same[first]
    twin = np.flatnonzero(leader != doc)
    doc, leader = doc[twin], leader[twin]
    batch = pa.RecordBatch.from_arrays([doc, leader, order[twin], similarity[twin], exact[twin]], schema=TWINS_SCHEMA)
    with (
        Outbox(task.store, "twins", len(layout.groups) - 1) as out,
        Outbox(task.store, "edges-twins", layout.spans) as edges_out,
    ):
        _send_to_both(layout.group_of(doc), layout.group_of(leader), batch, out)
        old = leader >= layout.documents
        send_edges(layout, doc[old], leader[old], edges_out)
        return [out.finish(), edges_out.finish()], {}
