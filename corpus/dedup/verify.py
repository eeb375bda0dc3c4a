"""Verification: each component keeps its preferred document, and removes those as similar to it as the limit says.

A verifier reads the members of its components from all groups, merged into one order, a bounded number at a time. A
larger component is carried on by the documents that decide about the rest: its first kept ones (one more than `verify`
has rounds), and the last leader.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import ROUNDS, Floats, Ints, transitive, verify
from corpus.dedup.contract import DocumentComparison
from corpus.dedup.layout import Layout
from corpus.dedup.members import members_schema
from corpus.dedup.merge import merged
from corpus.dedup.signature_rows import matrix
from corpus.storage.boxes import Box, Outbox, one_batch
from corpus.storage.commits import Part
from corpus.storage.store import Store

LARGEST = 20
"""Clusters that run.json names."""

FOUND_SCHEMA = pa.schema(
    [
        pa.field("doc", pa.int64()),
        pa.field("archive", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
        pa.field("site", pa.string()),
        pa.field("kept_doc", pa.int64(), metadata={"is": "itself where it is kept"}),
        pa.field("kept_archive", pa.int32()),
        pa.field("kept_offset", pa.int64()),
        pa.field("kept_inner", pa.int32()),
        pa.field("similarity", pa.float64()),
        pa.field("exact", pa.bool_()),
        pa.field("preferred", pa.bool_(), metadata={"is": "whether the keeper rule prefers it to the one kept"}),
        pa.field("cluster_size", pa.int64()),
    ]
)

_STILL_GROWING = -1  # instead of the size of a cluster


@dataclass
class Judged:
    """One entry per row: the row of its keeper, the similarity to it, whether the texts are equal, its component, and
    whether it is a leader."""

    kept: Ints
    similarity: Floats
    exact: np.ndarray
    component: Ints
    leads: np.ndarray


def judge(dedup: DocumentComparison, threshold: float, rows: pa.RecordBatch, earlier: np.ndarray) -> Judged:
    """Return the verdicts on whole components, given as sorted members. Documents of earlier runs always stay."""
    doc, leader = rows["doc"].to_numpy(), rows["leader"].to_numpy()
    component = np.cumsum(np.append(0, np.diff(rows["component"].to_numpy()) != 0)[: len(doc)])
    leads = doc == leader
    at = np.flatnonzero(leads)
    shingles = rows["shingles"] if dedup.with_shingles else None
    measure = dedup.compared(matrix(rows["signature"]), shingles)

    def similarity(docs: Ints, keepers: Ints) -> Floats:
        return measure(at[docs], at[keepers])

    rank = np.arange(len(at))
    if dedup.transitive:
        verdicts = transitive(component[at], rank, similarity, stays=earlier[at])
    else:
        verdicts = verify(component[at], rank, similarity, threshold, ROUNDS, stays=earlier[at])
    mine = np.cumsum(leads) - 1  # the last leader, or itself
    kept = at[verdicts.kept_doc[mine]]
    follows = ~leads & (kept == at[mine])
    exact = follows & rows["exact"].to_numpy(zero_copy_only=False)
    values = np.where(follows, rows["similarity"].to_numpy(), verdicts.similarity[mine])
    return Judged(kept, values, exact, component, leads)


class Verifier:
    """Judges the members of components as they come, and sends each verdict to the group of its document."""

    def __init__(self, store: Store, dedup: DocumentComparison, layout: Layout, threshold: float, out: Outbox) -> None:
        self.unverified = 0
        self.largest: list[tuple[int, int, tuple[int, int, int]]] = []
        """The largest clusters, as (size, minus the number of the document, its place)."""
        self._dedup, self._layout, self._threshold, self._out = dedup, layout, threshold, out
        self._kept_on = 1 if dedup.transitive else ROUNDS + 1
        self._carried = one_batch([], members_schema(dedup))
        self._sizes = np.zeros(0, np.int64)  # of the clusters of carried documents so far
        self._waiting = _WaitingVerdicts(store)

    def take(self, members: pa.RecordBatch, last: bool) -> None:
        """Judge the next members, in order. `last` says that none come after them."""
        old = self._carried.num_rows
        rows = one_batch([self._carried, members], members_schema(self._dedup))
        doc = rows["doc"].to_numpy()
        new, earlier = np.arange(len(doc)) >= old, doc >= self._layout.documents
        judged = judge(self._dedup, self._threshold, rows, earlier)
        removed = judged.kept != np.arange(len(doc))
        sizes = np.bincount(judged.kept[new], minlength=len(doc))
        sizes[:old] += self._sizes

        is_open = (judged.component == judged.component[-1]) & (not last)
        nth = _nth_kept(judged)
        if not self._dedup.transitive:
            self.unverified += int(np.count_nonzero((nth > ROUNDS) & new & ~earlier))
        goes_on = is_open & (nth >= 0) & (nth < self._kept_on)
        goes_on[np.flatnonzero(judged.leads)[-1]] |= not last
        settled = ~removed & ~goes_on  # kept documents whose clusters are complete
        self._note(rows, sizes, settled & (sizes > 1))

        settles = np.where(removed, new, settled) & ~earlier
        verdicts = _verdicts(rows, judged, np.where(goes_on[judged.kept], _STILL_GROWING, sizes[judged.kept]))
        done = np.flatnonzero(~goes_on[:old])
        self._waiting.know(doc[done], sizes[done])
        if old and not (judged.component[0] == judged.component[-1] and not last):
            for batch in self._waiting.settle():
                self._send(batch)
        self._send(verdicts.filter(pa.array(settles & ~is_open)))
        self._waiting.add(verdicts.filter(pa.array(settles & is_open)))
        places = np.flatnonzero(goes_on)
        self._carried, self._sizes = rows.take(pa.array(places)), sizes[places]

    def _send(self, verdicts: pa.RecordBatch) -> None:
        self._out.scatter(self._layout.group_of(verdicts["doc"].to_numpy()), verdicts)

    def _note(self, rows: pa.RecordBatch, sizes: Ints, settled: np.ndarray) -> None:
        places = np.flatnonzero(settled)
        if len(places) > LARGEST:  # ties go to the lower document
            order = np.lexsort((rows["doc"].to_numpy()[places], -sizes[places]))
            places = places[order[:LARGEST]]
        for row, size in zip(rows.take(pa.array(places)).to_pylist(), sizes[places].tolist(), strict=True):
            self.largest.append((size, -row["doc"], (row["archive"], row["offset"], row["inner"])))
        self.largest = heapq.nlargest(LARGEST, self.largest)


class _WaitingVerdicts:
    """Verdicts of a component that goes on. They wait in a file until the sizes of their clusters are known."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path: Path | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._sizes: dict[int, int] = {}

    def know(self, docs: Ints, sizes: Ints) -> None:
        self._sizes |= dict(zip(docs.tolist(), sizes.tolist(), strict=True))

    def add(self, verdicts: pa.RecordBatch) -> None:
        if not verdicts.num_rows:
            return
        if self._writer is None:
            self._path = self._store.scratch()
            self._writer = pa.ipc.new_stream(str(self._path), FOUND_SCHEMA)
        self._writer.write_batch(verdicts)

    def settle(self) -> Iterator[pa.RecordBatch]:
        """Yield the waiting verdicts with their sizes."""
        if self._writer is not None and self._path is not None:
            self._writer.close()
            with pa.OSFile(str(self._path)) as source:
                for batch in pa.ipc.open_stream(source):
                    yield self._completed(batch)
            self.discard()
        self._sizes = {}

    def _completed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        sizes = batch["cluster_size"].to_numpy().copy()
        growing = np.flatnonzero(sizes == _STILL_GROWING)
        sizes[growing] = [self._sizes[doc] for doc in batch["kept_doc"].to_numpy()[growing].tolist()]
        return batch.set_column(FOUND_SCHEMA.get_field_index("cluster_size"), "cluster_size", pa.array(sizes))

    def discard(self) -> None:
        if self._writer is not None and self._path is not None:
            self._writer.close()
            self._path.unlink(missing_ok=True)
        self._writer = self._path = None


def _nth_kept(judged: Judged) -> Ints:
    """Return the number of each kept leader among those of its component, from 0; -1 for all other rows."""
    nth = np.full(len(judged.kept), -1, dtype=np.int64)
    kept = np.flatnonzero(judged.leads & (judged.kept == np.arange(len(judged.kept))))
    component = judged.component[kept]
    starts = np.flatnonzero(np.append(True, component[1:] != component[:-1])[: len(kept)])
    nth[kept] = np.arange(len(kept)) - np.repeat(starts, np.diff(starts, append=len(kept)))
    return nth


def _verdicts(rows: pa.RecordBatch, judged: Judged, sizes: Ints) -> pa.RecordBatch:
    """Return the verdicts on all rows."""
    kept = rows.select(["doc", "archive", "offset", "inner", "preference"]).take(pa.array(judged.kept))
    columns = {name: rows[name] for name in ("doc", "archive", "offset", "inner", "site")}
    columns |= {f"kept_{name}": kept[name] for name in ("doc", "archive", "offset", "inner")}
    columns["similarity"] = pa.array(judged.similarity)
    columns["exact"] = pa.array(judged.exact)
    columns["preferred"] = pa.array(rows["preference"].to_numpy() < kept["preference"].to_numpy())
    columns["cluster_size"] = pa.array(sizes)
    return pa.RecordBatch.from_arrays([columns[name] for name in FOUND_SCHEMA.names], schema=FOUND_SCHEMA)


def verify_box(
    store: Store, dedup: DocumentComparison, layout: Layout, threshold: float, files: Sequence[Part], box: int
) -> tuple[list[Part], dict[str, Any]]:
    """Judge the members in one box of all files. Write `found`, a box for each group. The facts are the largest
    clusters and the number of unverified documents."""
    boxes = [found for found in (Box(store, part, box) for part in files if part.rows) if found.rows]
    total = sum(found.rows for found in boxes)
    size = sum(found.bytes for found in boxes) // max(total, 1) + 1
    at_once = max(layout.memory_bytes // (4 * size), 16)
    with Outbox(store, "found", len(layout.groups) - 1) as out:
        verifier = Verifier(store, dedup, layout, threshold, out)
        done = 0
        for piece in merged(boxes, members_schema(dedup), at_once):
            done += piece.num_rows
            verifier.take(piece, last=done == total)
        part = out.finish()
    return [part], {"unverified": verifier.unverified, "largest": verifier.largest}
