"""The last phase of a comparison of lines.

This phase finds the lines that each document loses, the documents that are dropped, and the evidence.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.line_group import read_group
from corpus.dedup.lines import FACTS, LOSERS_SCHEMA, GroupLines, best_kept, evidence_of
from corpus.dedup.repeats import PLACES_SCHEMA, REPEATED_SCHEMA
from corpus.dedup.task import ComparisonTask
from corpus.storage.boxes import Outbox, read_boxes
from corpus.storage.task_commits import Made
from corpus.tables.verdicts import VERDICT_SCHEMAS, record_ids
from corpus.text.vocabulary import Ints


def cuts(task: ComparisonTask) -> Made:
    """Write `cuts`, a box for each unit of the group. The facts are the losses of units and archives."""
    lines = read_group(task)
    if task.line_stage.keep == "first":
        repeated = task.rows("keepers", "keepers", task.number, PLACES_SCHEMA)
    else:
        repeated = task.rows("repeats", "repeated", task.number, REPEATED_SCHEMA)
    repeated = repeated.take(pa.array(np.argsort(repeated["hash"].to_numpy())))
    at = lines.find(repeated["hash"].to_numpy())
    has_keepers = "doc" in repeated.schema.names
    keepers = np.append(repeated["doc"].to_numpy() if has_keepers else np.full(repeated.num_rows, -1), -1)
    keeper = keepers[at]  # the keeper of each line; -1 if no document keeps the line
    removed = (at >= 0) & (keeper != lines.doc + lines.first)

    losers = read_boxes(task.store, [task.parts("losers", "losers")[task.number]], 0, LOSERS_SCHEMA)
    dropped_docs = losers["doc"].to_numpy() - lines.first
    losses = lines.losses(removed)
    for name in FACTS:  # a dropped document shows the losses by which it was judged
        losses[name][dropped_docs] = losers[name].to_numpy()
    dropped = np.zeros(len(lines.alive), dtype=np.bool_)
    dropped[dropped_docs] = True
    docs = np.flatnonzero(dropped | (losses["removed"] > 0))
    names, kept_in = pa.array(task.archives, pa.string()), pa.nulls(len(docs), pa.string())
    if len(kept := np.flatnonzero(removed & (keeper >= 0))):
        kept = kept[best_kept(lines.doc[kept], keeper[kept], lines.chars[kept])]
        kept_in = _laid_over(docs, lines.doc[kept], record_ids(names, repeated.take(pa.array(at[kept]))))
    places = {name: getattr(lines, name)[docs] for name in ("archive", "offset", "inner")}
    gone = np.flatnonzero(removed & ~dropped[lines.doc])
    ends = np.append(0, np.searchsorted(lines.doc[gone], docs, side="right"))
    columns = {
        "corpus_row": docs - np.append(0, lines.ends)[lines.unit_of(docs)],
        "id": record_ids(names, pa.RecordBatch.from_pydict(places)),
        "removed": dropped[docs],
        "detail": pc.if_else(pa.array(dropped[docs]), kept_in, None),
        "cut": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(lines.line[gone], pa.uint32())),
        "kept_in": kept_in,
        **{name: _laid_over(docs, dropped_docs, losers[name]) for name in ("rule", "value", "limit")},
        **evidence_of({name: values[docs] for name, values in losses.items()}),
    }
    with Outbox(task.store, "cuts", len(task.group.parts)) as out:
        out.put_sorted(lines.unit_of(docs), pa.RecordBatch.from_pydict(columns, schema=VERDICT_SCHEMAS["lines"]))
        parts = [out.finish()]
    rules = Counter(losers["rule"].to_pylist())
    return parts, {"rules": rules, **_counts(task, lines, losses, docs[~dropped[docs]], dropped_docs)}


def _laid_over(docs: Ints, some: Ints, values: pa.Array) -> pa.Array:
    """Return a column for `docs`. The documents of `some` have the given values, the others have null."""
    at = np.searchsorted(some, docs)
    known = np.isin(docs, some)
    return values.take(pa.array(np.where(known, at, 0), mask=~known))


def _counts(
    task: ComparisonTask, lines: GroupLines, losses: dict[str, Ints], kept: Ints, dropped: Ints
) -> dict[str, Any]:
    """Return the number of dropped documents of each unit, and of each archive; the kept documents that lose lines;
    and, of each archive, the lines and characters that these kept documents lose.
    """
    units, of = len(lines.ends), lines.unit_of(kept)
    gone = np.bincount(lines.unit_of(dropped), minlength=units)
    lost = {
        name: np.bincount(of, losses[column][kept], minlength=units).astype(np.int64)
        for name, column in (("lines", "removed"), ("chars", "chars_removed"))
    }
    sums = {name: task.group.by_archive(counts) for name, counts in {"dropped": gone, **lost}.items()}
    return {"removed": gone.tolist(), "changed": len(kept), **sums}
