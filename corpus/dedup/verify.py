"""Verification. Each component keeps its preferred document, and loses the documents at least as similar to it as the
limit.

A verifier reads the members of its components from all groups, merged into one order, a bounded number at a time. If a
component is larger than that, the verifier carries on the documents that decide about the rest: the first kept
documents (one more than the rounds of `verify`), and the last leader.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import ROUNDS, Floats, run_starts, transitive, verify
from corpus.dedup.members import members_schema
from corpus.dedup.merge import merged
from corpus.dedup.signature_rows import matrix
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, one_batch
from corpus.storage.store import Store
from corpus.storage.task_commits import Made
from corpus.text.vocabulary import Flags, Ints, runs

LARGEST = 20
"""The greatest number of clusters that run.json lists."""

FOUND_SCHEMA = pa.schema(
    [
        ("doc", pa.int64()),
        ("archive", pa.int32()),
        ("offset", pa.int64()),
        ("inner", pa.int32()),
        ("site", pa.string()),
        pa.field("kept_doc", pa.int64(), metadata={"is": "itself if it is kept"}),
        ("kept_archive", pa.int32()),
        ("kept_offset", pa.int64()),
        ("kept_inner", pa.int32()),
        ("similarity", pa.float64()),
        ("exact", pa.bool_()),
        pa.field(
            "preferred",
            pa.bool_(),
            metadata={"is": "true if the keeper rule prefers it to the kept one; null if their rules differ"},
        ),
        ("cluster_size", pa.int64()),
    ]
)

_STILL_GROWING = -1  # used in place of the size while a cluster still grows


@dataclass
class Judged:
    """One entry per row: the row of its keeper, the similarity to the keeper, whether the texts are equal, the
    component, and whether the document is a leader.
    """

    kept: Ints
    similarity: Floats
    exact: Flags
    component: Ints
    leads: Flags


def verify_components(task: ComparisonTask) -> Made:
    """Judge the members in one box of all files. Write `found`, a box for each group.

    The facts are the largest clusters and the number of unverified documents.
    """
    layout = task.layout
    boxes = [found for found in task.boxes("members", "members", task.number) if found.rows]
    total = sum(found.rows for found in boxes)
    size = sum(found.bytes for found in boxes) // max(total, 1) + 1
    at_once = max(layout.memory_bytes // (4 * size), 16)
    with Outbox(task.store, "found", len(layout.groups) - 1) as out:
        verifier = Verifier(task, out)
        done = 0
        for piece in merged(boxes, members_schema(task.document_stage), at_once):
            done += piece.num_rows
            verifier.judge(piece, last=done == total)
        part = out.finish()
    return [part], {"unverified": verifier.unverified, "largest": verifier.largest}


class Verifier:
    """A judge of components.

    A verifier takes the members in order, and sends each verdict to the group of its document.
    """

    def __init__(self, task: ComparisonTask, out: Outbox) -> None:
        self.unverified = 0
        self.largest: list[tuple[int, int, tuple[int, int, int]]] = []
        """The largest clusters, as (size, minus the number of the keeper, the keeper's archive, offset and inner)."""
        self._stage, self._layout, self._threshold, self._out = task.document_stage, task.layout, task.threshold, out
        self._kept_on = 1 if self._stage.transitive else ROUNDS + 1
        self._carried = one_batch([], members_schema(self._stage))
        self._sizes = np.zeros(0, np.int64)  # the current sizes of the clusters of carried documents
        self._waiting = _WaitingVerdicts(task.store)

    def judge(self, members: pa.RecordBatch, last: bool) -> None:
        """Judge the next members, in order. `last` is True if no members follow."""
        old = self._carried.num_rows
        rows = one_batch([self._carried, members], members_schema(self._stage))
        doc = rows["doc"].to_numpy()
        new, earlier = np.arange(len(doc)) >= old, doc >= self._layout.documents
        judged = self._judged(rows, earlier)
        removed = judged.kept != np.arange(len(doc))
        sizes = np.bincount(judged.kept[new], minlength=len(doc))
        sizes[:old] += self._sizes

        is_open = (judged.component == judged.component[-1]) & (not last)
        nth = _nth_kept(judged)
        if not self._stage.transitive:
            self.unverified += int(np.count_nonzero((nth > ROUNDS) & new & ~earlier))
        goes_on = is_open & (nth >= 0) & (nth < self._kept_on)
        goes_on[np.flatnonzero(judged.leads)[-1]] |= not last
        settled = ~removed & ~goes_on  # kept documents whose clusters are complete
        self._note_largest(rows, sizes, settled & (sizes > 1))

        settles = np.where(removed, new, settled) & ~earlier
        verdicts = _verdicts(rows, judged, np.where(goes_on[judged.kept], _STILL_GROWING, sizes[judged.kept]))
        done = np.flatnonzero(~goes_on[:old])
        self._waiting.add_sizes(doc[done], sizes[done])
        if old and not (judged.component[0] == judged.component[-1] and not last):
            for batch in self._waiting.settle():
                self._send(batch)
        self._send(verdicts.filter(pa.array(settles & ~is_open)))
        self._waiting.add(verdicts.filter(pa.array(settles & is_open)))
        carried = np.flatnonzero(goes_on)
        self._carried, self._sizes = rows.take(pa.array(carried)), sizes[carried]

    def _judged(self, rows: pa.RecordBatch, earlier: Flags) -> Judged:
        """Return the verdicts on whole components, given as sorted members. Documents of earlier runs always stay."""
        leads = rows["doc"].to_numpy() == rows["leader"].to_numpy()
        component = np.cumsum(np.append(0, np.diff(rows["component"].to_numpy()) != 0)[: len(leads)])
        at = np.flatnonzero(leads)
        shingles = rows["shingles"] if self._stage.with_shingles else None
        measure = self._stage.compared(matrix(rows["signature"]), shingles)

        def similarity(docs: Ints, keepers: Ints) -> Floats:
            return measure(at[docs], at[keepers])

        compared = component[at], np.arange(len(at)), similarity
        if self._stage.transitive:
            verdicts = transitive(*compared, stays=earlier[at])
        else:
            verdicts = verify(*compared, self._threshold, stays=earlier[at])
        leader = np.cumsum(leads) - 1  # twins follow their leader
        kept = at[verdicts.kept_doc[leader]]
        follows = ~leads & (kept == at[leader])
        exact = follows & rows["exact"].to_numpy(zero_copy_only=False)
        values = np.where(follows, rows["similarity"].to_numpy(), verdicts.similarity[leader])
        return Judged(kept, values, exact, component, leads)

    def _send(self, verdicts: pa.RecordBatch) -> None:
        self._out.scatter(self._layout.group_of(verdicts["doc"].to_numpy()), verdicts)

    def _note_largest(self, rows: pa.RecordBatch, sizes: Ints, settled: Flags) -> None:
        at = np.flatnonzero(settled)
        if len(at) > LARGEST:  # ties go to the lower document
            order = np.lexsort((rows["doc"].to_numpy()[at], -sizes[at]))
            at = at[order[:LARGEST]]
        for row, size in zip(rows.take(pa.array(at)).to_pylist(), sizes[at].tolist(), strict=True):
            self.largest.append((size, -row["doc"], (row["archive"], row["offset"], row["inner"])))
        self.largest = heapq.nlargest(LARGEST, self.largest)


class _WaitingVerdicts:
    """The verdicts of a component that is not complete.

    The verdicts wait in a file until the sizes of their clusters are known.
    """

    def __init__(self, store: Store) -> None:
        self._path = store.scratch()
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._sizes: dict[int, int] = {}

    def add_sizes(self, docs: Ints, sizes: Ints) -> None:
        self._sizes |= dict(zip(docs.tolist(), sizes.tolist(), strict=True))

    def add(self, verdicts: pa.RecordBatch) -> None:
        if verdicts.num_rows:
            self._writer = self._writer or pa.ipc.new_stream(str(self._path), FOUND_SCHEMA)
            self._writer.write_batch(verdicts)

    def settle(self) -> Iterator[pa.RecordBatch]:
        """Yield the waiting verdicts with the sizes of their clusters."""
        if self._writer is not None:
            self._writer.close()
            with pa.OSFile(str(self._path)) as source:
                yield from map(self._completed, pa.ipc.open_stream(source))
            self._path.unlink()
            self._writer = None
        self._sizes = {}

    def _completed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        sizes = batch["cluster_size"].to_numpy().copy()
        growing = np.flatnonzero(sizes == _STILL_GROWING)
        sizes[growing] = [self._sizes[doc] for doc in batch["kept_doc"].to_numpy()[growing].tolist()]
        return batch.set_column(FOUND_SCHEMA.get_field_index("cluster_size"), "cluster_size", pa.array(sizes))


def _nth_kept(judged: Judged) -> Ints:
    """Return the number of each kept leader in its component, counted from 0. All other rows have -1."""
    nth = np.full(len(judged.kept), -1, dtype=np.int64)
    kept = np.flatnonzero(judged.leads & (judged.kept == np.arange(len(judged.kept))))
    starts = run_starts(judged.component[kept])
    nth[kept] = runs(np.zeros_like(starts), np.diff(starts, append=len(kept)))
    return nth


def _verdicts(rows: pa.RecordBatch, judged: Judged, sizes: Ints) -> pa.RecordBatch:
    """Return the verdicts on all rows."""
    kept = rows.select(["doc", "archive", "offset", "inner", "preference"]).take(pa.array(judged.kept))
    columns = {name: rows[name] for name in ("doc", "archive", "offset", "inner", "site")}
    columns |= {f"kept_{name}": kept[name] for name in ("doc", "archive", "offset", "inner")}
    columns |= {"similarity": judged.similarity, "exact": judged.exact, "cluster_size": sizes}
    preference = kept["preference"].to_numpy()
    columns["preferred"] = pa.array(rows["preference"].to_numpy() < preference, mask=np.isnan(preference))
    return pa.RecordBatch.from_pydict(columns, schema=FOUND_SCHEMA)
