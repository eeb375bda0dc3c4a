"""Turn edges into components: for each document with an edge, the lowest document that edges connect it with.

If a task's memory can hold one number per document, one task does the work. Otherwise the documents are divided into
spans, and rounds of tasks, one per span, turn the graph into stars. A large star joins each document's higher neighbors
to its lowest neighbor. A small star joins the lower neighbors and the document itself to the lowest neighbor (Kiveris
et al. 2014, "Connected Components in MapReduce and Beyond"). Neither step adds edges or changes which documents are
connected. After O(log² n) rounds every component is a star around its lowest document. A round holds one number per
document of its span, and reads its edges twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from corpus.dedup.candidates import edges_schema, send_edges
from corpus.dedup.clusters import connect, roots
from corpus.dedup.layout import Layout
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox
from corpus.storage.task_commits import Made
from corpus.text.vocabulary import Flags, Ints

_AT_ONCE = 1 << 20


def labels_schema(layout: Layout) -> pa.Schema:
    """Return two columns: a document, and its label, the lowest document of its component."""
    return pa.schema([("doc", layout.doc_type), ("label", layout.doc_type)])


def components(task: ComparisonTask) -> Made:
    """Find all components at once. Write `labels`, a box for each group."""
    parent = np.arange(task.layout.numbers)
    for low, high in _edges(task):
        connect(parent, low, high)
    for start in range(0, len(parent), _AT_ONCE):
        parent[start : start + _AT_ONCE] = roots(parent, parent[start : start + _AT_ONCE])
    others = parent != np.arange(len(parent))
    centers = np.zeros(len(parent), dtype=np.bool_)
    centers[parent[others]] = True
    return _labels(task, 0, parent, centers | others)


def large_star(task: ComparisonTask) -> Made:
    """Write the edges for the small star of each span.

    The fact `unfinished` counts the documents of this span that are neither the center of a star nor at its edge. When
    no span has any such document, the components are found, and `star_labels` writes them.
    """
    layout = task.layout
    first, least = _least_neighbors(task)
    own = np.arange(first, first + len(least))
    above = np.zeros(len(least), dtype=np.bool_)  # has a higher neighbor
    below = np.zeros(len(least), dtype=np.bool_)  # has a lower neighbor that is not the lowest
    with Outbox(task.store, task.phase, layout.spans) as out:
        for doc, other in _neighbors(task):
            higher = other > doc
            here, there = doc[higher] - first, other[higher]
            above[here] = True
            below[doc[~higher & (other != least[doc - first])] - first] = True
            batch = pa.RecordBatch.from_arrays([least[here], there], schema=edges_schema(layout))
            out.scatter(there // layout.span, batch)
        unfinished = np.count_nonzero((above & (least < own)) | below)
        return [out.finish()], {"unfinished": int(unfinished)}


def small_star(task: ComparisonTask) -> Made:
    """Write the edges for the large star of each span. The task reads the edges whose higher end is in the span."""
    first, least = _least_neighbors(task)
    with Outbox(task.store, task.phase, task.layout.spans) as out:
        for low, high in _edges(task):
            center = least[high - first]
            apart = low != center
            send_edges(task.layout, center[apart], low[apart], out)
        docs = np.flatnonzero(least < np.arange(first, first + len(least)))
        send_edges(task.layout, least[docs], docs + first, out)
        return [out.finish()], {}


def star_labels(task: ComparisonTask) -> Made:
    """Write `labels` of a span, a box for each group, once all components are stars."""
    first, least = _least_neighbors(task)
    labeled = least != np.arange(first, first + len(least))
    for doc, other in _neighbors(task):
        labeled[doc[other > doc] - first] = True
    return _labels(task, first, least, labeled)


def _labels(task: ComparisonTask, first: int, labels: Ints, labeled: Flags) -> Made:
    """Send the labels of the documents that are `labeled` to their groups.

    The first label belongs to document number `first`.
    """
    layout, docs = task.layout, np.flatnonzero(labeled)
    with Outbox(task.store, "labels", len(layout.groups) - 1) as out:
        for start in range(0, len(docs), _AT_ONCE):
            some = docs[start : start + _AT_ONCE]
            batch = pa.RecordBatch.from_arrays([some + first, labels[some]], schema=labels_schema(layout))
            out.put_sorted(layout.group_of(some + first), batch)
        return [out.finish()], {}


def _least_neighbors(task: ComparisonTask) -> tuple[int, Ints]:
    """Return the first document of the span, and for each document the lowest among itself and its neighbors."""
    first = task.number * task.layout.span
    least = np.arange(first, min(first + task.layout.span, task.layout.numbers))
    for doc, other in _neighbors(task):
        np.minimum.at(least, doc - first, other)
    return first, least


def _neighbors(task: ComparisonTask) -> Iterator[tuple[Ints, Ints]]:
    """Yield (document of the span, neighbor) for each end of an edge that lies in the span."""
    for low, high in _edges(task):
        for doc, other in ((low, high), (high, low)):
            here = doc // task.layout.span == task.number
            yield doc[here], other[here]


def _edges(task: ComparisonTask) -> Iterator[tuple[Ints, Ints]]:
    """Yield the edges of the task's span from the last round.

    The parts of each round have a kind of their own. Two rounds may make equal parts, which would be one file, and that
    file is removed when the first round is used up.
    """
    schema = edges_schema(task.layout)
    boxes = (box for phase, kind in task.payload["edges"] for box in task.boxes(phase, kind, task.number))
    for batch in (batch for box in boxes for batch in box.batches(schema)):
        for start in range(0, batch.num_rows, _AT_ONCE):
            some = batch.slice(start, _AT_ONCE)
            yield some["low"].to_numpy().astype(np.int64), some["high"].to_numpy().astype(np.int64)
