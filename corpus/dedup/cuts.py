"""The last phase of the comparison of lines: the lines that each document loses, the documents that are dropped, and
the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.dedup.clusters import Ints
from corpus.dedup.layout import Group
from corpus.dedup.line_group import GroupLines, read_group
from corpus.dedup.repeats import FACTS, LOSERS_SCHEMA, PLACES_SCHEMA, REPEATED_SCHEMA, LineLayout, evidence_of
from corpus.storage.boxes import Outbox, read_boxes
from corpus.storage.commits import Part
from corpus.storage.store import Store
from corpus.storage.task_commits import Made
from corpus.tables.verdicts import VERDICT_SCHEMAS, record_ids


def cuts(  # eight parameters: the files of three earlier phases are different things
    store: Store,
    layout: LineLayout,
    number: int,
    group: Group,
    losers: Part,
    repeated: Sequence[Part],
    keepers: Sequence[Part] | None,
    archives: Sequence[str],
) -> Made:
    """Write `cuts`, a box for each unit of the group. The facts are what each unit loses. `keepers` is None where no
    document keeps a repeated line; `archives` are the names of all archives."""
    lines = read_group(store, layout.groups[number], group)
    if keepers is None:
        places = read_boxes(store, repeated, number, REPEATED_SCHEMA)
    else:
        places = read_boxes(store, keepers, number, PLACES_SCHEMA)
    places = places.take(pa.array(np.argsort(places["hash"].to_numpy())))
    at = lines.find(places["hash"].to_numpy())
    keeper = np.full(places.num_rows + 1, -1) if keepers is None else np.append(places["doc"].to_numpy(), -1)
    cut = (at >= 0) & (keeper[at] != lines.doc + lines.first)

    out = read_boxes(store, [losers], 0, LOSERS_SCHEMA)
    dropped = out["doc"].to_numpy() - lines.first
    losses = lines.losses(cut)
    for name in FACTS:  # a dropped document lost this before it made others lose less
        losses[name][dropped] = out[name].to_numpy()
    removed = np.zeros(len(lines.alive), dtype=np.bool_)
    removed[dropped] = True
    docs = np.flatnonzero(removed | (losses["removed"] > 0))
    columns = _columns(lines, docs, removed, cut, losses, group.archives, archives)
    columns |= {name: _laid_over(docs, dropped, out[name]) for name in ("rule", "value", "limit")}
    columns["kept_in"] = _kept_in(lines, cut, at, keeper, docs, places, archives)
    columns["detail"] = pc.if_else(columns["removed"], columns["kept_in"], None)
    schema = VERDICT_SCHEMAS["lines"]
    batch = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
    with Outbox(store, "cuts", len(group.parts)) as cuts_out:
        cuts_out.put_sorted(lines.unit_of(docs), batch)
        parts = [cuts_out.finish()]
    return parts, {"units": _counts(lines, losses, docs[~removed[docs]], dropped, out["rule"])}


def _columns(
    lines: GroupLines,
    docs: Ints,
    removed: np.ndarray,
    cut: np.ndarray,
    losses: dict[str, Ints],
    numbers: Sequence[int],
    archives: Sequence[str],
) -> dict[str, pa.Array]:
    """Return the columns that the group alone decides."""
    places = {"archive": lines.archive(numbers)[docs], "offset": lines.offset[docs], "inner": lines.inner[docs]}
    gone = np.flatnonzero(cut & ~removed[lines.doc])
    ends = np.searchsorted(lines.doc[gone], docs, side="right")
    evidence = evidence_of({name: values[docs] for name, values in losses.items()})
    return {
        "corpus_row": pa.array(docs - np.append(0, lines.ends)[lines.unit_of(docs)]),
        "id": record_ids(pa.array(archives, pa.string()), pa.RecordBatch.from_pydict(places)),
        "removed": pa.array(removed[docs]),
        "cut": pa.ListArray.from_arrays(
            pa.array(np.append(0, ends), pa.int32()), pa.array(lines.line[gone].astype(np.uint32))
        ),
        **{name: pa.array(values) for name, values in evidence.items()},
    }


def _laid_over(docs: Ints, some: Ints, values: pa.Array) -> pa.Array:
    """Return values of some documents as a column of all, null for the others."""
    at = np.searchsorted(some, docs)
    known = np.isin(docs, some)
    return values.take(pa.array(np.where(known, at, 0), mask=~known))


def _kept_in(
    lines: GroupLines,
    goes: np.ndarray,
    at: Ints,
    keeper: Ints,
    docs: Ints,
    places: pa.RecordBatch,
    archives: Sequence[str],
) -> pa.Array:
    """Return, for each of `docs`, the id of the document that keeps most of what it loses, by characters; among equals
    the first."""
    some = np.flatnonzero(goes & (keeper[at] >= 0))
    if not len(some):
        return pa.nulls(len(docs), pa.string())
    order = some[np.lexsort((keeper[at[some]], lines.doc[some]))]
    doc, kept = lines.doc[order], keeper[at[order]]
    starts = np.flatnonzero(np.append(True, (doc[1:] != doc[:-1]) | (kept[1:] != kept[:-1])))
    held = np.add.reduceat(lines.chars[order], starts)
    best = np.lexsort((kept[starts], -held, doc[starts]))
    first = np.append(True, np.diff(doc[starts][best]) != 0)
    chosen = order[starts[best[first]]]
    ids = record_ids(pa.array(archives, pa.string()), places.take(pa.array(at[chosen])))
    return _laid_over(docs, lines.doc[chosen], ids)


def _counts(lines: GroupLines, facts: dict[str, Ints], kept: Ints, gone: Ints, rules: pa.Array) -> list[dict[str, Any]]:
    """Return, for each unit, the dropped documents by rule, the kept ones that lose lines, and the lines and characters
    that these lose."""
    units, of = len(lines.ends), lines.unit_of(kept)
    columns = {
        "changed": np.bincount(of, minlength=units),
        "lines": np.bincount(of, facts["removed"][kept], minlength=units),
        "chars": np.bincount(of, facts["chars_removed"][kept], minlength=units),
    }
    counts: list[dict[str, Any]] = [
        {"dropped": {}, **{name: int(values[place]) for name, values in columns.items()}} for place in range(units)
    ]
    for place, rule in zip(lines.unit_of(gone).tolist(), rules.to_pylist(), strict=True):
        dropped = counts[place]["dropped"]
        dropped[rule] = dropped.get(rule, 0) + 1
    return counts
