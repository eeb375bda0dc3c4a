"""Edges become components: for each document with an edge, the lowest document that edges connect it with.

If one number per document fits the memory of a task, one task does it. Else the documents are divided into spans, and
rounds of tasks, one per span, turn the graph into stars. A large star joins each document's higher neighbors to its
lowest neighbor; a small star joins its lower ones and itself (Kiveris et al. 2014, "Connected Components in MapReduce
and Beyond"). Neither adds edges or changes what is connected, and after O(log² n) rounds every component is a star
around its lowest document. A round holds one number per document of its span, and reads its edges twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from corpus.dedup.candidates import edges_schema, send_edges
from corpus.dedup.clusters import Ints, connect, roots
from corpus.dedup.layout import Layout
from corpus.storage.boxes import Outbox, read_box
from corpus.storage.commits import Part
from corpus.storage.store import Store

_AT_ONCE = 1 << 20


def labels_schema(layout: Layout) -> pa.Schema:
    """Return the columns of a document and the lowest document of its component."""
    return pa.schema([pa.field("doc", layout.number), pa.field("label", layout.number)])


def components(store: Store, layout: Layout, edges: Sequence[Part]) -> list[Part]:
    """Find all components at once. Write `labels`, a box for each group."""
    parent = np.arange(layout.numbers)
    for low, high in _edges(store, layout, edges, 0):
        connect(parent, low, high)
    for start in range(0, len(parent), _AT_ONCE):
        parent[start : start + _AT_ONCE] = roots(parent, parent[start : start + _AT_ONCE])
    return _labels(store, layout, 0, parent)


def large_star(
    store: Store, layout: Layout, edges: Sequence[Part], span: int, kind: str
) -> tuple[list[Part], dict[str, int]]:
    """Write the edges for the small star of each span. The fact `unfinished` counts the documents of this span that are
    neither the center of a star nor at its edge. If there are none anywhere, the components are found, and
    `star_labels` writes them."""
    first, least = _least_neighbors(store, layout, edges, span)
    own = np.arange(first, first + len(least))
    above = np.zeros(len(least), dtype=np.bool_)  # has a higher neighbor
    below = np.zeros(len(least), dtype=np.bool_)  # has a lower one that is not the lowest
    with Outbox(store, kind, layout.spans) as out:
        for doc, other in _neighbors(store, layout, edges, span):
            higher = other > doc
            here, there = doc[higher] - first, other[higher]
            above[here] = True
            below[doc[~higher & (other != least[doc - first])] - first] = True
            _send_to_high(layout, least[here], there, out)
        unfinished = np.count_nonzero((above & (least < own)) | below)
        return [out.finish()], {"unfinished": int(unfinished)}


def small_star(store: Store, layout: Layout, edges: Sequence[Part], span: int, kind: str) -> list[Part]:
    """Write the edges for the large star of each span. `edges` lie in the spans of their higher ends."""
    first, least = _least_neighbors(store, layout, edges, span)
    with Outbox(store, kind, layout.spans) as out:
        for low, high in _edges(store, layout, edges, span):
            center = least[high - first]
            apart = low != center
            send_edges(layout, center[apart], low[apart], out)
        docs = np.flatnonzero(least < np.arange(first, first + len(least)))
        send_edges(layout, least[docs], docs + first, out)
        return [out.finish()]


def star_labels(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> list[Part]:
    """Write `labels` of a span, a box for each group, once all components are stars."""
    first, least = _least_neighbors(store, layout, edges, span)
    centers = np.zeros(len(least), dtype=np.bool_)
    for doc, other in _neighbors(store, layout, edges, span):
        centers[doc[other > doc] - first] = True
    return _labels(store, layout, first, least, centers)


def _labels(store: Store, layout: Layout, first: int, labels: Ints, centers: np.ndarray | None = None) -> list[Part]:
    """Send the labels of documents from `first` on to their groups: documents with another label, and those of
    `centers`, by default the documents that are labels."""
    others = labels != np.arange(first, first + len(labels))
    if centers is None:
        centers = np.zeros(len(labels), dtype=np.bool_)
        centers[labels[others]] = True
    docs = np.flatnonzero(centers | others)
    with Outbox(store, "labels", len(layout.groups) - 1) as out:
        for start in range(0, len(docs), _AT_ONCE):
            some = docs[start : start + _AT_ONCE]
            columns = [pa.array(some + first, layout.number), pa.array(labels[some], layout.number)]
            batch = pa.RecordBatch.from_arrays(columns, schema=labels_schema(layout))
            out.put_sorted(layout.group_of(some + first), batch)
        return [out.finish()]


def _least_neighbors(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> tuple[int, Ints]:
    """Return the first document of a span, and for each of its documents the lowest of itself and its neighbors."""
    first = span * layout.span
    least = np.arange(first, min(first + layout.span, layout.numbers))
    for doc, other in _neighbors(store, layout, edges, span):
        np.minimum.at(least, doc - first, other)
    return first, least


def _neighbors(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield (document of the span, neighbor) for each end of an edge that lies in the span."""
    for low, high in _edges(store, layout, edges, span):
        for doc, other in ((low, high), (high, low)):
            here = doc // layout.span == span
            yield doc[here], other[here]


def _edges(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> Iterator[tuple[Ints, Ints]]:
    schema = edges_schema(layout)
    for part in edges:
        for batch in read_box(store, part, span, schema):
            for start in range(0, batch.num_rows, _AT_ONCE):
                some = batch.slice(start, _AT_ONCE)
                yield some["low"].to_numpy().astype(np.int64), some["high"].to_numpy().astype(np.int64)


def _send_to_high(layout: Layout, low: Ints, high: Ints, out: Outbox) -> None:
    columns = [pa.array(low, layout.number), pa.array(high, layout.number)]
    batch = pa.RecordBatch.from_arrays(columns, schema=edges_schema(layout))
    out.scatter(high // layout.span, batch)
