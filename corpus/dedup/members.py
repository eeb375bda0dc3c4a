"""Send the documents of each component to the task that verifies the component. These documents are its members.

Members are sorted by component, and within a component in keeper order. The twins of a leader come right after it,
without a signature. This order lets a task verify a component of any size in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.bands import FOLLOWERS_SCHEMA
from corpus.dedup.candidates import TWINS_SCHEMA
from corpus.dedup.components import labels_schema
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.lookup import earlier_rows
from corpus.dedup.merge import member_order
from corpus.dedup.signature_rows import binary_column, matrix, present, read_signed
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, range_of, read_boxes
from corpus.storage.task_commits import Made, get_value
from corpus.text.shingles import fold
from corpus.text.vocabulary import Flags, Ints

BLOCK_BYTES = 256 << 10


def members_schema(stage: DocumentComparison) -> pa.Schema:
    return pa.schema(
        [
            pa.field("component", pa.uint64(), metadata={"is": "a hash of the lowest document, different for each"}),
            pa.field("order", pa.float64(), metadata={"is": "the leader's value of the keeper rule"}),
            pa.field("leader", pa.int64(), metadata={"is": "the preferred document with the same text, or itself"}),
            ("doc", pa.int64()),
            pa.field("similarity", pa.float64(), metadata={"is": "to the leader"}),
            pa.field("exact", pa.bool_(), metadata={"is": "true if its text is that of the leader"}),
            ("preference", pa.float64()),
            ("archive", pa.int32()),
            ("offset", pa.int64()),
            ("inner", pa.int32()),
            ("site", pa.string()),
            ("signature", pa.binary(stage.signature_bytes)),
            *stage.shingle_fields(),
        ]
    )


def members(task: ComparisonTask) -> Made:
    """Write the `members` among the documents of a group, or of a part of an earlier run.

    Each verifier has a box, in the order in which it verifies.
    """
    stage, layout = task.document_stage, task.layout
    columns = _of_earlier_run(task) if "earlier" in task.payload else _of_group(task)
    rows = pa.RecordBatch.from_pydict(columns, schema=members_schema(stage))
    rows = rows.take(pa.array(member_order(rows)))
    size = rows.nbytes // max(rows.num_rows, 1) + 1
    block = min(BLOCK_BYTES, layout.memory_bytes // (4 * len(layout.groups))) // size
    with Outbox(task.store, "members", 1 << layout.verifier_bits, block=max(block, 16)) as out:
        out.put_sorted(range_of(rows["component"].to_numpy(), layout.verifier_bits), rows)
        return [out.finish()], {}


def _of_group(task: ComparisonTask) -> dict[str, Any]:
    """Return the columns of the members among a group's documents."""
    stage, group, first = task.document_stage, task.group, task.layout.groups[task.number]
    batches, _ = read_signed(task.store, stage, group.parts, get_value(task.store, task.payload["files"]))
    preference = _column(batches, "preference")
    found = _labeled(task, preference)
    at = np.flatnonzero(found.label >= 0)
    leads = found.leader[at] == at + first
    columns = {
        "component": fold([found.label[at].astype(np.uint64)]),
        "order": found.order[at],
        "leader": found.leader[at],
        "doc": at + first,
        "similarity": found.similarity[at],
        "exact": found.exact[at],
        "preference": preference[at],
        "archive": np.repeat(np.array(group.archives, np.int32), group.rows)[at],
        "offset": _column(batches, "offset")[at],
        "inner": _column(batches, "inner")[at],
        "site": _chunked(batches, "site").take(pa.array(at)).combine_chunks(),
        "signature": _signatures(stage, batches, at, leads),
    }
    if stage.with_shingles:
        shingles = _chunked(batches, "shingles").take(pa.array(np.where(leads, at, 0), mask=~leads))
        columns["shingles"] = shingles.combine_chunks()
    return columns


def _of_earlier_run(task: ComparisonTask) -> dict[str, Any]:
    """Return the columns of the members among documents of an earlier run.

    Documents of earlier runs come first in their components.
    """
    run = task.earlier[task.payload["earlier"]]
    labels = task.rows("labels", "labels", task.number, labels_schema(task.layout))
    docs = labels["doc"].to_numpy().astype(np.int64)
    order = np.argsort(docs)
    docs, label = docs[order], labels["label"].to_numpy()[order].astype(np.uint64)
    rows = earlier_rows(task.document_stage, run, run.parts[task.payload["part"]], docs)
    columns = {
        "component": fold([label]),
        "order": np.full(len(docs), -np.inf),
        "leader": docs,
        "doc": docs,
        "similarity": np.ones(len(docs)),
        "exact": np.ones(len(docs), dtype=np.bool_),
        "archive": (rows["archive"].to_numpy() + run.archive).astype(np.int32),
        "site": pa.nulls(len(docs), pa.string()),
    }
    if run.prefer != task.document_stage.params.get("prefer"):  # the values of two rules can't be compared
        columns["preference"] = np.full(len(docs), np.nan)
    return {name: rows[name] for name in rows.schema.names} | columns


@dataclass(frozen=True)
class _Labeled:
    """One entry per document of a group: the label of its component (-1 for no component), its leader, the leader's
    value of the keeper rule, and the similarity to the leader.
    """

    label: Ints
    leader: Ints
    order: np.ndarray
    similarity: np.ndarray
    exact: Flags


def _labeled(task: ComparisonTask, preference: np.ndarray) -> _Labeled:
    first, end = task.layout.groups[task.number : task.number + 2]
    label = np.full(end - first, -1, dtype=np.int64)
    leader, order = np.arange(first, end), preference.copy()
    similarity, exact = np.ones(end - first), np.ones(end - first, dtype=np.bool_)
    labels = task.rows("labels", "labels", task.number, labels_schema(task.layout))
    label[labels["doc"].to_numpy().astype(np.int64) - first] = labels["label"].to_numpy()

    twins = task.rows("twins", "twins", task.number, TWINS_SCHEMA)
    leads = twins["leader"].to_numpy()
    doc = twins["doc"].to_numpy() - first
    here = (doc >= 0) & (doc < end - first)  # the box also has twins of this group's leaders
    doc = doc[here]
    leader[doc], order[doc] = leads[here], twins["preference"].to_numpy()[here]
    similarity[doc] = twins["similarity"].to_numpy()[here]
    exact[doc] = twins["exact"].to_numpy(zero_copy_only=False)[here]

    pairs = read_boxes(task.store, [task.parts("bands", "followers")[task.number]], 0, FOLLOWERS_SCHEMA)
    follower, followed = pairs["doc"].to_numpy(), pairs["leader"].to_numpy()
    for values in (leader, order, label, similarity, exact):
        values[follower] = values[followed]

    # a text that several documents have, and that is like no other text, forms a component without edges
    leads_here = leads[(leads >= first) & (leads < end)] - first
    equal = np.concatenate((doc, leads_here, follower, followed))
    alone = equal[label[equal] < 0]
    label[alone] = leader[alone]
    return _Labeled(label, leader, order, similarity, exact)


def _signatures(stage: DocumentComparison, batches: Sequence[pa.RecordBatch], at: Ints, wanted: Flags) -> pa.Array:
    """Return the signatures of the rows at `at`, in ascending order.

    The result is null for documents that are not `wanted` and for documents without a signature.
    """
    rows = np.zeros((len(at), stage.signature_bytes), dtype=np.uint8)
    null = ~wanted
    ends = np.cumsum([batch.num_rows for batch in batches])
    bounds = [0, *np.searchsorted(at, ends).tolist()]
    for batch, end, start, stop in zip(batches, ends.tolist(), bounds, bounds[1:], strict=False):
        here = start + np.flatnonzero(wanted[start:stop])
        source = at[here] - (end - batch.num_rows)
        rows[here] = matrix(batch["signature"])[source]
        null[here] = ~present(batch["signature"])[source]
    rows[null] = 0
    return binary_column(rows, null)


def _chunked(batches: Sequence[pa.RecordBatch], name: str) -> pa.ChunkedArray:
    return pa.Table.from_batches([batch.select([name]) for batch in batches])[name]


def _column(batches: Sequence[pa.RecordBatch], name: str) -> np.ndarray:
    """Return a numeric column as an array. The values at nulls are undefined."""
    return np.concatenate([batch[name].to_numpy(zero_copy_only=False) for batch in batches])
