"""Signatures of documents in components, sent to the task of their component.

Members are sorted by component, and within it in keeper order. The twins of a document come right after it, without a
signature. So a component of any size can be verified in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import FOLLOWERS_SCHEMA
from corpus.dedup.candidates import TWINS_SCHEMA
from corpus.dedup.clusters import Ints
from corpus.dedup.components import labels_schema
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.index import EarlierRun, IndexPart
from corpus.dedup.layout import Group, Layout
from corpus.dedup.lookup import earlier_rows
from corpus.dedup.signature_rows import binary_column, matrix, present, read_signed
from corpus.storage.boxes import Outbox, range_of, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.text.shingles import fold

BLOCK_BYTES = 256 << 10


def members_schema(dedup: DocumentComparison) -> pa.Schema:
    fields = [
        pa.field("component", pa.uint64(), metadata={"is": "a hash of the lowest document, different for each"}),
        pa.field("order", pa.float64(), metadata={"is": "the keeper rule's value of the document that leads it"}),
        pa.field("leader", pa.int64(), metadata={"is": "itself, or the document with the same text that is preferred"}),
        pa.field("doc", pa.int64()),
        pa.field("similarity", pa.float64(), metadata={"is": "to the document that leads it"}),
        pa.field("exact", pa.bool_(), metadata={"is": "whether its text is that of the document that leads it"}),
        pa.field("preference", pa.float64()),
        pa.field("archive", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
        pa.field("site", pa.string()),
        pa.field("signature", pa.binary(dedup.signature_bytes)),
    ]
    if dedup.with_shingles:
        fields.append(pa.field("shingles", pa.binary()))
    return pa.schema(fields)


def members(
    store: Store,
    dedup: DocumentComparison,
    layout: Layout,
    number: int,
    group: Group,
    files: Sequence[int],
    inputs: Mapping[str, Sequence[Part]],
) -> list[Part]:
    """Write `members` among a group's documents, with a box for each verifier.

    `files` has the short hash of each unit's file. `inputs` are the group's own `followers`, and all files of `twins`
    and `labels`.
    """
    batches, _ = read_signed(store, dedup, group.parts, files)
    preference = _column(batches, "preference")
    found = _found(store, layout, number, preference, inputs)
    first = layout.groups[number]
    at = np.flatnonzero(found.label >= 0)
    leads = found.leader[at] == at + first
    archive = np.repeat(np.array(group.archives, np.int32), group.rows)
    columns = {
        "component": fold([found.label[at].astype(np.uint64)]),
        "order": found.order[at],
        "leader": found.leader[at],
        "doc": at + first,
        "similarity": found.similarity[at],
        "exact": found.exact[at],
        "preference": preference[at],
        "archive": archive[at],
        "offset": _column(batches, "offset")[at],
        "inner": _column(batches, "inner")[at],
        "site": _chunked(batches, "site").take(pa.array(at)).combine_chunks(),
        "signature": _signatures(dedup, batches, at, leads),
    }
    if dedup.with_shingles:
        shingles = _chunked(batches, "shingles").take(pa.array(np.where(leads, at, 0), mask=~leads))
        columns["shingles"] = shingles.combine_chunks()
    return _send(store, dedup, layout, columns)


def earlier_members(
    store: Store,
    dedup: DocumentComparison,
    layout: Layout,
    group: int,
    one: EarlierRun,
    part: IndexPart,
    inputs: Mapping[str, Sequence[Part]],
) -> list[Part]:
    """Write `members` among the documents of an earlier run. They come first in their components."""
    labels = read_boxes(store, inputs["labels"], group, labels_schema(layout))
    docs = labels["doc"].to_numpy().astype(np.int64)
    order = np.argsort(docs)
    docs, label = docs[order], labels["label"].to_numpy()[order].astype(np.uint64)
    rows = earlier_rows(dedup, one, part, docs)
    columns = {
        "component": fold([label]),
        "order": np.full(len(docs), -np.inf),
        "leader": docs,
        "doc": docs,
        "similarity": np.ones(len(docs)),
        "exact": np.ones(len(docs), dtype=np.bool_),
        "archive": (rows["archive"].to_numpy() + one.archive).astype(np.int32),
        "site": pa.nulls(len(docs), pa.string()),
    }
    columns |= {name: rows[name] for name in rows.schema.names if name not in columns}
    return _send(store, dedup, layout, columns)


def _send(store: Store, dedup: DocumentComparison, layout: Layout, columns: dict[str, Any]) -> list[Part]:
    """Send rows to the verifiers of their components, in the order in which they are verified."""
    doc, leader, component = columns["doc"], columns["leader"], columns["component"]
    order = np.lexsort((doc, doc != leader, leader, columns["order"], component))
    schema = members_schema(dedup)
    arrays = [pa.array(columns[name]) for name in schema.names]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema).take(pa.array(order))
    size = batch.nbytes // max(len(order), 1) + 1
    block = min(BLOCK_BYTES, layout.memory_bytes // (4 * len(layout.groups))) // size
    with Outbox(store, "members", 1 << layout.verifier_bits, block=max(block, 16)) as out:
        out.put_sorted(range_of(component[order], layout.verifier_bits), batch)
        return [out.finish()]


@dataclass(frozen=True)
class _Found:
    """One entry per document of a group: the label of its component (-1 without one), its leader (itself, or the
    document whose twin it is), the leader's keeper value, and the similarity to the leader."""

    label: Ints
    leader: Ints
    order: np.ndarray
    similarity: np.ndarray
    exact: np.ndarray


def _found(
    store: Store, layout: Layout, group: int, preference: np.ndarray, inputs: Mapping[str, Sequence[Part]]
) -> _Found:
    first, end = layout.groups[group], layout.groups[group + 1]
    label = np.full(end - first, -1, dtype=np.int64)
    leader, order = np.arange(first, end), preference.copy()
    similarity, exact = np.ones(end - first), np.ones(end - first, dtype=np.bool_)
    labels = read_boxes(store, inputs["labels"], group, labels_schema(layout))
    label[labels["doc"].to_numpy().astype(np.int64) - first] = labels["label"].to_numpy()

    twins = read_boxes(store, inputs["twins"], group, TWINS_SCHEMA)
    keeper = twins["keeper"].to_numpy()
    leads = keeper[(keeper >= first) & (keeper < end)] - first
    doc = twins["doc"].to_numpy() - first
    here = (doc >= 0) & (doc < end - first)
    doc = doc[here]
    leader[doc], order[doc] = keeper[here], twins["preference"].to_numpy()[here]
    similarity[doc] = twins["similarity"].to_numpy()[here]
    exact[doc] = twins["exact"].to_numpy(zero_copy_only=False)[here]

    pairs = read_boxes(store, inputs["followers"], 0, FOLLOWERS_SCHEMA)
    follower, local = pairs["doc"].to_numpy(), pairs["keeper"].to_numpy()
    for values in (leader, order, label, similarity, exact):
        values[follower] = values[local]

    # equal texts that are like no other document are a component without edges
    equal = np.concatenate((doc, leads, follower, local))
    alone = equal[label[equal] < 0]
    label[alone] = leader[alone]
    return _Found(label, leader, order, similarity, exact)


def _signatures(dedup: DocumentComparison, batches: Sequence[pa.RecordBatch], at: Ints, wanted: np.ndarray) -> pa.Array:
    """Return the signatures of the rows at `at` for which `wanted` is True, null for the others and for documents
    without one."""
    rows = np.zeros((len(at), dedup.signature_bytes), dtype=np.uint8)
    null = ~wanted
    order = np.argsort(at)  # unique values: any sorting gives the same order
    ends = np.cumsum([batch.num_rows for batch in batches])
    bounds = [0, *np.searchsorted(at[order], ends).tolist()]
    for batch, end, start, stop in zip(batches, ends.tolist(), bounds, bounds[1:], strict=False):
        places = order[start:stop]
        places = places[wanted[places]]
        here = at[places] - (end - batch.num_rows)
        rows[places] = matrix(batch["signature"])[here]
        null[places] = ~present(batch["signature"])[here]
    rows[null] = 0
    return binary_column(rows, null)


def _chunked(batches: Sequence[pa.RecordBatch], name: str) -> pa.ChunkedArray:
    return pa.Table.from_batches([batch.select([name]) for batch in batches])[name]


def _column(batches: Sequence[pa.RecordBatch], name: str) -> np.ndarray:
    """Return a numeric column as an array. The values at nulls are undefined."""
    return np.concatenate([batch[name].to_numpy(zero_copy_only=False) for batch in batches])
