"""Lines that several documents share: from signed lines to the lines that each document loses.

A line that a million documents share is one row per group. A document that is dropped frees the lines that it had
first. Others then lose less than before, so no document that stayed must be judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.dedup.clusters import Ints
from corpus.dedup.contract import LineComparison
from corpus.dedup.layout import MEMORY_BYTES, Group
from corpus.dedup.line_group import GroupLines, read_group
from corpus.stage import BoundStage, Limit
from corpus.storage.boxes import Outbox, bits_for, one_batch, range_of, read_box, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.storage.task_commits import Made
from corpus.text.shingles import Hashes

HAD_SCHEMA = pa.schema([pa.field("hash", pa.uint64()), pa.field("documents", pa.uint32())])
REPEATED_SCHEMA = pa.schema(
    [
        pa.field("hash", pa.uint64()),
        pa.field("first", pa.bool_(), metadata={"is": "whether no group before this one has it"}),
    ]
)
PLACES_SCHEMA = pa.schema(
    [
        pa.field("hash", pa.uint64()),
        pa.field("doc", pa.int64(), metadata={"is": "the first that has it and stays, -1 for none"}),
        pa.field("archive", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("inner", pa.int32()),
    ]
)
FACTS = ("lines", "removed", "chars", "chars_removed")
"""The counts of a document: see `GroupLines.losses`."""

LOSERS_SCHEMA = pa.schema(
    [
        pa.field("doc", pa.int64()),
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        *(pa.field(name, pa.int64()) for name in FACTS),
    ]
)

_BYTES_PER_LINE = 12  # a hash and a length
_HELD_PER_LINE = 128  # while a group is judged: hashes, lengths, documents, their order, and masks
_BYTES_PER_ENTRY = 96
_LEAST_GROUP_BYTES = 16 << 20
_MOST_GROUPS = 64  # while memory allows it


@dataclass(frozen=True)
class LineLayout:
    """`groups` are the numbers of the first documents of the groups, each of whole units, and at the end the number of
    documents. Lines are divided by the highest bits of their hashes. No division changes a verdict."""

    groups: tuple[int, ...]
    bits: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LineLayout:
        return cls(tuple(data["groups"]), data["bits"])


def make_line_layout(units: Sequence[Part], memory_bytes: int = MEMORY_BYTES) -> tuple[LineLayout, list[int]]:
    """Return the layout for units with these files, and the first unit of each group, with the number of units at the
    end."""
    total = sum(part.bytes for part in units)
    size = min(max(total // _MOST_GROUPS, _LEAST_GROUP_BYTES), memory_bytes * _BYTES_PER_LINE // _HELD_PER_LINE)
    starts, firsts, at, filled = [0], [0], 0, 0
    for number, part in enumerate(units):
        if filled and filled + part.bytes > size:
            starts.append(at)
            firsts.append(number)
            filled = 0
        at += part.rows
        filled += part.bytes
    bits = bits_for(total // _BYTES_PER_LINE, max(memory_bytes // _BYTES_PER_ENTRY, 1))
    return LineLayout((*starts, at), bits), [*firsts, len(units)]


def line_keys(store: Store, layout: LineLayout, number: int, group: Group) -> Made:
    """Write `had`: for each distinct line of the group, the number of documents that have it; a box for each range."""
    lines = read_group(store, layout.groups[number], group)
    hashes = lines.pairs()[0]
    starts = _starts(hashes)
    batch = _batch(HAD_SCHEMA, hashes[starts], np.diff(starts, append=len(hashes)))
    with Outbox(store, "had", 1 << layout.bits) as out:
        out.put_sorted(range_of(hashes[starts], layout.bits), batch)
        parts = [out.finish()]
    documents = np.bincount(lines.unit_of(np.flatnonzero(lines.alive)), minlength=len(group.parts))
    chars = np.bincount(lines.unit_of(lines.doc), lines.chars, minlength=len(group.parts)).astype(np.int64)
    return parts, {
        "documents": documents.tolist(),
        "chars": chars.tolist(),
        "lines": int(np.count_nonzero(lines.compared)),
    }


def repeats(store: Store, layout: LineLayout, stage: LineComparison, files: Sequence[Part], box: int) -> list[Part]:
    """Write `repeated`: the lines of one range that enough documents have, in a box for each group that has them."""
    rows, groups = _by_group(store, files, box, HAD_SCHEMA)
    order = np.argsort(rows["hash"].to_numpy(), kind="stable")
    hashes, groups = rows["hash"].to_numpy()[order], groups[order]
    starts = _starts(hashes)
    if len(starts):
        total = np.add.reduceat(rows["documents"].to_numpy()[order].astype(np.int64), starts)
        first = np.zeros(len(hashes), dtype=np.bool_)
        first[starts] = True
        enough = np.repeat(total >= stage.documents, np.diff(starts, append=len(hashes)))
        hashes, groups, first = hashes[enough], groups[enough], first[enough]
    else:
        first = np.zeros(0, dtype=np.bool_)
    with Outbox(store, "repeated", len(layout.groups) - 1) as out:
        out.scatter(groups, _batch(REPEATED_SCHEMA, hashes, first))
        return [out.finish()]


def losers(
    store: Store,
    layout: LineLayout,
    bound: BoundStage,
    number: int,
    group: Group,
    files: Sequence[Part],
) -> Made:
    """Write `losers`, the documents that lose too much, with what they lose; and `places`, where each repeated line
    first is in documents of the group that stay, a box for each range."""
    assert isinstance(bound.stage, LineComparison)
    keep_first = bound.stage.keep == "first"
    lines = read_group(store, layout.groups[number], group)
    repeated = read_boxes(store, files, number, REPEATED_SCHEMA)
    order = np.argsort(repeated["hash"].to_numpy())
    known, first = repeated["hash"].to_numpy()[order], repeated["first"].to_numpy(zero_copy_only=False)[order]
    at = lines.find(known)
    goes = at >= 0
    if keep_first:
        keeper = np.append(np.where(first, lines.first_of(at, len(known)), -1), -1)
        goes &= lines.doc != keeper[at]
    out_rows = judge(lines, goes, bound)
    with Outbox(store, "losers", 1) as losers_out, Outbox(store, "places", 1 << layout.bits) as places_out:
        losers_out.put(0, out_rows)
        parts = [losers_out.finish()]
        if keep_first:
            stays = lines.alive.copy()
            stays[out_rows["doc"].to_numpy() - lines.first] = False
            doc = lines.first_of(np.where(stays[lines.doc], at, -1), len(known))
            there = np.maximum(doc, 0)
            columns = (known, np.where(doc < 0, -1, doc + lines.first), lines.archive(group.archives)[there])
            batch = _batch(PLACES_SCHEMA, *columns, lines.offset[there], lines.inner[there])
            places_out.put_sorted(range_of(known, layout.bits), batch)
        parts.append(places_out.finish())
    return parts, {"losers": out_rows.num_rows}


def judge(lines: GroupLines, removed: np.ndarray, bound: BoundStage) -> pa.RecordBatch:
    """Return the documents that lose too much. `removed` has one entry per line."""
    assert isinstance(bound.stage, LineComparison)
    losses = lines.losses(removed)
    evidence = evidence_of(losses)
    loses = losses["removed"] > 0
    rules: dict[int, tuple[str, float, float | None]] = {}
    for measure, limit in reversed(bound.limits.items()):
        values = evidence.get(bound.stage.evidence[measure])
        if values is None:
            continue
        for doc in np.flatnonzero(loses & _outside(limit, values)).tolist():
            value = values[doc].item()
            broken = limit.broken_by(value)
            assert broken is not None
            rules[doc] = (measure, float(value), broken[1])
    docs = np.array(sorted(rules), dtype=np.int64)
    verdicts = [rules[doc] for doc in docs.tolist()]
    columns: list[Any] = [docs + lines.first, *([one[column] for one in verdicts] for column in range(3))]
    columns += [losses[name][docs] for name in FACTS]
    return _batch(LOSERS_SCHEMA, *columns)


def _outside(limit: Limit, values: np.ndarray) -> np.ndarray:
    """Return which values break a limit: `Limit.broken_by` for many values."""
    outside = np.zeros(len(values), dtype=np.bool_)
    for bound, breaks in (("min", np.less), ("max", np.greater), ("above", np.less_equal), ("below", np.greater_equal)):
        if bound in limit.bounds:
            outside |= breaks(values, limit.bounds[bound])
    return outside


def evidence_of(losses: dict[str, Ints]) -> dict[str, np.ndarray]:
    """Return the columns of the verdicts that can drop a document, from what each document loses."""
    return {
        "lines_compared": losses["lines"],
        "lines_removed": losses["removed"],
        "removed_ratio": losses["chars_removed"] / np.maximum(losses["chars"], 1),
        "chars_left": losses["chars"] - losses["chars_removed"],
    }


def keepers(store: Store, layout: LineLayout, files: Sequence[Part], box: int) -> list[Part]:
    """Write `keepers`: the first place where each repeated line of one range stays, in a box for each group that has
    the line."""
    rows, groups = _by_group(store, files, box, PLACES_SCHEMA)
    hashes = rows["hash"].to_numpy()
    order = np.lexsort((groups, rows["doc"].to_numpy() < 0, hashes))
    starts = _starts(hashes[order])
    keeper = np.repeat(order[starts], np.diff(starts, append=len(order)))
    kept = rows.take(pa.array(keeper))
    with Outbox(store, "keepers", len(layout.groups) - 1) as out:
        out.scatter(groups[order], kept)
        return [out.finish()]


def _by_group(store: Store, files: Sequence[Part], box: int, schema: pa.Schema) -> tuple[pa.RecordBatch, Ints]:
    """Return the rows of one box of all groups' files, and the group of each row."""
    found = [one_batch(list(read_box(store, part, box, schema)), schema) for part in files]
    return one_batch(found, schema), np.repeat(np.arange(len(found)), [batch.num_rows for batch in found])


def _starts(ordered: Hashes) -> Ints:
    """Return where each run of equal hashes begins."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _batch(schema: pa.Schema, *columns: Any) -> pa.RecordBatch:
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
