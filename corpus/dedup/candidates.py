"""Equal keys become edges, and equal texts become twins, within a range of keys or of text hashes.

Documents with an equal key are joined to the first of them: n - 1 edges for n documents. Documents with an equal text
are twins of the preferred one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import KEYS_SCHEMA, TEXTS_SCHEMA
from corpus.dedup.clusters import Ints, candidate_edges, exact_keepers
from corpus.dedup.index import EarlierRun
from corpus.dedup.layout import Layout
from corpus.dedup.lookup import earlier_with_keys, earlier_with_texts
from corpus.storage.boxes import Outbox, read_box, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.text.shingles import Hashes


def edges_schema(layout: Layout) -> pa.Schema:
    """Return the columns of edges from a lower to a higher document."""
    return pa.schema([pa.field("low", layout.number), pa.field("high", layout.number)])


TWINS_SCHEMA = pa.schema(
    [
        pa.field("doc", pa.int64()),
        pa.field("keeper", pa.int64()),
        pa.field("preference", pa.float64(), metadata={"is": "the keeper's; of an earlier run's the least there is"}),
        pa.field("similarity", pa.float64(), metadata={"is": "less than 1 where an earlier run had removed that text"}),
        pa.field("exact", pa.bool_()),
    ]
)


def candidates(
    store: Store, layout: Layout, keys: Sequence[Part], boxes: Sequence[int], earlier: Sequence[EarlierRun] = ()
) -> list[Part]:
    """Write `edges` of some ranges of keys, with a box for each span of documents. An edge lies in the spans of both
    its ends. `keys` are the files of all groups."""
    with Outbox(store, "edges", layout.spans) as out:
        for box in boxes:
            for low, high in _edges(store, layout, keys, box, earlier):
                send_edges(layout, low, high, out)
        return [out.finish()]


def _edges(
    store: Store, layout: Layout, files: Sequence[Part], box: int, earlier: Sequence[EarlierRun]
) -> Iterator[tuple[Ints, Ints]]:
    keys, docs, high = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for found_keys, found_docs in _chunks(store, layout, files, box):
        if len(docs):
            keys, docs = _firsts(keys, docs, high)
            found_keys, found_docs = np.concatenate((keys, found_keys)), np.concatenate((docs, found_docs))
        keys, docs = found_keys, found_docs
        low, high = candidate_edges(keys, docs)
        yield low, high
    if earlier and len(docs):
        keys, docs = _firsts(keys, docs, high)
        order = np.argsort(keys)
        keys, docs = keys[order], docs[order]
        band, number = divmod(box, 1 << layout.key_bits)
        for places, theirs in earlier_with_keys(earlier, band, layout.key_bits, number, keys):
            yield docs[places], theirs


def _firsts(keys: Hashes, docs: Ints, others: Ints) -> tuple[Hashes, Ints]:
    """Return the first document of each key, without `others`. The next documents need no more. Documents ascend."""
    first = np.ones(len(docs), dtype=np.bool_)
    first[np.searchsorted(docs, others)] = False
    return keys[first], docs[first]


def _chunks(store: Store, layout: Layout, files: Sequence[Part], box: int) -> Iterator[tuple[Hashes, Ints]]:
    """Yield keys and documents, in ascending order of documents, as many at a time as a task may hold."""
    keys: list[Hashes] = []
    docs: list[Ints] = []
    held = 0
    for first, part in zip(layout.groups, files, strict=False):
        for batch in read_box(store, part, box, KEYS_SCHEMA):
            keys.append(batch["key"].to_numpy())
            docs.append(batch["doc"].to_numpy() + np.int64(first))
            held += batch.num_rows
            if held >= layout.keys_at_once:
                yield np.concatenate(keys), np.concatenate(docs)
                keys, docs, held = [], [], 0
    if keys:
        yield np.concatenate(keys), np.concatenate(docs)


def send_edges(layout: Layout, low: Ints, high: Ints, out: Outbox) -> None:
    """Send edges to the spans of both ends."""
    if not len(low):
        return
    columns = [pa.array(low, layout.number), pa.array(high, layout.number)]
    batch = pa.RecordBatch.from_arrays(columns, schema=edges_schema(layout))
    if layout.spans == 1:
        out.put(0, batch)
        return
    ours, theirs = low // layout.span, high // layout.span
    out.scatter(ours, batch)
    apart = ours != theirs
    out.scatter(theirs[apart], batch.filter(pa.array(apart)))


def twins(
    store: Store,
    layout: Layout,
    texts: Sequence[Part],
    box: int,
    earlier: Sequence[EarlierRun] = (),
    least: float = 0.0,
) -> list[Part]:
    """Write `twins` of one range of text hashes, with a box for each group: the groups of the twin and of the keeper.

    Within a group no text comes twice, so a range holds a text at most once per group. Twins of documents of earlier
    runs are also `edges`. A document that an earlier run removed counts only if its similarity to its keeper is at
    least `least`, since that run may have had another limit.
    """
    found = [read_boxes(store, [part], box, TEXTS_SCHEMA) for part in texts]
    docs = [batch["doc"].to_numpy() + np.int64(first) for batch, first in zip(found, layout.groups, strict=False)]
    rows = pa.Table.from_batches(found, TEXTS_SCHEMA)
    doc = np.concatenate(docs) if docs else np.zeros(0, np.int64)
    hashes = np.stack((rows["high"].to_numpy(), rows["low"].to_numpy()), axis=1)
    preference = rows["preference"].to_numpy()
    keepers = exact_keepers(hashes, preference)
    keeper, order = doc[keepers], preference[keepers]
    similarity, exact = np.ones(len(doc)), np.ones(len(doc), dtype=np.bool_)
    found_earlier = earlier_with_texts(earlier, layout.text_bits, box, hashes) if earlier else ()
    for ours, theirs, how, same in found_earlier:
        similar = how >= least
        ours, theirs, how, same = ours[similar], theirs[similar], how[similar], same[similar]
        new, first = np.unique(ours, return_index=True)
        first = first[keeper[new] < layout.documents]  # the first earlier run with the text counts
        ours = ours[first]
        keeper[ours], order[ours] = theirs[first], -np.inf
        similarity[ours], exact[ours] = how[first], same[first]
    twins_found = np.flatnonzero(keeper != doc)
    columns = [values[twins_found] for values in (doc, keeper, order, similarity, exact)]
    batch = pa.RecordBatch.from_arrays([pa.array(values) for values in columns], schema=TWINS_SCHEMA)
    with Outbox(store, "twins", len(layout.groups) - 1) as out, Outbox(store, "edges-twins", layout.spans) as edges_out:
        ours, theirs = layout.group_of(doc[twins_found]), layout.group_of(keeper[twins_found])
        out.scatter(ours, batch)
        apart = ours != theirs
        out.scatter(theirs[apart], batch.filter(pa.array(apart)))
        old = twins_found[keeper[twins_found] >= layout.documents]
        send_edges(layout, doc[old], keeper[old], edges_out)
        return [out.finish(), edges_out.finish()]
