"""The third phase: edges → for each document that has any, the lowest one that edges connect it with.

Where one number per document fits what a task may hold, one task does it. Else the documents are divided into spans,
and rounds of tasks, one per span, turn the graph into stars: a large star joins each document's higher neighbours to
its lowest neighbour, a small star its lower ones and itself (Kiveris et al. 2014, "Connected Components in MapReduce
and Beyond": neither adds edges, neither changes what is connected, and after O(log² n) rounds every component is a
star around its lowest document). A round holds one number per document of its span, and reads its edges twice.
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
    """A document and the lowest one of its component."""
    return pa.schema([pa.field("doc", layout.number), pa.field("label", layout.number)])


def components(store: Store, layout: Layout, edges: Sequence[Part]) -> list[Part]:
    """All components at once: `labels`, a box for each group."""
    parent = np.arange(layout.numbers)
    for low, high in _edges(store, layout, edges, 0):
        connect(parent, low, high)
    for start in range(0, len(parent), _AT_ONCE):
        parent[start : start + _AT_ONCE] = roots(parent, parent[start : start + _AT_ONCE])
    return _labels(store, layout, 0, parent)


def large_star(
    store: Store, layout: Layout, edges: Sequence[Part], span: int, kind: str
) -> tuple[list[Part], dict[str, int]]:
    """The edges for the small star of each span, and how many documents of this one are neither the centre of a star
    nor at its edge: the `unfinished`. Where there are none anywhere, components are found; `star_labels` tells them."""
    first, least = _least_neighbours(store, layout, edges, span)
    own = np.arange(first, first + len(least))
    above = np.zeros(len(least), dtype=np.bool_)  # has a higher neighbour
    below = np.zeros(len(least), dtype=np.bool_)  # has a lower one that is not the lowest
    with Outbox(store, kind, layout.spans) as out:
        for doc, other in _neighbours(store, layout, edges, span):
            higher = other > doc
            here, there = doc[higher] - first, other[higher]
            above[here] = True
            below[doc[~higher & (other != least[doc - first])] - first] = True
            _send_to_high(layout, least[here], there, out)
        unfinished = np.count_nonzero((above & (least < own)) | below)
        return [out.finish()], {"unfinished": int(unfinished)}


def small_star(store: Store, layout: Layout, edges: Sequence[Part], span: int, kind: str) -> list[Part]:
    """The edges for the large star of each span; `edges` lie in the spans of their higher ends."""
    first, least = _least_neighbours(store, layout, edges, span)
    with Outbox(store, kind, layout.spans) as out:
        for low, high in _edges(store, layout, edges, span):
            centre = least[high - first]
            apart = low != centre
            send_edges(layout, centre[apart], low[apart], out)
        docs = np.flatnonzero(least < np.arange(first, first + len(least)))
        send_edges(layout, least[docs], docs + first, out)
        return [out.finish()]


def star_labels(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> list[Part]:
    """The labels of a span once all components are stars: `labels`, a box for each group."""
    first, least = _least_neighbours(store, layout, edges, span)
    centres = np.zeros(len(least), dtype=np.bool_)
    for doc, other in _neighbours(store, layout, edges, span):
        centres[doc[other > doc] - first] = True
    return _labels(store, layout, first, least, centres)


def _labels(store: Store, layout: Layout, first: int, labels: Ints, told: np.ndarray | None = None) -> list[Part]:
    """Send the labels of documents from `first` on to their groups: of those that have another label, and of `told`;
    by default of those that are labels."""
    others = labels != np.arange(first, first + len(labels))
    if told is None:
        told = np.zeros(len(labels), dtype=np.bool_)
        told[labels[others]] = True
    docs = np.flatnonzero(told | others)
    with Outbox(store, "labels", len(layout.groups) - 1) as out:
        for start in range(0, len(docs), _AT_ONCE):
            some = docs[start : start + _AT_ONCE]
            columns = [pa.array(some + first, layout.number), pa.array(labels[some], layout.number)]
            batch = pa.RecordBatch.from_arrays(columns, schema=labels_schema(layout))
            out.put_sorted(layout.group_of(some + first), batch)
        return [out.finish()]


def _least_neighbours(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> tuple[int, Ints]:
    """The first document of a span, and for each of its documents the lowest of itself and its neighbours."""
    first = span * layout.span
    least = np.arange(first, min(first + layout.span, layout.numbers))
    for doc, other in _neighbours(store, layout, edges, span):
        np.minimum.at(least, doc - first, other)
    return first, least


def _neighbours(store: Store, layout: Layout, edges: Sequence[Part], span: int) -> Iterator[tuple[Ints, Ints]]:
    """(document of the span, neighbour), for each end of an edge that lies in the span."""
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
