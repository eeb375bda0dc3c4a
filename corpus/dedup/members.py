"""The fourth phase: the signatures of the documents that may repeat another, sent to the task of their component.

Members are sorted by component, within it in keeper order, and the twins of a document right after it, without a
signature of their own: so a component of any size can be verified in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from corpus.clusters import Ints
from corpus.commits import Part
from corpus.dedup import Dedup
from corpus.dedup.bands import FOLLOWERS_SCHEMA
from corpus.dedup.candidates import TWINS_SCHEMA
from corpus.dedup.components import labels_schema
from corpus.dedup.exchange import Outbox, read_boxes
from corpus.dedup.layout import Layout, range_of
from corpus.dedup.signed import binary_column, matrix, present, read_signed
from corpus.shingles import fold
from corpus.store import LocalStore

BLOCK_BYTES = 256 << 10


def members_schema(dedup: Dedup) -> pa.Schema:
    fields = [
        pa.field("component", pa.uint64(), metadata={"is": "a hash of the lowest document, different for each"}),
        pa.field("order", pa.float64(), metadata={"is": "the keeper rule's value of the document that leads it"}),
        pa.field("leader", pa.int64(), metadata={"is": "itself, or the document with the same text that is preferred"}),
        pa.field("doc", pa.int64()),
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
    store: LocalStore,
    dedup: Dedup,
    layout: Layout,
    group: int,
    units: Sequence[Part],
    archives: Sequence[int],
    inputs: Mapping[str, Sequence[Part]],
) -> list[Part]:
    """Send the members among a group's documents: `members`, a box for each verifier.

    `archives` has the number of each unit's archive. `inputs` are the group's own `followers`, and all files of
    `twins` and `labels`.
    """
    batches = read_signed(store, dedup, units)
    preference = _column(batches, "preference")
    label, leader, order = _found(store, layout, group, preference, inputs)
    first = layout.groups[group]
    at = np.flatnonzero(label >= 0)
    component = fold([label[at].astype(np.uint64)])
    sorted_ = np.lexsort((at, leader[at] != at + first, leader[at], order[at], component))
    at, component = at[sorted_], component[sorted_]

    archive = np.repeat(np.array(archives, np.int32), [part.rows for part in units])
    columns = {
        "component": component,
        "order": order[at],
        "leader": leader[at],
        "doc": at + first,
        "preference": preference[at],
        "archive": archive[at],
        "offset": _column(batches, "offset")[at],
        "inner": _column(batches, "inner")[at],
    }
    leads = leader[at] == at + first
    made = {name: pa.array(values) for name, values in columns.items()}
    made |= {
        "site": _chunked(batches, "site").take(pa.array(at)).combine_chunks(),
        "signature": _signatures(dedup, batches, at, leads),
    }
    if dedup.with_shingles:
        shingles = _chunked(batches, "shingles").take(pa.array(np.where(leads, at, 0), mask=~leads))
        made["shingles"] = shingles.combine_chunks()
    schema = members_schema(dedup)
    batch = pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)
    per_block = min(BLOCK_BYTES, layout.memory_bytes // (4 * len(layout.groups))) * len(at) // max(batch.nbytes, 1)
    with Outbox(store, "members", 1 << layout.verifier_bits, block=max(per_block, 16)) as out:
        out.put_sorted(range_of(component, layout.verifier_bits), batch)
        return [out.finish()]


def _found(
    store: LocalStore, layout: Layout, group: int, preference: np.ndarray, inputs: Mapping[str, Sequence[Part]]
) -> tuple[Ints, Ints, np.ndarray]:
    """For each document of a group: a document that stands for its component, -1 where it has none; the one that
    leads it; and the keeper rule's value of that one."""
    first, end = layout.groups[group], layout.groups[group + 1]
    label = np.full(end - first, -1, dtype=np.int64)
    leader = np.arange(first, end)
    order = preference.copy()
    labels = read_boxes(store, inputs["labels"], group, labels_schema(layout))
    label[labels["doc"].to_numpy().astype(np.int64) - first] = labels["label"].to_numpy()

    twins = read_boxes(store, inputs["twins"], group, TWINS_SCHEMA)
    doc, keeper = twins["doc"].to_numpy(), twins["keeper"].to_numpy()
    here = (doc >= first) & (doc < end)
    leader[doc[here] - first] = keeper[here]
    order[doc[here] - first] = twins["preference"].to_numpy()[here]
    leads = keeper[(keeper >= first) & (keeper < end)] - first

    pairs = read_boxes(store, inputs["followers"], 0, FOLLOWERS_SCHEMA)
    follower, local = pairs["doc"].to_numpy(), pairs["keeper"].to_numpy()
    leader[follower], order[follower], label[follower] = leader[local], order[local], label[local]

    # equal texts that nothing else is like are a component that no edge has told of
    told = np.concatenate((doc[here] - first, leads, follower, local))
    alone = told[label[told] < 0]
    label[alone] = leader[alone]
    return label, leader, order


def _signatures(dedup: Dedup, batches: Sequence[pa.RecordBatch], at: Ints, wanted: np.ndarray) -> pa.Array:
    """The signatures of the rows at `at` of which `wanted` is true, null for the others and where there is none."""
    rows = np.zeros((len(at), dedup.signature_bytes), dtype=np.uint8)
    null = ~wanted
    order = np.argsort(at)  # unique: any kind of sorting gives the same
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
    """A numeric column as an array; what null values hold is not defined."""
    return np.concatenate([batch[name].to_numpy(zero_copy_only=False) for batch in batches])
