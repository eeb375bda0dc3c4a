"""Turn signatures into band keys and text hashes, and send each to the task that holds its range.

The leader of a text is the preferred document with that text. Within a group, the other documents with the text are
followers of the leader, and only the leader is sent on. Equal texts in different groups are found in the ranges of text
hashes. Each group sends the keys of its own leader. Equal texts have equal keys, so the extra keys connect no other
documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash

from corpus.dedup.clusters import leaders
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.layout import Layout
from corpus.dedup.signature_rows import hash_pairs, matrix, present, read_signed
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, range_of
from corpus.storage.task_commits import Made, put_value
from corpus.text.vocabulary import Flags, Hashes, Ints

KEYS_SCHEMA = pa.schema([("key", pa.uint64()), ("doc", pa.uint32())])
"""`doc` counts from the first document of the group."""

TEXTS_SCHEMA = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("preference", pa.float64()),
        ("doc", pa.uint32()),
    ]
)
FOLLOWERS_SCHEMA = pa.schema([("doc", pa.uint32()), ("leader", pa.uint32())])
SITES_SCHEMA = pa.schema([("site", pa.string()), ("documents", pa.int64())])

_SIGNATURES_AT_ONCE = 1 << 15

_KEYS_IN_BATCH = 1 << 8
"""The number of keys that go to a box at once, on average. A batch in memory takes a kilobyte beside its keys."""


def bands(task: ComparisonTask) -> Made:
    """Send the keys, text hashes and domains of a group's documents. The facts are the number of compared documents of
    each archive, and the name of a list with a short hash of each unit's file.

    The files: `keys`, a box for each band and range; `texts`, a box for each range; `followers`, one box; `sites`, a
    box for each range of domains.
    """
    store, stage, layout, group = task.store, task.document_stage, task.layout, task.group
    batches, hashes_of_files = read_signed(store, stage, group.parts)
    stays = group.stays(store)
    docs, hashes, preference = _texts(batches, stays)
    leader = leaders(hashes, preference)
    follows = leader != np.arange(len(docs))
    lead = docs[~follows]
    with (
        Outbox(store, "keys", layout.boxes) as keys_out,
        Outbox(store, "texts", 1 << layout.text_bits) as texts_out,
        Outbox(store, "followers", 1) as followers_out,
        Outbox(store, "sites", 1 << layout.site_bits) as sites_out,
    ):
        leads = np.zeros(len(stays), dtype=np.bool_)
        leads[lead] = True
        _send_signed(stage, layout, batches, leads, keys_out)
        high, low = hashes[~follows].T
        texts = pa.RecordBatch.from_arrays([high, low, preference[~follows], lead], schema=TEXTS_SCHEMA)
        texts_out.scatter(range_of(high, layout.text_bits), texts)
        followers = [docs[follows], docs[leader[follows]]]
        followers_out.put(0, pa.RecordBatch.from_arrays(followers, schema=FOLLOWERS_SCHEMA))
        sites = pa.chunked_array([batch["site"] for batch in batches], pa.string()).filter(pa.array(stays))
        send_sites(layout, sites, sites_out)
        parts = [out.finish() for out in (keys_out, texts_out, followers_out, sites_out)]
    starts = np.cumsum([0, *group.rows])
    compared = group.by_archive(np.diff(np.searchsorted(docs, starts)))
    return parts, {"compared": compared, "files": put_value(store, hashes_of_files)}


def _texts(batches: Sequence[pa.RecordBatch], stays: Flags) -> tuple[Ints, Hashes, np.ndarray]:
    """Return the positions of a group's signed documents, their text hashes and their values of the keeper rule."""
    valid = np.concatenate([present(batch["text_hash"]) for batch in batches]) & stays
    hashes = np.concatenate([hash_pairs(batch["text_hash"]) for batch in batches])
    preference = np.concatenate([batch["preference"].to_numpy(zero_copy_only=False) for batch in batches])
    return np.flatnonzero(valid), hashes[valid], preference[valid]


def _send_signed(
    stage: DocumentComparison, layout: Layout, batches: Sequence[pa.RecordBatch], leads: Flags, out: Outbox
) -> None:
    """Send the keys of the leaders that have a signature, some thousand documents at a time."""
    signatures: list[np.ndarray] = []
    docs: list[Ints] = []
    held = before = 0
    at_once = max(_SIGNATURES_AT_ONCE, _KEYS_IN_BATCH << layout.key_bits)
    for number, batch in enumerate(batches, 1):
        sent = present(batch["signature"]) & leads[before : before + batch.num_rows]
        signatures.append(matrix(batch["signature"])[sent])
        docs.append(np.flatnonzero(sent) + before)
        before += batch.num_rows
        held += len(docs[-1])
        if held >= at_once or number == len(batches):
            send_keys(layout.key_bits, stage.keys(np.concatenate(signatures)), np.concatenate(docs), out)
            signatures, docs, held = [], [], 0


def send_keys(bits: int, keys: Hashes, docs: Ints, out: Outbox) -> None:
    """Send the keys (n, bands) of documents to the boxes of their bands and ranges."""
    docs = docs.astype(np.uint32)
    for band, column in enumerate(np.ascontiguousarray(keys.T)):
        sent, ends = docs, [len(docs)]
        if bits:
            numbers = range_of(column, bits)
            order = np.argsort(numbers, kind="stable")
            ends = np.cumsum(np.bincount(numbers, minlength=1 << bits)).tolist()
            column, sent = column[order], docs[order]
        for box, (start, end) in enumerate(pairwise([0, *ends]), band << bits):
            # copied arrays, because the bytes of a slice depend on its position in the batch
            out.put(box, pa.RecordBatch.from_arrays([column[start:end], sent[start:end]], schema=KEYS_SCHEMA))


def send_sites(layout: Layout, sites: pa.ChunkedArray, out: Outbox) -> None:
    """Send the number of documents of each domain to the box of its range."""
    counts = sites.drop_null().value_counts()
    batch = pa.RecordBatch.from_arrays([counts.field("values"), counts.field("counts")], schema=SITES_SCHEMA)
    if layout.site_bits == 0:
        out.put(0, batch)
        return
    names = map(str.encode, batch["site"].to_pylist())
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, names), np.uint64, batch.num_rows)
    out.scatter(range_of(hashes, layout.site_bits), batch)
