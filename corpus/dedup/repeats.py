"""Find lines that several documents share, the documents that lose too much, and the keeper of each line.

A line that a million documents share is one row per group. The keeper of a line is the first document that has the line
and is not dropped. When a document is dropped, the lines that it was first to have go to other documents. Those
documents then lose less than before, so no document that stayed must be judged again.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import run_starts
from corpus.dedup.line_group import read_group
from corpus.dedup.lines import losing
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, one_batch, range_of
from corpus.storage.task_commits import Made
from corpus.text.vocabulary import Ints

HAD_SCHEMA = pa.schema([("hash", pa.uint64()), ("documents", pa.uint32())])
REPEATED_SCHEMA = pa.schema(
    [
        ("hash", pa.uint64()),
        pa.field("first", pa.bool_(), metadata={"is": "true if no earlier group has the line"}),
    ]
)
PLACES_SCHEMA = pa.schema(
    [
        ("hash", pa.uint64()),
        pa.field("doc", pa.int64(), metadata={"is": "the first document that has the line and stays; -1 for none"}),
        ("archive", pa.int32()),
        ("offset", pa.int64()),
        ("inner", pa.int32()),
    ]
)


def line_keys(task: ComparisonTask) -> Made:
    """Write `had`: for each distinct line of the group, the number of documents that have it.

    There is a box for each range.
    """
    lines, bits, units = read_group(task), task.line_layout.bits, len(task.group.parts)
    hashes = lines.had()
    starts = run_starts(hashes)
    counts = np.diff(starts, append=len(hashes))
    with Outbox(task.store, "had", 1 << bits) as out:
        batch = pa.RecordBatch.from_arrays([hashes[starts], counts], schema=HAD_SCHEMA)
        out.put_sorted(range_of(hashes[starts], bits), batch)
        parts = [out.finish()]
    documents = np.bincount(lines.unit_of(np.flatnonzero(lines.alive)), minlength=units)
    chars = np.bincount(lines.unit_of(lines.doc), lines.chars, minlength=units).astype(np.int64)
    return parts, {
        "documents": task.group.by_archive(documents),
        "chars": task.group.by_archive(chars),
        "lines": int(np.count_nonzero(lines.compared)),
    }


def repeats(task: ComparisonTask) -> Made:
    """Write `repeated`: the lines of one range that enough documents have, in a box for each group with such lines."""
    rows, groups = _by_group(task, "linekeys", "had", HAD_SCHEMA)
    order = np.argsort(rows["hash"].to_numpy(), kind="stable")
    hashes, groups = rows["hash"].to_numpy()[order], groups[order]
    starts = run_starts(hashes)
    total = np.add.reduceat(rows["documents"].to_numpy()[order].astype(np.int64), starts) if len(starts) else starts
    first = np.zeros(len(hashes), dtype=np.bool_)
    first[starts] = True
    enough = np.repeat(total >= task.line_stage.documents, np.diff(starts, append=len(hashes)))
    with Outbox(task.store, "repeated", len(task.line_layout.groups) - 1) as out:
        batch = pa.RecordBatch.from_arrays([hashes[enough], first[enough]], schema=REPEATED_SCHEMA)
        out.scatter(groups[enough], batch)
        return [out.finish()], {}


def losers(task: ComparisonTask) -> Made:
    """Write `losers` and `places`.

    `losers` are the documents that lose too much, with their losses. `places` has, for each repeated line, the first
    document of the group that has the line and stays, in a box for each range.
    """
    keep_first, bits = task.line_stage.keep == "first", task.line_layout.bits
    lines = read_group(task)
    repeated = task.rows("repeats", "repeated", task.number, REPEATED_SCHEMA)
    order = np.argsort(repeated["hash"].to_numpy())
    known, first = repeated["hash"].to_numpy()[order], repeated["first"].to_numpy(zero_copy_only=False)[order]
    at = lines.find(known)
    removed = at >= 0
    if keep_first:
        keeper = np.append(np.where(first, lines.first_of(at, len(known)), -1), -1)
        removed &= lines.doc != keeper[at]
    lost = losing(lines, removed, task.bound, task.line_stage.evidence)
    with Outbox(task.store, "losers", 1) as losers_out, Outbox(task.store, "places", 1 << bits) as places_out:
        losers_out.put(0, lost)
        parts = [losers_out.finish()]
        if keep_first:
            stays = lines.alive.copy()
            stays[lost["doc"].to_numpy() - lines.first] = False
            doc = lines.first_of(np.where(stays[lines.doc], at, -1), len(known))
            there = np.maximum(doc, 0)
            columns = [known, np.where(doc < 0, -1, doc + lines.first), lines.archive[there]]
            columns += [lines.offset[there], lines.inner[there]]
            places_out.put_sorted(range_of(known, bits), pa.RecordBatch.from_arrays(columns, schema=PLACES_SCHEMA))
        parts.append(places_out.finish())
    return parts, {"losers": lost.num_rows}


def keepers(task: ComparisonTask) -> Made:
    """Write `keepers`: the keeper of each repeated line of one range, in a box for each group that has the line."""
    rows, groups = _by_group(task, "losers", "places", PLACES_SCHEMA)
    hashes = rows["hash"].to_numpy()
    order = np.lexsort((groups, rows["doc"].to_numpy() < 0, hashes))
    starts = run_starts(hashes[order])
    keeper = np.repeat(order[starts], np.diff(starts, append=len(order)))
    with Outbox(task.store, "keepers", len(task.line_layout.groups) - 1) as out:
        out.scatter(groups[order], rows.take(pa.array(keeper)))
        return [out.finish()], {}


def _by_group(task: ComparisonTask, phase: str, kind: str, schema: pa.Schema) -> tuple[pa.RecordBatch, Ints]:
    """Return the rows of one box of all groups' files, and the group of each row."""
    found = [one_batch([*box.batches(schema)], schema) for box in task.boxes(phase, kind, task.number)]
    return one_batch(found, schema), np.repeat(np.arange(len(found)), [batch.num_rows for batch in found])
