"""Signatures become band keys and text hashes, each sent to the task that holds its range.

Among equal texts of a group, only the preferred document goes on; the others are its followers. Equal texts of other
groups are found by the ranges of text hashes. Their keys are sent all the same: equal texts have equal keys, so they
connect nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import xxhash

from corpus.dedup.clusters import exact_keepers
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.layout import Group, Layout
from corpus.dedup.signature_rows import hash_pairs, matrix, present, read_signed
from corpus.storage.boxes import Outbox, range_of
from corpus.storage.store import Store
from corpus.storage.task_commits import Made
from corpus.text.shingles import Hashes

KEYS_SCHEMA = pa.schema([pa.field("key", pa.uint64()), pa.field("doc", pa.uint32())])
"""`doc` counts from the first document of the group."""

TEXTS_SCHEMA = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("preference", pa.float64()),
        pa.field("doc", pa.uint32()),
    ]
)
FOLLOWERS_SCHEMA = pa.schema([pa.field("doc", pa.uint32()), pa.field("keeper", pa.uint32())])
SITES_SCHEMA = pa.schema([pa.field("site", pa.string()), pa.field("documents", pa.int64())])

_SIGNATURES_AT_ONCE = 1 << 15


def bands(store: Store, dedup: DocumentComparison, layout: Layout, group: Group) -> Made:
    """Send the keys, text hashes and domains of a group's documents. The facts are how many documents of each unit are
    compared, and a short hash of its file.

    The files: `keys`, a box for each band and range; `texts`, a box for each range; `followers`, one box;
    `sites`, a box for each range of domains.
    """
    batches, hashes_of_files = read_signed(store, dedup, group.parts)
    stays = group.stays(store)
    docs, hashes, preference = _texts(batches, stays)
    twins = exact_keepers(hashes, preference)
    follows = twins != np.arange(len(docs))
    lead = docs[~follows]

    with (
        Outbox(store, "keys", layout.boxes) as keys_out,
        Outbox(store, "texts", 1 << layout.text_bits) as texts_out,
        Outbox(store, "followers", 1) as followers_out,
        Outbox(store, "sites", 1 << layout.site_bits) as sites_out,
    ):
        leads = np.zeros(sum(batch.num_rows for batch in batches), dtype=np.bool_)
        leads[lead] = True
        _send_keys(dedup, layout, batches, leads, keys_out)
        columns = [hashes[~follows, 0], hashes[~follows, 1], preference[~follows], lead.astype(np.uint32)]
        texts = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=TEXTS_SCHEMA)
        texts_out.scatter(range_of(hashes[~follows, 0], layout.text_bits), texts)
        pairs = [docs[follows], docs[twins[follows]]]
        followers = [pa.array(column.astype(np.uint32)) for column in pairs]
        followers_out.put(0, pa.RecordBatch.from_arrays(followers, schema=FOLLOWERS_SCHEMA))
        sites = pa.chunked_array([batch["site"] for batch in batches], pa.string()).filter(pa.array(stays))
        send_sites(layout, sites, sites_out)
        parts = [out.finish() for out in (keys_out, texts_out, followers_out, sites_out)]
    starts = np.cumsum([0, *group.rows])
    return parts, {"compared": np.diff(np.searchsorted(docs, starts)).tolist(), "files": hashes_of_files}


def _texts(batches: Sequence[pa.RecordBatch], stays: np.ndarray) -> tuple[np.ndarray, Hashes, np.ndarray]:
    """Return the positions of the signed documents in the group, their text hashes and the keeper rule's values."""
    valid = np.concatenate([present(batch["text_hash"]) for batch in batches]) & stays
    hashes = np.concatenate([hash_pairs(batch["text_hash"]) for batch in batches])
    preference = np.concatenate([batch["preference"].to_numpy(zero_copy_only=False) for batch in batches])
    return np.flatnonzero(valid), hashes[valid], preference[valid]


def _send_keys(
    dedup: DocumentComparison, layout: Layout, batches: Sequence[pa.RecordBatch], leads: np.ndarray, out: Outbox
) -> None:
    waiting: list[np.ndarray] = []
    docs: list[np.ndarray] = []

    def send() -> None:
        if not waiting:
            return
        keys = dedup.keys(np.concatenate(waiting))
        send_keys(layout.key_bits, keys, np.concatenate(docs).astype(np.uint32), out)
        waiting.clear()
        docs.clear()

    held = before = 0
    for batch in batches:
        goes = present(batch["signature"]) & leads[before : before + batch.num_rows]
        waiting.append(matrix(batch["signature"])[goes])
        docs.append(np.flatnonzero(goes) + before)
        before += batch.num_rows
        held += len(docs[-1])
        if held >= _SIGNATURES_AT_ONCE:
            send()
            held = 0
    send()


def send_keys(bits: int, keys: Hashes, docs: np.ndarray, out: Outbox) -> None:
    """Send the keys (n, bands) of documents to the boxes of their bands and ranges."""
    ranges = 1 << bits
    for band, column in enumerate(np.ascontiguousarray(keys.T)):
        if ranges == 1:
            out.put(band, _keys(column, docs))
            continue
        of = range_of(column, bits)
        order = np.argsort(of, kind="stable")
        ends = np.cumsum(np.bincount(of, minlength=ranges)).tolist()
        column, sent = column[order], docs[order]
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            out.put(band * ranges + number, _keys(column[start:end], sent[start:end]))


def _keys(keys: Hashes, docs: np.ndarray) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(keys), pa.array(docs)], schema=KEYS_SCHEMA)


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
